#ifndef APP_COPY_H
#define APP_COPY_H
/*
 * Files and folders, copied and on the disk when a function returns 0. What
 * goes wrong is ERR_IO, ERR_EXISTS or ERR_RANGE (a path is too long), with a
 * sentence in `why` (COPY_WHY_MAX).
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

#define COPY_WHY_MAX 8448 /* two paths and a reason */

/* Make a folder, or take one that is there and empty; else ERR_EXISTS. */
int copy_make_empty(const char *dir, char *why);
/* To a new file with mode 0600; adds to *bytes. */
int copy_file(const char *from, const char *to, uint64_t *bytes, char *why);
/*
 * All regular files and folders of `from` into `to`, which is made; locks
 * (LOCK, *-lock) are left behind, whatever else is there is refused.
 */
int copy_folder(const char *from, const char *to, uint64_t *bytes, char *why);
/* A short text in a new file. */
int copy_text(const char *path, const char *text, char *why);
int copy_sync(const char *dir, char *why);

#endif
