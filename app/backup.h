#ifndef APP_BACKUP_H
#define APP_BACKUP_H
/*
 * What a backup is: a folder with the names of a data folder and, when it is
 * complete, a file that says so. And what its two commands have in common.
 *
 * Thread: main.
 */
#include <assert.h>
#include <stdio.h>

#include "app/args.h"
#include "app/copy.h"
#include "app/progress.h"

#define BACKUP_PATH_MAX 4096
#define BACKUP_DIR_MAX  1024

#define BACKUP_ARCHIVE  "archive"
#define BACKUP_PAYMENTS "payments"
#define BACKUP_NODEKEY  "nodekey"
#define BACKUP_MARK     "BACKUP"
#define BACKUP_HEAD     "restante-backup 1\n"

/* `dir` is no longer than BACKUP_DIR_MAX. */
static inline void backup_path(const char *dir, const char *name,
			       char out[static BACKUP_PATH_MAX])
{
	int len = snprintf(out, BACKUP_PATH_MAX, "%s/%s", dir, name);

	assert(len > 0 && len < BACKUP_PATH_MAX);
}

/* Either way between a data folder and a backup. */
struct backup {
	const char *dir; /* the backup, the command's operand */
	const char *datadir;
	const struct settings *options;
	struct progress progress;
	char why[COPY_WHY_MAX];
};

/*
 * One of the commands: `run` does it and answers 0 or an error, with a
 * sentence in `why` or none; `tell` prints what was done, on one line that
 * gets its end here. Returns the exit status.
 */
int backup_command(const struct usage *usage, int argc, char **argv,
		   struct backup *backup, int (*run)(struct backup *backup),
		   void (*tell)(const struct backup *backup));

#endif
