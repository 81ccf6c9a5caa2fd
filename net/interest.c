#include "net/interest.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"

/* Open addressing; the topic 00000000 has a flag, since 0 is an empty slot. */
struct topic_set {
	uint32_t mask;
	bool has_zero;
	uint32_t slots[];
};

static uint32_t value_of(struct topic topic)
{
	uint32_t value;

	memcpy(&value, topic.bytes, sizeof(value));
	return value;
}

static uint32_t home_of(const struct topic_set *set, uint32_t value)
{
	return (value * UINT32_C(0x9e3779b1)) >> 7 & set->mask;
}

static void set_add(struct topic_set *set, uint32_t value)
{
	uint32_t at = home_of(set, value);

	if (value == 0) {
		set->has_zero = true;
		return;
	}
	while (set->slots[at] != 0 && set->slots[at] != value)
		at = (at + 1) & set->mask;
	set->slots[at] = value;
}

static bool set_has(const struct topic_set *set, uint32_t value)
{
	uint32_t at = home_of(set, value);

	if (value == 0)
		return set->has_zero;
	while (set->slots[at] != 0 && set->slots[at] != value)
		at = (at + 1) & set->mask;
	return set->slots[at] == value;
}

static struct topic_set *set_new(const struct status *status)
{
	uint32_t size = 4;
	struct topic_set *set;

	while (size < status->topics_count * 2 + 1)
		size *= 2;
	set = calloc(1, sizeof(*set) + size * sizeof(set->slots[0]));
	if (!set)
		return NULL;
	set->mask = size - 1;
	for (uint32_t i = 0; i < status->topics_count; i++)
		set_add(set, value_of(status_topic(status, i)));
	return set;
}

void interest_init(struct interest *interest)
{
	memset(interest, 0, sizeof(*interest));
	memset(interest->bloom.bits, 0xff, BLOOM_SIZE);
	interest->wants_all = true;
}

void interest_release(struct interest *interest)
{
	free(interest->topics);
	interest->topics = NULL;
}

int interest_apply(struct interest *interest, const struct status *status,
		   bool is_first)
{
	struct topic_set *topics = NULL;

	if (status->has & STATUS_HAS_TOPICS) {
		topics = set_new(status);
		if (!topics)
			return ERR_NOMEM;
	}
	if (is_first || (status->has & STATUS_HAS_POW))
		interest->pow_min = status->pow;
	if (is_first || (status->has & STATUS_HAS_BLOOM))
		interest->bloom = status->bloom;
	/* Topics win over a bloom; a bloom alone ends them (§2.3). */
	if (topics || (status->has & STATUS_HAS_BLOOM)) {
		free(interest->topics);
		interest->topics = topics;
	}
	interest->wants_all =
		!interest->topics && bloom_is_full(&interest->bloom);
	return 0;
}

bool interest_wants(const struct interest *interest, struct topic topic)
{
	if (interest->wants_all)
		return true;
	if (interest->topics)
		return set_has(interest->topics, value_of(topic));
	return bloom_covers_topic(&interest->bloom, topic);
}
