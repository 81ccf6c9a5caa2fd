#include "app/payees.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "tests/support/tempdir.h"

static char dir[TEMPDIR_MAX];
static char path[TEMPDIR_MAX + 64];

static void begin(void)
{
	tempdir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/a/b/payees", dir);
}

static void end(void)
{
	tempdir_remove(dir);
}

TestSuite(payees, .init = begin, .fini = end);

static struct payee payee_of(unsigned server, uint8_t address, bool is_paid)
{
	struct payee payee = {
		.chain_id = 1, .is_paid = is_paid, .at_s = 1767300000 + server};

	payee.server[0] = (uint8_t)(server >> 8);
	payee.server[1] = (uint8_t)server;
	memset(payee.token, 0x74, sizeof(payee.token));
	memset(payee.address, address, sizeof(payee.address));
	return payee;
}

static void keep(const struct payee *payee)
{
	cr_assert_eq(payees_keep(path, payee), 0);
}

Test(payees, what_was_kept_is_found_by_server_chain_and_token)
{
	struct payee one = payee_of(1, 0x90, false), got;
	struct payee other = one;

	cr_assert_eq(payees_find(path, &one, &got), ERR_NOTFOUND);
	keep(&one);
	cr_assert_eq(payees_find(path, &one, &got), 0);
	cr_assert_arr_eq(got.address, one.address, ADDRESS_SIZE);
	cr_assert_not(got.is_paid);
	cr_assert_eq(got.at_s, one.at_s);
	other.chain_id = 2;
	cr_assert_eq(payees_find(path, &other, &got), ERR_NOTFOUND);
	other = one;
	other.token[19] ^= 1;
	cr_assert_eq(payees_find(path, &other, &got), ERR_NOTFOUND);
	other = one;
	other.server[63] ^= 1;
	cr_assert_eq(payees_find(path, &other, &got), ERR_NOTFOUND);
}

Test(payees, the_newest_takes_the_place_of_what_was_known)
{
	struct payee seen = payee_of(1, 0x90, false), got;
	struct payee paid = payee_of(1, 0x91, true);
	struct payee neighbour = payee_of(2, 0x92, true);

	keep(&seen);
	keep(&neighbour);
	keep(&paid);
	cr_assert_eq(payees_find(path, &seen, &got), 0);
	cr_assert(got.is_paid);
	cr_assert_eq(got.address[0], 0x91);
	cr_assert_eq(payees_find(path, &neighbour, &got), 0);
	cr_assert_eq(got.address[0], 0x92);
}

Test(payees, the_file_is_the_users_alone)
{
	struct payee one = payee_of(1, 0x90, false);
	struct stat st;

	keep(&one);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
}

Test(payees, the_oldest_give_way)
{
	struct payee got;

	for (unsigned i = 0; i < PAYEES_MAX + 3; i++) {
		struct payee payee = payee_of(i, 0x90, false);
		char line[PAYEES_LINE_MAX];
		FILE *file;

		/* The file is written by hand up to the bound: that is
		 * quicker. */
		if (i == 0)
			keep(&payee);
		if (i > 0 && i < PAYEES_MAX) {
			file = fopen(path, "a");
			cr_assert(file);
			payees_line_encode(&payee, line);
			(void)fprintf(file, "%s\n", line);
			(void)fclose(file);
		}
		if (i >= PAYEES_MAX)
			keep(&payee);
	}
	for (unsigned i = 0; i < PAYEES_MAX + 3; i++) {
		struct payee payee = payee_of(i, 0, false);

		cr_assert_eq(payees_find(path, &payee, &got),
			     i < 3 ? ERR_NOTFOUND : 0, "%u", i);
		if (i > 10 && i < PAYEES_MAX - 10)
			i += 97;
	}
}

Test(payees, a_line_that_is_none_of_ours_is_left_as_it_is)
{
	static const char *const bad[] = {"", "hello", "a b c d paid 1", NULL};
	struct payee one = payee_of(1, 0x90, true), got;
	char line[PAYEES_LINE_MAX + 8], text[PAYEES_LINE_MAX + 16] = "";
	FILE *file;

	payees_line_encode(&one, line);
	cr_assert_eq(payees_line_decode(line, &got), 0);
	cr_assert_eq(memcmp(&one, &got, sizeof(one)), 0);
	for (size_t i = 0; bad[i]; i++)
		cr_assert_eq(payees_line_decode(bad[i], &got), ERR_SYNTAX);
	memcpy(line + strlen(line), " x", 3);
	cr_assert_eq(payees_line_decode(line, &got), ERR_SYNTAX);
	payees_line_encode(&one, line);
	memcpy(strstr(line, "paid"), "gone", 4);
	cr_assert_eq(payees_line_decode(line, &got), ERR_SYNTAX);
	keep(&one);
	file = fopen(path, "w");
	cr_assert(file);
	(void)fprintf(file, "%s\n", line);
	(void)fclose(file);
	cr_assert_eq(payees_find(path, &one, &got), ERR_SYNTAX);
	cr_assert_eq(payees_keep(path, &one), ERR_SYNTAX);
	file = fopen(path, "r");
	cr_assert(file && fgets(text, sizeof(text), file));
	(void)fclose(file);
	text[strcspn(text, "\n")] = '\0';
	cr_assert_str_eq(text, line);
}

