#include "auth/scheduler.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "auth/follower.h"
#include "auth/rpc.h"
#include "auth/scheduler_private.h"
#include "tests/support/verifying.h"

static struct verifying v;

static void begin_one(void)
{
	verifying_begin(&v, 1, 1);
}

static void begin_three(void)
{
	verifying_begin(&v, 3, 2);
}

static void end(void)
{
	cr_assert_eq(verifying_end(&v), 0);
}

static struct claim file(unsigned number, uint64_t block, uint64_t value)
{
	struct claim claim = verifying_claim(&v, number, block, value, 0);

	verifying_file(&v, &claim, number);
	return claim;
}

#define ASSERT_BECOMES(claim, wanted)                                          \
	cr_assert(verifying_wait(&v, &(claim), (wanted), 5000),                \
		  "state %d reason %d",                                        \
		  verifying_view(&v, &(claim)).record.state,                   \
		  verifying_view(&v, &(claim)).record.reason)

static void wait_usable(void)
{
	struct chain_view view = {.is_usable = false};

	for (int i = 0; i < 500 && !view.is_usable; i++) {
		verifying_nap(10);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert(view.is_usable);
}

TestSuite(scheduler, .init = begin_one, .fini = end, .timeout = 60);
TestSuite(scheduler_quorum, .init = begin_three, .fini = end, .timeout = 60);

Test(scheduler, an_old_payment_goes_from_received_to_settled)
{
	struct claim claim = file(1, 50, 300);
	struct claim_view view;

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
	view = verifying_view(&v, &claim);
	cr_assert(view.is_credited);
	cr_assert_eq(view.units, 3);
	cr_assert_eq(view.record.block, 50);
	cr_assert_eq(view.record.block_time_s, fake_time(50));
}

Test(scheduler, a_payment_waits_confirms_is_active_and_settles)
{
	struct claim claim;

	verifying_start(&v);
	claim = file(1, 105, 100);
	ASSERT_BECOMES(claim, CLAIM_PENDING);
	verifying_head(&v, 105);
	/* Its next look is 4 s away: the operator's recheck is at once. */
	{
		uint8_t key[CLAIM_KEY_SIZE];

		claim_key(&claim, key);
		scheduler_poke(v.scheduler, key, 0);
	}
	ASSERT_BECOMES(claim, CLAIM_CONFIRMING);
	verifying_head(&v, 109);
	verifying_nap(600);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_CONFIRMING);
	verifying_head(&v, 110);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
	verifying_head(&v, 124);
	verifying_nap(600);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_ACTIVE);
	verifying_head(&v, 125);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* Found due before the poke of its acceptance has come. */
Test(scheduler, a_new_claim_is_looked_at_once)
{
	struct claim claim = verifying_claim(&v, 1, 105, 100, 0);
	struct ledger_task task = {
		.op = LEDGER_ACCEPT, .claim = &claim, .source_tag = 1};
	uint8_t key[CLAIM_KEY_SIZE];

	claim_key(&claim, key);
	verifying_start(&v);
	verifying_nap(500);
	atomic_store(&v.nodes[0]->delay_ms, 300);
	cr_assert_eq(ledger_run(v.ledger, &task), 0);
	verifying_nap(250);
	scheduler_poke(v.scheduler, key, task.record.rev); /* it flies */
	ASSERT_BECOMES(claim, CLAIM_PENDING);
	scheduler_poke(v.scheduler, key, task.record.rev); /* it is back */
	verifying_nap(1500);
	cr_assert_eq(verifying_view(&v, &claim).record.attempts, 1);
}

Test(scheduler, facts_are_bad_only_when_confirmed)
{
	struct claim failed = verifying_claim(&v, 1, 96, 100, FAKE_FAILED);
	struct claim nothing = verifying_claim(&v, 2, 96, 100, FAKE_NO_LOG);

	verifying_start(&v);
	verifying_file(&v, &failed, 1);
	verifying_file(&v, &nothing, 2);
	ASSERT_BECOMES(failed, CLAIM_CONFIRMING);
	ASSERT_BECOMES(nothing, CLAIM_CONFIRMING);
	verifying_head(&v, 101);
	ASSERT_BECOMES(failed, CLAIM_REJECTED);
	ASSERT_BECOMES(nothing, CLAIM_REJECTED);
	cr_assert_eq(verifying_view(&v, &failed).record.reason,
		     CLAIM_TX_FAILED);
	cr_assert_eq(verifying_view(&v, &nothing).record.reason,
		     CLAIM_NO_TRANSFER);
}

