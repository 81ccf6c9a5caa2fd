#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/backup.h"
#include "app/command.h"
#include "auth/ledger.h"
#include "core/err.h"
#include "storage/archive.h"

#define STAGE "restoring" /* until all is there and sound */

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "data folder to make; a new one or an empty one"},
	{"check", NULL, SETTING_BOOL, "true", NULL, NULL, NULL,
	 "check every envelope and the payments before they are taken"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "restore",
	.operands = "DIR",
	.operands_min = 1,
	.operands_max = 1,
	.summary =
		"Makes a data folder from the backup in DIR, which stays as "
		"it is. Everything is checked\nfirst; what is damaged is not "
		"restored.",
	.options = options,
};

struct restoring {
	struct backup backup; /* first */
	char stage[BACKUP_PATH_MAX];
	uint64_t bytes;
};

static bool has(const char *dir, const char *name)
{
	char path[BACKUP_PATH_MAX];

	backup_path(dir, name, path);
	return access(path, F_OK) == 0;
}

static int check_mark(struct restoring *r)
{
	char path[BACKUP_PATH_MAX], head[sizeof(BACKUP_HEAD)] = "";
	size_t size = 0;
	FILE *file;

	backup_path(r->backup.dir, BACKUP_MARK, path);
	file = fopen(path, "re");
	if (file) {
		size = fread(head, 1, sizeof(head) - 1, file);
		(void)fclose(file);
	}
	if (size == sizeof(head) - 1 && strcmp(head, BACKUP_HEAD) == 0)
		return 0;
	(void)snprintf(r->backup.why, sizeof(r->backup.why), "%s: %s", path,
		       file ? "is of another version of restante"
			    : "is missing: this is no backup, or it was not "
			      "finished");
	return ERR_UNSUPPORTED;
}

static int bring(struct restoring *r, const char *name)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	backup_path(r->backup.dir, name, from);
	backup_path(r->stage, name, to);
	if (!has(r->backup.dir, name))
		return 0;
	progress_show(&r->backup.progress, -1, name);
	return strcmp(name, BACKUP_NODEKEY) == 0
		       ? copy_file(from, to, &r->bytes, r->backup.why)
		       : copy_folder(from, to, &r->bytes, r->backup.why);
}

static void show(void *ctx, uint64_t done, uint64_t all)
{
	progress_show(ctx, all ? (double)done / (double)all : 1, "checking");
}

static int check(struct restoring *r)
{
	char path[BACKUP_PATH_MAX];
	int err;

	backup_path(r->stage, BACKUP_ARCHIVE, path);
	err = archive_fsck(path, false, stderr, show, &r->backup.progress);
	if (!err && has(r->stage, BACKUP_PAYMENTS)) {
		backup_path(r->stage, BACKUP_PAYMENTS, path);
		err = ledger_fsck(path, stderr);
	}
	if (err)
		(void)snprintf(r->backup.why, sizeof(r->backup.why),
			       "%s: %s; nothing was restored, what was copied "
			       "is in %s",
			       r->backup.dir, err_str(err), r->stage);
	return err;
}

/* fsck wants a lock to be there. */
static int make_lock(struct restoring *r)
{
	char path[BACKUP_PATH_MAX];

	backup_path(r->stage, BACKUP_ARCHIVE "/LOCK", path);
	return copy_text(path, "", r->backup.why);
}

static int move(struct restoring *r, const char *name)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	if (!has(r->stage, name))
		return 0;
	backup_path(r->stage, name, from);
	backup_path(r->backup.datadir, name, to);
	if (rename(from, to) == 0)
		return 0;
	(void)snprintf(r->backup.why, sizeof(r->backup.why),
		       "%s: cannot be moved: %s", from, err_system(errno));
	return ERR_IO;
}

/* The archive last: without it there is nothing to serve. */
static int take(struct restoring *r)
{
	int err = move(r, BACKUP_NODEKEY);

	if (!err)
		err = move(r, BACKUP_PAYMENTS);
	if (!err)
		err = copy_sync(r->backup.datadir, r->backup.why);
	if (!err)
		err = move(r, BACKUP_ARCHIVE);
	if (err)
		return err;
	(void)rmdir(r->stage);
	return copy_sync(r->backup.datadir, r->backup.why);
}

static int restore(struct backup *backup)
{
	struct restoring *r = (struct restoring *)backup;
	int err;

	backup_path(backup->datadir, STAGE, r->stage);
	err = check_mark(r);
	if (!err)
		err = copy_make_empty(backup->datadir, backup->why);
	if (!err)
		err = copy_make_empty(r->stage, backup->why);
	if (!err)
		err = bring(r, BACKUP_ARCHIVE);
	if (!err)
		err = make_lock(r);
	if (!err)
		err = bring(r, BACKUP_PAYMENTS);
	if (!err)
		err = bring(r, BACKUP_NODEKEY);
	if (!err && settings_bool(backup->options, "check"))
		err = check(r);
	return err ? err : take(r);
}

static void tell(const struct backup *backup)
{
	const struct restoring *r = (const struct restoring *)backup;
	bool has_key = has(backup->datadir, BACKUP_NODEKEY);
	char size[PROGRESS_SIZE_MAX];

	progress_size((double)r->bytes, size);
	printf("%s: %s%s%s", backup->datadir, size,
	       has(backup->datadir, BACKUP_PAYMENTS) ? ", payments" : "",
	       has_key ? ", node key"
		       : ", no node key: put the server's there, or a new one "
			 "is made at the start");
}

int cmd_restore(int argc, char **argv)
{
	struct restoring r = {0};

	return backup_command(&usage, argc, argv, &r.backup, restore, tell);
}
