/*
 * restante-bench: how fast Restante is, against the limits of the machine and
 * against other servers, in one run. Each scenario is a file beside this one.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "app/command.h"
#include "bench/bench.h"
#include "bench/result.h"
#include "bench/scenarios.h"

#define ROUNDS_QUICK 3
#define ROUNDS_FULL  5

static const struct scenario *const scenarios[] = {
	&scenario_limits,
	&scenario_ingest,
	&scenario_fetch,
	&scenario_rivals,
	NULL,
};

static void print_help(FILE *out)
{
	(void)fprintf(out, "usage: restante-bench SCENARIO [OPTIONS]\n\n"
			   "scenarios:\n");
	for (const struct scenario *const *s = scenarios; *s; s++)
		(void)fprintf(out, "  %-12s %s\n", (*s)->name, (*s)->title);
	(void)fprintf(out, "\n`restante-bench SCENARIO --help` tells what is "
			   "measured, what is not, and the options.\n");
}

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
	limit.rlim_cur = limit.rlim_max = 1u << 17;
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
	/* Enough is safe here: kill, wait, unlink. */
	(void)number;
	bench_end();
	_Exit(1);
}

static int run(const struct scenario *scenario, int argc, char **argv)
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

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_help(argc > 1 ? stdout : stderr);
		return argc > 1 ? EXIT_OK : EXIT_USAGE;
	}
	for (const struct scenario *const *s = scenarios; *s; s++)
		if (strcmp((*s)->name, name) == 0)
			return run(*s, argc - 1, argv + 1);
	(void)fprintf(stderr, "restante-bench: %s: unknown scenario\n\n", name);
	print_help(stderr);
	return EXIT_USAGE;
}
