#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/daemon.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/rival.h"
#include "bench/scenarios.h"
#include "core/clock.h"

#define TOPICS      1000u
#define ABSENT      1000000u
#define PER_PACKET  50u
#define CONNECTIONS 8u
#define WINDOW      8u
#define STORES_MAX  8u
#define STEP_S      120u /* `sent` rises by so much with each put */
#define SIZES_MAX   3u
#define QUERIES     200u
#define SCANNED     2000000u         /* envelopes, by who scans them all */
#define GROW_STEP   100000u          /* at most; */
#define GROW_STEPS  BENCH_ROUNDS_MIN /* at least */

enum task { TASK_TOPIC, TASK_NONE, TASK_ALL, TASKS };
static const char *const task_names[TASKS] = {"one topic of 1000", "no match",
					      "everything"};

static const struct rival *const rivals[] = {&rival_lmdb, &rival_lmdb_indexed,
					     &rival_postgresql, &rival_redis};
#define RIVALS (sizeof(rivals) / sizeof(rivals[0]))

struct store {
	const struct rival *rival;      /* NULL: ourselves */
	struct meters put;              /* into nearly empty ones */
	struct meters grown[SIZES_MAX]; /* on the way to each size */
	struct meters tasks[SIZES_MAX][TASKS];
	struct series disk; /* of the largest, B an envelope */
};

struct contest {
	struct bench *bench;
	struct daemon daemon;
	struct store stores[STORES_MAX];
	unsigned count;
	uint32_t archived;
	uint32_t next_s; /* `sent` of the next put */
	uint64_t seed;
};

static const char *name_of(const struct store *store)
{
	return store->rival ? store->rival->name : "restante";
}

/* ---- putting ---- */

static void put_ours(struct contest *c, const struct corpus *corpus,
		     struct span *span)
{
	struct packed *packed;
	struct load_post load = {.crowd = {.server = &c->daemon.enode,
					   .connections = CONNECTIONS,
					   .engine = c->bench->engine},
				 .hooks = load_hooks_span(span),
				 .window = WINDOW};

	span->pid = c->daemon.pid;
	span->dir = c->daemon.datadir;
	load.count = corpus_pack(corpus, PER_PACKET, &packed);
	load.packed = packed;
	load_post_run(&load);
	free(packed);
}

static void put_theirs(const struct rival *rival, const struct corpus *corpus,
		       struct span *span)
{
	struct archive_item *items = corpus_items(corpus);

	span_begin(span, rival->pid(), rival->dir());
	rival->put(items, corpus->config.count);
	span_stop(span);
	free(items);
}

enum { NOT_COUNTED = -2, FIRST_PUTS = -1 };

static struct meters *meters_of(struct store *store, int size)
{
	if (size == NOT_COUNTED)
		return NULL;
	return size == FIRST_PUTS ? &store->put : &store->grown[size];
}

/* The same envelopes for everybody. `size` is one of the above or an index. */
static void put_round(struct contest *c, uint32_t count, int size)
{
	struct corpus_config config;
	struct corpus corpus;

	corpus_config_default(&config, count);
	config.seed = c->seed++;
	config.first_s = c->next_s;
	config.last_s = c->next_s + STEP_S - 1;
	c->next_s += STEP_S;
	corpus_make(&corpus, &config);
	for (unsigned i = 0; i < c->count; i++) {
		struct store *store = &c->stores[i];
		struct meters *meters = meters_of(store, size);
		struct span span = {0};

		if (store->rival)
			put_theirs(store->rival, &corpus, &span);
		else
			put_ours(c, &corpus, &span);
		span_end(&span);
		if (meters)
			meters_add(meters, &span, count);
	}
	corpus_release(&corpus);
	c->archived += count;
}

/* ---- asking ---- */

struct question {
	enum task task;
	uint64_t seed;
	uint32_t queries;
	struct topic topic;
};

static struct topic topic_of(const struct question *q, uint64_t number)
{
	uint64_t state = q->seed + number;
	uint32_t random = (uint32_t)(bench_random(&state) >> 33);

	return corpus_topic(q->task == TASK_NONE ? ABSENT + random
						 : random % TOPICS);
}

static bool next_ours(void *ctx, uint64_t number, struct mail_query *query)
{
	struct question *q = ctx;

	if (number >= q->queries)
		return false;
	if (q->task == TASK_ALL) {
		load_ask_all(query);
		return true;
	}
	q->topic = topic_of(q, number);
	load_ask_topic(query, &q->topic);
	return true;
}

