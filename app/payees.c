#include "app/payees.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"

#define FIELDS     6
#define NUMBER_MAX 20 /* digits */

bool payees_path(char out[static PAYEES_PATH_MAX])
{
	/* No other thread has been started. */
	/* NOLINTBEGIN(concurrency-mt-unsafe) */
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	/* NOLINTEND(concurrency-mt-unsafe) */
	int len = 0;

	/* Relative ones are not to be followed. */
	if (data && data[0] == '/')
		len = snprintf(out, PAYEES_PATH_MAX, "%s/restante/payees",
			       data);
	else if (home && home[0] == '/')
		len = snprintf(out, PAYEES_PATH_MAX,
			       "%s/.local/share/restante/payees", home);
	return len > 0 && len < PAYEES_PATH_MAX;
}

/* ---- lines ---- */

static bool read_number(const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	if (len == 0 || len > NUMBER_MAX || strspn(text, "0123456789") != len)
		return false;
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return errno == 0;
}

static bool read_bytes(const char *text, uint8_t *out, size_t size)
{
	return hex_decode(text, strlen(text), out, size) == 0;
}

/* "SERVER CHAIN TOKEN PAYEE paid|seen TIME" */
int payees_line_decode(const char *line, struct payee *out)
{
	char copy[PAYEES_LINE_MAX];
	char *fields[FIELDS];
	char *rest = copy;
	size_t count = 0;

	memset(out, 0, sizeof(*out));
	if (strlen(line) >= sizeof(copy))
		return ERR_SYNTAX;
	memcpy(copy, line, strlen(line) + 1);
	while (rest && count < FIELDS)
		fields[count++] = strsep(&rest, " ");
	if (count < FIELDS || rest ||
	    !read_bytes(fields[0], out->server, sizeof(out->server)) ||
	    !read_number(fields[1], &out->chain_id) ||
	    !read_bytes(fields[2], out->token, sizeof(out->token)) ||
	    !read_bytes(fields[3], out->address, sizeof(out->address)) ||
	    !read_number(fields[5], &out->at_s))
		return ERR_SYNTAX;
	out->is_paid = strcmp(fields[4], "paid") == 0;
	return out->is_paid || strcmp(fields[4], "seen") == 0 ? 0 : ERR_SYNTAX;
}

void payees_line_encode(const struct payee *payee,
			char out[static PAYEES_LINE_MAX])
{
	char server[2 * SECP_PUBLIC_SIZE + 1];
	char token[2 * ADDRESS_SIZE + 1], address[2 * ADDRESS_SIZE + 1];

	hex_encode(payee->server, SECP_PUBLIC_SIZE, server);
	hex_encode(payee->token, ADDRESS_SIZE, token);
	hex_encode(payee->address, ADDRESS_SIZE, address);
	(void)snprintf(out, PAYEES_LINE_MAX, "%s %" PRIu64 " %s %s %s %" PRIu64,
		       server, payee->chain_id, token, address,
		       payee->is_paid ? "paid" : "seen", payee->at_s);
}

/* ---- the file ---- */

struct list {
	struct payee *payees;
	size_t count;
};

static bool is_same(const struct payee *a, const struct payee *b)
{
	return memcmp(a->server, b->server, sizeof(a->server)) == 0 &&
	       a->chain_id == b->chain_id &&
	       memcmp(a->token, b->token, sizeof(a->token)) == 0;
}

static int read_lines(FILE *file, struct list *list)
{
	char line[PAYEES_LINE_MAX + 1];

	while (fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\n");

		if (line[len] != '\n' || list->count == PAYEES_MAX)
			return ERR_SYNTAX;
		line[len] = '\0';
		if (payees_line_decode(line, &list->payees[list->count]))
			return ERR_SYNTAX;
		list->count++;
	}
	return ferror(file) ? ERR_IO : 0;
}

/* A file that is not there has no lines. */
static int load(const char *path, struct list *list)
{
	FILE *file = fopen(path, "re");
	int err = errno == ENOENT ? 0 : ERR_IO;

	list->count = 0;
	/* One more, for what is added. */
	list->payees = calloc(PAYEES_MAX + 1, sizeof(*list->payees));
	if (file && list->payees)
		err = read_lines(file, list);
	if (file)
		(void)fclose(file);
	return list->payees ? err : ERR_NOMEM;
}

/* All folders of the path that are missing, for this user alone. */
static int make_folders(const char *path)
{
	char folder[PAYEES_PATH_MAX];

	for (const char *end = strchr(path + 1, '/'); end;
	     end = strchr(end + 1, '/')) {
		(void)snprintf(folder, sizeof(folder), "%.*s",
			       (int)(end - path), path);
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			return ERR_IO;
	}
	return 0;
}

/* Still the file of that name? It is another's payees when he was quicker. */
static bool is_at(int fd, const char *path)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && stat(path, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/*
 * The file that will take the place of the present one, empty, and ours alone
 * until it is closed: so of two commands that end at once none forgets what the
 * other has written, and what a killed one leaves is used by the next.
 */
static FILE *open_next(const char *next)
{
	FILE *file = NULL;
	int fd, rc;

	for (;;) {
		fd = open(next, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
		if (fd < 0)
			return NULL;
		do
			rc = flock(fd, LOCK_EX);
		while (rc != 0 && errno == EINTR);
		if (rc != 0 || is_at(fd, next))
			break;
		(void)close(fd);
	}
	if (rc == 0 && ftruncate(fd, 0) == 0)
		file = fdopen(fd, "w");
	if (!file)
		(void)close(fd);
	return file;
}

static int write_lines(FILE *file, const struct list *list)
{
	size_t first = list->count > PAYEES_MAX ? list->count - PAYEES_MAX : 0;
	char line[PAYEES_LINE_MAX];

	for (size_t i = first; i < list->count; i++) {
		payees_line_encode(&list->payees[i], line);
		(void)fprintf(file, "%s\n", line);
	}
	if (fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0)
		return ERR_IO;
	return 0;
}

int payees_find(const char *path, const struct payee *like, struct payee *out)
{
	struct list list;
	int err = load(path, &list);
	bool is_found = false;

	for (size_t i = 0; !err && i < list.count && !is_found; i++) {
		is_found = is_same(&list.payees[i], like);
		if (is_found)
			*out = list.payees[i];
	}
	free(list.payees);
	return err ? err : is_found ? 0 : ERR_NOTFOUND;
}

/* What is known goes to the end, as the newest. */
static void put(struct list *list, const struct payee *payee)
{
	size_t at = 0;

	while (at < list->count && !is_same(&list->payees[at], payee))
		at++;
	if (at < list->count)
		memmove(&list->payees[at], &list->payees[at + 1],
			(--list->count - at) * sizeof(*payee));
	list->payees[list->count++] = *payee;
}

int payees_keep(const char *path, const struct payee *payee)
{
	char next[PAYEES_PATH_MAX + 8];
	struct list list;
	FILE *file;
	int err;

	(void)snprintf(next, sizeof(next), "%s.next", path);
	if (make_folders(path))
		return ERR_IO;
	file = open_next(next);
	if (!file)
		return ERR_IO;
	err = load(path, &list);
	if (!err) {
		put(&list, payee);
		err = write_lines(file, &list);
	}
	/* As a whole: whoever reads it sees the old one or the new one. */
	if (!err && rename(next, path) != 0)
		err = ERR_IO;
	if (err)
		(void)unlink(next);
	free(list.payees);
	(void)fclose(file);
	return err;
}
