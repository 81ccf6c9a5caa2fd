#include "core/metrics.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define BOUNDS_COUNT                                                           \
	27 /* 2^0 .. 2^26 microseconds; one bucket more is +Inf                \
	    */

enum kind { COUNTER, GAUGE, HISTOGRAM };
enum state { FREE, FILLING, READY };

struct metric {
	_Alignas(CACHE_LINE) atomic_int state;
	enum kind kind;
	const char *name;
	const char *labels; /* "" for none */
	const char *help;
	_Atomic int64_t value; /* of a histogram: microseconds in all */
};

/*
 * Slots are taken in order and never given back, so whoever looks for a name
 * meets the same slots in the same order, and a name is never there twice.
 * The last one is the spare that takes what no longer fits.
 */
static struct metric metrics[METRICS_MAX + 1];
static _Atomic uint64_t buckets[METRICS_MAX + 1][BOUNDS_COUNT + 1];

static bool is_same(struct metric *metric, enum kind kind, const char *name,
		    const char *labels)
{
	while (atomic_load_explicit(&metric->state, memory_order_acquire) !=
	       READY)
		(void)sched_yield();
	if (strcmp(metric->name, name) != 0)
		return false;
	assert(metric->kind == kind);
	return strcmp(metric->labels, labels) == 0;
}

static struct metric *find_or_make(enum kind kind, const char *name,
				   const char *labels, const char *help)
{
	for (size_t i = 0; i < METRICS_MAX; i++) {
		struct metric *metric = &metrics[i];
		int state = FREE;

		if (atomic_compare_exchange_strong(&metric->state, &state,
						   FILLING)) {
			metric->kind = kind;
			metric->name = name;
			metric->labels = labels ? labels : "";
			metric->help = help;
			atomic_store_explicit(&metric->state, READY,
					      memory_order_release);
			return metric;
		}
		if (is_same(metric, kind, name, labels ? labels : ""))
			return metric;
	}
	return &metrics[METRICS_MAX];
}

struct metric *metric_counter(const char *name, const char *labels,
			      const char *help)
{
	return find_or_make(COUNTER, name, labels, help);
}

struct metric *metric_gauge(const char *name, const char *labels,
			    const char *help)
{
	return find_or_make(GAUGE, name, labels, help);
}

struct metric *metric_histogram(const char *name, const char *labels,
				const char *help)
{
	return find_or_make(HISTOGRAM, name, labels, help);
}

void metric_add(struct metric *metric, uint64_t n)
{
	atomic_fetch_add_explicit(&metric->value, (int64_t)n,
				  memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_change(struct metric *metric, int64_t delta)
{
	atomic_fetch_add_explicit(&metric->value, delta, memory_order_relaxed);
}

/* The first bound that is not below `us`. */
static unsigned bucket_index(uint64_t us)
{
	unsigned index = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1);

	return index < BOUNDS_COUNT ? index : BOUNDS_COUNT;
}

void metric_observe_us(struct metric *metric, uint64_t us)
{
	size_t slot = (size_t)(metric - metrics);

	atomic_fetch_add_explicit(&buckets[slot][bucket_index(us)], 1,
				  memory_order_relaxed);
	metric_add(metric, us);
}

int64_t metric_value(const struct metric *metric)
{
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static const char *kind_name(enum kind kind)
{
	switch (kind) {
	case COUNTER:
		return "counter";
	case GAUGE:
		return "gauge";
	case HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

static void write_head(FILE *out, const struct metric *metric)
{
	(void)fprintf(out, "# HELP %s ", metric->name);
	for (const char *c = metric->help; *c; c++) {
		if (*c == '\\')
			(void)fputs("\\\\", out);
		else if (*c == '\n')
			(void)fputs("\\n", out);
		else
			(void)fputc(*c, out);
	}
	(void)fprintf(out, "\n# TYPE %s %s\n", metric->name,
		      kind_name(metric->kind));
}

static void write_bucket(FILE *out, const struct metric *metric,
			 const char *bound, uint64_t count)
{
	(void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", metric->name,
		      metric->labels, *metric->labels ? "," : "", bound,
		      (unsigned long long)count);
}

/* _sum and _count carry the metric's labels alone. */
static void write_suffixed(FILE *out, const struct metric *metric,
			   const char *suffix, const char *value)
{
	bool labels = *metric->labels;

	(void)fprintf(out, "%s%s%s%s%s %s\n", metric->name, suffix,
		      labels ? "{" : "", metric->labels, labels ? "}" : "",
		      value);
}

static void write_histogram(FILE *out, const struct metric *metric)
{
	_Atomic uint64_t *counts = buckets[metric - metrics];
	uint64_t total = 0;
	char text[40];

	for (unsigned i = 0; i <= BOUNDS_COUNT; i++) {
		total += atomic_load_explicit(&counts[i], memory_order_relaxed);
		(void)snprintf(text, sizeof(text), "%.6f",
			       (double)(1u << i) / 1e6);
		write_bucket(out, metric, i < BOUNDS_COUNT ? text : "+Inf",
			     total);
	}
	(void)snprintf(text, sizeof(text), "%.6f",
		       (double)metric_value(metric) / 1e6);
	write_suffixed(out, metric, "_sum", text);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)total);
	write_suffixed(out, metric, "_count", text);
}

static void write_sample(FILE *out, const struct metric *metric)
{
	char text[24];

	if (metric->kind == HISTOGRAM) {
		write_histogram(out, metric);
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld",
		       (long long)metric_value(metric));
	write_suffixed(out, metric, "", text);
}

static bool is_first_of_name(size_t slot)
{
	for (size_t i = 0; i < slot; i++) {
		if (strcmp(metrics[i].name, metrics[slot].name) == 0)
			return false;
	}
	return true;
}

/* All samples of a name stand together behind one HELP and one TYPE. */
static void write_family(FILE *out, size_t first, size_t count)
{
	write_head(out, &metrics[first]);
	for (size_t i = first; i < count; i++) {
		if (strcmp(metrics[i].name, metrics[first].name) == 0)
			write_sample(out, &metrics[i]);
	}
}

static size_t ready_count(void)
{
	size_t count = 0;

	while (count < METRICS_MAX &&
	       atomic_load_explicit(&metrics[count].state,
				    memory_order_acquire) == READY)
		count++;
	return count;
}

char *metrics_text(size_t *len)
{
	size_t count = ready_count();
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	bool failed;

	if (!out)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (is_first_of_name(i))
			write_family(out, i, count);
	}
	failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}
