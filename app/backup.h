#ifndef APP_BACKUP_H
#define APP_BACKUP_H
/*
 * What a backup is: a folder with the names of a data folder and, when it is
 * complete, a file that says so.
 *
 * Thread: main.
 */
#include <assert.h>
#include <stdio.h>

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

#endif
