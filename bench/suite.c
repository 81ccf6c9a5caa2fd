#include "bench/suite.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/command.h"
#include "bench/meters.h"
#include "bench/report.h"
#include "bench/result.h"
#include "bench/usage.h"
#include "core/clock.h"

#define ARGS_MAX     20
#define DESCRIPTORS  (1u << 17)
#define WATCH_ONE_MS 1000
#define WATCH_ALL_MS 3000
#define IDLE_MB_MAX  0.2
#define OTHERS_MAX   0.4 /* processors */
#define POLL_MS      200
#define OVERRUN      3u /* times its budget, then a scenario is ended */
#define OVERRUN_S    60u
#define STOP_WAIT_MS 30000u

/* ---- one ---- */

static void remove_dir(void *ctx)
{
	bench_remove(ctx);
}

static void make_dir(struct bench *bench)
{
	const char *below = settings_text(bench->options, "dir");
	char whole[PATH_MAX];

	if (mkdir(below, 0755) && errno != EEXIST)
		bench_fail("%s: %s", below, strerror(errno));
	if (!realpath(below, whole))
		bench_fail("%s: %s", below, strerror(errno));
	if (snprintf(bench->dir, sizeof(bench->dir), "%s/tmp-XXXXXX", whole) >=
	    (int)sizeof(bench->dir))
		bench_fail("%s: the name is too long", whole);
	if (!mkdtemp(bench->dir))
		bench_fail("%s: %s", bench->dir, strerror(errno));
	bench_at_end(remove_dir, bench->dir);
}

/* Ten thousand connections are twenty thousand descriptors. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max = DESCRIPTORS;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void open_out(const struct bench *bench)
{
	const char *path = settings_text(bench->options, "out");
	FILE *out = *path ? fopen(path, "a") : stdout;

	if (!out)
		bench_fail("%s: %s", path, strerror(errno));
	result_open(out, false);
}

static void on_signal(int number)
{
	(void)number;
	bench_end();
	_Exit(1);
}

/* Scenarios of the suite are told nothing twice. */
static bool is_in_suite;

static void set_deadline(struct bench *bench)
{
	uint64_t budget_s = settings_u64(bench->options, "budget");

	if (budget_s)
		bench->deadline_ms = clock_mono_ms() + budget_s * 1000;
}

/* Does anybody write to our device while we are idle? */
static void watch_device(const char *dir, unsigned ms)
{
	uint64_t before, after;
	char text[200];
	double rate;

	sync();
	if (!usage_device_written(dir, &before))
		return;
	bench_sleep_ms(ms);
	if (!usage_device_written(dir, &after))
		return;
	rate = (double)(after - before) / ms / 1e3;
	(void)snprintf(text, sizeof(text),
		       "%s%.2f MB/s were written to it by others while nothing "
		       "was measured; they are counted in `device`",
		       rate > IDLE_MB_MAX ? "WARNING: " : "", rate);
	result_note("suite", "device", text);
}

/* Was anybody else on the processors while it was measured? */
static void put_others(const char *scenario)
{
	double others = span_others();
	char text[200];

	(void)snprintf(text, sizeof(text),
		       "%s%.2f processors were used by others than the server "
		       "and the load (kernel threads among them)",
		       others > OTHERS_MAX ? "WARNING: " : "", others);
	if (others > 0)
		result_note(scenario, "machine", text);
}

int suite_run_one(const struct scenario *scenario, int argc, char **argv)
{
	struct bench bench = {0};
	struct args args;
	int status;

	if (!args_parse(scenario->usage, argc, argv, &args, &status))
		return status;
	bench.options = args.options;
	bench.is_full = settings_bool(args.options, "full");
	bench.seed = settings_u64(args.options, "seed");
	bench.engine = (enum ring_engine)settings_word(args.options, "io");
	bench.rounds = (unsigned)settings_u64(args.options, "rounds");
	if (bench.rounds == 0)
		bench.rounds = BENCH_ROUNDS_MIN;
	set_deadline(&bench);
	raise_limits();
	usage_calls_prepare();
	make_dir(&bench);
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGPIPE, SIG_IGN);
	open_out(&bench);
	if (!is_in_suite) {
		result_machine(bench.dir);
		meters_sources(bench.dir);
		watch_device(bench.dir, WATCH_ONE_MS);
	}
	scenario->run(&bench);
	put_others(scenario->name);
	bench_end();
	args_release(&args);
	return EXIT_OK;
}

