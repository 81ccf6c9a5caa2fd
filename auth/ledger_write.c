/* Carries a task out as a part of one LMDB transaction (payments.md §12.2): T1,
 * T8, offers and housekeeping here, the others in the files it calls. What
 * fails before it has written fails alone. */
#include <string.h>

#include "auth/ledger_rows.h"
#include "core/bytes.h"
#include "core/err.h"

/* §18.3: rejected claims and the proofs of settled ones stay so long. */
/* Events that one pass removes, and how much longer than claims may come they
 * stay; those of orders stay for ever. */
#define KEEP_EVENTS   256
#define KEEP_EVENTS_S (60 * 86400ull)
#define KEEP_S        (30 * 86400ull)

/* ---- T1 accept ---- */

static void answer_accept(struct ledger_task *task,
			  const struct claim_record *rec, bool is_new)
{
	task->record = *rec;
	task->record.claim.proof = NULL;
	task->record.claim.proof_size = 0;
	task->is_new = is_new;
	memcpy(task->claim_id, rec->id, CLAIM_ID_SIZE);
}

/*
 * The proof is not in the claim's key, and that of a contract wallet is not
 * looked at before it is credited: anybody may have been here first with a
 * bad one. Such a claim shall not stand in the way of a good one.
 */
static bool is_other_proof(const struct claim_record *rec,
			   const struct claim *claim)
{
	const struct claim *had = &rec->claim;

	return rec->state == CLAIM_REJECTED && rec->reason == CLAIM_BAD_PROOF &&
	       (had->scheme != claim->scheme ||
		had->proof_size != claim->proof_size ||
		memcmp(had->proof, claim->proof, claim->proof_size) != 0);
}

static bool is_proved_now(const struct claim_record *rec,
			  const struct claim *claim)
{
	return (rec->state == CLAIM_RECEIVED || rec->state == CLAIM_PENDING ||
		rec->state == CLAIM_CONFIRMING) &&
	       rec->claim.scheme != CLAIM_SIGNATURE &&
	       claim->scheme == CLAIM_SIGNATURE;
}

static int accept_known(struct group *group, struct ledger_task *task,
			struct held_claim *held)
{
	struct claim_record from = held->rec;
	bool is_reopened = claim_is_reopened(&held->rec) ||
			   is_other_proof(&held->rec, task->claim);
	struct step step;

	if (!is_reopened && !is_proved_now(&held->rec, task->claim)) {
		answer_accept(task, &held->rec, false);
		return 0;
	}
	/* It counts for whoever sent it now, and has the proof sent now, unless
	 * that before was checked and this one cannot be. */
	from.source_tag = task->source_tag;
	if (held->rec.claim.scheme != CLAIM_SIGNATURE ||
	    task->claim->scheme == CLAIM_SIGNATURE)
		from.claim = *task->claim;
	if (!rows_has_room(group, &from))
		return ERR_FULL;
	if (is_reopened)
		step_reopen(&from, group->now_ms, &step);
	else
		step_recheck(&from, group->now_ms, &step);
	rows_move_claim(group, held->key, &held->rec, &step.next);
	rows_did(group, T1);
	answer_accept(task, &step.next, false);
	return 0;
}

/* §7.1: 409 before anything is stored, for proofs known to be good. */
static bool is_credited_elsewhere(struct group *group,
				  const struct claim *claim, const uint8_t *key)
{
	uint8_t payment_key[PAYMENT_KEY_SIZE];
	struct payment payment;
	MDB_val value;

	claim_payment_key(claim, payment_key);
	return claim->scheme == CLAIM_SIGNATURE &&
	       ledger_tx_get(&group->tx, TABLE_PAYMENTS, payment_key,
			     sizeof(payment_key), &value) &&
	       payment_decode(value.mv_data, value.mv_size, &payment) == 0 &&
	       payment.state == PAYMENT_CREDITED &&
	       memcmp(payment.claim_key, key, CLAIM_KEY_SIZE) != 0;
}

static int accept_new(struct group *group, struct ledger_task *task,
		      const uint8_t *key)
{
	struct claim_record rec = {
		.state = CLAIM_RECEIVED,
		.received_s = group->now_s,
		.updated_s = group->now_s,
		.due_ms = group->now_ms,
		.rev = 1,
		.claim = *task->claim,
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
		.source_tag = task->source_tag,
	};

	if (is_credited_elsewhere(group, task->claim, key))
		return ERR_EXISTS;
	if (!rows_has_room(group, &rec))
		return ERR_FULL;
	bytes_random(rec.id, sizeof(rec.id));
	ledger_tx_add(&group->tx, TABLE_CLAIM_IDS, rec.id, sizeof(rec.id), key,
		      CLAIM_KEY_SIZE);
	rows_move_claim(group, key, NULL, &rec);
	rows_did(group, T1);
	answer_accept(task, &rec, true);
	return 0;
}

