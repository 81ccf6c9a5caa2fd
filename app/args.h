#ifndef APP_ARGS_H
#define APP_ARGS_H
/*
 * Command lines. The options of a command are a table of settings, so their
 * kinds, bounds, defaults, messages and help come from core/settings:
 *
 *	static const struct setting options[] = {
 *		{"jobs", NULL, SETTING_U64, "1", "1", "64", "connections",
 *		 "connections at once"},
 *		{"topic[]", "t", SETTING_TEXT, NULL, ...},
 *		{0}};
 *	static const struct usage usage = {
 *		.command = "fetch", .operands = "ENODE", .operands_min = 1,
 *		.operands_max = 1, .summary = "...", .options = options};
 *
 *	if (!args_parse(&usage, argc, argv, &args, &status))
 *		return status;
 *	... settings_u64(args.options, "jobs"), args.operands[0] ...
 *	args_release(&args);
 *
 * Understood are `--name VALUE`, `--name=VALUE`, `--switch` for a
 * SETTING_BOOL, `--` and `--help`.
 *
 * Thread: main.
 */
#include <stdbool.h>

#include "core/settings.h"

struct usage {
	const char *program; /* NULL: restante */
	const char *command;
	const char *operands; /* "ENODE [FILE]"; NULL for none */
	unsigned operands_min;
	unsigned operands_max;
	const char *summary; /* whole sentences, as --help shows them */
	const struct setting *options;
	/*
	 * Add layers below the flags, NULL for none. `config` is the value of
	 * the flag --config, or NULL.
	 */
	void (*add_layers)(struct settings *options, const char *config);
};

struct args {
	struct settings *options;
	char **operands; /* borrowed from argv, in its order */
	unsigned operands_count;
};

/*
 * true: go on, and args_release() later. false: end with *status; the help or
 * all that was wrong has been printed.
 */
bool args_parse(const struct usage *usage, int argc, char **argv,
		struct args *out, int *status);
void args_release(struct args *args);

#endif
