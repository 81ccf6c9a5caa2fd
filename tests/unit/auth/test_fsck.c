/* Each invariant of §12.3 broken by hand, and found. */
#include <criterion/criterion.h>
#include <lmdb.h>

#include "auth/ledger_private.h"
#include "tests/support/paying.h"

static struct paying p;
static struct ledger_db db;
static struct ledger_tx tx;
static struct claim settled, active, pending;

static uint8_t node_key[SECP_PUBLIC_SIZE];

/* A settled, an active and a pending claim of node 1; closed, and open for
 * harm. */
static void begin(void)
{
	struct ledger_task task;
	struct finding f;
	char why[256];

	paying_begin(&p);
	settled = paying_claim(&p, 1, 1);
	active = paying_claim(&p, 1, 2);
	pending = paying_claim(&p, 1, 3);
	paying_pay(&p, &settled, 150, 201);
	f = paying_mined(&p, &settled, 150, 201, 1, 300);
	cr_assert_eq(paying_find(&p, &f), 0);
	paying_pay(&p, &active, 250, 202);
	cr_assert_eq(paying_file(&p, &pending, &task), 0);
	paying_node(1, node_key);
	ledger_close(p.ledger);
	cr_assert_eq(ledger_fsck(p.dir, stderr), 0);
	cr_assert_eq(ledger_db_open(&db, p.dir, (size_t)256 << 20, false, why,
				    sizeof(why)),
		     0);
	cr_assert_eq(ledger_tx_begin(&tx, &db, false), 0);
}

static void end(void)
{
	tempdir_remove(p.dir);
}

TestSuite(fsck, .init = begin, .fini = end);

static void expect_finding(const char *words)
{
	char text[8192];
	FILE *report = fmemopen(text, sizeof(text), "w");

	cr_assert_eq(ledger_tx_commit(&tx), 0);
	ledger_db_close(&db);
	cr_assert_eq(ledger_fsck(p.dir, report), ERR_CORRUPT);
	(void)fclose(report);
	cr_assert_not_null(strstr(text, words), "%s", text);
}

static struct entitlement take_record(void)
{
	struct entitlement ent;
	MDB_val value;

	cr_assert(ledger_tx_get(&tx, TABLE_NODES, node_key, 64, &value));
	cr_assert_eq(entitlement_decode(value.mv_data, value.mv_size, &ent), 0);
	return ent;
}

static void put_record(const struct entitlement *ent)
{
	uint8_t bytes[ENTITLEMENT_SIZE_MAX];

	ledger_tx_put(&tx, TABLE_NODES, node_key, 64, bytes,
		      entitlement_encode(ent, bytes));
}

static struct entry take_entry(uint64_t seq)
{
	uint8_t key[ENTRY_KEY_SIZE];
	struct entry entry;
	MDB_val value;

	entry_key(node_key, seq, key);
	cr_assert(ledger_tx_get(&tx, TABLE_LEDGER, key, sizeof(key), &value));
	cr_assert_eq(entry_decode(value.mv_data, value.mv_size, &entry), 0);
	return entry;
}

static void put_entry(uint64_t seq, const struct entry *entry)
{
	uint8_t key[ENTRY_KEY_SIZE], bytes[ENTRY_SIZE];

	entry_key(node_key, seq, key);
	entry_encode(entry, bytes);
	ledger_tx_put(&tx, TABLE_LEDGER, key, sizeof(key), bytes,
		      sizeof(bytes));
}

Test(fsck, one_an_expiry_that_nobody_paid_for)
{
	struct entitlement ent = take_record();

	ent.expiry_s += 1;
	put_record(&ent);
	expect_finding("by its entries");
}

Test(fsck, one_a_credit_that_nobody_paid)
{
	struct entitlement ent = take_record();

	ent.credits_count = 1;
	ent.credits[0].chain_id = 1;
	memset(ent.credits[0].token, 1, ADDRESS_SIZE);
	ent.credits[0].amount = u256_from_u64(5);
	put_record(&ent);
	expect_finding("credit is not what its entries leave");
}

