/*
 * How the archive lays envelopes out, against two obvious LMDB layouts, in
 * one run: puts a second, CPU and device bytes an envelope at several group
 * sizes, and what reading costs afterwards.
 *
 *	restante-bench-layout [DIR [ENVELOPES]]
 *
 * topic-clustered: one B-tree, topic ‖ sent ‖ hash → envelope.
 * time-ordered:    one B-tree, sent ‖ hash → envelope, and one of
 *                  topic ‖ sent ‖ hash → nothing.
 *
 * All commit with full synchronisation. Device bytes are the block device's
 * own counter, so other writers on the machine show: a round is done three
 * times and the smallest counts.
 */
#include <errno.h>
#include <lmdb.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/archive.h"

#define SIZE      512u
#define TOPICS    1000u
#define REPEATS   3u
#define IN_FLIGHT 4u
#define OUT_SIZE  (8u << 20)
#define QUERIES   400u
#define TIME_S    80000u /* a slice of a day */
#define BASE_S    (1700000000u - 1700000000u % 86400u)
#define MAP_BYTES ((size_t)4 << 30)
#define TOPIC_KEY (TOPIC_SIZE + ENVELOPE_KEY_SIZE)

static struct archive_item *items;
static uint8_t *bytes;
static uint32_t count;
static char dir[3072];
static uint8_t *out;

static void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static uint64_t random_u64(uint64_t i)
{
	return XXH3_64bits_withSeed(&i, sizeof(i), 42);
}

/* Sent in the order of time, as envelopes arrive, give or take 20 s. */
static void make_items(void)
{
	items = calloc(count, sizeof(*items));
	bytes = malloc((size_t)count * SIZE);
	out = malloc(OUT_SIZE);
	if (!items || !bytes || !out)
		fail("memory", "not enough");
	for (size_t i = 0; i < (size_t)count * SIZE; i += 8) {
		uint64_t word = random_u64(i);

		memcpy(bytes + i, &word, 8);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t r = random_u64(i);

		items[i].rlp = bytes + (size_t)i * SIZE;
		items[i].size = SIZE;
		items[i].sent = BASE_S + (uint32_t)(r >> 40) % 20 +
				(uint32_t)((uint64_t)i * TIME_S / count);
		be32_store(items[i].topic.bytes,
			   (uint32_t)random_u64(r % TOPICS));
		memcpy(items[i].hash, items[i].rlp, ENVELOPE_HASH_SIZE);
	}
}

/* ---- meters ---- */

struct meter {
	uint64_t ns, cpu_ns, device;
};

static uint64_t device_bytes(void)
{
	unsigned long long field[7];
	char path[128];
	struct stat st;
	FILE *file;
	int got;

	if (stat(dir, &st) != 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat",
		       major(st.st_dev), minor(st.st_dev));
	file = fopen(path, "r");
	if (!file)
		return 0;
	got = fscanf(file, "%llu %llu %llu %llu %llu %llu %llu", &field[0],
		     &field[1], &field[2], &field[3], &field[4], &field[5],
		     &field[6]);
	(void)fclose(file);
	return got == 7 ? field[6] * 512 : 0;
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static void meter_start(struct meter *m)
{
	sync();
	m->device = device_bytes();
	m->cpu_ns = cpu_ns();
	m->ns = clock_mono_ns();
}

static void meter_stop(struct meter *m)
{
	m->ns = clock_mono_ns() - m->ns;
	m->cpu_ns = cpu_ns() - m->cpu_ns;
	sync();
	m->device = device_bytes() - m->device;
}

static void meter_min(struct meter *best, const struct meter *m)
{
	if (best->ns == 0 || m->ns < best->ns)
		best->ns = m->ns;
	if (best->cpu_ns == 0 || m->cpu_ns < best->cpu_ns)
		best->cpu_ns = m->cpu_ns;
	if (best->device == 0 || m->device < best->device)
		best->device = m->device;
}

static void empty_dir(const char *name, char path[static 4096])
{
	char command[5000];

	(void)snprintf(path, 4096, "%s/%s", dir, name);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0 || mkdir(path, 0700) != 0)
		fail(path, "cannot be made");
}

