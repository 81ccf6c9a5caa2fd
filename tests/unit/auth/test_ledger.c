/* What becomes of claims and payments: T1 to T8. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "auth/gate.h"
#include "tests/unit/auth/ledger_test.h"

Test(ledger, a_claim_goes_all_the_way)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	cr_assert(task.is_new);
	cr_assert_eq(task.record.rev, 1);
	expect(&claim, CLAIM_RECEIVED, 0);
	lose(&claim, FINDING_ABSENT, 200);
	expect(&claim, CLAIM_PENDING, 0);
	mine(&claim, 350, 201, 1, 202);
	expect(&claim, CLAIM_CONFIRMING, 0);
	expect_record(1, 0, 0, 0);
	mine(&claim, 350, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
	expect_record(1, 3, 50, 1);
	mine(&claim, 350, 201, 1, 212);
	expect(&claim, CLAIM_SETTLED, 0);
	expect_record(1, 3, 50, 0);
	cr_assert_eq(paying_view(&p, &claim).units, 3);
	cr_assert_eq(paying_view(&p, &claim).outcome, PLAN_OVERPAID);
}

/* §10; §21, 16: whatever is found afterwards. */
Test(ledger, a_settled_payment_stays_as_it_is)
{
	struct claim claim = paying_claim(&p, 1, 1);
	uint32_t rev;

	paying_pay(&p, &claim, 350, 201);
	mine(&claim, 350, 201, 1, 212);
	rev = paying_view(&p, &claim).record.rev;
	lose(&claim, FINDING_REPLACED, 230);
	paying_pass(&p, 7 * 86400);
	lose(&claim, FINDING_ABSENT, 99999);
	mine(&claim, 100, 220, 2, 99999);
	expect(&claim, CLAIM_SETTLED, 0);
	expect_record(1, 3, 50, 0);
	cr_assert_eq(paying_view(&p, &claim).record.rev, rev);
}

Test(ledger, an_old_payment_is_settled_at_once)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	mine(&claim, 100, 201, 1, 900);
	expect(&claim, CLAIM_SETTLED, 0);
	expect_record(1, 1, 0, 0);
}

Test(ledger, filing_again_finds_the_same_claim)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task first, again;
	struct ledger_stats stats;

	cr_assert_eq(paying_file(&p, &claim, &first), 0);
	paying_reopen(&p);
	cr_assert_eq(paying_file(&p, &claim, &again), 0);
	cr_assert(!again.is_new);
	cr_assert_arr_eq(first.claim_id, again.claim_id, CLAIM_ID_SIZE);
	mine(&claim, 100, 201, 1, 206);
	cr_assert_eq(paying_file(&p, &claim, &again), 0);
	cr_assert_eq(again.record.state, CLAIM_ACTIVE);
	ledger_read_stats(p.ledger, &stats);
	cr_assert_eq(stats.claims_all, 1);
	cr_assert_eq(stats.entries, 1);
}

/* §7; §21, 35: the key of a claim can be guessed, its id cannot. */
Test(ledger, the_same_claim_has_another_id_elsewhere)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task first, again;
	uint8_t key[CLAIM_KEY_SIZE];

	claim_key(&claim, key);
	cr_assert_eq(paying_file(&p, &claim, &first), 0);
	cr_assert_eq(paying_end(&p), 0);
	paying_begin(&p);
	cr_assert_eq(paying_file(&p, &claim, &again), 0);
	cr_assert_arr_neq(first.claim_id, again.claim_id, CLAIM_ID_SIZE);
	/* Nor is it counted up, or a part of what is public. */
	cr_assert_neq(memcmp(first.claim_id, again.claim_id, 8), 0);
	cr_assert_neq(memcmp(first.claim_id + 8, again.claim_id + 8, 8), 0);
	cr_assert_null(memmem(key, sizeof(key), again.claim_id, 8));
}

/* §18.3: nobody makes a table of all addresses that serves for every server.
 */
Test(ledger, a_source_has_another_tag_elsewhere)
{
	const uint8_t address[4] = {127, 0, 0, 1};
	uint64_t tag = ledger_source_tag(p.ledger, address, sizeof(address));

	paying_reopen(&p);
	cr_assert_eq(ledger_source_tag(p.ledger, address, sizeof(address)),
		     tag);
	cr_assert_eq(paying_end(&p), 0);
	paying_begin(&p);
	cr_assert_neq(ledger_source_tag(p.ledger, address, sizeof(address)),
		      tag);
}

