#include "storage/archive.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
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

static char aside_from[TEMPDIR_MAX + 64];
static atomic_uint aside_count;

static void note_aside(const char *from, const char *to)
{
	cr_assert(strstr(to, "/quarantine/shard-"));
	(void)snprintf(aside_from, sizeof(aside_from), "%s", from);
	atomic_fetch_add(&aside_count, 1);
}

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
	config.set_aside = note_aside;
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

static uint32_t numbers[ITEMS_MAX * 64];

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

/* ---- the selection, from the vectors ---- */

struct history {
	struct archive_item items[16];
	struct hex rlps[16];
	uint32_t count;
};

static void history_load(json_t *envelopes, struct history *h)
{
	h->count = (uint32_t)json_array_size(envelopes);
	cr_assert_leq(h->count, 16);
	for (uint32_t i = 0; i < h->count; i++) {
		json_t *env = json_array_get(envelopes, i);
		struct hex topic = vectors_hex(env, "topic");
		struct hex hash = vectors_hex(env, "hash");

		h->rlps[i] = vectors_hex(env, "rlp");
		h->items[i] = (struct archive_item){
			.rlp = h->rlps[i].bytes,
			.size = (uint32_t)h->rlps[i].len,
			.sent = (uint32_t)vectors_u64(env, "sent")};
		memcpy(&h->items[i].topic, topic.bytes, TOPIC_SIZE);
		memcpy(h->items[i].hash, hash.bytes, ENVELOPE_HASH_SIZE);
		hex_release(&topic);
		hex_release(&hash);
	}
}

static void expect_answer(const struct history *h, json_t *expect,
			  const struct archive_step *step)
{
	json_t *hashes = vectors_get(expect, "hashes");
	struct hex cursor = vectors_hex(expect, "cursor");
	size_t at = 0;

	cr_assert_eq(step->count, json_array_size(hashes));
	for (uint32_t i = 0; i < step->count; i++) {
		struct hex hash = hex_from_text(
			json_string_value(json_array_get(hashes, i)));
		uint32_t n = 0;

		while (memcmp(h->items[n].hash, hash.bytes, 32) != 0)
			cr_assert_lt(++n, h->count);
		cr_assert_arr_eq(out + at, h->items[n].rlp, h->items[n].size);
		at += h->items[n].size;
		hex_release(&hash);
	}
	cr_assert_eq(step->out_size, at);
	cr_assert_eq(step->stop == ARCHIVE_STOP_LIMIT, cursor.len > 0);
	if (cursor.len > 0)
		cr_assert_arr_eq(step->last_given, cursor.bytes, cursor.len);
	hex_release(&cursor);
}

static void ask(const struct history *h, json_t *test, uint32_t now_s)
{
	json_t *topics = vectors_get(test, "request.topics");
	struct hex cursor = vectors_hex(test, "request.cursor");
	struct hex bloom = vectors_hex(test, "request.bloom");
	struct topic wanted[8];
	struct archive_query query = {
		.lower_s = (uint32_t)vectors_u64(test, "request.lower"),
		.upper_s = (uint32_t)vectors_u64(test, "request.upper"),
		.topics = wanted,
		.topics_count = (uint32_t)json_array_size(topics),
		.has_bloom = bloom.len > 0};
	struct archive_step step = step_of(&query);

	if (query.upper_s == 0)
		query.upper_s = now_s + 60;
	for (uint32_t i = 0; i < query.topics_count; i++) {
		struct hex topic = hex_from_text(
			json_string_value(json_array_get(topics, i)));

		memcpy(&wanted[i], topic.bytes, TOPIC_SIZE);
		hex_release(&topic);
	}
	if (bloom.len > 0)
		memcpy(&query.bloom, bloom.bytes, sizeof(query.bloom));
	step.limit = (uint32_t)vectors_u64(test, "request.limit");
	if (step.limit == 0)
		step.limit = 1000;
	step.has_cursor = cursor.len > 0;
	if (step.has_cursor)
		memcpy(step.cursor, cursor.bytes, ENVELOPE_KEY_SIZE);
	cr_assert_eq(archive_read_now(archive, &step), 0);
	expect_answer(h, vectors_get(test, "expect"), &step);
	hex_release(&cursor);
	hex_release(&bloom);
}

