#include "storage/query.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define BUDGET_US_DEFAULT 2000u
#define CLOCK_EVERY       256u /* entries looked at */
#define SCAN_MAX          64u  /* of a walk without a match, in one go */
#define PENDING_MAX       32u  /* envelopes on their way into the cache */
#define SAMPLE_MAX        128u
#define CACHE_LINE        64u
#define PREFETCH_MAX      640u

/* What an entry of a walk is held against. */
enum wanted { WANT_ALL, WANT_TOPICS, WANT_BLOOM };

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
	struct topic *topics; /* sorted, each once */
	uint32_t *slots;      /* hash set of them: number + 1 or 0 */
	uint32_t reads_count, reads_max;
	uint32_t lists_count, lists_max;
	uint32_t heap_count, heap_max;
	uint32_t topics_count, topics_max;
	uint32_t slots_mask, slots_max;
	uint64_t seed;
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
	enum wanted wanted;
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

/* ---- memory ---- */

/* `at` is the address of a pointer of whatever type. */
static int reserve(void *at, uint32_t *max, uint64_t want, size_t item)
{
	void *mem;

	if (want <= *max)
		return 0;
	want += want / 2 + 16;
	if (want > UINT32_MAX)
		return ERR_NOMEM;
	memcpy(&mem, at, sizeof(mem));
	mem = realloc(mem, want * item);
	if (!mem)
		return ERR_NOMEM;
	memcpy(at, &mem, sizeof(mem));
	*max = (uint32_t)want;
	return 0;
}

