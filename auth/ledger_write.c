/* T1 to T8 and the operator's changes (payments.md §12.2), each a part of one
 * LMDB transaction. What fails before it has written fails alone. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"

/* §18.3: rejected claims and the proofs of settled ones stay so long. */
#define KEEP_S (30 * 86400ull)
/* Grants of one node that one order can revoke. */
#define REVOKE_MAX 256

enum { T1 = 1, T2, T3, T4, T5, T6, T7, T8 };

/* A claim read from the disk with its proof held beside it. */
struct held {
	uint8_t key[CLAIM_KEY_SIZE];
	uint8_t proof[CLAIM_PROOF_MAX];
	struct claim_record rec;
};

static void did(struct group *group, unsigned t)
{
	group->did |= 1u << t;
}

static int load_claim(struct group *group, struct held *held)
{
	MDB_val value;
	int err;

	if (!ledger_tx_get(&group->tx, TABLE_CLAIMS, held->key, CLAIM_KEY_SIZE,
			   &value))
		return ERR_NOTFOUND;
	err = claim_record_decode(value.mv_data, value.mv_size, &held->rec);
	if (err)
		return err;
	memcpy(held->proof, held->rec.claim.proof, held->rec.claim.proof_size);
	held->rec.claim.proof = held->proof;
	return 0;
}

static int load_claim_id(struct group *group, const uint8_t *id,
			 struct held *held)
{
	MDB_val value;

	if (!ledger_tx_get(&group->tx, TABLE_CLAIM_IDS, id, CLAIM_ID_SIZE,
			   &value))
		return ERR_NOTFOUND;
	if (value.mv_size != CLAIM_KEY_SIZE)
		return ERR_CORRUPT;
	memcpy(held->key, value.mv_data, CLAIM_KEY_SIZE);
	return load_claim(group, held);
}

/* ---- counters of memory, undone with the transaction ---- */

static void *grow(struct group *group, void *list, size_t count, size_t *max,
		  size_t size)
{
	size_t more = *max ? 2 * *max : 64;

	if (count < *max)
		return list;
	list = reallocarray(list, more, size);
	if (list)
		*max = more;
	else
		group->tx.err = ERR_NOMEM;
	return list;
}

static void keyed_hash(const struct ledger *ledger, uint8_t kind,
		       const uint8_t *bytes, size_t len, uint64_t *out)
{
	uint8_t hash[KECCAK_DIGEST];
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, ledger->source_key, SOURCE_KEY_SIZE);
	keccak_absorb(&k, &kind, 1);
	keccak_absorb(&k, bytes, len);
	keccak_peek(&k, hash);
	*out = be64_load(hash);
}

uint64_t ledger_source_tag(const struct ledger *ledger, const uint8_t *source,
			   size_t len)
{
	uint64_t tag;

	keyed_hash(ledger, 0, source, len, &tag);
	return tag;
}

/*
 * Anybody may name anybody's node, and anybody's contract wallet as payer. So
 * that nobody uses up the places of others (§16.3), those of a node count by
 * who sent the claim, and payers who have signed apart from those who have
 * only been named.
 */
void write_count_keys(const struct ledger *ledger,
		      const struct claim_record *rec, uint64_t out[static 3])
{
	const struct claim *claim = &rec->claim;
	uint8_t named[SECP_PUBLIC_SIZE + 8];

	memcpy(named, claim->node, SECP_PUBLIC_SIZE);
	be64_store(named + SECP_PUBLIC_SIZE, rec->source_tag);
	out[0] = rec->source_tag;
	keyed_hash(ledger, 1, named, sizeof(named), &out[1]);
	keyed_hash(ledger, claim->scheme == CLAIM_SIGNATURE ? 2 : 3,
		   claim->payer, ADDRESS_SIZE, &out[2]);
}

static void count_one(struct group *group, uint64_t key, bool is_added)
{
	struct undo *undo = grow(group, group->undo, group->undo_count,
				 &group->undo_max, sizeof(*undo));

	if (!undo)
		return;
	group->undo = undo;
	if (!is_added) {
		counts_sub(&group->ledger->counts, key);
	} else if (counts_add(&group->ledger->counts, key)) {
		group->tx.err = ERR_FULL;
		return;
	}
	group->undo[group->undo_count++] = (struct undo){key, is_added};
}