Test(archive, the_queries_of_the_vectors_are_answered)
{
	json_t *root = vectors_load("mailserver.json");
	json_t *queries = vectors_get(root, "archive.queries");
	struct history h;

	history_load(vectors_get(root, "archive.envelopes"), &h);
	cr_assert_eq(put_items(h.items, h.count), (int)h.count);
	cr_assert_gt(json_array_size(queries), 10);
	for (size_t i = 0; i < json_array_size(queries); i++)
		ask(&h, json_array_get(queries, i),
		    (uint32_t)vectors_u64(root, "now"));
	for (uint32_t i = 0; i < h.count; i++)
		hex_release(&h.rlps[i]);
	json_decref(root);
}

Test(archive, a_sound_archive_passes_fsck_and_a_changed_byte_is_found)
{
	json_t *root = vectors_load("mailserver.json");
	char path[TEMPDIR_MAX + 64], line[512] = "";
	FILE *report = tmpfile();
	struct history h;
	int fd;

	history_load(vectors_get(root, "archive.envelopes"), &h);
	cr_assert_eq(put_items(h.items, h.count), (int)h.count);
	cr_assert_eq(archive_fsck(dir, false, report, NULL, NULL), ERR_EXISTS);
	archive_close(archive);
	cr_assert_eq(archive_fsck(dir, false, report, NULL, NULL), 0);

	for (unsigned s = 0; s < config.shards; s++) {
		uint8_t bytes[65536];
		ssize_t got;

		snprintf(path, sizeof(path), "%s/shard-%03u/slice-%u.mdb", dir,
			 s, 1600000000 - 1600000000 % DAY);
		fd = open(path, O_RDWR);
		if (fd < 0)
			continue;
		got = pread(fd, bytes, sizeof(bytes), 0);
		for (ssize_t i = 0; i + 46 < got; i++)
			if (memcmp(bytes + i, h.items[0].rlp, 46) == 0)
				cr_assert_eq(pwrite(fd, "!", 1, i + 20), 1);
		close(fd);
	}
	rewind(report);
	cr_assert_eq(archive_fsck(dir, false, report, NULL, NULL), ERR_CORRUPT);
	rewind(report);
	cr_assert(fgets(line, sizeof(line), report));
	cr_assert(strstr(line, "bytes are damaged"), "%s", line);
	cr_assert_eq(archive_fsck(dir, true, report, NULL, NULL), ERR_CORRUPT);
	cr_assert_eq(archive_fsck(dir, false, report, NULL, NULL), 0);
	(void)fclose(report);
	for (uint32_t i = 0; i < h.count; i++)
		hex_release(&h.rlps[i]);
	json_decref(root);
	open_it();
}

/* ---- opening ---- */

Test(archive, another_shard_count_or_span_is_refused_with_what_to_do)
{
	struct archive_config other = config;
	struct archive *second = NULL;
	char why[256];

	cr_assert_eq(archive_open(&other, &second, why, sizeof(why)),
		     ERR_EXISTS);
	cr_assert(strstr(why, "another process"), "%s", why);
	archive_close(archive);
	archive = NULL;
	other.shards++;
	cr_assert_eq(archive_open(&other, &second, why, sizeof(why)),
		     ERR_CONFLICT);
	cr_assert(strstr(why, "made with 3 shards"), "%s", why);
	other = config;
	other.slice_span_s /= 2;
	cr_assert_eq(archive_open(&other, &second, why, sizeof(why)),
		     ERR_CONFLICT);
	other = config;
	other.shards = 257;
	cr_assert_eq(archive_open(&other, &second, why, sizeof(why)),
		     ERR_RANGE);
	cr_assert_null(second);
	open_it();
}