/* A full file, by hand: that is quicker. */
static void fill(void)
{
	struct payee first = payee_of(0, 0x90, true);
	char line[PAYEES_LINE_MAX];
	FILE *file;

	keep(&first);
	file = fopen(path, "a");
	cr_assert(file);
	for (unsigned i = 1; i < PAYEES_MAX; i++) {
		struct payee payee = payee_of(i, 0x90, true);

		payees_line_encode(&payee, line);
		(void)fprintf(file, "%s\n", line);
	}
	cr_assert_eq(fclose(file), 0);
}

static unsigned entries_count(const char *folder)
{
	DIR *open = opendir(folder);
	unsigned count = 0;

	cr_assert(open);
	for (struct dirent *entry = readdir(open); entry; entry = readdir(open))
		count += entry->d_name[0] != '.';
	(void)closedir(open);
	return count;
}

static unsigned lines_count(void)
{
	char text[PAYEES_LINE_MAX + 1];
	unsigned count = 0;
	FILE *file = fopen(path, "r");

	cr_assert(file);
	while (fgets(text, sizeof(text), file)) {
		cr_assert_eq(text[strlen(text) - 1], '\n');
		count++;
	}
	(void)fclose(file);
	return count;
}

static void keep_for_ever(unsigned server)
{
	for (unsigned address = 0;; address++) {
		struct payee payee = payee_of(server, (uint8_t)address, true);

		if (payees_keep(path, &payee))
			_exit(1);
	}
}

Test(payees, who_is_killed_while_writing_leaves_the_old_or_the_new_file)
{
	char folder[sizeof(path)];

	fill();
	for (unsigned round = 0; round < 60; round++) {
		struct payee payee = payee_of(round, 0, true), got;
		pid_t child = fork();
		int status;

		cr_assert_geq(child, 0);
		if (child == 0)
			keep_for_ever(round);
		(void)usleep(2000 + round * 731 % 15000);
		cr_assert_eq(kill(child, SIGKILL), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status));
		cr_assert_eq(payees_find(path, &payee, &got), 0);
		cr_assert_eq(lines_count(), PAYEES_MAX);
	}
	/* What they left lies about once at most, and the next one uses it. */
	keep(&(struct payee){.chain_id = 9});
	(void)snprintf(folder, sizeof(folder), "%s/a/b", dir);
	cr_assert_eq(entries_count(folder), 1);
}

Test(payees, of_two_at_once_none_forgets_what_the_other_wrote)
{
	enum { WRITERS = 4, EACH = 25 };
	pid_t children[WRITERS];
	struct payee got;
	int status;

	for (unsigned w = 0; w < WRITERS; w++) {
		children[w] = fork();
		cr_assert_geq(children[w], 0);
		for (unsigned i = 0; children[w] == 0 && i < EACH; i++) {
			struct payee payee = payee_of(w * EACH + i, 1, true);

			if (payees_keep(path, &payee))
				_exit(1);
		}
		if (children[w] == 0)
			_exit(0);
	}
	for (unsigned w = 0; w < WRITERS; w++) {
		cr_assert_eq(waitpid(children[w], &status, 0), children[w]);
		cr_assert_eq(status, 0);
	}
	for (unsigned i = 0; i < WRITERS * EACH; i++) {
		struct payee payee = payee_of(i, 0, false);

		cr_assert_eq(payees_find(path, &payee, &got), 0, "%u", i);
	}
}

Test(payees, the_path_is_that_of_the_data_folder)
{
	char got[PAYEES_PATH_MAX];

	(void)setenv("HOME", "/home/alice", 1);
	(void)unsetenv("XDG_DATA_HOME");
	cr_assert(payees_path(got));
	cr_assert_str_eq(got, "/home/alice/.local/share/restante/payees");
	(void)setenv("XDG_DATA_HOME", "/data", 1);
	cr_assert(payees_path(got));
	cr_assert_str_eq(got, "/data/restante/payees");
	(void)setenv("XDG_DATA_HOME", "relative", 1);
	cr_assert(payees_path(got));
	cr_assert_str_eq(got, "/home/alice/.local/share/restante/payees");
	(void)unsetenv("HOME");
	cr_assert_not(payees_path(got));
}