Test(fsck, one_a_count_of_unsettled_payments)
{
	struct entitlement ent = take_record();

	ent.unsettled = 2;
	put_record(&ent);
	expect_finding("flags or counts");
}

Test(fsck, one_a_record_without_entries)
{
	struct entitlement ent = {.next_seq = 1};

	node_key[0] ^= 1;
	put_record(&ent);
	expect_finding("record without entries");
}

Test(fsck, two_a_payment_credited_twice)
{
	struct entry entry = take_entry(2);
	struct entitlement ent = take_record();

	put_entry(3, &entry);
	ent.next_seq = 4;
	put_record(&ent);
	expect_finding("is not the one its payment names");
}

Test(fsck, two_a_credit_without_a_payment)
{
	uint8_t key[PAYMENT_KEY_SIZE];

	claim_payment_key(&active, key);
	ledger_tx_del(&tx, TABLE_PAYMENTS, key, sizeof(key));
	expect_finding("has no payment");
}

Test(fsck, three_a_payment_whose_entry_is_void)
{
	struct entry entry = take_entry(2);

	entry.flags |= ENTRY_VOID;
	put_entry(2, &entry);
	expect_finding("other sums");
}

Test(fsck, four_an_entry_that_gives_too_much)
{
	struct entry entry = take_entry(1);

	entry.units = 2;
	put_entry(1, &entry);
	expect_finding("does not balance");
}

Test(fsck, five_an_open_claim_that_is_never_due)
{
	uint8_t key[CLAIM_KEY_SIZE], row[DUE_KEY_SIZE];

	claim_key(&pending, key);
	due_key(p.now_ms, key, row);
	ledger_tx_del(&tx, TABLE_DUE, row, sizeof(row));
	expect_finding("no due row");
}

Test(fsck, five_a_settled_claim_that_is_due)
{
	uint8_t key[CLAIM_KEY_SIZE], row[DUE_KEY_SIZE];

	claim_key(&settled, key);
	due_key(5, key, row);
	ledger_tx_add(&tx, TABLE_DUE, row, sizeof(row), "", 0);
	expect_finding("not one for each open claim");
}

Test(fsck, five_an_active_claim_the_follower_cannot_find)
{
	uint8_t key[CLAIM_KEY_SIZE], row[HEIGHT_KEY_SIZE];

	claim_key(&active, key);
	height_key(1, 202, key, row);
	ledger_tx_del(&tx, TABLE_HEIGHTS, row, sizeof(row));
	expect_finding("no height row");
}

Test(fsck, six_an_id_that_leads_nowhere)
{
	uint8_t id[CLAIM_ID_SIZE] = {1};

	ledger_tx_add(&tx, TABLE_CLAIM_IDS, id, sizeof(id), id, sizeof(id));
	expect_finding("not one for each claim");
}

Test(fsck, six_a_claim_without_its_id)
{
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_record rec;
	MDB_val value;

	claim_key(&active, key);
	cr_assert(ledger_tx_get(&tx, TABLE_CLAIMS, key, sizeof(key), &value));
	cr_assert_eq(claim_record_decode(value.mv_data, value.mv_size, &rec),
		     0);
	ledger_tx_del(&tx, TABLE_CLAIM_IDS, rec.id, sizeof(rec.id));
	expect_finding("its id does not lead to it");
}

Test(fsck, an_entry_with_a_flipped_bit)
{
	uint8_t key[ENTRY_KEY_SIZE], bytes[ENTRY_SIZE];
	struct entry entry = take_entry(1);

	entry_key(node_key, 1, key);
	entry_encode(&entry, bytes);
	bytes[300] ^= 1;
	ledger_tx_put(&tx, TABLE_LEDGER, key, sizeof(key), bytes,
		      sizeof(bytes));
	expect_finding("entry 1:");
}
