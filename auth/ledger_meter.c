/* What is counted and logged of a group that was committed (payments.md §20).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/metrics.h"

#define TOKEN_COUNTERS 32

struct token_counter {
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	struct metric *units; /* NULL: the slot is free */
	struct metric *value;
};

static void count_group(const struct group *group, uint64_t us, size_t results)
{
	static const char *const labels[] = {
		[CLAIM_RECEIVED] = "state=\"received\"",
		[CLAIM_PENDING] = "state=\"pending\"",
		[CLAIM_CONFIRMING] = "state=\"confirming\"",
		[CLAIM_ACTIVE] = "state=\"active\"",
		[CLAIM_REORGED] = "state=\"reorged\"",
	};

	metric_observe_us(metric_histogram("mailpay_commit_seconds", NULL,
					   "Commits of the payments ledger"),
			  us);
	metric_add(metric_counter("mailpay_commit_results_total", NULL,
				  "Results committed by the ledger"),
		   results);
	metric_set(metric_gauge("mailpay_commit_group", NULL,
				"Results of the last commit"),
		   (int64_t)results);
	for (int i = CLAIM_RECEIVED; i <= CLAIM_REORGED; i++)
		if (labels[i])
			metric_set(metric_gauge("mailpay_claims_open",
						labels[i],
						"Claims that are not final"),
				   (int64_t)group->tally.by_state[i]);
}

/* What was done by hand, with its reason: nodes are in admin orders. */
static void log_order(const struct ledger_event *event)
{
	LOG_INFO("order", log_u64("event", event->index),
		 log_text("order", ledger_order_str(event)),
		 log_text("reason", event->text),
		 log_u64("chain", event->chain_id));
}

/* One line a state change (§20); no node, payer or transaction in it. */
static void log_events(const struct group *group)
{
	for (size_t i = 0; i < group->events_count; i++) {
		const struct ledger_event *event = &group->events[i];

		if (event->kind >= LEDGER_KIND_ORDER)
			log_order(event);
		if (event->kind >= LEDGER_KIND_ORDER && !event->to)
			continue;
		LOG_INFO("payment", log_u64("event", event->index),
			 log_u64("kind", event->kind),
			 log_hex("claim", event->claim_id, 4),
			 log_text("from", claim_state_str(event->from)),
			 log_text("to", claim_state_str(event->to)),
			 log_text("reason", claim_reason_str(event->reason)),
			 log_u64("chain", event->chain_id),
			 log_u64("block", event->block),
			 log_u64("units", event->units));
		if (event->kind < LEDGER_KIND_ORDER &&
		    event->to == CLAIM_REJECTED && event->text[0])
			LOG_UNUSUAL("a payment wants to be looked at",
				    log_hex("claim", event->claim_id, 4),
				    log_text("why", event->text));
	}
}

/* Labels of a metric must live for ever: each is made once and kept. */
static void count_transition(const struct ledger_event *event)
{
	static _Atomic(struct metric *) known[CLAIM_REORGED + 1]
					     [CLAIM_REORGED + 1]
					     [CLAIM_CANCELLED + 1];
	_Atomic(struct metric *) *place =
		&known[event->from][event->to][event->reason];
	struct metric *metric = atomic_load(place);
	char *label;

	if (!metric) {
		if (asprintf(&label, "from=\"%s\",to=\"%s\",reason=\"%s\"",
			     claim_state_str(event->from),
			     claim_state_str(event->to),
			     claim_reason_str(event->reason)) < 0)
			return;
		metric = metric_counter("mailpay_claim_transitions_total",
					label, "Changes of claims");
		atomic_store(place, metric);
	}
	metric_add(metric, 1);
}

/* A credit that was taken back: its claim is the only one that becomes reorged
 * with a reason. */
static void count_revocation(const struct ledger_event *event)
{
	static _Atomic(struct metric *) known[CLAIM_CANCELLED + 1];
	struct metric *metric = atomic_load(&known[event->reason]);
	char *label;

	if (event->to != CLAIM_REORGED || !event->reason)
		return;
	if (!metric) {
		if (asprintf(&label, "reason=\"%s\"",
			     claim_reason_str(event->reason)) < 0)
			return;
		metric = metric_counter("mailpay_revocations_total", label,
					"Credits taken back");
		atomic_store(&known[event->reason], metric);
	}
	metric_add(metric, 1);
}

/* Base units of 18 decimals leave no room in a counter: millionths. */
static uint64_t in_millionths(const struct income *income)
{
	struct u256 scale = u256_from_u64(1), value = income->value;
	uint64_t out;

	for (unsigned i = 6; i < income->decimals; i++)
		if (u256_mul_u32(&scale, 10, &scale))
			return 0;
	(void)u256_div(&value, &scale, &value, NULL);
	return u256_to_u64(&value, &out) || out > INT64_MAX ? INT64_MAX : out;
}

/* One pair of counters for each token that was ever credited, as far as the
 * table goes. Labels must live for ever: each is made once a process. */
static struct token_counter *counter_of(const struct income *income)
{
	static struct token_counter counters[TOKEN_COUNTERS];
	struct token_counter *counter = counters;
	char token[2 * ADDRESS_SIZE + 1];
	char *label;

	for (; counter->units; counter++) {
		if (counter->chain_id == income->chain_id &&
		    !memcmp(counter->token, income->token, ADDRESS_SIZE))
			return counter;
		if (counter == &counters[TOKEN_COUNTERS - 1])
			return NULL;
	}
	hex_encode(income->token, ADDRESS_SIZE, token);
	if (asprintf(&label, "chain=\"%" PRIu64 "\",token=\"0x%s\"",
		     income->chain_id, token) < 0)
		return NULL;
	counter->chain_id = income->chain_id;
	memcpy(counter->token, income->token, ADDRESS_SIZE);
	counter->units = metric_counter("mailpay_credited_units_total", label,
					"Units sold");
	counter->value =
		metric_counter("mailpay_credited_value_total", label,
			       "Value credited, in millionths of a token");
	return counter;
}

static void count_income(const struct income *income)
{
	/* A process has one ledger; should it have two, one goes uncounted. */
	static atomic_flag is_busy = ATOMIC_FLAG_INIT;
	struct token_counter *counter;

	if (atomic_flag_test_and_set(&is_busy))
		return;
	counter = counter_of(income);
	atomic_flag_clear(&is_busy);
	if (!counter)
		return;
	metric_add(counter->units, income->units);
	metric_add(counter->value, in_millionths(income));
}

void meter_commit(const struct group *group, uint64_t us, size_t results)
{
	count_group(group, us, results);
	log_events(group);
	for (size_t i = 0; i < group->events_count; i++) {
		if (group->events[i].to)
			count_transition(&group->events[i]);
		count_revocation(&group->events[i]);
	}
	for (size_t i = 0; i < group->income_count; i++)
		count_income(&group->income[i]);
}
