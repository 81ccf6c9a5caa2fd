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
	EVERYTHING,  /* asked for by a bloom of all ones */
	DENSE_BLOOM, /* all ones but one bit: each topic must be looked at */
	ONE_TOPIC,
	MANY_TOPICS,
	NO_TOPIC,
	SPARSE_BLOOM, /* made of one topic; others match it by chance */
	WHATS
};

static const char *const names[WHATS] = {"everything", "bloom, one bit unset",
					 "one topic",  "100 topics",
					 "no match",   "sparse bloom"};

struct kind {
	enum what what;
	unsigned clients;
	uint32_t page;
	uint32_t queries; /* of all clients in a round; 0: by time */
	uint32_t pages;   /* of each, 0: to the end */
	bool is_cold;
};

static const struct kind quick_kinds[] = {
	{EVERYTHING, 1, 1000, 0, 0, false},
	{EVERYTHING, 8, 1000, 0, 0, false},
	{DENSE_BLOOM, 8, 1000, 0, 0, false},
	{ONE_TOPIC, 1, 1000, 0, 0, false},
	{ONE_TOPIC, 8, 1000, 0, 0, false},
	{ONE_TOPIC, 1, 1000, 0, 0, true},
	{MANY_TOPICS, 1, 1000, 0, 0, false},
	{NO_TOPIC, 1, 1000, 0, 0, false},
	{SPARSE_BLOOM, 1, 1000, 0, 0, false},
};
static const unsigned clients_of[] = {1, 8, 64};
static const uint32_t pages_of[] = {1000, 100};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KINDS_MAX    (WHATS * COUNT(clients_of) * COUNT(pages_of) * 2)
#define QUERIES_MAX  20000u
#define QUERIES_COLD 32u
#define WARM_QUERIES 4u
#define WARM_PAGES   20u
#define WARM_PAGE    1000

struct asker {
	const struct kind *kind;
	struct span span;
	uint64_t seed;
	struct topic topics[256][TOPICS_ASKED]; /* of each query under way */
};

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
	case DENSE_BLOOM:
		query->has_bloom = true;
		memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
		if (kind->what == DENSE_BLOOM)
			query->bloom.bits[random % BLOOM_SIZE] = 0x7f;
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
	case WHATS:
		break;
	}
	return true;
}

/* What a round delivers, if that is known. */
static uint64_t expected(const struct kind *kind, uint64_t archived)
{
	uint64_t each = (uint64_t)kind->pages * kind->page;

	if (kind->what == EVERYTHING)
		return (each && each < archived ? each : archived) *
		       kind->queries;
	return kind->what == NO_TOPIC ? 0 : UINT64_MAX;
}

/* What one case has gathered: by envelope and by query. */
struct figures {
	struct meters envelopes, queries;
	struct series cached;
};

static void ask(const struct bench *bench, const struct daemon *daemon,
		const struct kind *kind, uint64_t seed, uint64_t archived,
		struct figures *figures)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = kind->clients,
			  .engine = bench->engine},
		.hooks = load_hooks_span(&asker->span),
		.next = next,
		.ctx = asker,
		.pages_max = kind->pages,
		.pages_time = &figures->envelopes.round,
		.queries_time = &figures->queries.round,
	};
	uint64_t want = expected(kind, archived);

	if (!asker)
		bench_fail("no memory");
	asker->kind = kind;
	asker->seed = seed;
	asker->span.pid = daemon->pid;
	load_pull_run(&load);
	span_end(&asker->span);
	if (want != UINT64_MAX && load.envelopes != want)
		bench_fail("%s: %lu envelopes came instead of %lu",
			   names[kind->what], (unsigned long)load.envelopes,
			   (unsigned long)want);
	meters_add(&figures->envelopes, &asker->span, (double)load.envelopes);
	meters_add(&figures->queries, &asker->span, (double)load.queries);
	free(asker);
}