Test(scheduler, contract_proofs_are_asked_for_at_crediting)
{
	struct claim good = verifying_claim(&v, 1, 50, 100, 0);
	struct claim bad = verifying_claim(&v, 2, 50, 100, 0);

	good.scheme = bad.scheme = CLAIM_CONTRACT;
	verifying_start(&v);
	verifying_file(&v, &good, 1);
	ASSERT_BECOMES(good, CLAIM_SETTLED);
	atomic_store(&v.nodes[0]->proof, -1);
	verifying_file(&v, &bad, 2);
	ASSERT_BECOMES(bad, CLAIM_REJECTED);
	cr_assert_eq(verifying_view(&v, &bad).record.reason, CLAIM_BAD_PROOF);
}

/* §6.4; §21, 24: a stranger's contract costs nothing before somebody has paid
 * from it and the payment is confirmed, and then one call. */
Test(scheduler, no_contract_is_called_before_its_payment_is_confirmed)
{
	struct claim young = verifying_claim(&v, 1, 97, 100, 0);
	struct claim none = verifying_claim(&v, 2, 50, 100, FAKE_NO_LOG);
	struct claim unknown = verifying_claim(&v, 3, 500, 100, 0);
	struct claim with_key = verifying_claim(&v, 4, 50, 100, 0);

	young.scheme = none.scheme = unknown.scheme = CLAIM_CONTRACT;
	verifying_start(&v);
	verifying_file(&v, &young, 1);
	verifying_file(&v, &none, 2);
	verifying_file(&v, &unknown, 3);
	verifying_file(&v, &with_key, 4);
	ASSERT_BECOMES(young, CLAIM_CONFIRMING);
	ASSERT_BECOMES(none, CLAIM_REJECTED);
	ASSERT_BECOMES(unknown, CLAIM_PENDING);
	ASSERT_BECOMES(with_key, CLAIM_SETTLED);
	verifying_head(&v, 101);
	verifying_nap(300);
	cr_assert_eq(verifying_view(&v, &young).record.state, CLAIM_CONFIRMING);
	cr_assert_eq(atomic_load(&v.nodes[0]->proofs), 0);
	verifying_head(&v, 102);
	ASSERT_BECOMES(young, CLAIM_ACTIVE);
	cr_assert_eq(atomic_load(&v.nodes[0]->proofs), 1);
	/* Credited: it is not asked again on the way to settled. */
	verifying_head(&v, 140);
	ASSERT_BECOMES(young, CLAIM_SETTLED);
	cr_assert_eq(atomic_load(&v.nodes[0]->proofs), 1);
}

Test(scheduler, a_payment_that_moved_stays_active)
{
	struct claim claim = file(1, 95, 100);

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
	atomic_store(&v.nodes[0]->fork_from, 94);
	atomic_store(&v.nodes[0]->fork, 1);
	atomic_store(&v.nodes[0]->gone_from, 95);
	atomic_store(&v.nodes[0]->moved_by, 2);
	verifying_head(&v, 101);
	for (int i = 0; i < 500; i++) {
		if (verifying_view(&v, &claim).record.block == 97)
			break;
		verifying_nap(10);
	}
	cr_assert_eq(verifying_view(&v, &claim).record.block, 97);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_ACTIVE);
}

Test(scheduler, a_payment_that_vanished_is_noticed_and_comes_back)
{
	struct claim claim = file(1, 95, 100);
	uint8_t key[CLAIM_KEY_SIZE];

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
	atomic_store(&v.nodes[0]->fork_from, 94);
	atomic_store(&v.nodes[0]->fork, 1);
	atomic_store(&v.nodes[0]->gone_from, 95);
	verifying_head(&v, 101);
	ASSERT_BECOMES(claim, CLAIM_REORGED);
	atomic_store(&v.nodes[0]->gone_from, UINT64_MAX);
	claim_key(&claim, key);
	scheduler_poke(v.scheduler, key, 0);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
}

/* The transactions of block `number` and later are gone, in new blocks. */
static void replace_from(uint64_t number)
{
	atomic_store(&v.nodes[0]->fork_from, number);
	atomic_store(&v.nodes[0]->fork, 1);
	atomic_store(&v.nodes[0]->gone_from, number);
}

/*
 * The follower cannot tell that a block was replaced if it has never seen it:
 * what the claim says is held against the chain. Its policy is not reached and
 * no head comes, so nothing else has it looked at.
 */
Test(scheduler, a_block_that_was_replaced_unseen_is_noticed)
{
	struct claim early = file(1, 96, 100);
	struct claim gone = file(2, 99, 100);

	verifying_start(&v);
	ASSERT_BECOMES(early, CLAIM_CONFIRMING);
	ASSERT_BECOMES(gone, CLAIM_CONFIRMING);
	verifying_stop(&v);
	replace_from(98);
	verifying_start(&v);
	ASSERT_BECOMES(gone, CLAIM_PENDING);
	cr_assert_eq(verifying_view(&v, &early).record.state, CLAIM_CONFIRMING);
}

