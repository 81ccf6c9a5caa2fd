#include "storage/run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/err.h"

#define RUN_MAGIC 0x31306e7572747372ull /* "rstrun01" */

static size_t run_size(uint64_t count, uint64_t topics)
{
	return sizeof(struct run_header) + count * sizeof(struct run_entry) +
	       topics * sizeof(struct run_topic) + count * sizeof(uint32_t);
}

static uint64_t header_sum(const struct run_header *header)
{
	return XXH3_64bits(header, offsetof(struct run_header, header_sum));
}

int run_view_init(const void *data, size_t size, struct run_view *out)
{
	const struct run_header *header = data;
	const uint8_t *at = data;

	if ((uintptr_t)data % 8 || size < sizeof(*header) ||
	    header->magic != RUN_MAGIC || header->count == 0 ||
	    header->topics == 0 || header->topics > header->count ||
	    run_size(header->count, header->topics) > size ||
	    header->header_sum != header_sum(header))
		return ERR_CORRUPT;
	at += sizeof(*header);
	out->header = header;
	out->entries = (const void *)at;
	at += (size_t)header->count * sizeof(struct run_entry);
	out->topics = (const void *)at;
	at += (size_t)header->topics * sizeof(struct run_topic);
	out->ordinals = (const void *)at;
	out->size = size;
	return 0;
}

static int check_entries(const struct run_view *run)
{
	const struct run_header *h = run->header;

	if (memcmp(h->min_key, run->entries[0].key, ENVELOPE_KEY_SIZE) != 0 ||
	    memcmp(h->max_key, run->entries[h->count - 1].key,
		   ENVELOPE_KEY_SIZE) != 0)
		return ERR_CORRUPT;
	for (uint32_t i = 1; i < h->count; i++)
		if (memcmp(run->entries[i - 1].key, run->entries[i].key,
			   ENVELOPE_KEY_SIZE) >= 0)
			return ERR_CORRUPT;
	return 0;
}

static int check_list(const struct run_view *run, uint32_t index)
{
	struct topic topic = run->topics[index].topic;
	struct run_list list;

	if (run_topic_list(run, index, &list) || list.count == 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < list.count; i++) {
		uint32_t ordinal = list.ordinals[i];

		if (ordinal >= run->header->count ||
		    (i > 0 && list.ordinals[i - 1] >= ordinal) ||
		    memcmp(&run->entries[ordinal].topic, &topic, TOPIC_SIZE) !=
			    0)
			return ERR_CORRUPT;
	}
	return 0;
}

int run_view_check(const struct run_view *run)
{
	const struct run_header *h = run->header;
	uint64_t listed = 0;

	if (h->body_sum != XXH3_64bits(run->entries, run->size - sizeof(*h)) ||
	    check_entries(run))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < h->topics; i++) {
		if (i > 0 && memcmp(&run->topics[i - 1].topic,
				    &run->topics[i].topic, TOPIC_SIZE) >= 0)
			return ERR_CORRUPT;
		if (check_list(run, i))
			return ERR_CORRUPT;
		listed += run->topics[i].count;
	}
	return listed == h->count ? 0 : ERR_CORRUPT;
}

