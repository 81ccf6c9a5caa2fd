#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/archive.h"
#include "storage/dir.h"
#include "storage/shard.h"

#define TRIES        5u
#define TRY_AGAIN_NS 20000000
#define PATH_SIZE    4352
#define MARK_TEXT    4096u
#define MARK_PREFIX  "mark-"
#define SLICE_PREFIX "slice-"
#define SLICE_SUFFIX ".mdb"

struct backup {
	const char *from, *to;
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
	uint64_t all;
	struct archive_backup *out;
	char *why;
	size_t why_size;
};

static int say(struct backup *b, const char *path, const char *what, int rc)
{
	(void)snprintf(b->why, b->why_size, "%s: %s: %s", path, what,
		       mdb_strerror(rc));
	return ERR_IO;
}

/* ---- one slice ---- */

/*
 * What was committed at one moment. Free pages are left out; the writer goes on
 * meanwhile, in another process, and may even remove the file.
 */
static int copy_once(const char *from, int fd)
{
	MDB_env *env;
	int rc = mdb_env_create(&env);

	if (rc)
		return rc;
	rc = mdb_env_open(env, from, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS,
			  0600);
	if (!rc)
		rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	mdb_env_close(env);
	return rc;
}

/* The file may just be being made, or grow beyond what was mapped. */
static int copy_env(const char *from, int fd)
{
	const struct timespec pause = {.tv_nsec = TRY_AGAIN_NS};
	int rc = copy_once(from, fd);

	for (unsigned i = 1; i < TRIES; i++) {
		if (rc != MDB_MAP_RESIZED && rc != MDB_INVALID && rc != EINVAL)
			break;
		nanosleep(&pause, NULL);
		if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
			return errno;
		rc = copy_once(from, fd);
	}
	return rc;
}

static int copy_slice(struct backup *b, const char *from, const char *to)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;
	struct stat st = {0};

	if (fd < 0)
		return say(b, to, "cannot be made", errno);
	rc = copy_env(from, fd);
	if (!rc && (fsync(fd) != 0 || fstat(fd, &st) != 0))
		rc = errno;
	close(fd);
	if (!rc) {
		b->out->slices++;
		b->out->bytes += (uint64_t)st.st_size;
		return 0;
	}
	(void)unlink(to);
	/* Past retention in the meantime, or only just being made. */
	if (access(from, F_OK) != 0 || rc == ENOENT)
		return 0;
	return say(b, from, "cannot be copied", rc);
}

/* ---- folders ---- */

static bool is_slice(const char *name)
{
	size_t len = strlen(name);

	return strncmp(name, SLICE_PREFIX, strlen(SLICE_PREFIX)) == 0 &&
	       len > strlen(SLICE_SUFFIX) &&
	       strcmp(name + len - strlen(SLICE_SUFFIX), SLICE_SUFFIX) == 0;
}

static int each_slice(struct backup *b, const char *shard,
		      int (*fn)(struct backup *b, const char *from,
				const char *to))
{
	char from[PATH_SIZE], to[PATH_SIZE];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	(void)snprintf(from, sizeof(from), "%s/%s", b->from, shard);
	dir = opendir(from);
	if (!dir)
		return say(b, from, "cannot be read", errno);
	while (!err && (entry = readdir(dir)) != NULL) { /* NOLINT: own DIR */
		if (!is_slice(entry->d_name))
			continue;
		(void)snprintf(from, sizeof(from), "%s/%s/%s", b->from, shard,
			       entry->d_name);
		(void)snprintf(to, sizeof(to), "%s/%s/%s", b->to, shard,
			       entry->d_name);
		err = fn(b, from, to);
	}
	closedir(dir);
	return err;
}

static int add_size(struct backup *b, const char *from, const char *to)
{
	struct stat st;

	(void)to;
	if (stat(from, &st) == 0)
		b->all += (uint64_t)st.st_blocks * 512;
	return 0;
}

static int copy_and_show(struct backup *b, const char *from, const char *to)
{
	int err = copy_slice(b, from, to);

	if (b->progress)
		b->progress(b->ctx, b->out->bytes, b->all);
	return err;
}

static int copy_shard(struct backup *b, const char *shard)
{
	char path[PATH_SIZE];
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", b->to, shard);
	if (mkdir(path, 0700) != 0)
		return say(b, path, "cannot be made", errno);
	err = each_slice(b, shard, copy_and_show);
	if (!err && dir_sync(path))
		err = say(b, path, "cannot be written", errno);
	return err;
}

static int each_shard(struct backup *b, unsigned shards, bool is_copying)
{
	char name[16];
	int err = 0;

	for (unsigned s = 0; s < shards && !err; s++) {
		(void)snprintf(name, sizeof(name), "shard-%03u", s % 1000);
		err = is_copying ? copy_shard(b, name)
				 : each_slice(b, name, add_size);
	}
	return err;
}

static int copy_mark(struct backup *b, const char *name)
{
	char *text = malloc(MARK_TEXT);
	int err = text ? dir_mark_load(b->from, name, text, MARK_TEXT)
		       : ERR_NOMEM;

	if (!err)
		err = dir_mark_save(b->to, name, text);
	free(text);
	if (err && err != ERR_NOTFOUND)
		return say(b, name, "cannot be copied", errno);
	return 0;
}

/* Before the slices, so that no mark speaks of more than is there. */
static int copy_marks(struct backup *b)
{
	DIR *dir = opendir(b->from);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return say(b, b->from, "cannot be read", errno);
	while (!err && (entry = readdir(dir)) != NULL) /* NOLINT: own DIR */
		if (strncmp(entry->d_name, MARK_PREFIX, strlen(MARK_PREFIX)) ==
			    0 &&
		    !strstr(entry->d_name, ".new"))
			err = copy_mark(b, entry->d_name);
	closedir(dir);
	return err;
}

/* fsck wants to lock what it looks at. */
static int make_lock(struct backup *b)
{
	int lock, err = dir_lock(b->to, true, &lock, b->why, b->why_size);

	if (!err)
		close(lock);
	return err;
}

int archive_backup(const char *from, const char *to, struct archive_backup *out,
		   void (*progress)(void *ctx, uint64_t done, uint64_t all),
		   void *ctx, char *why, size_t why_size)
{
	struct backup b = {.from = from,
			   .to = to,
			   .progress = progress,
			   .ctx = ctx,
			   .out = out,
			   .why = why,
			   .why_size = why_size};
	struct dir_made_with made;
	int err;

	why[0] = '\0';
	memset(out, 0, sizeof(*out));
	err = dir_load(from, &made, why, why_size);
	if (err == ERR_NOTFOUND)
		(void)snprintf(why, why_size, "%s: there is no archive", from);
	if (err)
		return err;
	if (made.shards > SHARDS_MAX)
		return ERR_UNSUPPORTED;
	err = make_lock(&b);
	if (!err)
		err = copy_marks(&b);
	if (!err)
		err = each_shard(&b, made.shards, false);
	if (!err)
		err = each_shard(&b, made.shards, true);
	/* Last: without it there is no archive. */
	return err ? err : dir_save(to, &made, why, why_size);
}