/* ---- all ---- */

static const struct setting suite_options[] = {BENCH_OPTIONS,
					       {"only[]", NULL, SETTING_TEXT,
						"", "1", "32", "scenario",
						"these and no others"},
					       {0}};

static const struct usage suite_usage = {
	.program = "restante-bench",
	.command = "suite",
	.summary =
		"All scenarios one after the other, the limits of the machine "
		"first: three minutes, or forty with --full, where the "
		"machine is not slower than ours. Every figure has at least "
		"five rounds, one after one that is not counted, however long "
		"that takes: a scenario that would take longer than its share "
		"leaves out what --rounds asks for beyond the fifth and the "
		"round that counts system calls; one that takes more than "
		"thrice its share and a minute is ended and reported as "
		"failed. Sums over all rounds and the points of a curve over "
		"time are single numbers; the report says how many rounds "
		"each figure has. Results, plots and report.md go to a folder "
		"named by the "
		"time below --dir. Each figure is the median of its rounds "
		"with the least and the greatest; rounds of what is compared "
		"alternate. A scenario that fails is reported, the others run, "
		"and the exit status is 1. Let nothing else run meanwhile.",
	.options = suite_options,
};

/*
 * What each may take, in seconds: 162 and 2279 in all, so that the report and
 * what lies between fits into three and forty minutes. What five rounds need is
 * less; the rest is for rounds that count system calls, and for others.
 */
/* clang-format off */
static const struct share {
	const char *name;
	unsigned quick_s, full_s;
} shares[] = {
	{"limits",        6,  18}, {"layout",       6,  70},
	{"ingest",        7, 290}, {"fetch",       15, 430},
	{"rivals",       14, 160}, {"growth",      21, 100},
	{"deep",          2,   6}, {"mixed",        7,  70},
	{"zipf",          6,  16}, {"engines",      8,  18},
	{"fanout",        4,  14}, {"stuck",       28, 310},
	{"handshakes",    3,   6}, {"idle",        10,  75},
	{"retention",     1, 186}, {"entitlements", 5,  40},
	{"denied",       7,  20}, {"claims",      12, 450},
};
/* clang-format on */
#define SHARES        (sizeof(shares) / sizeof(shares[0]))
#define SHARE_QUICK_S 6u
#define SHARE_FULL_S  60u

struct suite {
	const struct settings *options;
	char folder[BENCH_PATH_MAX];
	char results[BENCH_PATH_MAX + 16];
	char *argv[ARGS_MAX]; /* of every scenario but for name and budget */
	int argc;
	unsigned index, count; /* of scenarios */
	uint64_t end_ms;       /* when all should be done */
	unsigned rest_s;       /* shares of those behind this one */
	unsigned failed;
};

static unsigned share_of(const struct suite *suite, const char *name)
{
	bool is_full = settings_bool(suite->options, "full");

	for (size_t i = 0; i < SHARES; i++)
		if (strcmp(shares[i].name, name) == 0)
			return is_full ? shares[i].full_s : shares[i].quick_s;
	return is_full ? SHARE_FULL_S : SHARE_QUICK_S;
}

/*
 * Of the time that is left, as its share is of the shares that are left: who
 * overruns takes from all that follow.
 */
static unsigned budget_of(const struct suite *suite, const char *name)
{
	unsigned share_s = share_of(suite, name);
	uint64_t now_ms = clock_mono_ms();
	uint64_t left_s =
		suite->end_ms > now_ms ? (suite->end_ms - now_ms) / 1000 : 0;
	uint64_t budget_s = left_s * share_s / (share_s + suite->rest_s);

	return budget_s < 1 ? 1 : (unsigned)budget_s;
}

static bool is_wanted(const struct settings *s, const char *name)
{
	size_t count = settings_count(s, "only");

	for (size_t i = 0; i < count; i++)
		if (strcmp(settings_text(s, "only[%zu]", i), name) == 0)
			return true;
	return count == 0;
}

