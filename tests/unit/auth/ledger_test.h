#ifndef TESTS_UNIT_AUTH_LEDGER_TEST_H
#define TESTS_UNIT_AUTH_LEDGER_TEST_H
/*
 * What the tests of the ledger have in common: a ledger a test, whose
 * invariants are checked at its end, and short words for findings. One file of
 * a program includes it, which so has a suite and a ledger `p`.
 */
#include <criterion/criterion.h>

#include "auth/ledger_private.h"
#include "tests/support/paying.h"

#define MONTH PAYING_UNIT_S

static struct paying p;

static inline void begin(void)
{
	paying_begin(&p);
}

/* Every test ends with the invariants. */
static inline void end(void)
{
	cr_assert_eq(paying_end(&p), 0);
}

TestSuite(ledger, .init = begin, .fini = end);

static inline void expect(const struct claim *claim, enum claim_state state,
			  enum claim_reason reason)
{
	struct claim_view view = paying_view(&p, claim);

	cr_assert_str_eq(claim_state_str(view.record.state),
			 claim_state_str(state));
	cr_assert_str_eq(claim_reason_str(view.record.reason),
			 claim_reason_str(reason));
}

static inline void mine(const struct claim *claim, uint64_t value,
			uint64_t block, uint8_t fork, uint64_t head)
{
	struct finding f = paying_mined(&p, claim, value, block, fork, head);

	cr_assert_eq(paying_find(&p, &f), 0);
}

static inline void lose(const struct claim *claim, enum finding_kind kind,
			uint64_t head)
{
	struct finding f = paying_gone(&p, claim, kind, head);

	cr_assert_eq(paying_find(&p, &f), 0);
}

static inline void expect_record(unsigned node, uint64_t months,
				 uint64_t credit, uint32_t unsettled)
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

static inline struct ledger_task order(enum ledger_op op, unsigned node,
				       uint64_t seconds)
{
	struct ledger_task task = {
		.op = op, .seconds = seconds, .text = "asked by telephone"};

	paying_node(node, task.node);
	return task;
}

static inline bool keep_last(void *ctx, const struct ledger_event *event)
{
	struct ledger_event *last = ctx;

	last->units++; /* as a count */
	last->kind = event->kind;
	last->block = event->block;
	(void)snprintf(last->text, sizeof(last->text), "%s", event->text);
	return true;
}

static inline int file_from(const struct claim *claim, uint64_t source)
{
	struct ledger_task task = {
		.op = LEDGER_ACCEPT, .claim = claim, .source_tag = source};

	return ledger_run(p.ledger, &task);
}

#endif
