/* Reads of the payments environment, each in a transaction of its own. */
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/err.h"

void read_credited(struct ledger_tx *tx, const struct claim *claim,
		   const uint8_t key[static CLAIM_KEY_SIZE],
		   struct credited *out)
{
	uint8_t payment_key[PAYMENT_KEY_SIZE];
	uint8_t row[ENTRY_KEY_SIZE];
	MDB_val value;

	memset(out, 0, sizeof(*out));
	claim_payment_key(claim, payment_key);
	if (!ledger_tx_get(tx, TABLE_PAYMENTS, payment_key, sizeof(payment_key),
			   &value) ||
	    payment_decode(value.mv_data, value.mv_size, &out->payment))
		return;
	out->has_payment = true;
	if (out->payment.state != PAYMENT_CREDITED ||
	    memcmp(out->payment.claim_key, key, CLAIM_KEY_SIZE) != 0)
		return;
	entry_key(out->payment.node, out->payment.seq, row);
	out->is_credited =
		ledger_tx_get(tx, TABLE_LEDGER, row, sizeof(row), &value) &&
		entry_decode(value.mv_data, value.mv_size, &out->entry) == 0 &&
		!(out->entry.flags & ENTRY_VOID);
}

/* ---- claims ---- */

static int view_claim(struct ledger *ledger, struct ledger_tx *tx,
		      const void *key, const MDB_val *value,
		      struct claim_view *out)
{
	const struct kept_offers *offers = atomic_load(&ledger->offers);
	struct credited credited;
	struct priced priced;
	struct claim *claim = &out->record.claim;
	int err;

	memset(out, 0, offsetof(struct claim_view, proof));
	memset(&out->activate, 0,
	       sizeof(*out) - offsetof(struct claim_view, activate));
	err = claim_record_decode(value->mv_data, value->mv_size, &out->record);
	if (err)
		return err;
	memcpy(out->key, key, CLAIM_KEY_SIZE);
	memcpy(out->proof, claim->proof, claim->proof_size);
	claim->proof = out->proof;
	priced = offers_policy(offers, &out->record);
	out->has_policy = priced.option != NULL;
	if (priced.option) {
		out->activate = priced.option->activate;
		out->settle = priced.option->settle;
	}
	read_credited(tx, claim, out->key, &credited);
	out->is_credited = credited.is_credited;
	if (credited.is_credited) {
		out->units = credited.entry.units;
		out->credit = credited.entry.credit_after;
		out->expiry_s = credited.entry.expiry_after_s;
		out->outcome = fold_outcome(&credited.entry);
		out->seq = credited.payment.seq;
	}
	return tx->err;
}

static int view_key(struct ledger *ledger, struct ledger_tx *tx,
		    const uint8_t *key, struct claim_view *out)
{
	MDB_val value;

	if (!ledger_tx_get(tx, TABLE_CLAIMS, key, CLAIM_KEY_SIZE, &value))
		return tx->err ? tx->err : ERR_NOTFOUND;
	return view_claim(ledger, tx, key, &value, out);
}

int ledger_read_claim(struct ledger *ledger,
		      const uint8_t key[static CLAIM_KEY_SIZE],
		      struct claim_view *out)
{
	struct ledger_tx tx;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	err = view_key(ledger, &tx, key, out);
	ledger_tx_abort(&tx);
	return err;
}

int ledger_read_claim_id(struct ledger *ledger,
			 const uint8_t id[static CLAIM_ID_SIZE],
			 struct claim_view *out)
{
	struct ledger_tx tx;
	MDB_val value;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	if (!ledger_tx_get(&tx, TABLE_CLAIM_IDS, id, CLAIM_ID_SIZE, &value))
		err = tx.err ? tx.err : ERR_NOTFOUND;
	else if (value.mv_size != CLAIM_KEY_SIZE)
		err = ERR_CORRUPT;
	else
		err = view_key(ledger, &tx, value.mv_data, out);
	ledger_tx_abort(&tx);
	return err;
}

/* ---- indexes ---- */

