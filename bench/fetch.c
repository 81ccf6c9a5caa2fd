#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/daemon.h"
#include "bench/fill.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "core/clock.h"

#define TOPICS       1000
#define TOPICS_ASKED 100
#define ABSENT       1000000 /* no envelope has topics from here on */

enum what {
	EVERYTHING,
	EVERYTHING_BLOOM, /* asked for by a bloom of all ones */
	ONE_TOPIC,
	MANY_TOPICS,
	NO_TOPIC,
	SPARSE_BLOOM, /* made of one topic; others match it by chance */
};

static const char *const names[] = {
	"everything", "everything, bloom of all ones",
	"one topic",  "100 topics",
	"no match",   "sparse bloom"};

struct kind {
	enum what what;
	unsigned clients;
	uint32_t page;
	uint32_t queries; /* of all clients in a round */
	uint32_t pages;   /* of each, 0: to the end */
	bool is_cold;
	bool in_quick;
};

static const struct kind kinds[] = {
	{EVERYTHING, 1, 1000, 1, 0, false, true},
	{EVERYTHING, 8, 1000, 8, 0, false, true},
	{EVERYTHING, 64, 1000, 64, 40, false, false},
	{EVERYTHING, 8, 100, 8, 0, false, false},
	{EVERYTHING, 1, 1000, 1, 0, true, false},
	{EVERYTHING_BLOOM, 8, 1000, 8, 0, false, false},
	{ONE_TOPIC, 1, 1000, 500, 0, false, true},
	{ONE_TOPIC, 8, 1000, 2000, 0, false, true},
	{ONE_TOPIC, 1, 1000, 100, 0, true, false},
	{MANY_TOPICS, 1, 1000, 4, 0, false, true},
	{MANY_TOPICS, 8, 1000, 16, 0, false, false},
	{NO_TOPIC, 1, 1000, 2000, 0, false, true},
	{NO_TOPIC, 8, 1000, 8000, 0, false, false},
	{SPARSE_BLOOM, 1, 1000, 200, 0, false, true},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct asker {
	const struct kind *kind;
	struct span span;
	uint64_t seed;
	struct topic topics[256][TOPICS_ASKED]; /* of each query under way */
};

static void begin(void *ctx)
{
	struct asker *asker = ctx;

	span_begin(&asker->span, asker->span.pid, NULL);
}

static void done(void *ctx)
{
	span_stop(&((struct asker *)ctx)->span);
}

static void ask_topics(struct mail_query *query, struct topic *topics,
		       uint32_t first, uint32_t count, uint32_t modulus)
{
	for (uint32_t i = 0; i < count; i++) {
		topics[i] = corpus_topic(modulus ? (first + i) % modulus
						 : ABSENT + first + i);
		bloom_add_deployed(&query->bloom, topics[i]);
	}
	query->has_bloom = true;
	query->topics = topics[0].bytes;
	query->topics_count = count;
}

static bool next(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;
	const struct kind *kind = asker->kind;
	struct topic *topics = asker->topics[number % 256];
	uint64_t state = asker->seed + number;
	uint32_t random = (uint32_t)(bench_random(&state) >> 33);

	if (number >= kind->queries)
		return false;
	query->limit = kind->page;
	query->upper_s = clock_wall_s();
	switch (kind->what) {
	case EVERYTHING:
	case EVERYTHING_BLOOM:
		query->has_bloom = true;
		memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
		break;
	case ONE_TOPIC:
		ask_topics(query, topics, random, 1, TOPICS);
		break;
	case MANY_TOPICS:
		ask_topics(query, topics, random, TOPICS_ASKED, TOPICS);
		break;
	case NO_TOPIC:
		ask_topics(query, topics, random, 1, 0);
		break;
	case SPARSE_BLOOM:
		query->has_bloom = true;
		bloom_add_deployed(&query->bloom,
				   corpus_topic(random % TOPICS));
		break;
	}
	return true;
}

/* What a round delivers, if that is known. */
static uint64_t expected(const struct kind *kind, uint64_t archived)
{
	if (kind->what == EVERYTHING || kind->what == EVERYTHING_BLOOM)
		return kind->pages ? (uint64_t)kind->pages * kind->page *
					     kind->queries
				   : archived * kind->queries;
	return kind->what == NO_TOPIC ? 0 : UINT64_MAX;
}

static void measure(const struct bench *bench, const struct daemon *daemon,
		    const struct kind *kind, uint64_t seed, uint64_t archived,
		    struct meters *meters, struct meters *per_query)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = kind->clients,
			  .engine = bench->engine},
		.hooks = {.begin = begin, .done = done, .ctx = asker},
		.next = next,
		.ctx = asker,
		.pages_max = kind->pages,
		.pages_time = &meters->round,
		.queries_time = &per_query->round,
	};
	uint64_t want = expected(kind, archived);

	if (!asker)
		bench_fail("no memory");
	asker->kind = kind;
	asker->seed = seed;
	asker->span.pid = daemon->pid;
	if (kind->is_cold)
		bench_drop_pages(daemon->datadir);
	load_pull_run(&load);
	span_end(&asker->span);
	if (want != UINT64_MAX && load.envelopes != want)
		bench_fail("%s: %lu envelopes came instead of %lu",
			   names[kind->what], (unsigned long)load.envelopes,
			   (unsigned long)want);
	meters_add(meters, &asker->span, (double)load.envelopes);
	meters_add(per_query, &asker->span, (double)load.queries);
	free(asker);
}

