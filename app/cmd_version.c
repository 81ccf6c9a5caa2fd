#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/args.h"
#include "app/command.h"
#include "app/version.h"

const char *version_commit = "unknown";

static const struct setting options[] = {
	{"json", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "print JSON, for programs"},
	{0},
};

static const struct usage usage = {
	.command = "version",
	.summary = "Prints the version, what it was built from and with, and "
		   "whether this system\nallows io_uring.",
	.options = options,
};

/* Without a place for its answer the call fails by what it thinks of that. */
static bool has_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EFAULT;
}

int cmd_version(int argc, char **argv)
{
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	if (settings_bool(args.options, "json"))
		printf("{\"version\":\"%s\",\"commit\":\"%s\","
		       "\"compiler\":\"%s\",\"io_uring\":%s}\n",
		       VERSION_TEXT, version_commit, VERSION_COMPILER,
		       has_uring() ? "true" : "false");
	else
		printf("restante %s\ncommit %s\ncompiler %s\nio_uring %s\n",
		       VERSION_TEXT, version_commit, VERSION_COMPILER,
		       has_uring() ? "yes" : "no");
	args_release(&args);
	return EXIT_OK;
}