Test(ledger, a_finding_of_an_older_revision_is_dropped)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct finding f;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 100, 201, 1, 206);
	lose(&claim, FINDING_ABSENT, 200);
	cr_assert_eq(paying_find(&p, &f), ERR_CONFLICT);
	expect(&claim, CLAIM_PENDING, 0);
}

Test(ledger, one_payment_is_credited_to_one_node)
{
	struct claim one = paying_claim(&p, 1, 1);
	struct claim two = paying_claim(&p, 2, 1);
	struct ledger_task task;

	cr_assert_eq(paying_file(&p, &one, &task), 0);
	cr_assert_eq(paying_file(&p, &two, &task), 0);
	mine(&two, 100, 201, 1, 206);
	mine(&one, 100, 201, 1, 206);
	expect(&two, CLAIM_ACTIVE, 0);
	expect(&one, CLAIM_REJECTED, CLAIM_ALREADY_CREDITED);
	expect_record(1, 0, 0, 0);
	/* A third is told so before anything is stored. */
	one = paying_claim(&p, 3, 1);
	cr_assert_eq(paying_file(&p, &one, &task), ERR_EXISTS);
}

Test(ledger, two_claims_at_once_a_thousand_times)
{
	struct finding found[2];
	struct ledger_task task;

	for (unsigned i = 1; i <= 1000; i++) {
		struct claim one = paying_claim(&p, 1 + i % 3, i);
		struct claim two = paying_claim(&p, 10 + i % 5, i);
		struct ledger_task batch = {
			.op = LEDGER_BATCH,
			.findings = found,
			.findings_count = 2,
		};
		unsigned active;

		cr_assert_eq(paying_file(&p, &one, &task), 0);
		cr_assert_eq(paying_file(&p, &two, &task), 0);
		found[i & 1] = paying_mined(&p, &one, 1, 201, 1, 206);
		found[!(i & 1)] = paying_mined(&p, &two, 1, 201, 1, 206);
		cr_assert_eq(ledger_run(p.ledger, &batch), 0);
		active = (paying_view(&p, &one).record.state == CLAIM_ACTIVE) +
			 (paying_view(&p, &two).record.state == CLAIM_ACTIVE);
		cr_assert_eq(active, 1, "round %u", i);
	}
}

Test(ledger, bad_facts_reject_when_confirmed_and_not_before)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct finding f;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 0, 201, 1, 205);
	f.fault = CLAIM_TX_FAILED;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_CONFIRMING, 0);
	/* In the block that replaces it the transaction succeeds. */
	mine(&claim, 100, 202, 2, 207);
	expect(&claim, CLAIM_ACTIVE, 0);

	claim = paying_claim(&p, 2, 2);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 0, 201, 1, 206);
	f.fault = CLAIM_NO_TRANSFER;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_NO_TRANSFER);
	/* Not one of the reasons that are reopened. */
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_NO_TRANSFER);
}

Test(ledger, what_was_not_found_is_reopened_by_filing_it_again)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task first, again;

	cr_assert_eq(paying_file(&p, &claim, &first), 0);
	lose(&claim, FINDING_ABSENT, 200);
	paying_pass(&p, 86400);
	lose(&claim, FINDING_ABSENT, 200);
	expect(&claim, CLAIM_REJECTED, CLAIM_NOT_FOUND);
	cr_assert_eq(paying_file(&p, &claim, &again), 0);
	cr_assert_arr_eq(first.claim_id, again.claim_id, CLAIM_ID_SIZE);
	expect(&claim, CLAIM_RECEIVED, 0);
	lose(&claim, FINDING_REPLACED, 200);
	expect(&claim, CLAIM_REJECTED, CLAIM_REPLACED);
	cr_assert_eq(paying_file(&p, &claim, &again), 0);
	mine(&claim, 100, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
}