static uint64_t ask_ours(struct contest *c, struct question *q,
			 struct span *span, struct histogram *times)
{
	struct load_pull load = {.crowd = {.server = &c->daemon.enode,
					   .connections = 1,
					   .engine = c->bench->engine},
				 .hooks = load_hooks_span(span),
				 .next = next_ours,
				 .ctx = q,
				 .queries_time = times};

	span->pid = c->daemon.pid;
	span->dir = NULL;
	load_pull_run(&load);
	return load.envelopes;
}

static uint64_t ask_theirs(const struct rival *rival, const struct question *q,
			   struct span *span, struct histogram *times)
{
	uint64_t got = 0;

	span_begin(span, rival->pid(), NULL);
	for (uint32_t i = 0; i < q->queries; i++) {
		uint64_t since_ns = clock_mono_ns();

		got += q->task == TASK_ALL ? rival->all()
					   : rival->topic(topic_of(q, i));
		histogram_add(times, clock_mono_ns() - since_ns);
	}
	span_stop(span);
	return got;
}

/* How often: little where each scans all. */
static uint32_t queries_of(const struct contest *c, const struct store *store,
			   enum task task)
{
	uint32_t scans = SCANNED / c->archived;

	if (task == TASK_ALL)
		return 1;
	if (store->rival != &rival_lmdb)
		return QUERIES;
	return scans < 2 ? 2 : scans;
}

static void ask_round(struct contest *c, unsigned size, bool counts)
{
	for (unsigned task = 0; task < TASKS; task++) {
		for (unsigned i = 0; i < c->count; i++) {
			struct store *store = &c->stores[i];
			struct meters *meters = &store->tasks[size][task];
			struct question q = {
				.task = (enum task)task,
				.seed = c->seed,
				.queries = queries_of(c, store, task)};
			struct span span = {0};
			uint64_t got;

			got = store->rival
				      ? ask_theirs(store->rival, &q, &span,
						   &meters->round)
				      : ask_ours(c, &q, &span, &meters->round);
			span_end(&span);
			if (task == TASK_ALL && got != c->archived)
				bench_fail("%s gave %lu envelopes of %u",
					   name_of(store), (unsigned long)got,
					   c->archived);
			if (task == TASK_NONE && got != 0)
				bench_fail("%s found what is not there",
					   name_of(store));
			if (counts)
				meters_add(meters, &span,
					   task == TASK_ALL
						   ? (double)got
						   : (double)q.queries);
			histogram_clear(&meters->round);
		}
	}
	c->seed++;
}

/* ---- all ---- */

static void start_all(struct contest *c)
{
	char datadir[BENCH_PATH_MAX], why[RIVAL_WHY_MAX];

	daemon_start(&c->daemon, c->bench,
		     bench_folder(c->bench, "ours", datadir), NULL);
	result_axis("envelopes in the archive");
	result_note("rivals", "restante", daemon_settings());
	c->stores[c->count++].rival = NULL;
	for (unsigned i = 0; i < RIVALS; i++) {
		if (!rivals[i]->start(c->bench, why)) {
			char text[RIVAL_WHY_MAX + 16];

			(void)snprintf(text, sizeof(text), "skipped: %s", why);
			result_note("rivals", rivals[i]->name, text);
			continue;
		}
		result_note("rivals", rivals[i]->name, rivals[i]->settings);
		c->stores[c->count++].rival = rivals[i];
	}
}

static void stop_all(struct contest *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->stores[i].rival)
			c->stores[i].rival->stop();
	daemon_stop(&c->daemon);
	bench_remove(c->daemon.datadir);
}

static void put_puts(const struct contest *c, const uint32_t *sizes,
		     unsigned sizes_count)
{
	char work[96];

	result_curve("durable ingest", sizes[0]);
	for (unsigned i = 0; i < c->count; i++)
		meters_put(&c->stores[i].put, "rivals", "durable ingest",
			   name_of(&c->stores[i]), "envelope");
	for (unsigned size = 1; size < sizes_count; size++) {
		(void)snprintf(work, sizeof(work), "durable ingest, up to %u",
			       sizes[size]);
		result_curve("durable ingest", sizes[size]);
		for (unsigned i = 0; i < c->count; i++)
			meters_put(&c->stores[i].grown[size], "rivals", work,
				   name_of(&c->stores[i]), "envelope");
	}
	result_curve(NULL, 0);
}