#define RESERVE(w, what, want)                                                 \
	reserve(&(w)->what, &(w)->what##_max, (want), sizeof(*(w)->what))

void query_work_free(struct query_work *work)
{
	if (!work)
		return;
	free(work->reads);
	free(work->lists);
	free(work->heap);
	free(work->topics);
	free(work->slots);
	free(work);
}

/* ---- the wanted topics ---- */

static int compare_topics(const void *a, const void *b)
{
	return memcmp(a, b, TOPIC_SIZE);
}

static int sort_topics(struct query *qu)
{
	struct query_work *w = qu->w;
	uint32_t n = 0, count = qu->q->topics_count;
	int err = RESERVE(w, topics, count);

	if (err)
		return err;
	memcpy(w->topics, qu->q->topics, (size_t)count * sizeof(*w->topics));
	qsort(w->topics, count, sizeof(*w->topics), compare_topics);
	for (uint32_t i = 0; i < count; i++)
		if (n == 0 ||
		    compare_topics(&w->topics[n - 1], &w->topics[i]) != 0)
			w->topics[n++] = w->topics[i];
	w->topics_count = n;
	return 0;
}

static uint32_t slot_of(const struct query_work *w, struct topic topic)
{
	return (uint32_t)XXH3_64bits_withSeed(topic.bytes, TOPIC_SIZE, w->seed);
}

static int hash_topics(struct query *qu)
{
	struct query_work *w = qu->w;
	uint32_t slots = 16;
	int err;

	while (slots < w->topics_count * 2)
		slots *= 2;
	err = RESERVE(w, slots, slots);
	if (err)
		return err;
	memset(w->slots, 0, slots * sizeof(*w->slots));
	w->slots_mask = slots - 1;
	for (uint32_t i = 0; i < w->topics_count; i++) {
		uint32_t at = slot_of(w, w->topics[i]);

		while (w->slots[at & w->slots_mask])
			at++;
		w->slots[at & w->slots_mask] = i + 1;
	}
	return 0;
}

static bool is_topic_wanted(const struct query_work *w, struct topic topic)
{
	for (uint32_t at = slot_of(w, topic);; at++) {
		uint32_t n = w->slots[at & w->slots_mask];

		if (n == 0)
			return false;
		if (memcmp(&w->topics[n - 1], &topic, TOPIC_SIZE) == 0)
			return true;
	}
}

static bool is_wanted(const struct query *qu, struct topic topic)
{
	switch (qu->wanted) {
	case WANT_ALL:
		return true;
	case WANT_TOPICS:
		return is_topic_wanted(qu->w, topic);
	case WANT_BLOOM:
		return bloom_covers_topic(&qu->q->bloom, topic);
	}
	return false;
}

static int prepare_topics(struct query *qu)
{
	int err;

	memset(qu->w->is_asked, qu->wanted != WANT_TOPICS,
	       sizeof(qu->w->is_asked));
	if (qu->wanted != WANT_TOPICS)
		return 0;
	err = sort_topics(qu);
	if (!err)
		err = hash_topics(qu);
	for (uint32_t i = 0; i < qu->w->topics_count && !err; i++)
		qu->w->is_asked[shard_of(qu->w->topics[i], qu->shards_count)] =
			true;
	return err;
}

/* ---- bounds ---- */

/* The key behind, or before, this one; false if there is none. */
static bool key_step(uint8_t *key, bool down)
{
	uint8_t edge = down ? 0 : 0xff;

	for (unsigned i = ENVELOPE_KEY_SIZE; i > 0; i--) {
		bool carry = key[i - 1] == edge;

		key[i - 1] = (uint8_t)(key[i - 1] + (down ? 0xff : 1));
		if (!carry)
			return true;
	}
	return false;
}

/* Only what is strictly beyond `key` in the order. */
static void bounds_cut(struct query *qu, const uint8_t *key)
{
	uint8_t *bound = qu->is_newest_first ? qu->high : qu->low;
	int order = memcmp(key, bound, ENVELOPE_KEY_SIZE);

	if (qu->is_newest_first ? order <= 0 : order >= 0) {
		memcpy(bound, key, ENVELOPE_KEY_SIZE);
		if (!key_step(bound, qu->is_newest_first))
			qu->is_void = true;
	}
	if (memcmp(qu->low, qu->high, ENVELOPE_KEY_SIZE) > 0)
		qu->is_void = true;
}

static void bounds_init(struct query *qu)
{
	memset(qu->low, 0, sizeof(qu->low));
	be32_store(qu->low, qu->q->lower_s);
	memset(qu->high, 0xff, sizeof(qu->high));
	be32_store(qu->high, qu->q->upper_s);
	qu->is_void = qu->q->lower_s > qu->q->upper_s;
	if (qu->step->has_cursor)
		bounds_cut(qu, qu->step->cursor);
}

/* Ordinals [*from, *to) of the run are within the bounds. */
static void bounds_of_run(const struct query *qu, const struct run_view *run,
			  uint32_t *from, uint32_t *to)
{
	const struct run_header *h = run->header;

	*from = 0;
	*to = h->count;
	if (memcmp(h->min_key, qu->low, ENVELOPE_KEY_SIZE) < 0)
		*from = run_lower_bound(run, qu->low);
	if (memcmp(h->max_key, qu->high, ENVELOPE_KEY_SIZE) > 0)
		*to = run_upper_bound(run, qu->high);
}

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
	unsigned scanned = 0;

	do {
		list->entry = qu->is_newest_first ? --list->to : list->from++;
		list->is_match =
			is_wanted(qu, list->entries[list->entry].topic);
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

static int add_list(struct query *qu, const struct run_view *run, uint32_t read,
		    const uint32_t *ordinals, uint32_t from, uint32_t to)
{
	struct query_work *w = qu->w;
	int err;

	if (from >= to)
		return 0;
	err = RESERVE(w, lists, (uint64_t)w->lists_count + 1);
	if (err)
		return err;
	w->lists[w->lists_count++] =
		(struct list){.entries = run->entries,
			      .entries_count = run->header->count,
			      .ordinals = ordinals,
			      .from = from,
			      .to = to,
			      .read = read};
	return 0;
}

/* ---- choosing between lists and a walk ---- */

struct range {
	uint32_t read;
	uint32_t from, to; /* ordinals within the bounds */
};

static int add_walk(struct query *qu, const struct run_view *run,
		    const struct range *r)
{
	return add_list(qu, run, r->read, NULL, r->from, r->to);
}

static int add_topic(struct query *qu, const struct run_view *run,
		     const struct range *r, const struct run_list *list)
{
	uint32_t from = run_list_cut(run, list, r->from);
	uint32_t to = run_list_cut(run, list, r->to);

	return add_list(qu, run, r->read, list->ordinals, from, to);
}

/* Many matches: a walk finds them sooner than many lists are merged. */
static bool is_walk_cheaper(const struct query *qu, uint32_t lists_before,
			    const struct range *r)
{
	uint64_t matches = 0;

	for (uint32_t i = lists_before; i < qu->w->lists_count; i++)
		matches += qu->w->lists[i].to - qu->w->lists[i].from;
	return matches * 8 > r->to - r->from;
}

static int add_by_topics(struct query *qu, const struct run_view *run,
			 const struct range *r)
{
	struct query_work *w = qu->w;
	uint32_t before = w->lists_count;
	struct run_list list;

	if ((uint64_t)w->topics_count * 12 > r->to - r->from)
		return add_walk(qu, run, r);
	for (uint32_t i = 0; i < w->topics_count; i++) {
		int err = run_find_topic(run, w->topics[i], &list);

		if (!err)
			err = add_topic(qu, run, r, &list);
		if (err && err != ERR_NOTFOUND)
			return err;
	}
	if (w->lists_count - before < 2 || !is_walk_cheaper(qu, before, r))
		return 0;
	w->lists_count = before;
	return add_walk(qu, run, r);
}

/* Do at least a sixteenth of the entries next in line match? */
static bool sample_is_dense(const struct query *qu, const struct run_view *run,
			    const struct range *r)
{
	uint32_t count = r->to - r->from, hits = 0;

	if (count > SAMPLE_MAX)
		count = SAMPLE_MAX;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = qu->is_newest_first ? r->to - 1 - i : r->from + i;

		hits += is_wanted(qu, run->entries[at].topic);
	}
	return hits * 16 >= count;
}

static int add_by_bloom(struct query *qu, const struct run_view *run,
			const struct range *r)
{
	uint32_t before = qu->w->lists_count;
	struct run_list list;

	if (r->to - r->from <= 2 * run->header->topics ||
	    sample_is_dense(qu, run, r))
		return add_walk(qu, run, r);
	for (uint32_t i = 0; i < run->header->topics; i++) {
		int err;

		if (!bloom_covers_topic(&qu->q->bloom, run->topics[i].topic))
			continue;
		err = run_topic_list(run, i, &list);
		if (!err)
			err = add_topic(qu, run, r, &list);
		if (err)
			return err;
	}
	if (!is_walk_cheaper(qu, before, r))
		return 0;
	qu->w->lists_count = before;
	return add_walk(qu, run, r);
}

static int add_run(struct query *qu, const struct run_view *run, uint32_t read)
{
	struct range r = {.read = read};

	bounds_of_run(qu, run, &r.from, &r.to);
	if (r.from >= r.to)
		return 0;
	switch (qu->wanted) {
	case WANT_ALL:
		return add_walk(qu, run, &r);
	case WANT_TOPICS:
		return add_by_topics(qu, run, &r);
	case WANT_BLOOM:
		return add_by_bloom(qu, run, &r);
	}
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
	atomic_store(&qu->w->reads[read].slice->is_damaged, true);
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

static void stop(struct query *qu, enum archive_stop why)
{
	qu->step->stop = why;
	qu->is_stopped = true;
}

static void set_last(struct query *qu, const uint8_t *key)
{
	memcpy(qu->step->last, key, ENVELOPE_KEY_SIZE);
	qu->step->has_last = true;
}

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
				stop(qu, ARCHIVE_STOP_FULL);
				break;
			}
			memcpy(step->out + step->out_size, qu->pending[i].rlp,
			       entry->size);
			step->out_size += entry->size;
			memcpy(step->last_given, entry->key, ENVELOPE_KEY_SIZE);
			if (++step->count == step->limit)
				stop(qu, ARCHIVE_STOP_LIMIT);
		}
		set_last(qu, entry->key);
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

