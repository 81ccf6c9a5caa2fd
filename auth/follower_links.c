/* How headers are linked (payments.md §11): from a head that the quorum has
 * agreed on down to what the ring has. */
#include <assert.h>
#include <string.h>

#include "auth/follower_private.h"
#include "core/err.h"
#include "core/log.h"

#define BACKFILL 128 /* headers known before the first head */

/* Numbers first..last from an endpoint that agreed on the head. */
static int fetch(struct follower *f, struct endpoint *ep, uint64_t first,
		 unsigned count)
{
	struct chain_request reqs[FOLLOWER_CHUNK_MAX];
	struct chain_answer answers[FOLLOWER_CHUNK_MAX];
	struct rpc_call call = {.endpoint = ep,
				.requests = reqs,
				.count = count,
				.answers = answers};
	int err;

	assert(count > 0 && count <= FOLLOWER_CHUNK_MAX);
	for (unsigned i = 0; i < count; i++)
		reqs[i] = (struct chain_request){.ask = CHAIN_ASK_BLOCK,
						 .number = first + i};
	f->chunk_count = 0;
	err = rpc_run(f->rpc, &call, 1);
	for (unsigned i = 0; i < count && !err; i++) {
		if (answers[i].outcome != CHAIN_ANSWERED)
			err = ERR_AGAIN;
		else
			f->chunk[i] = answers[i].is.header;
	}
	if (!err)
		f->chunk_count = count;
	return err;
}

/* The header under `above`, which must be its parent. */
static int fetch_parent(struct follower *f, struct endpoint *ep,
			const struct chain_header *above, unsigned chunk,
			struct chain_header *out)
{
	uint64_t number = above->number - 1;
	uint64_t first;
	int err;

	if (f->chunk_count == 0 || number < f->chunk[0].number ||
	    number > f->chunk[f->chunk_count - 1].number) {
		first = number + 1 > chunk ? number + 1 - chunk : 0;
		err = fetch(f, ep, first, (unsigned)(number - first + 1));
		if (err)
			return err;
	}
	*out = f->chunk[number - f->chunk[0].number];
	/* It was replaced while we were asking: next time. */
	return memcmp(out->hash, above->parent, 32) == 0 ? 0 : ERR_AGAIN;
}

/* How many to ask for under `number`: all of a gap, else ever more. */
static unsigned chunk_for(const struct follower *f, uint64_t number,
			  unsigned depth)
{
	uint64_t gap;

	if (f->headers.is_empty)
		return FOLLOWER_CHUNK_MAX;
	gap = number > f->headers.tip ? number - f->headers.tip : 0;
	if (gap > 0)
		return gap < FOLLOWER_CHUNK_MAX ? (unsigned)gap
						: FOLLOWER_CHUNK_MAX;
	return depth < FOLLOWER_CHUNK_MAX ? depth + 1 : FOLLOWER_CHUNK_MAX;
}

static bool is_below_ring(const struct follower *f, uint64_t number,
			  unsigned count)
{
	if (f->headers.is_empty)
		return count >= BACKFILL;
	return number < f->headers.first;
}

/*
 * From `head` down to what the ring has. The new part lies at the end of
 * f->links. `*replaced` is the first number that is another block now.
 */
static int link_down(struct follower *f, struct endpoint *ep,
		     const struct chain_header *head, unsigned *count,
		     uint64_t *replaced)
{
	struct chain_header *at = &f->links[HEADERS_MAX - 1];

	*at = *head;
	*count = 1;
	f->chunk_count = 0;
	while (at->number > 0 && *count < HEADERS_MAX) {
		uint64_t below = at->number - 1;
		const uint8_t *known = headers_find(&f->headers, below);
		int err;

		if (known && memcmp(known, at->parent, 32) == 0) {
			*replaced = at->number;
			return 0;
		}
		if (is_below_ring(f, below, *count))
			break;
		err = fetch_parent(f, ep, at, chunk_for(f, below, *count),
				   at - 1);
		if (err)
			return err;
		at--;
		(*count)++;
	}
	*replaced = 0; /* nothing in common: everything may have changed */
	return 0;
}

static void tell_reorg(struct follower *f, uint64_t first, uint64_t last)
{
	uint64_t depth = last - first + 1;

	metric_add(f->metrics.reorgs, 1);
	metric_set(f->metrics.depth, (int64_t)depth);
	LOG_UNUSUAL("blocks were replaced", log_text("chain", f->chain->name),
		    log_u64("first", first), log_u64("last", last));
}

int follower_extend(struct follower *f, struct endpoint *ep,
		    const struct chain_header *head, struct follower_news *news)
{
	const uint8_t *known = headers_find(&f->headers, head->number);
	bool was_empty = f->headers.is_empty;
	uint64_t tip = f->headers.tip;
	uint64_t replaced = 0;
	unsigned count;
	int err;

	if (known && memcmp(known, head->hash, 32) == 0)
		return 0;
	/* Too far ahead to link: what lies between is looked at as new. */
	if (!was_empty && head->number > tip + HEADERS_MAX / 2) {
		(void)pthread_mutex_lock(&f->lock);
		headers_restart(&f->headers, head);
		(void)pthread_mutex_unlock(&f->lock);
		news->replaced_first = 0;
		news->replaced_last = head->number;
		return 0;
	}
	err = link_down(f, ep, head, &count, &replaced);
	if (err)
		return err;
	(void)pthread_mutex_lock(&f->lock);
	headers_set(&f->headers, &f->links[HEADERS_MAX - count], count);
	(void)pthread_mutex_unlock(&f->lock);
	if (!was_empty && replaced <= tip) {
		news->replaced_first = replaced;
		news->replaced_last = tip;
		tell_reorg(f, replaced, tip);
	}
	return 0;
}
