#include <stdio.h>
#include <stdlib.h>

#include "bench/load.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "core/clock.h"

#define KEPT       "64M"
#define KEPT_MB    67.1
#define SECONDS    180u
#define STEP       20000u /* envelopes, of one hour each */
#define PER_PACKET 50u
#define HOURS      400u

static void post_hour(const struct bench *bench, const struct daemon *daemon,
		      uint32_t first_s, uint64_t seed)
{
	struct corpus_config config;
	struct corpus corpus;
	struct packed *packed;
	struct load_post load = {.crowd = {.server = &daemon->enode,
					   .connections = 2,
					   .engine = bench->engine},
				 .window = 8};

	corpus_config_default(&config, STEP);
	config.seed = seed;
	config.first_s = first_s;
	config.last_s = first_s + 3599;
	corpus_make(&corpus, &config);
	load.count = corpus_pack(&corpus, PER_PACKET, &packed);
	load.packed = packed;
	load_post_run(&load);
	free(packed);
	corpus_release(&corpus);
}

static void run(struct bench *bench)
{
	static const char *const flags[] = {"--storage.slice_span", "1h",
					    "--storage.retention_bytes", KEPT,
					    NULL};
	uint32_t first_s = clock_wall_s() - HOURS * 3600u;
	uint64_t since_ms, taken = 0;
	char datadir[BENCH_PATH_MAX], work[64];
	struct series greatest = {0}, rate = {0};
	struct daemon daemon;
	double most = 0;

	if (!bench->is_full && !settings_is_given(bench->options, "rounds")) {
		result_note("retention", "restante",
			    "skipped: takes three minutes; with --full");
		return;
	}
	result_axis("seconds");
	daemon_start(&daemon, bench, bench_folder(bench, "retention", datadir),
		     flags);
	since_ms = clock_mono_ms();
	for (unsigned hour = 0; hour < HOURS; hour++) {
		double second = (double)(clock_mono_ms() - since_ms) / 1e3;
		struct series size = {0};
		double mb;

		if (second >= SECONDS)
			break;
		post_hour(bench, &daemon, first_s + hour * 3600u,
			  bench->seed + hour);
		taken += STEP;
		mb = (double)bench_folder_bytes(datadir) / 1e6;
		if (mb > most)
			most = mb;
		second = (double)(clock_mono_ms() - since_ms) / 1e3;
		series_add(&size, mb);
		(void)snprintf(work, sizeof(work), "after %.0f s, %.0f MB put",
			       second, (double)taken * 545 / 1e6);
		result_curve("files on disk, bound " KEPT, second);
		meters_put_one(&size, "retention", work, "restante", "disk",
			       "MB", false);
		bench_sleep_ms(1000);
	}
	result_curve(NULL, 0);
	series_add(&rate, (double)taken /
				  ((double)(clock_mono_ms() - since_ms) / 1e3));
	series_add(&greatest, most / KEPT_MB);
	daemon_stop(&daemon);
	meters_put_one(&greatest, "retention", "greatest size / bound " KEPT,
		       "restante", "ratio", "", false);
	meters_put_one(&rate, "retention", "ingest meanwhile", "restante",
		       "rate", "envelopes/s", true);
	bench_remove(datadir);
}

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "retention",
	.summary = "Retention under ingest: a bound of " KEPT
		   " and slices of an hour, while 20 000 envelopes of one hour "
		   "after the other come for three minutes. Measured: the size "
		   "of the files over time. Only with --full (or --rounds).",
	.options = options,
};

const struct scenario scenario_retention = {
	"retention", "the size of files under ingest", &usage, run};