static void count_claim(struct group *group, const struct claim_record *rec,
			bool is_added)
{
	uint64_t keys[3];

	write_count_keys(group->ledger, rec, keys);
	for (int i = 0; i < 3; i++)
		count_one(group, keys[i], is_added);
}

static bool has_room(const struct group *group, const struct claim_record *rec)
{
	const struct ledger_config *config = &group->ledger->config;
	const struct counts *counts = &group->ledger->counts;
	uint64_t open = 0;
	uint64_t keys[3];

	for (int i = CLAIM_RECEIVED; i <= CLAIM_REORGED; i++)
		if (claim_is_open((enum claim_state)i))
			open += group->tally.by_state[i];
	write_count_keys(group->ledger, rec, keys);
	return open < config->open_max &&
	       counts_get(counts, keys[0]) < config->open_per_source &&
	       counts_get(counts, keys[1]) < config->open_per_node &&
	       counts_get(counts, keys[2]) < config->open_per_payer;
}

/* ---- the one door through which a claim changes ---- */

static void move_due(struct group *group, const uint8_t *key,
		     const struct claim_record *old,
		     const struct claim_record *next)
{
	uint8_t row[DUE_KEY_SIZE];

	if (old && old->due_ms == next->due_ms)
		return;
	if (old && old->due_ms) {
		due_key(old->due_ms, key, row);
		ledger_tx_del(&group->tx, TABLE_DUE, row, sizeof(row));
	}
	if (next->due_ms) {
		due_key(next->due_ms, key, row);
		ledger_tx_add(&group->tx, TABLE_DUE, row, sizeof(row), "", 0);
	}
}

static void move_height(struct group *group, const uint8_t *key,
			const struct claim_record *old,
			const struct claim_record *next)
{
	bool had = old && claim_has_height(old->state);
	bool has = claim_has_height(next->state);
	uint8_t row[HEIGHT_KEY_SIZE];

	if (had && has && old->block == next->block)
		return;
	if (had) {
		height_key(old->claim.chain_id, old->block, key, row);
		ledger_tx_del(&group->tx, TABLE_HEIGHTS, row, sizeof(row));
	}
	if (has) {
		height_key(next->claim.chain_id, next->block, key, row);
		ledger_tx_add(&group->tx, TABLE_HEIGHTS, row, sizeof(row), "",
			      0);
	}
}

static void note_change(struct group *group, const uint8_t *key,
			const struct claim_record *rec)
{
	struct ledger_change *change =
		grow(group, group->changes, group->changes_count,
		     &group->changes_max, sizeof(*change));

	if (!change)
		return;
	group->changes = change;
	change += group->changes_count++;
	memcpy(change->key, key, CLAIM_KEY_SIZE);
	memcpy(change->claim_id, rec->id, CLAIM_ID_SIZE);
	memcpy(change->node, rec->claim.node, SECP_PUBLIC_SIZE);
	change->rev = rec->rev;
	change->state = rec->state;
}

/* Do the same keys count both? */
static bool counts_alike(const struct claim_record *a,
			 const struct claim_record *b)
{
	return a->source_tag == b->source_tag &&
	       a->claim.scheme == b->claim.scheme;
}

static void move_counts(struct group *group, const struct claim_record *old,
			const struct claim_record *next)
{
	bool was_open = old && claim_is_open(old->state);
	bool is_open = claim_is_open(next->state);
	bool is_same = was_open && is_open && counts_alike(old, next);

	if (old)
		group->tally.by_state[old->state]--;
	group->tally.by_state[next->state]++;
	if (was_open && !is_same)
		count_claim(group, old, false);
	if (is_open && !is_same)
		count_claim(group, next, true);
}

