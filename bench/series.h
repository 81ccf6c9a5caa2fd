#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H
/*
 * Numbers of several rounds, and latencies of many operations.
 *
 * Thread: the caller's.
 */
#include <stdint.h>

#define SERIES_MAX 64

/* One number a round. Further ones are dropped. */
struct series {
	double values[SERIES_MAX];
	unsigned count;
};
void series_add(struct series *series, double value);
double series_median(const struct series *series);
double series_min(const struct series *series);
double series_max(const struct series *series);
double series_last(const struct series *series); /* there must be one */

/*
 * A histogram in the HDR manner: values of 1 ns to about 18 minutes in buckets
 * no wider than 1/64 of their value, in fixed memory.
 */
#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((41 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)
struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max_ns;
};
void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Upper edge of the bucket that holds this share (0..1) of all; ns. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
