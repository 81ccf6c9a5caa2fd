#include "auth/record.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/err.h"
#include "tests/support/vectors.h"

Test(record, crc32c_is_castagnoli)
{
	cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283);
	cr_assert_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

Test(record, the_entitlement_of_the_specification_reads_and_writes)
{
	json_t *root = vectors_load("payments.json");
	struct hex want = vectors_hex(root, "entitlement.record");
	struct entitlement ent;
	uint8_t out[ENTITLEMENT_SIZE_MAX];
	char credit[U256_DECIMAL_MAX + 1];

	cr_assert_eq(entitlement_decode(want.bytes, want.len, &ent), 0);
	cr_assert_eq(ent.kind, PLAN_PERIOD);
	cr_assert_eq(ent.flags, ENTITLEMENT_UNSETTLED);
	cr_assert_eq(ent.expiry_s, vectors_u64(root, "entitlement.expiry"));
	cr_assert_eq(ent.created_s, vectors_u64(root, "entitlement.at"));
	cr_assert_eq(ent.unsettled, 1);
	cr_assert_eq(ent.credits_count, 1);
	u256_to_decimal(&ent.credits[0].amount, credit);
	cr_assert_str_eq(credit, vectors_text(root, "entitlement.credit"));
	cr_assert_eq(entitlement_encode(&ent, out), want.len);
	cr_assert_arr_eq(out, want.bytes, want.len);
	hex_release(&want);
	json_decref(root);
}

Test(record, a_changed_byte_is_noticed)
{
	json_t *root = vectors_load("payments.json");
	struct hex bytes = vectors_hex(root, "entitlement.record");
	struct entitlement ent;

	for (size_t i = 0; i < bytes.len; i++) {
		bytes.bytes[i] ^= 0x10;
		cr_assert_neq(entitlement_decode(bytes.bytes, bytes.len, &ent),
			      0, "byte %zu", i);
		bytes.bytes[i] ^= 0x10;
	}
	for (size_t len = 0; len < bytes.len; len++)
		cr_assert_neq(entitlement_decode(bytes.bytes, len, &ent), 0);
	bytes.bytes[0] = 2;
	cr_assert_eq(entitlement_decode(bytes.bytes, bytes.len, &ent),
		     ERR_UNSUPPORTED);
	hex_release(&bytes);
	json_decref(root);
}

Test(record, credits_are_kept_by_chain_and_token)
{
	struct entitlement ent = {0};
	const uint8_t one[ADDRESS_SIZE] = {1};
	const uint8_t two[ADDRESS_SIZE] = {2};
	struct u256 five, got, zero = {0};

	cr_assert_eq(u256_from_decimal("5", &five), 0);
	cr_assert_eq(entitlement_set_credit(&ent, 1, one, &five), 0);
	cr_assert_eq(entitlement_set_credit(&ent, 2, one, &five), 0);
	cr_assert_eq(entitlement_set_credit(&ent, 1, two, &five), 0);
	cr_assert_eq(ent.credits_count, 3);
	got = entitlement_credit(&ent, 2, one);
	cr_assert_eq(u256_compare(&got, &five), 0);
	cr_assert_eq(entitlement_set_credit(&ent, 1, one, &zero), 0);
	cr_assert_eq(ent.credits_count, 2);
	got = entitlement_credit(&ent, 1, one);
	cr_assert(u256_is_zero(&got));
	for (uint64_t chain = 10; ent.credits_count < ENTITLEMENT_CREDITS_MAX;
	     chain++)
		cr_assert_eq(entitlement_set_credit(&ent, chain, one, &five),
			     0);
	cr_assert_eq(entitlement_set_credit(&ent, 9, one, &five), ERR_FULL);
}

Test(record, ledger_entries_come_back_as_they_were_written)
{
	struct entry entry = {.type = ENTRY_CREDIT,
			      .flags = ENTRY_SETTLED,
			      .at_s = 1767300000,
			      .refers_to = 3,
			      .units = 3,
			      .min_units = 1,
			      .max_units = 24,
			      .unit_s = 2592000,
			      .chain_id = 1,
			      .index = 2,
			      .option_id = 7,
			      .block = 24141200,
			      .block_time_s = 1767299000,
			      .expiry_after_s = 1775076000};
	struct entry got;
	uint8_t out[ENTRY_SIZE];
	uint8_t again[ENTRY_SIZE];

	memset(entry.tx, 0xaa, TX_SIZE);
	memset(entry.payer, 0xbb, ADDRESS_SIZE);
	cr_assert_eq(u256_from_decimal("350", &entry.value), 0);
	entry_encode(&entry, out);
	cr_assert_eq(entry_decode(out, sizeof(out), &got), 0);
	entry_encode(&got, again);
	cr_assert_arr_eq(out, again, ENTRY_SIZE);
	cr_assert_eq(out[1], ENTRY_CREDIT);
	cr_assert_eq(out[119], 7);
	cr_assert_eq(entry_decode(out, sizeof(out) - 1, &got), ERR_CORRUPT);
	out[335] ^= 1;
	cr_assert_eq(entry_decode(out, sizeof(out), &got), ERR_CORRUPT);
}

Test(record, claims_come_back_with_their_proof)
{
	uint8_t proof[65];
	struct claim_record rec = {.state = CLAIM_CONFIRMING,
				   .received_s = 1,
				   .updated_s = 2,
				   .due_ms = 3,
				   .rev = 4,
				   .sender_nonce = CLAIM_NONCE_UNKNOWN};
	struct claim_record got;
	uint8_t out[CLAIM_RECORD_MAX];
	uint8_t again[CLAIM_RECORD_MAX];
	size_t len;

	memset(proof, 0x5a, sizeof(proof));
	rec.claim.scheme = CLAIM_SIGNATURE;
	rec.claim.chain_id = 1;
	rec.claim.proof = proof;
	rec.claim.proof_size = sizeof(proof);
	len = claim_record_encode(&rec, out);
	cr_assert_eq(len, CLAIM_RECORD_SIZE + sizeof(proof));
	cr_assert_eq(claim_record_decode(out, len, &got), 0);
	cr_assert_eq(claim_record_encode(&got, again), len);
	cr_assert_arr_eq(out, again, len);
	cr_assert_eq(claim_record_decode(out, len - 1, &got), ERR_CORRUPT);
	out[1] = 9;
	cr_assert_eq(claim_record_decode(out, len, &got), ERR_CORRUPT);
}