size_t ledger_read_due(struct ledger *ledger, uint64_t until_ms,
		       struct due_claim *out, size_t max)
{
	struct ledger_walk walk;
	struct ledger_tx tx;
	size_t count = 0;

	if (ledger_tx_begin(&tx, &ledger->db, true))
		return 0;
	ledger_walk_init(&walk, &tx, TABLE_DUE, NULL, 0);
	while (count < max && ledger_walk_next(&walk)) {
		const uint8_t *row = walk.key.mv_data;

		if (walk.key.mv_size != DUE_KEY_SIZE ||
		    be64_load(row) > until_ms)
			break;
		out[count].due_ms = be64_load(row);
		memcpy(out[count++].key, row + 8, CLAIM_KEY_SIZE);
	}
	ledger_walk_release(&walk);
	ledger_tx_abort(&tx);
	return count;
}

size_t ledger_read_heights(struct ledger *ledger, uint64_t chain_id,
			   uint64_t first, uint64_t last,
			   struct height_claim *out, size_t max)
{
	uint8_t from[16];
	struct ledger_walk walk;
	struct ledger_tx tx;
	size_t count = 0;

	if (ledger_tx_begin(&tx, &ledger->db, true))
		return 0;
	be64_store(from, chain_id);
	be64_store(from + 8, first);
	ledger_walk_init(&walk, &tx, TABLE_HEIGHTS, from, sizeof(from));
	while (count < max && ledger_walk_next(&walk)) {
		const uint8_t *row = walk.key.mv_data;

		if (walk.key.mv_size != HEIGHT_KEY_SIZE ||
		    be64_load(row) != chain_id || be64_load(row + 8) > last)
			break;
		out[count].block = be64_load(row + 8);
		memcpy(out[count++].key, row + 16, CLAIM_KEY_SIZE);
	}
	ledger_walk_release(&walk);
	ledger_tx_abort(&tx);
	return count;
}

int ledger_read_node(struct ledger *ledger,
		     const uint8_t node[static SECP_PUBLIC_SIZE],
		     struct entitlement *out)
{
	struct ledger_tx tx;
	MDB_val value;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	if (ledger_tx_get(&tx, TABLE_NODES, node, SECP_PUBLIC_SIZE, &value))
		err = entitlement_decode(value.mv_data, value.mv_size, out);
	else
		err = tx.err ? tx.err : ERR_NOTFOUND;
	ledger_tx_abort(&tx);
	return err;
}

/* ---- offers ---- */

int ledger_read_offer(struct ledger *ledger, uint64_t now_s,
		      uint8_t out[static OFFER_SIZE_MAX], size_t *len)
{
	const struct kept_offer *kept =
		offers_in_force(atomic_load(&ledger->offers), now_s);

	if (!kept)
		return ERR_NOTFOUND;
	memcpy(out, kept->bytes, kept->size);
	*len = kept->size;
	return 0;
}

int ledger_read_offer_hash(struct ledger *ledger, uint64_t now_s,
			   uint8_t out[static OFFER_SIZE_MAX], size_t *len,
			   struct offer *offer, uint8_t hash[static 32])
{
	const struct kept_offer *kept =
		offers_in_force(atomic_load(&ledger->offers), now_s);

	if (!kept)
		return ERR_NOTFOUND;
	memcpy(out, kept->bytes, kept->size);
	*len = kept->size;
	*offer = kept->offer;
	memcpy(hash, kept->hash, 32);
	return 0;
}

uint64_t ledger_read_sequence(struct ledger *ledger)
{
	const struct kept_offers *offers = atomic_load(&ledger->offers);

	return offers ? offers->list[offers->count - 1]->offer.sequence : 0;
}

bool ledger_read_option(struct ledger *ledger, uint64_t now_s,
			uint64_t chain_id,
			const uint8_t token[static ADDRESS_SIZE],
			struct offer_option *out)
{
	struct priced priced = offers_convert(atomic_load(&ledger->offers),
					      now_s, chain_id, token);

