/* What the operator orders, and that it is found again. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "auth/gate.h"
#include "tests/unit/auth/ledger_test.h"

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
	struct ledger_block read;

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
	/* What it is now is what it has to stay. */
	cr_assert_eq(ledger_read_final(p.ledger, 1, &read), 0);
	cr_assert_eq(read.block, 90);
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