/* The same when an answer comes only after a while. */
Test(scheduler, a_replaced_block_is_asked_about_until_there_is_an_answer)
{
	struct claim claim = file(1, 99, 100);

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_CONFIRMING);
	atomic_store(&v.nodes[0]->no_receipts, true);
	replace_from(99);
	verifying_head(&v, 101);
	verifying_nap(1500);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_CONFIRMING);
	atomic_store(&v.nodes[0]->no_receipts, false);
	ASSERT_BECOMES(claim, CLAIM_PENDING);
}

/* A chain that stood still is not asked; the head that says so is the news. */
Test(scheduler, a_block_that_is_replaced_after_a_standstill_is_noticed)
{
	struct claim claim = file(1, 99, 100);
	struct chain_view view = {.is_usable = true};

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_CONFIRMING);
	for (int i = 0; i < 150 && view.is_usable; i++) {
		verifying_nap(100);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert_not(view.is_usable);
	replace_from(99);
	verifying_head(&v, 101);
	ASSERT_BECOMES(claim, CLAIM_PENDING);
}

/* §9, 3; §21, 14: what a receipt says counts only in the block that the chain
 * has at that number. Here both are from two forks, or two machines. */
Test(scheduler, a_receipt_of_another_fork_is_no_answer)
{
	struct claim claim;

	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->fault, FAKE_OTHER_BLOCK);
	claim = file(1, 50, 100);
	verifying_nap(700);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	cr_assert_gt(atomic_load(&v.nodes[0]->receipts), 0);
	atomic_store(&v.nodes[0]->fault, FAKE_NONE);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* What came to nothing is looked at again after half a second, one,
 * two, four: in four seconds four times, not eight. */
static void assert_asked_less_and_less_often(void)
{
	unsigned before = atomic_load(&v.nodes[0]->receipts);
	unsigned count;

	verifying_nap(4000);
	count = atomic_load(&v.nodes[0]->receipts) - before;
	cr_assert_geq(count, 2);
	cr_assert_leq(count, 5);
}

Test(scheduler, a_claim_without_an_answer_is_tried_less_and_less_often)
{
	struct claim claim;

	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->fault, FAKE_OTHER_BLOCK);
	claim = file(1, 50, 100);
	assert_asked_less_and_less_often();
	atomic_store(&v.nodes[0]->fault, FAKE_NONE);
	cr_assert(verifying_wait(&v, &claim, CLAIM_SETTLED, 10000));
}

/* For the ledger, a full disk: no file may be written beyond this. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* §21, 28: it stays due, and is tried again, less and less often. */
Test(scheduler, a_claim_that_cannot_be_stored_is_tried_less_and_less_often)
{
	struct claim claim;

	(void)signal(SIGXFSZ, SIG_IGN);
	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->delay_ms, 300);
	claim = file(1, 50, 100);
	limit_files(4096);
	atomic_store(&v.nodes[0]->delay_ms, 0);
	assert_asked_less_and_less_often();
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	limit_files(RLIM_INFINITY);
	cr_assert(verifying_wait(&v, &claim, CLAIM_SETTLED, 10000));
}

/* §21, 15: the nonce was used by a final transaction of the new fork. */
Test(scheduler, a_payment_that_was_spent_twice_is_revoked_at_once)
{
	struct claim claim = file(3, 95, 100); /* its nonce is 3 */
	uint8_t key[CLAIM_KEY_SIZE];

	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
	cr_assert_eq(verifying_view(&v, &claim).record.sender_nonce, 3);
	atomic_store(&v.nodes[0]->fork_from, 94);
	atomic_store(&v.nodes[0]->fork, 1);
	atomic_store(&v.nodes[0]->gone_from, 95);
	atomic_store(&v.nodes[0]->nonce, 3);
	verifying_head(&v, 101);
	ASSERT_BECOMES(claim, CLAIM_REORGED);
	cr_assert(verifying_view(&v, &claim).is_credited);
	atomic_store(&v.nodes[0]->nonce, 4);
	claim_key(&claim, key);
	for (int i = 0; i < 500 && verifying_view(&v, &claim).is_credited;
	     i++) {
		scheduler_poke(v.scheduler, key, 0);
		verifying_nap(20);
	}
	cr_assert_not(verifying_view(&v, &claim).is_credited);
	cr_assert_eq(verifying_view(&v, &claim).record.reason, CLAIM_REPLACED);
}