static void move_claim(struct group *group, const uint8_t *key,
		       const struct claim_record *old,
		       const struct claim_record *next)
{
	uint8_t bytes[CLAIM_RECORD_MAX];
	size_t size = claim_record_encode(next, bytes);

	assert(key && claim_is_open(next->state) == (next->due_ms != 0));
	if (old)
		ledger_tx_put(&group->tx, TABLE_CLAIMS, key, CLAIM_KEY_SIZE,
			      bytes, size);
	else
		ledger_tx_add(&group->tx, TABLE_CLAIMS, key, CLAIM_KEY_SIZE,
			      bytes, size);
	move_due(group, key, old, next);
	move_height(group, key, old, next);
	if (group->tx.err)
		return;
	move_counts(group, old, next);
	note_change(group, key, next);
}

/* ---- events ---- */

void write_event(struct group *group, struct ledger_event *event)
{
	struct ledger_event *list =
		grow(group, group->events, group->events_count,
		     &group->events_max, sizeof(*list));
	uint8_t bytes[EVENT_SIZE_MAX];
	uint8_t key[8];

	if (!list)
		return;
	group->events = list;
	event->index = group->tally.next_event++;
	event->at_s = group->now_s;
	be64_store(key, event->index);
	ledger_tx_add(&group->tx, TABLE_EVENTS, key, sizeof(key), bytes,
		      event_encode(event, bytes));
	if (event->kind >= LEDGER_KIND_ORDER)
		orders_index(group, event->index);
	list[group->events_count++] = *event;
}

static void put_claim_event(struct group *group, unsigned kind,
			    const uint8_t *key, const struct claim_record *old,
			    const struct claim_record *next, uint32_t units,
			    const char *text)
{
	struct ledger_event event = {
		.kind = (uint8_t)kind,
		.from = old->state,
		.to = next->state,
		.reason = next->reason,
		.chain_id = next->claim.chain_id,
		.block = next->block,
		.units = units,
	};

	memcpy(event.claim_key, key, CLAIM_KEY_SIZE);
	memcpy(event.claim_id, next->id, CLAIM_ID_SIZE);
	memcpy(event.node, next->claim.node, SECP_PUBLIC_SIZE);
	(void)snprintf(event.text, sizeof(event.text), "%s", text ? text : "");
	write_event(group, &event);
}

static void put_node_event(struct group *group, unsigned kind,
			   const uint8_t *node, uint64_t seq, uint32_t units,
			   const char *text)
{
	struct ledger_event event = {
		.kind = (uint8_t)kind, .block = seq, .units = units};

	memcpy(event.node, node, SECP_PUBLIC_SIZE);
	(void)snprintf(event.text, sizeof(event.text), "%s", text ? text : "");
	write_event(group, &event);
}

/* ---- records of nodes ---- */

/* A node without a record gets an empty one. */
static int load_node(struct group *group, const uint8_t *node,
		     struct entitlement *ent)
{
	MDB_val value;

	if (ledger_tx_get(&group->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE,
			  &value))
		return entitlement_decode(value.mv_data, value.mv_size, ent);
	*ent = (struct entitlement){.created_s = group->now_s, .next_seq = 1};
	return group->tx.err;
}

static void store_node(struct group *group, const uint8_t *node,
		       struct entitlement *ent)
{
	uint8_t bytes[ENTITLEMENT_SIZE_MAX];

	ent->updated_s = group->now_s;
	ledger_tx_put(&group->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE, bytes,
		      entitlement_encode(ent, bytes));
}

static void store_entry(struct group *group, const uint8_t *node, uint64_t seq,
			const struct entry *entry, bool is_new)
{
	uint8_t key[ENTRY_KEY_SIZE];
	uint8_t bytes[ENTRY_SIZE];

	entry_key(node, seq, key);
	entry_encode(entry, bytes);
	if (is_new)
		ledger_tx_add(&group->tx, TABLE_LEDGER, key, sizeof(key), bytes,
			      sizeof(bytes));
	else
		ledger_tx_put(&group->tx, TABLE_LEDGER, key, sizeof(key), bytes,
			      sizeof(bytes));
}

