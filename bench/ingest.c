#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/scenarios.h"
#include "bench/work.h"

#define PACKET_MAX  (1u << 20) /* what peers of the network send at most */
#define OVERHEAD    48u        /* of an envelope beside its data, at most */
#define ROUND_BYTES (96u << 20)
#define WARM_COUNT  20000u
#define KINDS_MAX   64u
#define TWO_DAYS_S  172800u

struct kind {
	uint32_t per_packet;
	unsigned connections;
	uint32_t size;
	uint32_t count; /* envelopes in a round; 0: what bench_case_s() takes */
	uint32_t spread_s; /* see struct work_ingest */
};

/* As a copy of another server's archive comes. */
#define OLDER                                                                  \
	{                                                                      \
		50, 8, 512, 0, TWO_DAYS_S                                      \
	}

static const struct kind quick_kinds[] = {
	{50, 1, 512, 0, 0}, {50, 8, 512, 0, 0},  {1, 1, 512, 0, 0},
	{1, 8, 512, 0, 0},  {500, 8, 512, 0, 0}, OLDER,
};
static const uint32_t sizes[] = {512, 200, 1500, 50000};
static const uint32_t groups[] = {1, 10, 50, 500};
static const unsigned connections[] = {1, 4, 8, 64};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t most_in_packet(uint32_t size)
{
	return (PACKET_MAX - OVERHEAD) / (size + OVERHEAD);
}

/* All of one size; a packet is no larger than the server takes. */
static unsigned kinds_of_size(uint32_t size, struct kind *list)
{
	uint32_t most = most_in_packet(size), last = 0;
	unsigned count = 0;

	for (size_t i = 0; i < COUNT(groups); i++) {
		uint32_t group = groups[i] < most ? groups[i] : most;

		if (group == last)
			continue;
		last = group;
		for (size_t j = 0; j < COUNT(connections); j++)
			list[count++] = (struct kind){group, connections[j],
						      size, 0, 0};
	}
	return count;
}

/* ---- rounds ---- */

static uint32_t at_most_bytes(const struct kind *kind, uint64_t count)
{
	uint64_t most = ROUND_BYTES / kind->size;
	uint64_t least = (uint64_t)kind->per_packet * kind->connections;

	/* Each connection has something to send, if the bytes let it. */
	if (count < least * 4)
		count = least * 4;
	return (uint32_t)(count < most ? count : most);
}

static uint32_t warm_count(const struct kind *kind)
{
	uint64_t count = (uint64_t)kind->per_packet * kind->connections * 16;

	return at_most_bytes(kind, count < WARM_COUNT ? count : WARM_COUNT);
}

static void measure(const struct bench *bench, const struct daemon *daemon,
		    const struct kind *kind, uint32_t count, uint64_t seed,
		    struct meters *meters)
{
	const struct work_ingest work = {.per_packet = kind->per_packet,
					 .connections = kind->connections,
					 .size = kind->size,
					 .count = count,
					 .spread_s = kind->spread_s,
					 .seed = seed};

	work_ingest(bench, daemon, &work, meters);
}

/* Its rate says how many envelopes the rounds will take. */
static void warm_up(const struct bench *bench, const struct daemon *daemon,
		    struct kind *kind, uint64_t seed)
{
	struct meters *spare = calloc(1, sizeof(*spare));

	if (!spare)
		bench_fail("no memory");
	measure(bench, daemon, kind,
		kind->count ? kind->count : warm_count(kind), seed, spare);
	if (!kind->count)
		kind->count = at_most_bytes(
			kind, (uint64_t)(series_median(&spare->rate) *
					 bench_case_s(bench)));
	free(spare);
}

static void put(const struct kind *kind, const struct meters *meters)
{
	char work[96], curve[64], spread[32] = "";

	if (kind->spread_s)
		(void)snprintf(spread, sizeof(spread), ", sent over %u h",
			       kind->spread_s / 3600);
	(void)snprintf(work, sizeof(work),
		       "%u B, %u a packet, %u connections%s", kind->size,
		       kind->per_packet, kind->connections, spread);
	(void)snprintf(curve, sizeof(curve), "%u a packet", kind->per_packet);
	if (kind->size == sizes[0] && !kind->spread_s)
		result_curve(curve, kind->connections);
	meters_put(meters, "ingest", work, "restante", "envelope");
	result_curve(NULL, 0);
}

