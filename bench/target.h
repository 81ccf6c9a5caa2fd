#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H
/*
 * What was to be reached, beside what was.
 *
 * Thread: main.
 */
#include <stdbool.h>

#include "bench/series.h"

/*
 * A result of who "target", and a line for people that says whether the
 * median holds it. Returns whether it does.
 */
bool target_put(const char *scenario, const char *work, const char *metric,
		const char *unit, const struct series *measured, double target,
		bool more_is_better);

#endif
