#include "auth/quorum.h"
#include "auth/step.h"

#include <criterion/criterion.h>
#include <string.h>

static struct voice mined(unsigned group, uint64_t value, uint64_t head)
{
	struct voice voice = {.group = group,
			      .kind = VOICE_MINED,
			      .at = {.head = head,
				     .safe = head - 10,
				     .has_safe = true,
				     .final = head - 20,
				     .has_final = true},
			      .block = 100,
			      .block_time_s = 5,
			      .value = u256_from_u64(value),
			      .nonce = CLAIM_NONCE_UNKNOWN};

	memset(voice.block_hash, 0xb1, 32);
	return voice;
}

static struct voice absent(unsigned group, uint64_t head)
{
	return (struct voice){.group = group,
			      .kind = VOICE_ABSENT,
			      .at = {.head = head},
			      .nonce = CLAIM_NONCE_UNKNOWN};
}

Test(quorum, one_of_one_is_believed)
{
	struct voice voice = mined(0, 7, 120);
	struct finding out = {0};
	struct verdict v = quorum_facts(&voice, 1, 1, 0, &out);

	cr_assert(v.is_agreed);
	cr_assert_eq(out.kind, FINDING_MINED);
	cr_assert_eq(out.at.head, 120);
	cr_assert_eq(out.at.final, 100);
}

Test(quorum, a_liar_among_three_changes_nothing_and_is_named)
{
	struct voice voices[] = {mined(0, 8, 120), mined(1, 7, 125),
				 mined(2, 7, 122)};
	struct u256 seven = u256_from_u64(7);
	struct finding out = {0};
	struct verdict v = quorum_facts(voices, 2, 2, 0, &out);

	cr_assert_not(v.is_agreed);
	cr_assert_eq(out.kind, FINDING_NOTHING);
	v = quorum_facts(voices, 3, 2, 0, &out);
	cr_assert(v.is_agreed);
	cr_assert_eq(u256_compare(&out.value, &seven), 0);
	cr_assert_eq(v.with, 6);
	cr_assert_eq(v.against, 1);
	/* The lowest of those that agreed. */
	cr_assert_eq(out.at.head, 122);
	cr_assert_eq(out.at.safe, 112);
}

Test(quorum, endpoints_of_one_group_are_one_voice)
{
	struct voice voices[] = {mined(0, 7, 120), mined(0, 7, 120),
				 absent(2, 120)};
	struct finding out = {0};

	cr_assert_not(quorum_facts(voices, 3, 2, 0, &out).is_agreed);
	voices[2] = mined(2, 7, 120);
	cr_assert(quorum_facts(voices, 3, 2, 0, &out).is_agreed);
}

Test(quorum, every_fact_counts)
{
	for (int i = 0; i < 5; i++) {
		struct voice voices[] = {mined(0, 7, 120), mined(1, 7, 120)};
		struct finding out = {0};

		voices[1].block += i == 0;
		voices[1].block_time_s += i == 1;
		voices[1].block_hash[31] ^= i == 2;
		voices[1].fault = i == 3 ? CLAIM_TX_FAILED : CLAIM_NO_REASON;
		if (i == 4)
			voices[1].value = u256_from_u64(8);
		cr_assert_not(quorum_facts(voices, 2, 2, 0, &out).is_agreed);
	}
}

Test(quorum, gone_is_said_only_from_at_or_above_where_it_was)
{
	struct voice voices[] = {absent(0, 99), absent(1, 100)};
	struct finding out = {0};

	cr_assert_not(quorum_facts(voices, 2, 2, 100, &out).is_agreed);
	voices[0].at.head = 100;
	cr_assert(quorum_facts(voices, 2, 2, 100, &out).is_agreed);
	cr_assert_eq(out.kind, FINDING_ABSENT);
	cr_assert_eq(out.at.head, 100);
}

Test(quorum, lagging_is_no_dissent)
{
	struct voice voices[] = {mined(0, 7, 120), mined(1, 7, 120),
				 absent(2, 90)};
	struct finding out = {0};

	cr_assert_eq(quorum_facts(voices, 3, 2, 0, &out).against, 0);
	voices[2].at.head = 110;
	cr_assert_eq(quorum_facts(voices, 3, 2, 0, &out).against, 4);
}

/* Receipt and head came from two machines. */
Test(quorum, a_block_above_the_own_head_is_not_heard)
{
	struct voice voice = mined(0, 7, 99);
	struct finding out = {0};

	cr_assert_not(quorum_facts(&voice, 1, 1, 0, &out).is_agreed);
}

Test(quorum, replaced_needs_the_quorum_too)
{
	struct voice voices[] = {absent(0, 120), absent(1, 120)};
	struct finding out = {0};

	voices[0].is_nonce_used = true;
	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert_eq(out.kind, FINDING_ABSENT);
	voices[1].is_nonce_used = true;
	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert_eq(out.kind, FINDING_REPLACED);
}

Test(quorum, a_nonce_is_known_when_enough_name_it)
{
	struct voice voices[] = {absent(0, 120), absent(1, 120)};
	struct finding out = {0};

	voices[0].nonce = 4;
	voices[0].is_waiting = true;
	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert(out.is_waiting);
	cr_assert_eq(out.sender_nonce, CLAIM_NONCE_UNKNOWN);
	voices[1].nonce = 4;
	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert_eq(out.sender_nonce, 4);
}

Test(quorum, a_head_cannot_be_raised_or_held_back_by_one)
{
	const unsigned groups[] = {0, 1, 2};
	const unsigned same[] = {0, 0, 2};
	uint64_t exaggerated[] = {100, 1100, 101};
	uint64_t frozen[] = {5, 100, 101};
	uint64_t out = 0;

	cr_assert(quorum_height(exaggerated, groups, 3, 2, &out));
	cr_assert_eq(out, 101);
	cr_assert(quorum_height(frozen, groups, 3, 2, &out));
	cr_assert_eq(out, 100);
	cr_assert(quorum_height(exaggerated, same, 3, 2, &out));
	cr_assert_eq(out, 101);
	cr_assert_not(quorum_height(exaggerated, groups, 1, 2, &out));
	cr_assert_eq(quorum_median(exaggerated, 3), 101);
	cr_assert_eq(quorum_median(exaggerated, 2), 100);
	cr_assert_eq(quorum_median(frozen, 1), 5);
}

Test(quorum, a_position_without_a_tag_holds_no_policy_of_it)
{
	struct voice voices[] = {mined(0, 7, 130), mined(1, 7, 130)};
	struct finding out = {0};
	struct policy final = {.mode = POLICY_FINAL};
	struct policy six = {POLICY_CONFIRMATIONS, 31};

	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert(policy_holds(final, &out.at, 110));
	cr_assert_not(policy_holds(final, &out.at, 111));
	cr_assert(policy_holds(six, &out.at, 100));
	cr_assert_not(policy_holds(six, &out.at, 101));
	cr_assert_not(policy_holds(six, &out.at, 131));
	voices[1].at.has_final = false;
	(void)quorum_facts(voices, 2, 2, 0, &out);
	cr_assert_not(policy_holds(final, &out.at, 1));
}