static void put(const struct kind *kind, uint32_t archived,
		const struct meters *meters, const struct meters *per_query)
{
	char work[128];
	bool is_all =
		kind->what == EVERYTHING || kind->what == EVERYTHING_BLOOM;

	(void)snprintf(work, sizeof(work),
		       "%s of %u, pages of %u, %u clients%s", names[kind->what],
		       archived, kind->page, kind->clients,
		       kind->is_cold ? ", cold" : "");
	if (is_all)
		meters_put(meters, "fetch", work, "restante", "envelope");
	else
		meters_put(per_query, "fetch", work, "restante", "query");
	if (!is_all && meters->cpu.count > 0)
		meters_put_one(&meters->cpu, "fetch", work, "restante",
			       "cpu_envelope", "us/envelope", false);
}

static struct kind asked_for(const struct bench *bench)
{
	const struct settings *s = bench->options;
	struct kind kind = {.what = (enum what)settings_word(s, "what"),
			    .clients = (unsigned)settings_u64(s, "clients"),
			    .page = (uint32_t)settings_u64(s, "page"),
			    .queries = (uint32_t)settings_u64(s, "queries"),
			    .in_quick = true};

	if (kind.queries == 0)
		kind.queries = kind.clients;
	return kind;
}

static void run(struct bench *bench)
{
	uint32_t archived = (uint32_t)settings_u64(bench->options, "envelopes");
	struct meters *meters = calloc(KINDS * 2, sizeof(*meters));
	struct meters spare = {0};
	struct kind list[KINDS];
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	unsigned count = 0;

	if (!meters)
		bench_fail("no memory");
	if (settings_is_given(bench->options, "what"))
		list[count++] = asked_for(bench);
	else
		for (unsigned i = 0; i < KINDS; i++)
			if (bench->is_full || kinds[i].in_quick)
				list[count++] = kinds[i];
	bench_folder(bench, "fetch", datadir);
	fill_archive(datadir, archived, bench->seed);
	daemon_start(&daemon, bench, datadir, NULL);
	for (unsigned round = 0; round <= bench->rounds; round++)
		for (unsigned i = 0; i < count; i++)
			measure(bench, &daemon, &list[i],
				bench->seed + round * 7919u, archived,
				round ? &meters[2 * i] : &spare,
				round ? &meters[2 * i + 1] : &spare);
	daemon_stop(&daemon);
	for (unsigned i = 0; i < count; i++)
		put(&list[i], archived, &meters[2 * i], &meters[2 * i + 1]);
	bench_remove(datadir);
	free(meters);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"envelopes", NULL, SETTING_U64, "200000", "1000", "100000000",
	 "envelopes", "in the archive"},
	{"what", NULL, SETTING_WORD, "all", NULL, NULL,
	 "all|all-ones|topic|topics|none|bloom",
	 "one case of one's own: what is asked for"},
	{"clients", NULL, SETTING_U64, "8", "1", "256", "clients",
	 "of that case, a connection each"},
	{"page", NULL, SETTING_U64, "1000", "1", "1000", "envelopes",
	 "of its requests"},
	{"queries", NULL, SETTING_U64, "0", "0", "10000000", "queries",
	 "of all its clients in a round; 0: one each"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "fetch",
	.summary =
		"History over devp2p on loopback from the real server: "
		"everything, one topic of 1000, 100 topics, a topic that no "
		"envelope has, a sparse bloom; each client follows the cursor "
		"to the end and asks for the next page when one is complete. "
		"The archive holds envelopes of 512 B over 1000 topics within "
		"the last day.\n\n"
		"Measured: envelopes or queries a second, CPU time of the "
		"server and of the load apart, time of a page and of a query. "
		"The load decrypts, checks MACs and counts envelopes, and does "
		"not hash them. `cold`: the files' pages are dropped before. "
		"Not measured: handshakes; and the network, which is "
		"loopback.",
	.options = options,
};

const struct scenario scenario_fetch = {"fetch", "history over devp2p", &usage,
					run};
