/* Command lines, and the table of the daemon's settings. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/args.h"
#include "app/command.h"
#include "app/config.h"

static const struct setting options[] = {
	{"jobs", "j", SETTING_U64, "1", "1", "64", "connections", "at once"},
	{"json", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, "for programs"},
	{"topic[]", NULL, SETTING_TEXT, "", "8", "8", "hex", "topics"},
	{0},
};

static const struct usage usage = {
	.command = "fetch",
	.operands = "ENODE [FILE]",
	.operands_min = 1,
	.operands_max = 2,
	.summary = "Fetches.",
	.options = options,
};

static struct args args;
static int status;

/* The words of a line, separated by blanks, behind the command. */
static bool parse(const char *line)
{
	static char words[256];
	char *argv[16];
	char *rest = words;
	int argc = 0;

	(void)snprintf(words, sizeof(words), "fetch %s", line);
	do {
		argv[argc] = strtok_r(rest, " ", &rest);
	} while (argv[argc] && ++argc < 15);
	status = -1;
	return args_parse(&usage, argc, argv, &args, &status);
}

Test(args, options_and_operands_may_be_mixed)
{
	cr_assert(parse("--jobs 4 enode --json --topic=01020304 "
			"--topic 05060708 -- --file"));
	cr_assert_eq(settings_u64(args.options, "jobs"), 4);
	cr_assert(settings_bool(args.options, "json"));
	cr_assert_eq(settings_count(args.options, "topic"), 2);
	cr_assert_str_eq(settings_text(args.options, "topic[1]"), "05060708");
	cr_assert_eq(args.operands_count, 2);
	cr_assert_str_eq(args.operands[0], "enode");
	cr_assert_str_eq(args.operands[1], "--file");
	args_release(&args);
}

Test(args, everything_wrong_is_said_at_once, .init = cr_redirect_stderr)
{
	cr_assert_not(parse("e --jobs=65 --jsn --topic 01 -x"));
	cr_assert_eq(status, EXIT_USAGE);
	cr_assert_stderr_eq_str(
		"restante fetch: --jobs: 65 is out of range; allowed: 1 to 64 "
		"connections\n"
		"restante fetch: --jsn: unknown option; did you mean --json?\n"
		"restante fetch: --topic: 01 is out of range; allowed: 8 "
		"characters\n"
		"restante fetch: -x: unknown option; see --help\n");
}

Test(args, operands_are_counted, .init = cr_redirect_stderr)
{
	cr_assert_not(parse("--json"));
	cr_assert_not(parse("a b c"));
	cr_assert_not(parse("a --jobs"));
	cr_assert_stderr_eq_str(
		"restante fetch: ENODE [FILE]: is missing\n"
		"restante fetch: c: is one word too many; see --help\n"
		"restante fetch: --jobs: needs a value\n");
}

Test(args, help_needs_nothing_else, .init = cr_redirect_stdout)
{
	cr_assert_not(parse("--help"));
	(void)fflush(stdout);
	cr_assert_eq(status, EXIT_OK);
	cr_assert_stdout_eq_str(
		"usage: restante fetch [OPTIONS] ENODE [FILE]\n\nFetches.\n\n"
		"options:\n"
		"  --j CONNECTIONS, --jobs CONNECTIONS\n"
		"      at once; 1 to 64 connections (default 1)\n"
		"  --json\n"
		"      for programs\n"
		"  --topic HEX\n"
		"      topics; several, with commas between or given again; "
		"8 characters\n");
}

Test(config, every_row_of_the_table_is_sound)
{
	struct settings *s = settings_new(config_table);

	cr_assert(s);
	settings_check(s);
	cr_assert_eq(settings_errors_count(s), 0);
	for (const struct setting *row = config_table; row->name; row++) {
		size_t len = strlen(row->help);

		cr_assert(len > 3 && row->help[len - 1] != '.', "%s",
			  row->name);
		cr_assert(settings_row(config_table, row->name) == row, "%s",
			  row->name);
	}
	settings_free(s);
}

Test(config, a_file_cannot_name_another)
{
	struct settings *s = settings_new(config_table);
	char name[] = "/tmp/restante-config-XXXXXX";
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "config: x\n", 10), 10);
	config_add_layers(s, name);
	cr_assert_eq(settings_errors_count(s), 1);
	cr_assert(strstr(settings_error(s, 0), ":1: config: a file cannot"));
	cr_assert_eq(unlink(name), 0);
	cr_assert_eq(close(fd), 0);
	settings_free(s);
}
