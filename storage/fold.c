#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/shard.h"

/*
 * Folding: several runs of a slice become one, so that a query looks at few.
 * The index is written again, the envelopes only where their chunks are small.
 *
 * While envelopes come, runs of a level are folded. What is left when a day is
 * over is folded, too, but more may come for it (imports, copies of other
 * servers) after any pause: so only when it was quiet for a while, and a run
 * only together with smaller ones that have a share of its entries. What an
 * envelope costs is thus bounded however its batches are spaced.
 */
#define FOLD_FROM         8u  /* runs of a level, when there is nothing else */
#define FOLD_FORCED       16u /* under load */
#define FOLD_MAX          16u /* at once */
#define FOLD_ENTRIES_MAX  (512u << 10)
#define CHUNK_SMALL       (32u << 10)
#define REWRITE_BYTES_MAX (64u << 20)
#define SETTLE_AFTER_S    300u /* behind the span's end */
#define QUIET_MS          5000u
#define QUIET_RATIO       2u /* largest run to all smaller ones, at most */
#define SETTLE_MS         300000u
#define SETTLE_RATIO      16u
#define LEVEL_MAX         255u

struct fold {
	struct slice *slice;
	struct slice_read read;
	unsigned count;
	struct slice_run runs[FOLD_MAX];
	struct run_view views[FOLD_MAX];
	uint32_t pos[FOLD_MAX];
	uint64_t heads[FOLD_MAX]; /* first bytes of the keys; all ones: over */
	uint32_t entries;
	uint64_t bytes;
	uint64_t chunks;
	uint8_t level; /* of the result */
};

/* ---- choosing ---- */

static bool fold_take(struct fold *f, const struct slice_run *run)
{
	if (f->count == FOLD_MAX || f->entries + run->count > FOLD_ENTRIES_MAX)
		return false;
	f->runs[f->count++] = *run;
	f->entries += run->count;
	f->bytes += run->envelope_bytes;
	f->chunks += run->chunks;
	if (run->level >= f->level)
		f->level = run->level < LEVEL_MAX ? (uint8_t)(run->level + 1)
						  : (uint8_t)LEVEL_MAX;
	return true;
}

static void fold_start(struct fold *f, struct slice *slice)
{
	f->slice = slice;
	f->count = 0;
	f->entries = 0;
	f->bytes = 0;
	f->chunks = 0;
	f->level = 0;
}

/* The lowest level that has at least `from` runs. */
static bool choose_level(struct fold *f, struct slice *slice, unsigned from)
{
	for (unsigned i = 0; i < slice->runs_count;) {
		unsigned end = i;

		while (end < slice->runs_count &&
		       slice->runs[end].level == slice->runs[i].level)
			end++;
		fold_start(f, slice);
		if (end - i >= from)
			while (i < end && fold_take(f, &slice->runs[i]))
				i++;
		if (f->count >= 2)
			return true;
		i = end;
	}
	return false;
}

static int compare_counts(const void *a, const void *b)
{
	const struct slice_run *x = a, *y = b;

	return (x->count > y->count) - (x->count < y->count);
}

/* The longest part of the sorted runs whose last is worth writing again. */
static unsigned worth_folding(const struct slice_run *sorted, unsigned count,
			      unsigned ratio)
{
	uint64_t entries = 0;
	unsigned best = 0;

	for (unsigned i = 0; i < count && i < FOLD_MAX; i++) {
		if (entries + sorted[i].count > FOLD_ENTRIES_MAX)
			break;
		if (i > 0 && sorted[i].count <= entries * ratio)
			best = i + 1;
		entries += sorted[i].count;
	}
	return best;
}

/* Of a slice that is full or whose time is over: the smallest, as many as go
 * together. */
static bool choose_smallest(struct fold *f, struct slice *slice, unsigned ratio)
{
	struct slice_run *sorted;
	size_t size = slice->runs_count * sizeof(*sorted);
	unsigned count;

	if (slice->runs_count < 2)
		return false;
	sorted = malloc(size);
	if (!sorted)
		return false;
	memcpy(sorted, slice->runs, size);
	qsort(sorted, slice->runs_count, sizeof(*sorted), compare_counts);
	count = worth_folding(sorted, slice->runs_count, ratio);
	fold_start(f, slice);
	for (unsigned i = 0; i < count; i++)
		(void)fold_take(f, &sorted[i]);
	free(sorted);
	return f->count >= 2;
}

static bool choose(struct fold *f, struct slice *slice, bool is_idle,
		   struct fold_time now)
{
	bool is_past = slice_end_s(slice) + SETTLE_AFTER_S <= now.wall_s;
	uint64_t quiet_ms = now.mono_ms - slice->busy_ms;
	bool is_settling = slice->is_full || quiet_ms >= SETTLE_MS;

	if (slice->is_settled)
		return false;
	if (choose_level(f, slice, is_idle ? FOLD_FROM : FOLD_FORCED))
		return true;
	if (!is_idle || (!slice->is_full && !is_past) ||
	    (!is_settling && quiet_ms < QUIET_MS))
		return false;
	if (choose_smallest(f, slice, is_settling ? SETTLE_RATIO : QUIET_RATIO))
		return true;
	/* What comes for its span is still held against it. */
	if (!is_past || quiet_ms < SETTLE_MS)
		return false;
	slice->is_settled = true;
	/* Hardly anything will come any more; it can be loaded again. */
	known_release(&slice->known);
	slice->is_known_loaded = false;
	return false;
}

/* ---- merging ---- */

static void head_load(struct fold *f, unsigned i)
{
	f->heads[i] = UINT64_MAX;
	if (f->pos[i] < f->views[i].header->count)
		f->heads[i] = be64_load(f->views[i].entries[f->pos[i]].key);
}

