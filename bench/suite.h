#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H
/*
 * The scenarios one by one or all in turn, and what is made of their results.
 * Each returns an exit status.
 *
 * Thread: main.
 */
#include "bench/bench.h"

/* Ended by NULL, in the order of the suite; in main.c. */
extern const struct scenario *const bench_scenarios[];

int suite_run_one(const struct scenario *scenario, int argc, char **argv);
int suite_run_all(int argc, char **argv);
int suite_report(int argc, char **argv);
int suite_compare(int argc, char **argv);

#endif