Test(archive, an_unknown_format_is_refused)
{
	char path[TEMPDIR_MAX + 16], why[256];
	struct archive *second = NULL;
	FILE *file;

	archive_close(archive);
	snprintf(path, sizeof(path), "%s/ARCHIVE", dir);
	file = fopen(path, "w");
	cr_assert(file && fputs("restante-archive 9\n", file) >= 0);
	(void)fclose(file);
	cr_assert_eq(archive_open(&config, &second, why, sizeof(why)),
		     ERR_UNSUPPORTED);
	cr_assert_eq(unlink(path), 0);
	/* Shards without ARCHIVE: somebody's data, not a new archive. */
	cr_assert_eq(archive_open(&config, &second, why, sizeof(why)),
		     ERR_UNSUPPORTED);
	archive = NULL;
}

/* ---- damage ---- */

static void fill_days(uint32_t days, uint32_t each)
{
	for (uint32_t i = 0; i < days * each; i++)
		item_make(&items[i], item_bytes[i], i,
			  START + i / each * DAY + i % each, i % 9);
	cr_assert_eq(put_items(items, days * each), (int)(days * each));
}

static void slice_file(char *path, size_t size, unsigned shard, uint32_t day)
{
	snprintf(path, size, "%s/shard-%03u/slice-%u.mdb", dir, shard,
		 START + day * DAY);
}

static void expect_quarantined(unsigned count)
{
	char path[TEMPDIR_MAX + 16];
	struct archive_health health;
	struct dirent *entry;
	unsigned found = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/quarantine", dir);
	d = opendir(path);
	while ((entry = readdir(d)) != NULL)
		found += strncmp(entry->d_name, "shard-", 6) == 0;
	closedir(d);
	cr_assert_eq(found, count);
	archive_health(archive, &health);
	cr_assert_eq(health.slices_quarantined, count);
	cr_assert(health.is_healthy);
	cr_assert(count == 0 || strstr(health.why, "quarantine"));
}

Test(archive, a_damaged_slice_is_set_aside_and_the_rest_is_served)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	uint32_t n;

	config.shards = 3;
	fill_days(5, 90);
	archive_close(archive);
	slice_file(path, sizeof(path), 1, 2);
	cr_assert_eq(truncate(path, 9000), 0);
	slice_file(path, sizeof(path), 2, 4);
	cr_assert_eq(truncate(path, 0), 0);
	open_it();
	expect_quarantined(2);
	n = read_all(&query, 50, OUT_SIZE, numbers);
	cr_assert(n >= 300 && n < 450, "%u", n);
	/* The gap can be filled again. */
	cr_assert_eq(put_items(items, 450), (int)(450 - n));
	cr_assert_eq(read_all(&query, 50, OUT_SIZE, numbers), 450);
}

/* Overwrite every run header in the file, as a bad disk might. */
static void spoil_runs(const char *path)
{
	int fd = open(path, O_RDWR);
	uint8_t page[4096];

	cr_assert_geq(fd, 0);
	for (off_t at = 0; pread(fd, page, sizeof(page), at) == sizeof(page);
	     at += (off_t)sizeof(page))
		if (memcmp(page + 16, "rstrun01", 8) == 0)
			cr_assert_eq(pwrite(fd, "spoilt", 6, at + 16), 6);
	close(fd);
}

static bool is_of_its_topic(const uint8_t *rlp, uint32_t size,
			    struct topic topic)
{
	return size == SIZE && be32_load(rlp) % 9 == be32_load(topic.bytes);
}

/* The bytes of one envelope, if they are in this file. */
static bool spoil_item(const char *path, const struct archive_item *item)
{
	int fd = open(path, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *all = malloc((size_t)size);
	uint8_t *found;

	cr_assert_eq(pread(fd, all, (size_t)size, 0), size);
	found = memmem(all, (size_t)size, item->rlp, item->size);
	if (found)
		cr_assert_eq(pwrite(fd, "\xff\xff\xff\xff", 4, found - all), 4);
	free(all);
	close(fd);
	return found;
}

Test(archive, nobody_is_given_what_its_owner_says_is_not_sound)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	unsigned spoilt = 0;
	uint32_t n;

	archive_close(archive);
	config.is_sound = is_of_its_topic;
	open_it();
	fill_days(5, 90);
	for (unsigned shard = 0; shard < config.shards; shard++) {
		slice_file(path, sizeof(path), shard, 2);
		spoilt += spoil_item(path, &items[2 * 90 + 7]);
	}
	cr_assert_eq(spoilt, 1);
	n = read_all(&query, 50, OUT_SIZE, numbers);
	cr_assert(n < 450 && n >= 360, "%u", n);
	for (uint32_t i = 0; i < n; i++)
		cr_assert_lt(numbers[i], 450);
	for (unsigned i = 0; i < 5000 && atomic_load(&aside_count) == 0; i++)
		usleep(1000);
	expect_quarantined(1);
}

