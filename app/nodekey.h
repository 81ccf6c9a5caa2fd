#ifndef APP_NODEKEY_H
#define APP_NODEKEY_H
/*
 * The node's private key in a file: 64 hex digits and a newline, readable by
 * its owner alone.
 *
 * Thread: any. Messages for people go to `why` of NODEKEY_WHY_MAX bytes.
 */
#include <stdbool.h>

#include "core/secp.h"

#define NODEKEY_WHY_MAX 1280

/*
 * Read a key. 0, ERR_NOTFOUND, ERR_IO, ERR_DENIED (others may read it),
 * ERR_SYNTAX or ERR_RANGE.
 */
int nodekey_read(const char *path, struct secp_key *key, char *why);
/* Write to a new file and on to the disk. 0, ERR_EXISTS or ERR_IO. */
int nodekey_write(const char *path, const struct secp_key *key, char *why);
/* Read it, or make one where there is none. *is_new may be NULL. The errors of
 * the two above, but that it is not there. */
int nodekey_read_or_make(const char *path, struct secp_key *key, bool *is_new,
			 char *why);

#endif