/* A contract sent it: that its payer has gone on meanwhile tells nothing. */
Test(scheduler, the_nonce_of_another_sender_revokes_nothing)
{
	struct claim claim = verifying_claim(&v, 3, 95, 100, FAKE_RELAYED);
	uint8_t key[CLAIM_KEY_SIZE];

	verifying_file(&v, &claim, 1);
	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
	atomic_store(&v.nodes[0]->nonce, 9);
	replace_from(95);
	verifying_head(&v, 101);
	ASSERT_BECOMES(claim, CLAIM_REORGED);
	claim_key(&claim, key);
	scheduler_poke(v.scheduler, key, 0);
	verifying_nap(300);
	cr_assert(verifying_view(&v, &claim).is_credited);
	cr_assert_eq(verifying_view(&v, &claim).record.sender_nonce,
		     CLAIM_NONCE_UNKNOWN);
}

Test(scheduler, a_changed_finalized_block_stops_crediting)
{
	struct chain_view view = {.is_alarmed = false};
	struct claim claim;

	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->fork_from, 70); /* finalized is 80 */
	atomic_store(&v.nodes[0]->fork, 1);
	verifying_head(&v, 101);
	for (int i = 0; i < 500 && !view.is_alarmed; i++) {
		verifying_nap(10);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert(view.is_alarmed);
	claim = file(1, 50, 100);
	verifying_nap(700);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	cr_assert_eq(scheduler_acknowledge(v.scheduler, 9, 1), ERR_NOTFOUND);
	/* One that came meanwhile stands. */
	cr_assert_eq(view.alarms, 1);
	cr_assert_eq(scheduler_acknowledge(v.scheduler, 1, 0), 0);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert(view.is_alarmed);
	cr_assert_eq(scheduler_acknowledge(v.scheduler, 1, 1), 0);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* §11: until the operator acknowledges it, whatever happens to the server. */
Test(scheduler, an_alarm_of_finality_holds_over_a_restart)
{
	struct chain_view view = {.is_alarmed = false};
	struct ledger_block alarm;
	struct ledger_task task = {.op = LEDGER_ACKNOWLEDGE,
				   .chain_id = 1,
				   .text = "seen, a fork of the test"};
	struct claim claim;

	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->fork_from, 70); /* finalized is 80 */
	atomic_store(&v.nodes[0]->fork, 1);
	verifying_head(&v, 101);
	for (int i = 0; i < 500 && ledger_read_alarm(v.ledger, 1, &alarm) != 0;
	     i++)
		verifying_nap(10);
	cr_assert_eq(ledger_read_alarm(v.ledger, 1, &alarm), 0);
	cr_assert_eq(alarm.block, 80);
	cr_assert_eq(ledger_read_alarm(v.ledger, 2, &alarm), ERR_NOTFOUND);
	scheduler_stop(v.scheduler);
	v.scheduler = NULL;
	verifying_start(&v);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert(view.is_alarmed);
	wait_usable();
	claim = file(1, 50, 100);
	verifying_nap(500);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	cr_assert_eq(ledger_run(v.ledger, &task), 0);
	cr_assert_eq(scheduler_acknowledge(v.scheduler, 1, view.alarms), 0);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
	scheduler_stop(v.scheduler);
	v.scheduler = NULL;
	verifying_start(&v);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert_not(view.is_alarmed);
}

static void wait_alarm(void)
{
	struct ledger_block alarm;

	for (int i = 0; i < 500 && ledger_read_alarm(v.ledger, 1, &alarm); i++)
		verifying_nap(10);
	cr_assert_eq(ledger_read_alarm(v.ledger, 1, &alarm), 0);
	cr_assert_eq(alarm.block, 80);
}

static void stop_when_final_is(uint64_t block)
{
	struct ledger_block final = {.block = 0};

	wait_usable();
	for (int i = 0; i < 500 && ledger_read_final(v.ledger, 1, &final); i++)
		verifying_nap(10);
	verifying_stop(&v);
	cr_assert_eq(ledger_read_final(v.ledger, 1, &final), 0);
	cr_assert_eq(final.block, block);
}

/* §11: nobody looked when it happened, and no ring reaches back to it. */
Test(scheduler, a_finalized_block_that_changed_meanwhile_is_noticed)
{
	struct ledger_task task = {.op = LEDGER_ACKNOWLEDGE,
				   .chain_id = 1,
				   .text = "seen, a fork of the test"};
	struct chain_view view;
	struct claim claim;

	verifying_start(&v);
	stop_when_final_is(80);
	atomic_store(&v.nodes[0]->fork_from, 70);
	atomic_store(&v.nodes[0]->fork, 1);
	verifying_head(&v, 1000);
	claim = file(1, 50, 100);
	verifying_start(&v);
	wait_alarm();
	wait_usable();
	verifying_nap(500);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	cr_assert_eq(ledger_run(v.ledger, &task), 0);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert_eq(scheduler_acknowledge(v.scheduler, 1, view.alarms), 0);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
	/* And it is no news at the next start. */
	stop_when_final_is(980);
	verifying_start(&v);
	wait_usable();
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert_not(view.is_alarmed);
}

