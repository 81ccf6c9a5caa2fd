#ifndef BENCH_SCENARIOS_H
#define BENCH_SCENARIOS_H
/*
 * The scenarios, each a file of its own; main.c lists them.
 *
 * Thread: main.
 */
#include "bench/bench.h"

extern const struct scenario scenario_limits;
extern const struct scenario scenario_layout;
extern const struct scenario scenario_ingest;
extern const struct scenario scenario_fetch;
extern const struct scenario scenario_rivals;
extern const struct scenario scenario_growth;
extern const struct scenario scenario_deep;
extern const struct scenario scenario_mixed;
extern const struct scenario scenario_zipf;
extern const struct scenario scenario_engines;
extern const struct scenario scenario_fanout;
extern const struct scenario scenario_stuck;
extern const struct scenario scenario_handshakes;
extern const struct scenario scenario_idle;
extern const struct scenario scenario_retention;
extern const struct scenario scenario_entitlements;
extern const struct scenario scenario_denied;
extern const struct scenario scenario_claims;

#endif
