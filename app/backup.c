#include "app/backup.h"

#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "core/err.h"

static int end(const struct usage *usage, const struct backup *backup, int err,
	       void (*tell)(const struct backup *backup))
{
	if (err) {
		client_args_complain(usage, "%s",
				     backup->why[0] ? backup->why
						    : err_str(err));
		return EXIT_FAILED;
	}
	tell(backup);
	printf(" (%.2f s)\n", progress_seconds(&backup->progress));
	return EXIT_OK;
}

int backup_command(const struct usage *usage, int argc, char **argv,
		   struct backup *backup, int (*run)(struct backup *backup),
		   void (*tell)(const struct backup *backup))
{
	struct args args;
	int status;
	int err;

	if (!args_parse(usage, argc, argv, &args, &status))
		return status;
	backup->dir = args.operands[0];
	backup->datadir = settings_text(args.options, "datadir");
	backup->options = args.options;
	if (strlen(backup->dir) > BACKUP_DIR_MAX) {
		client_args_complain(usage, "%s: is too long a path",
				     backup->dir);
		status = EXIT_USAGE;
	} else {
		progress_start(&backup->progress, usage->command);
		err = run(backup);
		progress_end(&backup->progress);
		status = end(usage, backup, err, tell);
	}
	args_release(&args);
	return status;
}
