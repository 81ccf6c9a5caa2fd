#include <stdio.h>

#include "app/backup.h"
#include "app/command.h"
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
	struct backup backup; /* first */
	bool has_nodekey, has_payments;
	struct archive_backup archive;
};

static void show(void *ctx, uint64_t done, uint64_t all)
{
	struct backing *b = ctx;
	char text[PROGRESS_SIZE_MAX];

	progress_size((double)done, text);
	progress_show(&b->backup.progress, all ? (double)done / (double)all : 1,
		      text);
}

static int copy_archive(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	backup_path(b->backup.datadir, BACKUP_ARCHIVE, from);
	backup_path(b->backup.dir, BACKUP_ARCHIVE, to);
	return archive_backup(from, to, &b->archive, show, b, b->backup.why,
			      sizeof(b->backup.why));
}

static int copy_payments(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
	int err;

	backup_path(b->backup.datadir, BACKUP_PAYMENTS, from);
	backup_path(b->backup.dir, BACKUP_PAYMENTS, to);
	err = ledger_backup(from, to, b->backup.why, sizeof(b->backup.why));
	b->has_payments = !err;
	return err == ERR_NOTFOUND ? 0 : err; /* it has never been paid */
}

static int copy_nodekey(struct backing *b)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
	uint64_t bytes = 0;

	if (!b->has_nodekey)
		return 0;
	backup_path(b->backup.datadir, BACKUP_NODEKEY, from);
	backup_path(b->backup.dir, BACKUP_NODEKEY, to);
	return copy_file(from, to, &bytes, b->backup.why);
}

/* Last: a backup without it was not finished. */
static int mark(struct backing *b)
{
	char path[BACKUP_PATH_MAX], text[128];
	int err;

	backup_path(b->backup.dir, BACKUP_MARK, path);
	(void)snprintf(text, sizeof(text), BACKUP_HEAD "made %u\nversion %s\n",
		       clock_wall_s(), VERSION_TEXT);
	err = copy_sync(b->backup.dir, b->backup.why);
	if (!err)
		err = copy_text(path, text, b->backup.why);
	return err ? err : copy_sync(b->backup.dir, b->backup.why);
}

static int back_up(struct backup *backup)
{
	struct backing *b = (struct backing *)backup;
	int err;

	b->has_nodekey = settings_bool(backup->options, "nodekey");
	err = copy_make_empty(backup->dir, backup->why);
	if (!err)
		err = copy_archive(b);
	if (!err)
		err = copy_payments(b);
	if (!err)
		err = copy_nodekey(b);
	return err ? err : mark(b);
}

static void tell(const struct backup *backup)
{
	const struct backing *b = (const struct backing *)backup;
	char size[PROGRESS_SIZE_MAX];

	progress_size((double)b->archive.bytes, size);
	printf("%s: %u slices, %s%s%s", backup->dir, b->archive.slices, size,
	       b->has_payments ? ", payments" : "",
	       b->has_nodekey ? ", node key" : ", no node key");
}

int cmd_backup(int argc, char **argv)
{
	struct backing b = {0};

	return backup_command(&usage, argc, argv, &b.backup, back_up, tell);
}
