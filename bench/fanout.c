#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/crowd.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "net/bundle.h"
#include "net/status.h"

#define PEERS      100u
#define ENVELOPES  3000u
#define PER_PACKET 50u
#define STUCK_LOAD 20000u
#define STUCK_FILL 40000u /* what fills their queues and sockets */

static const struct setting options[] = {BENCH_OPTIONS, {0}};

/* Peers that want everything, in a thread of their own. */
struct listeners {
	const struct bench *bench;
	const struct daemon *daemon;
	struct crowd crowd;
	bool are_stuck; /* they read nothing after their Status */
	_Atomic bool are_there, are_to_end;
	_Atomic uint64_t got;
};

static void on_begin(void *ctx, struct crowd *crowd)
{
	struct listeners *l = ctx;

	for (unsigned i = 0; l->are_stuck && i < PEERS; i++)
		link_pause(crowd->members[i].link, true);
	l->are_there = true;
}

static void on_message(void *ctx, struct crowd_member *member, unsigned code,
		       struct packet *payload)
{
	struct listeners *l = ctx;
	struct bundle bundle;
	struct envelope env;

	(void)member;
	if (code != CODE_MESSAGES ||
	    bundle_open(&bundle, payload->bytes, payload->size, false))
		return;
	while (bundle_next(&bundle, &env) == 0)
		l->got++;
}

static void on_tick(void *ctx, struct crowd *crowd)
{
	if (((struct listeners *)ctx)->are_to_end)
		crowd_end(crowd);
}

static const struct crowd_use use = {
	.begin = on_begin, .message = on_message, .tick = on_tick};

static void *listen_all(void *arg)
{
	struct listeners *l = arg;
	const struct crowd_config config = {.server = &l->daemon->enode,
					    .connections = PEERS,
					    .wants_all = true,
					    .engine = l->bench->engine};

	crowd_run(&l->crowd, &config, &use, l);
	return NULL;
}

static pthread_t start_listeners(struct listeners *l)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, listen_all, l))
		bench_fail("no thread");
	while (!l->are_there)
		bench_sleep_ms(5);
	return thread;
}

/* ---- gossip to 100 peers ---- */

static void measure(const struct bench *bench, const struct daemon *daemon,
		    uint64_t seed, struct meters *meters)
{
	struct listeners l = {.bench = bench, .daemon = daemon};
	const struct work_ingest work = {.per_packet = PER_PACKET,
					 .connections = 1,
					 .size = 512,
					 .count = ENVELOPES,
					 .seed = seed};
	pthread_t thread = start_listeners(&l);
	uint64_t want = (uint64_t)ENVELOPES * PEERS;
	struct span span;

	span_begin(&span, daemon->pid, NULL);
	work_ingest(bench, daemon, &work, NULL);
	for (unsigned i = 0; l.got < want; i++) {
		if (i > 10000)
			bench_fail("%lu envelopes were told instead of %lu",
				   (unsigned long)l.got, (unsigned long)want);
		bench_sleep_ms(1);
	}
	span_stop(&span);
	span_end(&span);
	l.are_to_end = true;
	(void)pthread_join(thread, NULL);
	meters_add(meters, &span, (double)want);
}

static void run_fanout(struct bench *bench)
{
	struct meters *meters = calloc(2, sizeof(*meters));
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!meters)
		bench_fail("no memory");
	for (unsigned round = 0; round <= bench->rounds; round++) {
		/* A server of its own: what a peer is told on connecting does
		 * not count. */
		daemon_start(&daemon, bench,
			     bench_folder(bench, "fanout", datadir), NULL);
		measure(bench, &daemon, bench->seed + round,
			&meters[round ? 0 : 1]);
		daemon_stop(&daemon);
		bench_remove(datadir);
	}
	meters_put_one(&meters[0].rate, "fanout", "gossip to 100 peers",
		       "restante", "rate", "deliveries/s", true);
	meters_put_one(&meters[0].cpu, "fanout", "gossip to 100 peers",
		       "restante", "cpu", "us/delivery", false);
	free(meters);
}

static const struct usage fanout_usage = {
	.program = "restante-bench",
	.command = "fanout",
	.summary = "Gossip: one peer posts 3000 envelopes, a hundred that "
		   "want everything are told of them. Measured from the first "
		   "packet until the last peer has the last envelope, with the "
		   "commits; CPU time of the server for each delivery.",
	.options = options,
};

const struct scenario scenario_fanout = {"fanout", "gossip to 100 peers",
					 &fanout_usage, run_fanout};

/* ---- 100 that never read ---- */

static void stuck_round(const struct bench *bench, uint64_t seed,
			bool with_stuck, struct meters *meters)
{
	const struct work_ingest work = {.per_packet = PER_PACKET,
					 .connections = 4,
					 .size = 512,
					 .count = STUCK_LOAD,
					 .rate = 200,
					 .seed = seed};
	struct work_ingest fill = work;
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	struct listeners l = {
		.bench = bench, .daemon = &daemon, .are_stuck = true};
	pthread_t thread = 0;

	daemon_start(&daemon, bench, bench_folder(bench, "stuck", datadir),
		     NULL);
	if (with_stuck)
		thread = start_listeners(&l);
	fill.count = STUCK_FILL;
	fill.seed = seed + 1000000u;
	fill.rate = 0;
	work_ingest(bench, &daemon, &fill, NULL);
	work_ingest(bench, &daemon, &work, meters);
	if (with_stuck) {
		l.are_to_end = true;
		(void)pthread_join(thread, NULL);
	}
	daemon_stop(&daemon);
	bench_remove(datadir);
}

static void run_stuck(struct bench *bench)
{
	static const char *const names[] = {"ingest of 10000/s alone",
					    "with 100 peers that never read"};
	struct meters *meters = calloc(2, sizeof(*meters));

	if (!meters)
		bench_fail("no memory");
	for (unsigned round = 0; round < bench->rounds; round++)
		for (unsigned i = 0; i < 2; i++)
			stuck_round(bench, bench->seed + round, i == 1,
				    &meters[i]);
	for (unsigned i = 0; i < 2; i++) {
		meters_put_one(&meters[i].p50, "stuck", names[i], "restante",
			       "latency_p50", "us", false);
		meters_put_one(&meters[i].p99, "stuck", names[i], "restante",
			       "latency_p99", "us", false);
		meters_put_one(&meters[i].cpu, "stuck", names[i], "restante",
			       "cpu", "us/envelope", false);
		meters_put_one(&meters[i].own, "stuck", names[i], "restante",
			       "load_cpu", "us/envelope", false);
		meters_put_one(&meters[i].memory, "stuck", names[i], "restante",
			       "memory", "MB", false);
	}
	free(meters);
}

static const struct usage stuck_usage = {
	.program = "restante-bench",
	.command = "stuck",
	.summary = "A hundred peers that want everything and never read, while "
		   "others post 10 000 envelopes a second, sent when they are "
		   "due; before that 40 000 envelopes fill what waits for "
		   "them. Measured: times to the acknowledgement and memory of "
		   "the server, without and with them.",
	.options = options,
};

const struct scenario scenario_stuck = {"stuck", "100 peers that never read",
					&stuck_usage, run_stuck};
