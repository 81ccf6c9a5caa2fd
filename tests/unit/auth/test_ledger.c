#include "auth/ledger.h"

#include <criterion/criterion.h>
#include <unistd.h>

#include "auth/gate.h"
#include "auth/ledger_private.h"
#include "tests/support/paying.h"

#define MONTH PAYING_UNIT_S

static struct paying p;

static void begin(void)
{
	paying_begin(&p);
}

/* Every test ends with the invariants. */
static void end(void)
{
	cr_assert_eq(paying_end(&p), 0);
}

TestSuite(ledger, .init = begin, .fini = end);

static void expect(const struct claim *claim, enum claim_state state,
		   enum claim_reason reason)
{
	struct claim_view view = paying_view(&p, claim);

	cr_assert_str_eq(claim_state_str(view.record.state),
			 claim_state_str(state));
	cr_assert_str_eq(claim_reason_str(view.record.reason),
			 claim_reason_str(reason));
}

static void mine(const struct claim *claim, uint64_t value, uint64_t block,
		 uint8_t fork, uint64_t head)
{
	struct finding f = paying_mined(&p, claim, value, block, fork, head);

	cr_assert_eq(paying_find(&p, &f), 0);
}

static void lose(const struct claim *claim, enum finding_kind kind,
		 uint64_t head)
{
	struct finding f = paying_gone(&p, claim, kind, head);

	cr_assert_eq(paying_find(&p, &f), 0);
}

static void expect_record(unsigned node, uint64_t months, uint64_t credit,
			  uint32_t unsettled)
{
	struct entitlement ent = paying_record(&p, node);
	uint64_t left = 0;

	cr_assert_eq(ent.expiry_s,
		     months ? PAYING_START_S + months * MONTH : 0);
	cr_assert_eq(ent.unsettled, unsettled);
	if (ent.credits_count)
		cr_assert_eq(u256_to_u64(&ent.credits[0].amount, &left), 0);
	cr_assert_eq(left, credit);
}

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

static struct ledger_task order(enum ledger_op op, unsigned node,
				uint64_t seconds)
{
	struct ledger_task task = {
		.op = op, .seconds = seconds, .text = "asked by telephone"};

	paying_node(node, task.node);
	return task;
}

Test(ledger, the_operators_orders_are_entries_with_a_reason)
{
	struct ledger_task grant = order(LEDGER_GRANT, 1, MONTH);
	struct ledger_task suspend = order(LEDGER_SUSPEND, 1, 0);
	struct ledger_task resume = order(LEDGER_RESUME, 1, 0);
	struct ledger_task revoke = order(LEDGER_REVOKE, 1, 0);
	struct ledger_event events[8];
	struct claim claim = paying_claim(&p, 1, 1);

	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	expect_record(1, 2, 0, 0);
	paying_pay(&p, &claim, 100, 201);
	expect_record(1, 3, 0, 1);
	cr_assert_eq(ledger_run(p.ledger, &suspend), 0);
	cr_assert(paying_record(&p, 1).flags & ENTITLEMENT_SUSPENDED);
	cr_assert_eq(ledger_run(p.ledger, &suspend), ERR_EXISTS);
	cr_assert_eq(ledger_run(p.ledger, &resume), 0);
	cr_assert_eq(ledger_run(p.ledger, &revoke), 0);
	expect_record(1, 1, 0, 1);
	cr_assert_eq(paying_record(&p, 1).flags, ENTITLEMENT_UNSETTLED);
	cr_assert_eq(ledger_run(p.ledger, &revoke), ERR_NOTFOUND);
	/* What was paid for is not the operator's to take. */
	revoke.seq = 3;
	cr_assert_eq(ledger_run(p.ledger, &revoke), ERR_DENIED);
	grant.seconds = 0;
	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	cr_assert(paying_record(&p, 1).flags & ENTITLEMENT_NO_END);
	cr_assert_eq(ledger_read_events(p.ledger, 0, events, 8), 7);
	cr_assert_eq(events[0].kind, 100 + LEDGER_GRANT);
	cr_assert_str_eq(events[0].text, "asked by telephone");
	cr_assert_eq(events[2].kind, 3);
	cr_assert_eq(ledger_read_events(p.ledger, 5, events, 8), 2);
	cr_assert_eq(events[0].index, 6);
}

static bool keep_last(void *ctx, const struct ledger_event *event)
{
	struct ledger_event *last = ctx;

	last->units++; /* as a count */
	last->kind = event->kind;
	last->block = event->block;
	(void)snprintf(last->text, sizeof(last->text), "%s", event->text);
	return true;
}