static void put(const struct kind *kind, uint32_t archived,
		const struct figures *f)
{
	bool is_all = kind->what == EVERYTHING || kind->what == DENSE_BLOOM;
	char work[128];

	if (f->queries.rate.count == 0)
		return;
	(void)snprintf(work, sizeof(work),
		       "%s of %u, pages of %u, %u clients%s", names[kind->what],
		       archived, kind->page, kind->clients,
		       kind->is_cold ? ", cold" : "");
	if (kind->page == pages_of[0] && !kind->is_cold)
		result_curve(names[kind->what], kind->clients);
	meters_put(is_all ? &f->envelopes : &f->queries, "fetch", work,
		   "restante", is_all ? "envelope" : "query");
	result_curve(NULL, 0);
	if (!is_all)
		meters_put_one(&f->envelopes.cpu, "fetch", work, "restante",
			       "cpu_envelope", "us/envelope", false);
	meters_put_one(&f->cached, "fetch", work, "restante", "cached_before",
		       "of the files", false);
}

/* ---- rounds ---- */

/* How much of it takes about bench_case_s(), by a first try. */
static void warm_up(const struct bench *bench, const struct daemon *daemon,
		    struct kind *kind, uint64_t archived)
{
	struct figures *spare = calloc(1, sizeof(*spare));
	struct kind small = *kind;
	double seconds = bench_case_s(bench);
	bool is_all = kind->what == EVERYTHING || kind->what == DENSE_BLOOM;

	if (!spare)
		bench_fail("no memory");
	small.queries = is_all ? kind->clients : kind->clients * WARM_QUERIES;
	small.pages = is_all ? WARM_PAGES : 1;
	ask(bench, daemon, &small, bench->seed, archived, spare);
	if (is_all) {
		double pages = series_median(&spare->envelopes.rate) * seconds /
			       kind->page / kind->clients;

		kind->queries = kind->clients;
		kind->pages = pages < WARM_PAGES ? WARM_PAGES : (uint32_t)pages;
		if ((uint64_t)kind->pages * kind->page >= archived)
			kind->pages = 0;
	} else {
		double pages = kind->what == MANY_TOPICS ? 20 : 1;
		double queries =
			series_median(&spare->queries.rate) * seconds / pages;

		queries = queries > QUERIES_MAX ? QUERIES_MAX : queries;
		kind->queries = queries < kind->clients ? kind->clients
							: (uint32_t)queries;
	}
	free(spare);
}

/* The files' pages go while no server has them mapped. */
static void make_cold(const struct bench *bench, struct daemon *daemon,
		      struct series *cached)
{
	char datadir[BENCH_PATH_MAX];

	(void)snprintf(datadir, sizeof(datadir), "%s", daemon->datadir);
	daemon_stop(daemon);
	bench_drop_pages(datadir);
	daemon_start(daemon, bench, datadir, NULL);
	if (cached)
		series_add(cached, bench_cached(datadir));
}

static void measure(const struct bench *bench, struct daemon *daemon,
		    const struct kind *kind, uint64_t seed, uint64_t archived,
		    struct figures *figures)
{
	struct kind cold = *kind;

	if (!kind->is_cold) {
		ask(bench, daemon, kind, seed, archived, figures);
		return;
	}
	make_cold(bench, daemon, &figures->cached);
	/* Soon nothing is cold any more. */
	if (cold.what != EVERYTHING && cold.what != DENSE_BLOOM &&
	    cold.queries > QUERIES_COLD)
		cold.queries = QUERIES_COLD;
	if (cold.queries < cold.clients)
		cold.queries = cold.clients;
	ask(bench, daemon, &cold, seed, archived, figures);
}

/* After a cold one: what follows is to find the pages where it left them. */
static void make_warm(const struct bench *bench, const struct daemon *daemon,
		      uint64_t archived)
{
	const struct kind all = {.what = EVERYTHING,
				 .clients = 1,
				 .page = WARM_PAGE,
				 .queries = 1};
	struct figures *spare = calloc(1, sizeof(*spare));

	if (!spare)
		bench_fail("no memory");
	ask(bench, daemon, &all, bench->seed, archived, spare);
	free(spare);
}

