#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
/*
 * Load on a server: packets that wait for their acknowledgement, and history
 * that is followed page by page. Both count what they got and keep the times
 * of all that they waited for.
 *
 * Thread: the caller's; one load runs in one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/bench.h"
#include "bench/corpus.h"
#include "bench/crowd.h"
#include "bench/series.h"
#include "net/mail.h"

/* Called when all are connected, and when the work is done. */
struct load_hooks {
	void (*begin)(void *ctx);
	void (*done)(void *ctx);
	void *ctx;
};
/* Those that begin and stop a span, of the `pid` and `dir` that it has. */
struct load_hooks load_hooks_span(struct span *span);

/* ---- posting ---- */

struct load_post {
	struct crowd_config crowd;
	struct load_hooks hooks;
	const struct packed *packed; /* each is sent once, over whichever
					connection has room in its window */
	size_t count;
	unsigned window; /* packets of one connection not acknowledged */
	/*
	 * Packets a second in all, 0: as fast as the window lets. With a rate
	 * a packet's time runs from when it was due, sent or not, so that a
	 * server that stalls is charged for all that waited.
	 */
	double rate;
	struct histogram *latency; /* of an acknowledgement; NULL: not kept */
	/* With a rate: how long after it was due a packet was sent, which is
	 * part of its time. NULL: not kept. */
	struct histogram *lateness;

	/* results */
	uint64_t envelopes;
	uint64_t refused;
};
void load_post_run(struct load_post *load);

/* ---- fetching ---- */

struct load_pull {
	struct crowd_config crowd;
	struct load_hooks hooks;
	/*
	 * The number-th query of all; returns false when there is none. Its
	 * limit is the page; `topics` must stay where they are until the query
	 * is over.
	 */
	bool (*next)(void *ctx, uint64_t number, struct mail_query *query);
	void *ctx;
	uint32_t pages_max; /* of a query; 0: to the end */
	/* After each page: which of the query it was, from 0, and its time. */
	void (*page)(void *ctx, uint32_t page, uint64_t ns);
	struct histogram *pages_time; /* NULL: not kept */
	struct histogram *queries_time;
	/* A failure whose text begins so is the answer; NULL: none is. */
	const char *refusal;

	/* results */
	uint64_t queries;
	uint64_t refused; /* of these */
	uint64_t pages;
	uint64_t envelopes;
	uint64_t bytes; /* of envelopes */
};
void load_pull_run(struct load_pull *load);

/* For next(): the newest 1000 of everything, or of a topic, up to now. */
void load_ask_all(struct mail_query *query);
void load_ask_topic(struct mail_query *query, const struct topic *topic);

#endif