Test(ledger, a_vanished_payment_keeps_its_service_for_the_grace)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct entitlement ent;

	paying_pay(&p, &claim, 300, 201);
	/* A head below its block proves nothing (§15.2). */
	lose(&claim, FINDING_ABSENT, 200);
	expect(&claim, CLAIM_ACTIVE, 0);
	lose(&claim, FINDING_ABSENT, 207);
	expect(&claim, CLAIM_REORGED, 0);
	ent = paying_record(&p, 1);
	cr_assert_eq(ent.reorg_deadline_s, PAYING_START_S + 3600);
	cr_assert(ent.flags & ENTITLEMENT_REORG_GRACE);
	expect_record(1, 3, 0, 1);
	/* Mined again in time: as if nothing had been. */
	paying_pass(&p, 3599);
	mine(&claim, 300, 205, 2, 210);
	expect(&claim, CLAIM_ACTIVE, 0);
	ent = paying_record(&p, 1);
	cr_assert_eq(ent.reorg_deadline_s, 0);
	cr_assert(!(ent.flags & ENTITLEMENT_REORG_GRACE));
	expect_record(1, 3, 0, 1);
	mine(&claim, 300, 205, 2, 216);
	expect(&claim, CLAIM_SETTLED, 0);
}

Test(ledger, a_revoked_payment_takes_only_what_it_gave)
{
	struct claim gone = paying_claim(&p, 1, 1);
	struct claim kept = paying_claim(&p, 1, 2);

	paying_pay(&p, &gone, 350, 201);
	paying_pay(&p, &kept, 250, 202);
	expect_record(1, 6, 0, 2);
	lose(&gone, FINDING_ABSENT, 210);
	paying_pass(&p, 3600);
	lose(&gone, FINDING_ABSENT, 220);
	expect(&gone, CLAIM_REORGED, CLAIM_NOT_FOUND);
	expect_record(1, 2, 50, 1);
	cr_assert(!paying_view(&p, &gone).is_credited);
	/* Mined again later: a new entry, at a new time. */
	mine(&gone, 350, 230, 3, 232);
	expect(&gone, CLAIM_CONFIRMING, 0);
	mine(&gone, 350, 230, 3, 235);
	expect(&gone, CLAIM_ACTIVE, 0);
	expect_record(1, 6, 0, 2);
	cr_assert_eq(paying_view(&p, &gone).seq, 3);
}

Test(ledger, a_double_spend_is_revoked_at_once)
{
	struct claim claim = paying_claim(&p, 1, 1);

	paying_pay(&p, &claim, 100, 201);
	lose(&claim, FINDING_REPLACED, 230);
	expect(&claim, CLAIM_REORGED, CLAIM_REPLACED);
	expect_record(1, 0, 0, 0);
	/* Watched for seven days, then it may be filed again. */
	paying_pass(&p, 7 * 86400);
	lose(&claim, FINDING_ABSENT, 99999);
	expect(&claim, CLAIM_REJECTED, CLAIM_REPLACED);
}

Test(ledger, a_void_payment_can_be_taken_over)
{
	struct claim one = paying_claim(&p, 1, 1);
	struct claim two = paying_claim(&p, 2, 1);

	paying_pay(&p, &one, 100, 201);
	lose(&one, FINDING_REPLACED, 230);
	paying_pay(&p, &two, 100, 240);
	expect(&two, CLAIM_ACTIVE, 0);
	mine(&one, 100, 240, 1, 245);
	expect(&one, CLAIM_REJECTED, CLAIM_ALREADY_CREDITED);
	expect_record(1, 0, 0, 0);
	expect_record(2, 1, 0, 1);
}

Test(ledger, another_value_makes_another_entry)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_stats stats;

	paying_pay(&p, &claim, 300, 201);
	mine(&claim, 120, 203, 2, 204);
	expect(&claim, CLAIM_ACTIVE, 0);
	expect_record(1, 1, 20, 1);
	ledger_read_stats(p.ledger, &stats);
	cr_assert_eq(stats.entries, 2);
	cr_assert_eq(paying_view(&p, &claim).seq, 2);
}

Test(ledger, an_active_payment_that_fails_later_has_no_grace)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct finding f;

	paying_pay(&p, &claim, 100, 201);
	f = paying_mined(&p, &claim, 0, 203, 2, 204);
	f.fault = CLAIM_TX_FAILED;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_ACTIVE, 0);
	f = paying_mined(&p, &claim, 0, 203, 2, 208);
	f.fault = CLAIM_TX_FAILED;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_REORGED, CLAIM_TX_FAILED);
	expect_record(1, 0, 0, 0);
}

