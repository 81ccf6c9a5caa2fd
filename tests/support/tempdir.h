#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H
/*
 * A fresh folder for one test, under TMPDIR or /tmp, and its removal.
 *
 * Thread: any.
 */
#include <stddef.h>

#define TEMPDIR_MAX 256

/* Aborts if there is none to be had. */
void tempdir_make(char path[static TEMPDIR_MAX]);
/* With everything in it. */
void tempdir_remove(const char *path);

#endif