static bool is_over(const struct fold *f, unsigned i)
{
	return f->pos[i] == f->views[i].header->count;
}

static const struct run_entry *head_of(const struct fold *f, unsigned i)
{
	return &f->views[i].entries[f->pos[i]];
}

/* The run with the smallest key; `count` when all are over. */
static unsigned smallest(const struct fold *f)
{
	unsigned best = f->count;

	for (unsigned i = 0; i < f->count; i++) {
		if (best < f->count && f->heads[i] > f->heads[best])
			continue;
		if (is_over(f, i))
			continue;
		if (best == f->count || f->heads[i] < f->heads[best] ||
		    memcmp(head_of(f, i)->key, head_of(f, best)->key,
			   ENVELOPE_KEY_SIZE) < 0)
			best = i;
	}
	return best;
}

static int merge(struct fold *f, struct run_builder *b)
{
	const struct run_entry *last = NULL;
	int err = run_builder_reset(b, f->entries);

	if (err)
		return err;
	for (unsigned i = 0; i < f->count; i++) {
		err = slice_read_one(&f->read, &f->runs[i], &f->views[i]);
		if (err || f->views[i].header->count != f->runs[i].count)
			return ERR_CORRUPT;
		f->pos[i] = 0;
		head_load(f, i);
	}
	for (unsigned i = smallest(f); i < f->count; i = smallest(f)) {
		const struct run_entry *entry = head_of(f, i);
		int order =
			last ? memcmp(last->key, entry->key, ENVELOPE_KEY_SIZE)
			     : -1;

		if (order > 0)
			return ERR_CORRUPT;
		if (order < 0)
			*run_builder_add(b) = *entry;
		last = entry;
		f->pos[i]++;
		head_load(f, i);
	}
	return run_builder_index(b);
}

/* ---- chunks that go ---- */

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All chunks of the runs, each once; a chunk belongs to one run. */
static int list_chunks(struct fold *f, uint32_t **out, uint32_t *count)
{
	uint32_t *ids = malloc(f->entries * sizeof(*ids)), n = 0, to = 0;

	if (!ids)
		return ERR_NOMEM;
	for (unsigned r = 0; r < f->count; r++)
		for (uint32_t i = 0; i < f->views[r].header->count; i++) {
			uint32_t id = f->views[r].entries[i].chunk;

			if (n == 0 || ids[n - 1] != id)
				ids[n++] = id;
		}
	qsort(ids, n, sizeof(*ids), compare_u32);
	for (uint32_t i = 0; i < n; i++)
		if (to == 0 || ids[to - 1] != ids[i])
			ids[to++] = ids[i];
	*out = ids;
	*count = to;
	return 0;
}

static const uint8_t *bytes_of_old(void *ctx, uint32_t ordinal,
				   const struct run_entry *entry)
{
	struct fold *f = ctx;

	(void)ordinal;
	return slice_read_envelope(&f->read, entry);
}

static int rewrite_chunks(struct fold *f, struct run_builder *b,
			  uint32_t *chunks)
{
	uint32_t *old, old_count;
	int err = list_chunks(f, &old, &old_count);

	if (err) {
		slice_write_abort(f->slice);
		return err;
	}
	err = chunks_write(f->slice, b, bytes_of_old, f, chunks);
	for (uint32_t i = 0; i < old_count && !err; i++)
		err = slice_drop_chunk(f->slice, old[i]);
	free(old);
	return err == ERR_NOTFOUND ? ERR_CORRUPT : err;
}

static bool is_worth_rewriting(const struct fold *f)
{
	return f->chunks > 1 && f->bytes <= REWRITE_BYTES_MAX &&
	       f->bytes / f->chunks < CHUNK_SMALL;
}

static int fold_write(struct fold *f, struct run_builder *b)
{
	uint32_t chunks = (uint32_t)f->chunks;
	size_t size;
	int err = slice_write_begin(f->slice);

	if (!err && is_worth_rewriting(f))
		err = rewrite_chunks(f, b, &chunks);
	if (err)
		return err;
	size = run_builder_seal(b, chunks, slice_value_min(f->slice));
	for (unsigned i = 0; i < f->count && !err; i++)
		err = slice_drop_run(f->slice, &f->runs[i]);
	if (!err)
		err = slice_write_run(f->slice, f->level, b, size);
	return err ? err : slice_write_end(f->slice);
}

static int fold_run(struct fold *f, struct run_builder *b)
{
	int err = slice_read_begin(f->slice, &f->read);

	if (err)
		return err;
	err = merge(f, b);
	if (!err)
		err = fold_write(f, b);
	slice_read_end(&f->read);
	return err;
}

static void fold_failed(struct shard *shard, struct slice *slice, int err)
{
	if (err == ERR_CORRUPT) {
		shard_mark_damaged(shard->common, slice);
		return;
	}
	slice->is_settled = true; /* until it is written to again */
	if (err != ERR_FULL && err != ERR_NOMEM)
		shard_note_failure(shard, slice, err, slice_write_errno(slice));
}

bool fold_one(struct shard *shard, bool is_idle, struct fold_time now)
{
	const struct slice_list *list = atomic_load(&shard->list);
	struct fold f;

	for (unsigned i = list->count; i > 0; i--) {
		struct slice *slice = list->slices[i - 1];
		int err;

		if (atomic_load(&slice->is_damaged) ||
		    atomic_load(&slice->is_doomed) ||
		    !choose(&f, slice, is_idle, now))
			continue;
		err = fold_run(&f, &shard->builder);
		if (err)
			fold_failed(shard, slice, err);
		return true;
	}
	return false;
}
