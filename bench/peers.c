#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/crowd.h"
#include "bench/daemon.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "net/status.h"

static const struct setting options[] = {BENCH_OPTIONS, {0}};

/* ---- idle connections ---- */

#define SETTLE_MS     400u /* with --full: */
#define SETTLE_MS_ALL 1500u

struct idler {
	struct span *span;
	const struct daemon *daemon;
	struct usage_sample after;
	unsigned settle_ms;
	uint64_t since_ms;
	double wake_ns;
};

static void idle_begin(void *ctx, struct crowd *crowd)
{
	struct idler *idler = ctx;

	(void)crowd;
	span_stop(idler->span);
	(void)usage_of(idler->daemon->pid, &idler->after);
	idler->since_ms = clock_mono_ms();
}

static void idle_message(void *ctx, struct crowd_member *member, unsigned code,
			 struct packet *payload)
{
	(void)ctx;
	(void)member;
	(void)code;
	(void)payload;
}

static void idle_tick(void *ctx, struct crowd *crowd)
{
	struct idler *idler = ctx;
	struct usage_sample now;

	if (clock_mono_ms() - idler->since_ms < idler->settle_ms)
		return;
	if (usage_of(idler->daemon->pid, &now))
		bench_fail("the server has died");
	idler->wake_ns = (double)(now.cpu_ns - idler->after.cpu_ns) /
			 (idler->settle_ms / 1000.0);
	idler->after = now;
	crowd_end(crowd);
}

static const struct crowd_use idle_use = {
	.begin = idle_begin, .message = idle_message, .tick = idle_tick};

struct idle_figures {
	struct series memory, all, cpu, rate;
};

static void measure_idle(const struct bench *bench, unsigned connections,
			 struct idle_figures *figures)
{
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	struct span span;
	struct crowd crowd;
	struct crowd_config config = {.server = &daemon.enode,
				      .connections = connections,
				      .dials = 64,
				      .engine = bench->engine};
	struct idler idler = {.span = &span,
			      .daemon = &daemon,
			      .settle_ms = bench->is_full ? SETTLE_MS_ALL
							  : SETTLE_MS};

	daemon_start(&daemon, bench, bench_folder(bench, "idle", datadir),
		     NULL);
	bench_sleep_ms(200);
	span_begin(&span, daemon.pid, NULL);
	crowd_run(&crowd, &config, &idle_use, &idler);
	series_add(&figures->memory, ((double)idler.after.rss_anon_bytes -
				      (double)span.begin.rss_anon_bytes) /
					     connections / 1024);
	series_add(&figures->all, (double)idler.after.rss_bytes / 1e6);
	series_add(&figures->cpu, idler.wake_ns / 1e3 / connections);
	series_add(&figures->rate, connections / ((double)span.wall_ns / 1e9));
	daemon_stop(&daemon);
	bench_remove(datadir);
}

static void run_idle(struct bench *bench)
{
	static const unsigned counts[] = {100, 1000, 10000};
	unsigned sizes = bench->is_full ? 3 : 2;
	char work[64];

	result_axis("idle connections");
	for (unsigned i = 0; i < sizes; i++) {
		struct idle_figures f = {0};

		/* What is left is shared by the sizes by their size. */
		bench_rounds(bench, i == sizes - 1 ? 1 : 0.3);
		for (unsigned round = 1; bench_has_round_bare(bench, round);
		     round++)
			measure_idle(bench, counts[i], &f);
		(void)snprintf(work, sizeof(work), "%u idle connections",
			       counts[i]);
		result_curve("restante", counts[i]);
		meters_put_one(&f.memory, "idle", work, "restante", "memory",
			       "kB/connection", false);
		meters_put_one(&f.all, "idle", work, "restante", "resident",
			       "MB", false);
		meters_put_one(&f.cpu, "idle", work, "restante", "cpu",
			       "us/s/connection", false);
		result_curve(NULL, 0);
		meters_put_one(&f.rate, "idle", work, "restante", "connecting",
			       "connections/s", true);
	}
}

static const struct usage idle_usage = {
	.program = "restante-bench",
	.command = "idle",
	.summary = "Connections that do nothing: 100, 1000 and (with --full) "
		   "10 000 peers with Status exchanged, all from one process. "
		   "Measured: memory of the server without mapped files for "
		   "each, what it uses of the processor for each while they "
		   "are idle, and how fast they came (the load shares the "
		   "machine).",
	.options = options,
};

const struct scenario scenario_idle = {"idle", "connections that do nothing",
				       &idle_usage, run_idle};

/* ---- handshakes ---- */

#define SHAKES      400u
#define GARBAGES    2000u
#define GARBAGE_LEN 400u

static void shake_begin(void *ctx, struct crowd *crowd)
{
	span_stop(ctx);
	crowd_end(crowd);
}

static const struct crowd_use shake_use = {.begin = shake_begin,
					   .message = idle_message};

static void measure_shakes(const struct bench *bench,
			   const struct daemon *daemon, struct meters *meters)
{
	struct crowd_config config = {.server = &daemon->enode,
				      .connections = SHAKES,
				      .dials = 32,
				      .engine = bench->engine};
	struct crowd crowd;
	struct span span;

	span_begin(&span, daemon->pid, NULL);
	crowd_run(&crowd, &config, &shake_use, &span);
	span_end(&span);
	meters_add(meters, &span, SHAKES);
}

/* Random bytes that look like a packet of EIP-8 by their length. */
static void throw_one(const struct daemon *daemon)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(daemon->enode.tcp)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t bytes[GARBAGE_LEN + 2];
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bytes_random(bytes, sizeof(bytes));
	bytes[0] = GARBAGE_LEN >> 8;
	bytes[1] = GARBAGE_LEN & 0xff;
	bytes[2] = 0x04; /* as a point begins */
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		bench_fail("cannot connect: %s", strerror(errno));
	if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0 ||
	    poll(&wait, 1, 10000) != 1)
		bench_fail("garbage is kept connected");
	(void)close(fd);
}

static void measure_garbage(const struct daemon *daemon, struct meters *meters)
{
	struct span span;

	span_begin(&span, daemon->pid, NULL);
	for (unsigned i = 0; i < GARBAGES; i++)
		throw_one(daemon);
	span_stop(&span);
	span_end(&span);
	meters_add(meters, &span, GARBAGES);
}

static void run_handshakes(struct bench *bench)
{
	struct meters *meters = calloc(3, sizeof(*meters));
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!meters)
		bench_fail("no memory");
	daemon_start(&daemon, bench, bench_folder(bench, "shake", datadir),
		     NULL);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		measure_shakes(bench, &daemon, &meters[round ? 0 : 2]);
		measure_garbage(&daemon, &meters[round ? 1 : 2]);
	}
	daemon_stop(&daemon);
	meters_put(&meters[0], "handshakes", "handshake, Hello and Status",
		   "restante", "handshake");
	meters_put(&meters[1], "handshakes", "garbage", "restante",
		   "connection");
	bench_remove(datadir);
	free(meters);
}

static const struct usage handshakes_usage = {
	.program = "restante-bench",
	.command = "handshakes",
	.summary = "New peers: 400 connections, 32 at once, each with the "
		   "whole RLPx handshake, Hello and Status, and 2000 that "
		   "send random bytes in place of it, one after the other. "
		   "Measured: a second, and CPU time of the server for each. "
		   "The load does the other half of the handshake on the same "
		   "machine.",
	.options = options,
};

const struct scenario scenario_handshakes = {"handshakes",
					     "new peers, and garbage",
					     &handshakes_usage, run_handshakes};
