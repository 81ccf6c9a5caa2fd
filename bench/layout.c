#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/corpus.h"
#include "bench/lmdb_plain.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "core/clock.h"
#include "core/err.h"

#define TOPICS      1000u
#define ABSENT      1000000u
#define IN_FLIGHT   4u
#define OUT_BYTES   (8u << 20)
#define QUERIES     150u /* with --full: */
#define QUERIES_ALL 400u
#define ITEMS       25000u /* with --full: */
#define ITEMS_ALL   300000u
#define SPAN_S      80000u /* within a slice of a day */
#define JITTER_S    20u
#define BASE_S      (1700000000u - 1700000000u % 86400u)

static const struct {
	uint32_t group, count, count_full;
} groups[] = {{1, 100, 1000},
	      {100, 10000, 30000},
	      {1000, ITEMS, ITEMS_ALL},
	      {5000, ITEMS, ITEMS_ALL}};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

enum { OURS, BY_TOPIC, INDEXED, LAYOUTS };
static const char *const names[LAYOUTS] = {"restante", "lmdb-by-topic",
					   "lmdb-indexed"};
static const enum lmdb_layout kinds[LAYOUTS] = {0, LMDB_BY_TOPIC, LMDB_INDEXED};

struct comparison {
	struct bench *bench;
	struct archive_item *items;
	uint8_t *out;
	struct meters put[GROUPS][LAYOUTS];
	struct meters topic[LAYOUTS], none[LAYOUTS], all[LAYOUTS];
};

/* ---- ours: one shard, groups as large as the others' ---- */

struct flight {
	struct archive_batch batch;
	sem_t *sem;
};

static void landed(struct archive_batch *batch)
{
	if (batch->err)
		bench_fail("a commit failed: %s", err_str(batch->err));
	(void)sem_post(((struct flight *)(void *)batch)->sem);
}

static void wait_one(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		;
}

static struct archive *ours_open(const char *path, uint32_t group)
{
	struct archive_config config;
	struct archive *archive;
	char why[256];

	archive_config_default(&config);
	config.dir = path;
	config.shards = 1;
	config.retention_s = 0;
	config.group_bytes_max = (size_t)group * 512;
	config.group_wait_us = 0;
	if (archive_open(&config, &archive, why, sizeof(why)))
		bench_fail("%s", why);
	return archive;
}

static void ours_put(struct archive *archive, const struct archive_item *items,
		     uint32_t count, uint32_t group)
{
	struct flight flights[IN_FLIGHT];
	uint32_t put = 0;
	sem_t sem;

	(void)sem_init(&sem, 0, IN_FLIGHT);
	for (uint32_t at = 0; at < count; at += group, put++) {
		struct flight *f = &flights[put % IN_FLIGHT];

		/* One shard: they land in the order in which they started. */
		wait_one(&sem);
		*f = (struct flight){.sem = &sem,
				     .batch = {.items = items + at,
					       .count = group < count - at
								? group
								: count - at,
					       .done = landed}};
		if (archive_put(archive, &f->batch))
			bench_fail("the archive takes no envelopes");
	}
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		wait_one(&sem);
}

static uint32_t ours_read(struct archive *archive, const struct topic *topic,
			  uint8_t *out)
{
	const struct archive_query query = {.upper_s = UINT32_MAX,
					    .topics = topic,
					    .topics_count = topic ? 1 : 0};
	struct archive_step step = {.query = &query,
				    .limit = 1000,
				    .out = out,
				    .out_max = OUT_BYTES,
				    .budget_us = 1000000};
	uint32_t got = 0;

	for (;;) {
		if (archive_read_now(archive, &step))
			bench_fail("reading failed: %s", err_str(step.err));
		got += step.count;
		if (step.stop == ARCHIVE_STOP_END)
			return got;
		step.has_cursor = true;
		memcpy(step.cursor, step.last, ENVELOPE_KEY_SIZE);
	}
}

/* ---- one interface for both ---- */

struct open_store {
	unsigned layout;
	struct archive *archive;
	struct lmdb_plain db;
	char path[BENCH_PATH_MAX];
};

static void store_begin(const struct comparison *c, struct open_store *s,
			unsigned layout, uint32_t group)
{
	s->layout = layout;
	bench_folder(c->bench, "layout", s->path);
	if (layout == OURS)
		s->archive = ours_open(s->path, group);
	else
		lmdb_plain_open(&s->db, s->path, kinds[layout]);
}

static void store_put(struct open_store *s, const struct archive_item *items,
		      uint32_t count, uint32_t group)
{
	if (s->layout == OURS)
		ours_put(s->archive, items, count, group);
	else
		lmdb_plain_put(&s->db, items, count, group);
}

