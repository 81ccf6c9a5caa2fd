#ifndef APP_STORE_H
#define APP_STORE_H
/*
 * The archive of a data folder, for the commands that work on it while no
 * server runs.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stddef.h>

#include "storage/archive.h"

#define STORE_WHY_MAX  1280
#define STORE_PATH_MAX 4096

/* Where the archive of a data folder is. 0 or ERR_RANGE. */
int store_path(const char *datadir, char out[static STORE_PATH_MAX]);
/*
 * Open it as it was made, saying on standard error which slices are damaged and
 * set aside; with `create` make it, with the defaults, when there
 * is none. 0, or an error with a sentence in `why` (STORE_WHY_MAX).
 */
int store_open(const char *datadir, bool create, struct archive **out,
	       char *why);

#endif
