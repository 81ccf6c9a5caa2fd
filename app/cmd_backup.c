#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/backup.h"
#include "app/client_args.h"
#include "app/command.h"
#include "app/copy.h"
#include "app/progress.h"
#include "app/version.h"
#include "auth/ledger.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/archive.h"

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "data folder of the server, which may be running"},
	{"nodekey", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "include the node key of the data folder: who reads the backup can then pass for the server"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "backup",
	.operands = "DIR",
	.operands_min = 1,
	.operands_max = 1,
	.summary =
		"Copies a data folder into DIR, a new folder or an empty one: "
		"the archive, the payments,\nand the node key if asked for. "
		"The "
		"server may be running: all that it had confirmed\nbefore is "
		"in "
		"the copy. `restante restore` brings it back.",
	.options = options,
};

struct backing {
	const char *from, *to;
	bool has_nodekey, has_payments;
	struct archive_backup archive;
	struct progress progress;
	char why[COPY_WHY_MAX];
};

static void show(void *ctx, uint64_t done, uint64_t all)
{
	struct backing *b = ctx;
	char text[PROGRESS_SIZE_MAX];

	progress_size((double)done, text);
	progress_show(&b->progress, all ? (double)done / (double)all : 1, text);
}

static int copy_archive(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	backup_path(b->from, BACKUP_ARCHIVE, from);
	backup_path(b->to, BACKUP_ARCHIVE, to);
	return archive_backup(from, to, &b->archive, show, b, b->why,
			      sizeof(b->why));
}

static int copy_payments(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
	int err;

	backup_path(b->from, BACKUP_PAYMENTS, from);
	backup_path(b->to, BACKUP_PAYMENTS, to);
	err = ledger_backup(from, to, b->why, sizeof(b->why));
	b->has_payments = !err;
	return err == ERR_NOTFOUND ? 0 : err; /* it has never been paid */
}

static int copy_nodekey(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
	uint64_t bytes = 0;

	if (!b->has_nodekey)
		return 0;
	backup_path(b->from, BACKUP_NODEKEY, from);
	backup_path(b->to, BACKUP_NODEKEY, to);
	return copy_file(from, to, &bytes, b->why);
}

/* Last: a backup without it was not finished. */
static int mark(struct backing *b)
{
	char path[BACKUP_PATH_MAX], text[128];
	int err;

	backup_path(b->to, BACKUP_MARK, path);
	(void)snprintf(text, sizeof(text), BACKUP_HEAD "made %u\nversion %s\n",
		       clock_wall_s(), VERSION_TEXT);
	err = copy_sync(b->to, b->why);
	if (!err)
		err = copy_text(path, text, b->why);
	return err ? err : copy_sync(b->to, b->why);
}

static int back_up(struct backing *b)
{
	int err = copy_make_empty(b->to, b->why);

	if (!err)
		err = copy_archive(b);
	if (!err)
		err = copy_payments(b);
	if (!err)
		err = copy_nodekey(b);
	return err ? err : mark(b);
}

int cmd_backup(int argc, char **argv)
{
	struct backing b = {0};
	char size[PROGRESS_SIZE_MAX];
	struct args args;
	int status;
	int err;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	b.from = settings_text(args.options, "datadir");
	b.to = args.operands[0];
	b.has_nodekey = settings_bool(args.options, "nodekey");
	if (strlen(b.to) > BACKUP_DIR_MAX) {
		client_args_complain(&usage, "%s: is too long a path", b.to);
		args_release(&args);
		return EXIT_USAGE;
	}
	progress_start(&b.progress, "backup");
	err = back_up(&b);
	progress_end(&b.progress);
	progress_size((double)b.archive.bytes, size);
	if (err)
		client_args_complain(&usage, "%s",
				     b.why[0] ? b.why : err_str(err));
	else
		printf("%s: %u slices, %s%s%s (%.2f s)\n", b.to,
		       b.archive.slices, size,
		       b.has_payments ? ", payments" : "",
		       b.has_nodekey ? ", node key" : ", no node key",
		       progress_seconds(&b.progress));
	args_release(&args);
	return err ? EXIT_FAILED : EXIT_OK;
}
