#include <stdio.h>
#include <stdlib.h>

#include "bench/listeners.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "core/clock.h"

#define PER_PACKET   10u
#define PACKETS_S    1000.0 /* open loop: 10 000 envelopes a second */
#define PHASE_MS     400u   /* of each; with --full: */
#define PHASE_MS_ALL 3000u
#define ROUNDS_ALL   11u    /* with --full, unless told */
#define BEFORE       20000u /* in the pool when the peers come */
#define FIRST_MS     1900u  /* after connecting; peers are told after 2 s */
#define CONNECTIONS  4

static const struct setting options[] = {BENCH_OPTIONS, {0}};

/* Idle peers twice: what differs between the two is not the peers' doing. */
enum { IDLE, STUCK, AGAIN, CASES };
enum { FILLING, FULL, PHASES };

static const char *const names[PHASES][CASES] = {
	{"100 idle peers, at first", "100 never read, at first",
	 "100 idle peers again, at first"},
	{"100 idle peers, then", "100 never read, then",
	 "100 idle peers again, then"}};
/* Each against IDLE of its round. */
static const char *const ratios[PHASES][CASES] = {
	{NULL, "never read / idle, first", "idle again / idle, first"},
	{NULL, "never read / idle, then", "idle again / idle, then"}};

struct ratio {
	struct series p50, p99, cpu;
};
struct figures {
	struct meters meters[PHASES][CASES];
	struct ratio ratios[PHASES][CASES];
};

/* `start_ms`: of the first phase. */
static void measure(const struct bench *bench, struct daemon *daemon,
		    uint64_t seed, uint64_t start_ms, struct meters *filling,
		    struct meters *full)
{
	unsigned ms = bench->is_full ? PHASE_MS_ALL : PHASE_MS;
	struct work_ingest work = {.per_packet = PER_PACKET,
				   .connections = CONNECTIONS,
				   .size = 512,
				   .count = PER_PACKET *
					    (unsigned)(PACKETS_S * ms / 1000),
				   .rate = PACKETS_S,
				   .seed = seed,
				   .start_ms = start_ms};

	work_ingest(bench, daemon, &work, filling);
	work.seed = seed + 1000000u;
	work_ingest(bench, daemon, &work, full);
}

static void one_case(const struct bench *bench, uint64_t seed, unsigned which,
		     struct figures *figures)
{
	const struct work_ingest before = {.per_packet = PER_PACKET,
					   .connections = CONNECTIONS,
					   .size = 512,
					   .count = BEFORE,
					   .seed = seed + 2000000u};
	bool are_stuck = which == STUCK;
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	struct listeners l = {.bench = bench,
			      .daemon = &daemon,
			      .want_all = are_stuck,
			      .are_stuck = are_stuck};
	uint64_t start_ms = 0;

	daemon_start(&daemon, bench, bench_folder(bench, "stuck", datadir),
		     NULL);
	work_ingest(bench, &daemon, &before, NULL);
	/* Idle ones are told nothing then: the quick run has no time for it. */
	if (are_stuck || bench->is_full)
		start_ms = clock_mono_ms() + FIRST_MS;
	listeners_start(&l);
	measure(bench, &daemon, seed, start_ms,
		&figures->meters[FILLING][which],
		&figures->meters[FULL][which]);
	listeners_stop(&l);
	daemon_stop(&daemon);
	bench_remove(datadir);
}

static void compare(struct figures *figures)
{
	for (unsigned phase = 0; phase < PHASES; phase++) {
		const struct meters *meters = figures->meters[phase];
		const struct meters *idle = &meters[IDLE];

		for (unsigned i = STUCK; i < CASES; i++) {
			struct ratio *ratio = &figures->ratios[phase][i];

			series_add(&ratio->p50,
				   series_last(&meters[i].p50) /
					   series_last(&idle->p50));
			series_add(&ratio->p99,
				   series_last(&meters[i].p99) /
					   series_last(&idle->p99));
			series_add(&ratio->cpu,
				   series_last(&meters[i].cpu) /
					   series_last(&idle->cpu));
		}
	}
}

/* All packets of all rounds in one: the p99 that few packets decide least. */
static void put_pooled(const struct meters *m, const char *name,
		       const struct meters *idle, const char *ratio)
{
	double p99 = (double)histogram_quantile(&m->latency, 0.99);
	struct series pooled = {0}, against = {0};

	series_add(&pooled, p99 / 1e3);
	meters_put_one(&pooled, "stuck", name, "restante", "latency_p99_pooled",
		       "us", false);
	if (!ratio)
		return;
	series_add(&against,
		   p99 / (double)histogram_quantile(&idle->latency, 0.99));
	meters_put_one(&against, "stuck", ratio, "restante",
		       "latency_p99_pooled", "x", false);
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
		const struct meters *meters = figures->meters[phase];

		for (unsigned i = 0; i < CASES; i++) {
			const struct ratio *ratio = &figures->ratios[phase][i];
			const char *name = ratios[phase][i];

			put_one(&meters[i], names[phase][i]);
			put_pooled(&meters[i], names[phase][i], &meters[IDLE],
				   name);
			meters_put_one(&ratio->p50, "stuck", name, "restante",
				       "latency_p50", "x", false);
			meters_put_one(&ratio->p99, "stuck", name, "restante",
				       "latency_p99", "x", false);
			meters_put_one(&ratio->cpu, "stuck", name, "restante",
				       "cpu", "x", false);
		}
	}
}

static void run_stuck(struct bench *bench)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	if (!figures)
		bench_fail("no memory");
	if (bench->is_full && settings_u64(bench->options, "rounds") == 0)
		bench->rounds = ROUNDS_ALL;
	bench_rounds(bench, 1);
	for (unsigned round = 1; bench_has_round_bare(bench, round); round++) {
		for (unsigned i = 0; i < CASES; i++)
			one_case(bench, bench->seed + round,
				 (round + i) % CASES, figures);
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
		"due. Compared with a hundred that want nothing, which are "
		"measured twice in each round (`idle`, `idle again`): idle "
		"again / idle is what the disk and the machine do by "
		"themselves, and never read / idle is to be read beside it. "
		"The three take turns in going first, each with a server of "
		"its own that has 20 000 envelopes to tell.\n\n"
		"Measured: times to the acknowledgement, CPU and memory of "
		"the server, at first, while what waits for those peers fills "
		"up, and then. A ratio is of one round, the figure their "
		"median with the least and the greatest; `latency_p99_pooled` "
		"is the p99 of the packets of all rounds together, and its "
		"ratio. With --full a phase is 3 s and there are 11 rounds; "
		"else 0.4 s (400 packets), and "
		"idle peers are measured without waiting until the time at "
		"which those who never read are first told.",
	.options = options,
};

const struct scenario scenario_stuck = {"stuck", "100 peers that never read",
					&stuck_usage, run_stuck};