Test(ledger, block_time_chooses_the_price)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	uint8_t hash[32];
	struct finding f;

	/* The next offer costs twice as much, from a week on. */
	cr_assert_eq(paying_offer(&p, 2, PAYING_START_S + 7 * 86400,
				  PAYING_START_S + 14 * 86400, 200, hash),
		     0);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 400, 201, 1, 206);
	/* The end of the pay window of the offer it names. */
	f.block_time_s = PAYING_START_S + 8 * 86400;
	cr_assert_eq(paying_find(&p, &f), 0);
	cr_assert_eq(paying_view(&p, &claim).units, 4);

	claim = paying_claim(&p, 2, 2);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 400, 201, 1, 206);
	f.block_time_s = PAYING_START_S + 8 * 86400 + 1;
	cr_assert_eq(paying_find(&p, &f), 0);
	cr_assert_eq(paying_view(&p, &claim).units, 2);

	/* One that was made later is not for what was paid long before. */
	for (unsigned early_s = 900; early_s <= 901; early_s++) {
		claim = paying_claim(&p, early_s, early_s);
		memcpy(claim.offer_hash, hash, 32);
		cr_assert_eq(paying_file(&p, &claim, &task), 0);
		f = paying_mined(&p, &claim, 400, 201, 1, 206);
		f.block_time_s = PAYING_START_S + 7 * 86400 - early_s;
		cr_assert_eq(paying_find(&p, &f), 0);
		cr_assert_eq(paying_view(&p, &claim).units,
			     early_s > 900 ? 4 : 2);
	}

	/* Before any offer was in force there is no price. */
	claim = paying_claim(&p, 3, 3);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 400, 201, 1, 206);
	f.block_time_s = PAYING_START_S - 86400 - 901;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_NO_OPTION);
}

Test(ledger, old_payments_are_refused)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	mine(&claim, 100, 99, 1, 206);
	expect(&claim, CLAIM_REJECTED, CLAIM_TOO_OLD);
}

Test(ledger, amounts_that_overflow_are_refused)
{
	struct claim claim = paying_claim(&p, 1, 2);
	struct ledger_task task;
	struct finding f;

	paying_pay(&p, &claim, 50, 201);
	claim = paying_claim(&p, 1, 1);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 0, 201, 1, 206);
	memset(&f.value, 0xff, sizeof(f.value));
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_AMOUNT_OVERFLOW);
	expect_record(1, 0, 50, 1);
}

static int pay_in(unsigned token, const uint8_t hash[static 32], uint64_t value,
		  struct claim *claim)
{
	struct ledger_task task;
	struct finding f;

	*claim = paying_claim(&p, 1, 1000 + token);
	memset(claim->token, (int)token, ADDRESS_SIZE);
	claim->tx[31] = (uint8_t)value;
	memcpy(claim->offer_hash, hash, 32);
	cr_assert_eq(paying_file(&p, claim, &task), 0);
	f = paying_mined(&p, claim, value, 201, 1, 206);
	return paying_find(&p, &f);
}

/* Tokens 1 to 48, in three offers. */
static void offer_many(uint8_t hash[static 3][32])
{
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(paying_offer_of(&p, 2 + i, PAYING_START_S - 100,
					     PAYING_START_S + 86400, 100,
					     1 + 16 * i, 16, hash[i]),
			     0);
}

