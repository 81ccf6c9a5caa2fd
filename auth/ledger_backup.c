#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/ledger.h"
#include "core/err.h"

#define PATH_SIZE 4352
#define DATA_FILE "data.mdb"

static int copy_env(const char *from, int fd)
{
	MDB_env *env;
	int rc = mdb_env_create(&env);

	if (rc)
		return rc;
	rc = mdb_env_open(env, from, MDB_RDONLY | MDB_NOTLS, 0600);
	if (!rc)
		rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	mdb_env_close(env);
	return rc;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return errno;
	if (fsync(fd) != 0)
		rc = errno;
	close(fd);
	return rc;
}

static int copy_to(const char *from, const char *dir, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return errno;
	rc = copy_env(from, fd);
	if (!rc && fsync(fd) != 0)
		rc = errno;
	close(fd);
	if (!rc)
		rc = sync_dir(dir);
	if (rc)
		(void)unlink(path);
	return rc;
}

int ledger_backup(const char *from, const char *to, char *why, size_t why_size)
{
	char path[PATH_SIZE];
	int rc = 0;

	(void)snprintf(path, sizeof(path), "%s/" DATA_FILE, from);
	if (access(path, F_OK) != 0) {
		(void)snprintf(why, why_size,
			       "%s: there is no payments database", from);
		return ERR_NOTFOUND;
	}
	if (mkdir(to, 0700) != 0 && errno != EEXIST)
		rc = errno;
	(void)snprintf(path, sizeof(path), "%s/" DATA_FILE, to);
	if (!rc)
		rc = copy_to(from, to, path);
	if (!rc)
		return 0;
	(void)snprintf(why, why_size, "%s: cannot be copied to %s: %s", from,
		       to, mdb_strerror(rc));
	return rc == EEXIST ? ERR_EXISTS : ERR_IO;
}
