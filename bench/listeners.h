#ifndef BENCH_LISTENERS_H
#define BENCH_LISTENERS_H
/*
 * A hundred peers in a thread of their own, beside the load: they want
 * everything or nothing, and read it or not.
 *
 * Thread: main, but for what is atomic.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bench/bench.h"
#include "bench/crowd.h"
#include "bench/daemon.h"

#define LISTENERS 100u

struct listeners {
	const struct bench *bench;
	const struct daemon *daemon;
	bool want_all;
	bool are_stuck; /* they read nothing after their Status */

	_Atomic uint64_t got; /* envelopes */
	pthread_t thread;
	struct crowd crowd;
	_Atomic bool are_there, are_to_end;
};

/* Returns when all are connected. Fill in the first part before. */
void listeners_start(struct listeners *listeners);
void listeners_stop(struct listeners *listeners);

#endif