/* ---- ours ---- */

struct flight {
	struct archive_batch batch;
	sem_t *sem;
};

static void landed(struct archive_batch *batch)
{
	sem_post(((struct flight *)(void *)batch)->sem);
}

static struct archive *ours_open(const char *path, unsigned shards,
				 uint32_t group)
{
	struct archive_config config;
	struct archive *archive;
	char why[256];

	archive_config_default(&config);
	config.dir = path;
	config.shards = shards;
	config.retention_s = 0;
	config.map_bytes = MAP_BYTES;
	config.group_bytes_max = (size_t)group * SIZE;
	config.group_wait_us = 0;
	if (archive_open(&config, &archive, why, sizeof(why)))
		fail(path, why);
	return archive;
}

static void ours_put(struct archive *archive, uint32_t n, uint32_t group)
{
	struct flight flights[IN_FLIGHT];
	uint32_t put = 0;
	sem_t sem;

	sem_init(&sem, 0, IN_FLIGHT);
	for (uint32_t at = 0; at < n; at += group, put++) {
		struct flight *f = &flights[put % IN_FLIGHT];

		/* One shard: they land in the order in which they started. */
		while (sem_wait(&sem) != 0)
			;
		*f = (struct flight){
			.sem = &sem,
			.batch = {.items = items + at,
				  .count = group < n - at ? group : n - at,
				  .done = landed}};
		if (archive_put(archive, &f->batch))
			fail("put", "refused");
	}
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		while (sem_wait(&sem) != 0)
			;
}

static void ours_ingest(uint32_t n, uint32_t group, struct meter *m)
{
	char path[4096];
	struct archive *archive;

	empty_dir("ours", path);
	archive = ours_open(path, 1, group);
	meter_start(m);
	ours_put(archive, n, group);
	meter_stop(m);
	archive_close(archive);
}

/* ---- the two rivals ---- */

struct rival {
	MDB_env *env;
	MDB_dbi main, index;
	bool by_topic;
};

static void check(int rc)
{
	if (rc)
		fail("lmdb", mdb_strerror(rc));
}

static void rival_open(struct rival *r, const char *path, bool by_topic)
{
	MDB_txn *txn;

	r->by_topic = by_topic;
	check(mdb_env_create(&r->env));
	check(mdb_env_set_mapsize(r->env, MAP_BYTES));
	check(mdb_env_set_maxdbs(r->env, 2));
	check(mdb_env_open(r->env, path, MDB_NOTLS, 0600));
	check(mdb_txn_begin(r->env, NULL, 0, &txn));
	check(mdb_dbi_open(txn, "main", MDB_CREATE, &r->main));
	check(mdb_dbi_open(txn, "index", MDB_CREATE, &r->index));
	check(mdb_txn_commit(txn));
}

static void rival_key(const struct archive_item *item,
		      uint8_t key[static TOPIC_KEY])
{
	memcpy(key, item->topic.bytes, TOPIC_SIZE);
	envelope_key(item->sent, item->hash, key + TOPIC_SIZE);
}

static void rival_put_one(struct rival *r, MDB_txn *txn,
			  const struct archive_item *item)
{
	uint8_t key[TOPIC_KEY];
	unsigned skip = r->by_topic ? 0 : TOPIC_SIZE;
	MDB_val k = {.mv_data = key + skip, .mv_size = TOPIC_KEY - skip};
	MDB_val v = {.mv_size = item->size};
	MDB_val whole = {.mv_data = key, .mv_size = TOPIC_KEY}, none = {0};
	int rc;

	rival_key(item, key);
	rc = mdb_put(txn, r->main, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST)
		return;
	check(rc);
	memcpy(v.mv_data, item->rlp, item->size);
	if (!r->by_topic)
		check(mdb_put(txn, r->index, &whole, &none, 0));
}

static void rival_put(struct rival *r, uint32_t n, uint32_t group)
{
	for (uint32_t at = 0; at < n; at += group) {
		uint32_t end = group < n - at ? at + group : n;
		MDB_txn *txn;

		check(mdb_txn_begin(r->env, NULL, 0, &txn));
		for (uint32_t i = at; i < end; i++)
			rival_put_one(r, txn, &items[i]);
		check(mdb_txn_commit(txn));
	}
}