static void put_tasks(const struct contest *c, const uint32_t *sizes,
		      unsigned sizes_count)
{
	char work[96];

	for (unsigned size = 0; size < sizes_count; size++) {
		for (unsigned task = 0; task < TASKS; task++) {
			(void)snprintf(work, sizeof(work), "%s, %u",
				       task_names[task], sizes[size]);
			result_curve(task_names[task], sizes[size]);
			for (unsigned i = 0; i < c->count; i++)
				meters_put(&c->stores[i].tasks[size][task],
					   "rivals", work,
					   name_of(&c->stores[i]),
					   task == TASK_ALL ? "envelope"
							    : "query");
		}
	}
	result_curve(NULL, 0);
}

static void take_sizes(struct contest *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct store *store = &c->stores[i];
		const char *dir =
			store->rival ? store->rival->dir() : c->daemon.datadir;

		series_add(&store->disk,
			   (double)bench_folder_bytes(dir) / c->archived);
	}
}

static void put_sizes(const struct contest *c)
{
	char work[64];

	(void)snprintf(work, sizeof(work), "on disk, %u", c->archived);
	for (unsigned i = 0; i < c->count; i++)
		meters_put_one(&c->stores[i].disk, "rivals", work,
			       name_of(&c->stores[i]), "disk", "B/envelope",
			       false);
}

/* The way to the smallest is not counted: its last step is a small rest. */
static void grow_to(struct contest *c, uint32_t size, int index)
{
	uint32_t way = c->archived < size ? size - c->archived : 0;
	uint32_t step =
		way / GROW_STEPS < GROW_STEP ? way / GROW_STEPS : GROW_STEP;

	if (step == 0)
		step = way;
	while (c->archived < size) {
		uint32_t left = size - c->archived;

		put_round(c, left < step || index == 0 ? left : step,
			  index == 0 || left < step ? NOT_COUNTED : index);
	}
}

static void run(struct bench *bench)
{
	static const uint32_t all_sizes[SIZES_MAX] = {100000, 300000, 1000000};
	static const double shares[SIZES_MAX] = {0.25, 0.35, 1};
	uint32_t step = (uint32_t)settings_u64(bench->options, "envelopes");
	unsigned sizes = bench->is_full ? SIZES_MAX : 1;
	struct contest *c = calloc(1, sizeof(*c));

	if (!c)
		bench_fail("no memory");
	c->bench = bench;
	c->seed = bench->seed;
	/* Enough seconds before now for every put. */
	c->next_s = clock_wall_s() - 3600 * 10;
	start_all(c);
	bench_rounds(bench, bench->is_full ? 0.2 : 0.5);
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		put_round(c, step, round > 0 ? FIRST_PUTS : NOT_COUNTED);
	for (unsigned size = 0; size < sizes; size++) {
		bench_rounds(bench, size + 1 == sizes ? 1 : shares[size]);
		grow_to(c, all_sizes[size], (int)size);
		for (unsigned round = 0; bench_has_round(bench, round);
		     round++) {
			ask_round(c, size, round > 0);
			if (size + 1 == sizes && round > 0 &&
			    round <= bench->rounds)
				take_sizes(c);
		}
	}
	put_puts(c, all_sizes, sizes);
	put_tasks(c, all_sizes, sizes);
	put_sizes(c);
	stop_all(c);
	free(c);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"envelopes", NULL, SETTING_U64, "14000", "1000", "1000000",
	 "envelopes", "put into each in a round"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "rivals",
	.summary =
		"The same envelopes into this server and into others that "
		"could keep them: PostgreSQL 15 with the table and index that "
		"such a mail server uses, Redis streams, and LMDB called "
		"directly. Every one says so only when they are on the disk. "
		"Then one topic of 1000, a topic that is not there, and "
		"everything; with --full again as the archives grow to "
		"300 000 and 1 000 000, in five steps and seven that are "
		"the rounds of that ingest.\n\n"
		"The servers run on loopback with their data in a temporary "
		"folder and end with the bench. This one speaks devp2p, "
		"encrypted and authenticated; the others do not, and LMDB "
		"has no network at all. Those not installed are skipped with "
		"a line that says so. Measured as in `ingest` and `fetch`, "
		"the CPU time of a server with its child processes.",
	.options = options,
};

const struct scenario scenario_rivals = {
	"rivals", "the same work for PostgreSQL, Redis and LMDB", &usage, run};
