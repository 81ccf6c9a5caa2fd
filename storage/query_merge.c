#include "storage/query_private.h"

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define CLOCK_EVERY  256u /* entries looked at */
#define SCAN_MAX     64u  /* of a walk without a match, in one go */
#define CACHE_LINE   64u
#define PREFETCH_MAX 640u

/* ---- lists ---- */

static uint64_t order_of(const struct query *qu, const struct run_entry *entry)
{
	uint64_t prefix = be64_load(entry->key);

	return qu->is_newest_first ? ~prefix : prefix;
}

static const struct run_entry *head_of(const struct list *list)
{
	return &list->entries[list->entry];
}

static int next_ordinal(const struct query *qu, struct list *list)
{
	uint32_t at, ahead;

	if (qu->is_newest_first) {
		at = --list->to;
		ahead = at - 1;
	} else {
		at = list->from++;
		ahead = list->from;
	}
	list->entry = list->ordinals[at];
	list->is_match = true;
	if (list->entry >= list->entries_count)
		return ERR_CORRUPT;
	if (ahead >= list->from && ahead < list->to)
		__builtin_prefetch(&list->entries[list->ordinals[ahead]]);
	return 0;
}

/* To the next match, or as far as may be looked in one go. */
static void next_of_walk(struct query *qu, struct list *list)
{
	const struct wanted *wanted = &qu->w->wanted;
	unsigned scanned = 0;

	do {
		list->entry = qu->is_newest_first ? --list->to : list->from++;
		list->is_match =
			wanted_has(wanted, list->entries[list->entry].topic);
	} while (!list->is_match && ++scanned < SCAN_MAX &&
		 list->from < list->to);
	qu->since_clock += scanned;
}

/* 0, ERR_NOTFOUND at the end, ERR_CORRUPT. */
static int list_next(struct query *qu, struct list *list)
{
	if (list->from >= list->to)
		return ERR_NOTFOUND;
	if (list->ordinals)
		return next_ordinal(qu, list);
	next_of_walk(qu, list);
	return 0;
}

/* ---- the heap ---- */

static bool heap_less(const struct query *qu, const struct heap_item *a,
		      const struct heap_item *b)
{
	const struct list *lists = qu->w->lists;
	int order;

	if (a->order != b->order)
		return a->order < b->order;
	order = memcmp(head_of(&lists[a->list])->key,
		       head_of(&lists[b->list])->key, ENVELOPE_KEY_SIZE);
	return qu->is_newest_first ? order > 0 : order < 0;
}

static void heap_sift(struct query *qu, uint32_t at)
{
	struct heap_item *heap = qu->w->heap, item = heap[at];
	uint32_t count = qu->w->heap_count, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count &&
		    heap_less(qu, &heap[child + 1], &heap[child]))
			child++;
		if (!heap_less(qu, &heap[child], &item))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = item;
}

static int damaged(struct query *qu, uint32_t read)
{
	shard_mark_damaged(qu->shards[0].common, qu->w->reads[read].slice);
	return ERR_CORRUPT;
}

static int heap_build(struct query *qu)
{
	struct query_work *w = qu->w;
	int err = RESERVE(w, heap, w->lists_count);

	w->heap_count = 0;
	for (uint32_t i = 0; i < w->lists_count && !err; i++) {
		err = list_next(qu, &w->lists[i]);
		if (err == ERR_CORRUPT)
			return damaged(qu, w->lists[i].read);
		if (err == 0)
			w->heap[w->heap_count++] = (struct heap_item){
				.order = order_of(qu, head_of(&w->lists[i])),
				.list = i};
		if (err == ERR_NOTFOUND)
			err = 0;
	}
	for (uint32_t i = w->heap_count / 2; i > 0 && !err; i--)
		heap_sift(qu, i - 1);
	return err;
}

