#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H
/*
 * Results: one JSON line each on standard output (or the file of --out), and
 * the same for people on standard error.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/series.h"

/* Where lines go; stdout unless told. The first line tells machine, kernel,
 * processor, commit and time. */
void result_open(FILE *out, bool quiet);
void result_machine(const char *data_dir);

/* A number of several rounds. */
struct result {
	const char *scenario; /* "ingest" */
	const char *work;     /* "512 B, 50 a packet, 8 connections" */
	const char *who;      /* "restante", "limit", "postgresql" ... */
	const char *metric;   /* "rate", "cpu", "latency_p50" ... */
	const char *unit;     /* "envelopes/s", "us/envelope", "B/envelope" */
	bool more_is_better;
	const struct series *series;
};
void result_put(const struct result *result);
/*
 * What follows is the point `x` of a curve ("one topic"), to be plotted over
 * x, until this is called with NULL.
 */
void result_curve(const char *curve, double x);
/* What x is, with its unit, for the plots: "envelopes in the archive". */
void result_axis(const char *label);
/* p50, p90, p99, p99.9 and max of a histogram, in microseconds. */
void result_latency(const char *scenario, const char *work, const char *who,
		    const struct histogram *histogram);
/* A remark: something was skipped, a setting of a rival. */
void result_note(const char *scenario, const char *who, const char *text);

#endif
