#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/dump.h"
#include "core/err.h"
#include "tests/support/tempdir.h"

static const uint8_t rlp[] = {0xee, 0x84, 0x5f};

static bool finds(const char *line, const char *expected)
{
	struct dump_line found;

	if (dump_json_decode(line, strlen(line), &found) || !found.rlp)
		return !expected;
	return expected && found.rlp_size == strlen(expected) &&
	       memcmp(found.rlp, expected, found.rlp_size) == 0;
}

Test(dump_json, rlp_is_found_among_other_members)
{
	cr_assert(finds("{\"rlp\":\"ab\"}", "ab"));
	cr_assert(finds("{\"hash\":\"00\",\"sent\":12,\"topic\":\"x\",\"rlp\":"
			"\"abcd\"}\n",
			"abcd"));
	cr_assert(finds(" { \"rlp\" : \"\" , \"n\" : -1.5e3 } ", ""));
	cr_assert(finds("{\"a\":\"\\\"rlp\\\":\",\"rlp\":\"01\"}", "01"));
}

Test(dump_json, other_lines_are_refused)
{
	cr_assert(finds("{}", NULL));
	cr_assert(finds("", NULL));
	cr_assert(finds("{\"rlp\":12}", NULL));
	cr_assert(finds("{\"rlp\":\"ab\"", NULL));
	cr_assert(finds("{\"rlp\":\"ab\"} x", NULL));
	cr_assert(finds("{\"rlp\":\"ab", NULL));
	cr_assert(finds("{\"rlp\":\"ab\\", NULL));
	cr_assert(finds("{\"rlp\" \"ab\"}", NULL));
	cr_assert(finds("[\"rlp\"]", NULL));
	cr_assert_neq(dump_json_decode("{\0}", 3, &(struct dump_line){0}), 0);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

Test(dump, what_was_written_is_read_in_both_formats)
{
	char dir[TEMPDIR_MAX], path[TEMPDIR_MAX + 8], why[DUMP_WHY_MAX];
	const struct envelope env = {.rlp = rlp, .size = sizeof(rlp)};
	const uint8_t hash[32] = {1};

	tempdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/out", dir);
	for (int format = DUMP_JSON; format <= DUMP_BINARY; format++) {
		struct dump_writer w;
		struct dump_reader r;
		const uint8_t *in;
		size_t size;

		cr_assert_eq(dump_create(&w, path, (enum dump_format)format),
			     0);
		cr_assert_eq(dump_write(&w, &env, hash), 0);
		cr_assert_eq(dump_write(&w, &env, hash), 0);
		cr_assert_eq(dump_finish(&w, true, why), 0);
		cr_assert_str_empty(why);
		cr_assert_eq(dump_open(&r, path), 0);
		for (int i = 0; i < 2; i++) {
			cr_assert_eq(dump_read(&r, &in, &size), 0, "%s", r.why);
			cr_assert_eq(size, sizeof(rlp));
			cr_assert_arr_eq(in, rlp, sizeof(rlp));
		}
		cr_assert_gt(dump_read(&r, &in, &size), 0);
		dump_close(&r);
	}
	tempdir_remove(dir);
}

Test(dump, an_incomplete_file_keeps_its_other_name)
{
	char dir[TEMPDIR_MAX], path[TEMPDIR_MAX + 8], why[DUMP_WHY_MAX];
	struct dump_writer w;
	FILE *f;

	tempdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/out", dir);
	cr_assert_eq(dump_create(&w, path, DUMP_JSON), 0);
	cr_assert_eq(dump_write(&w, &(struct envelope){.rlp = rlp, .size = 3},
				(uint8_t[32]){0}),
		     0);
	cr_assert_eq(dump_finish(&w, false, why), 0);
	cr_assert_not_null(strstr(why, "out.part"));
	f = fopen(path, "r");
	cr_assert_null(f);
	tempdir_remove(dir);
}

static int read_bad(const void *bytes, size_t len, int records)
{
	char dir[TEMPDIR_MAX], path[TEMPDIR_MAX + 8];
	struct dump_reader r;
	const uint8_t *in;
	size_t size;
	int err = 0;

	tempdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/in", dir);
	write_file(path, bytes, len);
	cr_assert_eq(dump_open(&r, path), 0);
	for (int i = 0; i < records; i++)
		err = dump_read(&r, &in, &size);
	if (err < 0)
		cr_assert_str_not_empty(r.why);
	dump_close(&r);
	tempdir_remove(dir);
	return err;
}

Test(dump, bad_files_are_named_with_the_place)
{
	cr_assert_gt(read_bad("", 0, 1), 0);
	cr_assert_eq(read_bad("\0\0\0\5ab", 6, 1), ERR_SYNTAX);
	cr_assert_eq(read_bad("\0\0", 2, 1), ERR_SYNTAX);
	cr_assert_eq(read_bad("\1\xff\xff\xff", 4, 1), ERR_RANGE);
	cr_assert_eq(read_bad("{\"rlp\":\"abc\"}\n", 14, 1), ERR_SYNTAX);
	cr_assert_eq(read_bad("{\"rlp\":\"zz\"}\n", 13, 1), ERR_SYNTAX);
	cr_assert_eq(read_bad("{\"rlp\":\"ab\"}\n\nhello\n", 20, 2),
		     ERR_SYNTAX);
}

/* A pipe stands for a device: a file may not take its place. */
Test(dump, what_is_no_file_is_written_and_stays)
{
	char name[64], why[DUMP_WHY_MAX];
	struct dump_writer w;
	struct stat st;
	int ends[2];
	char byte;

	cr_assert_eq(pipe(ends), 0);
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[1]);
	cr_assert_eq(dump_create(&w, name, DUMP_JSON), 0);
	cr_assert(w.out && fputc('x', w.out) == 'x');
	cr_assert_eq(dump_finish(&w, true, why), 0);
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(byte, 'x');
	cr_assert_eq(stat(name, &st), 0);
	cr_assert(S_ISFIFO(st.st_mode));
	(void)close(ends[0]);
	(void)close(ends[1]);
}
