#include "auth/ledger_rows.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"

void rows_did(struct group *group, unsigned t)
{
	group->did |= 1u << t;
}

int rows_load_claim(struct group *group, struct held_claim *held)
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

int rows_load_claim_id(struct group *group, const uint8_t *id,
		       struct held_claim *held)
{
	MDB_val value;

	if (!ledger_tx_get(&group->tx, TABLE_CLAIM_IDS, id, CLAIM_ID_SIZE,
			   &value))
		return ERR_NOTFOUND;
	if (value.mv_size != CLAIM_KEY_SIZE)
		return ERR_CORRUPT;
	memcpy(held->key, value.mv_data, CLAIM_KEY_SIZE);
	return rows_load_claim(group, held);
}

/* ---- counters of memory, undone with the transaction ---- */

void *rows_grow(struct group *group, void *list, size_t count, size_t *max,
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
void rows_count_keys(const struct ledger *ledger,
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
	struct undo *undo = rows_grow(group, group->undo, group->undo_count,
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

	rows_count_keys(group->ledger, rec, keys);
	for (int i = 0; i < 3; i++)
		count_one(group, keys[i], is_added);
}

bool rows_has_room(const struct group *group, const struct claim_record *rec)
{
	const struct ledger_config *config = &group->ledger->config;
	const struct counts *counts = &group->ledger->counts;
	uint64_t open = 0;
	uint64_t keys[3];

	for (int i = CLAIM_RECEIVED; i <= CLAIM_REORGED; i++)
		if (claim_is_open((enum claim_state)i))
			open += group->tally.by_state[i];
	rows_count_keys(group->ledger, rec, keys);
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
		rows_grow(group, group->changes, group->changes_count,
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

void rows_move_claim(struct group *group, const uint8_t *key,
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

void rows_event(struct group *group, struct ledger_event *event)
{
	struct ledger_event *list =
		rows_grow(group, group->events, group->events_count,
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

void rows_claim_event(struct group *group, unsigned kind, const uint8_t *key,
		      const struct claim_record *old,
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
	rows_event(group, &event);
}

void rows_node_event(struct group *group, unsigned kind, const uint8_t *node,
		     uint64_t seq, uint32_t units, const char *text)
{
	struct ledger_event event = {
		.kind = (uint8_t)kind, .block = seq, .units = units};

	memcpy(event.node, node, SECP_PUBLIC_SIZE);
	(void)snprintf(event.text, sizeof(event.text), "%s", text ? text : "");
	rows_event(group, &event);
}

/* ---- records of nodes ---- */

int rows_load_node(struct group *group, const uint8_t *node,
		   struct entitlement *ent)
{
	MDB_val value;

	if (ledger_tx_get(&group->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE,
			  &value))
		return entitlement_decode(value.mv_data, value.mv_size, ent);
	*ent = (struct entitlement){.created_s = group->now_s, .next_seq = 1};
	return group->tx.err;
}

static void note_node(struct group *group, const uint8_t *node,
		      const struct entitlement *ent)
{
	struct node_change *change =
		rows_grow(group, group->nodes, group->nodes_count,
			  &group->nodes_max, sizeof(*change));

	if (!change)
		return;
	group->nodes = change;
	change += group->nodes_count++;
	memcpy(change->node, node, SECP_PUBLIC_SIZE);
	change->standing = roster_standing(ent);
}

void rows_store_node(struct group *group, const uint8_t *node,
		     struct entitlement *ent)
{
	uint8_t bytes[ENTITLEMENT_SIZE_MAX];

	ent->updated_s = group->now_s;
	ledger_tx_put(&group->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE, bytes,
		      entitlement_encode(ent, bytes));
	note_node(group, node, ent);
}

void rows_store_entry(struct group *group, const uint8_t *node, uint64_t seq,
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

int rows_load_entry(struct group *group, const uint8_t *node, uint64_t seq,
		    struct entry *entry)
{
	uint8_t key[ENTRY_KEY_SIZE];
	MDB_val value;

	entry_key(node, seq, key);
	if (!ledger_tx_get(&group->tx, TABLE_LEDGER, key, sizeof(key), &value))
		return ERR_NOTFOUND;
	return entry_decode(value.mv_data, value.mv_size, entry);
}

int rows_append_entry(struct group *group, const uint8_t *node,
		      struct entitlement *ent, struct entry *entry)
{
	struct plan_result result = {0};
	int err = fold_apply(ent, entry, &result);

	if (err)
		return err;
	entry->units = result.units;
	entry->credit_after = result.credit;
	entry->expiry_after_s = ent->expiry_s;
	rows_store_entry(group, node, ent->next_seq++, entry, true);
	rows_store_node(group, node, ent);
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

int rows_refold(struct group *group, const uint8_t *node,
		struct entitlement *ent)
{
	uint8_t from[ENTRY_KEY_SIZE];
	struct ledger_walk walk;
	struct entitlement old;
	struct entry entry;
	int err = rows_load_node(group, node, &old);

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
	/* The record is full, not the disk: it concerns this one alone. */
	if (err == ERR_FULL)
		err = ERR_RANGE;
	return err ? err : group->tx.err;
}

int rows_refold_and_store(struct group *group, const uint8_t *node)
{
	struct entitlement ent;
	int err = rows_refold(group, node, &ent);

	if (!err)
		rows_store_node(group, node, &ent);
	return err;
}