	if (priced.option)
		*out = *priced.option;
	return priced.option != NULL;
}

bool ledger_read_entry_option(struct ledger *ledger, const struct entry *entry,
			      struct offer_option *out)
{
	const struct kept_offers *offers = atomic_load(&ledger->offers);
	const struct offer_option *option = NULL;

	for (size_t i = offers ? offers->count : 0; i-- > 0 && !option;) {
		const struct kept_offer *kept = offers->list[i];

		if (memcmp(kept->hash, entry->offer_hash, 32) == 0)
			option = offer_find(&kept->offer, entry->chain_id,
					    entry->token, entry->payee);
	}
	if (option)
		*out = *option;
	return option != NULL;
}

/* How near an offer's options come to the claim: 0 all equal. */
static enum offered nearness(const struct offer *offer,
			     const struct claim *claim)
{
	enum offered best = OFFERED_NO_CHAIN;

	if (offer_find(offer, claim->chain_id, claim->token, claim->payee))
		return OFFERED_YES;
	for (unsigned i = 0; i < offer->options_count; i++) {
		const struct offer_option *option = &offer->options[i];

		if (option->chain_id != claim->chain_id)
			continue;
		if (memcmp(option->token, claim->token, ADDRESS_SIZE) == 0)
			return OFFERED_NO_PAYEE;
		best = OFFERED_NO_TOKEN;
	}
	return best;
}

enum offered ledger_read_offered(struct ledger *ledger,
				 const struct claim *claim, uint64_t now_s)
{
	/* From the least to the most that is right. */
	static const int rank[] = {[OFFERED_NO_CHAIN] = 0,
				   [OFFERED_NO_TOKEN] = 1,
				   [OFFERED_NO_PAYEE] = 2,
				   [OFFERED_TOO_OLD] = 3,
				   [OFFERED_YES] = 4};
	const struct kept_offers *offers = atomic_load(&ledger->offers);
	enum offered best = OFFERED_NO_CHAIN;

	for (size_t i = offers ? offers->count : 0;
	     i-- > 0 && best != OFFERED_YES;) {
		const struct offer *offer = &offers->list[i]->offer;
		enum offered near = nearness(offer, claim);

		if (offer->not_after_s + offer->pay_window_s +
			    ledger->config.claim_window_s <
		    now_s) {
			if (near != OFFERED_YES)
				continue;
			near = OFFERED_TOO_OLD;
		}
		if (rank[near] > rank[best])
			best = near;
	}
	return best;
}

/* ---- walks ---- */

typedef int (*row_fn)(void *ctx, struct ledger_tx *tx, const MDB_val *key,
		      const MDB_val *value, bool *more);

static int each_row(struct ledger *ledger, enum ledger_table table, row_fn fn,
		    void *ctx)
{
	struct ledger_walk walk;
	struct ledger_tx tx;
	bool more = true;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	ledger_walk_init(&walk, &tx, table, NULL, 0);
	while (!err && more && ledger_walk_next(&walk))
		err = fn(ctx, &tx, &walk.key, &walk.value, &more);
	ledger_walk_release(&walk);
	if (!err)
		err = tx.err;
	ledger_tx_abort(&tx);
	return err;
}

struct node_walk {
	bool (*visit)(void *ctx, const uint8_t *node,
		      const struct entitlement *ent);
	void *ctx;
};

static int visit_node(void *ctx, struct ledger_tx *tx, const MDB_val *key,
		      const MDB_val *value, bool *more)
{
	const struct node_walk *walk = ctx;
	struct entitlement ent;
	int err = entitlement_decode(value->mv_data, value->mv_size, &ent);

	(void)tx;
	if (!err)
		*more = walk->visit(walk->ctx, key->mv_data, &ent);
	return err;
}

int ledger_each_node(struct ledger *ledger,
		     bool (*visit)(void *ctx, const uint8_t *node,
				   const struct entitlement *ent),
		     void *ctx)
{
	struct node_walk walk = {visit, ctx};

	return each_row(ledger, TABLE_NODES, visit_node, &walk);
}

