#include <stdio.h>

#include "app/args.h"
#include "app/command.h"
#include "app/config.h"

static const struct usage usage = {
	.command = "check-config",
	.summary = "Reads the settings as `serve` would, from the file, the "
		   "environment and the flags,\nand prints each value and "
		   "where it comes from; or all that is wrong with them.",
	.options = config_table,
	.add_layers = config_add_layers,
};

int cmd_check_config(int argc, char **argv)
{
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	settings_print(args.options, stdout);
	args_release(&args);
	return EXIT_OK;
}
