#include "auth/backlog.h"

#include <assert.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/err.h"

#define BUCKETS 256

static const int weights[BACKLOG_CLASSES] = {
	[BACKLOG_REORG] = 8,
	[BACKLOG_CONFIRM] = 4,
	[BACKLOG_FIRST] = 3,
	[BACKLOG_PENDING] = 1,
};

/* Somebody with items in a lane. Gone with the last of them. */
struct source {
	struct source *next;         /* whose turn is next */
	struct source *next_in_hash; /* of its bucket */
	uint64_t tag;
	struct backlog_item *first;
	struct backlog_item *last;
};

struct lane {
	struct source *first;
	struct source *last;
	struct source *buckets[BUCKETS];
	int credit;
};

struct backlog {
	unsigned chains;
	size_t count;
	uint64_t seed;
	struct lane lanes[][BACKLOG_CLASSES];
};

struct backlog *backlog_new(unsigned chains)
{
	struct backlog *backlog;

	assert(chains > 0 && chains <= 32);
	backlog = calloc(1,
			 sizeof(*backlog) + chains * sizeof(backlog->lanes[0]));
	if (!backlog)
		return NULL;
	backlog->chains = chains;
	bytes_random((uint8_t *)&backlog->seed, sizeof(backlog->seed));
	backlog->seed |= 1;
	return backlog;
}

static void lane_release(struct lane *lane)
{
	while (lane->first) {
		struct source *source = lane->first;

		lane->first = source->next;
		free(source);
	}
}

void backlog_free(struct backlog *backlog)
{
	if (!backlog)
		return;
	for (unsigned i = 0; i < backlog->chains; i++) {
		for (unsigned k = 0; k < BACKLOG_CLASSES; k++)
			lane_release(&backlog->lanes[i][k]);
	}
	free(backlog);
}

static struct source **find(struct backlog *backlog, struct lane *lane,
			    uint64_t tag)
{
	struct source **at =
		&lane->buckets[tag * backlog->seed >> 56 & (BUCKETS - 1)];

	while (*at && (*at)->tag != tag)
		at = &(*at)->next_in_hash;
	return at;
}

static void to_the_end(struct lane *lane, struct source *source)
{
	source->next = NULL;
	if (lane->last)
		lane->last->next = source;
	else
		lane->first = source;
	lane->last = source;
}

int backlog_put(struct backlog *backlog, unsigned chain,
		enum backlog_class kind, struct backlog_item *item)
{
	struct lane *lane = &backlog->lanes[chain][kind];
	struct source **at = find(backlog, lane, item->source);
	struct source *source = *at;

	assert(chain < backlog->chains);
	item->next = NULL;
	if (!source) {
		source = calloc(1, sizeof(*source));
		if (!source)
			return ERR_NOMEM;
		source->tag = item->source;
		*at = source;
		to_the_end(lane, source);
	}
	if (source->last)
		source->last->next = item;
	else
		source->first = item;
	source->last = item;
	backlog->count++;
	return 0;
}

size_t backlog_count(const struct backlog *backlog)
{
	return backlog->count;
}

/* One of the source whose turn it is. */
static struct backlog_item *take_one(struct backlog *backlog, struct lane *lane)
{
	struct source *source = lane->first;
	struct backlog_item *item = source->first;

	lane->first = source->next;
	if (!lane->first)
		lane->last = NULL;
	source->first = item->next;
	if (source->first) {
		to_the_end(lane, source);
	} else {
		*find(backlog, lane, source->tag) = source->next_in_hash;
		free(source);
	}
	backlog->count--;
	return item;
}

/* Every lane with work earns its weight; the richest pays for all. */
static struct lane *pick(struct backlog *backlog, uint32_t open,
			 unsigned *chain, enum backlog_class *kind)
{
	struct lane *best = NULL;
	int total = 0;

	for (unsigned i = 0; i < backlog->chains; i++) {
		for (unsigned k = 0; k < BACKLOG_CLASSES; k++) {
			struct lane *lane = &backlog->lanes[i][k];

			if (!(open & 1u << i) || !lane->first)
				continue;
			lane->credit += weights[k];
			total += weights[k];
			if (best && lane->credit <= best->credit)
				continue;
			best = lane;
			*chain = i;
			*kind = (enum backlog_class)k;
		}
	}
	if (best)
		best->credit -= total;
	return best;
}

unsigned backlog_take(struct backlog *backlog, uint32_t open,
		      struct backlog_item **out, unsigned max, unsigned *chain,
		      enum backlog_class *kind)
{
	struct lane *lane = pick(backlog, open, chain, kind);
	unsigned count = 0;

	while (lane && lane->first && count < max)
		out[count++] = take_one(backlog, lane);
	return count;
}
