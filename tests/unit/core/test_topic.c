#include "core/topic.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/vectors.h"

static struct topic topic_of(json_t *obj)
{
	struct hex hex = vectors_hex(obj, "topic");
	struct topic topic;

	cr_assert_eq(hex.len, TOPIC_SIZE);
	memcpy(topic.bytes, hex.bytes, TOPIC_SIZE);
	hex_release(&hex);
	return topic;
}

static struct bloom bloom_of(json_t *obj, const char *path)
{
	struct hex hex = vectors_hex(obj, path);
	struct bloom bloom;

	cr_assert_eq(hex.len, BLOOM_SIZE);
	memcpy(bloom.bits, hex.bytes, BLOOM_SIZE);
	hex_release(&hex);
	return bloom;
}

static void expect_bloom(const struct bloom *got, const struct bloom *want)
{
	cr_assert_arr_eq(got->bits, want->bits, BLOOM_SIZE);
}

Test(bloom, topics_have_the_bits_of_the_vectors)
{
	json_t *root = vectors_load("bloom.json");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "topics"), i, entry)
	{
		struct topic topic = topic_of(entry);
		struct bloom deployed = bloom_of(entry, "deployed_bloom");
		struct bloom textbook = bloom_of(entry, "spec_bloom");
		struct bloom got, empty = {0};

		bloom_from_topic(topic, &got);
		expect_bloom(&got, &deployed);
		got = empty;
		bloom_add_deployed(&got, topic);
		expect_bloom(&got, &deployed);
		got = empty;
		bloom_add_textbook(&got, topic);
		expect_bloom(&got, &textbook);
		cr_assert(bloom_covers(&textbook, &deployed));
		cr_assert(bloom_covers_topic(&deployed, topic));
		cr_assert(bloom_covers_topic(&textbook, topic));
		cr_assert_not(bloom_covers_topic(&empty, topic));
	}
	json_decref(root);
}

Test(bloom, filters_match_as_in_the_vectors)
{
	json_t *root = vectors_load("bloom.json");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "match"), i, entry)
	{
		struct bloom filter = bloom_of(entry, "filter");
		struct bloom sample = bloom_of(entry, "sample");
		bool match = json_is_true(vectors_get(entry, "match"));

		cr_assert_eq(bloom_covers(&filter, &sample), match, "%s",
			     vectors_text(entry, "name"));
	}
	json_decref(root);
}

/* Any topic, any filter: the short cut and the definition agree. */
Test(bloom, covering_a_topic_is_covering_its_bloom)
{
	uint64_t seed = 1;
	unsigned covered = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct bloom filter, sample;
		struct topic topic;

		for (unsigned j = 0; j < BLOOM_SIZE; j++) {
			seed = seed * 6364136223846793005u +
			       1442695040888963407u;
			filter.bits[j] = (uint8_t)(seed >> 40 | seed >> 50);
		}
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		memcpy(topic.bytes, &seed, TOPIC_SIZE);
		topic.bytes[3] = (uint8_t)(seed >> 60);
		if (i % 2)
			topic.bytes[1] = (uint8_t)(topic.bytes[0] ^ 3);
		bloom_from_topic(topic, &sample);
		cr_assert_eq(bloom_covers_topic(&filter, topic),
			     bloom_covers(&filter, &sample));
		covered += bloom_covers_topic(&filter, topic);
	}
	cr_assert_gt(covered, 2000);
	cr_assert_lt(covered, 18000);
}

Test(bloom, full_and_empty_are_told_apart)
{
	struct bloom bloom;

	memset(&bloom, 0xff, sizeof(bloom));
	cr_assert(bloom_is_full(&bloom));
	cr_assert_not(bloom_is_empty(&bloom));
	bloom.bits[63] = 0x7f;
	cr_assert_not(bloom_is_full(&bloom));
	memset(&bloom, 0, sizeof(bloom));
	cr_assert(bloom_is_empty(&bloom));
	bloom.bits[0] = 1;
	cr_assert_not(bloom_is_empty(&bloom));
}
