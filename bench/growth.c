#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "bench/daemon.h"
#include "bench/fill.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "bench/work.h"
#include "core/clock.h"

#define TOPICS    1000u
#define ABSENT    1000000u
#define QUERIES   300u
#define PAGES_ALL 100u    /* of everything: what is delivered is bounded */
#define DEEP      1000u   /* the page that is held against the first */
#define DEEP_SIZE 200000u /* envelopes in that archive */
#define DEEP_PAGE 100u

#define INGEST    20000u /* at most so many in a round, a share of the size */
#define INGEST_OF 20u
#define ROOM_OF   700u /* bytes of disk for an envelope while filling */

enum task { TASK_TOPIC, TASK_NONE, TASK_ALL, TASK_INGEST, TASKS };
static const char *const names[TASKS] = {
	"one topic of 1000, newest 100", "no match",
	"everything, newest 100 000", "ingest, 50 a packet, 8 connections"};

enum start { START_WARM, START_KILLED, START_COLD, STARTS };
static const char *const start_names[STARTS] = {
	"restart", "restart after a kill", "restart, cold files"};

/* What an archive of one size has shown. */
struct sized {
	uint32_t size, ingest; /* of a round */
	uint64_t archived;     /* by now */
	struct meters tasks[TASKS];
	struct series starts[STARTS];
	struct series disk, resident;
};

struct asker {
	enum task task;
	uint64_t seed;
	struct span span;
	struct topic topic;
	struct histogram *first, *deep; /* of TASK_ALL in `deep` */
};

static bool next(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;
	uint64_t state = asker->seed + number;
	uint32_t random = (uint32_t)(bench_random(&state) >> 33);

	if (number >= (asker->task == TASK_ALL ? 1 : QUERIES))
		return false;
	if (asker->task == TASK_ALL) {
		load_ask_all(query);
		return true;
	}
	asker->topic = corpus_topic(asker->task == TASK_NONE ? ABSENT + random
							     : random % TOPICS);
	load_ask_topic(query, &asker->topic);
	query->limit = 100;
	return true;
}

static void ask(const struct bench *bench, const struct daemon *daemon,
		enum task task, uint64_t seed, struct meters *meters,
		bool counts)
{
	struct asker asker = {.task = task, .seed = seed};
	struct load_pull load = {.crowd = {.server = &daemon->enode,
					   .connections = 1,
					   .engine = bench->engine},
				 .hooks = load_hooks_span(&asker.span),
				 .next = next,
				 .ctx = &asker,
				 .pages_max = task == TASK_ALL ? PAGES_ALL : 1,
				 .queries_time = &meters->round};

	asker.span.pid = daemon->pid;
	load_pull_run(&load);
	span_end(&asker.span);
	if (task == TASK_TOPIC && load.envelopes == 0)
		bench_fail("a topic that is there was not found");
	if (counts)
		meters_add(meters, &asker.span,
			   task == TASK_ALL ? (double)load.envelopes
					    : (double)load.queries);
	histogram_clear(&meters->round);
}

static void put(const struct sized *sized)
{
	char work[96];

	for (unsigned task = 0; task < TASKS; task++) {
		(void)snprintf(work, sizeof(work), "%s, among %u", names[task],
			       sized->size);
		result_curve(names[task], sized->size);
		meters_put(&sized->tasks[task], "growth", work, "restante",
			   task >= TASK_ALL ? "envelope" : "query");
	}
	for (unsigned i = 0; i < STARTS; i++) {
		(void)snprintf(work, sizeof(work), "%s, %u", start_names[i],
			       sized->size);
		result_curve(start_names[i], sized->size);
		meters_put_one(&sized->starts[i], "growth", work, "restante",
			       "start", "s", false);
	}
	(void)snprintf(work, sizeof(work), "archive, %u", sized->size);
	result_curve("on disk", sized->size);
	meters_put_one(&sized->disk, "growth", work, "restante", "disk",
		       "B/envelope", false);
	result_curve(NULL, 0);
	meters_put_one(&sized->resident, "growth", work, "restante", "resident",
		       "MB, with mapped files", false);
}