/* Threat 5: the endpoints may have been changed for those of a fork. There is
 * no finalized block here that would tell. */
Test(scheduler, a_chain_with_another_block_0_pays_nothing)
{
	struct chain_view view = {.is_usable = false};
	struct claim claim;

	atomic_store(&v.nodes[0]->final_lag, UINT64_MAX);
	verifying_start(&v);
	wait_usable();
	verifying_stop(&v);
	atomic_store(&v.nodes[0]->fork_from, 0);
	atomic_store(&v.nodes[0]->fork, 9);
	claim = file(1, 50, 100);
	verifying_start(&v);
	verifying_nap(1000);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert_not(view.is_usable);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	verifying_stop(&v);
	atomic_store(&v.nodes[0]->fork_from, UINT64_MAX);
	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
}

Test(scheduler, a_block_that_was_final_is_waited_for)
{
	struct claim claim;

	verifying_start(&v);
	stop_when_final_is(80);
	verifying_head(&v, 79);
	claim = file(1, 50, 100);
	verifying_start(&v);
	verifying_nap(700);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	/* It comes as it was. */
	verifying_head(&v, 1000);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* ---- a follower alone ---- */

static atomic_uint alarms_refused, finals_told;

static int refuse_alarm(void *ctx, uint64_t block,
			const uint8_t hash[static 32])
{
	(void)ctx;
	(void)block;
	(void)hash;
	atomic_fetch_add(&alarms_refused, 1);
	return ERR_FULL;
}
static int count_final(void *ctx, uint64_t block, const uint8_t hash[static 32])
{
	(void)ctx;
	(void)block;
	(void)hash;
	atomic_fetch_add(&finals_told, 1);
	return 0;
}
static void ignore_news(void *ctx, const struct follower_news *news)
{
	(void)ctx;
	(void)news;
}

/* Whatever is stored as final before its alarm is, the next start takes for
 * what it had always been. */
Test(scheduler, no_final_block_is_told_before_its_alarm)
{
	struct follower_config config = {.moved = ignore_news,
					 .alarmed = refuse_alarm,
					 .final = count_final,
					 .has_final = true,
					 .final_number = 80};
	struct follower *follower;
	struct rpc_chain *chain;
	char why[256];

	cr_assert_eq(rpc_chain_new(&v.chain, 100, &rpc_limits_default, &chain,
				   why, sizeof(why)),
		     0);
	config.chain = chain;
	cr_assert_eq(follower_start(&config, &follower), 0);
	for (unsigned head = 101; head < 105; head++) {
		unsigned before = atomic_load(&alarms_refused);

		verifying_head(&v, head);
		for (int i = 0; i < 500; i++) {
			if (atomic_load(&alarms_refused) > before + 1)
				break;
			verifying_nap(10);
		}
		cr_assert_gt(atomic_load(&alarms_refused), before + 1);
	}
	follower_stop(follower);
	rpc_chain_free(chain);
	cr_assert_eq(atomic_load(&finals_told), 0);
}

Test(scheduler, an_endpoint_that_is_away_only_delays)
{
	struct claim claim = file(1, 50, 100);

	atomic_store(&v.nodes[0]->fault, FAKE_RESET);
	verifying_start(&v);
	verifying_nap(500);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	atomic_store(&v.nodes[0]->fault, FAKE_NONE);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

Test(scheduler, stopping_aborts_what_is_under_way)
{
	uint64_t began;

	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->delay_ms, 5000);
	(void)file(1, 50, 100);
	verifying_nap(300);
	began = clock_mono_ms();
	verifying_stop(&v);
	cr_assert_lt(clock_mono_ms() - began, 300);
}

Test(scheduler, the_token_is_checked_before_it_is_offered)
{
	char why[256];
	int err = ERR_AGAIN;

	v.option.decimals = 17;
	verifying_start(&v);
	for (int i = 0; i < 500 && err == ERR_AGAIN; i++) {
		verifying_nap(10);
		err = scheduler_option(v.scheduler, 0, why, sizeof(why));
	}
	cr_assert_eq(err, ERR_DENIED);
	cr_assert_not_null(strstr(why, "decimals"), "%s", why);
	verifying_stop(&v);
	v.option.decimals = 18;
	verifying_start(&v);
	err = ERR_AGAIN;
	for (int i = 0; i < 500 && err == ERR_AGAIN; i++) {
		verifying_nap(10);
		err = scheduler_option(v.scheduler, 0, why, sizeof(why));
	}
	cr_assert_eq(err, 0, "%s", why);
}

Test(scheduler, a_fresh_head_tells_the_time)
{
	verifying_start(&v);
	cr_assert_eq(scheduler_head_s(v.scheduler), 0);
	wait_usable();
	cr_assert_eq(scheduler_head_s(v.scheduler), fake_time(100));
	verifying_nap(5200);
	cr_assert_eq(scheduler_head_s(v.scheduler), 0);
}

/* B6: one source with many claims, then another with one. */
Test(scheduler, many_claims_of_one_source_delay_nobody)
{
	struct claim one;
	uint64_t began;

	v.chain.endpoints[0].batch_max = 20;
	v.workers = 1;
	v.batch = 20;
	atomic_store(&v.nodes[0]->delay_ms, 20);
	for (unsigned i = 0; i < 1000; i++) {
		struct claim claim = verifying_claim(&v, i, 50, 100, 0);

		verifying_file(&v, &claim, 1);
	}
	verifying_start(&v);
	wait_usable();
	verifying_nap(300);
	one = verifying_claim(&v, 5000, 50, 100, 0);
	began = clock_mono_ms();
	verifying_file(&v, &one, 2);
	ASSERT_BECOMES(one, CLAIM_SETTLED);
	cr_assert_lt(clock_mono_ms() - began, 1000);
}

static void count_stored(struct ledger_task *task)
{
	atomic_fetch_add((atomic_uint *)task->owner, 1);
}

/* §16.1: truth is the ledger's, memory holds the next few thousand. */
Test(scheduler, what_is_due_is_taken_up_in_parts)
{
	enum { COUNT = SCHEDULER_WINDOW + 500 };
	static struct ledger_task tasks[COUNT];
	static struct claim claims[COUNT];
	static atomic_uint stored;
	size_t load = 0;

	for (unsigned i = 0; i < COUNT; i++) {
		claims[i] = verifying_claim(&v, i, 50, 100, 0);
		tasks[i] = (struct ledger_task){.op = LEDGER_ACCEPT,
						.claim = &claims[i],
						.source_tag = 1,
						.done = count_stored,
						.owner = &stored};
		while (ledger_post(v.ledger, &tasks[i]))
			verifying_nap(1);
	}
	while (atomic_load(&stored) < COUNT)
		verifying_nap(1);
	atomic_store(&v.nodes[0]->delay_ms, 100);
	v.workers = 1;
	v.batch = 1;
	verifying_start(&v);
	wait_usable();
	/* Read while it changes: only whether it is too many. */
	for (int i = 0; i < 100 && load <= SCHEDULER_WINDOW; i++) {
		verifying_nap(20);
		load = *(volatile size_t *)&v.scheduler->chains[0].load;
	}
	cr_assert_gt(load, SCHEDULER_WINDOW / 2);
	cr_assert_leq(load, SCHEDULER_WINDOW);
}

/* §21, 21: anybody may name a transaction that says too much. */
Test(scheduler, a_giant_receipt_takes_nobody_with_it)
{
	struct claim claims[8];
	struct chain_view view;

	for (unsigned i = 0; i < 8; i++)
		claims[i] = file(i, 50, 100);
	{
		struct claim giant = verifying_claim(&v, 9, 50, 1, FAKE_LONG);

		verifying_file(&v, &giant, 9);
	}
	verifying_start(&v);
	for (unsigned i = 0; i < 8; i++)
		ASSERT_BECOMES(claims[i], CLAIM_SETTLED);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert(view.is_usable);
}

/* §16.5, B4: while nothing can be checked its rest does not double. */
Test(scheduler, the_only_one_is_found_back_soon_after_a_long_outage)
{
	struct chain_view view = {.is_usable = false};
	uint64_t back_ms;

	v.chain.rest_ms = 200;
	verifying_start(&v);
	wait_usable();
	atomic_store(&v.nodes[0]->fault, FAKE_RESET);
	verifying_nap(5000);
	(void)scheduler_chain(v.scheduler, 0, &view);
	cr_assert_not(view.is_usable);
	atomic_store(&v.nodes[0]->fault, FAKE_NONE);
	back_ms = clock_mono_ms();
	wait_usable();
	cr_assert_lt(clock_mono_ms() - back_ms, 1500);
}

/* 100 claims are more than six seconds' worth. */
Test(scheduler, a_small_budget_is_enough_for_a_large_job)
{
	struct claim claims[100];

	v.chain.endpoints[0].requests_per_s = 16;
	for (unsigned i = 0; i < 100; i++)
		claims[i] = file(i, 50, 100);
	verifying_start(&v);
	for (unsigned i = 0; i < 100; i++)
		cr_assert(verifying_wait(&v, &claims[i], CLAIM_SETTLED, 30000),
			  "claim %u", i);
}

Test(scheduler_quorum, a_liar_among_three_changes_nothing)
{
	struct claim claim = file(1, 50, 100);
	struct u256 paid = u256_from_u64(100);
	struct claim_view view;

	atomic_store(&v.nodes[0]->fault, FAKE_LIE_VALUE);
	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
	view = verifying_view(&v, &claim);
	cr_assert_eq(u256_compare(&view.record.value, &paid), 0);
}

Test(scheduler_quorum, one_cannot_reject_hide_or_hurry)
{
	struct claim claim = file(1, 99, 100);

	atomic_store(&v.nodes[0]->fault, FAKE_LIE_STATUS);
	atomic_store(&v.nodes[1]->extra_head, 1000);
	verifying_start(&v);
	ASSERT_BECOMES(claim, CLAIM_CONFIRMING);
	verifying_nap(1000);
	/* Two confirmations, whatever the second says of its head. */
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_CONFIRMING);
	atomic_store(&v.nodes[0]->fault, FAKE_NULL_RECEIPTS);
	verifying_head(&v, 104);
	ASSERT_BECOMES(claim, CLAIM_ACTIVE);
}