static void rival_ingest(bool by_topic, uint32_t n, uint32_t group,
			 struct meter *m)
{
	char path[4096];
	struct rival r;

	empty_dir("rival", path);
	rival_open(&r, path, by_topic);
	meter_start(m);
	rival_put(&r, n, group);
	meter_stop(m);
	mdb_env_close(r.env);
}

/* The newest envelopes of a topic first; copies them to `out`. */
static uint32_t rival_topic(struct rival *r, struct topic topic)
{
	uint8_t key[TOPIC_KEY];
	MDB_val k = {.mv_data = key, .mv_size = TOPIC_KEY}, v, main_key;
	MDB_cursor *cursor;
	MDB_txn *txn;
	uint32_t got = 0;
	int rc;

	memcpy(key, topic.bytes, TOPIC_SIZE);
	memset(key + TOPIC_SIZE, 0xff, ENVELOPE_KEY_SIZE);
	check(mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn));
	check(mdb_cursor_open(txn, r->by_topic ? r->main : r->index, &cursor));
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	rc = mdb_cursor_get(cursor, &k, &v, rc ? MDB_LAST : MDB_PREV);
	while (rc == 0 && memcmp(k.mv_data, topic.bytes, TOPIC_SIZE) == 0 &&
	       got < OUT_SIZE / SIZE) {
		if (!r->by_topic) {
			main_key.mv_data = (uint8_t *)k.mv_data + TOPIC_SIZE;
			main_key.mv_size = ENVELOPE_KEY_SIZE;
			check(mdb_get(txn, r->main, &main_key, &v));
		}
		memcpy(out + (size_t)got++ * SIZE, v.mv_data, SIZE);
		rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return got;
}

/* Everything in the order of the tree, which for topics is not time's. */
static uint32_t rival_all(struct rival *r)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;
	uint32_t got = 0;

	check(mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn));
	check(mdb_cursor_open(txn, r->main, &cursor));
	for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST); rc == 0;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV))
		memcpy(out + (size_t)(got++ % (OUT_SIZE / SIZE)) * SIZE,
		       v.mv_data, SIZE);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return got;
}

/* ---- reading ---- */

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct topic topic_of(uint64_t number)
{
	struct topic topic;

	be32_store(topic.bytes, (uint32_t)random_u64(number));
	return topic;
}

static uint32_t ours_read(struct archive *archive,
			  const struct archive_query *query, uint32_t limit,
			  uint64_t *first_ns, uint64_t *last_ns)
{
	struct archive_step step = {.query = query,
				    .limit = limit,
				    .out = out,
				    .out_max = OUT_SIZE,
				    .budget_us = 1000000};
	uint32_t got = 0;

	*first_ns = 0;
	for (;;) {
		uint64_t ns = clock_mono_ns();

		if (archive_read_now(archive, &step))
			fail("read", err_str(step.err));
		ns = clock_mono_ns() - ns;
		if (*first_ns == 0)
			*first_ns = ns;
		if (step.count == limit)
			*last_ns = ns;
		got += step.count;
		if (step.stop == ARCHIVE_STOP_END)
			return got;
		step.has_cursor = true;
		memcpy(step.cursor, step.last, ENVELOPE_KEY_SIZE);
	}
}