Test(ledger, orders_are_found_again_after_a_restart)
{
	struct ledger_task grant = order(LEDGER_GRANT, 1, MONTH);
	struct ledger_task mode = {.op = LEDGER_MODE,
				   .mode = ACCESS_PAID,
				   .settings_mode = ACCESS_FREE,
				   .text = "opening day"};
	struct ledger_event last = {.units = 0};
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_mode stored;

	cr_assert_eq(ledger_read_mode(p.ledger, &stored), ERR_NOTFOUND);
	paying_pay(&p, &claim, 100, 201);
	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	cr_assert_eq(ledger_each_order(p.ledger, keep_last, &last), 0);
	cr_assert_eq(last.units, 1);
	cr_assert_eq(last.kind, LEDGER_KIND_ORDER + LEDGER_GRANT);
	cr_assert_eq(last.block, 2, "its place in the node's ledger");
	cr_assert_eq(ledger_run(p.ledger, &mode), 0);
	paying_reopen(&p);
	last.units = 0;
	cr_assert_eq(ledger_each_order(p.ledger, keep_last, &last), 0);
	cr_assert_eq(last.units, 2);
	cr_assert_str_eq(last.text, "opening day");
	cr_assert_eq(ledger_read_mode(p.ledger, &stored), 0);
	cr_assert_eq(stored.mode, ACCESS_PAID);
	cr_assert_eq(stored.settings_mode, ACCESS_FREE);
	cr_assert_str_eq(stored.reason, "opening day");
	/* As the settings have it: nothing that would have to hold. */
	mode.mode = ACCESS_FREE;
	cr_assert_eq(ledger_run(p.ledger, &mode), 0);
	cr_assert_eq(ledger_read_mode(p.ledger, &stored), ERR_NOTFOUND);
}

Test(ledger, an_alarm_stands_until_it_is_acknowledged)
{
	struct ledger_task alarm = {
		.op = LEDGER_ALARM, .chain_id = 1, .block = 80, .hash = {7}};
	struct ledger_task seen = {
		.op = LEDGER_ACKNOWLEDGE, .chain_id = 1, .text = "seen"};
	uint64_t first_s = paying_now_s(&p);
	struct ledger_alarm read;

	cr_assert_eq(ledger_run(p.ledger, &seen), ERR_NOTFOUND);
	cr_assert_eq(ledger_run(p.ledger, &alarm), 0);
	atomic_fetch_add(&p.now_ms, 60000);
	alarm.block = 90;
	cr_assert_eq(ledger_run(p.ledger, &alarm), 0);
	paying_reopen(&p);
	cr_assert_eq(ledger_read_alarm(p.ledger, 1, &read), 0);
	cr_assert_eq(read.block, 90);
	cr_assert_eq(read.at_s, first_s);
	cr_assert_eq(read.hash[0], 7);
	seen.chain_id = 2;
	cr_assert_eq(ledger_run(p.ledger, &seen), ERR_NOTFOUND);
	seen.chain_id = 1;
	cr_assert_eq(ledger_run(p.ledger, &seen), 0);
	cr_assert_eq(ledger_read_alarm(p.ledger, 1, &read), ERR_NOTFOUND);
}

Test(ledger, claims_are_cancelled_and_rechecked_by_hand)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct due_claim due[2];

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	mine(&claim, 100, 201, 1, 203);
	cr_assert_eq(ledger_read_due(p.ledger, paying_now_s(&p) * 1000, due, 2),
		     0);
	task.op = LEDGER_RECHECK;
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	cr_assert_eq(ledger_read_due(p.ledger, paying_now_s(&p) * 1000, due, 2),
		     1);
	task.op = LEDGER_CANCEL;
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	expect(&claim, CLAIM_REJECTED, CLAIM_CANCELLED);
	cr_assert_eq(ledger_run(p.ledger, &task), ERR_DENIED);
	task.op = LEDGER_RECHECK;
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	mine(&claim, 100, 201, 1, 206);
	task.op = LEDGER_CANCEL;
	cr_assert_eq(ledger_run(p.ledger, &task), ERR_DENIED);
	expect(&claim, CLAIM_ACTIVE, 0);
}

