#include <stdio.h>
#include <stdlib.h>

#include "bench/listeners.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "core/clock.h"

#define PER_PACKET  50u
#define PACKETS_S   200.0 /* open loop: 10 000 envelopes a second */
#define SECONDS     1u    /* of each phase; with --full: */
#define SECONDS_ALL 3u
#define BEFORE      20000u /* in the pool when the peers come */
#define FIRST_MS    1500u  /* after connecting; peers are told after 2 s */
#define CONNECTIONS 4

static const struct setting options[] = {BENCH_OPTIONS, {0}};

enum { IDLE, STUCK, PEERS };
enum { FILLING, FULL, PHASES };

static const char *const names[PHASES][PEERS] = {
	{"100 idle peers, at first", "100 never read, at first"},
	{"100 idle peers, then", "100 never read, then"}};
static const char *const ratios[PHASES] = {"never read / idle, first",
					   "never read / idle, then"};

struct figures {
	struct meters meters[PHASES][PEERS];
	struct series p50[PHASES], p99[PHASES], cpu[PHASES]; /* ratios */
};

static void measure(const struct bench *bench, struct daemon *daemon,
		    uint64_t seed, struct meters *filling, struct meters *full)
{
	struct work_ingest work = {
		.per_packet = PER_PACKET,
		.connections = CONNECTIONS,
		.size = 512,
		.count = PER_PACKET * (unsigned)PACKETS_S *
			 (bench->is_full ? SECONDS_ALL : SECONDS),
		.rate = PACKETS_S,
		.seed = seed};

	work_ingest(bench, daemon, &work, filling);
	work.seed = seed + 1000000u;
	work_ingest(bench, daemon, &work, full);
}

static void one_round(const struct bench *bench, uint64_t seed, bool are_stuck,
		      struct figures *figures)
{
	const struct work_ingest before = {.per_packet = PER_PACKET,
					   .connections = CONNECTIONS,
					   .size = 512,
					   .count = BEFORE,
					   .seed = seed + 2000000u};
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	struct listeners l = {.bench = bench,
			      .daemon = &daemon,
			      .want_all = are_stuck,
			      .are_stuck = are_stuck};
	uint64_t since_ms, passed_ms;

	daemon_start(&daemon, bench, bench_folder(bench, "stuck", datadir),
		     NULL);
	work_ingest(bench, &daemon, &before, NULL);
	since_ms = clock_mono_ms();
	listeners_start(&l);
	passed_ms = clock_mono_ms() - since_ms;
	if (passed_ms < FIRST_MS)
		bench_sleep_ms((unsigned)(FIRST_MS - passed_ms));
	measure(bench, &daemon, seed, &figures->meters[FILLING][are_stuck],
		&figures->meters[FULL][are_stuck]);
	listeners_stop(&l);
	daemon_stop(&daemon);
	bench_remove(datadir);
}

static double last(const struct series *series)
{
	return series->values[series->count - 1];
}

static void compare(struct figures *figures)
{
	for (unsigned phase = 0; phase < PHASES; phase++) {
		const struct meters *idle = &figures->meters[phase][IDLE];
		const struct meters *stuck = &figures->meters[phase][STUCK];

		series_add(&figures->p50[phase],
			   last(&stuck->p50) / last(&idle->p50));
		series_add(&figures->p99[phase],
			   last(&stuck->p99) / last(&idle->p99));
		series_add(&figures->cpu[phase],
			   last(&stuck->cpu) / last(&idle->cpu));
	}
}

static void put_one(const struct meters *m, const char *name)
{
	meters_put_one(&m->p50, "stuck", name, "restante", "latency_p50", "us",
		       false);
	meters_put_one(&m->p99, "stuck", name, "restante", "latency_p99", "us",
		       false);
	result_latency("stuck", name, "restante", &m->latency);
	result_latency("stuck", name, "load, sent after due", &m->lateness);
	meters_put_one(&m->cpu, "stuck", name, "restante", "cpu", "us/envelope",
		       false);
	meters_put_one(&m->own, "stuck", name, "restante", "load_cpu",
		       "us/envelope", false);
	meters_put_one(&m->memory, "stuck", name, "restante", "memory", "MB",
		       false);
}

static void put_all(const struct figures *figures)
{
	for (unsigned phase = 0; phase < PHASES; phase++) {
		for (unsigned i = 0; i < PEERS; i++)
			put_one(&figures->meters[phase][i], names[phase][i]);
		meters_put_one(&figures->p50[phase], "stuck", ratios[phase],
			       "restante", "latency_p50", "x", false);
		meters_put_one(&figures->p99[phase], "stuck", ratios[phase],
			       "restante", "latency_p99", "x", false);
		meters_put_one(&figures->cpu[phase], "stuck", ratios[phase],
			       "restante", "cpu", "x", false);
	}
}

static void run_stuck(struct bench *bench)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	if (!figures)
		bench_fail("no memory");
	bench_rounds(bench, 1);
	for (unsigned round = 1; bench_has_round_bare(bench, round); round++) {
		bool first = round % 2;

		one_round(bench, bench->seed + round, first, figures);
		one_round(bench, bench->seed + round, !first, figures);
		compare(figures);
	}
	put_all(figures);
	free(figures);
}

static const struct usage stuck_usage = {
	.program = "restante-bench",
	.command = "stuck",
	.summary =
		"A hundred peers that want everything and never read, while "
		"others post 10 000 envelopes a second, sent when they are "
		"due. Compared with a hundred that want nothing, in turn, "
		"each with a server of its own that has 20 000 envelopes to "
		"tell. Measured: times to the acknowledgement, CPU and memory "
		"of the server, in the first three seconds, while what waits "
		"for those peers fills up, and in the three after them.",
	.options = options,
};

const struct scenario scenario_stuck = {"stuck", "100 peers that never read",
					&stuck_usage, run_stuck};