/* These, in turns, against a server of their own. */
static void run_kinds(struct bench *bench, struct kind *list, unsigned count,
		      double share)
{
	struct meters *meters = calloc(count, sizeof(*meters));
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!meters)
		bench_fail("no memory");
	daemon_start(&daemon, bench, bench_folder(bench, "ingest", datadir),
		     NULL);
	bench_rounds(bench, share);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		for (unsigned i = 0; i < count; i++) {
			uint64_t seed = bench->seed + round * 1000u + i;

			if (round == 0)
				warm_up(bench, &daemon, &list[i], seed);
			else
				measure(bench, &daemon, &list[i], list[i].count,
					seed, &meters[i]);
		}
	}
	daemon_stop(&daemon);
	for (unsigned i = 0; i < count; i++)
		put(&list[i], &meters[i]);
	bench_remove(datadir);
	free(meters);
}

static void run_all(struct bench *bench)
{
	struct kind list[KINDS_MAX];
	char text[160];

	for (size_t i = 0; i < COUNT(sizes); i++) {
		unsigned count = kinds_of_size(sizes[i], list);

		if (i == 0)
			list[count++] = (struct kind)OLDER;
		if (most_in_packet(sizes[i]) < groups[COUNT(groups) - 1]) {
			(void)snprintf(
				text, sizeof(text),
				"of %u B at most %u are in a packet, which is "
				"1 MiB at most",
				sizes[i], most_in_packet(sizes[i]));
			result_note("ingest", "restante", text);
		}
		run_kinds(bench, list, count, 1.0 / (double)(COUNT(sizes) - i));
	}
}

static struct kind asked_for(const struct bench *bench)
{
	const struct settings *s = bench->options;

	return (struct kind){
		.per_packet = (uint32_t)settings_u64(s, "per-packet"),
		.connections = (unsigned)settings_u64(s, "connections"),
		.size = (uint32_t)settings_u64(s, "size"),
		.count = (uint32_t)settings_u64(s, "envelopes"),
		.spread_s = (uint32_t)settings_s(s, "spread")};
}

static void run(struct bench *bench)
{
	struct kind list[COUNT(quick_kinds)];

	result_axis("connections");
	if (settings_is_given(bench->options, "per-packet") ||
	    settings_is_given(bench->options, "connections") ||
	    settings_is_given(bench->options, "size") ||
	    settings_is_given(bench->options, "spread")) {
		list[0] = asked_for(bench);
		run_kinds(bench, list, 1, 1);
	} else if (bench->is_full) {
		run_all(bench);
	} else {
		memcpy(list, quick_kinds, sizeof(list));
		run_kinds(bench, list, COUNT(quick_kinds), 1);
	}
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
	{"spread", NULL, SETTING_DURATION, "0", "0", "30d", NULL,
	 "of the times when they were sent, back from now, in each round"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "ingest",
	.summary =
		"Acknowledged ingest: packets of envelopes over devp2p on "
		"loopback into the real server, 8 packets a connection in "
		"flight, each acknowledged after its commit with full "
		"synchronisation. With --full 1, 10, 50 and 500 a packet, 1, "
		"4, 8 and 64 connections, 200 B, 512 B, 1.5 kB and 50 kB, each "
		"with each; a case takes half a second a round.\n\n"
		"Measured: envelopes a second; CPU time of the server and of "
		"the load by the kernel's accounting (what the server does "
		"after the last acknowledgement belongs to it); time to the "
		"acknowledgement, with as many in flight as said, so that it "
		"is a time under full load (`mixed` has it at a steady rate); "
		"bytes the block device wrote; context switches and system "
		"calls; memory. Not measured: making envelopes, proof of "
		"work, handshakes; and the network, which is loopback.",
	.options = options,
};

const struct scenario scenario_ingest = {
	"ingest", "acknowledged ingest over devp2p", &usage, run};
