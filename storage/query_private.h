#ifndef STORAGE_QUERY_PRIVATE_H
#define STORAGE_QUERY_PRIVATE_H
/*
 * What the files of a query share among themselves; nobody else includes
 * this. query.c goes from span to span of time and opens the slices of one;
 * query_plan.c decides once a run what of it is looked at; query_merge.c
 * puts that in order and gives it, and has all that is done once an envelope.
 *
 * Thread: the query's, inside readers_enter().
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "storage/query.h"
#include "storage/wanted.h"

#define PENDING_MAX 32u /* envelopes on their way into the cache */

/* A source of entries in order: ordinals of one topic, or a walk. */
struct list {
	const struct run_entry *entries;
	const uint32_t *ordinals; /* NULL: a walk */
	uint32_t from, to;        /* what is left: [from, to) */
	uint32_t entries_count;
	uint32_t read;  /* whose slice */
	uint32_t entry; /* the head */
	bool is_match;  /* else the head only marks how far we have looked */
};

struct heap_item {
	uint64_t order; /* of the head: the smallest comes first */
	uint32_t list;
};

struct pending {
	const uint8_t *rlp;
	const struct run_entry *entry;
	uint32_t read; /* whose slice */
};

struct query_work {
	struct slice_read *reads;
	struct list *lists;
	struct heap_item *heap;
	struct wanted wanted;
	uint32_t reads_count, reads_max;
	uint32_t lists_count, lists_max;
	uint32_t heap_count, heap_max;
	unsigned at[SHARDS_MAX]; /* place in each shard's list */
	const struct slice_list *of[SHARDS_MAX];
	bool is_asked[SHARDS_MAX]; /* by the topics */
};

struct query {
	struct archive_step *step;
	const struct archive_query *q;
	struct query_work *w;
	struct shard *shards;
	unsigned shards_count;
	uint32_t span_s;
	bool is_newest_first;
	uint32_t item_max;
	uint64_t until_ns;
	/* bounds, both inclusive */
	uint8_t low[ENVELOPE_KEY_SIZE], high[ENVELOPE_KEY_SIZE];
	bool is_void; /* nothing is left between them */
	struct pending pending[PENDING_MAX];
	uint32_t pending_count;
	const uint8_t *last_key; /* of the last one that became pending */
	const uint8_t *looked;   /* key: everything up to it is looked at */
	uint32_t since_clock;
	bool is_stopped;
};

/*
 * Room for `want` items of so many bytes at `at`, the address of a pointer of
 * whatever type, of which there is room for `*max` by now. 0 or ERR_NOMEM.
 */
int query_reserve(void *at, uint32_t *max, uint64_t want, size_t item);

#define RESERVE(w, what, want)                                                 \
	query_reserve(&(w)->what, &(w)->what##_max, (want), sizeof(*(w)->what))

/*
 * Add to the work what of `run`, of the slice `read`, lies within the bounds
 * and may be wanted: lists of topics, or a walk, whichever is estimated to be
 * cheaper. Returns 0, ERR_NOMEM or ERR_CORRUPT.
 */
int query_plan_run(struct query *qu, const struct run_view *run, uint32_t read);

/*
 * Give what the lists of the work hold, in order, until they are through or
 * the step is stopped. Returns 0, ERR_NOMEM, or ERR_CORRUPT after marking the
 * slice that is damaged.
 */
int query_merge(struct query *qu);

static inline void query_stop(struct query *qu, enum archive_stop why)
{
	qu->step->stop = why;
	qu->is_stopped = true;
}

/* Everything up to `key` in the order is given or unwanted. */
static inline void query_set_last(struct query *qu, const uint8_t *key)
{
	memcpy(qu->step->last, key, ENVELOPE_KEY_SIZE);
	qu->step->has_last = true;
}

#endif