Test(ledger, open_claims_are_bounded_and_counted_anew_at_start)
{
	struct ledger_task task;
	struct claim claim;

	p.config.open_per_node = 3;
	p.config.open_per_source = 5;
	paying_reopen(&p);
	for (unsigned i = 1; i <= 3; i++) {
		claim = paying_claim(&p, 1, i);
		cr_assert_eq(paying_file(&p, &claim, &task), 0);
	}
	claim = paying_claim(&p, 1, 4);
	cr_assert_eq(paying_file(&p, &claim, &task), ERR_FULL);
	paying_reopen(&p);
	cr_assert_eq(paying_file(&p, &claim, &task), ERR_FULL);
	for (unsigned i = 5; i <= 6; i++) {
		claim = paying_claim(&p, i, i);
		cr_assert_eq(paying_file(&p, &claim, &task), 0);
	}
	claim = paying_claim(&p, 7, 7);
	cr_assert_eq(paying_file(&p, &claim, &task), ERR_FULL);
	/* A claim that ends makes room. */
	claim = paying_claim(&p, 1, 1);
	mine(&claim, 100, 201, 1, 900);
	claim = paying_claim(&p, 7, 7);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
}

/* §14: what was to be looked at in the clock's old time is now. */
Test(ledger, a_clock_that_is_set_back_holds_nobody_up)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	uint64_t now_ms = (PAYING_START_S - 7200) * 1000;

	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	lose(&claim, FINDING_ABSENT, 200);
	(void)usleep(700000);
	cr_assert_gt(paying_view(&p, &claim).record.due_ms,
		     PAYING_START_S * 1000);
	atomic_store(&p.now_ms, now_ms);
	for (int i = 0; i < 300; i++) {
		if (paying_view(&p, &claim).record.due_ms == now_ms)
			break;
		(void)usleep(10000);
	}
	cr_assert_eq(paying_view(&p, &claim).record.due_ms, now_ms);
	mine(&claim, 100, 201, 1, 206);
	expect(&claim, CLAIM_ACTIVE, 0);
}

static int file_from(const struct claim *claim, uint64_t source)
{
	struct ledger_task task = {
		.op = LEDGER_ACCEPT, .claim = claim, .source_tag = source};

	return ledger_run(p.ledger, &task);
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

/* Take the due row of a claim away, as a damaged file might, or put it back. */
static void set_due_row(const struct claim *claim, bool is_there)
{
	uint8_t key[CLAIM_KEY_SIZE], row[DUE_KEY_SIZE];
	uint64_t due_ms = paying_view(&p, claim).record.due_ms;
	struct ledger_db db;
	struct ledger_tx tx;
	char why[256];

	claim_key(claim, key);
	due_key(due_ms, key, row);
	ledger_close(p.ledger);
	cr_assert_eq(ledger_db_open(&db, p.dir, p.config.map_bytes, false, why,
				    sizeof(why)),
		     0);
	cr_assert_eq(ledger_tx_begin(&tx, &db, false), 0);
	if (is_there)
		ledger_tx_add(&tx, TABLE_DUE, row, sizeof(row), "", 0);
	else
		ledger_tx_del(&tx, TABLE_DUE, row, sizeof(row));
	cr_assert_eq(ledger_tx_commit(&tx), 0);
	ledger_db_close(&db);
	paying_open(&p);
}

Test(ledger, a_result_that_cannot_be_stored_is_taken_out_of_its_group)
{
	struct claim claims[3];
	struct finding found[3];
	struct ledger_task task;
	struct ledger_task batch = {
		.op = LEDGER_BATCH, .findings = found, .findings_count = 3};

	for (unsigned i = 0; i < 3; i++) {
		claims[i] = paying_claim(&p, 1 + i, 1 + i);
		cr_assert_eq(paying_file(&p, &claims[i], &task), 0);
	}
	set_due_row(&claims[1], false);
	for (unsigned i = 0; i < 3; i++)
		found[i] = paying_mined(&p, &claims[i], 100, 201, 1, 206);
	cr_assert_eq(ledger_run(p.ledger, &batch), 0);
	expect(&claims[0], CLAIM_ACTIVE, 0);
	expect(&claims[1], CLAIM_RECEIVED, 0);
	expect(&claims[2], CLAIM_ACTIVE, 0);
	expect_record(1, 1, 0, 1);
	expect_record(2, 0, 0, 0);
	expect_record(3, 1, 0, 1);
	/* Alone it is told why. */
	cr_assert_eq(paying_find(&p, &found[1]), ERR_CORRUPT);
	set_due_row(&claims[1], true);
	cr_assert_eq(paying_find(&p, &found[1]), 0);
	expect(&claims[1], CLAIM_ACTIVE, 0);
}

Test(ledger, one_process_at_a_time)
{
	struct ledger *other = NULL;
	char why[256];

	cr_assert_eq(ledger_open(&p.config, &other, why, sizeof(why)),
		     ERR_EXISTS);
	cr_assert_null(other);
	cr_assert_eq(ledger_fsck(p.dir, NULL), ERR_EXISTS);
}

Test(ledger, a_chain_keeps_its_genesis)
{
	struct ledger_task task = {.op = LEDGER_CHAIN, .chain_id = 1};

	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	task.hash[0] = 1;
	cr_assert_eq(ledger_run(p.ledger, &task), ERR_CONFLICT);
}

Test(ledger, offers_rise_and_are_those_of_the_time)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	struct claim claim = paying_claim(&p, 1, 1);
	size_t len;

	cr_assert_eq(paying_offer(&p, 1, 1, 2, 100, hash), ERR_CONFLICT);
	cr_assert_eq(ledger_read_offer(p.ledger, 5, bytes, &len), ERR_NOTFOUND);
	paying_reopen(&p);
	cr_assert_eq(ledger_read_offer(p.ledger, PAYING_START_S, bytes, &len),
		     0);
	cr_assert_eq(ledger_read_sequence(p.ledger), 1);
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, PAYING_START_S),
		     OFFERED_YES);
	claim.payee[0] = 1;
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, PAYING_START_S),
		     OFFERED_NO_PAYEE);
	claim.token[0] = 9;
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, PAYING_START_S),
		     OFFERED_NO_TOKEN);
	claim.chain_id = 9;
	cr_assert_eq(ledger_read_offered(p.ledger, &claim, PAYING_START_S),
		     OFFERED_NO_CHAIN);
}

