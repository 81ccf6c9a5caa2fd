/* What a finding does to its claim: T2 to T7 of payments.md §12.2. What it
 * means is decided in auth/step.c; here it is carried out. */
#include <string.h>

#include "auth/ledger_rows.h"
#include "core/bytes.h"
#include "core/err.h"

static const char too_many[] = "the node has credit in too many tokens";

struct work {
	struct group *group;
	const struct held_claim *held;
	const struct finding *finding;
	struct credited credited;
	struct priced price;
	struct step step;
};

static int carry_reject(struct work *w, const char *text)
{
	rows_move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	rows_claim_event(w->group, T7, w->held->key, &w->held->rec,
			 &w->step.next, 0, text);
	rows_did(w->group, T7);
	return 0;
}

static int reject_as(struct work *w, enum claim_reason reason)
{
	step_reject(&w->held->rec, reason, w->group->now_ms, &w->step);
	return carry_reject(w, NULL);
}

/* The record cannot hold it; that is not the disk's fault, and will not be
 * otherwise the next time. */
static bool is_beyond(const struct work *w, int err)
{
	return err == ERR_RANGE || (err == ERR_FULL && !w->group->tx.err);
}

/* With what was paid, so that the operator can make good for it. */
static int reject_uncounted(struct work *w, int err)
{
	struct claim_record *next = &w->step.next;

	step_reject(&w->held->rec, CLAIM_AMOUNT_OVERFLOW, w->group->now_ms,
		    &w->step);
	next->value = w->finding->value;
	next->block = w->finding->block;
	next->block_time_s = w->finding->block_time_s;
	memcpy(next->block_hash, w->finding->block_hash, 32);
	return carry_reject(w, err == ERR_FULL ? too_many : NULL);
}

static struct entry build_entry(const struct work *w)
{
	const struct claim *claim = &w->held->rec.claim;
	const struct finding *finding = w->finding;
	const struct offer_option *option = w->price.option;
	struct entry entry = {
		.type = ENTRY_CREDIT,
		.flags =
			w->step.next.state == CLAIM_SETTLED ? ENTRY_SETTLED : 0,
		/* §14: the credit time. */
		.at_s = w->group->deny_s > finding->block_time_s
				? w->group->deny_s
				: finding->block_time_s,
		.min_units = option->terms.min_units,
		.max_units = option->terms.max_units,
		.unit_s = option->terms.unit_s,
		.chain_id = claim->chain_id,
		.index = claim->index,
		.option_id = option->id,
		.block = finding->block,
		.block_time_s = finding->block_time_s,
		.price = option->terms.price,
		.value = finding->value,
	};

	memcpy(entry.token, claim->token, ADDRESS_SIZE);
	memcpy(entry.payee, claim->payee, ADDRESS_SIZE);
	memcpy(entry.payer, claim->payer, ADDRESS_SIZE);
	memcpy(entry.tx, claim->tx, TX_SIZE);
	memcpy(entry.block_hash, finding->block_hash, 32);
	memcpy(entry.offer_hash, w->price.offer->hash, 32);
	return entry;
}

static void store_payment(struct work *w, enum payment_state state,
			  uint64_t seq)
{
	struct payment payment = {.state = state, .seq = seq};
	uint8_t key[PAYMENT_KEY_SIZE];
	uint8_t bytes[PAYMENT_SIZE];

	memcpy(payment.claim_key, w->held->key, CLAIM_KEY_SIZE);
	memcpy(payment.node, w->held->rec.claim.node, SECP_PUBLIC_SIZE);
	claim_payment_key(&w->held->rec.claim, key);
	payment_encode(&payment, bytes);
	ledger_tx_put(&w->group->tx, TABLE_PAYMENTS, key, sizeof(key), bytes,
		      sizeof(bytes));
}

static void note_income(struct work *w, const struct entry *entry)
{
	struct group *group = w->group;
	struct income *income =
		rows_grow(group, group->income, group->income_count,
			  &group->income_max, sizeof(*income));

	if (!income)
		return;
	group->income = income;
	income += group->income_count++;
	income->chain_id = entry->chain_id;
	memcpy(income->token, entry->token, ADDRESS_SIZE);
	income->decimals = w->price.option->decimals;
	income->units = entry->units;
	income->value = entry->value;
}