/* Merge until the span is through or the step has to stop. */
static int merge(struct query *qu)
{
	struct query_work *w = qu->w;
	int err = 0;

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
				set_last(qu, qu->looked);
				stop(qu, ARCHIVE_STOP_BUDGET);
			}
		}
	}
	if (!qu->is_stopped && flush(qu))
		err = ERR_CORRUPT;
	return err;
}

/* ---- spans ---- */

static int read_slice(struct query *qu, struct slice *slice)
{
	struct query_work *w = qu->w;
	struct run_view run;
	uint32_t read;
	int err = RESERVE(w, reads, (uint64_t)w->reads_count + 1);

	if (!err)
		err = slice_read_begin(slice, &w->reads[w->reads_count]);
	if (err)
		return err;
	read = w->reads_count++;
	err = slice_read_run(&w->reads[read], true, &run);
	while (!err) {
		err = add_run(qu, &run, read);
		if (!err)
			err = slice_read_run(&w->reads[read], false, &run);
	}
	if (err == ERR_CORRUPT)
		atomic_store(&slice->is_damaged, true);
	return err == ERR_NOTFOUND ? 0 : err;
}

static bool is_readable(const struct slice *slice)
{
	return !atomic_load(&slice->is_doomed) &&
	       !atomic_load(&slice->is_damaged);
}

