#include "storage/archive.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/err.h"
#include "tests/support/tempdir.h"
#include "tests/support/vectors.h"

#define DAY       86400u
#define START     (1700000000u - 1700000000u % DAY)
#define SIZE      300u
#define OUT_SIZE  (1u << 20)
#define ITEMS_MAX 4096u

static char dir[TEMPDIR_MAX];
static struct archive_config config;
static struct archive *archive;
static uint8_t out[OUT_SIZE];

static void open_it(void)
{
	char why[256];
	int err = archive_open(&config, &archive, why, sizeof(why));

	cr_assert_eq(err, 0, "%s", why);
}

static void reopen(void)
{
	archive_close(archive);
	open_it();
}

static void setup(void)
{
	tempdir_make(dir);
	archive_config_default(&config);
	config.dir = dir;
	config.shards = 3;
	config.retention_s = 0;
	config.map_bytes = 64u << 20;
	open_it();
}

static void teardown(void)
{
	archive_close(archive);
	tempdir_remove(dir);
}

TestSuite(archive, .init = setup, .fini = teardown);

/* ---- putting ---- */

struct waiting {
	struct archive_batch batch;
	sem_t sem;
};

static void wake(struct archive_batch *batch)
{
	struct waiting *w = (struct waiting *)(void *)batch;

	sem_post(&w->sem);
}

/* Put and wait. The number stored, or the error. */
static int put_items(const struct archive_item *items, uint32_t count)
{
	struct waiting w = {
		.batch = {.items = items, .count = count, .done = wake}};
	int err;

	sem_init(&w.sem, 0, 0);
	err = archive_put(archive, &w.batch);
	if (err)
		return err;
	sem_wait(&w.sem);
	sem_destroy(&w.sem);
	return w.batch.err ? w.batch.err : (int)w.batch.stored;
}

/* The i-th envelope of a made-up history, its bytes told by its number. */
static void item_make(struct archive_item *item, uint8_t *bytes, uint32_t i,
		      uint32_t sent, uint32_t topic)
{
	for (uint32_t at = 0; at < SIZE; at++)
		bytes[at] = (uint8_t)(i * 7 + at);
	be32_store(bytes, i);
	item->rlp = bytes;
	item->size = SIZE;
	item->sent = sent;
	be32_store(item->topic.bytes, topic);
	for (uint32_t w = 0; w < 4; w++) {
		uint64_t part = XXH3_64bits_withSeed(&i, sizeof(i), w);

		memcpy(item->hash + w * 8, &part, 8);
	}
}

static struct archive_item items[ITEMS_MAX];
static uint8_t item_bytes[ITEMS_MAX][SIZE];

/* Numbers from..from+count-1: one a second, topics in turn. */
static int put_range(uint32_t from, uint32_t count, uint32_t topics)
{
	cr_assert_leq(count, ITEMS_MAX);
	for (uint32_t i = 0; i < count; i++)
		item_make(&items[i], item_bytes[i], from + i, START + from + i,
			  (from + i) % topics);
	return put_items(items, count);
}

/* ---- reading ---- */

static struct archive_query query_all(void)
{
	return (struct archive_query){.upper_s = UINT32_MAX};
}

static struct archive_step step_of(const struct archive_query *query)
{
	return (struct archive_step){.query = query,
				     .limit = UINT32_MAX,
				     .out = out,
				     .out_max = sizeof(out)};
}

/* Read to the end, page after page; the numbers that came, in order. */
static uint32_t read_all(const struct archive_query *query, uint32_t limit,
			 size_t out_max, uint32_t *numbers)
{
	struct archive_step step = step_of(query);
	uint32_t count = 0;

	step.limit = limit;
	step.out_max = out_max;
	for (;;) {
		cr_assert_eq(archive_read_now(archive, &step), 0);
		cr_assert_eq(step.out_size, (size_t)step.count * SIZE);
		for (uint32_t i = 0; i < step.count; i++)
			numbers[count++] = be32_load(out + i * SIZE);
		if (step.stop == ARCHIVE_STOP_END)
			return count;
		cr_assert(step.has_last);
		step.has_cursor = true;
		memcpy(step.cursor, step.last, ENVELOPE_KEY_SIZE);
	}
}

