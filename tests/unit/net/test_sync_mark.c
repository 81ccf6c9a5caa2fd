#include "net/sync_mark.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/tempdir.h"

static char dir[TEMPDIR_MAX];
static struct archive *archive;
static const uint8_t nodes[2][SECP_PUBLIC_SIZE] = {{1}, {2}};

static void setup(void)
{
	struct archive_config config;
	char why[256];

	tempdir_make(dir);
	archive_config_default(&config);
	config.dir = dir;
	config.map_bytes = 1u << 20;
	cr_assert_eq(archive_open(&config, &archive, why, sizeof(why)), 0);
}

static void teardown(void)
{
	archive_close(archive);
	tempdir_remove(dir);
}

TestSuite(sync_mark, .init = setup, .fini = teardown);

static struct sync_position somewhere(void)
{
	struct sync_position p = {.until_s = 1700000000,
				  .has_range = true,
				  .lower_s = 1699999100,
				  .upper_s = 1700003600,
				  .has_cursor = true};

	memset(p.cursor, 0xab, sizeof(p.cursor));
	return p;
}

static bool is_same(const struct sync_position *a,
		    const struct sync_position *b)
{
	return a->until_s == b->until_s && a->has_range == b->has_range &&
	       a->lower_s == b->lower_s && a->upper_s == b->upper_s &&
	       a->has_cursor == b->has_cursor &&
	       memcmp(a->cursor, b->cursor, sizeof(a->cursor)) == 0;
}

Test(sync_mark, a_position_is_the_same_after_a_text)
{
	struct sync_position p = somewhere(), again;
	char text[SYNC_POSITION_TEXT_MAX];

	sync_position_encode(&p, text);
	cr_assert_eq(sync_position_decode(text, &again), 0);
	cr_assert(is_same(&p, &again));
	p = (struct sync_position){.until_s = UINT32_MAX};
	sync_position_encode(&p, text);
	cr_assert_str_eq(text, "restante-sync 1\nuntil 4294967295\n"
			       "range 0 0 0\ncursor -\n");
	cr_assert_eq(sync_position_decode(text, &again), 0);
	cr_assert(is_same(&p, &again));
}

Test(sync_mark, what_is_not_exactly_a_position_is_refused)
{
	static const char *const bad[] = {
		"",
		"restante-sync 2\nuntil 1\nrange 0 0 0\ncursor -\n",
		"restante-sync 1\nuntil 1\nrange 0 0 0\ncursor -",
		"restante-sync 1\nuntil 01\nrange 0 0 0\ncursor -\n",
		"restante-sync 1\nuntil -1\nrange 0 0 0\ncursor -\n",
		"restante-sync 1\nuntil 4294967296\nrange 0 0 0\ncursor -\n",
		"restante-sync 1\nuntil 1\nrange 2 0 0\ncursor -\n",
		"restante-sync 1\nuntil 1\nrange 1 5 4\ncursor -\n",
		"restante-sync 1\nuntil 1\nrange 1 4 5\ncursor abcd\n",
		"restante-sync 1\nuntil 1\nrange 1 4 5\ncursor -\nmore\n",
	};
	struct sync_position p = somewhere();
	char text[SYNC_POSITION_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(sync_position_decode(bad[i], &p), ERR_SYNTAX, "%s",
			     bad[i]);
	sync_position_encode(&p, text);
	for (size_t len = 0; text[len]; len++) {
		char cut[SYNC_POSITION_TEXT_MAX];

		memcpy(cut, text, len);
		cut[len] = '\0';
		cr_assert_eq(sync_position_decode(cut, &p), ERR_SYNTAX);
	}
}

Test(sync_mark, the_keeper_writes_the_last_of_each_node)
{
	struct sync_position p = somewhere(), got;
	struct sync_keeper *keeper;

	cr_assert_eq(sync_position_load(archive, nodes[0], &got), ERR_NOTFOUND);
	cr_assert_eq(sync_keeper_start(archive, nodes, 2, &keeper), 0);
	for (uint32_t i = 1; i <= 500; i++) {
		p.until_s = i;
		sync_keeper_put(keeper, 0, &p);
		p.until_s = i * 2;
		sync_keeper_put(keeper, 1, &p);
	}
	sync_keeper_stop(keeper);
	cr_assert_eq(sync_position_load(archive, nodes[0], &got), 0);
	cr_assert_eq(got.until_s, 500);
	cr_assert_eq(sync_position_load(archive, nodes[1], &got), 0);
	cr_assert_eq(got.until_s, 1000);
	cr_assert_eq(archive_mark_save(archive, "other", "words"), 0);
	cr_assert_eq(sync_position_load(archive, nodes[1], &got), 0);
}