static void ingest(const struct bench *bench, const struct daemon *daemon,
		   uint64_t seed, struct sized *sized, bool counts)
{
	const struct work_ingest work = {.per_packet = 50,
					 .connections = 8,
					 .size = 512,
					 .count = sized->ingest,
					 .seed = seed};

	work_ingest(bench, daemon, &work,
		    counts ? &sized->tasks[TASK_INGEST] : NULL);
}

static void take_start(struct sized *sized, const struct daemon *daemon,
		       enum start start, bool counts)
{
	if (counts)
		series_add(&sized->starts[start], daemon->start_s);
}

static void measure_tasks(const struct bench *bench, const char *datadir,
			  struct sized *sized, unsigned round)
{
	uint64_t seed = bench->seed + round * 7919u;
	struct usage_sample sample;
	bool counts = round > 0;
	bool counts_size = counts && round <= bench->rounds;
	struct daemon daemon;

	if (counts_size)
		series_add(&sized->disk, (double)bench_folder_bytes(datadir) /
						 (double)sized->archived);
	daemon_start(&daemon, bench, datadir, NULL);
	for (unsigned task = 0; task < TASK_INGEST; task++)
		ask(bench, &daemon, (enum task)task, seed, &sized->tasks[task],
		    counts);
	if (counts_size && usage_of(daemon.pid, &sample) == 0)
		series_add(&sized->resident, (double)sample.rss_bytes / 1e6);
	ingest(bench, &daemon, seed + 1, sized, counts);
	sized->archived += sized->ingest;
	daemon_stop(&daemon);
}

/* After a stop, after a kill, and with cold files. */
static void measure_starts(const struct bench *bench, const char *datadir,
			   struct sized *sized, bool counts)
{
	struct daemon daemon;

	daemon_start(&daemon, bench, datadir, NULL);
	daemon_stop(&daemon);
	daemon_start(&daemon, bench, datadir, NULL);
	take_start(sized, &daemon, START_WARM, counts);
	daemon_kill(&daemon);
	daemon_start(&daemon, bench, datadir, NULL);
	take_start(sized, &daemon, START_KILLED, counts);
	daemon_stop(&daemon);
	bench_drop_pages(datadir);
	daemon_start(&daemon, bench, datadir, NULL);
	take_start(sized, &daemon, START_COLD, counts);
	daemon_stop(&daemon);
}

/* Is there room for it, and as much again for everybody else? */
static bool has_room(const struct bench *bench, uint32_t size)
{
	struct statvfs vfs;
	char text[120];

	if (statvfs(bench->dir, &vfs) || (uint64_t)vfs.f_bavail * vfs.f_frsize >
						 2 * (uint64_t)size * ROOM_OF)
		return true;
	(void)snprintf(text, sizeof(text),
		       "skipped: %u envelopes need %.0f GB of free disk", size,
		       2.0 * size * ROOM_OF / 1e9);
	result_note("growth", "restante", text);
	return false;
}

static void measure_size(struct bench *bench, uint32_t size, double share)
{
	struct sized *sized = calloc(1, sizeof(*sized));
	char datadir[BENCH_PATH_MAX];

	if (!sized)
		bench_fail("no memory");
	sized->size = size;
	sized->ingest = size / INGEST_OF < INGEST ? size / INGEST_OF : INGEST;
	bench_rounds(bench, share);
	bench_folder(bench, "growth", datadir);
	fill_archive(datadir, size, bench->seed);
	sized->archived = size;
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		measure_tasks(bench, datadir, sized, round);
	/* On their own, since what they leave is cold. */
	bench_rounds(bench, share);
	for (unsigned round = 0; bench_has_round(bench, round); round++)
		measure_starts(bench, datadir, sized, round > 0);
	put(sized);
	bench_remove(datadir);
	free(sized);
}