Test(ledger, heights_hold_what_the_follower_looks_after)
{
	struct claim one = paying_claim(&p, 1, 1);
	struct claim two = paying_claim(&p, 1, 2);
	struct ledger_task task;
	struct height_claim heights[4];

	paying_pay(&p, &one, 100, 201);
	cr_assert_eq(paying_file(&p, &two, &task), 0);
	mine(&two, 100, 205, 1, 206);
	cr_assert_eq(ledger_read_heights(p.ledger, 1, 0, 999, heights, 4), 2);
	cr_assert_eq(heights[1].block, 205);
	cr_assert_eq(ledger_read_heights(p.ledger, 1, 202, 205, heights, 4), 1);
	cr_assert_eq(ledger_read_heights(p.ledger, 2, 0, 999, heights, 4), 0);
	lose(&two, FINDING_ABSENT, 206);
	cr_assert_eq(ledger_read_heights(p.ledger, 1, 0, 999, heights, 4), 1);
}

Test(ledger, a_due_time_far_ahead_is_pulled_in_at_start)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct due_claim due[1];

	paying_pass(&p, 365 * 86400);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	atomic_store(&p.now_ms, PAYING_START_S * 1000);
	cr_assert_eq(ledger_read_due(p.ledger, p.now_ms, due, 1), 0);
	paying_reopen(&p);
	cr_assert_eq(ledger_read_due(p.ledger, p.now_ms, due, 1), 1);
}

static void count_claims(uint64_t want)
{
	struct ledger_stats stats;

	for (int i = 0; i < 500; i++) {
		ledger_read_stats(p.ledger, &stats);
		if (stats.claims_all == want)
			return;
		(void)usleep(10000);
	}
	cr_assert_fail("%llu claims", (unsigned long long)stats.claims_all);
}

Test(ledger, rejected_claims_and_old_proofs_go_after_a_month)
{
	struct claim settled = paying_claim(&p, 1, 1);
	struct claim rejected = paying_claim(&p, 2, 2);
	struct ledger_task task;

	cr_assert_eq(paying_file(&p, &settled, &task), 0);
	mine(&settled, 100, 201, 1, 900);
	cr_assert_eq(paying_file(&p, &rejected, &task), 0);
	lose(&rejected, FINDING_REPLACED, 900);
	paying_reopen(&p);
	count_claims(2);
	paying_pass(&p, 30 * 86400);
	paying_reopen(&p);
	count_claims(1);
	cr_assert_eq(paying_view(&p, &settled).record.claim.proof_size, 0);
	expect_record(1, 1, 0, 0);
}

