#include "bench/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void series_add(struct series *series, double value)
{
	if (series->count < SERIES_MAX)
		series->values[series->count++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_median(const struct series *series)
{
	double sorted[SERIES_MAX];
	unsigned n = series->count;

	if (n == 0)
		return 0;
	memcpy(sorted, series->values, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double series_min(const struct series *series)
{
	double min = series->count ? series->values[0] : 0;

	for (unsigned i = 1; i < series->count; i++)
		if (series->values[i] < min)
			min = series->values[i];
	return min;
}

double series_max(const struct series *series)
{
	double max = series->count ? series->values[0] : 0;

	for (unsigned i = 1; i < series->count; i++)
		if (series->values[i] > max)
			max = series->values[i];
	return max;
}

double series_last(const struct series *series)
{
	assert(series->count > 0);
	return series->values[series->count - 1];
}

void histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

/* Values below 2^SUB_BITS have a bucket each; above, SUB_BITS digits count. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned top;
	unsigned shift;
	unsigned bucket;

	if (ns < 1u << HISTOGRAM_SUB_BITS)
		return (unsigned)ns;
	top = 63 - (unsigned)__builtin_clzll(ns);
	shift = top - HISTOGRAM_SUB_BITS;
	bucket = ((shift + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(ns >> shift) -
		 (1u << HISTOGRAM_SUB_BITS);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_edge(unsigned bucket)
{
	unsigned shift;

	if (bucket < 1u << HISTOGRAM_SUB_BITS)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	return (((uint64_t)(bucket & ((1u << HISTOGRAM_SUB_BITS) - 1)) +
		 (1u << HISTOGRAM_SUB_BITS) + 1)
		<< shift) -
	       1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram->counts[bucket_of(ns)]++;
	histogram->total++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t want = (uint64_t)((double)histogram->total * share + 0.5);
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (histogram->counts[i] && seen >= want) {
			uint64_t edge = bucket_edge(i);

			return edge < histogram->max_ns ? edge
							: histogram->max_ns;
		}
	}
	return histogram->max_ns;
}
