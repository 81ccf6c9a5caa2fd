#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench/daemon.h"
#include "bench/fill.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/result.h"
#include "bench/scenarios.h"
#include "bench/target.h"
#include "core/clock.h"
#include "net/status.h"

#define ARCHIVED  10000u
#define ABSENT    1000000u /* no envelope has topics from here on */
#define TARGET_US 20.0

#define REQUESTS_QUICK 8000u
#define REQUESTS_FULL  20000u

/*
 * The same question: refused in paid mode; under a code that the server
 * decrypts and drops; served in free mode.
 */
enum what { DENIED, DROPPED, SERVED, WHATS };

static const struct kind {
	unsigned clients;
	const char *names[WHATS];
	const char *after; /* DENIED without what DROPPED takes */
} kinds[] = {
	{64,
	 {"denied, 64 clients", "received and dropped, 64 clients",
	  "no match, free mode, 64 clients"},
	 "denied, 64 clients, after decryption"},
	{1,
	 {"denied, 1 client", "received and dropped, 1 client",
	  "no match, free mode, 1 client"},
	 "denied, 1 client, after decryption"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct figures {
	struct meters meters[WHATS];
	struct series after;
};

/* ---- asking ---- */

struct asker {
	struct span span;
	struct topic topic;
	uint32_t queries;
};

static bool next(void *ctx, uint64_t number, struct mail_query *query)
{
	const struct asker *asker = ctx;

	if (number >= asker->queries)
		return false;
	load_ask_topic(query, &asker->topic);
	return true;
}

static uint32_t queries_of(const struct bench *bench, unsigned clients)
{
	uint32_t queries = (uint32_t)settings_u64(bench->options, "requests");

	if (queries == 0)
		queries = bench->is_full ? REQUESTS_FULL : REQUESTS_QUICK;
	/* One waits for each answer. */
	return clients == 1 ? queries / 4 : queries;
}

/* Returns how many were asked a second. */
static double ask(const struct bench *bench, const struct daemon *daemon,
		  unsigned clients, bool is_paid, struct meters *meters)
{
	struct asker asker = {.span = {.pid = daemon->pid},
			      .topic = corpus_topic(ABSENT),
			      .queries = queries_of(bench, clients)};
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = clients,
			  .engine = bench->engine},
		.hooks = load_hooks_span(&asker.span),
		.next = next,
		.ctx = &asker,
		.queries_time = &meters->round,
		.refusal = is_paid ? "payment required" : NULL,
	};

	load_pull_run(&load);
	span_end(&asker.span);
	if (load.refused != (is_paid ? load.queries : 0) ||
	    load.queries != asker.queries)
		bench_fail("%lu of %lu requests were refused",
			   (unsigned long)load.refused,
			   (unsigned long)load.queries);
	meters_add(meters, &asker.span, (double)load.queries);
	return (double)load.queries / ((double)asker.span.wall_ns / 1e9);
}

/* ---- what ends behind decryption ---- */

/*
 * Frames of the same bytes under a code that no client sends, P2P_MESSAGE: the
 * server takes them in, decrypts, authenticates, unpacks and drops them. At
 * each beat every connection sends one, as those who wait for answers do, and
 * finds the server asleep as often as they do.
 */
struct beats {
	struct asker asker;
	struct crowd *crowd; /* once it has begun */
	double rate;         /* a second */
	uint8_t *bytes;
	size_t size;
	uint32_t left; /* on the ring's thread */
	uint64_t answers;
	atomic_bool is_over;
	pthread_t thread;
};

static void *beat(void *arg)
{
	struct beats *b = arg;
	uint64_t at_ns = clock_mono_ns();

	(void)prctl(PR_SET_TIMERSLACK, 1ul);
	while (!atomic_load(&b->is_over)) {
		uint64_t now_ns = clock_mono_ns();
		struct timespec ts;

		at_ns += (uint64_t)(1e9 / b->rate);
		if (at_ns < now_ns)
			at_ns = now_ns; /* what was missed is not made up */
		ts.tv_sec = (time_t)(at_ns / 1000000000u);
		ts.tv_nsec = (long)(at_ns % 1000000000u);
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
				      NULL);
		ring_wake(b->crowd->ring);
	}
	return NULL;
}

static void beats_begin(void *ctx, struct crowd *crowd)
{
	struct beats *b = ctx;

	b->crowd = crowd;
	span_begin(&b->asker.span, b->asker.span.pid, NULL);
	if (pthread_create(&b->thread, NULL, beat, b))
		bench_fail("no thread");
}

static void beats_message(void *ctx, struct crowd_member *member, unsigned code,
			  struct packet *payload)
{
	(void)member;
	(void)code;
	(void)payload;
	((struct beats *)ctx)->answers++;
}