/* All slices of this span. */
static int read_span(struct query *qu, uint32_t start_s)
{
	struct query_work *w = qu->w;
	int err = 0;

	for (unsigned s = 0; s < qu->shards_count && !err; s++) {
		const struct slice_list *list = w->of[s];

		if (!w->is_asked[s])
			continue;
		for (unsigned i = 0; i < list->count && !err; i++)
			if (list->slices[i]->ident.start_s == start_s &&
			    is_readable(list->slices[i]))
				err = read_slice(qu, list->slices[i]);
	}
	return err;
}

static int merge_span(struct query *qu, uint32_t start_s)
{
	struct query_work *w = qu->w;
	int err;

	w->reads_count = 0;
	w->lists_count = 0;
	qu->last_key = NULL;
	qu->looked = NULL;
	qu->pending_count = 0;
	err = read_span(qu, start_s);
	if (!err)
		err = heap_build(qu);
	if (!err)
		err = merge(qu);
	for (uint32_t i = 0; i < w->reads_count; i++)
		slice_read_end(&w->reads[i]);
	return err;
}

/* Behind the whole of this span in the order. */
static void set_last_of_span(struct query *qu, uint32_t start_s)
{
	uint64_t end_s = (uint64_t)start_s + qu->span_s - 1;
	uint8_t key[ENVELOPE_KEY_SIZE];

	if (qu->is_newest_first) {
		memset(key, 0, sizeof(key));
		be32_store(key, start_s);
	} else {
		memset(key, 0xff, sizeof(key));
		be32_store(key,
			   end_s > UINT32_MAX ? UINT32_MAX : (uint32_t)end_s);
	}
	set_last(qu, key);
}

/* Go on from what was given, without the slice that is marked by now. */
static int step_span(struct query *qu, uint32_t start_s)
{
	int err = merge_span(qu, start_s);

	while (err == ERR_CORRUPT) {
		if (qu->is_stopped)
			return 0;
		if (qu->step->has_last)
			bounds_cut(qu, qu->step->last);
		if (qu->is_void)
			return 0;
		err = merge_span(qu, start_s);
	}
	return err;
}

/* The next span that some shard has, beyond the last one in the order. */
static bool next_span(struct query *qu, uint32_t *start_s)
{
	uint32_t low = be32_load(qu->low), high = be32_load(qu->high);
	struct query_work *w = qu->w;
	bool is_found = false;

	for (unsigned s = 0; s < qu->shards_count; s++) {
		const struct slice_list *list = w->of[s];
		const struct slice *slice;

		if (!w->is_asked[s] || w->at[s] >= list->count)
			continue;
		slice = list->slices[qu->is_newest_first
					     ? list->count - 1 - w->at[s]
					     : w->at[s]];
		if (slice->ident.start_s > high || slice_end_s(slice) <= low)
			continue;
		if (!is_found ||
		    (qu->is_newest_first ? slice->ident.start_s > *start_s
					 : slice->ident.start_s < *start_s))
			*start_s = slice->ident.start_s;
		is_found = true;
	}
	return is_found;
}