Test(archive, damage_met_while_reading_costs_that_slice_only)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	struct archive_health health;
	uint32_t n;

	fill_days(5, 90);
	slice_file(path, sizeof(path), 1, 2);
	spoil_runs(path);
	n = read_all(&query, 50, OUT_SIZE, numbers);
	cr_assert(n >= 400 && n < 450, "%u", n);
	/* Counted at once, and moved soon. */
	archive_health(archive, &health);
	cr_assert_eq(health.slices_quarantined, 1);
	for (unsigned i = 0; i < 5000 && atomic_load(&aside_count) == 0; i++)
		usleep(1000);
	expect_quarantined(1);
	cr_assert_str_eq(aside_from, path);
	cr_assert_eq(put_items(items, 450), (int)(450 - n));
}

/* Names that are taken already, so that finding a free one takes a while. */
static void crowd_quarantine(unsigned shard, uint32_t day)
{
	char path[TEMPDIR_MAX + 64];

	for (unsigned i = 1; i <= 900; i++) {
		size_t len = (size_t)snprintf(
			path, sizeof(path),
			"%s/quarantine/shard-%03u-slice-%u.mdb", dir, shard,
			START + day * DAY);

		if (i > 1)
			(void)snprintf(path + len, sizeof(path) - len, ".%u",
				       i - 1);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
}

Test(archive, damage_is_counted_while_it_is_moved)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	struct archive_health health;

	fill_days(5, 90);
	crowd_quarantine(1, 2);
	slice_file(path, sizeof(path), 1, 2);
	spoil_runs(path);
	(void)read_all(&query, 50, OUT_SIZE, numbers);
	do {
		archive_health(archive, &health);
		cr_assert_eq(health.slices_quarantined, 1);
	} while (atomic_load(&aside_count) == 0);
}

Test(archive, damage_is_moved_although_the_folder_was_cleared_away)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	uint32_t n;

	fill_days(5, 90);
	slice_file(path, sizeof(path), 1, 2);
	spoil_runs(path);
	(void)snprintf(path, sizeof(path), "%s/quarantine", dir);
	cr_assert_eq(rmdir(path), 0);
	n = read_all(&query, 50, OUT_SIZE, numbers);
	cr_assert_lt(n, 450);
	for (unsigned i = 0; i < 5000 && atomic_load(&aside_count) == 0; i++)
		usleep(1000);
	expect_quarantined(1);
	cr_assert_eq(put_items(items, 450), (int)(450 - n));
}

/* ---- retention ---- */

Test(archive, slices_past_their_time_are_removed_and_no_others)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];

	archive_close(archive);
	config.retention_s = 2 * DAY;
	config.shards = 3;
	/* Of days to come, so that the minute's own expiry leaves them. */
	open_it();
	fill_days(5, 90);
	slice_file(path, sizeof(path), 1, 0);
	cr_assert_eq(access(path, F_OK), 0);
	cr_assert_eq(archive_expire(archive, START + 3 * DAY), 0);
	cr_assert_eq(archive_expire(archive, START + 3 * DAY + 1), 3);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(read_all(&query, 50, OUT_SIZE, numbers), 360);
	cr_assert_eq(numbers[359], 90);
	cr_assert_eq(archive_expire(archive, START + 3 * DAY + 1), 0);
	cr_assert_eq(archive_expire(archive, UINT32_MAX), 12);
	cr_assert_eq(read_all(&query, 50, OUT_SIZE, numbers), 0);
	/* The span can be used again at once. */
	cr_assert_eq(put_items(items, 450), 450);
}