static int accept_claim(struct group *group, struct ledger_task *task)
{
	struct held_claim held;
	int err;

	claim_key(task->claim, held.key);
	err = rows_load_claim(group, &held);
	if (err == ERR_NOTFOUND && !group->tx.err)
		return accept_new(group, task, held.key);
	return err ? err : accept_known(group, task, &held);
}

/* ---- T8 convert ---- */

static int convert_one(struct group *group, const uint8_t *node,
		       struct entitlement *ent, const struct credit *credit)
{
	struct priced priced = offers_convert(group->offers, group->now_s,
					      credit->chain_id, credit->token);
	struct entry entry = {.type = ENTRY_CONVERT, .at_s = group->deny_s};
	const struct offer_option *option = priced.option;
	struct u256 least;
	int err;

	if (!option ||
	    u256_mul_u32(&option->terms.price, option->terms.min_units,
			 &least) ||
	    u256_compare(&credit->amount, &least) < 0)
		return 0;
	entry.min_units = option->terms.min_units;
	entry.max_units = option->terms.max_units;
	entry.unit_s = option->terms.unit_s;
	entry.price = option->terms.price;
	entry.chain_id = credit->chain_id;
	entry.option_id = option->id;
	memcpy(entry.token, credit->token, ADDRESS_SIZE);
	memcpy(entry.payee, option->payee, ADDRESS_SIZE);
	memcpy(entry.offer_hash, priced.offer->hash, 32);
	err = rows_append_entry(group, node, ent, &entry);
	if (err)
		return err;
	offers_mark(group, &priced.offer->offer);
	rows_node_event(group, T8, node, 0, entry.units, NULL);
	rows_did(group, T8);
	return 0;
}

static int convert_node(struct group *group, const uint8_t *node)
{
	struct entitlement ent, before;
	MDB_val value;
	int err = 0;

	if (!ledger_tx_get(&group->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE,
			   &value))
		return ERR_NOTFOUND;
	err = rows_load_node(group, node, &ent);
	before = ent;
	for (unsigned i = 0; i < before.credits_count && !err; i++) {
		if (ent.expiry_s > group->deny_s ||
		    ent.flags & ENTITLEMENT_NO_END)
			break;
		err = convert_one(group, node, &ent, &before.credits[i]);
	}
	return err;
}

/* ---- offers and chains ---- */

static int take_offer(struct group *group, const struct ledger_task *task)
{
	uint8_t key[8];
	uint8_t row[32 + OFFER_SIZE_MAX];
	uint8_t hash[32];
	struct kept_offers *more;
	struct offer offer;
	int err = offer_open(task->offer, task->offer_size, &offer, hash);

	if (err)
		return err;
	if (group->offers &&
	    offer.sequence <= group->offers->list[group->offers->count - 1]
				      ->offer.sequence)
		return ERR_CONFLICT;
	be64_store(key, offer.sequence);
	memcpy(row, hash, 32);
	memcpy(row + 32, task->offer, task->offer_size);
	ledger_tx_add(&group->tx, TABLE_OFFERS, key, sizeof(key), row,
		      32 + task->offer_size);
	ledger_tx_add(&group->tx, TABLE_OFFER_IDS, hash, sizeof(hash), key,
		      sizeof(key));
	more = offers_with(group->offers, &offer, hash, task->offer,
			   task->offer_size);
	if (!more)
		return ERR_NOMEM;
	group->offers = more;
	return 0;
}

static int take_chain(struct group *group, const struct ledger_task *task)
{
	uint8_t key[META_KEY_SIZE];
	MDB_val value;

	meta_key("chain", task->chain_id, key);
	if (!ledger_tx_get(&group->tx, TABLE_META, key, sizeof(key), &value)) {
		ledger_tx_add(&group->tx, TABLE_META, key, sizeof(key),
			      task->hash, 32);
		return 0;
	}
	return value.mv_size == 32 && !memcmp(value.mv_data, task->hash, 32)
		       ? 0
		       : ERR_CONFLICT;
}

/* ---- housekeeping ---- */

