/* The keeper, the facade's one thread. */
#include <stdlib.h>
#include <string.h>

#include "auth/payments_private.h"
#include "auth/scheduler.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metrics.h"

#define TICK_MS          500
#define CONVERT_EVERY_MS 600000
/* Nodes converted in one pass; the rest in the next. */
#define CONVERT_MAX 256
/* The head is passed on each tick; it lapses when the keeper does not come. */
#define HEAD_FRESH_MS 5000
#define SKEW_LOUD_S   60

/* ---- those who wait for a claim ---- */

static void wake(struct payments *payments, struct waiter *waiter)
{
	waiter->changed(waiter->ctx);
	free(waiter);
	atomic_fetch_sub(&payments->waiters_count, 1);
}

/* Wake those of whom `is_over` says so. */
static void wake_some(struct payments *payments,
		      bool (*is_over)(const struct waiter *waiter,
				      const void *what),
		      const void *what)
{
	struct waiter **link = &payments->waiters;

	while (*link) {
		struct waiter *waiter = *link;

		if (is_over(waiter, what)) {
			*link = waiter->next;
			wake(payments, waiter);
		} else {
			link = &waiter->next;
		}
	}
}

static bool has_changed(const struct waiter *waiter, const void *what)
{
	const struct ledger_change *change = what;

	return change->rev != waiter->rev &&
	       memcmp(change->claim_id, waiter->claim_id, CLAIM_ID_SIZE) == 0;
}

static bool has_waited(const struct waiter *waiter, const void *what)
{
	const uint64_t *now_ms = what;

	return waiter->until_ms <= *now_ms;
}

static bool is_anyone(const struct waiter *waiter, const void *what)
{
	(void)waiter;
	(void)what;
	return true;
}

/* It may have changed between the caller's look and ours. */
static void add_waiter(struct payments *payments, struct waiter *waiter)
{
	struct claim_status status;

	if (status_read(payments, waiter->claim_id, &status) ||
	    status.rev != waiter->rev) {
		wake(payments, waiter);
		return;
	}
	waiter->next = payments->waiters;
	payments->waiters = waiter;
}

int payments_wait(struct payments *payments,
		  const uint8_t id[static CLAIM_ID_SIZE], uint32_t rev,
		  unsigned wait_s, void (*changed)(void *ctx), void *ctx)
{
	struct waiter *waiter = NULL;

	if (atomic_fetch_add(&payments->waiters_count, 1) <
		    PAYMENTS_WAITERS_MAX &&
	    !atomic_load(&payments->is_stopping))
		waiter = calloc(1, sizeof(*waiter));
	if (!waiter) {
		atomic_fetch_sub(&payments->waiters_count, 1);
		return ERR_FULL;
	}
	waiter->head.kind = KEEPER_WAITER;
	memcpy(waiter->claim_id, id, CLAIM_ID_SIZE);
	waiter->rev = rev;
	waiter->until_ms = clock_mono_ms() + wait_s * 1000ull;
	waiter->changed = changed;
	waiter->ctx = ctx;
	mailbox_put_always(&payments->box, &waiter->head.letter);
	return 0;
}

/* ---- what a commit changed ---- */

/* Ledger thread. */
void keeper_changed(void *ctx, const struct ledger_change *changes,
		    size_t count)
{
	struct payments *payments = ctx;
	struct changes *letter =
		malloc(sizeof(*letter) + count * sizeof(*changes));

	/* Without memory they hear of it when their time is over. */
	if (!letter)
		return;
	letter->head.kind = KEEPER_CHANGES;
	letter->count = count;
	memcpy(letter->list, changes, count * sizeof(*changes));
	mailbox_put_always(&payments->box, &letter->head.letter);
}

static void notify(struct payments *payments, const uint8_t *claim_id)
{
	payments_notify_fn fn;
	struct claim_status status;

	/* payments_set_notify() waits for the flag, then nobody calls the old
	 * one any more. */
	atomic_store(&payments->is_notifying, true);
	fn = atomic_load(&payments->notify);
	if (fn && status_read(payments, claim_id, &status) == 0)
		fn(atomic_load(&payments->notify_ctx), &status);
	atomic_store(&payments->is_notifying, false);
}

static void take_changes(struct payments *payments, struct changes *letter)
{
	for (size_t i = 0; i < letter->count; i++) {
		const struct ledger_change *change = &letter->list[i];

		if (payments->scheduler && change->state == CLAIM_RECEIVED)
			scheduler_poke(payments->scheduler, change->key,
				       change->rev);
		wake_some(payments, has_changed, change);
		notify(payments, change->claim_id);
	}
	free(letter);
}