Test(archive, the_oldest_go_when_there_are_too_many_bytes)
{
	struct archive_query query = query_all();
	struct archive_health health;
	uint32_t n;

	fill_days(5, 90);
	archive_health(archive, &health);
	archive_close(archive);
	cr_assert_eq(health.slices, 15);
	config.retention_bytes = health.bytes_on_disk / 2;
	open_it();
	/* Its writers may have looked before us. */
	(void)archive_expire(archive, START);
	archive_health(archive, &health);
	cr_assert_leq(health.bytes_on_disk, config.retention_bytes);
	cr_assert_eq(health.slices, 7);
	n = read_all(&query, 50, OUT_SIZE, numbers);
	cr_assert(n > 180 && n < 270, "%u", n);
	cr_assert_eq(numbers[179], 270);
	archive_close(archive);
	config.retention_bytes = 1;
	open_it();
	(void)archive_expire(archive, START);
	cr_assert_eq(read_all(&query, 50, OUT_SIZE, numbers), 90);
}

static uint64_t disk_bytes(void)
{
	char path[TEMPDIR_MAX + 300];
	uint64_t bytes = 0;

	for (unsigned s = 0; s < config.shards; s++) {
		struct dirent *entry;
		struct stat st;
		DIR *d;

		snprintf(path, sizeof(path), "%s/shard-%03u", dir, s);
		d = opendir(path);
		cr_assert_not_null(d);
		while ((entry = readdir(d))) {
			snprintf(path, sizeof(path), "%s/shard-%03u/%s", dir, s,
				 entry->d_name);
			if (entry->d_name[0] == 's' && stat(path, &st) == 0)
				bytes += (uint64_t)st.st_blocks * 512;
		}
		closedir(d);
	}
	return bytes;
}

/* As many as can be, four a second. */
static void put_quarters(uint32_t from)
{
	for (uint32_t i = 0; i < ITEMS_MAX; i++)
		item_make(&items[i], item_bytes[i], from + i,
			  START + (from + i) / 4, i % 50);
	cr_assert_eq(put_items(items, ITEMS_MAX), ITEMS_MAX);
}

/* A group, twice for what is being removed, and what each shard fills. */
#define OVER_MAX ((8u + 3u) << 20)

Test(archive, a_bound_on_bytes_holds_within_one_day, .timeout = 120)
{
	struct archive_query query = query_all();
	struct archive_health health;
	uint32_t count = 0, n;
	uint64_t most = 0;

	archive_close(archive);
	config.retention_bytes = 48u << 20;
	open_it();
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 24; i++, count += ITEMS_MAX) {
			put_quarters(count);
			if (disk_bytes() > most)
				most = disk_bytes();
		}
		(void)archive_expire(archive, START);
		archive_health(archive, &health);
		cr_assert_leq(health.bytes_on_disk, config.retention_bytes);
		/* What is left is what came last, most of the bound. */
		cr_assert_geq(health.bytes_on_disk,
			      config.retention_bytes / 4 * 3);
		n = read_all(&query, 500, OUT_SIZE, numbers);
		cr_assert_geq(n, 60000);
		for (uint32_t i = 0; i < 50000; i++)
			cr_assert_eq(numbers[i] / 4, (count - 1 - i) / 4);
		reopen();
	}
	cr_assert_leq(most, config.retention_bytes + OVER_MAX, "%zu",
		      (size_t)most);
	cr_assert_geq(most, config.retention_bytes);
}

/* ---- no room ---- */