bool write_is_kept(const struct claim_record *rec, uint64_t now_s)
{
	bool is_old = rec->updated_s + KEEP_S <= now_s;

	return !(is_old &&
		 (rec->state == CLAIM_REJECTED ||
		  (rec->state == CLAIM_SETTLED && rec->claim.proof_size > 0)));
}

void write_keep(struct group *group, const uint8_t key[static CLAIM_KEY_SIZE])
{
	uint8_t bytes[CLAIM_RECORD_MAX];
	struct held_claim held;

	memcpy(held.key, key, CLAIM_KEY_SIZE);
	if (rows_load_claim(group, &held) ||
	    write_is_kept(&held.rec, group->now_s))
		return;
	if (held.rec.state == CLAIM_SETTLED) {
		held.rec.claim.proof_size = 0;
		ledger_tx_put(&group->tx, TABLE_CLAIMS, key, CLAIM_KEY_SIZE,
			      bytes, claim_record_encode(&held.rec, bytes));
		return;
	}
	ledger_tx_del(&group->tx, TABLE_CLAIMS, key, CLAIM_KEY_SIZE);
	ledger_tx_del(&group->tx, TABLE_CLAIM_IDS, held.rec.id, CLAIM_ID_SIZE);
	group->tally.by_state[CLAIM_REJECTED]--;
}

bool write_keep_events(struct group *group, uint64_t *from)
{
	uint64_t keep_s = group->ledger->config.claim_window_s;
	uint64_t indexes[KEEP_EVENTS];
	struct ledger_event event;
	struct ledger_walk walk;
	size_t count = 0;
	uint8_t key[8];
	bool is_end = true;

	be64_store(key, *from);
	ledger_walk_init(&walk, &group->tx, TABLE_EVENTS, key, sizeof(key));
	while (count < KEEP_EVENTS && ledger_walk_next(&walk)) {
		/* Indexes go on where they were, and fsck looks after that. */
		is_end = event_decode(walk.value.mv_data, walk.value.mv_size,
				      &event) ||
			 event.index + 1 >= group->tally.next_event ||
			 event.at_s + KEEP_EVENTS_S + keep_s > group->now_s;
		if (is_end)
			break;
		*from = event.index + 1;
		if (event.kind < LEDGER_KIND_ORDER)
			indexes[count++] = event.index;
	}
	ledger_walk_release(&walk);
	for (size_t i = 0; i < count; i++) {
		be64_store(key, indexes[i]);
		ledger_tx_del(&group->tx, TABLE_EVENTS, key, sizeof(key));
	}
	return !is_end;
}

/* ---- one result ---- */

static int write_task(struct group *group, struct ledger_task *task)
{
	switch (task->op) {
	case LEDGER_ACCEPT:
		return accept_claim(group, task);
	case LEDGER_CONVERT:
		return convert_node(group, task->node);
	case LEDGER_OFFER:
		return take_offer(group, task);
	case LEDGER_CHAIN:
		return take_chain(group, task);
	case LEDGER_GRANT:
		return operate_grant(group, task);
	case LEDGER_SUSPEND:
		return operate_adjust(group, task, ADJUST_SUSPEND);
	case LEDGER_RESUME:
		return operate_adjust(group, task, ADJUST_RESUME);
	case LEDGER_REVOKE:
		return operate_revoke(group, task);
	case LEDGER_CANCEL:
	case LEDGER_RECHECK:
		return operate_claim(group, task);
	case LEDGER_ALARM:
		return orders_alarm(group, task);
	case LEDGER_ACKNOWLEDGE:
		return orders_acknowledge(group, task);
	case LEDGER_MODE:
		return orders_mode(group, task);
	case LEDGER_MODE_NOW:
		return orders_mode_now(group, task);
	case LEDGER_FINAL:
		return orders_final(group, task);
	case LEDGER_FINDING:
	case LEDGER_BATCH:
		return 0; /* a result for each finding, below */
	}
	return ERR_UNSUPPORTED;
}

void write_result(struct group *group, struct result *result)
{
	bool had_written = group->tx.has_written;

	group->tx.has_written = false;
	result->err = result->finding ? carry_finding(group, result->finding)
				      : write_task(group, result->task);
	/* What has written in part cannot stay in the transaction. */
	if (result->err && group->tx.has_written && !group->tx.err)
		group->tx.err = result->err;
	if (group->tx.err)
		result->err = group->tx.err;
	group->tx.has_written |= had_written;
}