static size_t count_rows(enum ledger_table table)
{
	struct ledger_tx tx;
	size_t count;

	cr_assert_eq(ledger_tx_begin(&tx, &p.ledger->db, true), 0);
	count = ledger_tx_count(&tx, table);
	ledger_tx_abort(&tx);
	return count;
}

/* The offer of the suite is number 1; each is of another day. */
static void publish(uint64_t first, uint64_t last)
{
	uint8_t hash[32];

	for (uint64_t i = first; i <= last; i++)
		cr_assert_eq(paying_offer(&p, i, PAYING_START_S + i * 86400,
					  PAYING_START_S + (i + 7) * 86400,
					  PAYING_PRICE, hash),
			     0);
}

static void publish_now(uint64_t sequence)
{
	uint64_t now_s = paying_now_s(&p);
	uint8_t hash[32];

	cr_assert_eq(paying_offer(&p, sequence, now_s, now_s + 7 * 86400,
				  PAYING_PRICE, hash),
		     0);
}

/* §14: a wrong clock never destroys anything. */
Test(ledger, a_clock_that_runs_ahead_takes_no_offer_away)
{
	publish(2, 5);
	paying_pass(&p, 10000ull * 86400);
	paying_reopen(&p);
	cr_assert_eq(count_rows(TABLE_OFFERS), 5);
}

Test(ledger, offers_of_no_use_go_when_nobody_can_claim_for_them)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct offer offer;
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	paying_pay(&p, &claim, 100, 201); /* by number 1 */
	publish(2, 5);
	/* To the last day that a claim may come, and the margin. */
	paying_pass(&p, (7 + 2 + 1 + 400 + 60) * 86400);
	publish_now(6);
	paying_reopen(&p);
	cr_assert_eq(count_rows(TABLE_OFFERS), 6);
	/* One more, and number 2 has run out; number 1 is in the books. */
	paying_pass(&p, 86400);
	paying_reopen(&p);
	cr_assert_eq(count_rows(TABLE_OFFERS), 5);
	cr_assert_eq(count_rows(TABLE_OFFER_IDS), 5);
	/* All of them have, but a sequence never comes twice. */
	paying_pass(&p, 1000ull * 86400);
	publish_now(7);
	paying_reopen(&p);
	cr_assert_eq(count_rows(TABLE_OFFERS), 2);
	cr_assert_eq(ledger_read_sequence(p.ledger), 7);
	cr_assert_eq(ledger_read_offer_hash(p.ledger, UINT64_MAX, bytes, &len,
					    &offer, hash),
		     0);
	cr_assert_eq(offer.sequence, 7);
	cr_assert_eq(ledger_read_offer_hash(p.ledger, PAYING_START_S, bytes,
					    &len, &offer, hash),
		     0);
	cr_assert_eq(offer.sequence, 1);
}

Test(ledger, many_offers_are_held_and_found)
{
	struct offer offer;
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	publish(2, 200);
	for (int i = 0; i < 2; i++) {
		for (uint64_t n = 2; n <= 200; n += 33) {
			cr_assert_eq(ledger_read_offer_hash(
					     p.ledger,
					     PAYING_START_S + n * 86400, bytes,
					     &len, &offer, hash),
				     0);
			cr_assert_eq(offer.sequence, n);
		}
		paying_reopen(&p);
	}
}

static size_t wait_events(size_t wanted)
{
	size_t count = count_rows(TABLE_EVENTS);

	for (int i = 0; i < 500 && count != wanted; i++) {
		(void)usleep(10000);
		count = count_rows(TABLE_EVENTS);
	}
	return count;
}

Test(ledger, events_go_after_long_but_those_of_orders_stay)
{
	struct ledger_task grant = order(LEDGER_GRANT, 400, MONTH);
	struct ledger_event last = {.units = 0};
	struct ledger_event events[4];
	struct claim claim;
	uint64_t next;

	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	for (unsigned i = 1; i <= 300; i++) {
		claim = paying_claim(&p, i, (uint8_t)i);
		claim.tx[31] = (uint8_t)(i >> 8);
		paying_pay(&p, &claim, 100, 201);
	}
	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	claim = paying_claim(&p, 301, 1);
	claim.tx[31] = 77;
	paying_pay(&p, &claim, 100, 201);
	cr_assert_eq(count_rows(TABLE_EVENTS), 303);
	paying_pass(&p, 459 * 86400);
	paying_reopen(&p);
	cr_assert_eq(wait_events(303), 303);
	paying_pass(&p, 2 * 86400);
	paying_reopen(&p);
	/* Two orders, and the newest, from which indexes go on. */
	cr_assert_eq(wait_events(3), 3);
	cr_assert_eq(ledger_read_events(p.ledger, 0, events, 4), 3);
	cr_assert_eq(events[0].index, 1);
	cr_assert_eq(events[1].index, 302);
	next = events[2].index + 1;
	cr_assert_eq(ledger_each_order(p.ledger, keep_last, &last), 0);
	cr_assert_eq(last.units, 2);
	cr_assert_eq(ledger_run(p.ledger, &grant), 0);
	cr_assert_eq(ledger_read_events(p.ledger, next - 1, events, 4), 1);
	cr_assert_eq(events[0].index, next);
}