static int load_entry(struct group *group, const uint8_t *node, uint64_t seq,
		      struct entry *entry)
{
	uint8_t key[ENTRY_KEY_SIZE];
	MDB_val value;

	entry_key(node, seq, key);
	if (!ledger_tx_get(&group->tx, TABLE_LEDGER, key, sizeof(key), &value))
		return ERR_NOTFOUND;
	return entry_decode(value.mv_data, value.mv_size, entry);
}

/* Add an entry and its effect; its seq is ent->next_seq - 1 afterwards. */
static int append_entry(struct group *group, const uint8_t *node,
			struct entitlement *ent, struct entry *entry)
{
	struct plan_result result = {0};
	int err = fold_apply(ent, entry, &result);

	if (err)
		return err;
	entry->units = result.units;
	entry->credit_after = result.credit;
	entry->expiry_after_s = ent->expiry_s;
	store_entry(group, node, ent->next_seq++, entry, true);
	store_node(group, node, ent);
	return group->tx.err;
}

/* The grace of a node ends with that of its first reorged payment. */
static void fold_deadline(struct group *group, const uint8_t *node,
			  const struct entry *entry, struct entitlement *ent)
{
	uint64_t grace_s = group->ledger->config.reorg_grace_s;
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_record rec;
	MDB_val value;

	if (entry->type != ENTRY_CREDIT ||
	    entry->flags & (ENTRY_VOID | ENTRY_SETTLED))
		return;
	fold_claim_key(node, entry, key);
	if (!ledger_tx_get(&group->tx, TABLE_CLAIMS, key, sizeof(key),
			   &value) ||
	    claim_record_decode(value.mv_data, value.mv_size, &rec) ||
	    rec.state != CLAIM_REORGED)
		return;
	ent->flags |= ENTITLEMENT_REORG_GRACE;
	if (ent->reorg_deadline_s == 0 ||
	    rec.updated_s + grace_s < ent->reorg_deadline_s)
		ent->reorg_deadline_s = rec.updated_s + grace_s;
}

/* The record anew, from all entries (§12.3). */
static int refold(struct group *group, const uint8_t *node,
		  struct entitlement *ent)
{
	uint8_t from[ENTRY_KEY_SIZE];
	struct ledger_walk walk;
	struct entitlement old;
	struct entry entry;
	int err = load_node(group, node, &old);

	if (err)
		return err;
	*ent = (struct entitlement){.created_s = old.created_s,
				    .quota = old.quota,
				    .next_seq = old.next_seq};
	entry_key(node, 0, from);
	ledger_walk_init(&walk, &group->tx, TABLE_LEDGER, from, sizeof(from));
	while (!err && ledger_walk_next(&walk) &&
	       walk.key.mv_size == ENTRY_KEY_SIZE &&
	       !memcmp(walk.key.mv_data, node, SECP_PUBLIC_SIZE)) {
		err = entry_decode(walk.value.mv_data, walk.value.mv_size,
				   &entry);
		if (!err)
			err = fold_apply(ent, &entry, NULL);
		if (!err)
			fold_deadline(group, node, &entry, ent);
	}
	ledger_walk_release(&walk);
	return err ? err : group->tx.err;
}

static int refold_and_store(struct group *group, const uint8_t *node)
{
	struct entitlement ent;
	int err = refold(group, node, &ent);

	if (!err)
		store_node(group, node, &ent);
	return err;
}

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
			struct held *held)
{
	struct claim_record from = held->rec;
	bool is_reopened = claim_is_reopened(&held->rec) ||
			   is_other_proof(&held->rec, task->claim);
	struct step step;

	if (!is_reopened && !is_proved_now(&held->rec, task->claim)) {
		answer_accept(task, &held->rec, false);
		return 0;
	}
	/* It counts for whoever sent it now, and has the proof sent now. */
	from.source_tag = task->source_tag;
	from.claim = *task->claim;
	if (!has_room(group, &from))
		return ERR_FULL;
	if (is_reopened)
		step_reopen(&from, group->now_ms, &step);
	else
		step_recheck(&from, group->now_ms, &step);
	move_claim(group, held->key, &held->rec, &step.next);
	did(group, T1);
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
	if (!has_room(group, &rec))
		return ERR_FULL;
	bytes_random(rec.id, sizeof(rec.id));
	ledger_tx_add(&group->tx, TABLE_CLAIM_IDS, rec.id, sizeof(rec.id), key,
		      CLAIM_KEY_SIZE);
	move_claim(group, key, NULL, &rec);
	did(group, T1);
	answer_accept(task, &rec, true);
	return 0;
}

