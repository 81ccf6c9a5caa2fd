#include "auth/roster.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/bytes.h"

static void key_of(uint32_t number, uint8_t node[static SECP_PUBLIC_SIZE])
{
	memset(node, 0, SECP_PUBLIC_SIZE);
	/* Alike but for a few bytes, where the index looks and where not. */
	be32_store(node + (number & 1 ? 4 : 60), number);
}

Test(roster, whoever_was_put_is_found_and_nobody_else)
{
	enum { COUNT = 20000 };
	struct roster *roster = roster_new();
	uint8_t node[SECP_PUBLIC_SIZE];
	uint64_t standing;

	for (uint32_t i = 1; i <= COUNT; i++) {
		key_of(i, node);
		cr_assert_not(roster_find(roster, node, &standing));
		cr_assert_eq(roster_put(roster, node, i), 0);
	}
	for (uint32_t i = 1; i <= COUNT; i++) {
		key_of(i, node);
		cr_assert(roster_find(roster, node, &standing));
		cr_assert_eq(standing, i);
	}
	key_of(COUNT + 1, node);
	cr_assert_not(roster_find(roster, node, &standing));
	roster_free(roster);
}

Test(roster, a_later_standing_takes_the_place_of_the_first)
{
	struct roster *roster = roster_new();
	uint8_t node[SECP_PUBLIC_SIZE] = {7};
	uint64_t standing = 0;

	cr_assert_eq(roster_put(roster, node, 1), 0);
	cr_assert_eq(roster_put(roster, node, 2), 0);
	cr_assert(roster_find(roster, node, &standing));
	cr_assert_eq(standing, 2);
	roster_free(roster);
	roster_free(NULL);
}

Test(roster, a_standing_tells_what_the_check_asks)
{
	struct entitlement ent = {.kind = PLAN_PERIOD, .expiry_s = 1767300000};
	struct entitlement shown;

	roster_show(roster_standing(&ent), &shown);
	cr_assert_eq(shown.expiry_s, 1767300000);
	cr_assert_eq(shown.flags, 0);
	cr_assert_eq(shown.kind, PLAN_PERIOD);
	cr_assert_eq(shown.quota, 0);
	cr_assert_eq(shown.credits_count, 0);
	ent = (struct entitlement){
		.kind = PLAN_BUNDLE,
		.quota = 5,
		.credits_count = 3,
		.expiry_s = UINT64_MAX,
		.flags = ENTITLEMENT_SUSPENDED | ENTITLEMENT_NO_END |
			 ENTITLEMENT_UNSETTLED | ENTITLEMENT_GRANTED,
	};
	roster_show(roster_standing(&ent), &shown);
	cr_assert_gt(shown.expiry_s, (uint64_t)1 << 59);
	cr_assert_eq(shown.flags, ENTITLEMENT_SUSPENDED | ENTITLEMENT_NO_END);
	cr_assert_eq(shown.kind, PLAN_BUNDLE);
	cr_assert_gt(shown.quota, 0);
	cr_assert_gt(shown.credits_count, 0);
}
