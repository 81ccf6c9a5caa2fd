#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/backup.h"
#include "app/client_args.h"
#include "app/command.h"
#include "app/copy.h"
#include "app/progress.h"
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
	const char *from, *to;
	char stage[BACKUP_PATH_MAX];
	bool is_checking;
	uint64_t bytes;
	struct progress progress;
	char why[COPY_WHY_MAX];
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

	backup_path(r->from, BACKUP_MARK, path);
	file = fopen(path, "re");
	if (file) {
		size = fread(head, 1, sizeof(head) - 1, file);
		(void)fclose(file);
	}
	if (size == sizeof(head) - 1 && strcmp(head, BACKUP_HEAD) == 0)
		return 0;
	(void)snprintf(r->why, sizeof(r->why), "%s: %s", path,
		       file ? "is of another version of restante"
			    : "is missing: this is no backup, or it was not "
			      "finished");
	return ERR_UNSUPPORTED;
}

static int bring(struct restoring *r, const char *name)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	backup_path(r->from, name, from);
	backup_path(r->stage, name, to);
	if (!has(r->from, name))
		return 0;
	progress_show(&r->progress, -1, name);
	return strcmp(name, BACKUP_NODEKEY) == 0
		       ? copy_file(from, to, &r->bytes, r->why)
		       : copy_folder(from, to, &r->bytes, r->why);
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
	err = archive_fsck(path, false, stderr, show, &r->progress);
	if (!err && has(r->stage, BACKUP_PAYMENTS)) {
		backup_path(r->stage, BACKUP_PAYMENTS, path);
		err = ledger_fsck(path, stderr);
	}
	if (err)
		(void)snprintf(r->why, sizeof(r->why),
			       "%s: %s; nothing was restored, what was copied "
			       "is in %s",
			       r->from, err_str(err), r->stage);
	return err;
}

/* fsck wants a lock to be there. */
static int make_lock(struct restoring *r)
{
	char path[BACKUP_PATH_MAX];

	backup_path(r->stage, BACKUP_ARCHIVE "/LOCK", path);
	return copy_text(path, "", r->why);
}

static int move(struct restoring *r, const char *name)
{
	char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];

	if (!has(r->stage, name))
		return 0;
	backup_path(r->stage, name, from);
	backup_path(r->to, name, to);
	if (rename(from, to) == 0)
		return 0;
	(void)snprintf(r->why, sizeof(r->why), "%s: cannot be moved: %s", from,
		       err_system(errno));
	return ERR_IO;
}

/* The archive last: without it there is nothing to serve. */
static int take(struct restoring *r)
{
	int err = move(r, BACKUP_NODEKEY);

	if (!err)
		err = move(r, BACKUP_PAYMENTS);
	if (!err)
		err = copy_sync(r->to, r->why);
	if (!err)
		err = move(r, BACKUP_ARCHIVE);
	if (err)
		return err;
	(void)rmdir(r->stage);
	return copy_sync(r->to, r->why);
}

static int restore(struct restoring *r)
{
	int err = check_mark(r);

	if (!err)
		err = copy_make_empty(r->to, r->why);
	if (!err)
		err = copy_make_empty(r->stage, r->why);
	if (!err)
		err = bring(r, BACKUP_ARCHIVE);
	if (!err)
		err = make_lock(r);
	if (!err)
		err = bring(r, BACKUP_PAYMENTS);
	if (!err)
		err = bring(r, BACKUP_NODEKEY);
	if (!err && r->is_checking)
		err = check(r);
	return err ? err : take(r);
}

int cmd_restore(int argc, char **argv)
{
	struct restoring r = {0};
	char size[PROGRESS_SIZE_MAX];
	struct args args;
	int status;
	int err;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	r.from = args.operands[0];
	r.to = settings_text(args.options, "datadir");
	r.is_checking = settings_bool(args.options, "check");
	if (strlen(r.from) > BACKUP_DIR_MAX) {
		client_args_complain(&usage, "%s: is too long a path", r.from);
		args_release(&args);
		return EXIT_USAGE;
	}
	backup_path(r.to, STAGE, r.stage);
	progress_start(&r.progress, "restore");
	err = restore(&r);
	progress_end(&r.progress);
	progress_size((double)r.bytes, size);
	if (err)
		client_args_complain(&usage, "%s",
				     r.why[0] ? r.why : err_str(err));
	else
		printf("%s: %s%s%s (%.2f s)\n", r.to, size,
		       has(r.to, BACKUP_PAYMENTS) ? ", payments" : "",
		       has(r.to, BACKUP_NODEKEY)
			       ? ", node key"
			       : ", no node key: put the server's there, or a "
				 "new one is made at the start",
		       progress_seconds(&r.progress));
	args_release(&args);
	return err ? EXIT_FAILED : EXIT_OK;
}