/* §15.2, §21, 25: of two that can be asked one says yes and one says no. */
Test(scheduler_quorum, one_neither_proves_nor_refuses_for_a_contract)
{
	struct claim claim = verifying_claim(&v, 1, 50, 100, 0);
	uint8_t key[CLAIM_KEY_SIZE];

	claim.scheme = CLAIM_CONTRACT;
	claim_key(&claim, key);
	atomic_store(&v.nodes[0]->proof, 0);
	atomic_store(&v.nodes[2]->fault, FAKE_RESET);
	verifying_start(&v);
	verifying_file(&v, &claim, 1);
	for (int i = 0; i < 100 && atomic_load(&v.nodes[0]->proofs) < 3; i++) {
		scheduler_poke(v.scheduler, key, 0);
		verifying_nap(50);
	}
	cr_assert_geq(atomic_load(&v.nodes[0]->proofs), 3);
	cr_assert_geq(atomic_load(&v.nodes[1]->proofs), 3);
	verifying_nap(300);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_CONFIRMING);
	atomic_store(&v.nodes[0]->proof, 1);
	scheduler_poke(v.scheduler, key, 0);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* All are asked about one state, which all have: that of the lowest head. */
Test(scheduler_quorum, a_contract_is_asked_where_the_slowest_has_come_to)
{
	struct claim claim = verifying_claim(&v, 1, 50, 100, 0);

	claim.scheme = CLAIM_CONTRACT;
	atomic_store(&v.nodes[1]->head, 97);
	atomic_store(&v.nodes[2]->head, 98);
	verifying_start(&v);
	verifying_file(&v, &claim, 1);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

static bool is_alarmed(void)
{
	struct chain_view view;

	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	return view.is_alarmed;
}

static void wait_final(uint64_t block)
{
	struct chain_view view = {.final = 0};

	for (int i = 0; i < 500 && view.final < block; i++) {
		verifying_nap(10);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert_eq(view.final, block);
}

/*
 * §21, 16: the first agrees on each head and forges what lies under it. Its
 * word stops no crediting, neither then nor when it is honest again.
 */
Test(scheduler_quorum, one_endpoint_raises_no_alarm_of_finality)
{
	struct claim claim;

	verifying_start(&v);
	wait_final(80);
	atomic_store(&v.nodes[0]->fork_to, 101);
	atomic_store(&v.nodes[0]->fork, 1);
	atomic_store(&v.nodes[0]->fork_from, 70);
	verifying_head(&v, 101);
	wait_final(81);
	verifying_nap(500);
	cr_assert_not(is_alarmed());
	verifying_stop(&v);
	atomic_store(&v.nodes[0]->fork, 0);
	verifying_start(&v);
	wait_usable();
	verifying_nap(500);
	cr_assert_not(is_alarmed());
	claim = file(1, 50, 100);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

Test(scheduler_quorum, two_that_are_away_are_too_many)
{
	struct claim claim = file(1, 50, 100);

	atomic_store(&v.nodes[0]->fault, FAKE_RESET);
	atomic_store(&v.nodes[1]->fault, FAKE_NULL_RECEIPTS);
	verifying_start(&v);
	verifying_nap(1000);
	cr_assert_eq(verifying_view(&v, &claim).record.state, CLAIM_RECEIVED);
	atomic_store(&v.nodes[1]->fault, FAKE_NONE);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}

/* §11: a final block on which no quorum agrees just now is looked at again,
 * not forgotten over the next one. */
Test(scheduler_quorum, a_change_that_is_not_confirmed_yet_is_not_passed_over)
{
	struct chain_view view = {.is_alarmed = false};

	v.chain.quorum = 3;
	verifying_start(&v);
	wait_usable();
	/* They agree from 85 on; what became of 80 the first alone says. */
	for (unsigned i = 0; i < 3; i++) {
		atomic_store(&v.nodes[i]->fork_from, i ? 85 : 70);
		atomic_store(&v.nodes[i]->fork, 1);
	}
	verifying_head(&v, 110);
	for (int i = 0; i < 500 && view.final < 90; i++) {
		verifying_nap(10);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert_eq(view.final, 90);
	verifying_nap(500);
	(void)scheduler_chain(v.scheduler, 0, &view);
	cr_assert_not(view.is_alarmed);
	for (unsigned i = 1; i < 3; i++)
		atomic_store(&v.nodes[i]->fork_from, 70);
	verifying_head(&v, 111); /* none of them stands still */
	for (int i = 0; i < 500 && !view.is_alarmed; i++) {
		verifying_nap(10);
		(void)scheduler_chain(v.scheduler, 0, &view);
	}
	cr_assert(view.is_alarmed);
}

static unsigned good_endpoints(unsigned wanted)
{
	struct chain_view view = {.endpoints_good = 0};
	unsigned count = 0;

	for (int i = 0; i < 500; i++) {
		(void)scheduler_chain(v.scheduler, 0, &view);
		count = (unsigned)__builtin_popcount(view.endpoints_good);
		if (count == wanted)
			break;
		verifying_nap(10);
	}
	return count;
}

/* §15.1: it moves, so it does not stand still, and is not in step either. */
Test(scheduler_quorum, more_than_five_blocks_behind_does_not_count)
{
	atomic_store(&v.nodes[2]->head, 95);
	verifying_start(&v);
	cr_assert_eq(good_endpoints(3), 3);
	verifying_head(&v, 101);
	atomic_store(&v.nodes[2]->head, 95);
	cr_assert_eq(good_endpoints(2), 2);
	atomic_store(&v.nodes[2]->head, 96);
	cr_assert_eq(good_endpoints(3), 3);
}

/* §15.3: after 200, 400, 800 and 1600 ms, not each 200. */
Test(scheduler_quorum, one_that_stays_away_is_probed_less_and_less_often)
{
	unsigned before, count;

	v.chain.rest_ms = 200;
	atomic_store(&v.nodes[2]->fault, FAKE_RESET);
	verifying_start(&v);
	wait_usable();
	verifying_nap(1500);
	before = atomic_load(&v.nodes[2]->bodies);
	/* Nor is it asked about claims. */
	for (unsigned i = 0; i < 20; i++) {
		(void)file(i, 50, 100);
		verifying_nap(200);
	}
	count = atomic_load(&v.nodes[2]->bodies) - before;
	cr_assert_geq(count, 1);
	cr_assert_leq(count, 7);
	atomic_store(&v.nodes[2]->fault, FAKE_NONE);
	cr_assert_eq(good_endpoints(3), 3);
}

/* Twenty times the first rest is the longest. */
Test(scheduler_quorum, one_that_stays_away_is_never_given_up)
{
	unsigned before;

	v.chain.rest_ms = 20;
	atomic_store(&v.nodes[2]->fault, FAKE_RESET);
	verifying_start(&v);
	verifying_nap(4000);
	before = atomic_load(&v.nodes[2]->bodies);
	verifying_nap(3000);
	cr_assert_geq(atomic_load(&v.nodes[2]->bodies) - before, 3);
}

Test(scheduler_quorum, one_that_takes_too_long_is_not_waited_for)
{
	struct chain_view view = {.endpoints_good = 0};

	v.chain.timeout_ms = 400;
	atomic_store(&v.nodes[2]->delay_ms, 1500);
	verifying_start(&v);
	wait_usable();
	verifying_nap(4000);
	cr_assert_eq(scheduler_chain(v.scheduler, 0, &view), 0);
	cr_assert_eq(view.endpoints_good, 3); /* the first two */
}

/* §15.3: the next one, within the same look. It is another's turn to be asked
 * first each time. */
Test(scheduler_quorum, the_next_is_asked_for_one_that_has_no_answer)
{
	const unsigned count = 6;

	atomic_store(&v.nodes[1]->no_receipts, true);
	verifying_start(&v);
	wait_usable();
	for (unsigned i = 0; i < count; i++) {
		struct claim claim = file(i, 50, 100);

		ASSERT_BECOMES(claim, CLAIM_SETTLED);
	}
	/* Nobody had to say the same twice. */
	cr_assert_eq(atomic_load(&v.nodes[0]->receipts), count);
	cr_assert_eq(atomic_load(&v.nodes[2]->receipts), count);
}

Test(scheduler_quorum, a_frozen_or_lagging_head_holds_nobody_up)
{
	struct claim claim;

	verifying_start(&v);
	wait_usable();
	verifying_head(&v, 140);
	atomic_store(&v.nodes[2]->head, 100);
	claim = file(1, 110, 100);
	ASSERT_BECOMES(claim, CLAIM_SETTLED);
}
