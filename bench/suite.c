#include "bench/suite.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/command.h"
#include "bench/report.h"
#include "bench/result.h"
#include "core/clock.h"

#define ROUNDS_QUICK 3
#define ROUNDS_FULL  5
#define ARGS_MAX     20
#define DESCRIPTORS  (1u << 17)

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
		bench.rounds = bench.is_full ? ROUNDS_FULL : ROUNDS_QUICK;
	raise_limits();
	make_dir(&bench);
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGPIPE, SIG_IGN);
	open_out(&bench);
	result_machine(bench.dir);
	scenario->run(&bench);
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
		"first: at most three minutes, or forty with --full. Results, "
		"plots and report.md go to a folder named by the time below "
		"--dir. Each figure is the median of its rounds with the least "
		"and the greatest; rounds of what is compared alternate. Let "
		"nothing else run meanwhile.",
	.options = suite_options,
};

static bool is_wanted(const struct settings *s, const char *name)
{
	size_t count = settings_count(s, "only");

	for (size_t i = 0; i < count; i++)
		if (strcmp(settings_text(s, "only[%zu]", i), name) == 0)
			return true;
	return count == 0;
}

/* In a process of its own, so that one that fails takes no other with it. */
static bool run_apart(const struct scenario *scenario, int argc, char **argv)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		exit(suite_run_one(scenario, argc, argv));
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void folder_of_now(const struct settings *s,
			  char path[static BENCH_PATH_MAX])
{
	const char *below = settings_text(s, "dir");
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	(void)strftime(when, sizeof(when), "%Y%m%d-%H%M%S",
		       gmtime_r(&now, &tm));
	if (mkdir(below, 0755) && errno != EEXIST)
		bench_fail("%s: %s", below, strerror(errno));
	(void)snprintf(path, BENCH_PATH_MAX, "%s/%s", below, when);
	if (mkdir(path, 0755))
		bench_fail("%s: %s", path, strerror(errno));
}

static unsigned run_scenarios(const struct settings *s, char **argv, int argc,
			      const char *results)
{
	unsigned failed = 0;

	for (const struct scenario *const *at = bench_scenarios; *at; at++) {
		uint64_t since_ms = clock_mono_ms();
		char name[32];

		if (!is_wanted(s, (*at)->name))
			continue;
		(void)snprintf(name, sizeof(name), "%s", (*at)->name);
		argv[0] = name;
		(void)fprintf(stderr, "\n%s: %s\n", name, (*at)->title);
		if (!run_apart(*at, argc, argv)) {
			FILE *out = fopen(results, "a");

			if (!out)
				bench_fail("%s: %s", results, strerror(errno));
			result_open(out, false);
			result_note(name, "restante", "failed, no result");
			(void)fclose(out);
			failed++;
		}
		(void)fprintf(stderr, "%s took %.1f s\n", name,
			      (double)(clock_mono_ms() - since_ms) / 1e3);
	}
	return failed;
}

int suite_run_all(int argc, char **argv)
{
	static const char *const handed_on[] = {"rounds", "seed", "serve"};
	char folder[BENCH_PATH_MAX], results[BENCH_PATH_MAX + 16];
	char numbers[2][24], full[] = "--full", *words[ARGS_MAX];
	char out[] = "--out", dir[] = "--dir", io[] = "--io";
	char flags[3][16], *where;
	static char engines[3][8] = {"auto", "uring", "epoll"};
	struct args args;
	unsigned failed;
	int status, n = 1;

	if (!args_parse(&suite_usage, argc, argv, &args, &status))
		return status;
	folder_of_now(args.options, folder);
	(void)snprintf(results, sizeof(results), "%s/results.jsonl", folder);
	for (unsigned i = settings_u64(args.options, "rounds") ? 0 : 1; i < 2;
	     i++) {
		(void)snprintf(flags[i], sizeof(flags[i]), "--%s",
			       handed_on[i]);
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%llu",
			       (unsigned long long)settings_u64(
				       args.options, "%s", handed_on[i]));
		words[n++] = flags[i];
		words[n++] = numbers[i];
	}
	(void)snprintf(flags[2], sizeof(flags[2]), "--%s", handed_on[2]);
	words[n++] = flags[2];
	words[n++] = where = strdup(settings_text(args.options, "serve"));
	words[n++] = out;
	words[n++] = results;
	words[n++] = dir;
	words[n++] = folder;
	words[n++] = io;
	words[n++] = engines[settings_word(args.options, "io")];
	if (settings_bool(args.options, "full"))
		words[n++] = full;
	words[n] = NULL;
	failed = run_scenarios(args.options, words, n, results);
	free(where);
	args_release(&args);
	(void)fputc('\n', stderr);
	report_write(folder);
	return failed ? EXIT_FAILED : EXIT_OK;
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
