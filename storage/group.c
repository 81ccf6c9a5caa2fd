#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/shard.h"

#define RADIX_MIN 32 /* fewer are sorted by comparing */

/* ---- chunks ---- */

static struct run_entry *entry_at(struct run_builder *b, uint32_t i,
				  uint32_t *ordinal)
{
	struct run_entry *entry = run_builder_by_topic(b, i);
	struct run_entry *first = (void *)(b->blob + sizeof(struct run_header));

	*ordinal = (uint32_t)(entry - first);
	return entry;
}

static uint32_t fill_to(struct run_builder *b, uint32_t from, size_t *size)
{
	uint32_t i = from;

	*size = 0;
	while (i < b->count) {
		uint32_t more = run_builder_by_topic(b, i)->size;

		if (i > from && *size + more > CHUNK_BYTES_MAX)
			break;
		*size += more;
		i++;
	}
	return i;
}

int chunks_write(struct slice *slice, struct run_builder *b,
		 chunk_bytes_fn bytes_of, void *ctx, uint32_t *chunks)
{
	uint32_t from = 0, ordinal;

	*chunks = 0;
	while (from < b->count) {
		size_t size;
		uint32_t to = fill_to(b, from, &size), id, offset = 0;
		uint8_t *at;
		int err = slice_write_chunk(slice, size, &at, &id);

		if (err)
			return err;
		for (; from < to; from++) {
			struct run_entry *entry = entry_at(b, from, &ordinal);
			const uint8_t *bytes = bytes_of(ctx, ordinal, entry);

			if (!bytes) {
				slice_write_abort(slice);
				return ERR_CORRUPT;
			}
			memcpy(at + offset, bytes, entry->size);
			entry->chunk = id;
			entry->offset = offset;
			offset += entry->size;
		}
		(*chunks)++;
	}
	return 0;
}

/* ---- one group ---- */

static int refs_reserve(struct shard *shard, uint64_t want)
{
	struct group_ref *more;

	if (want <= shard->refs_max)
		return 0;
	if (want > UINT32_MAX / 2)
		return ERR_NOMEM;
	want += want / 2;
	/* As many again behind them, for sorting. */
	more = realloc(shard->refs, 2 * want * sizeof(*more));
	if (!more)
		return ERR_NOMEM;
	shard->refs = more;
	shard->refs_max = (uint32_t)want;
	return 0;
}

static int collect(struct shard *shard, struct letter *parts)
{
	uint32_t n = 0;

	for (struct letter *l = parts; l; l = l->next) {
		struct batch_part *part = (struct batch_part *)(void *)l;
		const struct archive_item *items = part->state->batch->items;
		int err = refs_reserve(shard, (uint64_t)n + part->count);

		if (err)
			return err;
		for (uint32_t i = 0; i < part->count; i++) {
			const struct archive_item *item =
				&items[part->index[i]];

			shard->refs[n++] = (struct group_ref){
				.prefix = (uint64_t)item->sent << 32 |
					  be32_load(item->hash),
				.item = item,
				.part = part};
		}
	}
	shard->refs_count = n;
	return 0;
}

static int compare_refs(const void *a, const void *b)
{
	const struct group_ref *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return memcmp(x->item->hash, y->item->hash, ENVELOPE_HASH_SIZE);
}

/* By the byte at `shift`, in the order of before where it is equal. */
static void sort_by_byte(const struct group_ref *from, struct group_ref *to,
			 uint32_t count, unsigned shift)
{
	uint32_t place[256] = {0}, before = 0;

	for (uint32_t i = 0; i < count; i++)
		place[from[i].prefix >> shift & 0xff]++;
	for (unsigned b = 0; b < 256; b++) {
		uint32_t here = place[b];

		place[b] = before;
		before += here;
	}
	for (uint32_t i = 0; i < count; i++)
		to[place[from[i].prefix >> shift & 0xff]++] = from[i];
}

/* Those with equal prefixes are few, and most often the same envelope. */
static void sort_equals(struct group_ref *refs, uint32_t count)
{
	uint32_t from = 0, to;

	for (; from < count; from = to) {
		to = from + 1;
		while (to < count && refs[to].prefix == refs[from].prefix)
			to++;
		if (to - from > 1)
			qsort(refs + from, to - from, sizeof(*refs),
			      compare_refs);
	}
}

static void sort_refs(struct shard *shard)
{
	struct group_ref *from = shard->refs, *to = from + shard->refs_max;
	uint32_t count = shard->refs_count;
	uint64_t differ = 0;

	if (count < RADIX_MIN) {
		qsort(from, count, sizeof(*from), compare_refs);
		return;
	}
	for (uint32_t i = 1; i < count; i++)
		differ |= from[i].prefix ^ from[0].prefix;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		struct group_ref *swap = from;

		if ((differ >> shift & 0xff) == 0)
			continue;
		sort_by_byte(from, to, count, shift);
		from = to;
		to = swap;
	}
	if (from != shard->refs)
		memcpy(shard->refs, from, count * sizeof(*from));
	sort_equals(shard->refs, count);
}

/* ---- what is there already ---- */

/* It is to be looked at again when to fold it, and to let `known` go. */
static void note_busy(struct slice *slice)
{
	slice->is_settled = false;
	slice->busy_ms = clock_mono_ms();
}

static int load_known(struct slice *slice)
{
	struct slice_read read;
	struct run_view run;
	int err;

	if (slice->is_known_loaded)
		return 0;
	err = slice_read_begin(slice, &read);
	if (err)
		return err;
	err = slice_read_run(&read, true, &run);
	while (!err) {
		for (uint32_t i = 0; i < run.header->count; i++)
			known_add(&slice->known, run.entries[i].key + 4);
		err = slice_read_run(&read, false, &run);
	}
	slice_read_end(&read);
	slice->is_known_loaded = err == ERR_NOTFOUND;
	note_busy(slice);
	return slice->is_known_loaded ? 0 : err;
}

