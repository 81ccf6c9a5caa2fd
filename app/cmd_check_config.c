#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/args.h"
#include "app/command.h"
#include "app/config.h"
#include "app/server_config.h"

static const struct usage usage = {
	.command = "check-config",
	.operands = "[example | FILE...]",
	.operands_max = 1,
	.summary = "Reads the settings as `serve` would, from the file, the "
		   "environment and the flags,\nand prints each value and "
		   "where it comes from; or all that is wrong with them.\n"
		   "With files instead of flags it checks each as --config "
		   "FILE would, and that no two\nof them have a payee in "
		   "common: each server needs its own.\n"
		   "With the word `example` it prints a file with every "
		   "setting at its default instead.",
	.options = config_table,
	.add_layers = config_add_layers,
};

/* One file, or what serve would read. */
struct checked {
	const char *name; /* NULL: of no file that was named */
	bool is_read;
	struct args args;
	struct server_config config;
};

/* Addresses and enode URLs too, which only the parts understand. */
static void check(struct checked *checked)
{
	server_config_read(checked->args.options, &checked->config);
	checked->is_read = true;
}

static int print(const struct checked *checked)
{
	const struct settings *s = checked->args.options;
	size_t errors = settings_errors_count(s);

	for (size_t i = 0; i < errors; i++)
		(void)fprintf(stderr, "restante check-config: %s\n",
			      settings_error(s, i));
	if (errors > 0)
		return EXIT_USAGE;
	settings_print(s, stdout);
	return EXIT_OK;
}

static void release(struct checked *checked)
{
	if (!checked->is_read)
		return;
	server_config_release(&checked->config);
	args_release(&checked->args);
}

static int check_one(int argc, char **argv)
{
	struct checked one = {0};
	int status = EXIT_OK;

	if (!args_parse(&usage, argc, argv, &one.args, &status))
		return status;
	check(&one);
	if (one.args.operands_count == 0) {
		status = print(&one);
	} else if (strcmp(one.args.operands[0], "example") == 0) {
		settings_print_example(config_table, stdout);
	} else {
		(void)fprintf(stderr,
			      "restante check-config: %s: is not `example`, "
			      "and files go without flags; see --help\n",
			      one.args.operands[0]);
		status = EXIT_USAGE;
	}
	release(&one);
	return status;
}

/* ---- several files ---- */

/* The option of `config` with that chain and payee, or -1. */
static int find_payee(const struct payments_config *config,
		      const struct offer_option *like)
{
	for (unsigned i = 0; i < config->options_count; i++) {
		const struct offer_option *option = &config->options[i];

		if (option->chain_id == like->chain_id &&
		    memcmp(option->payee, like->payee, ADDRESS_SIZE) == 0)
			return (int)i;
	}
	return -1;
}

/* §19 of payments.md: nothing else stops a payment from counting at both. */
static void refuse_same_payee(const struct checked *before,
			      struct checked *after)
{
	const struct payments_config *ours = &after->config.pay.payments;
	char path[SETTINGS_PATH_MAX];
	char why[512];

	for (unsigned i = 0; i < ours->options_count; i++) {
		const struct offer_option *option = &ours->options[i];
		int other = find_payee(&before->config.pay.payments, option);

		if (other < 0 || option->chain_id == 0)
			continue;
		(void)snprintf(path, sizeof(path), "option[%u].payee", i);
		(void)snprintf(why, sizeof(why),
			       "option[%d] of %s has this chain and payee too: "
			       "one payment could be claimed at both servers. "
			       "Give each server a payee of its own; see "
			       "docs/payments.md",
			       other, before->name);
		settings_refuse(after->args.options, path, why);
	}
}

static int print_files(const struct checked *files, unsigned count)
{
	int status = EXIT_OK;

	for (unsigned i = 0; i < count; i++) {
		if (count > 1 &&
		    settings_errors_count(files[i].args.options) == 0)
			(void)printf("# %s\n", files[i].name);
		if (print(&files[i]))
			status = EXIT_USAGE;
	}
	return status;
}

static int check_files(unsigned count, char **names)
{
	struct checked *files = calloc(count, sizeof(*files));
	int status = EXIT_OK;
	unsigned read = 0;

	if (!files)
		abort();
	for (unsigned i = 0; i < count; i++) {
		char command[] = "check-config", flag[] = "--config";
		char *argv[] = {command, flag, names[i], NULL};
		struct checked *file = &files[read];

		file->name = names[i];
		if (!args_parse(&usage, 3, argv, &file->args, &status))
			continue;
		check(file);
		for (unsigned j = 0; j < read; j++)
			refuse_same_payee(&files[j], file);
		read++;
	}
	if (print_files(files, read))
		status = EXIT_USAGE;
	for (unsigned i = 0; i < read; i++)
		release(&files[i]);
	free(files);
	return status;
}

/* Files are all there is, and `example` alone is none. */
static bool are_files(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "example") == 0)
		return false;
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return false;
	return argc > 1;
}

int cmd_check_config(int argc, char **argv)
{
	if (are_files(argc, argv))
		return check_files((unsigned)argc - 1, argv + 1);
	return check_one(argc, argv);
}