static uint32_t numbers[ITEMS_MAX * 4];

Test(archive, what_was_put_comes_back_unchanged_newest_first)
{
	struct archive_query query = query_all();
	struct archive_step step = step_of(&query);

	cr_assert_eq(put_range(0, 100, 7), 100);
	cr_assert_eq(archive_read_now(archive, &step), 0);
	cr_assert_eq(step.stop, ARCHIVE_STOP_END);
	cr_assert_eq(step.count, 100);
	for (uint32_t i = 0; i < 100; i++)
		cr_assert_arr_eq(out + i * SIZE, item_bytes[99 - i], SIZE);
	cr_assert_eq(be32_load(step.last_given), START);
}

Test(archive, an_envelope_is_stored_once)
{
	struct archive_query query = query_all();

	cr_assert_eq(put_range(0, 50, 5), 50);
	cr_assert_eq(put_range(0, 50, 5), 0);
	cr_assert_eq(put_range(25, 50, 5), 25);
	reopen();
	cr_assert_eq(put_range(0, 100, 5), 25);
	cr_assert_eq(read_all(&query, 1000, OUT_SIZE, numbers), 100);
}

Test(archive, pages_follow_each_other_without_gap_or_duplicate)
{
	struct archive_query query = query_all();

	for (uint32_t i = 0; i < 30; i++)
		cr_assert_eq(put_range(i * 40, 40, 11), 40);
	for (uint32_t limit = 1; limit < 2000; limit = limit * 3 + 1) {
		uint32_t n = read_all(&query, limit, OUT_SIZE, numbers);

		cr_assert_eq(n, 1200);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_eq(numbers[i], 1199 - i);
	}
	query.order = ARCHIVE_OLDEST_FIRST;
	cr_assert_eq(read_all(&query, 77, 10 * SIZE, numbers), 1200);
	for (uint32_t i = 0; i < 1200; i++)
		cr_assert_eq(numbers[i], i);
}

Test(archive, days_are_gone_through_in_order)
{
	struct archive_query query = query_all();

	for (uint32_t i = 0; i < 60; i++)
		item_make(&items[i], item_bytes[i], i, START + i * DAY / 4,
			  i % 4);
	cr_assert_eq(put_items(items, 60), 60);
	reopen();
	cr_assert_eq(read_all(&query, 7, OUT_SIZE, numbers), 60);
	for (uint32_t i = 0; i < 60; i++)
		cr_assert_eq(numbers[i], 59 - i);
	query.lower_s = START + DAY;
	query.upper_s = START + 2 * DAY;
	cr_assert_eq(read_all(&query, 7, OUT_SIZE, numbers), 5);
	cr_assert_eq(numbers[0], 8);
	cr_assert_eq(numbers[4], 4);
}

Test(archive, topics_and_bloom_choose_the_same)
{
	struct archive_query query = query_all();
	struct topic topics[2] = {{{0, 0, 0, 3}}, {{0, 0, 0, 3}}};

	for (uint32_t i = 0; i < 20; i++)
		cr_assert_eq(put_range(i * 100, 100, 50), 100);
	query.topics = topics;
	query.topics_count = 2;
	cr_assert_eq(read_all(&query, 9, OUT_SIZE, numbers), 40);
	for (uint32_t i = 0; i < 40; i++)
		cr_assert_eq(numbers[i], 1953 - i * 50);
	query.topics_count = 0;
	query.has_bloom = true;
	bloom_from_topic(topics[0], &query.bloom);
	cr_assert_geq(read_all(&query, 9, OUT_SIZE, numbers), 40);
}
