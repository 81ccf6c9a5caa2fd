#include "auth/gate.h"

#include <criterion/criterion.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/metrics.h"
#include "tests/support/paying.h"

static struct paying p;
static struct gate *gate;

static void begin(void)
{
	const struct access_rules rules = {.mode = ACCESS_PAID,
					   .grace_s = 3600};

	paying_begin(&p);
	/* The gate goes by the real clock, and so must the ledger here. */
	ledger_close(p.ledger);
	atomic_store(&p.now_ms, clock_wall_ms());
	paying_open(&p);
	cr_assert_eq(paying_offer(&p, 2, paying_now_s(&p) - 10,
				  paying_now_s(&p) + 86400, 100, p.offer_hash),
		     0);
	gate = ledger_gate(p.ledger);
	gate_set_rules(gate, &rules);
}

static void end(void)
{
	cr_assert_eq(paying_end(&p), 0);
}

TestSuite(gate, .init = begin, .fini = end);

static void grant(unsigned node, uint64_t seconds)
{
	struct ledger_task task = {.op = LEDGER_GRANT, .seconds = seconds};

	paying_node(node, task.node);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
}

static enum access_answer ask(struct gate_reader *reader, unsigned node)
{
	uint8_t key[SECP_PUBLIC_SIZE];

	paying_node(node, key);
	return gate_check(reader, key);
}

Test(gate, a_record_that_is_written_is_seen_by_the_next_question)
{
	struct gate_reader *reader = gate_reader_new(gate);

	cr_assert_eq(ask(reader, 1), ACCESS_NO);
	grant(1, 1000);
	cr_assert_eq(ask(reader, 1), ACCESS_YES);
	cr_assert_eq(ask(reader, 2), ACCESS_NO);
	gate_reader_free(reader);
}

Test(gate, the_mode_changes_while_running)
{
	struct gate_reader *reader = gate_reader_new(gate);
	struct access_rules rules = {.mode = ACCESS_PAID};

	gate_set_mode(gate, ACCESS_FREE);
	cr_assert_eq(ask(reader, 1), ACCESS_YES_FREE);
	gate_set_mode(gate, ACCESS_AUDIT);
	cr_assert_eq(ask(reader, 1), ACCESS_YES_WOULD_DENY);
	gate_set_mode(gate, ACCESS_PAID);
	cr_assert_eq(ask(reader, 1), ACCESS_NO);
	rules.free_until_s = clock_wall_s() + 100;
	gate_set_rules(gate, &rules);
	cr_assert_eq(ask(reader, 1), ACCESS_YES_FREE);
	gate_reader_free(reader);
}

Test(gate, the_allow_list_needs_no_record)
{
	struct gate_reader *reader = gate_reader_new(gate);
	uint8_t list[3][SECP_PUBLIC_SIZE];

	paying_node(9, list[0]);
	paying_node(1, list[1]);
	paying_node(5, list[2]);
	cr_assert_eq(gate_set_allow(
			     gate, (const uint8_t(*)[SECP_PUBLIC_SIZE])list, 3),
		     0);
	cr_assert_eq(ask(reader, 1), ACCESS_YES);
	cr_assert_eq(ask(reader, 5), ACCESS_YES);
	cr_assert_eq(ask(reader, 9), ACCESS_YES);
	cr_assert_eq(ask(reader, 4), ACCESS_NO);
	gate_reader_free(reader);
}

Test(gate, a_fresh_head_holds_a_clock_that_runs_ahead)
{
	uint64_t now_s = clock_wall_s();

	gate_set_head(gate, 0, now_s - 1000, 60000);
	cr_assert_eq(gate_deny_now(gate), now_s - 1000 + 60);
	/* The newest of several. */
	gate_set_head(gate, 1, now_s - 500, 60000);
	cr_assert_eq(gate_deny_now(gate), now_s - 500 + 60);
	gate_set_head(gate, 2, now_s - 700, 60000);
	cr_assert_eq(gate_deny_now(gate), now_s - 500 + 60);
	gate_set_head(gate, 2, 0, 60000);
	/* One that is no longer fresh does not count. */
	gate_set_head(gate, 1, now_s - 500, 0);
	cr_assert_eq(gate_deny_now(gate), now_s - 1000 + 60);
	gate_set_head(gate, 0, now_s, 60000);
	cr_assert_geq(gate_deny_now(gate), now_s);
}

