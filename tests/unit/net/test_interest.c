#include <criterion/criterion.h>
#include <string.h>

#include "net/interest.h"
#include "tests/support/vectors.h"

static struct topic topic_of(json_t *item)
{
	struct hex hex = vectors_hex(item, "topic");
	struct topic topic;

	memcpy(topic.bytes, hex.bytes, TOPIC_SIZE);
	hex_release(&hex);
	return topic;
}

Test(interest, a_bloom_wants_what_the_deployed_rule_says)
{
	json_t *doc = vectors_load("bloom.json");
	json_t *item;
	size_t i;

	json_array_foreach(vectors_get(doc, "match"), i, item)
	{
		struct status status = {.has = STATUS_HAS_BLOOM};
		struct hex filter = vectors_hex(item, "filter");
		struct topic topic = topic_of(item);
		struct hex sample = vectors_hex(item, "sample");
		struct bloom deployed;
		struct interest interest;

		memcpy(status.bloom.bits, filter.bytes, BLOOM_SIZE);
		interest_init(&interest);
		cr_assert_eq(interest_apply(&interest, &status, true), 0);
		bloom_from_topic(topic, &deployed);
		/* One sample there is not built by the deployed rule. */
		if (memcmp(deployed.bits, sample.bytes, BLOOM_SIZE) == 0)
			cr_assert_eq(
				interest_wants(&interest, topic),
				json_is_true(json_object_get(item, "match")),
				"%zu", i);
		interest_release(&interest);
		hex_release(&filter);
		hex_release(&sample);
	}
	cr_assert_gt(i, 4);
	json_decref(doc);
}

static void apply_topics(struct interest *interest, const uint32_t *topics,
			 uint32_t count, bool is_first)
{
	struct status status = {.has = STATUS_HAS_TOPICS,
				.topics = (const uint8_t *)topics,
				.topics_count = count,
				.topics_stride = 4};

	memset(status.bloom.bits, 0xff, BLOOM_SIZE);
	cr_assert_eq(interest_apply(interest, &status, is_first), 0);
}

static bool wants(const struct interest *interest, uint32_t value)
{
	struct topic topic;

	memcpy(topic.bytes, &value, sizeof(value));
	return interest_wants(interest, topic);
}

Test(interest, topics_win_over_a_bloom_and_a_bloom_ends_them)
{
	static const uint32_t topics[] = {1, 0, 77};
	struct status bloom = {.has = STATUS_HAS_BLOOM};
	struct status pow = {.has = STATUS_HAS_POW, .pow = 0.5};
	struct interest interest;

	interest_init(&interest);
	cr_assert(wants(&interest, 5));
	apply_topics(&interest, topics, 3, true);
	cr_assert(wants(&interest, 0) && wants(&interest, 1) &&
		  wants(&interest, 77));
	cr_assert_not(wants(&interest, 5));
	/* A change of something else leaves them. */
	cr_assert_eq(interest_apply(&interest, &pow, false), 0);
	cr_assert_not(wants(&interest, 5));
	cr_assert_float_eq(interest.pow_min, 0.5, 0);
	/* An empty list wants nothing, which is not the same as none. */
	apply_topics(&interest, topics, 0, false);
	cr_assert_not(wants(&interest, 1));
	memset(bloom.bloom.bits, 0xff, BLOOM_SIZE);
	cr_assert_eq(interest_apply(&interest, &bloom, false), 0);
	cr_assert(wants(&interest, 5));
	interest_release(&interest);
}

Test(interest, ten_thousand_topics_are_all_found)
{
	static uint32_t topics[STATUS_TOPICS_MAX];
	struct interest interest;

	for (uint32_t i = 0; i < STATUS_TOPICS_MAX; i++)
		topics[i] = i * 7919;
	interest_init(&interest);
	apply_topics(&interest, topics, STATUS_TOPICS_MAX, true);
	for (uint32_t i = 0; i < STATUS_TOPICS_MAX; i++) {
		cr_assert(wants(&interest, i * 7919));
		cr_assert_not(wants(&interest, i * 7919 + 1));
	}
	interest_release(&interest);
}
