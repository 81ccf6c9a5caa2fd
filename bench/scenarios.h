#ifndef BENCH_SCENARIOS_H
#define BENCH_SCENARIOS_H
/*
 * The scenarios, each a file of its own; main.c lists them.
 *
 * Thread: main.
 */
#include "bench/bench.h"

extern const struct scenario scenario_limits;
extern const struct scenario scenario_ingest;
extern const struct scenario scenario_fetch;
extern const struct scenario scenario_rivals;

#endif