static void put_progress(const struct suite *suite, const char *name,
			 uint64_t since_ms, unsigned share_s)
{
	unsigned gone_s = (unsigned)((clock_mono_ms() - since_ms) / 1000);
	unsigned left_s =
		suite->rest_s + (share_s > gone_s ? share_s - gone_s : 0);

	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr,
			      "\r\033[K[%u/%u] %s: %u s of about %u, in all "
			      "about %u:%02u left",
			      suite->index, suite->count, name, gone_s, share_s,
			      left_s / 60, left_s % 60);
}

/* What a scenario that was killed has left behind. */
static void remove_rests(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[BENCH_PATH_MAX + 256];

		if (strncmp(entry->d_name, "tmp-", 4) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder,
			       entry->d_name);
		bench_remove(path);
	}
	if (dir)
		(void)closedir(dir);
}

static void note(const struct suite *suite, const char *name, const char *who,
		 const char *text)
{
	FILE *out = fopen(suite->results, "a");

	if (!out)
		bench_fail("%s: %s", suite->results, strerror(errno));
	result_open(out, false);
	result_note(name, who, text);
	(void)fclose(out);
}

/* Returns NULL, or how it failed. */
static const char *wait_for(const struct suite *suite, const char *name,
			    pid_t pid, unsigned share_s)
{
	uint64_t since_ms = clock_mono_ms();
	unsigned least_s = share_of(suite, name);
	unsigned most_s = least_s > share_s ? least_s : share_s;
	/* Not by what others have left of the time. */
	uint64_t end_ms = since_ms + (uint64_t)most_s * 1000 * OVERRUN +
			  OVERRUN_S * 1000u;
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		if (clock_mono_ms() >= end_ms) {
			bench_stop(pid, STOP_WAIT_MS);
			return "FAILED: it took far too long and was ended, so "
			       "that its figures are missing";
		}
		put_progress(suite, name, since_ms, share_s);
		bench_sleep_ms(POLL_MS);
	}
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
	return got == pid && status == 0
		       ? NULL
		       : "FAILED: what it says is on standard error";
}

/* In a process of its own, so that one that fails takes no other with it. */
static void run_apart(struct suite *suite, const struct scenario *scenario)
{
	unsigned share_s = budget_of(suite, scenario->name);
	uint64_t since_ms = clock_mono_ms();
	const char *failure;
	pid_t pid;

	(void)fprintf(stderr, "\n[%u/%u] %s: %s\n", suite->index, suite->count,
		      scenario->name, scenario->title);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char name[32], budget[16];
		char *argv[ARGS_MAX + 3] = {name, (char[]){"--budget"}, budget};

		is_in_suite = true;
		(void)snprintf(name, sizeof(name), "%s", scenario->name);
		(void)snprintf(budget, sizeof(budget), "%u", share_s);
		memcpy(argv + 3, suite->argv,
		       (size_t)suite->argc * sizeof(argv[0]));
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		exit(suite_run_one(scenario, suite->argc + 3, argv));
	}
	failure = pid < 0 ? "FAILED: no process could be started"
			  : wait_for(suite, scenario->name, pid, share_s);
	if (failure) {
		note(suite, scenario->name, "restante", failure);
		remove_rests(suite->folder);
		suite->failed++;
	}
	(void)fprintf(stderr, "%s took %.1f s of %u\n", scenario->name,
		      (double)(clock_mono_ms() - since_ms) / 1e3, share_s);
}

static void run_scenarios(struct suite *suite)
{
	for (const struct scenario *const *at = bench_scenarios; *at; at++) {
		if (!is_wanted(suite->options, (*at)->name))
			continue;
		suite->count++;
		suite->rest_s += share_of(suite, (*at)->name);
	}
	suite->end_ms = clock_mono_ms() + suite->rest_s * 1000ull;
	for (const struct scenario *const *at = bench_scenarios; *at; at++) {
		if (!is_wanted(suite->options, (*at)->name))
			continue;
		suite->index++;
		suite->rest_s -= share_of(suite, (*at)->name);
		run_apart(suite, *at);
	}
}