/* A record has room for credit in 32 tokens. */
Test(ledger, a_token_too_many_is_refused_and_not_lost)
{
	struct ledger_task task = {.op = LEDGER_RECHECK, .text = "room now"};
	uint8_t hash[3][32];
	struct due_claim due[64];
	struct claim_view view;
	struct claim claim, other;

	offer_many(hash);
	for (unsigned i = 0; i < 32; i++)
		cr_assert_eq(pay_in(1 + i, hash[i / 16], 50, &claim), 0);
	cr_assert_eq(paying_record(&p, 1).credits_count, 32);
	/* What leaves no credit has room. */
	cr_assert_eq(pay_in(33, hash[2], 100, &claim), 0);
	expect(&claim, CLAIM_ACTIVE, 0);
	cr_assert_eq(pay_in(34, hash[2], 150, &claim), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_AMOUNT_OVERFLOW);
	/* It is not tried for ever; what was paid is to be seen. */
	cr_assert_eq(ledger_read_due(p.ledger, UINT64_MAX, due, 64), 33);
	view = paying_view(&p, &claim);
	cr_assert_eq(view.record.block, 201);
	cr_assert_not(u256_is_zero(&view.record.value));
	/* One of the others is used up, and the operator has it looked at. */
	cr_assert_eq(pay_in(1, hash[0], 60, &other), 0);
	cr_assert_eq(pay_in(1, hash[0], 90, &other), 0);
	cr_assert_eq(paying_record(&p, 1).credits_count, 31);
	memcpy(task.claim_id, view.record.id, CLAIM_ID_SIZE);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	mine(&claim, 150, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
	cr_assert_eq(paying_record(&p, 1).credits_count, 32);
}

/* What is taken back may leave credit where there was none. */
Test(ledger, a_token_too_many_after_a_loss_holds_nobody_up)
{
	struct ledger_task task;
	struct claim gone, claim, other = paying_claim(&p, 2, 2);
	struct finding found[2];
	uint8_t hash[3][32];

	offer_many(hash);
	for (unsigned i = 0; i < 31; i++)
		cr_assert_eq(pay_in(1 + i, hash[i / 16], 50, &claim), 0);
	cr_assert_eq(pay_in(33, hash[2], 40, &gone), 0);
	cr_assert_eq(pay_in(33, hash[2], 60, &claim), 0);
	cr_assert_eq(pay_in(32, hash[1], 50, &claim), 0);
	cr_assert_eq(paying_record(&p, 1).credits_count, 32);
	lose(&gone, FINDING_ABSENT, 210);
	paying_pass(&p, 3601);
	cr_assert_eq(paying_file(&p, &other, &task), 0);
	found[0] = paying_gone(&p, &gone, FINDING_ABSENT, 220);
	found[1] = paying_mined(&p, &other, 100, 201, 1, 206);
	task = (struct ledger_task){
		.op = LEDGER_BATCH, .findings = found, .findings_count = 2};
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect(&other, CLAIM_ACTIVE, 0);
	cr_assert_eq(ledger_store_err(p.ledger), 0);
	/* It stays as it was, and due. */
	expect(&gone, CLAIM_REORGED, 0);
	cr_assert(paying_view(&p, &gone).is_credited);
}

Test(ledger, capped_credit_is_converted_after_expiry)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task = {.op = LEDGER_CONVERT};
	uint8_t hash[32];

	paying_pay(&p, &claim, 10000, 201);
	expect_record(1, 24, 7600, 1);
	paying_node(1, task.node);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect_record(1, 24, 7600, 1);
	paying_pass(&p, 25ull * MONTH);
	cr_assert_eq(paying_offer(&p, 2, paying_now_s(&p) - 10,
				  paying_now_s(&p) + 86400, 200, hash),
		     0);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	/* 24 units of 200 from now; once. */
	expect_record(1, 25 + 24, 7600 - 4800, 1);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect_record(1, 25 + 24, 7600 - 4800, 1);
}

static void offer_for(uint64_t sequence, struct u256 price, uint32_t min_units)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer = {
		.sequence = sequence,
		.not_before_s = paying_now_s(&p) - 10,
		.not_after_s = paying_now_s(&p) + 86400,
		.options = {paying_option(1, 1)},
		.options_count = 1,
	};

	memcpy(offer.server, p.server.public, SECP_PUBLIC_SIZE);
	offer.options[0].terms.price = price;
	offer.options[0].terms.min_units = min_units;
	cr_assert_eq(
		offer_sign(&offer, &p.server, bytes, &task.offer_size, hash),
		0);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
}