static void take_letters(struct payments *payments)
{
	struct letter *letter = mailbox_take_all(&payments->box);

	while (letter) {
		struct letter *next = letter->next;
		struct keeper_letter *head = (struct keeper_letter *)letter;

		if (head->kind == KEEPER_WAITER)
			add_waiter(payments, (struct waiter *)head);
		else
			take_changes(payments, (struct changes *)head);
		letter = next;
	}
}

/* ---- conversion of credit (§5) ---- */

struct conversions {
	struct payments *payments;
	uint64_t deny_s;
	size_t count;
	uint8_t nodes[CONVERT_MAX][SECP_PUBLIC_SIZE];
};

static bool is_enough(struct payments *payments, const struct credit *credit)
{
	struct offer_option option;
	struct u256 least;

	return ledger_read_option(payments->ledger, clock_wall_s(),
				  credit->chain_id, credit->token, &option) &&
	       u256_mul_u32(&option.terms.price, option.terms.min_units,
			    &least) == 0 &&
	       u256_compare(&credit->amount, &least) >= 0;
}

static bool collect(void *ctx, const uint8_t *node,
		    const struct entitlement *ent)
{
	struct conversions *found = ctx;

	if (ent->expiry_s > found->deny_s || ent->flags & ENTITLEMENT_NO_END)
		return true;
	for (unsigned i = 0; i < ent->credits_count; i++) {
		if (!is_enough(found->payments, &ent->credits[i]))
			continue;
		memcpy(found->nodes[found->count++], node, SECP_PUBLIC_SIZE);
		break;
	}
	return found->count < CONVERT_MAX;
}

static void convert_expired(struct payments *payments)
{
	struct conversions *found = calloc(1, sizeof(*found));
	struct ledger_task task = {.op = LEDGER_CONVERT};

	if (!found)
		return;
	found->payments = payments;
	found->deny_s = gate_deny_now(payments_gate(payments));
	(void)ledger_each_node(payments->ledger, collect, found);
	for (size_t i = 0; i < found->count; i++) {
		int err;

		memcpy(task.node, found->nodes[i], SECP_PUBLIC_SIZE);
		err = ledger_run(payments->ledger, &task);
		/* One that cannot be must not keep the others from theirs. */
		if (err == ERR_CLOSED || err == ERR_FULL || err == ERR_IO)
			break;
	}
	free(found);
}

/* ---- the clock of denial (§14) ---- */

static void pass_head(struct payments *payments)
{
	uint64_t head_s;
	int64_t skew_s;

	if (!payments->scheduler)
		return;
	head_s = scheduler_head_s(payments->scheduler);
	gate_set_head(payments_gate(payments), 0, head_s, HEAD_FRESH_MS);
	if (head_s == 0)
		return;
	skew_s = (int64_t)clock_wall_s() - (int64_t)head_s;
	metric_set(metric_gauge("mailpay_clock_skew_seconds", NULL,
				"Wall clock minus the newest fresh head"),
		   skew_s);
	if (skew_s > SKEW_LOUD_S || skew_s < -SKEW_LOUD_S)
		LOG_UNUSUAL("clock and chain disagree",
			    log_i64("skew_s", skew_s));
}

/* ---- the thread ---- */

static void tick(struct payments *payments)
{
	uint64_t now_ms = clock_mono_ms();

	wake_some(payments, has_waited, &now_ms);
	pass_head(payments);
	(void)offers_refresh(payments);
	if (payments->converted_ms == 0 ||
	    now_ms - payments->converted_ms >= CONVERT_EVERY_MS) {
		payments->converted_ms = now_ms;
		convert_expired(payments);
	}
}

void *keeper_main(void *arg)
{
	struct payments *payments = arg;
	uint64_t ticked_ms = 0;

	while (!atomic_load(&payments->is_stopping)) {
		uint64_t now_ms = clock_mono_ms();

		take_letters(payments);
		if (now_ms - ticked_ms >= TICK_MS ||
		    atomic_exchange(&payments->wants_offer, false)) {
			ticked_ms = now_ms;
			tick(payments);
		}
		mailbox_wait(&payments->box, TICK_MS);
	}
	return NULL;
}

void keeper_release(struct payments *payments)
{
	take_letters(payments);
	wake_some(payments, is_anyone, NULL);
}

void keeper_drop(struct payments *payments)
{
	struct letter *letter = mailbox_take_all(&payments->box);

	while (letter) {
		struct letter *next = letter->next;
		struct keeper_letter *head = (struct keeper_letter *)letter;

		if (head->kind == KEEPER_WAITER)
			wake(payments, (struct waiter *)head);
		else
			free(head);
		letter = next;
	}
}
