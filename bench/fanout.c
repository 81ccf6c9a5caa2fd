#include <stdio.h>
#include <stdlib.h>

#include "bench/listeners.h"
#include "bench/scenarios.h"
#include "bench/work.h"

#define ENVELOPES  1500u /* of a round; with --full twice as many */
#define PER_PACKET 50u

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static void measure(const struct listeners *l, uint64_t seed,
		    struct meters *meters)
{
	const struct work_ingest work = {
		.per_packet = PER_PACKET,
		.connections = 1,
		.size = 512,
		.count = l->bench->is_full ? 2 * ENVELOPES : ENVELOPES,
		.seed = seed};
	uint64_t count = (uint64_t)work.count * LISTENERS;
	uint64_t want = l->got + count;
	struct span span;

	span_begin(&span, l->daemon->pid, NULL);
	work_ingest(l->bench, l->daemon, &work, NULL);
	for (unsigned i = 0; l->got < want; i++) {
		if (i > 10000)
			bench_fail("%lu envelopes were told instead of %lu",
				   (unsigned long)l->got, (unsigned long)want);
		bench_sleep_ms(1);
	}
	span_stop(&span);
	span_end(&span);
	meters_add(meters, &span, (double)count);
}

static void run_fanout(struct bench *bench)
{
	struct meters *meters = calloc(2, sizeof(*meters));
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;
	struct listeners l = {
		.bench = bench, .daemon = &daemon, .want_all = true};

	if (!meters)
		bench_fail("no memory");
	daemon_start(&daemon, bench, bench_folder(bench, "fanout", datadir),
		     NULL);
	/* They stay: what a peer is told on connecting, with the first round,
	 * does not count. */
	listeners_start(&l);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		measure(&l, bench->seed + round, &meters[round ? 0 : 1]);
	listeners_stop(&l);
	daemon_stop(&daemon);
	bench_remove(datadir);
	meters_put_one(&meters[0].rate, "fanout", "gossip to 100 peers",
		       "restante", "rate", "deliveries/s", true);
	meters_put_one(&meters[0].cpu, "fanout", "gossip to 100 peers",
		       "restante", "cpu", "us/delivery", false);
	meters_put_one(&meters[0].own, "fanout", "gossip to 100 peers",
		       "restante", "load_cpu", "us/delivery", false);
	meters_put_one(&meters[0].switches, "fanout", "gossip to 100 peers",
		       "restante", "switches", "1/delivery", false);
	meters_put_one(&meters[0].memory, "fanout", "gossip to 100 peers",
		       "restante", "memory", "MB", false);
	free(meters);
}

static const struct usage fanout_usage = {
	.program = "restante-bench",
	.command = "fanout",
	.summary =
		"Gossip: one peer posts 1500 envelopes (3000 with --full), a "
		"hundred that "
		"want everything and stay connected are told of them, in each "
		"round. Measured from the first "
		"packet until the last peer has the last envelope, with the "
		"commits; CPU time of the server for each delivery.",
	.options = options,
};

const struct scenario scenario_fanout = {"fanout", "gossip to 100 peers",
					 &fanout_usage, run_fanout};
