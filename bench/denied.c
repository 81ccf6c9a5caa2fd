#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/daemon.h"
#include "bench/fill.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/result.h"
#include "bench/scenarios.h"
#include "bench/target.h"
#include "core/clock.h"

#define ARCHIVED  10000u
#define ABSENT    1000000u /* no envelope has topics from here on */
#define TARGET_US 20.0

/* The same question, refused in paid mode and served in free mode. */
struct kind {
	const char *name;
	bool is_paid;
	unsigned clients;
};

static const struct kind kinds[] = {
	{"denied, 64 clients", true, 64},
	{"no match, free mode, 64 clients", false, 64},
	{"denied, 1 client", true, 1},
	{"no match, free mode, 1 client", false, 1},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct asker {
	struct span span;
	struct topic topic;
	uint32_t queries;
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

static bool next(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;

	if (number >= asker->queries)
		return false;
	query->limit = 1000;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	bloom_add_deployed(&query->bloom, asker->topic);
	query->topics = asker->topic.bytes;
	query->topics_count = 1;
	return true;
}

static void measure(const struct bench *bench, const struct daemon *daemon,
		    const struct kind *kind, struct meters *meters)
{
	uint32_t queries = (uint32_t)settings_u64(bench->options, "requests");
	struct asker asker = {
		.span = {.pid = daemon->pid},
		.topic = corpus_topic(ABSENT),
		/* One waits for each answer. */
		.queries = kind->clients == 1 ? queries / 4 : queries,
	};
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = kind->clients,
			  .engine = bench->engine},
		.hooks = {.begin = begin, .done = done, .ctx = &asker},
		.next = next,
		.ctx = &asker,
		.queries_time = &meters->round,
		.refusal = kind->is_paid ? "payment required" : NULL,
	};

	load_pull_run(&load);
	span_end(&asker.span);
	if (load.refused != (kind->is_paid ? load.queries : 0) ||
	    load.queries != asker.queries)
		bench_fail("%s: %lu of %lu were refused", kind->name,
			   (unsigned long)load.refused,
			   (unsigned long)load.queries);
	meters_add(meters, &asker.span, (double)load.queries);
}

static void run(struct bench *bench)
{
	static const char *const paid_flags[] = {"--payments.mode", "paid",
						 NULL};
	struct meters *meters = calloc(KINDS + 1, sizeof(*meters));
	char dirs[2][BENCH_PATH_MAX];
	struct daemon daemons[2];

	if (!meters)
		bench_fail("no memory");
	for (unsigned i = 0; i < 2; i++) {
		bench_folder(bench, i ? "paid" : "free", dirs[i]);
		fill_archive(dirs[i], ARCHIVED, bench->seed);
		daemon_start(&daemons[i], bench, dirs[i],
			     i ? paid_flags : NULL);
	}
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		for (unsigned i = 0; i < KINDS; i++)
			measure(bench, &daemons[kinds[i].is_paid], &kinds[i],
				&meters[round ? i : KINDS]);
	for (unsigned i = 0; i < 2; i++) {
		daemon_stop(&daemons[i]);
		bench_remove(dirs[i]);
	}
	for (unsigned i = 0; i < KINDS; i++) {
		meters_put(&meters[i], "denied", kinds[i].name, "restante",
			   "request");
		if (kinds[i].is_paid)
			(void)target_put("denied", kinds[i].name, "cpu",
					 "us/request", &meters[i].cpu,
					 TARGET_US, false);
	}
	free(meters);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"requests", NULL, SETTING_U64, "20000", "100", "100000000", "requests",
	 "of 64 clients in a round; one client sends a quarter"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "denied",
	.summary =
		"Requests for history from peers who have not paid, over "
		"devp2p on loopback: the real server in paid mode answers each "
		"with \"payment required\". 64 connections, and one, each with "
		"one request under way. Beside it the same question, of a "
		"topic that no envelope has, to a server in free mode.\n\n"
		"Measured: CPU time of the server for each request, all of it: "
		"receiving, decrypting and checking the frame, the gate, "
		"sealing and sending the answer; and the time until the answer "
		"has come. To be reached: 20 us of CPU time after decryption. "
		"Not measured: handshakes, and the gate on a large table "
		"(see entitlements).",
	.options = options,
};

const struct scenario scenario_denied = {
	"denied", "requests for history that are refused", &usage, run};
