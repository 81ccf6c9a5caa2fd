#include "storage/query.h"

#include <stdlib.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/query_private.h"

#define BUDGET_US_DEFAULT 2000u

/* ---- memory ---- */

int query_reserve(void *at, uint32_t *max, uint64_t want, size_t item)
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

void query_work_free(struct query_work *work)
{
	if (!work)
		return;
	free(work->reads);
	free(work->lists);
	free(work->heap);
	wanted_release(&work->wanted);
	free(work);
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
		err = query_plan_run(qu, &run, read);
		if (!err)
			err = slice_read_run(&w->reads[read], false, &run);
	}
	if (err == ERR_CORRUPT)
		shard_mark_damaged(qu->shards[0].common, slice);
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
		err = query_merge(qu);
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
	query_set_last(qu, key);
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
			query_stop(qu, ARCHIVE_STOP_BUDGET);
	}
	return err;
}

static bool work_of(struct reader *reader)
{
	if (reader->work)
		return true;
	reader->work = calloc(1, sizeof(*reader->work));
	if (reader->work)
		wanted_init(&reader->work->wanted);
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

/* Which shards have what is wanted? */
static int prepare_wanted(struct query *qu)
{
	struct query_work *w = qu->w;
	const struct wanted *wanted = &w->wanted;
	int err = wanted_set(&w->wanted, qu->q);

	memset(w->is_asked, wanted->kind != WANT_TOPICS, sizeof(w->is_asked));
	if (err || wanted->kind != WANT_TOPICS)
		return err;
	for (uint32_t i = 0; i < wanted->topics_count; i++)
		w->is_asked[shard_of(wanted->topics[i], qu->shards_count)] =
			true;
	return 0;
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
	qu.is_newest_first = step->query->order == ARCHIVE_NEWEST_FIRST;
	qu.item_max = step->out_max > UINT32_MAX ? UINT32_MAX
						 : (uint32_t)step->out_max;
	if (step->item_max > 0 && step->item_max < qu.item_max)
		qu.item_max = step->item_max;
	qu.until_ns = clock_mono_ns() + budget_us * 1000ull;
	bounds_init(&qu);
	if (qu.is_void)
		return;
	step->err = prepare_wanted(&qu);
	if (!step->err)
		step->err = step_run(&qu);
}
