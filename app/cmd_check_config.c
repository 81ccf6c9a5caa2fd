#include <stdio.h>
#include <string.h>

#include "app/args.h"
#include "app/command.h"
#include "app/config.h"
#include "app/server_config.h"

static const struct usage usage = {
	.command = "check-config",
	.operands = "[example]",
	.operands_max = 1,
	.summary = "Reads the settings as `serve` would, from the file, the "
		   "environment and the flags,\nand prints each value and "
		   "where it comes from; or all that is wrong with them.\n"
		   "With the word `example` it prints a file with every "
		   "setting at its default instead.",
	.options = config_table,
	.add_layers = config_add_layers,
};

/* Addresses and enode URLs too, which only the parts understand. */
static int check_and_print(struct settings *s)
{
	struct server_config config;
	size_t errors;

	server_config_read(s, &config);
	errors = settings_errors_count(s);
	for (size_t i = 0; i < errors; i++)
		(void)fprintf(stderr, "restante check-config: %s\n",
			      settings_error(s, i));
	if (errors == 0)
		settings_print(s, stdout);
	server_config_release(&config);
	return errors ? EXIT_USAGE : EXIT_OK;
}

int cmd_check_config(int argc, char **argv)
{
	struct args args;
	int status = EXIT_OK;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	if (args.operands_count == 0) {
		status = check_and_print(args.options);
	} else if (strcmp(args.operands[0], "example") == 0) {
		settings_print_example(config_table, stdout);
	} else {
		(void)fprintf(stderr,
			      "restante check-config: %s: is not "
			      "`example`; see --help\n",
			      args.operands[0]);
		status = EXIT_USAGE;
	}
	args_release(&args);
	return status;
}
