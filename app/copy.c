#include "app/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

#define BUFFER_SIZE (1u << 20)
#define PATH_SIZE   4096
#define DEPTH_MAX   4u /* an archive has two */

static int refuse(const char *path, const char *what, char *why)
{
	int number = errno;

	(void)snprintf(why, COPY_WHY_MAX, "%s: %s: %s", path, what,
		       err_system(number));
	return number == EEXIST ? ERR_EXISTS : ERR_IO;
}

int copy_sync(const char *dir, char *why)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return refuse(dir, "cannot be opened", why);
	if (fsync(fd) != 0)
		err = refuse(dir, "cannot be written", why);
	close(fd);
	return err;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int copy_make_empty(const char *dir, char *why)
{
	struct dirent *entry;
	bool is_empty = true;
	DIR *d;

	if (mkdir(dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return refuse(dir, "cannot be made", why);
	d = opendir(dir);
	if (!d)
		return refuse(dir, "cannot be read", why);
	while (is_empty && (entry = readdir(d)) != NULL) /* NOLINT: own DIR */
		is_empty = is_dot(entry->d_name);
	closedir(d);
	if (is_empty)
		return 0;
	(void)snprintf(why, COPY_WHY_MAX,
		       "%s: is not empty; name a new folder, or an empty one",
		       dir);
	return ERR_EXISTS;
}

/* ---- files ---- */

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

static int pour(int from, int to, uint64_t *bytes)
{
	static uint8_t buffer[BUFFER_SIZE];

	for (;;) {
		ssize_t n = read(from, buffer, sizeof(buffer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write_all(to, buffer, (size_t)n))
			return ERR_IO;
		if (n == 0)
			return fsync(to) == 0 ? 0 : ERR_IO;
		*bytes += (uint64_t)n;
	}
}

static int make_file(const char *path, int *fd, char *why)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *fd < 0 ? refuse(path, "cannot be made", why) : 0;
}

int copy_file(const char *from, const char *to, uint64_t *bytes, char *why)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out, err;

	if (in < 0)
		return refuse(from, "cannot be opened", why);
	err = make_file(to, &out, why);
	if (!err) {
		if (pour(in, out, bytes))
			err = refuse(to, "cannot be copied", why);
		close(out);
	}
	close(in);
	return err;
}

int copy_text(const char *path, const char *text, char *why)
{
	int fd, err = make_file(path, &fd, why);

	if (err)
		return err;
	if (write_all(fd, (const uint8_t *)text, strlen(text)) ||
	    fsync(fd) != 0)
		err = refuse(path, "cannot be written", why);
	close(fd);
	return err;
}

/* ---- folders ---- */

static bool is_lock(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, "LOCK") == 0 ||
	       (len > 5 && strcmp(name + len - 5, "-lock") == 0) ||
	       (len > 5 && strcmp(name + len - 5, ".lock") == 0);
}

static int copy_level(const char *from, const char *to, unsigned depth,
		      uint64_t *bytes, char *why);

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than DEPTH_MAX */
static int copy_entry(const char *from, const char *to, unsigned depth,
		      uint64_t *bytes, char *why)
{
	struct stat st;

	if (lstat(from, &st) != 0)
		return refuse(from, "cannot be read", why);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, bytes, why);
	if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		return copy_level(from, to, depth + 1, bytes, why);
	(void)snprintf(why, COPY_WHY_MAX, "%s: does not belong there", from);
	return ERR_IO;
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than DEPTH_MAX */
static int copy_level(const char *from, const char *to, unsigned depth,
		      uint64_t *bytes, char *why)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	if (mkdir(to, 0700) != 0)
		return refuse(to, "cannot be made", why);
	dir = opendir(from);
	if (!dir)
		return refuse(from, "cannot be read", why);
	while (!err && (entry = readdir(dir)) != NULL) { /* NOLINT: own DIR */
		char a[PATH_SIZE], b[PATH_SIZE];

		if (is_dot(entry->d_name) || is_lock(entry->d_name))
			continue;
		if (snprintf(a, sizeof(a), "%s/%s", from, entry->d_name) >=
			    PATH_SIZE ||
		    snprintf(b, sizeof(b), "%s/%s", to, entry->d_name) >=
			    PATH_SIZE) {
			(void)snprintf(why, COPY_WHY_MAX,
				       "%s: is too long a path", from);
			err = ERR_RANGE;
		} else {
			err = copy_entry(a, b, depth, bytes, why);
		}
	}
	closedir(dir);
	return err ? err : copy_sync(to, why);
}

int copy_folder(const char *from, const char *to, uint64_t *bytes, char *why)
{
	return copy_level(from, to, 0, bytes, why);
}