static int slice_has(struct slice *slice, const uint8_t *key)
{
	struct slice_read read;
	int err;

	if (!known_has(&slice->known, key + 4))
		return 0;
	err = slice_read_begin(slice, &read);
	if (err)
		return err;
	err = slice_read_has(&read, key);
	slice_read_end(&read);
	return err;
}

/* A span may have several parts: any of them. 1, 0 or an error. */
static int span_has(struct shard *shard, const struct slice *last,
		    const struct archive_item *item)
{
	const struct slice_list *list = atomic_load(&shard->list);
	uint8_t key[ENVELOPE_KEY_SIZE];

	envelope_key(item->sent, item->hash, key);
	for (unsigned i = list->count; i > 0; i--) {
		struct slice *slice = list->slices[i - 1];
		int has;

		if (slice->ident.start_s != last->ident.start_s)
			continue;
		has = load_known(slice);
		if (has == 0)
			has = slice_has(slice, key);
		if (has == ERR_CORRUPT) {
			shard_mark_damaged(shard->common, slice);
			has = 0;
		}
		if (has != 0)
			return has;
	}
	return 0;
}

/* Move what is new to the front. Returns how many, or an error. */
static int64_t keep_new(struct shard *shard, const struct slice *slice,
			struct group_ref *refs, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		int has;

		if (kept > 0 && compare_refs(&refs[kept - 1], &refs[i]) == 0)
			continue;
		has = span_has(shard, slice, refs[i].item);
		if (has < 0)
			return has;
		if (!has)
			refs[kept++] = refs[i];
	}
	return kept;
}

/* ---- the transaction ---- */

static const uint8_t *bytes_of_ref(void *ctx, uint32_t ordinal,
				   const struct run_entry *entry)
{
	const struct group_ref *refs = ctx;

	(void)entry;
	return refs[ordinal].item->rlp;
}

static int build(struct run_builder *b, const struct group_ref *refs,
		 uint32_t count)
{
	int err = run_builder_reset(b, count);

	if (err)
		return err;
	for (uint32_t i = 0; i < count; i++) {
		const struct archive_item *item = refs[i].item;
		struct run_entry *entry = run_builder_add(b);

		envelope_key(item->sent, item->hash, entry->key);
		entry->topic = item->topic;
		entry->size = item->size;
	}
	return run_builder_index(b);
}

static int write_refs(struct shard *shard, struct slice *slice,
		      struct group_ref *refs, uint32_t count)
{
	struct run_builder *b = &shard->builder;
	uint32_t chunks;
	size_t size;
	int err = build(b, refs, count);

	if (!err)
		err = slice_write_begin(slice);
	if (!err)
		err = chunks_write(slice, b, bytes_of_ref, refs, &chunks);
	if (err)
		return err;
	size = run_builder_seal(b, chunks, slice_value_min(slice));
	err = slice_write_run(slice, 0, b, size);
	return err ? err : slice_write_end(slice);
}

static void note_stored(struct shard *shard, struct slice *slice,
			const struct group_ref *refs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		known_add(&slice->known, refs[i].item->hash);
		refs[i].part->stored++;
	}
	note_busy(slice);
	if (atomic_load(&slice->bytes) >
	    shard_slice_bytes_max(&shard->common->config))
		slice->is_full = true;
	atomic_fetch_add_explicit(&shard->commits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&shard->put_envelopes, count,
				  memory_order_relaxed);
}

/*
 * When the map is full the rest goes to a further part; when that is too
 * small for all of it, to several. A single envelope that fits into no map is
 * refused, which is not the shard's fault.
 */
/* NOLINTNEXTLINE(misc-no-recursion): a new part is empty, halves get small */
static int write_or_roll(struct shard *shard, struct group_ref *refs,
			 uint32_t count)
{
	struct slice *slice = NULL;
	int err = shard_slice_for(shard, refs[0].item->sent, &slice);

	if (!err)
		err = write_refs(shard, slice, refs, count);
	if (err == ERR_FULL && slice->runs_count > 0) {
		slice->is_full = true;
		return write_or_roll(shard, refs, count);
	}
	if (err == ERR_FULL && count > 1) {
		err = write_or_roll(shard, refs, count / 2);
		return err ? err
			   : write_or_roll(shard, refs + count / 2,
					   count - count / 2);
	}
	if (err && err != ERR_FULL)
		shard_note_failure(shard, slice, err,
				   slice ? slice_write_errno(slice) : 0);
	if (!err)
		note_stored(shard, slice, refs, count);
	return err;
}

static int write_span(struct shard *shard, struct group_ref *refs,
		      uint32_t count)
{
	struct slice *slice;
	int64_t kept;
	int err = shard_slice_for(shard, refs[0].item->sent, &slice);

	if (err) {
		shard_note_failure(shard, NULL, err, 0);
		return err;
	}
	kept = keep_new(shard, slice, refs, count);
	if (kept <= 0)
		return (int)kept;
	return write_or_roll(shard, refs, (uint32_t)kept);
}

int group_commit(struct shard *shard, struct letter *parts)
{
	uint32_t span_s = shard->common->config.slice_span_s, from = 0, to;
	int err = collect(shard, parts);

	if (err)
		return err;
	sort_refs(shard);
	while (from < shard->refs_count) {
		uint32_t span = shard->refs[from].item->sent / span_s;

		to = from + 1;
		while (to < shard->refs_count &&
		       shard->refs[to].item->sent / span_s == span)
			to++;
		err = write_span(shard, shard->refs + from, to - from);
		if (err)
			return err;
		from = to;
	}
	return 0;
}