Test(archive, a_full_map_goes_on_in_a_further_part)
{
	struct archive_query query = query_all();
	char path[TEMPDIR_MAX + 64];
	struct archive_item large = {.size = 3u << 20, .sent = START};

	archive_close(archive);
	tempdir_remove(dir);
	config.shards = 1;
	config.map_bytes = 1u << 20;
	open_it();
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_eq(put_range(i * 1000, 1000, 20), 1000);
	snprintf(path, sizeof(path), "%s/shard-000/slice-%u-2.mdb", dir, START);
	cr_assert_eq(access(path, F_OK), 0);
	cr_assert_eq(read_all(&query, 500, OUT_SIZE, numbers), 8000);
	/* More than one map at once, and still once only. */
	cr_assert_eq(put_range(7000, 4000, 20), 3000);
	reopen();
	cr_assert_eq(put_range(9000, 2000, 20), 0);
	cr_assert_eq(read_all(&query, 500, OUT_SIZE, numbers), 11000);
	for (uint32_t i = 0; i < 11000; i++)
		cr_assert_eq(numbers[i], 10999 - i);
	/* What fits into no map is refused, and nothing else suffers. */
	large.rlp = calloc(1, large.size);
	cr_assert_eq(put_items(&large, 1), ERR_FULL);
	cr_assert_eq(put_range(11000, 1, 20), 1);
	free((void *)(uintptr_t)large.rlp);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(archive, without_room_nothing_is_confirmed_and_reads_go_on)
{
	struct archive_query query = query_all();
	struct archive_health health;
	int err = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(put_range(0, 100, 9), 100);
	limit_files(200000);
	for (uint32_t i = 1; i < 10 && err >= 0; i++)
		err = put_range(i * 1000, 1000, 9);
	cr_assert_eq(err, ERR_IO);
	archive_health(archive, &health);
	cr_assert(!health.is_healthy);
	cr_assert_gt(health.shards_broken, 0);
	cr_assert(strstr(health.why, "cannot write"), "%s", health.why);
	cr_assert(strstr(health.why, "when there is room"), "%s", health.why);
	cr_assert_geq(read_all(&query, 500, OUT_SIZE, numbers), 100);

	limit_files(RLIM_INFINITY);
	for (unsigned i = 0; i < 10000 && !health.is_healthy; i++) {
		usleep(1000);
		archive_health(archive, &health);
	}
	cr_assert(health.is_healthy, "%s", health.why);
	cr_assert_str_empty(health.why);
	cr_assert_geq(put_range(20000, 1000, 9), 1000);
	reopen();
	cr_assert_eq(put_range(20000, 1000, 9), 0);
}

Test(archive, a_full_queue_is_an_answer)
{
	static struct waiting many[200];
	unsigned taken = 0, refused = 0;

	archive_close(archive);
	tempdir_remove(dir);
	config.shards = 1;
	config.queue_bytes_max = 20000;
	open_it();
	(void)put_range(0, 200, 1);
	for (unsigned i = 0; i < 200; i++) {
		item_make(&items[i], item_bytes[i], 1000 + i, START + i, 1);
		many[i].batch = (struct archive_batch){
			.items = &items[i], .count = 1, .done = wake};
		sem_init(&many[i].sem, 0, 0);
		if (archive_put(archive, &many[i].batch) == 0)
			taken++;
		else
			refused++;
	}
	archive_close(archive);
	for (unsigned i = 0; i < 200; i++)
		cr_assert_eq(many[i].batch.err, 0);
	cr_assert_gt(taken, 0);
	cr_assert_eq(taken + refused, 200);
	open_it();
}

Test(archive, many_small_commits_are_folded_without_loss)
{
	struct archive_query query = query_all();
	struct topic topic = {{0, 0, 0, 2}};
	struct archive_health health;

	for (uint32_t i = 0; i < 300; i++)
		cr_assert_eq(put_range(i * 3, 3, 9), 3);
	archive_health(archive, &health);
	cr_assert_eq(health.envelopes, 900);
	cr_assert_eq(health.put_envelopes, 900);
	cr_assert_geq(health.commits, 300);
	cr_assert_eq(health.oldest_sent, START);
	cr_assert_eq(health.newest_sent, START + 899);
	cr_assert_eq(read_all(&query, 100, OUT_SIZE, numbers), 900);
	for (uint32_t i = 0; i < 900; i++)
		cr_assert_eq(numbers[i], 899 - i);
	query.topics = &topic;
	query.topics_count = 1;
	cr_assert_eq(read_all(&query, 1, OUT_SIZE, numbers), 100);
	cr_assert_eq(numbers[99], 2);
}
