#include "auth/access.h"

#include <criterion/criterion.h>

#include "core/err.h"

static const struct access_rules paid = {.mode = ACCESS_PAID, .grace_s = 100};

Test(access, free_mode_serves_everybody)
{
	struct access_rules rules = {.mode = ACCESS_FREE};

	cr_assert_eq(access_decide(&rules, NULL, false, 1), ACCESS_YES_FREE);
}

Test(access, free_until_serves_everybody_until_then)
{
	struct access_rules rules = paid;

	rules.free_until_s = 500;
	cr_assert_eq(access_decide(&rules, NULL, false, 499), ACCESS_YES_FREE);
	cr_assert_eq(access_decide(&rules, NULL, false, 500), ACCESS_NO);
}

Test(access, paid_time_and_grace_end_to_the_second)
{
	struct entitlement ent = {.kind = PLAN_PERIOD, .expiry_s = 1000};

	cr_assert_eq(access_decide(&paid, NULL, false, 1), ACCESS_NO);
	cr_assert_eq(access_decide(&paid, &ent, false, 999), ACCESS_YES);
	cr_assert_eq(access_decide(&paid, &ent, false, 1099), ACCESS_YES);
	cr_assert_eq(access_decide(&paid, &ent, false, 1100), ACCESS_NO);
}

/* An underpaid claim leaves a record with credit and no time. */
Test(access, a_record_without_time_opens_nothing)
{
	struct entitlement ent = {.kind = PLAN_PERIOD};

	cr_assert_eq(access_decide(&paid, &ent, false, 50), ACCESS_NO);
}

Test(access, the_operators_word_goes_first)
{
	struct entitlement ent = {.kind = PLAN_GRANT,
				  .flags = ENTITLEMENT_NO_END};

	cr_assert_eq(access_decide(&paid, NULL, true, 1), ACCESS_YES);
	cr_assert_eq(access_decide(&paid, &ent, false, UINT64_MAX), ACCESS_YES);
	ent.flags |= ENTITLEMENT_SUSPENDED;
	cr_assert_eq(access_decide(&paid, &ent, false, 1), ACCESS_NO);
	cr_assert_eq(access_decide(&paid, &ent, true, 1), ACCESS_YES);
}

Test(access, audit_serves_and_says_whom_it_would_have_denied)
{
	struct access_rules rules = paid;
	struct entitlement ent = {.kind = PLAN_PERIOD, .expiry_s = 1000};

	rules.mode = ACCESS_AUDIT;
	cr_assert_eq(access_decide(&rules, NULL, false, 1),
		     ACCESS_YES_WOULD_DENY);
	cr_assert_eq(access_decide(&rules, &ent, false, 1), ACCESS_YES);
}

/* §14: a wall clock that jumps ahead denies nobody while a chain is seen. */
Test(access, the_denying_clock_does_not_run_ahead_of_the_chain)
{
	cr_assert_eq(access_deny_now(1000, 0), 1000);
	cr_assert_eq(access_deny_now(1000, 990), 1000);
	cr_assert_eq(access_deny_now(1060, 1000), 1060);
	cr_assert_eq(access_deny_now(99999, 1000), 1060);
	cr_assert_eq(access_deny_now(10, 1000), 10);
	cr_assert_eq(access_deny_now(1000, UINT64_MAX), 1000);
}

Test(access, modes_have_words)
{
	enum access_mode mode;

	cr_assert_eq(access_mode_from_text("audit", &mode), 0);
	cr_assert_eq(mode, ACCESS_AUDIT);
	cr_assert_eq(access_mode_from_text("Free", &mode), ERR_SYNTAX);
}
