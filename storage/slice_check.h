#ifndef STORAGE_SLICE_CHECK_H
#define STORAGE_SLICE_CHECK_H
/*
 * LMDB trusts its file: a damaged page can take the process down. So before a
 * file is opened its trees are walked here, with every number checked against
 * the size of the file. That reads the few pages of the trees and the first
 * page of each value, not the values.
 *
 * Thread: any; the file must not be open for writing.
 */

/* Returns 0, ERR_CORRUPT or ERR_IO. */
int slice_check_file(const char *path);

#endif