/* §14: and who has paid by the chain's time is served. */
Test(gate, a_clock_that_runs_ahead_denies_nobody)
{
	const struct access_rules rules = {.mode = ACCESS_PAID};
	struct gate_reader *reader = gate_reader_new(gate);

	gate_set_rules(gate, &rules);
	grant(1, 1);
	(void)usleep(2100000);
	cr_assert_eq(ask(reader, 1), ACCESS_NO);
	gate_set_head(gate, 0, clock_wall_s() - 1000, 60000);
	cr_assert_eq(ask(reader, 1), ACCESS_YES);
	gate_set_head(gate, 0, clock_wall_s() - 1000, 0);
	cr_assert_eq(ask(reader, 1), ACCESS_NO);
	gate_reader_free(reader);
}

/* §14: nor does it take away from what is bought meanwhile. */
Test(gate, credits_begin_by_the_same_clock)
{
	struct claim claim = paying_claim(&p, 1, 1);
	struct ledger_task task;
	struct finding f;

	ledger_close(p.ledger);
	p.config.deny_now = NULL;
	paying_open(&p);
	gate_set_head(ledger_gate(p.ledger), 0, clock_wall_s() - 1000, 60000);
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 100, 201, 1, 206);
	f.block_time_s = clock_wall_s() - 500;
	cr_assert_eq(paying_find(&p, &f), 0);
	cr_assert_eq(paying_record(&p, 1).expiry_s,
		     f.block_time_s + PAYING_UNIT_S);
}

static uint64_t reads_total(void)
{
	return (uint64_t)metric_value(
		metric_counter("mailpay_requests_read_total", NULL, ""));
}

/* A question is asked on a ring, which must not wait for a disk. */
Test(gate, no_question_reads_the_disk)
{
	enum { NODES = 5000 };
	struct gate_reader *reader;
	struct ledger_task task = {.op = LEDGER_GRANT, .seconds = 1000};

	for (unsigned i = 1; i <= NODES; i++)
		grant(i, i % 2 ? 1000 : 1);
	task.op = LEDGER_SUSPEND;
	paying_node(3, task.node);
	cr_assert_eq(ledger_run(p.ledger, &task), 0);
	for (int round = 0; round < 2; round++) {
		reader = gate_reader_new(gate);
		/* Right from the first question, if need be from the table. */
		cr_assert_eq(ask(reader, NODES - 1), ACCESS_YES);
		cr_assert_eq(ask(reader, NODES + 1), ACCESS_NO);
		cr_assert_eq(ask(reader, 3), ACCESS_NO);
		for (int i = 0; i < 2000; i++) {
			uint64_t before = reads_total();

			(void)ask(reader, NODES + 1);
			if (reads_total() == before)
				break;
			(void)usleep(1000);
		}
		task = (struct ledger_task){.op = LEDGER_GRANT,
					    .seconds = 1000};
		paying_node(NODES + 2, task.node);
		cr_assert_eq(ledger_run(p.ledger, &task), 0);
		const uint64_t before = reads_total();
		for (unsigned i = 1; i <= NODES; i += 2)
			cr_assert_eq(ask(reader, i),
				     i == 3 ? ACCESS_NO : ACCESS_YES);
		cr_assert_eq(ask(reader, NODES + 1), ACCESS_NO);
		cr_assert_eq(ask(reader, NODES + 2), ACCESS_YES);
		cr_assert_eq(reads_total(), before);
		gate_reader_free(reader);
		if (round == 0) {
			const struct access_rules rules = {.mode = ACCESS_PAID,
							   .grace_s = 3600};

			paying_reopen(&p);
			gate = ledger_gate(p.ledger);
			gate_set_rules(gate, &rules);
		}
	}
}

Test(gate, the_first_request_after_expiry_converts_credit)
{
	struct gate_reader *reader = gate_reader_new(gate);
	struct claim claim = paying_claim(&p, 1, 1);
	uint8_t hash[32];
	struct finding f;
	struct ledger_task task;
	enum access_answer answer = ACCESS_NO;

	/* Half of a unit: all of it is credit; then the price falls. */
	cr_assert_eq(paying_file(&p, &claim, &task), 0);
	f = paying_mined(&p, &claim, 50, 201, 1, 206);
	f.block_time_s = paying_now_s(&p);
	cr_assert_eq(paying_find(&p, &f), 0);
	cr_assert_eq(paying_record(&p, 1).expiry_s, 0);
	cr_assert_eq(ask(reader, 1), ACCESS_NO);
	cr_assert_eq(paying_offer(&p, 3, paying_now_s(&p) - 5,
				  paying_now_s(&p) + 86400, 25, hash),
		     0);
	for (int i = 0; i < 500 && answer == ACCESS_NO; i++) {
		answer = ask(reader, 1);
		(void)usleep(2000);
	}
	cr_assert_eq(answer, ACCESS_YES);
	cr_assert_eq(paying_record(&p, 1).credits_count, 0);
	gate_reader_free(reader);
}