static void run_growth(struct bench *bench)
{
	static const struct {
		uint32_t size;
		double share;
	} sizes[] = {{100000, 0.2}, {1000000, 0.3}, {10000000, 1}};
	uint32_t one = (uint32_t)settings_u64(bench->options, "envelopes");
	unsigned count = bench->is_full ? 3 : 2;

	result_axis("envelopes in the archive");
	if (one) {
		measure_size(bench, one, 1);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		if (has_room(bench, sizes[i].size))
			measure_size(bench, sizes[i].size,
				     i + 1 == count ? 1 : sizes[i].share);
}

static const struct setting growth_options[] = {
	BENCH_OPTIONS,
	{"envelopes", NULL, SETTING_U64, "0", "0", "1000000000", "envelopes",
	 "an archive of this size and no other"},
	{0}};

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage growth_usage = {
	.program = "restante-bench",
	.command = "growth",
	.summary =
		"What an archive's size costs: 100 000, 1 000 000 and (with "
		"--full) 10 000 000 envelopes of 512 B over a day and 1000 "
		"topics. Measured on each: the newest hundred of one topic, a "
		"topic that is not there, the newest 100 000 of everything, "
		"ingest, and the time from starting the server to its enode "
		"URL: after a stop, after a kill, and with the files' pages "
		"dropped. The archive is filled without a server before the "
		"clock starts, once for each size: every round asks that one, "
		"starts it anew, looks at its size on disk, and leaves what "
		"it ingests in it (at most a twentieth of its size each). "
		"10 000 000 need 7 GB of disk.",
	.options = growth_options,
};

const struct scenario scenario_growth = {
	"growth", "archives of 10^5, 10^6, 10^7", &growth_usage, run_growth};

/* ---- page 1 against page 1000 ---- */

static void on_page(void *ctx, uint32_t page, uint64_t ns)
{
	struct asker *asker = ctx;

	/* Ten pages at either end, so that one that stalls does not decide. */
	if (page < 10)
		histogram_add(asker->first, ns);
	else if (page >= DEEP - 10 && page < DEEP)
		histogram_add(asker->deep, ns);
}

static bool next_deep(void *ctx, uint64_t number, struct mail_query *query)
{
	(void)ctx;
	if (number > 0)
		return false;
	load_ask_all(query);
	query->limit = DEEP_PAGE;
	return true;
}

static void run_deep(struct bench *bench)
{
	struct histogram *times = calloc(4, sizeof(*times));
	struct series first = {0}, deep = {0}, ratio = {0};
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!times)
		bench_fail("no memory");
	bench_folder(bench, "deep", datadir);
	fill_archive(datadir, DEEP_SIZE, bench->seed);
	daemon_start(&daemon, bench, datadir, NULL);
	bench_rounds(bench, 1);
	for (unsigned round = 0; bench_has_round(bench, round); round++) {
		struct asker asker = {.first = &times[0], .deep = &times[1]};
		struct load_pull load = {.crowd = {.server = &daemon.enode,
						   .connections = 1,
						   .engine = bench->engine},
					 .next = next_deep,
					 .ctx = &asker,
					 .page = on_page,
					 .pages_max = DEEP};
		double a, b;

		load_pull_run(&load);
		if (round > 0) {
			histogram_merge(&times[2], &times[0]);
			histogram_merge(&times[3], &times[1]);
		}
		a = (double)histogram_quantile(&times[0], 0.5) / 1e3;
		b = (double)histogram_quantile(&times[1], 0.5) / 1e3;
		histogram_clear(&times[0]);
		histogram_clear(&times[1]);
		if (round == 0)
			continue;
		series_add(&first, a);
		series_add(&deep, b);
		series_add(&ratio, b / a);
	}
	daemon_stop(&daemon);
	meters_put_one(&first, "deep", "pages 1 to 10 of 100", "restante",
		       "latency_p50", "us", false);
	meters_put_one(&deep, "deep", "pages 991 to 1000 of 100", "restante",
		       "latency_p50", "us", false);
	result_latency("deep", "pages 1 to 10 of 100", "restante", &times[2]);
	result_latency("deep", "pages 991 to 1000 of 100", "restante",
		       &times[3]);
	meters_put_one(&ratio, "deep", "page 1000 / page 1", "restante",
		       "ratio", "", false);
	bench_remove(datadir);
	free(times);
}

static const struct usage deep_usage = {
	.program = "restante-bench",
	.command = "deep",
	.summary = "Does a page cost the same wherever in the history it "
		   "stands? One client follows everything through 1000 pages "
		   "of 100; measured: the median time of the first ten and of "
		   "the last ten.",
	.options = options,
};

const struct scenario scenario_deep = {"deep", "page 1 against page 1000",
				       &deep_usage, run_deep};
