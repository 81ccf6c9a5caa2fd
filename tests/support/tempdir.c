#include "tests/support/tempdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void tempdir_make(char path[static TEMPDIR_MAX])
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(path, TEMPDIR_MAX, "%s/restante-test-XXXXXX",
		       base ? base : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void tempdir_remove(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
