/*
 * Restante, a mail server for Status. You are at the top of it: this file
 * looks up the command that was asked for and runs it. `serve`, the server
 * itself, is in cmd_serve.c; every other command is a cmd_*.c beside it.
 * From here includes go downwards: app, net, auth, storage, core.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/commit.h"
#include "app/version.h"
#include "core/err.h"

static const struct command commands[] = {
	{"serve", "run the server", cmd_serve},
	{"fetch", "get history from a server", cmd_fetch},
	{"post", "send envelopes through a server and wait for confirmation",
	 cmd_post},
	{"canary", "post, fetch back, compare: for monitoring", cmd_canary},
	{"offer", "see what a server sells", cmd_offer},
	{"claim", "claim a payment for a node", cmd_claim},
	{"entitlement", "see until when a node is served", cmd_entitlement},
	{"admin", "ask and change a running server", cmd_admin},
	{"export", "write the envelopes of an archive to a file", cmd_export},
	{"import", "put the envelopes of a file into an archive", cmd_import},
	{"fsck", "check an archive", cmd_fsck},
	{"backup", "copy the data of a server, which may be running",
	 cmd_backup},
	{"restore", "make a data folder from a backup", cmd_restore},
	{"keygen", "make a node key", cmd_keygen},
	{"check-config", "show the settings and where they come from",
	 cmd_check_config},
	{"version", "what this is and how it was built", cmd_version},
	{0},
};

static void print_help(FILE *out)
{
	(void)fprintf(out, "usage: restante COMMAND [OPTIONS]\n\n"
			   "A mail server for Status.\n\ncommands:\n");
	for (const struct command *c = commands; c->name; c++)
		(void)fprintf(out, "  %-14s %s\n", c->name, c->summary);
	(void)fprintf(out,
		      "\n`restante COMMAND --help` tells what a command does "
		      "and its options.\n");
}

/*
 * Whoever started us may have closed these. Then a file that we open must not
 * take their place, and what is written there fails.
 */
static void hold_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
	}
}

/* What was told and did not arrive was not done. */
static int finish(const char *name, int status)
{
	const char *why = "could not be written";

	if (fflush(stdout) != 0)
		why = err_system(errno);
	else if (!ferror(stdout))
		return status;
	if (status != EXIT_OK)
		return status;
	(void)fprintf(stderr, "restante %s: standard output: %s\n", name, why);
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	hold_standard_files();
	version_commit = VERSION_COMMIT;
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	    strcmp(name, "help") == 0) {
		print_help(argc > 1 ? stdout : stderr);
		return finish(name, argc > 1 ? EXIT_OK : EXIT_USAGE);
	}
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return finish(name, c->run(argc - 1, argv + 1));
	}
	(void)fprintf(stderr, "restante: %s: unknown command\n\n", name);
	print_help(stderr);
	return EXIT_USAGE;
}
