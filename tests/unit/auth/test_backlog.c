#include "auth/backlog.h"

#include <criterion/criterion.h>

static struct backlog_item items[2000];

static void put(struct backlog *backlog, unsigned chain,
		enum backlog_class kind, unsigned first, unsigned count,
		uint64_t source)
{
	for (unsigned i = first; i < first + count; i++) {
		items[i].source = source;
		cr_assert_eq(backlog_put(backlog, chain, kind, &items[i]), 0);
	}
}

Test(backlog, sources_take_turns)
{
	struct backlog *backlog = backlog_new(1);
	struct backlog_item *out[4];
	enum backlog_class kind;
	unsigned chain;

	put(backlog, 0, BACKLOG_FIRST, 0, 1000, 1);
	put(backlog, 0, BACKLOG_FIRST, 1000, 2, 2);
	cr_assert_eq(backlog_take(backlog, 1, out, 4, &chain, &kind), 4);
	cr_assert_eq(out[0], &items[0]);
	cr_assert_eq(out[1], &items[1000]);
	cr_assert_eq(out[2], &items[1]);
	cr_assert_eq(out[3], &items[1001]);
	cr_assert_eq(backlog_count(backlog), 998);
	cr_assert_eq(backlog_take(backlog, 1, out, 1, &chain, &kind), 1);
	cr_assert_eq(out[0], &items[2]);
	backlog_free(backlog);
}

Test(backlog, classes_share_by_weight)
{
	struct backlog *backlog = backlog_new(1);
	unsigned taken[BACKLOG_CLASSES] = {0};
	struct backlog_item *out[1];
	enum backlog_class kind;
	unsigned chain;

	for (unsigned k = 0; k < BACKLOG_CLASSES; k++)
		put(backlog, 0, (enum backlog_class)k, k * 400, 400, k);
	for (unsigned i = 0; i < 160; i++) {
		cr_assert_eq(backlog_take(backlog, 1, out, 1, &chain, &kind),
			     1);
		taken[kind]++;
	}
	cr_assert_eq(taken[BACKLOG_REORG], 80);
	cr_assert_eq(taken[BACKLOG_CONFIRM], 40);
	cr_assert_eq(taken[BACKLOG_FIRST], 30);
	cr_assert_eq(taken[BACKLOG_PENDING], 10);
	backlog_free(backlog);
}

Test(backlog, chains_that_are_away_are_passed_over)
{
	struct backlog *backlog = backlog_new(2);
	struct backlog_item *out[9];
	enum backlog_class kind;
	unsigned chain;

	put(backlog, 0, BACKLOG_REORG, 0, 5, 1);
	put(backlog, 1, BACKLOG_PENDING, 5, 2, 1);
	cr_assert_eq(backlog_take(backlog, 2, out, 9, &chain, &kind), 2);
	cr_assert_eq(chain, 1);
	cr_assert_eq(backlog_take(backlog, 2, out, 9, &chain, &kind), 0);
	cr_assert_eq(backlog_take(backlog, 3, out, 9, &chain, &kind), 5);
	cr_assert_eq(chain, 0);
	backlog_free(backlog);
}
