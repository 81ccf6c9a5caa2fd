#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/fill.h"
#include "bench/scenarios.h"
#include "bench/work.h"

#define ARCHIVED    200000u
#define TOPICS      1000u
#define PER_PACKET  50u
#define PACKETS_S   300.0 /* open loop: 15 000 envelopes a second */
#define SPAN_MS     400u  /* with --full: */
#define SPAN_MS_ALL 3000u
#define QUERIES     1000u /* alone, a second */
#define ENGINE_SIZE 50000u

/* Of a round; with --full twice as much. */
#define ZIPF_COUNT   50000u
#define ENGINE_COUNT 25000u
#define ENGINE_PAGES 25u

static const struct setting options[] = {BENCH_OPTIONS, {0}};

/* ---- fetch during ingest ---- */

struct side {
	const struct bench *bench;
	const struct daemon *daemon;
	uint64_t seed;
	struct meters *meters;
	_Atomic bool is_done;
};

static unsigned span_ms(const struct bench *bench)
{
	return bench->is_full ? SPAN_MS_ALL : SPAN_MS;
}

static uint32_t twice_if_full(const struct bench *bench, uint32_t count)
{
	return bench->is_full ? 2 * count : count;
}

static struct work_ingest steady(const struct bench *bench, uint64_t seed)
{
	return (struct work_ingest){.per_packet = PER_PACKET,
				    .connections = 4,
				    .size = 512,
				    .count = PER_PACKET * (unsigned)PACKETS_S *
					     span_ms(bench) / 1000,
				    .rate = PACKETS_S,
				    .seed = seed};
}

static void *run_ingest(void *arg)
{
	struct side *side = arg;
	struct work_ingest work = steady(side->bench, side->seed);

	/* The server is not quiet before those who fetch have ended. */
	work.is_over = &side->is_done;
	work_ingest(side->bench, side->daemon, &work, side->meters);
	return NULL;
}

enum { INGEST_ALONE, FETCH_ALONE, INGEST_BOTH, FETCH_BOTH, MIXED_KINDS };

static void mixed_round(const struct bench *bench, const struct daemon *daemon,
			uint64_t seed, struct meters *const meters[MIXED_KINDS])
{
	const struct work_ingest alone = steady(bench, seed);
	struct work_topics topics = {.seed = seed,
				     .topics = TOPICS,
				     .queries = QUERIES * span_ms(bench) / 1000,
				     .limit = 200};
	struct side side = {.bench = bench,
			    .daemon = daemon,
			    .seed = seed + 1,
			    .meters = meters[INGEST_BOTH]};
	pthread_t thread;

	work_ingest(bench, daemon, &alone, meters[INGEST_ALONE]);
	work_topics(bench, daemon, &topics, meters[FETCH_ALONE]);
	topics.queries = 0;
	topics.stop = &side.is_done;
	if (pthread_create(&thread, NULL, run_ingest, &side))
		bench_fail("no thread");
	bench_sleep_ms(50);
	work_topics(bench, daemon, &topics, meters[FETCH_BOTH]);
	(void)pthread_join(thread, NULL);
}

static void put_latency(const struct meters *m, const char *scenario,
			const char *work)
{
	meters_put_one(&m->p50, scenario, work, "restante", "latency_p50", "us",
		       false);
	meters_put_one(&m->p99, scenario, work, "restante", "latency_p99", "us",
		       false);
	result_latency(scenario, work, "restante", &m->latency);
	if (m->lateness.total > 0)
		result_latency(scenario, work, "load, sent after due",
			       &m->lateness);
}

static void run_mixed(struct bench *bench)
{
	static const char *const names[MIXED_KINDS] = {
		"ingest of 15000/s alone", "one topic alone",
		"ingest of 15000/s during fetches",
		"one topic during that ingest"};
	struct meters *meters = calloc(MIXED_KINDS, sizeof(*meters));
	struct meters *measured[MIXED_KINDS];
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!meters)
		bench_fail("no memory");
	for (unsigned i = 0; i < MIXED_KINDS; i++)
		measured[i] = &meters[i];
	bench_folder(bench, "mixed", datadir);
	fill_archive(datadir, ARCHIVED, bench->seed);
	daemon_start(&daemon, bench, datadir, NULL);
	bench_rounds(bench, 1);
	for (unsigned round = 1; bench_has_round_bare(bench, round); round++)
		mixed_round(bench, &daemon, bench->seed + 100u * round,
			    measured);
	daemon_stop(&daemon);
	for (unsigned i = 0; i < MIXED_KINDS; i++)
		put_latency(&meters[i], "mixed", names[i]);
	bench_remove(datadir);
	free(meters);
}