/* Put the top's list on to its next, and the heap in order again. */
static int heap_advance(struct query *qu)
{
	struct query_work *w = qu->w;
	struct list *list = &w->lists[w->heap[0].list];
	int err = list_next(qu, list);

	if (err == ERR_CORRUPT)
		return damaged(qu, list->read);
	if (err == 0)
		w->heap[0].order = order_of(qu, head_of(list));
	else
		w->heap[0] = w->heap[--w->heap_count];
	if (w->heap_count > 1)
		heap_sift(qu, 0);
	return 0;
}

/* ---- giving ---- */

static bool is_past_page(const struct archive_step *step, uint32_t size)
{
	return step->out_page > 0 && step->count > 0 &&
	       step->out_size + size > step->out_page;
}

/* As far as the archive's owner can tell without a hash. */
static bool is_sound(const struct query *qu, const struct pending *pending)
{
	const struct archive_config *config = &qu->shards[0].common->config;

	return !config->is_sound ||
	       config->is_sound(pending->rlp, pending->entry->size,
				pending->entry->topic);
}

/* Copy what is pending; by now it has come into the cache. */
static int flush(struct query *qu)
{
	struct archive_step *step = qu->step;
	int err = 0;

	for (uint32_t i = 0; i < qu->pending_count && !qu->is_stopped; i++) {
		const struct run_entry *entry = qu->pending[i].entry;

		if (!is_sound(qu, &qu->pending[i])) {
			err = damaged(qu, qu->pending[i].read);
			break;
		}
		if (entry->size <= qu->item_max) {
			if (entry->size > step->out_max - step->out_size ||
			    is_past_page(step, entry->size)) {
				query_stop(qu, ARCHIVE_STOP_FULL);
				break;
			}
			memcpy(step->out + step->out_size, qu->pending[i].rlp,
			       entry->size);
			step->out_size += entry->size;
			memcpy(step->last_given, entry->key, ENVELOPE_KEY_SIZE);
			if (++step->count == step->limit)
				query_stop(qu, ARCHIVE_STOP_LIMIT);
		}
		query_set_last(qu, entry->key);
	}
	qu->pending_count = 0;
	return err;
}

static int make_pending(struct query *qu, const struct list *list)
{
	const struct run_entry *entry = head_of(list);
	const uint8_t *rlp;

	if (qu->last_key &&
	    memcmp(qu->last_key, entry->key, ENVELOPE_KEY_SIZE) == 0)
		return 0; /* in two runs: cannot be, and would be a duplicate */
	rlp = slice_read_envelope(&qu->w->reads[list->read], entry);
	if (!rlp)
		return damaged(qu, list->read);
	for (uint32_t i = 0; i < entry->size && i < PREFETCH_MAX;
	     i += CACHE_LINE)
		__builtin_prefetch(rlp + i);
	qu->pending[qu->pending_count++] = (struct pending){
		.rlp = rlp, .entry = entry, .read = list->read};
	qu->last_key = entry->key;
	if (qu->pending_count == PENDING_MAX ||
	    qu->step->count + qu->pending_count >= qu->step->limit)
		return flush(qu);
	return 0;
}

static bool is_time_over(struct query *qu)
{
	if (qu->since_clock < CLOCK_EVERY)
		return false;
	qu->since_clock = 0;
	return clock_mono_ns() >= qu->until_ns;
}

int query_merge(struct query *qu)
{
	struct query_work *w = qu->w;
	int err = heap_build(qu);

	if (err)
		return err;
	while (w->heap_count > 0 && !qu->is_stopped && !err) {
		struct list *list = &w->lists[w->heap[0].list];
		const struct run_entry *entry = head_of(list);

		if (list->is_match)
			err = make_pending(qu, list);
		if (err || qu->is_stopped)
			break;
		qu->looked = entry->key;
		qu->since_clock++;
		err = heap_advance(qu);
		if (!err && is_time_over(qu) && w->heap_count > 0) {
			err = flush(qu);
			if (!err && !qu->is_stopped) {
				query_set_last(qu, qu->looked);
				query_stop(qu, ARCHIVE_STOP_BUDGET);
			}
		}
	}
	if (!qu->is_stopped && flush(qu))
		err = ERR_CORRUPT;
	return err;
}
