#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/daemon.h"
#include "bench/fill.h"
#include "bench/load.h"
#include "bench/meters.h"
#include "bench/scenarios.h"
#include "core/clock.h"

#define TOPICS    1000u
#define ABSENT    1000000u
#define QUERIES   300u
#define SIZES_MAX 3u
#define PAGES_ALL 100u    /* of everything: what is delivered is bounded */
#define DEEP      1000u   /* the page that is held against the first */
#define DEEP_SIZE 200000u /* envelopes in that archive */
#define DEEP_PAGE 100u

enum task { TASK_TOPIC, TASK_NONE, TASK_ALL, TASKS };
static const char *const names[TASKS] = {"one topic of 1000, newest 100",
					 "no match",
					 "everything, newest 100 000"};

struct asker {
	enum task task;
	uint64_t seed;
	struct span span;
	struct topic topic;
	struct histogram *first, *deep; /* of TASK_ALL in `deep` */
};

static void begin(void *ctx)
{
	struct asker *asker = ctx;

	span_begin(&asker->span, asker->span.pid, NULL);
}

static void done(void *ctx)
{
	span_stop(&((struct asker *)ctx)->span);
}

static bool next(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;
	uint64_t state = asker->seed + number;
	uint32_t random = (uint32_t)(bench_random(&state) >> 33);

	if (number >= (asker->task == TASK_ALL ? 1 : QUERIES))
		return false;
	query->limit = asker->task == TASK_ALL ? MAIL_LIMIT_MAX : 100;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	if (asker->task == TASK_ALL) {
		memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
		return true;
	}
	asker->topic = corpus_topic(asker->task == TASK_NONE ? ABSENT + random
							     : random % TOPICS);
	bloom_add_deployed(&query->bloom, asker->topic);
	query->topics = asker->topic.bytes;
	query->topics_count = 1;
	return true;
}

static void ask(const struct bench *bench, const struct daemon *daemon,
		enum task task, uint64_t seed, struct meters *meters,
		bool counts)
{
	struct asker asker = {.task = task, .seed = seed};
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = 1,
			  .engine = bench->engine},
		.hooks = {.begin = begin, .done = done, .ctx = &asker},
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

static void put(uint32_t size, const struct meters *meters,
		const struct series *start, const struct series *disk)
{
	char work[96];

	for (unsigned task = 0; task < TASKS; task++) {
		(void)snprintf(work, sizeof(work), "%s, among %u", names[task],
			       size);
		result_curve(names[task], size);
		meters_put(&meters[task], "growth", work, "restante",
			   task == TASK_ALL ? "envelope" : "query");
	}
	(void)snprintf(work, sizeof(work), "restart, %u", size);
	result_curve("restart", size);
	meters_put_one(start, "growth", work, "restante", "start", "s", false);
	(void)snprintf(work, sizeof(work), "on disk, %u", size);
	meters_put_one(disk, "growth", work, "restante", "disk", "B/envelope",
		       false);
	result_curve(NULL, 0);
}

static void measure_size(const struct bench *bench, uint32_t size)
{
	struct meters *meters = calloc(TASKS, sizeof(*meters));
	struct series start = {0}, disk = {0};
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!meters)
		bench_fail("no memory");
	bench_folder(bench, "growth", datadir);
	fill_archive(datadir, size, bench->seed);
	series_add(&disk, (double)bench_folder_bytes(datadir) / size);
	for (unsigned round = 0; round <= bench->rounds; round++) {
		daemon_start(&daemon, bench, datadir, NULL);
		if (round > 0)
			series_add(&start, daemon.start_s);
		for (unsigned task = 0; task < TASKS; task++)
			ask(bench, &daemon, (enum task)task,
			    bench->seed + round * 7919u, &meters[task],
			    round > 0);
		daemon_stop(&daemon);
	}
	put(size, meters, &start, &disk);
	bench_remove(datadir);
	free(meters);
}

static void run_growth(struct bench *bench)
{
	static const uint32_t sizes[SIZES_MAX] = {100000, 1000000, 10000000};
	unsigned count = bench->is_full ? SIZES_MAX : 2;

	for (unsigned i = 0; i < count; i++)
		measure_size(bench, sizes[i]);
}

static const struct setting options[] = {BENCH_OPTIONS, {0}};

static const struct usage growth_usage = {
	.program = "restante-bench",
	.command = "growth",
	.summary =
		"What an archive's size costs: 100 000, 1 000 000 and (with "
		"--full) 10 000 000 envelopes of 512 B over a day and 1000 "
		"topics. Measured on each: the newest hundred of one topic, a "
		"topic that is not there, the newest 100 000 of everything, "
		"and the time from starting the server to its enode URL. The "
		"archive is filled without a server before the clock "
		"starts.",
	.options = options,
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
	query->limit = DEEP_PAGE;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
	return true;
}

static void run_deep(struct bench *bench)
{
	struct histogram *times = calloc(2, sizeof(*times));
	struct series first = {0}, deep = {0}, ratio = {0};
	char datadir[BENCH_PATH_MAX];
	struct daemon daemon;

	if (!times)
		bench_fail("no memory");
	bench_folder(bench, "deep", datadir);
	fill_archive(datadir, DEEP_SIZE, bench->seed);
	daemon_start(&daemon, bench, datadir, NULL);
	for (unsigned round = 0; round <= bench->rounds * 3; round++) {
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