static void make_folder(struct suite *suite)
{
	const char *below = settings_text(suite->options, "dir");
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	(void)strftime(when, sizeof(when), "%Y%m%d-%H%M%S",
		       gmtime_r(&now, &tm));
	if (mkdir(below, 0755) && errno != EEXIST)
		bench_fail("%s: %s", below, strerror(errno));
	(void)snprintf(suite->folder, sizeof(suite->folder), "%s/%s", below,
		       when);
	if (mkdir(suite->folder, 0755))
		bench_fail("%s: %s", suite->folder, strerror(errno));
	(void)snprintf(suite->results, sizeof(suite->results),
		       "%s/results.jsonl", suite->folder);
}

/* One flag and its value or NULL, for every scenario; see args_free(). */
static void hand_on(struct suite *suite, const char *flag, const char *value)
{
	const char *words[2] = {flag, value};

	/* args_free() frees them: the analyzer loses what stands at an index
	 * it does not know. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	for (unsigned i = 0; i < 2 && words[i]; i++) {
		if (suite->argc == ARGS_MAX)
			bench_fail("too many flags");
		suite->argv[suite->argc] = strdup(words[i]);
		if (!suite->argv[suite->argc++])
			bench_fail("no memory");
	}
}

static void hand_on_number(struct suite *suite, const char *flag,
			   const char *name)
{
	char text[24];

	(void)snprintf(
		text, sizeof(text), "%llu",
		(unsigned long long)settings_u64(suite->options, "%s", name));
	hand_on(suite, flag, text);
}

static void make_args(struct suite *suite)
{
	static const char *const engines[] = {"auto", "uring", "epoll"};
	const struct settings *s = suite->options;

	if (settings_u64(s, "rounds"))
		hand_on_number(suite, "--rounds", "rounds");
	hand_on_number(suite, "--seed", "seed");
	hand_on(suite, "--serve", settings_text(s, "serve"));
	hand_on(suite, "--out", suite->results);
	hand_on(suite, "--dir", suite->folder);
	hand_on(suite, "--io", engines[settings_word(s, "io")]);
	if (settings_bool(s, "full"))
		hand_on(suite, "--full", NULL);
}

static void args_free(struct suite *suite)
{
	for (int i = 0; i < suite->argc; i++)
		free(suite->argv[i]);
}

/* What is true of all scenarios. */
static void put_machine(const struct suite *suite)
{
	FILE *out = fopen(suite->results, "a");

	if (!out)
		bench_fail("%s: %s", suite->results, strerror(errno));
	result_open(out, false);
	result_machine(suite->folder);
	meters_sources(suite->folder);
	watch_device(suite->folder, WATCH_ALL_MS);
	(void)fclose(out);
}

int suite_run_all(int argc, char **argv)
{
	uint64_t since_ms = clock_mono_ms();
	struct suite suite = {0};
	struct args args;
	char text[80];
	int status;

	if (!args_parse(&suite_usage, argc, argv, &args, &status))
		return status;
	suite.options = args.options;
	usage_calls_prepare();
	make_folder(&suite);
	make_args(&suite);
	put_machine(&suite);
	run_scenarios(&suite);
	(void)snprintf(text, sizeof(text), "all took %.0f s, %u of %u failed",
		       (double)(clock_mono_ms() - since_ms) / 1e3, suite.failed,
		       suite.count);
	note(&suite, "suite", "restante", text);
	args_free(&suite);
	args_release(&args);
	(void)fputc('\n', stderr);
	report_write(suite.folder);
	return suite.failed ? EXIT_FAILED : EXIT_OK;
}

/* ---- afterwards ---- */

static const struct setting no_options[] = {{0}};

int suite_report(int argc, char **argv)
{
	static const struct usage usage = {
		.program = "restante-bench",
		.command = "report",
		.operands = "FOLDER",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "Write report.md and the plots of a run again, into "
			   "its folder.",
		.options = no_options,
	};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	report_write(args.operands[0]);
	args_release(&args);
	return EXIT_OK;
}

int suite_compare(int argc, char **argv)
{
	static const struct usage usage = {
		.program = "restante-bench",
		.command = "compare",
		.operands = "BEFORE AFTER",
		.operands_min = 2,
		.operands_max = 2,
		.summary = "What differs between two runs (folders or files of "
			   "results) beyond the noise: figures whose rounds "
			   "all lie outside of those of the other run.",
		.options = no_options,
	};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	(void)report_compare(args.operands[0], args.operands[1]);
	args_release(&args);
	return EXIT_OK;
}