uint32_t run_lower_bound(const struct run_view *run, const uint8_t *key)
{
	uint32_t low = 0, high = run->header->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (memcmp(run->entries[mid].key, key, ENVELOPE_KEY_SIZE) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t run_upper_bound(const struct run_view *run, const uint8_t *key)
{
	uint32_t at = run_lower_bound(run, key);

	if (at < run->header->count &&
	    memcmp(run->entries[at].key, key, ENVELOPE_KEY_SIZE) == 0)
		at++;
	return at;
}

const struct run_entry *run_find_key(const struct run_view *run,
				     const uint8_t *key)
{
	uint32_t at;

	if (memcmp(key, run->header->min_key, ENVELOPE_KEY_SIZE) < 0 ||
	    memcmp(key, run->header->max_key, ENVELOPE_KEY_SIZE) > 0)
		return NULL;
	at = run_lower_bound(run, key);
	if (at == run->header->count ||
	    memcmp(run->entries[at].key, key, ENVELOPE_KEY_SIZE) != 0)
		return NULL;
	return &run->entries[at];
}

int run_topic_list(const struct run_view *run, uint32_t index,
		   struct run_list *out)
{
	const struct run_topic *topic = &run->topics[index];

	if (topic->first > run->header->count ||
	    topic->count > run->header->count - topic->first)
		return ERR_CORRUPT;
	out->ordinals = run->ordinals + topic->first;
	out->count = topic->count;
	return 0;
}

int run_find_topic(const struct run_view *run, struct topic topic,
		   struct run_list *out)
{
	uint32_t wanted = be32_load(topic.bytes);
	uint32_t low = 0, high = run->header->topics;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		uint32_t here = be32_load(run->topics[mid].topic.bytes);

		if (here == wanted)
			return run_topic_list(run, mid, out);
		if (here < wanted)
			low = mid + 1;
		else
			high = mid;
	}
	return ERR_NOTFOUND;
}

uint32_t run_list_cut(const struct run_view *run, const struct run_list *list,
		      uint32_t bound)
{
	uint32_t low = 0, high = list->count;

	if (bound == 0)
		return 0;
	if (bound >= run->header->count)
		return list->count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (list->ordinals[mid] < bound)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void run_builder_init(struct run_builder *b)
{
	memset(b, 0, sizeof(*b));
	bytes_random((void *)&b->seed, sizeof(b->seed));
}

void run_builder_release(struct run_builder *b)
{
	free(b->blob);
	free(b->scratch);
	memset(b, 0, sizeof(*b));
}

static int grow(void **mem, size_t *have, size_t want)
{
	void *more;

	if (want <= *have)
		return 0;
	want += want / 4;
	more = malloc(want);
	if (!more)
		return ERR_NOMEM;
	free(*mem);
	*mem = more;
	*have = want;
	return 0;
}

int run_builder_reset(struct run_builder *b, uint32_t entries_max)
{
	void *blob = b->blob;
	int err = grow(&blob, &b->blob_max,
		       run_size(entries_max, entries_max) + RUN_PAD_MAX);

	b->blob = blob;
	b->count = 0;
	b->count_max = err ? 0 : entries_max;
	return err;
}

static struct run_entry *builder_entries(struct run_builder *b)
{
	return (void *)(b->blob + sizeof(struct run_header));
}

static struct run_topic *builder_topics(struct run_builder *b)
{
	return (void *)(builder_entries(b) + b->count);
}

struct run_entry *run_builder_add(struct run_builder *b)
{
	assert(b->count < b->count_max);
	return builder_entries(b) + b->count++;
}

/* ---- topics and ordinals ---- */

/* Topics are numbered as they come up; the numbers are then put in order. */
struct numbering {
	uint32_t *slots;  /* number + 1, or 0; a power of two of them */
	uint32_t *number; /* of each entry's topic */
	uint32_t *counts; /* of each number, then where its list goes on */
	uint64_t *order;  /* topic << 32 | number */
	uint32_t slots_mask;
	uint32_t topics;
};

static int numbering_init(struct run_builder *b, struct numbering *n)
{
	size_t slots = 16;
	void *scratch = b->scratch;
	int err;

	while (slots < (size_t)b->count * 2)
		slots *= 2;
	err = grow(&scratch, &b->scratch_max,
		   slots * 4 + (size_t)b->count * (4 + 4 + 8) + 8);
	b->scratch = scratch;
	if (err)
		return err;
	n->slots_mask = (uint32_t)slots - 1;
	n->order = (void *)b->scratch;
	n->slots = b->scratch + 2 * (size_t)b->count;
	n->number = n->slots + slots;
	n->counts = n->number + b->count;
	n->topics = 0;
	memset(n->slots, 0, slots * 4);
	return 0;
}

/* Peers choose the topics: without the seed they could choose collisions. */
static uint32_t number_of(struct numbering *n, uint64_t seed, uint32_t topic)
{
	uint64_t at = XXH3_64bits_withSeed(&topic, sizeof(topic), seed);

	for (;; at++) {
		uint32_t *slot = &n->slots[at & n->slots_mask];

		if (*slot == 0) {
			n->order[n->topics] = (uint64_t)topic << 32 | n->topics;
			n->counts[n->topics] = 0;
			*slot = ++n->topics;
		}
		if (n->order[*slot - 1] >> 32 == topic)
			return *slot - 1;
	}
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int run_builder_index(struct run_builder *b)
{
	struct run_entry *entries = builder_entries(b);
	struct run_topic *topics = builder_topics(b);
	struct numbering n;
	uint32_t *ordinals;
	uint32_t first = 0;
	int err;

	assert(b->count > 0);
	err = numbering_init(b, &n);
	if (err)
		return err;
	for (uint32_t i = 0; i < b->count; i++) {
		n.number[i] = number_of(&n, b->seed,
					be32_load(entries[i].topic.bytes));
		n.counts[n.number[i]]++;
	}
	qsort(n.order, n.topics, sizeof(*n.order), compare_u64);
	for (uint32_t i = 0; i < n.topics; i++) {
		uint32_t number = (uint32_t)n.order[i];

		be32_store(topics[i].topic.bytes, (uint32_t)(n.order[i] >> 32));
		topics[i].first = first;
		topics[i].count = n.counts[number];
		n.counts[number] = first;
		first += topics[i].count;
	}
	ordinals = (void *)(topics + n.topics);
	for (uint32_t i = 0; i < b->count; i++)
		ordinals[n.counts[n.number[i]]++] = i;
	((struct run_header *)(void *)b->blob)->topics = n.topics;
	return 0;
}

struct run_entry *run_builder_by_topic(struct run_builder *b, uint32_t i)
{
	const struct run_header *header = (void *)b->blob;
	const uint32_t *ordinals = (void *)(builder_topics(b) + header->topics);

	assert(i < b->count);
	return builder_entries(b) + ordinals[i];
}

size_t run_builder_seal(struct run_builder *b, uint32_t chunks, size_t size_min)
{
	struct run_header *h = (void *)b->blob;
	const struct run_entry *entries = builder_entries(b);
	size_t size = run_size(b->count, h->topics);

	assert(size_min <= RUN_PAD_MAX);
	if (size < size_min) {
		memset(b->blob + size, 0, size_min - size);
		size = size_min;
	}
	h->magic = RUN_MAGIC;
	h->count = b->count;
	memcpy(h->min_key, entries[0].key, ENVELOPE_KEY_SIZE);
	memcpy(h->max_key, entries[b->count - 1].key, ENVELOPE_KEY_SIZE);
	h->envelope_bytes = 0;
	for (uint32_t i = 0; i < b->count; i++)
		h->envelope_bytes += entries[i].size;
	h->chunks = chunks;
	h->reserved = 0;
	h->body_sum = XXH3_64bits(b->blob + sizeof(*h), size - sizeof(*h));
	h->header_sum = header_sum(h);
	return size;
}