static int accept_claim(struct group *group, struct ledger_task *task)
{
	struct held held;
	int err;

	claim_key(task->claim, held.key);
	err = load_claim(group, &held);
	if (err == ERR_NOTFOUND && !group->tx.err)
		return accept_new(group, task, held.key);
	return err ? err : accept_known(group, task, &held);
}

/* ---- T2 to T7: what a finding does ---- */

struct work {
	struct group *group;
	const struct held *held;
	const struct finding *finding;
	struct credited credited;
	struct priced price;
	struct step step;
};

static int carry_reject(struct work *w)
{
	move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	put_claim_event(w->group, T7, w->held->key, &w->held->rec,
			&w->step.next, 0, NULL);
	did(w->group, T7);
	return 0;
}

static int reject_as(struct work *w, enum claim_reason reason)
{
	step_reject(&w->held->rec, reason, w->group->now_ms, &w->step);
	return carry_reject(w);
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
	struct income *income = grow(group, group->income, group->income_count,
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
	err = load_node(w->group, node, &ent);
	if (!err)
		err = append_entry(w->group, node, &ent, &entry);
	if (err == ERR_RANGE)
		return reject_as(w, CLAIM_AMOUNT_OVERFLOW);
	if (err)
		return err;
	store_payment(w, PAYMENT_CREDITED, ent.next_seq - 1);
	move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	put_claim_event(w->group, T3, w->held->key, &w->held->rec,
			&w->step.next, entry.units, NULL);
	note_income(w, &entry);
	did(w->group, T3);
	return 0;
}

static int carry_settle(struct work *w)
{
	const uint8_t *node = w->held->rec.claim.node;
	struct entry *entry = &w->credited.entry;
	struct entitlement ent;
	int err = load_node(w->group, node, &ent);

	if (err)
		return err;
	if (ent.unsettled == 0)
		return ERR_CORRUPT;
	/* The block it is settled in, for the books. */
	entry->flags |= ENTRY_SETTLED;
	entry->block = w->finding->block;
	entry->block_time_s = w->finding->block_time_s;
	memcpy(entry->block_hash, w->finding->block_hash, 32);
	store_entry(w->group, node, w->credited.payment.seq, entry, false);
	if (--ent.unsettled == 0)
		ent.flags &= (uint16_t)~ENTITLEMENT_UNSETTLED;
	store_node(w->group, node, &ent);
	move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	put_claim_event(w->group, T4, w->held->key, &w->held->rec,
			&w->step.next, entry->units, NULL);
	did(w->group, T4);
	return 0;
}

/* T5 in both directions: the deadline on the record follows the claim. */
static int carry_reorg(struct work *w)
{
	move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	put_claim_event(w->group, T5, w->held->key, &w->held->rec,
			&w->step.next, 0, NULL);
	did(w->group, T5);
	return refold_and_store(w->group, w->held->rec.claim.node);
}

static void void_entry(struct work *w)
{
	w->credited.entry.flags |= ENTRY_VOID;
	store_entry(w->group, w->held->rec.claim.node, w->credited.payment.seq,
		    &w->credited.entry, false);
}

static int carry_revoke(struct work *w)
{
	void_entry(w);
	store_payment(w, PAYMENT_VOID, w->credited.payment.seq);
	move_claim(w->group, w->held->key, &w->held->rec, &w->step.next);
	put_claim_event(w->group, T6, w->held->key, &w->held->rec,
			&w->step.next, w->credited.entry.units, NULL);
	did(w->group, T6);
	return refold_and_store(w->group, w->held->rec.claim.node);
}

/* The other value cannot be counted: what it gave is taken, as if it had
 * vanished. */
static int carry_overflow(struct work *w, struct entitlement *ent)
{
	struct claim_record *next = &w->step.next;

	next->state = CLAIM_REORGED;
	next->reason = CLAIM_AMOUNT_OVERFLOW;
	store_node(w->group, next->claim.node, ent);
	store_payment(w, PAYMENT_VOID, w->credited.payment.seq);
	move_claim(w->group, w->held->key, &w->held->rec, next);
	put_claim_event(w->group, T6, w->held->key, &w->held->rec, next,
			w->credited.entry.units, NULL);
	did(w->group, T6);
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
	err = refold(w->group, node, &ent);
	if (!err)
		err = append_entry(w->group, node, &ent, &entry);
	if (err == ERR_RANGE)
		return carry_overflow(w, &ent);
	if (err)
		return err;
	store_payment(w, PAYMENT_CREDITED, ent.next_seq - 1);
	move_claim(w->group, w->held->key, old, &w->step.next);
	put_claim_event(w->group, T6, w->held->key, old, &w->step.next,
			w->credited.entry.units, text);
	put_claim_event(w->group, T3, w->held->key, old, &w->step.next,
			entry.units, text);
	did(w->group, T3);
	did(w->group, T6);
	return 0;
}

static int carry_out(struct work *w)
{
	switch (w->step.kind) {
	case STEP_NOTHING:
		return 0;
	case STEP_PROGRESS:
		move_claim(w->group, w->held->key, &w->held->rec,
			   &w->step.next);
		did(w->group, T2);
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
		return carry_reject(w);
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

static int take_finding(struct group *group, const struct finding *finding)
{
	const struct ledger_config *config = &group->ledger->config;
	struct held held;
	struct work w = {.group = group, .held = &held, .finding = finding};
	struct step_input in = {
		.rec = &held.rec,
		.finding = finding,
		.now_ms = group->now_ms,
	};
	int err;

	memcpy(held.key, finding->claim_key, CLAIM_KEY_SIZE);
	err = load_claim(group, &held);
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
	err = append_entry(group, node, ent, &entry);
	if (err)
		return err;
	put_node_event(group, T8, node, 0, entry.units, NULL);
	did(group, T8);
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
	err = load_node(group, node, &ent);
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

/* ---- the operator ---- */

static int add_operator_entry(struct group *group,
			      const struct ledger_task *task,
			      struct entry *entry)
{
	struct entitlement ent;
	int err = load_node(group, task->node, &ent);

	entry->at_s = group->deny_s;
	if (!err)
		err = append_entry(group, task->node, &ent, entry);
	if (!err)
		put_node_event(group, LEDGER_KIND_ORDER + (unsigned)task->op,
			       task->node, ent.next_seq - 1, 0, task->text);
	return err;
}

static int grant(struct group *group, const struct ledger_task *task)
{
	struct entry entry = {.type = ENTRY_GRANT, .unit_s = task->seconds};

	return add_operator_entry(group, task, &entry);
}

static int adjust(struct group *group, const struct ledger_task *task,
		  enum adjust_kind kind)
{
	struct entry entry = {.type = ENTRY_ADJUST,
			      .option_id = (uint16_t)kind};
	struct entitlement ent;
	bool is_suspended;
	int err = load_node(group, task->node, &ent);

	if (err)
		return err;
	is_suspended = ent.flags & ENTITLEMENT_SUSPENDED;
	if (kind == ADJUST_RESUME && !is_suspended)
		return ERR_NOTFOUND;
	if (kind == ADJUST_SUSPEND && is_suspended)
		return ERR_EXISTS;
	return add_operator_entry(group, task, &entry);
}

/* The seqs of the node's grants that count, or the one asked for. */
static int find_grants(struct group *group, const struct ledger_task *task,
		       uint64_t seqs[static REVOKE_MAX], size_t *count)
{
	uint8_t from[ENTRY_KEY_SIZE];
	struct ledger_walk walk;
	struct entry entry;
	int err = 0;

	entry_key(task->node, task->seq, from);
	ledger_walk_init(&walk, &group->tx, TABLE_LEDGER, from, sizeof(from));
	while (!err && *count < REVOKE_MAX && ledger_walk_next(&walk) &&
	       !memcmp(walk.key.mv_data, task->node, SECP_PUBLIC_SIZE)) {
		const uint8_t *key = walk.key.mv_data;
		uint64_t seq = be64_load(key + SECP_PUBLIC_SIZE);

		if (task->seq && seq != task->seq)
			break;
		err = entry_decode(walk.value.mv_data, walk.value.mv_size,
				   &entry);
		if (!err && entry.type == ENTRY_GRANT &&
		    !(entry.flags & ENTRY_VOID))
			seqs[(*count)++] = seq;
		else if (!err && task->seq)
			err = ERR_DENIED; /* what was paid for stays */
	}
	ledger_walk_release(&walk);
	if (!err && *count == 0)
		err = ERR_NOTFOUND;
	return err;
}

static int revoke_grants(struct group *group, const struct ledger_task *task)
{
	struct entry order = {.type = ENTRY_ADJUST, .option_id = ADJUST_REVOKE};
	uint64_t seqs[REVOKE_MAX];
	struct entry entry;
	size_t count = 0;
	int err = find_grants(group, task, seqs, &count);

	for (size_t i = 0; i < count && !err; i++) {
		err = load_entry(group, task->node, seqs[i], &entry);
		if (err)
			break;
		entry.flags |= ENTRY_VOID;
		store_entry(group, task->node, seqs[i], &entry, false);
	}
	if (!err)
		err = refold_and_store(group, task->node);
	order.refers_to = count ? seqs[0] : 0;
	return err ? err : add_operator_entry(group, task, &order);
}

static int operate_on_claim(struct group *group, struct ledger_task *task)
{
	bool is_cancel = task->op == LEDGER_CANCEL;
	struct credited credited;
	struct held held;
	struct step step;
	bool is_open;
	int err = load_claim_id(group, task->claim_id, &held);

	if (err)
		return err;
	read_credited(&group->tx, &held.rec.claim, held.key, &credited);
	is_open = claim_is_open(held.rec.state);
	/* §16.4: only what is not active can be cancelled. */
	if (is_cancel ? !is_open || credited.is_credited
		      : held.rec.state == CLAIM_SETTLED)
		return ERR_DENIED;
	if (is_cancel)
		step_reject(&held.rec, CLAIM_CANCELLED, group->now_ms, &step);
	else if (is_open)
		step_recheck(&held.rec, group->now_ms, &step);
	else
		step_reopen(&held.rec, group->now_ms, &step);
	move_claim(group, held.key, &held.rec, &step.next);
	put_claim_event(group, LEDGER_KIND_ORDER + (unsigned)task->op, held.key,
			&held.rec, &step.next, 0, task->text);
	did(group, is_cancel ? T7 : T2);
	return 0;
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
	struct held held;

	memcpy(held.key, key, CLAIM_KEY_SIZE);
	if (load_claim(group, &held) || write_is_kept(&held.rec, group->now_s))
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
		return grant(group, task);
	case LEDGER_SUSPEND:
		return adjust(group, task, ADJUST_SUSPEND);
	case LEDGER_RESUME:
		return adjust(group, task, ADJUST_RESUME);
	case LEDGER_REVOKE:
		return revoke_grants(group, task);
	case LEDGER_CANCEL:
	case LEDGER_RECHECK:
		return operate_on_claim(group, task);
	case LEDGER_ALARM:
		return orders_alarm(group, task);
	case LEDGER_ACKNOWLEDGE:
		return orders_acknowledge(group, task);
	case LEDGER_MODE:
		return orders_mode(group, task);
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
	result->err = result->finding ? take_finding(group, result->finding)
				      : write_task(group, result->task);
	/* What has written in part cannot stay in the transaction. */
	if (result->err && group->tx.has_written && !group->tx.err)
		group->tx.err = result->err;
	if (group->tx.err)
		result->err = group->tx.err;
	group->tx.has_written |= had_written;
}