/* Converted for nothing it would be one entry more with every pass. */
Test(ledger, credit_that_buys_nothing_is_left_alone)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task = {.op = LEDGER_CONVERT};
	struct ledger_stats stats;
	struct u256 half = {.limbs = {[7] = 1u << 31}};

	paying_pay(&p, &claim, 99, 201);
	paying_node(1, task.node);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			offer_for(2, u256_from_u64(50), 2);
		if (i == 2) /* twice as much is 0 in 256 bits */
			offer_for(3, half, 2);
		cr_assert_eq(ledger_run(p.ledger, &task), 0);
		ledger_read_stats(p.ledger, &stats);
		cr_assert_eq(stats.entries, 1, "offer %u", i);
	}
	offer_for(4, u256_from_u64(49), 2);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect_record(1, 2, 1, 1);
}

/* Anybody may name anybody's node and, without a signature, payer. */
Test(ledger, nobody_uses_up_the_places_of_others)
{
	struct claim claim;

	p.config.open_per_node = 3;
	p.config.open_per_payer = 2;
	paying_reopen(&p);
	for (unsigned i = 1; i <= 3; i++) {
		claim = paying_claim(&p, 1, i);
		cr_assert_eq(file_from(&claim, 66), 0);
	}
	claim = paying_claim(&p, 1, 4);
	cr_assert_eq(file_from(&claim, 66), ERR_FULL);
	cr_assert_eq(file_from(&claim, 67), 0);
	for (unsigned i = 11; i <= 13; i++) {
		claim = paying_claim(&p, i, i);
		memset(claim.payer, 0x77, ADDRESS_SIZE);
		claim.scheme = CLAIM_CONTRACT;
		cr_assert_eq(file_from(&claim, 66), i < 13 ? 0 : ERR_FULL);
	}
	claim.scheme = CLAIM_SIGNATURE;
	cr_assert_eq(file_from(&claim, 67), 0);
	paying_reopen(&p);
	claim = paying_claim(&p, 14, 14);
	memset(claim.payer, 0x77, ADDRESS_SIZE);
	cr_assert_eq(file_from(&claim, 67), 0);
	claim = paying_claim(&p, 15, 15);
	memset(claim.payer, 0x77, ADDRESS_SIZE);
	cr_assert_eq(file_from(&claim, 67), ERR_FULL);
}

Test(ledger, a_source_has_so_many_open_claims_and_no_more)
{
	struct claim claim;

	ledger_close(p.ledger);
	p.config.open_per_source = 2;
	paying_open(&p);
	for (unsigned i = 1; i <= 3; i++) {
		claim = paying_claim(&p, i, i);
		cr_assert_eq(file_from(&claim, 66), i < 3 ? 0 : ERR_FULL);
	}
	cr_assert_eq(file_from(&claim, 67), 0);
}

/* §7: what was offered too long ago is told apart from what never was. */
Test(ledger, an_offer_can_be_claimed_until_its_window_is_over)
{
	const uint64_t end_s = PAYING_START_S + (7 + 1 + 400) * 86400ull;
	struct claim claim = paying_claim(&p, 1, 1);

	cr_assert_eq(ledger_read_offered(p.ledger, &claim, end_s), OFFERED_YES);
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, end_s + 1),
		     OFFERED_TOO_OLD);
	claim.token[0] = 9;
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, end_s),
		     OFFERED_NO_TOKEN);
}

static uint64_t deny_at(void *ctx)
{
	(void)ctx;
	return PAYING_START_S + 5000;
}

static uint64_t expiry_of(unsigned node, uint64_t block_time_s)
{
	struct claim claim = paying_claim(&p, node, node);
	struct ledger_task task;
	struct finding f;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, PAYING_PRICE, 201, 1, 206);
	f.block_time_s = block_time_s;
	cr_assert_eq(paying_find(&p, &f), 0);
	return paying_record(&p, node).expiry_s;
}

/* §14: what is bought begins by the chain's clock when ours runs ahead. */
Test(ledger, a_credit_begins_by_the_denying_clock_or_with_its_block)
{
	ledger_close(p.ledger);
	p.config.deny_now = deny_at;
	paying_open(&p);
	atomic_store(&p.now_ms, (PAYING_START_S + 400000) * 1000);
	cr_assert_eq(expiry_of(1, PAYING_START_S + 1000),
		     PAYING_START_S + 5000 + PAYING_UNIT_S);
	cr_assert_eq(expiry_of(2, PAYING_START_S + 6000),
		     PAYING_START_S + 6000 + PAYING_UNIT_S);
}

static _Atomic uint64_t told_s;

