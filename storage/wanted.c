#include "storage/wanted.h"

#include <stdlib.h>

#include "core/bytes.h"
#include "storage/archive.h"
#include "storage/query_private.h"

void wanted_init(struct wanted *wanted)
{
	memset(wanted, 0, sizeof(*wanted));
	bytes_random((void *)&wanted->seed, sizeof(wanted->seed));
}

void wanted_release(struct wanted *wanted)
{
	free(wanted->topics);
	free(wanted->slots);
}

static int compare_topics(const void *a, const void *b)
{
	return memcmp(a, b, TOPIC_SIZE);
}

static int sort_topics(struct wanted *w, const struct archive_query *query)
{
	uint32_t n = 0, count = query->topics_count;
	int err = RESERVE(w, topics, count);

	if (err)
		return err;
	memcpy(w->topics, query->topics, (size_t)count * sizeof(*w->topics));
	qsort(w->topics, count, sizeof(*w->topics), compare_topics);
	for (uint32_t i = 0; i < count; i++)
		if (n == 0 ||
		    compare_topics(&w->topics[n - 1], &w->topics[i]) != 0)
			w->topics[n++] = w->topics[i];
	w->topics_count = n;
	return 0;
}

static int hash_topics(struct wanted *w)
{
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
		uint32_t at = wanted_slot(w, w->topics[i]);

		while (w->slots[at & w->slots_mask])
			at++;
		w->slots[at & w->slots_mask] = i + 1;
	}
	return 0;
}

static enum wanted_kind kind_of(const struct archive_query *query)
{
	if (query->topics_count > 0)
		return WANT_TOPICS;
	if (query->has_bloom && !bloom_is_full(&query->bloom))
		return WANT_BLOOM;
	return WANT_ALL;
}

int wanted_set(struct wanted *wanted, const struct archive_query *query)
{
	int err;

	wanted->kind = kind_of(query);
	wanted->bloom = &query->bloom;
	if (wanted->kind != WANT_TOPICS)
		return 0;
	err = sort_topics(wanted, query);
	if (!err)
		err = hash_topics(wanted);
	return err;
}