struct claim_walk {
	struct ledger *ledger;
	bool (*visit)(void *ctx, const struct claim_view *view);
	void *ctx;
	struct claim_view view;
};

static int visit_claim(void *ctx, struct ledger_tx *tx, const MDB_val *key,
		       const MDB_val *value, bool *more)
{
	struct claim_walk *walk = ctx;
	int err =
		view_claim(walk->ledger, tx, key->mv_data, value, &walk->view);

	if (!err)
		*more = walk->visit(walk->ctx, &walk->view);
	return err;
}

int ledger_each_claim(struct ledger *ledger,
		      bool (*visit)(void *ctx, const struct claim_view *view),
		      void *ctx)
{
	struct claim_walk walk = {.ledger = ledger, .visit = visit, .ctx = ctx};

	return each_row(ledger, TABLE_CLAIMS, visit_claim, &walk);
}

struct entry_walk {
	bool (*visit)(void *ctx, const uint8_t *node, uint64_t seq,
		      const struct entry *entry);
	void *ctx;
};

static int visit_entry(void *ctx, struct ledger_tx *tx, const MDB_val *key,
		       const MDB_val *value, bool *more)
{
	const struct entry_walk *walk = ctx;
	const uint8_t *row = key->mv_data;
	struct entry entry;
	int err = entry_decode(value->mv_data, value->mv_size, &entry);

	(void)tx;
	if (key->mv_size != ENTRY_KEY_SIZE)
		return ERR_CORRUPT;
	if (!err)
		*more = walk->visit(walk->ctx, row,
				    be64_load(row + SECP_PUBLIC_SIZE), &entry);
	return err;
}

int ledger_each_entry(struct ledger *ledger,
		      bool (*visit)(void *ctx, const uint8_t *node,
				    uint64_t seq, const struct entry *entry),
		      void *ctx)
{
	struct entry_walk walk = {visit, ctx};

	return each_row(ledger, TABLE_LEDGER, visit_entry, &walk);
}

/* ---- events and counters ---- */

size_t ledger_read_events(struct ledger *ledger, uint64_t after,
			  struct ledger_event *out, size_t max)
{
	uint8_t from[8];
	struct ledger_walk walk;
	struct ledger_tx tx;
	size_t count = 0;

	if (after == UINT64_MAX || ledger_tx_begin(&tx, &ledger->db, true))
		return 0;
	be64_store(from, after + 1);
	ledger_walk_init(&walk, &tx, TABLE_EVENTS, from, sizeof(from));
	while (count < max && ledger_walk_next(&walk))
		if (event_decode(walk.value.mv_data, walk.value.mv_size,
				 &out[count]) == 0)
			count++;
	ledger_walk_release(&walk);
	ledger_tx_abort(&tx);
	return count;
}

void ledger_read_stats(struct ledger *ledger, struct ledger_stats *out)
{
	struct tally tally = {0};
	struct ledger_tx tx;
	MDB_val value;

	*out = (struct ledger_stats){.commits = atomic_load(&ledger->commits),
				     .results = atomic_load(&ledger->results)};
	if (ledger_tx_begin(&tx, &ledger->db, true))
		return;
	if (ledger_tx_get(&tx, TABLE_META, tally_meta_key,
			  sizeof(tally_meta_key), &value))
		(void)tally_decode(value.mv_data, value.mv_size, &tally);
	for (int i = CLAIM_RECEIVED; i <= CLAIM_REORGED; i++) {
		out->by_state[i] = tally.by_state[i];
		if (claim_is_open((enum claim_state)i))
			out->claims_open += tally.by_state[i];
	}
	out->claims_all = ledger_tx_count(&tx, TABLE_CLAIMS);
	out->nodes = ledger_tx_count(&tx, TABLE_NODES);
	out->entries = ledger_tx_count(&tx, TABLE_LEDGER);
	out->events = ledger_tx_count(&tx, TABLE_EVENTS);
	ledger_tx_abort(&tx);
}