Test(ledger, a_full_map_fails_whole_and_loses_nothing)
{
	struct ledger_task task;
	struct claim claim;
	unsigned stored = 0;
	int err = 0;

	ledger_close(p.ledger);
	p.config.map_bytes = 256 << 10;
	paying_open(&p);
	while (!err && stored < 5000) {
		claim = paying_claim(&p, 1, stored + 1);
		err = paying_file(&p, &claim, &task);
		stored += !err;
	}
	cr_assert_eq(err, ERR_FULL);
	cr_assert_gt(stored, 10);
	/* With more room the same claim is taken, and those before are there.
	 */
	ledger_close(p.ledger);
	p.config.map_bytes = (size_t)64 << 20;
	paying_open(&p);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	for (unsigned i = 1; i <= stored; i++) {
		claim = paying_claim(&p, 1, i);
		expect(&claim, CLAIM_RECEIVED, 0);
	}
}

/* ---- random histories ---- */

struct chance {
	uint64_t state;
};

static uint32_t roll(struct chance *chance, uint32_t sides)
{
	chance->state =
		chance->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(chance->state >> 33) % sides;
}

static void random_step(struct chance *chance, uint64_t *head)
{
	struct claim claim =
		paying_claim(&p, roll(chance, 3), 1 + roll(chance, 40));
	uint8_t key[CLAIM_KEY_SIZE];
	struct ledger_task task;
	struct claim_view view;
	struct finding f;
	uint64_t block = *head - roll(chance, 16);

	claim.token[0] = (uint8_t)(1 + roll(chance, 2));
	claim_key(&claim, key);
	*head += roll(chance, 2);
	paying_pass(&p, roll(chance, 400));
	if (ledger_read_claim(p.ledger, key, &view) || !roll(chance, 8)) {
		(void)paying_file(&p, &claim, &task);
		return;
	}
	switch (roll(chance, 8)) {
	case 0:
		lose(&claim, FINDING_ABSENT, *head);
		return;
	case 1:
		if (!roll(chance, 4))
			lose(&claim, FINDING_REPLACED, *head);
		return;
	case 2:
		paying_pass(&p, 3600ull * roll(chance, 48));
		return;
	case 3:
		task = order(
			(enum ledger_op)(LEDGER_CONVERT + 3 * roll(chance, 2)),
			roll(chance, 3), 1 + roll(chance, 1000000));
		(void)ledger_run(p.ledger, &task);
		return;
	case 4:
		task = order((enum ledger_op)(LEDGER_SUSPEND + roll(chance, 3)),
			     roll(chance, 3), 0);
		(void)ledger_run(p.ledger, &task);
		return;
	default:
		f = paying_mined(&p, &claim, roll(chance, 6) ? 70 : 1500, block,
				 (uint8_t)block, *head);
		if (!roll(chance, 10))
			f.fault = CLAIM_TX_FAILED;
		if (view.record.block && roll(chance, 4))
			f.block = view.record.block;
		cr_assert_eq(paying_find(&p, &f), 0);
		return;
	}
}

/* The record must be the fold after every step; fsck says so at the end and
 * now and then on the way. */
static void random_history(uint64_t seed)
{
	struct chance chance = {seed};
	uint64_t head = 300;

	for (int i = 0; i < 1000; i++) {
		random_step(&chance, &head);
		if (i % 250 == 249) {
			ledger_close(p.ledger);
			cr_assert_eq(ledger_fsck(p.dir, stderr), 0,
				     "seed %llu step %d",
				     (unsigned long long)seed, i);
			paying_open(&p);
		}
	}
}

Test(ledger, random_history_one)
{
	random_history(1);
}

Test(ledger, random_history_two)
{
	random_history(2);
}

Test(ledger, random_history_three)
{
	random_history(3);
}

Test(ledger, random_history_four)
{
	random_history(0x5eed);
}
