#ifndef STORAGE_WANTED_H
#define STORAGE_WANTED_H
/*
 * What a query wants: every envelope, those of a set of topics, or those
 * whose topic a bloom covers. The set is hashed with a seed of its own, so
 * that nobody can send topics that collide.
 *
 * Thread: the query's. wanted_has() is asked once an entry and therefore
 * stands here, to be inlined.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "core/topic.h"

struct archive_query;

enum wanted_kind { WANT_ALL, WANT_TOPICS, WANT_BLOOM };

struct wanted {
	enum wanted_kind kind;
	const struct bloom *bloom; /* the query's */
	struct topic *topics;      /* sorted, each once */
	uint32_t *slots;           /* hash set of them: number + 1 or 0 */
	uint32_t topics_count, topics_max;
	uint32_t slots_mask, slots_max;
	uint64_t seed;
};

void wanted_init(struct wanted *wanted);
void wanted_release(struct wanted *wanted);
/* `query` outlives what is asked. Returns 0 or ERR_NOMEM. */
int wanted_set(struct wanted *wanted, const struct archive_query *query);

static inline uint32_t wanted_slot(const struct wanted *wanted,
				   struct topic topic)
{
	return (uint32_t)XXH3_64bits_withSeed(topic.bytes, TOPIC_SIZE,
					      wanted->seed);
}

static inline bool wanted_has_topic(const struct wanted *wanted,
				    struct topic topic)
{
	for (uint32_t at = wanted_slot(wanted, topic);; at++) {
		uint32_t n = wanted->slots[at & wanted->slots_mask];

		if (n == 0)
			return false;
		if (memcmp(&wanted->topics[n - 1], &topic, TOPIC_SIZE) == 0)
			return true;
	}
}

static inline bool wanted_has(const struct wanted *wanted, struct topic topic)
{
	switch (wanted->kind) {
	case WANT_ALL:
		return true;
	case WANT_TOPICS:
		return wanted_has_topic(wanted, topic);
	case WANT_BLOOM:
		return bloom_covers_topic(wanted->bloom, topic);
	}
	return false;
}

#endif
