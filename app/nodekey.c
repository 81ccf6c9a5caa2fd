#include "app/nodekey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"

#define DIGITS 64

static int say(char *why, int err, const char *path, const char *what)
{
	(void)snprintf(why, NODEKEY_WHY_MAX, "%.1000s: %.200s", path, what);
	return err;
}

static int say_errno(char *why, int err, const char *path, const char *verb)
{
	char what[160];

	(void)snprintf(what, sizeof(what), "cannot %s the node key: %s", verb,
		       strerrordesc_np(errno));
	return say(why, err, path, what);
}

static int check_mode(int fd, const char *path, char *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return say_errno(why, ERR_IO, path, "look at");
	if (!S_ISREG(st.st_mode))
		return say(why, ERR_SYNTAX, path, "is no regular file");
	if (st.st_mode & 077)
		return say(why, ERR_DENIED, path,
			   "others may read the node key; run: chmod 600 on "
			   "it, and make a new one if they may have");
	return 0;
}

static int read_digits(int fd, const char *path, struct secp_key *key,
		       char *why)
{
	uint8_t private[SECP_PRIVATE_SIZE];
	char text[DIGITS + 8];
	ssize_t len = read(fd, text, sizeof(text));
	int err;

	if (len < 0)
		return say_errno(why, ERR_IO, path, "read");
	while (len > DIGITS && strchr("\r\n ", text[len - 1]))
		len--;
	err = hex_decode(text, (size_t)len, private, sizeof(private));
	bytes_erase(text, sizeof(text));
	if (err)
		return say(why, err, path, "is no node key: 64 hex digits");
	err = secp_key_from_private(private, key);
	bytes_erase(private, sizeof(private));
	return err ? say(why, err, path, "holds a number that is no key") : 0;
}

int nodekey_read(const char *path, struct secp_key *key, char *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return say_errno(why, errno == ENOENT ? ERR_NOTFOUND : ERR_IO,
				 path, "open");
	err = check_mode(fd, path, why);
	if (!err)
		err = read_digits(fd, path, key, why);
	(void)close(fd);
	return err;
}

static int write_digits(int fd, const struct secp_key *key)
{
	char text[DIGITS + 2];
	bool is_whole;

	hex_encode(key->private, SECP_PRIVATE_SIZE, text);
	text[DIGITS] = '\n';
	is_whole = write(fd, text, DIGITS + 1) == DIGITS + 1;
	bytes_erase(text, sizeof(text));
	return is_whole && fsync(fd) == 0 ? 0 : ERR_IO;
}

/* The name of the file must be on the disk too. */
static int sync_folder(const char *path)
{
	const char *name = strrchr(path, '/');
	char folder[4096] = ".";
	int fd;
	int err;

	if (name)
		(void)snprintf(folder, sizeof(folder), "%.*s",
			       (int)(name - path) + 1, path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	err = fsync(fd) ? ERR_IO : 0;
	(void)close(fd);
	return err;
}

int nodekey_write(const char *path, const struct secp_key *key, char *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err;

	if (fd < 0 && errno == EEXIST)
		return say(why, ERR_EXISTS, path,
			   "exists already and is left as it is");
	if (fd < 0)
		return say_errno(why, ERR_IO, path, "create");
	err = write_digits(fd, key);
	if (close(fd) || err || sync_folder(path)) {
		(void)say_errno(why, ERR_IO, path, "write");
		(void)unlink(path);
		return ERR_IO;
	}
	return 0;
}

int nodekey_read_or_make(const char *path, struct secp_key *key, bool *is_new,
			 char *why)
{
	int err = nodekey_read(path, key, why);

	if (is_new)
		*is_new = err == ERR_NOTFOUND;
	if (err != ERR_NOTFOUND)
		return err;
	secp_key_new(key);
	return nodekey_write(path, key, why);
}
