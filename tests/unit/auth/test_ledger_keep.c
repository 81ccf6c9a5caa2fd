/* What the ledger holds and for how long: bounds, clocks, restarts, offers, a
 * full map. */
#include <criterion/criterion.h>
#include <semaphore.h>
#include <unistd.h>

#include "auth/gate.h"
#include "tests/unit/auth/ledger_test.h"

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

/* Whoever they are from: what is open is looked at again and again. */
Test(ledger, all_open_claims_together_are_bounded)
{
	struct claim claim;

	p.config.open_max = 3;
	paying_reopen(&p);
	for (unsigned i = 1; i <= 3; i++) {
		claim = paying_claim(&p, i, i);
		cr_assert_eq(file_from(&claim, i), 0);
	}
	claim = paying_claim(&p, 4, 4);
	cr_assert_eq(file_from(&claim, 4), ERR_FULL);
	paying_reopen(&p);
	cr_assert_eq(file_from(&claim, 4), ERR_FULL);
	claim = paying_claim(&p, 1, 1);
	mine(&claim, 100, 201, 1, 900);
	claim = paying_claim(&p, 4, 4);
	cr_assert_eq(file_from(&claim, 4), 0);
	claim = paying_claim(&p, 5, 5);
	cr_assert_eq(file_from(&claim, 5), ERR_FULL);
}

/* Who had given up their places do not get them back over the bound. */
Test(ledger, a_claim_that_is_reopened_needs_a_place)
{
	struct claim gone = paying_claim(&p, 1, 1);
	struct claim claim = paying_claim(&p, 2, 2);

	p.config.open_per_source = 1;
	paying_reopen(&p);
	cr_assert_eq(file_from(&gone, 66), 0);
	lose(&gone, FINDING_REPLACED, 200);
	expect(&gone, CLAIM_REJECTED, CLAIM_REPLACED);
	cr_assert_eq(file_from(&claim, 66), 0);
	cr_assert_eq(file_from(&gone, 66), ERR_FULL);
	expect(&gone, CLAIM_REJECTED, CLAIM_REPLACED);
	/* What is known and stays as it is needs none. */
	cr_assert_eq(file_from(&claim, 66), 0);
	cr_assert_eq(file_from(&gone, 67), 0);
	expect(&gone, CLAIM_RECEIVED, 0);
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

/* What a group that is run again had counted does not count twice. */
Test(ledger, a_group_that_failed_leaves_the_bounds_as_they_were)
{
	struct claim claims[4];
	struct finding found[3];
	struct ledger_task batch = {
		.op = LEDGER_BATCH, .findings = found, .findings_count = 3};

	p.config.open_per_source = 3;
	paying_reopen(&p);
	for (unsigned i = 0; i < 3; i++) {
		claims[i] = paying_claim(&p, 1 + i, 1 + i);
		cr_assert_eq(file_from(&claims[i], 66), 0);
	}
	set_due_row(&claims[1], false);
	for (unsigned i = 0; i < 3; i++)
		found[i] = paying_mined(&p, &claims[i], 100, 201, 1, 900);
	cr_assert_eq(ledger_run(p.ledger, &batch), 0);
	expect(&claims[0], CLAIM_SETTLED, 0);
	expect(&claims[1], CLAIM_RECEIVED, 0);
	expect(&claims[2], CLAIM_SETTLED, 0);
	/* The row that is missing was not counted at this start. */
	for (unsigned i = 4; i <= 7; i++) {
		claims[3] = paying_claim(&p, i, i);
		cr_assert_eq(file_from(&claims[3], 66), i < 7 ? 0 : ERR_FULL);
	}
	set_due_row(&claims[1], true);
}

static void hold(struct ledger_task *task)
{
	sem_t *sems = task->owner;

	(void)sem_post(&sems[0]);
	while (sem_wait(&sems[1]))
		;
}

static void count_answer(struct ledger_task *task)
{
	(void)sem_post(task->owner);
}

/* §16.3: what cannot be taken now is told so, and what was taken is done. */
Test(ledger, what_waits_for_the_ledger_is_bounded)
{
	enum { BATCH = 100, LETTERS = LEDGER_QUEUE_MAX + 50 };
	static const struct finding found[BATCH];
	static struct ledger_task results[20], others[LETTERS];
	struct ledger_task held = {.op = LEDGER_CHAIN, .done = hold};
	sem_t sems[2], answered;
	unsigned posted = 0, count = 0;

	(void)sem_init(&sems[0], 0, 0);
	(void)sem_init(&sems[1], 0, 0);
	(void)sem_init(&answered, 0, 0);
	held.owner = sems;
	cr_assert_eq(ledger_post(p.ledger, &held), 0);
	while (sem_wait(&sems[0]))
		;
	/* Findings: a batch may go over the bound, the next may not. */
	for (; posted < 20; posted++) {
		results[posted] = (struct ledger_task){.op = LEDGER_BATCH,
						       .findings = found,
						       .findings_count = BATCH,
						       .done = count_answer,
						       .owner = &answered};
		if (ledger_post(p.ledger, &results[posted]))
			break;
	}
	/* Letters of any kind: claims among them, which are told to wait. */
	for (; count < LETTERS; count++) {
		others[count] = (struct ledger_task){.op = LEDGER_CHAIN,
						     .done = count_answer,
						     .owner = &answered};
		if (ledger_post(p.ledger, &others[count]))
			break;
	}
	(void)sem_post(&sems[1]);
	for (unsigned i = 0; i < posted + count; i++) {
		while (sem_wait(&answered))
			;
	}
	cr_assert_eq(posted, LEDGER_QUEUE_MAX / BATCH + 1);
	cr_assert_eq(posted + count, LEDGER_QUEUE_MAX);
	cr_assert_eq(ledger_run(p.ledger, &others[0]), 0);
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
	uint64_t due_ms;

	paying_pass(&p, 365 * 86400);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	atomic_store(&p.now_ms, PAYING_START_S * 1000);
	cr_assert_eq(ledger_read_due(p.ledger, p.now_ms, due, 1), 0);
	paying_reopen(&p);
	cr_assert_eq(ledger_read_due(p.ledger, p.now_ms, due, 1), 1);
	/* One that is not is left as it is. */
	lose(&claim, FINDING_ABSENT, 200);
	due_ms = paying_view(&p, &claim).record.due_ms;
	cr_assert_gt(due_ms, p.now_ms);
	paying_reopen(&p);
	cr_assert_eq(paying_view(&p, &claim).record.due_ms, due_ms);
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

/* Housekeeping comes when the ledger has nothing else to do. */
static size_t wait_rows(enum ledger_table table, size_t wanted)
{
	size_t count = count_rows(table);

	for (int i = 0; i < 500 && count != wanted; i++) {
		(void)usleep(10000);
		count = count_rows(table);
	}
	return count;
}

/* As an hour later. */
static void keep_house(void)
{
	paying_reopen(&p);
	/* It has looked: what goes after long is gone. */
	while (p.ledger->kept_ms == 0 || p.ledger->is_keeping)
		(void)usleep(1000);
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
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 5);
}

static uint64_t as_the_chain_says(void *ctx)
{
	(void)ctx;
	return PAYING_START_S + 20 * 86400;
}

/* One that is announced for a far day says nothing of the time it is. */
Test(ledger, a_clock_ahead_takes_no_offer_away_before_an_announced_one)
{
	const uint64_t from_s = PAYING_START_S + 1000ull * 86400;
	uint8_t hash[32];

	p.config.deny_now = as_the_chain_says;
	paying_reopen(&p);
	publish(2, 5);
	cr_assert_eq(paying_offer(&p, 6, from_s, from_s + 7 * 86400,
				  PAYING_PRICE, hash),
		     0);
	paying_pass(&p, 10000ull * 86400);
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 6);
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
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 6);
	/* One more, and number 2 has run out; number 1 is in the books. */
	paying_pass(&p, 86400);
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 5);
	cr_assert_eq(count_rows(TABLE_OFFER_IDS), 5);
	/* All of them have. Number 6 was in force until now for whoever paid
	 * while the server was away, and a sequence never comes twice. */
	paying_pass(&p, 1000ull * 86400);
	publish_now(7);
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 3);
	paying_pass(&p, 461 * 86400);
	publish_now(8);
	keep_house();
	cr_assert_eq(count_rows(TABLE_OFFERS), 3);
	paying_reopen(&p);
	cr_assert_eq(ledger_read_sequence(p.ledger), 8);
	cr_assert_eq(ledger_read_offer_hash(p.ledger, UINT64_MAX, bytes, &len,
					    &offer, hash),
		     0);
	cr_assert_eq(offer.sequence, 8);
	cr_assert_eq(ledger_read_offer_hash(p.ledger, PAYING_START_S, bytes,
					    &len, &offer, hash),
		     0);
	cr_assert_eq(offer.sequence, 1);
}