static struct kind asked_for(const struct bench *bench)
{
	const struct settings *s = bench->options;

	return (struct kind){.what = (enum what)settings_word(s, "what"),
			     .clients = (unsigned)settings_u64(s, "clients"),
			     .page = (uint32_t)settings_u64(s, "page"),
			     .queries = (uint32_t)settings_u64(s, "queries"),
			     .is_cold = settings_bool(s, "cold")};
}

static unsigned choose(const struct bench *bench, struct kind *list)
{
	unsigned count = 0;

	if (settings_is_given(bench->options, "what")) {
		list[count++] = asked_for(bench);
		if (list[0].queries == 0)
			list[0].queries = list[0].clients;
		return count;
	}
	if (!bench->is_full) {
		memcpy(list, quick_kinds, sizeof(quick_kinds));
		return COUNT(quick_kinds);
	}
	/* The cold ones last, since each starts the server anew. */
	for (unsigned cold = 0; cold < 2; cold++)
		for (unsigned what = 0; what < WHATS; what++)
			for (size_t page = 0; page < COUNT(pages_of); page++)
				for (size_t c = 0; c < COUNT(clients_of); c++)
					list[count++] = (struct kind){
						.what = (enum what)what,
						.clients = clients_of[c],
						.page = pages_of[page],
						.is_cold = cold == 1};
	return count;
}

static void run(struct bench *bench)
{
	uint32_t archived = (uint32_t)settings_u64(bench->options, "envelopes");
	struct figures *figures = calloc(KINDS_MAX, sizeof(*figures));
	struct kind list[KINDS_MAX];
	unsigned count = choose(bench, list);
	char datadir[BENCH_PATH_MAX];
	bool is_cold = false;
	struct daemon daemon;

	if (!figures)
		bench_fail("no memory");
	bench_folder(bench, "fetch", datadir);
	fill_archive(datadir, archived, bench->seed);
	daemon_start(&daemon, bench, datadir, NULL);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		for (unsigned i = 0; i < count; i++) {
			if (round > 0 && is_cold && !list[i].is_cold)
				make_warm(bench, &daemon, archived);
			is_cold = round > 0 && list[i].is_cold;
			if (round > 0)
				measure(bench, &daemon, &list[i],
					bench->seed + round * 7919u, archived,
					&figures[i]);
			else if (list[i].queries == 0)
				warm_up(bench, &daemon, &list[i], archived);
		}
	}
	daemon_stop(&daemon);
	result_axis("clients");
	for (unsigned i = 0; i < count; i++)
		put(&list[i], archived, &figures[i]);
	bench_remove(datadir);
	free(figures);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"envelopes", NULL, SETTING_U64, "200000", "1000", "100000000",
	 "envelopes", "in the archive"},
	{"what", NULL, SETTING_WORD, "all", NULL, NULL,
	 "all|dense|topic|topics|none|bloom",
	 "one case of one's own: what is asked for"},
	{"cold", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "with the files' pages dropped before each round"},
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
		"everything (which a request says with a bloom of all ones), a "
		"bloom with one bit unset (so that each topic must be looked "
		"at), one topic of 1000, 100 topics, a topic that no "
		"envelope has, a sparse bloom. With --full each by 1, 8 and "
		"64 clients, in pages of 100 and 1000, hot and cold, half a "
		"second a round. Each client follows the cursor "
		"to the end and asks for the next page when one is complete. "
		"The archive holds envelopes of 512 B over 1000 topics within "
		"the last day.\n\n"
		"Measured: envelopes or queries a second, CPU time of the "
		"server and of the load apart, time of a page and of a query. "
		"The load decrypts, checks MACs and counts envelopes, and does "
		"not hash them. `cold`: the files' pages are dropped while the "
		"server is stopped, then it is started and asked a few times; "
		"`cached_before` is the share of the files that its start "
		"brought back. "
		"Not measured: handshakes; and the network, which is "
		"loopback.",
	.options = options,
};

const struct scenario scenario_fetch = {"fetch", "history over devp2p", &usage,
					run};