static void beats_woken(void *ctx, struct crowd *crowd)
{
	struct beats *b = ctx;

	for (unsigned i = 0; i < crowd->config->connections && b->left; i++) {
		crowd_send(&crowd->members[i], CODE_P2P_MESSAGE, b->bytes,
			   b->size);
		b->left--;
	}
	if (b->left > 0)
		return;
	span_stop(&b->asker.span);
	/* Joined before the ring goes, so that nobody wakes what is gone. */
	atomic_store(&b->is_over, true);
	(void)pthread_join(b->thread, NULL);
	crowd_end(crowd);
}

static const struct crowd_use beats_use = {
	.begin = beats_begin, .message = beats_message, .woken = beats_woken};

static void encode(struct beats *b)
{
	static const uint8_t id[MAIL_ID_SIZE];
	struct mail_query query = {.topics_stride = TOPIC_SIZE, .batch = true};

	load_ask_topic(&query, &b->asker.topic);
	b->size = MAIL_QUERY_SIZE_MAX(query.topics_count);
	b->bytes = malloc(b->size);
	if (!b->bytes)
		bench_fail("no memory for a request");
	b->size = mail_direct_encode(id, &query, true, b->bytes, b->size);
}

/* As many as were asked, at the rate of the asking. */
static void drop(const struct bench *bench, const struct daemon *daemon,
		 unsigned clients, double rate, struct meters *meters)
{
	const struct crowd_config config = {.server = &daemon->enode,
					    .connections = clients,
					    .engine = bench->engine};
	struct beats b = {.asker = {.span = {.pid = daemon->pid},
				    .topic = corpus_topic(ABSENT),
				    .queries = queries_of(bench, clients)},
			  .rate = rate / clients};
	struct crowd crowd;

	b.left = b.asker.queries;
	encode(&b);
	crowd_run(&crowd, &config, &beats_use, &b);
	span_end(&b.asker.span);
	if (b.answers > 0)
		bench_fail("the server answers what it should drop");
	meters_add(meters, &b.asker.span, b.asker.queries);
	free(b.bytes);
}

/* ---- all ---- */

static void measure(const struct bench *bench, const struct daemon daemons[2],
		    const struct kind *kind, struct figures *f)
{
	double rate = ask(bench, &daemons[1], kind->clients, true,
			  &f->meters[DENIED]);

	drop(bench, &daemons[1], kind->clients, rate, &f->meters[DROPPED]);
	(void)ask(bench, &daemons[0], kind->clients, false, &f->meters[SERVED]);
	/* Unless this was the round that counts system calls. */
	if (f->after.count < f->meters[DENIED].cpu.count)
		series_add(&f->after,
			   series_last(&f->meters[DENIED].cpu) -
				   series_last(&f->meters[DROPPED].cpu));
}

static void put(const struct kind *kind, const struct figures *f)
{
	for (unsigned what = 0; what < WHATS; what++)
		meters_put(&f->meters[what], "denied", kind->names[what],
			   "restante", "request");
	meters_put_one(&f->after, "denied", kind->after, "restante", "cpu",
		       "us/request", false);
	(void)target_put("denied", kind->after, "cpu", "us/request", &f->after,
			 TARGET_US, false);
}

static void run(struct bench *bench)
{
	static const char *const paid_flags[] = {"--payments.mode", "paid",
						 NULL};
	struct figures *figures = calloc(KINDS + 1, sizeof(*figures));
	char dirs[2][BENCH_PATH_MAX];
	struct daemon daemons[2];

	if (!figures)
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
			measure(bench, daemons, &kinds[i],
				&figures[round ? i : KINDS]);
	for (unsigned i = 0; i < 2; i++) {
		daemon_stop(&daemons[i]);
		bench_remove(dirs[i]);
	}
	for (unsigned i = 0; i < KINDS; i++)
		put(&kinds[i], &figures[i]);
	free(figures);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"requests", NULL, SETTING_U64, "0", "0", "100000000", "requests",
	 "of 64 clients in a round, one client sends a quarter; 0: 8000, or "
	 "20 000 with --full"},
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
		"Measured: CPU time of the server for each request, all of it "
		"(receiving, decrypting and checking the frame, the gate, "
		"sealing and sending the answer), and the time until the "
		"answer has come. Then `received and dropped`: the same bytes "
		"under a code the server does not serve (127), which it "
		"receives, decrypts, authenticates, unpacks and drops without "
		"an answer; as many, over as many connections, at the rate at "
		"which they were just denied, one of each connection at a "
		"time, so that a server that sleeps between requests is woken "
		"as often. `after decryption` is the CPU time of the one less "
		"that of the other in the same round: decoding the request, "
		"the gate, sealing and sending the answer. To be reached: 20 "
		"us of that. Not measured: handshakes, and the gate on a large "
		"table (see entitlements).",
	.options = options,
};

const struct scenario scenario_denied = {
	"denied", "requests for history that are refused", &usage, run};