Test(ledger, offers_of_no_use_go_without_a_restart)
{
	publish(2, 5);
	keep_house();
	paying_pass(&p, 1000ull * 86400);
	publish_now(6);
	cr_assert_eq(count_rows(TABLE_OFFERS), 6);
	p.ledger->kept_ms = 0; /* an hour has passed */
	/* Number 5 was in force until now. */
	cr_assert_eq(wait_rows(TABLE_OFFERS, 2), 2);
	cr_assert_eq(count_rows(TABLE_OFFER_IDS), 2);
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
	cr_assert_eq(wait_rows(TABLE_EVENTS, 303), 303);
	paying_pass(&p, 2 * 86400);
	paying_reopen(&p);
	/* Two orders, and the newest, from which indexes go on. */
	cr_assert_eq(wait_rows(TABLE_EVENTS, 3), 3);
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
	struct claim claim, first = paying_claim(&p, 1, 1);
	struct finding found;
	struct ledger_task batch = {
		.op = LEDGER_BATCH, .findings = &found, .findings_count = 1};
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
	/* A credit fails whole, whoever sent it is told, and so is the
	 * operator.
	 */
	found = paying_mined(&p, &first, 100, 201, 1, 206);
	cr_assert_eq(ledger_run(p.ledger, &batch), ERR_FULL);
	expect(&first, CLAIM_RECEIVED, 0);
	expect_record(1, 0, 0, 0);
	cr_assert_eq(ledger_store_err(p.ledger), ERR_FULL);
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
	cr_assert_eq(ledger_run(p.ledger, &batch), 0);
	expect(&first, CLAIM_ACTIVE, 0);
	cr_assert_eq(ledger_store_err(p.ledger), 0);
}