static void ours_reads(uint32_t group, unsigned shards)
{
	struct archive_query query = {.upper_s = UINT32_MAX};
	uint64_t ns[QUERIES], last_ns = 0, first_ns;
	struct archive *archive;
	char path[4096];
	uint32_t got = 0;
	struct topic topic;

	empty_dir("ours", path);
	archive = ours_open(path, shards, group);
	ours_put(archive, count, group);
	query.topics = &topic;
	query.topics_count = 1;
	for (unsigned miss = 0; miss < 2; miss++) {
		for (unsigned i = 0; i < QUERIES; i++) {
			topic = topic_of(miss * 100000 + i % TOPICS);
			got = ours_read(archive, &query, OUT_SIZE / SIZE,
					&ns[i], &last_ns);
		}
		qsort(ns, QUERIES, sizeof(ns[0]), compare_u64);
		printf("  ours, groups of %u, %u shards: %s p50 %.1f us, p99 "
		       "%.1f us (%u envelopes)\n",
		       group, shards, miss ? "no match" : "one topic",
		       (double)ns[QUERIES / 2] / 1e3,
		       (double)ns[QUERIES * 99 / 100] / 1e3, got);
	}
	query.topics_count = 0;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at = clock_mono_ns();

		got = ours_read(archive, &query, 1000, &first_ns, &last_ns);
		at = clock_mono_ns() - at;
		ns[i] = at;
	}
	qsort(ns, 3, sizeof(ns[0]), compare_u64);
	printf("  ours, groups of %u, %u shards: everything %.3f us each in "
	       "pages of 1000; first page %.0f us, last %.0f us\n",
	       group, shards, (double)ns[1] / 1e3 / got, (double)first_ns / 1e3,
	       (double)last_ns / 1e3);
	archive_close(archive);
}

static void rival_reads(bool by_topic)
{
	const char *name = by_topic ? "topic-clustered" : "time-ordered";
	uint64_t ns[QUERIES], at;
	char path[4096];
	struct rival r;
	uint32_t got = 0;

	empty_dir("rival", path);
	rival_open(&r, path, by_topic);
	rival_put(&r, count, 1000);
	for (unsigned i = 0; i < QUERIES; i++) {
		at = clock_mono_ns();
		got = rival_topic(&r, topic_of(i % TOPICS));
		ns[i] = clock_mono_ns() - at;
	}
	qsort(ns, QUERIES, sizeof(ns[0]), compare_u64);
	printf("  %s: one topic p50 %.1f us, p99 %.1f us (%u envelopes)\n",
	       name, (double)ns[QUERIES / 2] / 1e3,
	       (double)ns[QUERIES * 99 / 100] / 1e3, got);
	at = clock_mono_ns();
	got = rival_all(&r);
	printf("  %s: everything %.3f us each\n", name,
	       (double)(clock_mono_ns() - at) / 1e3 / got);
	mdb_env_close(r.env);
}

/* ---- all together ---- */

static void print_meter(const char *name, uint32_t n, uint32_t group,
			const struct meter *m)
{
	printf("  %-16s groups of %4u: %7.0f/s  %7.2f us CPU  %7.0f device "
	       "bytes, each\n",
	       name, group, n / ((double)m->ns / 1e9),
	       (double)m->cpu_ns / 1e3 / n, (double)m->device / n);
	(void)fflush(stdout);
}

static void ingest(uint32_t n, uint32_t group)
{
	struct meter best[3] = {{0}}, m;

	for (unsigned i = 0; i < REPEATS; i++) {
		ours_ingest(n, group, &m);
		meter_min(&best[0], &m);
		rival_ingest(true, n, group, &m);
		meter_min(&best[1], &m);
		rival_ingest(false, n, group, &m);
		meter_min(&best[2], &m);
	}
	print_meter("ours", n, group, &best[0]);
	print_meter("topic-clustered", n, group, &best[1]);
	print_meter("time-ordered", n, group, &best[2]);
}

static uint32_t at_most(uint32_t n)
{
	return n < count ? n : count;
}

int main(int argc, char **argv)
{
	(void)snprintf(dir, sizeof(dir), "%s/restante-bench-layout-%d",
		       argc > 1 ? argv[1] : "/tmp", (int)getpid());
	count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 300000;
	if (count < 1000 || mkdir(dir, 0700) != 0)
		fail(dir, count < 1000 ? "too few" : "cannot be made");
	make_items();
	printf("ingest, %u B over %u topics, full synchronisation\n", SIZE,
	       TOPICS);
	ingest(at_most(1000), 1);
	ingest(at_most(30000), 100);
	ingest(count, 1000);
	ingest(count, 5000);
	printf("reads from %u envelopes, hot\n", count);
	ours_reads(1000, 1);
	ours_reads(100, 1);
	ours_reads(1000, 4);
	rival_reads(true);
	rival_reads(false);
	free(items);
	free(bytes);
	free(out);
	return rmdir(dir) == 0 || errno == ENOTEMPTY ? 0 : 1;
}
