#include <stdio.h>
#include <stdlib.h>

#include "bench/load.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "core/clock.h"

#define KEPT       "64M"
#define KEPT_MB    67.1
#define FILLING_S  30u    /* the bound is reached; not counted */
#define WINDOW_S   30u    /* then each so many seconds are a round */
#define STEP       20000u /* envelopes, of one hour each */
#define PER_PACKET 50u

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

/* What is going on, since the last round began. */
struct filling {
	const struct bench *bench;
	struct daemon daemon;
	uint64_t begun_ms, round_ms;
	uint64_t taken, taken_before; /* envelopes */
	double most_mb;
	struct series greatest, rate; /* a round each */
};

static double seconds_since(uint64_t ms)
{
	return (double)(clock_mono_ms() - ms) / 1e3;
}

static void put_size(struct filling *f)
{
	double mb = (double)bench_folder_bytes(f->daemon.datadir) / 1e6;
	double second = seconds_since(f->begun_ms);
	struct series size = {0};
	char work[64];

	if (mb > f->most_mb)
		f->most_mb = mb;
	series_add(&size, mb);
	(void)snprintf(work, sizeof(work), "after %.0f s, %.0f MB put", second,
		       (double)f->taken * 545 / 1e6);
	result_curve("files on disk, bound " KEPT, second);
	meters_put_one(&size, "retention", work, "restante", "disk", "MB",
		       false);
	result_curve(NULL, 0);
}

static void end_round(struct filling *f, bool counts)
{
	if (counts) {
		series_add(&f->rate, (double)(f->taken - f->taken_before) /
					     seconds_since(f->round_ms));
		series_add(&f->greatest, f->most_mb / KEPT_MB);
	}
	f->round_ms = clock_mono_ms();
	f->taken_before = f->taken;
	f->most_mb = 0;
}

/* An hour takes a second or more: that many lie before now. */
static void fill(struct filling *f)
{
	unsigned seconds = FILLING_S + f->bench->rounds * WINDOW_S;
	uint32_t first_s = clock_wall_s() - (seconds + 1) * 3600u;
	uint32_t hour = 0;

	f->begun_ms = f->round_ms = clock_mono_ms();
	for (unsigned round = 0; round <= f->bench->rounds; round++) {
		double end = FILLING_S + round * WINDOW_S;

		while (seconds_since(f->begun_ms) < end) {
			post_hour(f->bench, &f->daemon, first_s + hour * 3600u,
				  f->bench->seed + hour);
			hour++;
			f->taken += STEP;
			put_size(f);
			bench_sleep_ms(1000);
		}
		end_round(f, round > 0);
	}
}

static void run(struct bench *bench)
{
	static const char *const flags[] = {"--storage.slice_span", "1h",
					    "--storage.retention_bytes", KEPT,
					    NULL};
	struct filling f = {.bench = bench};
	char datadir[BENCH_PATH_MAX];

	if (!bench->is_full && !settings_is_given(bench->options, "rounds")) {
		result_note("retention", "restante",
			    "skipped: takes three minutes; with --full");
		return;
	}
	result_axis("seconds");
	daemon_start(&f.daemon, bench,
		     bench_folder(bench, "retention", datadir), flags);
	fill(&f);
	daemon_stop(&f.daemon);
	meters_put_one(&f.greatest, "retention", "greatest size / bound " KEPT,
		       "restante", "ratio", "", false);
	meters_put_one(&f.rate, "retention", "ingest meanwhile", "restante",
		       "rate", "envelopes/s", true);
	bench_remove(datadir);
}

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "retention",
	.summary = "Retention under ingest: a bound of " KEPT
		   " and slices of an hour, while 20 000 envelopes of one hour "
		   "after the other come. One archive all the time: after half "
		   "a minute in which it reaches the bound each further half "
		   "minute is a round. Measured: the size of the files over "
		   "time, and of each round the greatest and the ingest "
		   "(with a pause of a second behind each 20 000). Only with "
		   "--full (or --rounds).",
	.options = options,
};

const struct scenario scenario_retention = {
	"retention", "the size of files under ingest", &usage, run};