/* T3. Who commits first wins, and there is only one writer (§12.2). */
static int carry_credit(struct work *w)
{
	const uint8_t *node = w->held->rec.claim.node;
	struct entry entry = build_entry(w);
	struct entitlement ent;
	int err;

	if (w->credited.has_payment &&
	    w->credited.payment.state == PAYMENT_CREDITED)
		return reject_as(w, CLAIM_ALREADY_CREDITED);
	err = rows_load_node(w->group, node, &ent);
	if (err)
		return err;
	err = rows_append_entry(w->group, node, &ent, &entry);
	if (is_beyond(w, err))
		return reject_uncounted(w, err);
	if (err)
		return err;
	store_payment(w, PAYMENT_CREDITED, ent.next_seq - 1);
	offers_mark(w->group, &w->price.offer->offer);
	rows_move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	rows_claim_event(w->group, T3, w->held->key, &w->held->rec,
			 &w->step.next, entry.units, NULL);
	note_income(w, &entry);
	rows_did(w->group, T3);
	return 0;
}

static int carry_settle(struct work *w)
{
	const uint8_t *node = w->held->rec.claim.node;
	struct entry *entry = &w->credited.entry;
	struct entitlement ent;
	int err = rows_load_node(w->group, node, &ent);

	if (err)
		return err;
	if (ent.unsettled == 0)
		return ERR_CORRUPT;
	/* The block it is settled in, for the books. */
	entry->flags |= ENTRY_SETTLED;
	entry->block = w->finding->block;
	entry->block_time_s = w->finding->block_time_s;
	memcpy(entry->block_hash, w->finding->block_hash, 32);
	rows_store_entry(w->group, node, w->credited.payment.seq, entry, false);
	if (--ent.unsettled == 0)
		ent.flags &= (uint16_t)~ENTITLEMENT_UNSETTLED;
	rows_store_node(w->group, node, &ent);
	rows_move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	rows_claim_event(w->group, T4, w->held->key, &w->held->rec,
			 &w->step.next, entry->units, NULL);
	rows_did(w->group, T4);
	return 0;
}

/* T5 in both directions: the deadline on the record follows the claim. */
static int carry_reorg(struct work *w)
{
	rows_move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	rows_claim_event(w->group, T5, w->held->key, &w->held->rec,
			 &w->step.next, 0, NULL);
	rows_did(w->group, T5);
	return rows_refold_and_store(w->group, w->held->rec.claim.node);
}

static void void_entry(struct work *w)
{
	w->credited.entry.flags |= ENTRY_VOID;
	rows_store_entry(w->group, w->held->rec.claim.node,
			 w->credited.payment.seq, &w->credited.entry, false);
}

static int carry_revoke(struct work *w)
{
	void_entry(w);
	store_payment(w, PAYMENT_VOID, w->credited.payment.seq);
	rows_move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	rows_claim_event(w->group, T6, w->held->key, &w->held->rec,
			 &w->step.next, w->credited.entry.units, NULL);
	rows_did(w->group, T6);
	return rows_refold_and_store(w->group, w->held->rec.claim.node);
}

/* The other value cannot be counted: what it gave is taken, as if it had
 * vanished. */
static int carry_overflow(struct work *w, struct entitlement *ent)
{
	struct claim_record *next = &w->step.next;

	next->state = CLAIM_REORGED;
	next->reason = CLAIM_AMOUNT_OVERFLOW;
	rows_store_node(w->group, next->claim.node, ent);
	store_payment(w, PAYMENT_VOID, w->credited.payment.seq);
	rows_move_claim(w->group, w->held->key, &w->held->rec, next);
	rows_claim_event(w->group, T6, w->held->key, &w->held->rec, next,
			 w->credited.entry.units, NULL);
	rows_did(w->group, T6);
	return 0;
}