static void store_end(struct open_store *s)
{
	if (s->layout == OURS)
		archive_close(s->archive);
	else
		lmdb_plain_close(&s->db);
	bench_remove(s->path);
}

static uint32_t store_read(struct comparison *c, struct open_store *s,
			   const struct topic *topic)
{
	if (s->layout == OURS)
		return ours_read(s->archive, topic, c->out);
	return topic ? lmdb_plain_topic(&s->db, *topic, c->out, OUT_BYTES)
		     : lmdb_plain_all(&s->db, c->out, OUT_BYTES);
}

static void read_topics(struct comparison *c, struct open_store *s,
			uint32_t first, struct meters *meters)
{
	uint32_t queries = c->bench->is_full ? QUERIES_ALL : QUERIES;
	struct span span;

	span_begin(&span, 0, NULL);
	for (uint32_t i = 0; i < queries; i++) {
		struct topic topic = corpus_topic(first + i % TOPICS);
		uint64_t since_ns = clock_mono_ns();

		(void)store_read(c, s, &topic);
		histogram_add(&meters->round, clock_mono_ns() - since_ns);
	}
	span_end(&span);
	meters_add(meters, &span, queries);
}

static void measure(struct comparison *c, unsigned index, unsigned layout,
		    bool counts)
{
	uint32_t group = groups[index].group;
	uint32_t count = c->bench->is_full ? groups[index].count_full
					   : groups[index].count;
	struct open_store s;
	struct span span;

	store_begin(c, &s, layout, group);
	span_begin(&span, 0, s.path);
	store_put(&s, c->items, count, group);
	span_end(&span);
	if (counts)
		meters_add(&c->put[index][layout], &span, count);
	if (counts && group == 1000) {
		read_topics(c, &s, 0, &c->topic[layout]);
		read_topics(c, &s, ABSENT, &c->none[layout]);
		span_begin(&span, 0, NULL);
		if (store_read(c, &s, NULL) != count)
			bench_fail("%s does not give back what was put",
				   names[layout]);
		span_end(&span);
		meters_add(&c->all[layout], &span, count);
	}
	store_end(&s);
}

static void put_results(const struct comparison *c)
{
	char work[64];

	result_axis("envelopes a commit");
	for (unsigned i = 0; i < GROUPS; i++) {
		(void)snprintf(work, sizeof(work), "put, %u a commit",
			       groups[i].group);
		for (unsigned layout = 0; layout < LAYOUTS; layout++) {
			result_curve("put", groups[i].group);
			meters_put(&c->put[i][layout], "layout", work,
				   names[layout], "envelope");
		}
	}
	result_curve(NULL, 0);
	for (unsigned layout = 0; layout < LAYOUTS; layout++) {
		meters_put(&c->topic[layout], "layout", "one topic of 1000",
			   names[layout], "query");
		meters_put(&c->none[layout], "layout", "no match",
			   names[layout], "query");
		meters_put(&c->all[layout], "layout", "everything",
			   names[layout], "envelope");
	}
}

static void run(struct bench *bench)
{
	struct comparison *c = calloc(1, sizeof(*c));
	struct corpus_config config;
	struct corpus corpus;

	if (!c || !(c->out = malloc(OUT_BYTES)))
		bench_fail("no memory");
	c->bench = bench;
	corpus_config_default(&config, bench->is_full ? ITEMS_ALL : ITEMS);
	config.first_s = BASE_S;
	config.last_s = BASE_S + SPAN_S;
	config.jitter_s = JITTER_S;
	config.seed = bench->seed;
	corpus_make(&corpus, &config);
	c->items = corpus_items(&corpus);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		for (unsigned i = 0; i < GROUPS; i++)
			for (unsigned layout = 0; layout < LAYOUTS; layout++)
				measure(c, i, layout, round > 0);
	put_results(c);
	corpus_release(&corpus);
	free(c->items);
	free(c->out);
	free(c);
}

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "layout",
	.summary =
		"How the archive lays envelopes out, against two layouts of "
		"LMDB: a tree by topic, time and hash, and a tree by time "
		"with an index by topic. All in this process, one writer, full "
		"synchronisation, groups of 1, 100, 1000 and 5000; envelopes "
		"arrive in the order of time give or take 20 s. Then one "
		"topic, "
		"a topic that is not there, and everything, hot and copied. "
		"Ours hands batches to its writer thread, the others are "
		"called directly. CPU time is that of the whole process.",
	.options = options,
};

const struct scenario scenario_layout = {
	"layout", "the archive's layout against two of LMDB", &usage, run};
