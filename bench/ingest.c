#include <stdio.h>
#include <stdlib.h>

#include "bench/scenarios.h"
#include "bench/work.h"

/* As many envelopes as one round of a case sends. */
struct kind {
	uint32_t per_packet;
	unsigned connections;
	uint32_t size;
	uint32_t count;
	bool in_quick;
};

static const struct kind kinds[] = {
	{50, 1, 512, 100000, true},  {50, 4, 512, 100000, false},
	{50, 8, 512, 100000, true},  {50, 64, 512, 100000, false},
	{1, 1, 512, 4000, true},     {1, 8, 512, 20000, true},
	{1, 64, 512, 40000, false},  {10, 8, 512, 60000, false},
	{500, 8, 512, 150000, true}, {50, 8, 200, 100000, false},
	{50, 8, 1500, 60000, false}, {20, 8, 50000, 3000, false},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void measure(const struct bench *bench, const struct daemon *daemon,
		    const struct kind *kind, uint64_t seed,
		    struct meters *meters)
{
	const struct work_ingest work = {.per_packet = kind->per_packet,
					 .connections = kind->connections,
					 .size = kind->size,
					 .count = kind->count,
					 .seed = seed};

	work_ingest(bench, daemon, &work, meters);
}

static struct kind asked_for(const struct bench *bench)
{
	const struct settings *s = bench->options;
	struct kind kind = {
		.per_packet = (uint32_t)settings_u64(s, "per-packet"),
		.connections = (unsigned)settings_u64(s, "connections"),
		.size = (uint32_t)settings_u64(s, "size"),
		.count = (uint32_t)settings_u64(s, "envelopes"),
		.in_quick = true};

	return kind;
}

static void run(struct bench *bench)
{
	struct meters *meters = calloc(KINDS, sizeof(*meters));
	struct kind list[KINDS];
	char datadir[BENCH_PATH_MAX], work[96];
	struct daemon daemon;
	unsigned count = 0;

	if (!meters)
		bench_fail("no memory");
	if (settings_is_given(bench->options, "per-packet") ||
	    settings_is_given(bench->options, "connections") ||
	    settings_is_given(bench->options, "size"))
		list[count++] = asked_for(bench);
	else
		for (unsigned i = 0; i < KINDS; i++)
			if (bench->is_full || kinds[i].in_quick)
				list[count++] = kinds[i];
	daemon_start(&daemon, bench, bench_folder(bench, "ingest", datadir),
		     NULL);
	for (unsigned round = 0; round <= bench->rounds; round++)
		for (unsigned i = 0; i < count; i++)
			measure(bench, &daemon, &list[i],
				bench->seed + round * 1000u + i,
				round ? &meters[i] : NULL);
	daemon_stop(&daemon);
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(
			work, sizeof(work), "%u B, %u a packet, %u connections",
			list[i].size, list[i].per_packet, list[i].connections);
		meters_put(&meters[i], "ingest", work, "restante", "envelope");
	}
	bench_remove(datadir);
	free(meters);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"per-packet", NULL, SETTING_U64, "50", "1", "2000", "envelopes",
	 "one case of one's own: envelopes in a packet"},
	{"connections", NULL, SETTING_U64, "8", "1", "4096", "connections",
	 "of that case"},
	{"size", NULL, SETTING_U64, "512", "1", "500000", "bytes",
	 "of the data of its envelopes"},
	{"envelopes", NULL, SETTING_U64, "100000", "1", "10000000", "envelopes",
	 "of it in a round"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "ingest",
	.summary =
		"Acknowledged ingest: packets of envelopes over devp2p on "
		"loopback into the real server, 8 packets a connection in "
		"flight, each acknowledged after its commit with full "
		"synchronisation.\n\n"
		"Measured: envelopes a second; CPU time of the server and of "
		"the load by the kernel's accounting (what the server does "
		"after the last acknowledgement belongs to it); time to the "
		"acknowledgement; bytes the block device wrote; context "
		"switches; memory. Not measured: making envelopes, proof of "
		"work, handshakes; and the network, which is loopback.",
	.options = options,
};

const struct scenario scenario_ingest = {
	"ingest", "acknowledged ingest over devp2p", &usage, run};
