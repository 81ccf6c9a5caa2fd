/*
 * restante-bench: how fast Restante is, against the limits of the machine and
 * against other servers, in one run. Each scenario is a file beside this one;
 * `suite` runs them all.
 */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/commit.h"
#include "app/version.h"
#include "bench/scenarios.h"
#include "bench/suite.h"

const struct scenario *const bench_scenarios[] = {
	&scenario_limits,
	&scenario_layout,
	&scenario_ingest,
	&scenario_fetch,
	&scenario_rivals,
	&scenario_growth,
	&scenario_deep,
	&scenario_mixed,
	&scenario_zipf,
	&scenario_engines,
	&scenario_fanout,
	&scenario_stuck,
	&scenario_handshakes,
	&scenario_idle,
	&scenario_retention,
	&scenario_entitlements,
	&scenario_denied,
	&scenario_claims,
	NULL,
};

static const struct command commands[] = {
	{"suite", "all scenarios, then the report", suite_run_all},
	{"report", "the report and plots of a run", suite_report},
	{"compare", "what differs between two runs", suite_compare},
	{0},
};

static void print_help(FILE *out)
{
	(void)fprintf(out, "usage: restante-bench SCENARIO|COMMAND "
			   "[OPTIONS]\n\ncommands:\n");
	for (const struct command *c = commands; c->name; c++)
		(void)fprintf(out, "  %-12s %s\n", c->name, c->summary);
	(void)fprintf(out, "\nscenarios:\n");
	for (const struct scenario *const *s = bench_scenarios; *s; s++)
		(void)fprintf(out, "  %-12s %s\n", (*s)->name, (*s)->title);
	(void)fprintf(out, "\n`restante-bench SCENARIO --help` tells what is "
			   "measured, what is not, and the options.\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	version_commit = VERSION_COMMIT;
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_help(argc > 1 ? stdout : stderr);
		return argc > 1 ? EXIT_OK : EXIT_USAGE;
	}
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->run(argc - 1, argv + 1);
	for (const struct scenario *const *s = bench_scenarios; *s; s++)
		if (strcmp((*s)->name, name) == 0)
			return suite_run_one(*s, argc - 1, argv + 1);
	(void)fprintf(stderr, "restante-bench: %s: unknown scenario\n\n", name);
	print_help(stderr);
	return EXIT_USAGE;
}
