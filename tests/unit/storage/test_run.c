#include "storage/run.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "storage/known.h"

#define ENTRIES 500u
#define TOPICS  23u

static uint64_t random_state = 7;

static uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005ull + 1;
	return (uint32_t)(random_state >> 33);
}

/* Keys ascend by steps of 1 to 3 in their last bytes. */
static size_t build(struct run_builder *b)
{
	uint32_t at = 100;

	run_builder_init(b);
	cr_assert_eq(run_builder_reset(b, ENTRIES), 0);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct run_entry *entry = run_builder_add(b);

		memset(entry, 0, sizeof(*entry));
		at += 1 + random_u32() % 3;
		be32_store(entry->key, 1000);
		be32_store(entry->key + 32, at);
		be32_store(entry->topic.bytes,
			   0xfffffff0u + random_u32() % TOPICS);
		entry->size = 10 + i;
	}
	cr_assert_eq(run_builder_index(b), 0);
	return run_builder_seal(b, 1, 2048);
}

static void key_of(uint32_t at, uint8_t key[static ENVELOPE_KEY_SIZE])
{
	memset(key, 0, ENVELOPE_KEY_SIZE);
	be32_store(key, 1000);
	be32_store(key + 32, at);
}

Test(run, bounds_agree_with_a_scan)
{
	struct run_builder b;
	size_t size = build(&b);
	struct run_view run;

	cr_assert_eq(run_view_init(b.blob, size, &run), 0);
	cr_assert_eq(run_view_check(&run), 0);
	cr_assert_eq(run.header->count, ENTRIES);
	for (uint32_t at = 90; at < 100 + 3 * ENTRIES; at++) {
		uint8_t key[ENVELOPE_KEY_SIZE];
		uint32_t below = 0, equal = 0;

		key_of(at, key);
		for (uint32_t i = 0; i < ENTRIES; i++) {
			int order = memcmp(run.entries[i].key, key,
					   ENVELOPE_KEY_SIZE);

			below += order < 0;
			equal += order == 0;
		}
		cr_assert_eq(run_lower_bound(&run, key), below);
		cr_assert_eq(run_upper_bound(&run, key), below + equal);
		cr_assert_eq(run_find_key(&run, key) != NULL, equal == 1);
	}
	run_builder_release(&b);
}

Test(run, each_topic_lists_its_entries_in_order_of_time)
{
	struct run_builder b;
	size_t size = build(&b);
	struct run_list list;
	struct run_view run;
	uint32_t listed = 0;

	cr_assert_eq(run_view_init(b.blob, size, &run), 0);
	for (uint32_t t = 0; t < TOPICS; t++) {
		struct topic topic;
		uint32_t n = 0;

		be32_store(topic.bytes, 0xfffffff0u + t);
		cr_assert_eq(run_find_topic(&run, topic, &list), 0);
		for (uint32_t i = 0; i < ENTRIES; i++)
			if (memcmp(&run.entries[i].topic, &topic, 4) == 0)
				cr_assert_eq(list.ordinals[n++], i);
		cr_assert_eq(n, list.count);
		for (uint32_t bound = 0; bound <= ENTRIES; bound += 17) {
			uint32_t cut = run_list_cut(&run, &list, bound);

			cr_assert(cut == 0 || list.ordinals[cut - 1] < bound);
			cr_assert(cut == n || list.ordinals[cut] >= bound);
		}
		listed += n;
	}
	cr_assert_eq(listed, ENTRIES);
	cr_assert_eq(run_find_topic(&run, (struct topic){{1, 2, 3, 4}}, &list),
		     ERR_NOTFOUND);
	run_builder_release(&b);
}

Test(run, every_flipped_byte_is_noticed_and_none_is_followed_outside)
{
	struct run_builder b;
	size_t size = build(&b);
	uint8_t *copy = malloc(size);

	for (size_t i = 0; i < size; i++) {
		uint8_t key[ENVELOPE_KEY_SIZE];
		struct run_list list;
		struct run_view run;
		int err;

		memcpy(copy, b.blob, size);
		copy[i] ^= (uint8_t)(1 + random_u32() % 255);
		err = run_view_init(copy, size, &run);
		if (i < sizeof(struct run_header)) {
			cr_assert_eq(err, ERR_CORRUPT, "byte %zu", i);
			continue;
		}
		cr_assert_eq(err, 0);
		cr_assert_eq(run_view_check(&run), ERR_CORRUPT, "byte %zu", i);
		key_of(400, key);
		(void)run_find_key(&run, key);
		for (uint32_t t = 0; t < run.header->topics; t++)
			if (run_topic_list(&run, t, &list) == 0)
				(void)run_list_cut(&run, &list, 200);
	}
	for (size_t cut = 0; cut < size; cut += 13) {
		struct run_view run;
		uint8_t *part = malloc(cut + 1);

		memcpy(part, b.blob, cut);
		if (cut < sizeof(struct run_header) + ENTRIES * 52)
			cr_assert_eq(run_view_init(part, cut, &run),
				     ERR_CORRUPT);
		free(part);
	}
	free(copy);
	run_builder_release(&b);
}

Test(run, a_single_entry_fills_the_size_asked_for)
{
	struct run_builder b;
	struct run_view run;

	run_builder_init(&b);
	cr_assert_eq(run_builder_reset(&b, 1), 0);
	memset(run_builder_add(&b), 7, sizeof(struct run_entry));
	cr_assert_eq(run_builder_index(&b), 0);
	cr_assert_eq(run_builder_seal(&b, 1, 2048), 2048);
	cr_assert_eq(run_view_init(b.blob, 2048, &run), 0);
	cr_assert_eq(run_view_check(&run), 0);
	run_builder_release(&b);
}

/* ---- known ---- */

static void hash_make(uint64_t number, uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	for (unsigned i = 0; i < ENVELOPE_HASH_SIZE; i++) {
		number = number * 6364136223846793005ull +
			 1442695040888963407ull;
		hash[i] = (uint8_t)(number >> 56);
	}
}

Test(known, what_was_added_is_known_and_little_else)
{
	uint8_t hash[ENVELOPE_HASH_SIZE];
	struct known known;
	unsigned wrong = 0;

	known_init(&known);
	for (uint64_t i = 0; i < 20000; i++) {
		hash_make(i, hash);
		known_add(&known, hash);
	}
	for (uint64_t i = 0; i < 20000; i++) {
		hash_make(i, hash);
		cr_assert(known_has(&known, hash));
		hash_make(i + 1000000, hash);
		wrong += known_has(&known, hash);
	}
	cr_assert_lt(wrong, 200);
	known_release(&known);
}
