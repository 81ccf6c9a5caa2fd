#include "storage/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

#define PATH_SIZE   4352
#define FORMAT      1u
#define FILE_FORMAT "restante-archive %u\nshards %u\nslice_span_s %u\n"

static void path_of(char out[static PATH_SIZE], const char *dir,
		    const char *name)
{
	(void)snprintf(out, PATH_SIZE, "%s/%s", dir, name);
}

static const char *errno_text(void)
{
	const char *text = strerrordesc_np(errno);

	return text ? text : "unknown error";
}

static int refuse(char *why, size_t why_size, const char *path,
		  const char *what)
{
	(void)snprintf(why, why_size, "%s: %s (%s)", path, what, errno_text());
	return ERR_IO;
}

int dir_lock(const char *dir, bool create, int *lock, char *why,
	     size_t why_size)
{
	char path[PATH_SIZE];
	int fd, err;

	if (create && mkdir(dir, 0700) != 0 && errno != EEXIST)
		return refuse(why, why_size, dir,
			      "cannot create the archive's directory");
	path_of(path, dir, "LOCK");
	fd = open(path, O_RDWR | (create ? O_CREAT : 0) | O_CLOEXEC, 0600);
	if (fd < 0)
		return refuse(why, why_size, path,
			      "cannot open the archive's lock");
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*lock = fd;
		return 0;
	}
	err = errno == EWOULDBLOCK ? ERR_EXISTS : ERR_IO;
	(void)snprintf(why, why_size,
		       "%s: %s; stop it or choose another directory", dir,
		       err == ERR_EXISTS ? "another process uses this archive"
					 : "the archive cannot be locked");
	close(fd);
	return err;
}

int dir_load(const char *dir, struct dir_made_with *out, char *why,
	     size_t why_size)
{
	char path[PATH_SIZE];
	unsigned format = 0;
	FILE *file;
	int got;

	path_of(path, dir, "ARCHIVE");
	file = fopen(path, "re");
	if (!file && errno == ENOENT)
		return ERR_NOTFOUND;
	if (!file)
		return refuse(why, why_size, path, "cannot read");
	got = fscanf(file, FILE_FORMAT, &format, &out->shards,
		     &out->slice_span_s);
	(void)fclose(file);
	if (got == 3 && format == FORMAT && out->shards > 0 &&
	    out->slice_span_s > 0)
		return 0;
	(void)snprintf(
		why, why_size,
		"%s: not an archive of format %u; use the version of restante "
		"that made it, or another directory",
		path, FORMAT);
	return ERR_UNSUPPORTED;
}

static int write_synced(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return ERR_IO;
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
		err = ERR_IO;
	close(fd);
	return err;
}

int dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return ERR_IO;
	err = fsync(fd) == 0 ? 0 : ERR_IO;
	close(fd);
	return err;
}

int dir_mark_save(const char *dir, const char *name, const char *text)
{
	char path[PATH_SIZE], fresh[PATH_SIZE + 8];

	path_of(path, dir, name);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (write_synced(fresh, text) || rename(fresh, path) != 0)
		return ERR_IO;
	return dir_sync(dir);
}

int dir_mark_load(const char *dir, const char *name, char *out, size_t size)
{
	char path[PATH_SIZE];
	FILE *file;
	size_t len;
	int err = 0;

	path_of(path, dir, name);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	len = fread(out, 1, size, file);
	if (ferror(file))
		err = ERR_IO;
	else if (len == size)
		err = ERR_RANGE;
	else
		out[len] = '\0';
	(void)fclose(file);
	return err;
}

int dir_save(const char *dir, const struct dir_made_with *made, char *why,
	     size_t why_size)
{
	char path[PATH_SIZE], text[128];

	path_of(path, dir, "ARCHIVE");
	(void)snprintf(text, sizeof(text), FILE_FORMAT, FORMAT, made->shards,
		       made->slice_span_s);
	if (dir_mark_save(dir, "ARCHIVE", text))
		return refuse(why, why_size, path, "cannot write");
	return 0;
}

bool dir_has_shards(const char *dir)
{
	char path[PATH_SIZE];

	path_of(path, dir, "shard-000");
	return access(path, F_OK) == 0;
}