static const struct usage mixed_usage = {
	.program = "restante-bench",
	.command = "mixed",
	.summary = "Fetching during ingest: 15 000 envelopes a second in "
		   "packets of 50 over four connections, sent when they are "
		   "due whether or not earlier ones were acknowledged (the "
		   "time of each runs from when it was due), and one client "
		   "that asks for one topic after the other, each when the one "
		   "before is answered. Measured: the times of both, alone and "
		   "together, and how late the load itself was (it looks once "
		   "a millisecond), which is part of the time.",
	.options = options,
};

const struct scenario scenario_mixed = {"mixed", "fetch during ingest",
					&mixed_usage, run_mixed};

/* ---- Zipf ---- */

static void run_zipf(struct bench *bench)
{
	static const char *const names[] = {"topics with equal shares",
					    "hottest topic a tenth"};
	struct meters *meters = calloc(3, sizeof(*meters));
	struct meters spare = {0};
	struct daemon daemons[2];
	char datadirs[2][BENCH_PATH_MAX];

	if (!meters)
		bench_fail("no memory");
	daemon_start(&daemons[0], bench,
		     bench_folder(bench, "even", datadirs[0]), NULL);
	daemon_start(&daemons[1], bench,
		     bench_folder(bench, "zipf", datadirs[1]), NULL);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		const struct work_topics hot = {.seed = round,
						.topics = 1,
						.queries = 100,
						.limit = 1000};

		for (unsigned i = 0; i < 2; i++) {
			const struct work_ingest work = {
				.per_packet = PER_PACKET,
				.connections = 8,
				.size = 512,
				.count = twice_if_full(bench, ZIPF_COUNT),
				.zipf = i == 1,
				.seed = bench->seed + round};

			work_ingest(bench, &daemons[i], &work,
				    round ? &meters[i] : &spare);
		}
		work_topics(bench, &daemons[1], &hot,
			    round ? &meters[2] : &spare);
	}
	for (unsigned i = 0; i < 2; i++) {
		daemon_stop(&daemons[i]);
		meters_put(&meters[i], "zipf", names[i], "restante",
			   "envelope");
		bench_remove(datadirs[i]);
	}
	meters_put(&meters[2], "zipf", "newest 1000 of the hottest topic",
		   "restante", "query");
	free(meters);
}

static const struct usage zipf_usage = {
	.program = "restante-bench",
	.command = "zipf",
	.summary = "Uneven topics: a tenth of all envelopes under one topic "
		   "and the rest falling off with the rank, against equal "
		   "shares; 50 a packet, 8 connections, as in `ingest`. Then "
		   "the newest thousand of the hottest topic.",
	.options = options,
};

const struct scenario scenario_zipf = {"zipf", "uneven topics", &zipf_usage,
				       run_zipf};

/* ---- engines ---- */

static void run_engines(struct bench *bench)
{
	static const enum ring_engine engines[] = {RING_URING, RING_EPOLL};
	static const char *const names[2][2] = {
		{"ingest, io_uring", "everything, 8 clients, io_uring"},
		{"ingest, epoll", "everything, 8 clients, epoll"}};
	struct meters *meters = calloc(4, sizeof(*meters));
	struct meters spare = {0};
	struct daemon daemons[2];
	char datadirs[2][BENCH_PATH_MAX];

	if (!meters)
		bench_fail("no memory");
	for (unsigned i = 0; i < 2; i++) {
		struct bench with = *bench;

		with.engine = engines[i];
		bench_folder(bench, i ? "epoll" : "uring", datadirs[i]);
		fill_archive(datadirs[i], ENGINE_SIZE, bench->seed);
		daemon_start(&daemons[i], &with, datadirs[i], NULL);
	}
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		for (unsigned i = 0; i < 2; i++) {
			const struct work_ingest work = {
				.per_packet = PER_PACKET,
				.connections = 8,
				.size = 512,
				.count = twice_if_full(bench, ENGINE_COUNT),
				.seed = bench->seed + round};

			work_ingest(bench, &daemons[i], &work,
				    round ? &meters[i] : &spare);
			(void)work_fetch_all(bench, &daemons[i], 8,
					     twice_if_full(bench, ENGINE_PAGES),
					     round ? &meters[2 + i] : &spare);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		daemon_stop(&daemons[i]);
		bench_remove(datadirs[i]);
		for (unsigned kind = 0; kind < 2; kind++)
			meters_put(&meters[2 * kind + i], "engines",
				   names[i][kind], "restante", "envelope");
	}
	free(meters);
}

static const struct usage engines_usage = {
	.program = "restante-bench",
	.command = "engines",
	.summary = "io_uring against epoll under the server, round by round: "
		   "ingest of 50 a packet over 8 connections, and everything "
		   "by 8 clients. The load is the same for both.",
	.options = options,
};

const struct scenario scenario_engines = {"engines", "io_uring against epoll",
					  &engines_usage, run_engines};
