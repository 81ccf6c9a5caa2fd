/* The invariants of payments.md §12.3, checked in one read transaction. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/err.h"

#define TOKENS_MAX 1024
/* After so many findings the rest is only counted. */
#define REPORT_MAX 200

/* Sums wrap at 256 bits: they are compared, not spent. */
struct token_sum {
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	struct u256 entries;
	struct u256 payments;
};

struct check {
	struct ledger_tx tx;
	FILE *report;
	size_t faults;
	struct token_sum sums[TOKENS_MAX];
	size_t sums_count;
	uint64_t by_state[CLAIM_REORGED + 1];
};

__attribute__((format(printf, 4, 5))) static void fault(struct check *check,
							const char *what,
							const uint8_t *key,
							const char *format, ...)
{
	char hex[2 * 16 + 1];
	va_list args;

	if (++check->faults > REPORT_MAX || !check->report)
		return;
	hex_encode(key, 16, hex);
	(void)fprintf(check->report, "%s %s…: ", what, hex);
	va_start(args, format);
	/* clang-tidy 14 loses sight of va_start() here. NOLINTNEXTLINE */
	(void)vfprintf(check->report, format, args);
	va_end(args);
	(void)fputc('\n', check->report);
}

/* ---- sums by token ---- */

static void add_wrapping(struct u256 *sum, const struct u256 *value)
{
	uint64_t carry = 0;

	for (int i = 0; i < U256_LIMBS; i++) {
		carry += (uint64_t)sum->limbs[i] + value->limbs[i];
		sum->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static struct token_sum *sum_of(struct check *check, const struct entry *entry)
{
	struct token_sum *sum = check->sums;

	for (size_t i = 0; i < check->sums_count; i++, sum++)
		if (sum->chain_id == entry->chain_id &&
		    !memcmp(sum->token, entry->token, ADDRESS_SIZE))
			return sum;
	if (check->sums_count == TOKENS_MAX)
		return NULL;
	check->sums_count++;
	sum->chain_id = entry->chain_id;
	memcpy(sum->token, entry->token, ADDRESS_SIZE);
	return sum;
}

/* ---- entries: 2, 3 and 4 ---- */

static void entry_payment_key(const struct entry *entry,
			      uint8_t out[static PAYMENT_KEY_SIZE])
{
	struct claim claim = {.chain_id = entry->chain_id,
			      .index = entry->index};

	memcpy(claim.token, entry->token, ADDRESS_SIZE);
	memcpy(claim.payee, entry->payee, ADDRESS_SIZE);
	memcpy(claim.payer, entry->payer, ADDRESS_SIZE);
	memcpy(claim.tx, entry->tx, TX_SIZE);
	claim_payment_key(&claim, out);
}

/* A payment row has room for one entry, so that each non-void credit is the
 * one its row names means that there is but one. */
static void check_credit(struct check *check, const uint8_t *node, uint64_t seq,
			 const struct entry *entry)
{
	uint8_t key[PAYMENT_KEY_SIZE];
	struct token_sum *sum;
	struct payment payment;
	MDB_val value;

	if (entry->type != ENTRY_CREDIT || entry->flags & ENTRY_VOID)
		return;
	sum = sum_of(check, entry);
	if (sum)
		add_wrapping(&sum->entries, &entry->value);
	entry_payment_key(entry, key);
	if (!ledger_tx_get(&check->tx, TABLE_PAYMENTS, key, sizeof(key),
			   &value) ||
	    payment_decode(value.mv_data, value.mv_size, &payment))
		fault(check, "node", node,
		      "credit entry %" PRIu64 " has no payment", seq);
	else if (payment.state != PAYMENT_CREDITED || payment.seq != seq ||
		 memcmp(payment.node, node, SECP_PUBLIC_SIZE) != 0)
		fault(check, "node", node,
		      "credit entry %" PRIu64
		      " is not the one its payment names",
		      seq);
}

/* units × price + credit after = value + credit before. */
static void check_balance(struct check *check, const uint8_t *node,
			  uint64_t seq, const struct entry *entry,
			  const struct u256 *before)
{
	struct u256 left, right;

	if (u256_mul_u32(&entry->price, entry->units, &left) ||
	    u256_add(&left, &entry->credit_after, &left) ||
	    u256_add(&entry->value, before, &right) ||
	    u256_compare(&left, &right) != 0)
		fault(check, "node", node, "entry %" PRIu64 " does not balance",
		      seq);
}

/* Once an entry is void, what was before a later one is not known exactly:
 * then it must have been something. */
static void check_solvent(struct check *check, const uint8_t *node,
			  uint64_t seq, const struct entry *entry)
{
	struct u256 left;

	if (u256_mul_u32(&entry->price, entry->units, &left) ||
	    u256_add(&left, &entry->credit_after, &left) ||
	    u256_compare(&left, &entry->value) < 0)
		fault(check, "node", node,
		      "entry %" PRIu64 " gives less than its value", seq);
}

/* ---- nodes: 1 ---- */

struct node_fold {
	struct entitlement ent;
	uint64_t last_seq;
	bool has_void;
};

static void fold_one(struct check *check, const uint8_t *node, uint64_t seq,
		     const MDB_val *value, struct node_fold *fold)
{
	struct entitlement before = fold->ent;
	struct plan_result result = {0};
	struct u256 credit;
	struct entry entry;
	int err = entry_decode(value->mv_data, value->mv_size, &entry);

	if (err) {
		fault(check, "node", node, "entry %" PRIu64 ": %s", seq,
		      err_str(err));
		return;
	}
	fold->has_void |= entry.flags & ENTRY_VOID;
	fold->last_seq = seq;
	err = fold_apply(&fold->ent, &entry, &result);
	if (err)
		fault(check, "node", node, "entry %" PRIu64 " cannot be folded",
		      seq);
	check_credit(check, node, seq, &entry);
	if (fold->has_void) {
		check_solvent(check, node, seq, &entry);
		return;
	}
	credit = entitlement_credit(&before, entry.chain_id, entry.token);
	check_balance(check, node, seq, &entry, &credit);
	if (result.units != entry.units ||
	    u256_compare(&result.credit, &entry.credit_after) != 0 ||
	    fold->ent.expiry_s != entry.expiry_after_s)
		fault(check, "node", node,
		      "entry %" PRIu64 " is not what its terms give", seq);
}

static bool has_same_credits(const struct entitlement *a,
			     const struct entitlement *b)
{
	if (a->credits_count != b->credits_count)
		return false;
	for (unsigned i = 0; i < a->credits_count; i++) {
		const struct credit *credit = &a->credits[i];
		struct u256 other =
			entitlement_credit(b, credit->chain_id, credit->token);

		if (u256_compare(&credit->amount, &other) != 0)
			return false;
	}
	return true;
}

static void compare_record(struct check *check, const uint8_t *node,
			   const struct node_fold *fold)
{
	const struct entitlement *want = &fold->ent;
	struct entitlement got;
	uint16_t flags = (uint16_t)~ENTITLEMENT_REORG_GRACE;
	MDB_val value;

	if (!ledger_tx_get(&check->tx, TABLE_NODES, node, SECP_PUBLIC_SIZE,
			   &value) ||
	    entitlement_decode(value.mv_data, value.mv_size, &got)) {
		fault(check, "node", node, "entries without a sound record");
		return;
	}
	if (got.expiry_s != want->expiry_s)
		fault(check, "node", node,
		      "expiry %" PRIu64 ", by its entries %" PRIu64,
		      got.expiry_s, want->expiry_s);
	if (got.kind != want->kind ||
	    (got.flags & flags) != (want->flags & flags) ||
	    got.unsettled != want->unsettled)
		fault(check, "node", node,
		      "flags or counts are not those of its entries");
	if (!has_same_credits(&got, want))
		fault(check, "node", node,
		      "credit is not what its entries leave");
	if (got.next_seq != fold->last_seq + 1)
		fault(check, "node", node,
		      "next sequence %" PRIu64 " after entry %" PRIu64,
		      got.next_seq, fold->last_seq);
	if ((got.reorg_deadline_s != 0) !=
	    ((got.flags & ENTITLEMENT_REORG_GRACE) != 0))
		fault(check, "node", node, "deadline and flag disagree");
}

/* Both walks go by node; every entry's node must have a record, and every
 * record's fold, of no entries too, must be it. */
static void check_entries(struct check *check)
{
	uint8_t node[SECP_PUBLIC_SIZE];
	struct node_fold fold = {0};
	struct ledger_walk walk;
	bool has_node = false;

	ledger_walk_init(&walk, &check->tx, TABLE_LEDGER, NULL, 0);
	while (ledger_walk_next(&walk)) {
		const uint8_t *key = walk.key.mv_data;

		if (walk.key.mv_size != ENTRY_KEY_SIZE) {
			fault(check, "entry", node, "key of another size");
			continue;
		}
		if (!has_node || memcmp(node, key, SECP_PUBLIC_SIZE) != 0) {
			if (has_node)
				compare_record(check, node, &fold);
			memcpy(node, key, SECP_PUBLIC_SIZE);
			fold = (struct node_fold){0};
			has_node = true;
		}
		fold_one(check, node, be64_load(key + SECP_PUBLIC_SIZE),
			 &walk.value, &fold);
	}
	if (has_node)
		compare_record(check, node, &fold);
	ledger_walk_release(&walk);
}

static void check_nodes(struct check *check)
{
	uint8_t from[ENTRY_KEY_SIZE];
	struct ledger_walk walk;
	MDB_val value;

	ledger_walk_init(&walk, &check->tx, TABLE_NODES, NULL, 0);
	while (ledger_walk_next(&walk)) {
		const uint8_t *node = walk.key.mv_data;

		if (walk.key.mv_size != SECP_PUBLIC_SIZE) {
			fault(check, "record", from, "key of another size");
			continue;
		}
		/* Nothing is ever deleted: the first entry is there. */
		entry_key(node, 1, from);
		if (!ledger_tx_get(&check->tx, TABLE_LEDGER, from, sizeof(from),
				   &value))
			fault(check, "node", node, "record without entries");
	}
	ledger_walk_release(&walk);
}

/* ---- payments: 2 and 3 ---- */

static void check_payment(struct check *check, const uint8_t *key,
			  const struct payment *payment)
{
	uint8_t row[ENTRY_KEY_SIZE];
	uint8_t own[PAYMENT_KEY_SIZE];
	struct token_sum *sum;
	struct entry entry;
	MDB_val value;
	bool is_void;

	entry_key(payment->node, payment->seq, row);
	if (!ledger_tx_get(&check->tx, TABLE_LEDGER, row, sizeof(row),
			   &value) ||
	    entry_decode(value.mv_data, value.mv_size, &entry)) {
		fault(check, "payment", key + 8, "its entry is missing");
		return;
	}
	is_void = entry.flags & ENTRY_VOID;
	entry_payment_key(&entry, own);
	if (entry.type != ENTRY_CREDIT ||
	    memcmp(own, key, PAYMENT_KEY_SIZE) != 0 ||
	    is_void != (payment->state == PAYMENT_VOID))
		fault(check, "payment", key + 8, "its entry is another's");
	if (payment->state != PAYMENT_CREDITED)
		return;
	sum = sum_of(check, &entry);
	if (sum)
		add_wrapping(&sum->payments, &entry.value);
}

static void check_payments(struct check *check)
{
	struct ledger_walk walk;
	struct payment payment;

	ledger_walk_init(&walk, &check->tx, TABLE_PAYMENTS, NULL, 0);
	while (ledger_walk_next(&walk)) {
		const uint8_t *key = walk.key.mv_data;

		if (walk.key.mv_size != PAYMENT_KEY_SIZE ||
		    payment_decode(walk.value.mv_data, walk.value.mv_size,
				   &payment))
			fault(check, "payment", walk.value.mv_data,
			      "unreadable");
		else
			check_payment(check, key, &payment);
	}
	ledger_walk_release(&walk);
	for (size_t i = 0; i < check->sums_count; i++)
		if (u256_compare(&check->sums[i].entries,
				 &check->sums[i].payments) != 0)
			fault(check, "token", check->sums[i].token,
			      "entries and payments have other sums");
}

/* ---- claims: 5 and 6 ---- */

static bool has_row(struct check *check, enum ledger_table table,
		    const void *key, size_t size)
{
	MDB_val value;

	return ledger_tx_get(&check->tx, table, key, size, &value);
}

struct row_counts {
	size_t due, heights, claims;
};

static void check_claim(struct check *check, const uint8_t *key,
			const struct claim_record *rec,
			struct row_counts *counts)
{
	uint8_t own[CLAIM_KEY_SIZE], due[DUE_KEY_SIZE];
	uint8_t height[HEIGHT_KEY_SIZE];
	struct credited credited;
	MDB_val value;

	check->by_state[rec->state]++;
	claim_key(&rec->claim, own);
	if (memcmp(own, key, CLAIM_KEY_SIZE) != 0)
		fault(check, "claim", key, "kept under another's key");
	due_key(rec->due_ms, key, due);
	if (claim_is_open(rec->state) != (rec->due_ms != 0))
		fault(check, "claim", key, "due time and state disagree");
	else if (rec->due_ms && ++counts->due &&
		 !has_row(check, TABLE_DUE, due, sizeof(due)))
		fault(check, "claim", key, "no due row");
	height_key(rec->claim.chain_id, rec->block, key, height);
	if (claim_has_height(rec->state) && ++counts->heights &&
	    !has_row(check, TABLE_HEIGHTS, height, sizeof(height)))
		fault(check, "claim", key, "no height row");
	if (!ledger_tx_get(&check->tx, TABLE_CLAIM_IDS, rec->id, CLAIM_ID_SIZE,
			   &value) ||
	    value.mv_size != CLAIM_KEY_SIZE ||
	    memcmp(value.mv_data, key, CLAIM_KEY_SIZE) != 0)
		fault(check, "claim", key, "its id does not lead to it");
	read_credited(&check->tx, &rec->claim, key, &credited);
	if ((rec->state == CLAIM_ACTIVE || rec->state == CLAIM_SETTLED) !=
		    credited.is_credited &&
	    rec->state != CLAIM_REORGED)
		fault(check, "claim", key, "state and credit disagree");
}

static void check_claims(struct check *check)
{
	struct row_counts counts = {0};
	struct ledger_walk walk;
	struct claim_record rec;

	ledger_walk_init(&walk, &check->tx, TABLE_CLAIMS, NULL, 0);
	while (ledger_walk_next(&walk)) {
		counts.claims++;
		if (walk.key.mv_size != CLAIM_KEY_SIZE ||
		    claim_record_decode(walk.value.mv_data, walk.value.mv_size,
					&rec))
			fault(check, "claim", walk.key.mv_data, "unreadable");
		else
			check_claim(check, walk.key.mv_data, &rec, &counts);
	}
	ledger_walk_release(&walk);
	if (ledger_tx_count(&check->tx, TABLE_DUE) != counts.due)
		fault(check, "table", (const uint8_t *)"due rows          ",
		      "not one for each open claim");
	if (ledger_tx_count(&check->tx, TABLE_HEIGHTS) != counts.heights)
		fault(check, "table", (const uint8_t *)"height rows       ",
		      "not one for each confirming or active claim");
	if (ledger_tx_count(&check->tx, TABLE_CLAIM_IDS) != counts.claims)
		fault(check, "table", (const uint8_t *)"claim ids         ",
		      "not one for each claim");
}

/* ---- what meta counts ---- */

static void check_tally(struct check *check)
{
	struct tally tally = {.next_event = 1};
	MDB_val key, value;

	if (ledger_tx_get(&check->tx, TABLE_META, tally_meta_key,
			  sizeof(tally_meta_key), &value) &&
	    tally_decode(value.mv_data, value.mv_size, &tally))
		fault(check, "table", (const uint8_t *)"meta              ",
		      "counters unreadable");
	for (int i = CLAIM_RECEIVED; i <= CLAIM_REORGED; i++)
		if (tally.by_state[i] != check->by_state[i])
			fault(check, "table",
			      (const uint8_t *)"meta              ",
			      "counts %" PRIu64
			      " claims %s, there are %" PRIu64,
			      tally.by_state[i],
			      claim_state_str((enum claim_state)i),
			      check->by_state[i]);
	if (ledger_tx_last(&check->tx, TABLE_EVENTS, &key, &value) &&
	    (key.mv_size != 8 ||
	     be64_load(key.mv_data) + 1 != tally.next_event))
		fault(check, "table", (const uint8_t *)"events            ",
		      "the next index is not the last plus one");
}

int ledger_fsck(const char *dir, FILE *report)
{
	struct check *check = calloc(1, sizeof(*check));
	struct ledger_db db;
	char why[512];
	int err;

	if (!check)
		return ERR_NOMEM;
	check->report = report;
	err = ledger_db_open(&db, dir, LEDGER_MAP_BYTES, true, why,
			     sizeof(why));
	if (err) {
		if (report)
			(void)fprintf(report, "%s\n", why);
		free(check);
		return err;
	}
	err = ledger_tx_begin(&check->tx, &db, true);
	if (!err) {
		check_entries(check);
		check_nodes(check);
		check_payments(check);
		check_claims(check);
		check_tally(check);
		err = check->tx.err;
		ledger_tx_abort(&check->tx);
	}
	ledger_db_close(&db);
	if (!err && check->faults)
		err = ERR_CORRUPT;
	if (report && check->faults > REPORT_MAX)
		(void)fprintf(report, "and %zu more\n",
			      check->faults - REPORT_MAX);
	free(check);
	return err;
}
