#ifndef BENCH_METERS_H
#define BENCH_METERS_H
/*
 * The figures that every kind of work has: rate, CPU of server and load, bytes
 * written, switches, system calls, memory, times. One a case, filled round by
 * round, written at the end.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bench/bench.h"
#include "bench/result.h"

struct meters {
	struct series rate;        /* things a second */
	struct series cpu;         /* of the server, us a thing */
	struct series own;         /* of the load */
	struct series written;     /* bytes a thing, handed to write(2) */
	struct series device;      /* bytes a thing, by the device */
	struct series switches;    /* of the server, a thing */
	struct series calls;       /* system calls of the server, a thing */
	struct series calls_rw;    /* read and write calls of it, a thing */
	struct series memory;      /* of the server, without mapped files, MB */
	struct series p50, p99;    /* us */
	struct histogram latency;  /* of all rounds together */
	struct histogram round;    /* of this one; cleared by meters_add() */
	struct histogram lateness; /* of a load at a rate, see load_post */
};

/* After span_end(). `count` things were done. */
void meters_add(struct meters *meters, const struct span *span, double count);
/* Ends a round of times alone, where no span is one; meters_add() does it. */
void meters_add_times(struct meters *meters);
/* `thing` is "envelope", "query" ...; what was not measured is left out, never
 * 0; meters_sources() says what cannot be measured here. */
void meters_put(const struct meters *meters, const char *scenario,
		const char *work, const char *who, const char *thing);

/* Notes on where system calls and bytes come from on this machine. */
void meters_sources(const char *dir);

/* A single series. */
void meters_put_one(const struct series *series, const char *scenario,
		    const char *work, const char *who, const char *metric,
		    const char *unit, bool more_is_better);

#endif