/* §11: same transaction, other value. The credit time stays what it was. */
static int carry_revalue(struct work *w)
{
	static const char text[] = "the value is another one";
	const struct claim_record *old = &w->held->rec;
	const uint8_t *node = old->claim.node;
	struct entry entry = build_entry(w);
	struct entitlement ent;
	int err;

	entry.at_s = w->credited.entry.at_s;
	entry.refers_to = w->credited.payment.seq;
	void_entry(w);
	err = rows_refold(w->group, node, &ent);
	if (err)
		return err;
	err = rows_append_entry(w->group, node, &ent, &entry);
	if (is_beyond(w, err))
		return carry_overflow(w, &ent);
	if (err)
		return err;
	store_payment(w, PAYMENT_CREDITED, ent.next_seq - 1);
	offers_mark(w->group, &w->price.offer->offer);
	rows_move_claim(w->group, w->held->key, old, &w->step.next);
	rows_claim_event(w->group, T6, w->held->key, old, &w->step.next,
			 w->credited.entry.units, text);
	rows_claim_event(w->group, T3, w->held->key, old, &w->step.next,
			 entry.units, text);
	rows_did(w->group, T3);
	rows_did(w->group, T6);
	return 0;
}

static int carry_out(struct work *w)
{
	switch (w->step.kind) {
	case STEP_NOTHING:
		return 0;
	case STEP_PROGRESS:
		rows_move_claim(w->group, w->held->key, &w->held->rec,
				&w->step.next);
		rows_did(w->group, T2);
		return 0;
	case STEP_CREDIT:
		return carry_credit(w);
	case STEP_SETTLE:
		return carry_settle(w);
	case STEP_REORG:
	case STEP_RESTORE:
		return carry_reorg(w);
	case STEP_REVALUE:
		return carry_revalue(w);
	case STEP_REVOKE:
		return carry_revoke(w);
	case STEP_REJECT:
		return carry_reject(w, NULL);
	}
	return ERR_UNSUPPORTED;
}

static uint64_t start_block(const struct ledger_config *config,
			    uint64_t chain_id)
{
	for (unsigned i = 0; i < config->chains_count; i++)
		if (config->chains[i].id == chain_id)
			return config->chains[i].start_block;
	return 0;
}

/* The policies of the option that prices the payment in its present block; of
 * another option for it if none does, so that even that is judged late. */
static void find_policies(struct work *w, struct step_input *in)
{
	struct claim_record rec = w->held->rec;
	struct priced priced;

	if (w->finding->kind == FINDING_MINED)
		rec.block_time_s = w->finding->block_time_s;
	w->price = offers_price(w->group->offers, &rec.claim, rec.block_time_s);
	priced = offers_policy(w->group->offers, &rec);
	in->has_price = w->price.option != NULL;
	in->activate = (struct policy){POLICY_FINAL, 0};
	in->settle = in->activate;
	if (priced.option) {
		in->activate = priced.option->activate;
		in->settle = priced.option->settle;
	}
}

int carry_finding(struct group *group, const struct finding *finding)
{
	const struct ledger_config *config = &group->ledger->config;
	struct held_claim held;
	struct work w = {.group = group, .held = &held, .finding = finding};
	struct step_input in = {
		.rec = &held.rec,
		.finding = finding,
		.now_ms = group->now_ms,
	};
	int err;

	memcpy(held.key, finding->claim_key, CLAIM_KEY_SIZE);
	err = rows_load_claim(group, &held);
	if (err)
		return err;
	/* §12.2: the work began from another state; it is dropped. */
	if (held.rec.rev != finding->rev)
		return ERR_CONFLICT;
	read_credited(&group->tx, &held.rec.claim, held.key, &w.credited);
	in.is_credited = w.credited.is_credited;
	in.credited_value = w.credited.entry.value;
	in.rules = (struct step_rules){
		.pending_max_s = config->pending_max_s,
		.reorg_grace_s = config->reorg_grace_s,
		.claim_window_s = config->claim_window_s,
		.start_block = start_block(config, held.rec.claim.chain_id),
	};
	/* An active claim without its entry is not for us to mend. */
	if (held.rec.state == CLAIM_ACTIVE && !in.is_credited)
		return ERR_CORRUPT;
	bytes_random((uint8_t *)&in.random, sizeof(in.random));
	find_policies(&w, &in);
	step_decide(&in, &w.step);
	return carry_out(&w);
}
