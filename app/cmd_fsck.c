#include <stdio.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/progress.h"
#include "app/store.h"
#include "core/err.h"

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "data folder of the server, which must not be running"},
	{"repair", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "move damaged slices to quarantine/, so that the rest is served"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "fsck",
	.summary = "Checks an archive: its structure, its order, and that each "
		   "envelope is what its hash\nsays. Ends with 0 when all is "
		   "sound. The server must not be running.",
	.options = options,
};

static void on_progress(void *ctx, uint64_t done, uint64_t all)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%llu of %llu",
		       (unsigned long long)done, (unsigned long long)all);
	progress_show(ctx, all ? (double)done / (double)all : 1, text);
}

int cmd_fsck(int argc, char **argv)
{
	struct progress progress;
	struct args args;
	char path[STORE_PATH_MAX];
	int status;
	int err;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	err = store_path(settings_text(args.options, "datadir"), path);
	progress_start(&progress, "fsck");
	if (!err)
		err = archive_fsck(path, settings_bool(args.options, "repair"),
				   stdout, on_progress, &progress);
	progress_end(&progress);
	if (!err)
		printf("%s: sound (%.2f s)\n", path,
		       progress_seconds(&progress));
	else if (err == ERR_EXISTS)
		client_args_complain(&usage,
				     "%s: in use; stop the server first", path);
	else
		client_args_complain(&usage, "%s: %s", path, err_str(err));
	args_release(&args);
	return err ? EXIT_FAILED : EXIT_OK;
}
