/* The node key's file: made once, kept to its owner, never guessed at. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/nodekey.h"
#include "core/err.h"
#include "tests/support/tempdir.h"

static char dir[TEMPDIR_MAX];
static char path[TEMPDIR_MAX + 16];
static char why[NODEKEY_WHY_MAX];
static struct secp_key key;

static void begin(void)
{
	tempdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/nodekey", dir);
}

static void end(void)
{
	tempdir_remove(dir);
}

TestSuite(nodekey, .init = begin, .fini = end);

static void write_text(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(close(fd), 0);
}

Test(nodekey, it_is_made_once_and_read_again)
{
	struct secp_key again;
	struct stat st;
	bool is_new;

	cr_assert_eq(nodekey_read(path, &key, why), ERR_NOTFOUND);
	cr_assert_eq(nodekey_read_or_make(path, &key, &is_new, why), 0);
	cr_assert(is_new);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 65);
	cr_assert_eq(nodekey_read_or_make(path, &again, &is_new, why), 0);
	cr_assert_not(is_new);
	cr_assert_eq(memcmp(&key, &again, sizeof(key)), 0);
	cr_assert_eq(nodekey_write(path, &key, why), ERR_EXISTS);
}

Test(nodekey, one_that_others_may_read_is_refused)
{
	cr_assert_eq(nodekey_read_or_make(path, &key, NULL, why), 0);
	cr_assert_eq(chmod(path, 0640), 0);
	cr_assert_eq(nodekey_read_or_make(path, &key, NULL, why), ERR_DENIED);
	cr_assert(strstr(why, "chmod 600"));
	cr_assert_eq(chmod(path, 0604), 0);
	cr_assert_eq(nodekey_read(path, &key, why), ERR_DENIED);
}

#define KEY63 "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f29"

Test(nodekey, only_64_digits_are_a_key)
{
	write_text(KEY63 "1");
	cr_assert_eq(nodekey_read(path, &key, why), 0);
	write_text(KEY63 "1\r\n");
	cr_assert_eq(nodekey_read(path, &key, why), 0);
	write_text(KEY63 "\n");
	cr_assert_eq(nodekey_read(path, &key, why), ERR_SYNTAX);
	write_text(KEY63 "11\n");
	cr_assert_eq(nodekey_read(path, &key, why), ERR_SYNTAX);
	write_text(KEY63 "g\n");
	cr_assert_eq(nodekey_read(path, &key, why), ERR_SYNTAX);
	write_text("");
	cr_assert_eq(nodekey_read(path, &key, why), ERR_SYNTAX);
	write_text(
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ffff\n");
	cr_assert_eq(nodekey_read(path, &key, why), ERR_RANGE);
	cr_assert_eq(nodekey_read(dir, &key, why), ERR_SYNTAX);
}