static uint64_t deny_as_told(void *ctx)
{
	(void)ctx;
	return atomic_load(&told_s);
}

/* §14, §5: nothing is converted before its time by a clock that runs ahead,
 * and what is begins by the chain's. */
Test(ledger, credit_is_converted_by_the_denying_clock)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task = {.op = LEDGER_CONVERT};
	uint8_t hash[32];

	p.config.deny_now = deny_as_told;
	atomic_store(&told_s, PAYING_START_S);
	paying_reopen(&p);
	paying_pay(&p, &claim, 10000, 201);
	expect_record(1, 24, 7600, 1);
	paying_node(1, task.node);
	paying_pass(&p, 30ull * MONTH);
	cr_assert_eq(paying_offer(&p, 2, paying_now_s(&p) - 10,
				  paying_now_s(&p) + 86400, 100, hash),
		     0);
	atomic_store(&told_s, PAYING_START_S + 24ull * MONTH - 1);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect_record(1, 24, 7600, 1);
	atomic_store(&told_s, PAYING_START_S + 25ull * MONTH);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect_record(1, 25 + 24, 7600 - 2400, 1);
}

static void refuse_proof(const struct claim *claim)
{
	struct finding f = paying_mined(&p, claim, 100, 201, 1, 206);

	f.proof_asked = true;
	cr_assert_eq(paying_find(&p, &f), 0);
	expect(claim, CLAIM_REJECTED, CLAIM_BAD_PROOF);
}

/* A stranger files the payment of somebody first, with a proof that is none. */
Test(ledger, a_bad_proof_does_not_stand_in_the_way_of_a_good_one)
{
	static const uint8_t better[65] = {2};
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;

	claim.scheme = CLAIM_CONTRACT;
	cr_assert_eq(file_from(&claim, 66), 0);
	refuse_proof(&claim);
	/* The same again is the same. */
	cr_assert_eq(file_from(&claim, 66), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_BAD_PROOF);
	claim.proof = better;
	cr_assert_eq(file_from(&claim, 67), 0);
	expect(&claim, CLAIM_RECEIVED, 0);
	cr_assert_eq(paying_view(&p, &claim).proof[0], 2);
	refuse_proof(&claim);
	claim.scheme = CLAIM_SIGNATURE;
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	cr_assert(!task.is_new);
	mine(&claim, 100, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
	expect_record(1, 1, 0, 1);
}

Test(ledger, a_signature_is_not_given_up_for_an_unproved_claim)
{
	struct claim claim = paying_claim(&p, 1, 1);

	cr_assert_eq(file_from(&claim, 67), 0);
	lose(&claim, FINDING_REPLACED, 200);
	expect(&claim, CLAIM_REJECTED, CLAIM_REPLACED);
	claim.scheme = CLAIM_CONTRACT;
	cr_assert_eq(file_from(&claim, 66), 0);
	expect(&claim, CLAIM_RECEIVED, 0);
	mine(&claim, 100, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
}

Test(ledger, a_signature_takes_an_unproved_claim_over)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct finding late;

	p.config.open_per_payer = 1;
	paying_reopen(&p);
	claim.scheme = CLAIM_CONTRACT;
	cr_assert_eq(file_from(&claim, 66), 0);
	late = paying_mined(&p, &claim, 100, 201, 1, 206);
	late.proof_asked = true;
	claim.scheme = CLAIM_SIGNATURE;
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	/* What was found out about the other proof no longer matters. */
	cr_assert_eq(paying_find(&p, &late), ERR_CONFLICT);
	/* The other way round nothing is taken over. */
	claim.scheme = CLAIM_CONTRACT;
	cr_assert_eq(file_from(&claim, 66), 0);
	cr_assert_eq(paying_view(&p, &claim).record.claim.scheme,
		     CLAIM_SIGNATURE);
	mine(&claim, 100, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
	/* Every place that was taken is free again. */
	mine(&claim, 100, 201, 1, 900);
	claim = paying_claim(&p, 2, 1);
	claim.tx[9] = 1;
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	paying_reopen(&p);
	claim.scheme = CLAIM_CONTRACT;
	claim.tx[9] = 2;
	cr_assert_eq(file_from(&claim, 66), 0);
}