static void skip_span(struct query *qu, uint32_t start_s)
{
	struct query_work *w = qu->w;

	for (unsigned s = 0; s < qu->shards_count; s++) {
		const struct slice_list *list = w->of[s];

		while (w->at[s] < list->count &&
		       list->slices[qu->is_newest_first
					    ? list->count - 1 - w->at[s]
					    : w->at[s]]
				       ->ident.start_s == start_s)
			w->at[s]++;
	}
}

/* Place each shard at the first slice that the bounds touch. */
static void place_shards(struct query *qu)
{
	uint32_t low_s = be32_load(qu->low), high_s = be32_load(qu->high);
	struct query_work *w = qu->w;

	for (unsigned s = 0; s < qu->shards_count; s++) {
		const struct slice_list *list =
			atomic_load(&qu->shards[s].list);
		unsigned low = 0, high = list->count;

		while (low < high) {
			unsigned mid = low + (high - low) / 2;
			const struct slice *slice = list->slices[mid];

			if (qu->is_newest_first ? slice->ident.start_s <= high_s
						: slice_end_s(slice) <= low_s)
				low = mid + 1;
			else
				high = mid;
		}
		w->of[s] = list;
		w->at[s] = qu->is_newest_first ? list->count - low : low;
	}
}

static int step_run(struct query *qu)
{
	uint32_t start_s = 0;
	int err = 0;

	place_shards(qu);
	while (!err && !qu->is_stopped && next_span(qu, &start_s)) {
		err = step_span(qu, start_s);
		skip_span(qu, start_s);
		if (err || qu->is_stopped)
			break;
		set_last_of_span(qu, start_s);
		if (clock_mono_ns() >= qu->until_ns)
			stop(qu, ARCHIVE_STOP_BUDGET);
	}
	return err;
}

static bool work_of(struct reader *reader)
{
	if (reader->work)
		return true;
	reader->work = calloc(1, sizeof(*reader->work));
	if (reader->work)
		bytes_random((void *)&reader->work->seed,
			     sizeof(reader->work->seed));
	return reader->work != NULL;
}

static void results_clear(struct archive_step *step)
{
	step->err = 0;
	step->stop = ARCHIVE_STOP_END;
	step->out_size = 0;
	step->count = 0;
	step->has_last = false;
}

static enum wanted wanted_of(const struct archive_query *q)
{
	if (q->topics_count > 0)
		return WANT_TOPICS;
	if (q->has_bloom && !bloom_is_full(&q->bloom))
		return WANT_BLOOM;
	return WANT_ALL;
}

void query_step(struct shard *shards, unsigned shards_count,
		struct reader *reader, struct archive_step *step)
{
	uint32_t budget_us =
		step->budget_us ? step->budget_us : BUDGET_US_DEFAULT;
	struct query qu = {.step = step, .q = step->query, .shards = shards};

	results_clear(step);
	if (!work_of(reader)) {
		step->err = ERR_NOMEM;
		return;
	}
	qu.w = reader->work;
	qu.shards_count = shards_count;
	qu.span_s = shards[0].common->config.slice_span_s;
	qu.wanted = wanted_of(step->query);
	qu.is_newest_first = step->query->order == ARCHIVE_NEWEST_FIRST;
	qu.item_max = step->out_max > UINT32_MAX ? UINT32_MAX
						 : (uint32_t)step->out_max;
	if (step->item_max > 0 && step->item_max < qu.item_max)
		qu.item_max = step->item_max;
	qu.until_ns = clock_mono_ns() + budget_us * 1000ull;
	bounds_init(&qu);
	if (qu.is_void)
		return;
	step->err = prepare_topics(&qu);
	if (!step->err)
		step->err = step_run(&qu);
}
