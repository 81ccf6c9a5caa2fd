#include "auth/record.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/err.h"

#define RECORD_VERSION 1
#define CRC_OFFSET     4

/* The checksum runs over the value with its own four bytes zero. */
static uint32_t record_crc(const uint8_t *in, size_t len)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, in, CRC_OFFSET);

	crc = crc32c(crc, zero, sizeof(zero));
	return crc32c(crc, in + CRC_OFFSET + 4, len - CRC_OFFSET - 4);
}

static void seal(uint8_t *out, size_t len)
{
	be32_store(out + CRC_OFFSET, record_crc(out, len));
}

static int open_record(const uint8_t *in, size_t len)
{
	if (in[0] != RECORD_VERSION)
		return ERR_UNSUPPORTED;
	return be32_load(in + CRC_OFFSET) == record_crc(in, len) ? 0
								 : ERR_CORRUPT;
}

/* ---- §18.1 ---- */

size_t entitlement_encode(const struct entitlement *ent,
			  uint8_t out[static ENTITLEMENT_SIZE_MAX])
{
	size_t len = ENTITLEMENT_SIZE_MIN;

	assert(ent->credits_count <= ENTITLEMENT_CREDITS_MAX);
	out[0] = RECORD_VERSION;
	out[1] = ent->kind;
	be16_store(out + 2, ent->flags);
	be64_store(out + 8, ent->created_s);
	be64_store(out + 16, ent->updated_s);
	be64_store(out + 24, ent->expiry_s);
	be64_store(out + 32, ent->quota);
	be64_store(out + 40, ent->next_seq);
	be64_store(out + 48, ent->reorg_deadline_s);
	be32_store(out + 56, ent->unsettled);
	be16_store(out + 60, ent->credits_count);
	be16_store(out + 62, 0);
	for (unsigned i = 0; i < ent->credits_count; i++) {
		const struct credit *credit = &ent->credits[i];

		be64_store(out + len, credit->chain_id);
		memcpy(out + len + 8, credit->token, ADDRESS_SIZE);
		u256_to_bytes(&credit->amount, out + len + 28);
		len += ENTITLEMENT_CREDIT_SIZE;
	}
	seal(out, len);
	return len;
}

int entitlement_decode(const uint8_t *in, size_t len, struct entitlement *out)
{
	int err;

	if (len < ENTITLEMENT_SIZE_MIN)
		return ERR_CORRUPT;
	err = open_record(in, len);
	if (err)
		return err;
	out->kind = in[1];
	out->flags = be16_load(in + 2);
	out->created_s = be64_load(in + 8);
	out->updated_s = be64_load(in + 16);
	out->expiry_s = be64_load(in + 24);
	out->quota = be64_load(in + 32);
	out->next_seq = be64_load(in + 40);
	out->reorg_deadline_s = be64_load(in + 48);
	out->unsettled = be32_load(in + 56);
	out->credits_count = be16_load(in + 60);
	if (out->credits_count > ENTITLEMENT_CREDITS_MAX ||
	    len != ENTITLEMENT_SIZE_MIN + (size_t)out->credits_count *
						  ENTITLEMENT_CREDIT_SIZE)
		return ERR_CORRUPT;
	in += ENTITLEMENT_SIZE_MIN;
	for (unsigned i = 0; i < out->credits_count; i++) {
		struct credit *credit = &out->credits[i];

		credit->chain_id = be64_load(in);
		memcpy(credit->token, in + 8, ADDRESS_SIZE);
		credit->amount = u256_from_bytes(in + 28);
		in += ENTITLEMENT_CREDIT_SIZE;
	}
	return 0;
}

static int find_credit(const struct entitlement *ent, uint64_t chain_id,
		       const uint8_t token[static ADDRESS_SIZE])
{
	for (int i = 0; i < ent->credits_count; i++)
		if (ent->credits[i].chain_id == chain_id &&
		    !memcmp(ent->credits[i].token, token, ADDRESS_SIZE))
			return i;
	return -1;
}

struct u256 entitlement_credit(const struct entitlement *ent, uint64_t chain_id,
			       const uint8_t token[static ADDRESS_SIZE])
{
	int i = find_credit(ent, chain_id, token);

	return i < 0 ? (struct u256){0} : ent->credits[i].amount;
}

int entitlement_set_credit(struct entitlement *ent, uint64_t chain_id,
			   const uint8_t token[static ADDRESS_SIZE],
			   const struct u256 *amount)
{
	int i = find_credit(ent, chain_id, token);

	if (u256_is_zero(amount)) {
		if (i >= 0)
			ent->credits[i] = ent->credits[--ent->credits_count];
		return 0;
	}
	if (i < 0) {
		if (ent->credits_count == ENTITLEMENT_CREDITS_MAX)
			return ERR_FULL;
		i = ent->credits_count++;
		ent->credits[i].chain_id = chain_id;
		memcpy(ent->credits[i].token, token, ADDRESS_SIZE);
	}
	ent->credits[i].amount = *amount;
	return 0;
}

/* ---- §18.2 ---- */

void entry_encode(const struct entry *entry, uint8_t out[static ENTRY_SIZE])
{
	memset(out, 0, ENTRY_SIZE);
	out[0] = RECORD_VERSION;
	out[1] = entry->type;
	be16_store(out + 2, entry->flags);
	be64_store(out + 8, entry->at_s);
	be64_store(out + 16, entry->refers_to);
	be32_store(out + 24, entry->units);
	be32_store(out + 28, entry->min_units);
	be32_store(out + 32, entry->max_units);
	be64_store(out + 40, entry->unit_s);
	be64_store(out + 48, entry->chain_id);
	memcpy(out + 56, entry->token, ADDRESS_SIZE);
	memcpy(out + 76, entry->payee, ADDRESS_SIZE);
	memcpy(out + 96, entry->payer, ADDRESS_SIZE);
	be16_store(out + 116, entry->index);
	be16_store(out + 118, entry->option_id);
	memcpy(out + 120, entry->tx, TX_SIZE);
	be64_store(out + 152, entry->block);
	be64_store(out + 160, entry->block_time_s);
	memcpy(out + 168, entry->block_hash, 32);
	memcpy(out + 200, entry->offer_hash, 32);
	u256_to_bytes(&entry->price, out + 232);
	u256_to_bytes(&entry->value, out + 264);
	u256_to_bytes(&entry->credit_after, out + 296);
	be64_store(out + 328, entry->expiry_after_s);
	seal(out, ENTRY_SIZE);
}

int entry_decode(const uint8_t *in, size_t len, struct entry *out)
{
	int err;

	if (len != ENTRY_SIZE)
		return ERR_CORRUPT;
	err = open_record(in, len);
	if (err)
		return err;
	out->type = in[1];
	out->flags = be16_load(in + 2);
	out->at_s = be64_load(in + 8);
	out->refers_to = be64_load(in + 16);
	out->units = be32_load(in + 24);
	out->min_units = be32_load(in + 28);
	out->max_units = be32_load(in + 32);
	out->unit_s = be64_load(in + 40);
	out->chain_id = be64_load(in + 48);
	memcpy(out->token, in + 56, ADDRESS_SIZE);
	memcpy(out->payee, in + 76, ADDRESS_SIZE);
	memcpy(out->payer, in + 96, ADDRESS_SIZE);
	out->index = be16_load(in + 116);
	out->option_id = be16_load(in + 118);
	memcpy(out->tx, in + 120, TX_SIZE);
	out->block = be64_load(in + 152);
	out->block_time_s = be64_load(in + 160);
	memcpy(out->block_hash, in + 168, 32);
	memcpy(out->offer_hash, in + 200, 32);
	out->price = u256_from_bytes(in + 232);
	out->value = u256_from_bytes(in + 264);
	out->credit_after = u256_from_bytes(in + 296);
	out->expiry_after_s = be64_load(in + 328);
	return 0;
}

/* ---- §18.3 ---- */

size_t claim_record_encode(const struct claim_record *rec,
			   uint8_t out[static CLAIM_RECORD_MAX])
{
	const struct claim *claim = &rec->claim;

	assert(claim->proof_size <= CLAIM_PROOF_MAX);
	memset(out, 0, CLAIM_RECORD_SIZE);
	out[0] = RECORD_VERSION;
	out[1] = (uint8_t)rec->state;
	out[2] = (uint8_t)rec->reason;
	out[3] = (uint8_t)claim->scheme;
	be64_store(out + 8, rec->received_s);
	be64_store(out + 16, rec->updated_s);
	be64_store(out + 24, rec->due_ms);
	be32_store(out + 32, rec->attempts);
	be32_store(out + 36, rec->rev);
	memcpy(out + 40, rec->id, CLAIM_ID_SIZE);
	memcpy(out + 56, claim->node, SECP_PUBLIC_SIZE);
	be64_store(out + 120, claim->chain_id);
	memcpy(out + 128, claim->token, ADDRESS_SIZE);
	memcpy(out + 148, claim->payee, ADDRESS_SIZE);
	memcpy(out + 168, claim->payer, ADDRESS_SIZE);
	memcpy(out + 188, claim->tx, TX_SIZE);
	be16_store(out + 220, claim->index);
	be16_store(out + 222, (uint16_t)claim->proof_size);
	memcpy(out + 224, claim->offer_hash, 32);
	be64_store(out + 256, rec->block);
	be64_store(out + 264, rec->block_time_s);
	memcpy(out + 272, rec->block_hash, 32);
	u256_to_bytes(&rec->value, out + 304);
	be64_store(out + 336, rec->sender_nonce);
	be64_store(out + 344, rec->source_tag);
	if (claim->proof_size)
		memcpy(out + CLAIM_RECORD_SIZE, claim->proof,
		       claim->proof_size);
	seal(out, CLAIM_RECORD_SIZE + claim->proof_size);
	return CLAIM_RECORD_SIZE + claim->proof_size;
}

int claim_record_decode(const uint8_t *in, size_t len, struct claim_record *out)
{
	struct claim *claim = &out->claim;
	int err;

	if (len < CLAIM_RECORD_SIZE || len > CLAIM_RECORD_MAX)
		return ERR_CORRUPT;
	err = open_record(in, len);
	if (err)
		return err;
	if (in[1] < CLAIM_RECEIVED || in[1] > CLAIM_REORGED ||
	    in[2] > CLAIM_CANCELLED || in[3] < CLAIM_SIGNATURE ||
	    in[3] > CLAIM_CALLDATA)
		return ERR_CORRUPT;
	out->state = (enum claim_state)in[1];
	out->reason = (enum claim_reason)in[2];
	claim->scheme = (enum claim_scheme)in[3];
	out->received_s = be64_load(in + 8);
	out->updated_s = be64_load(in + 16);
	out->due_ms = be64_load(in + 24);
	out->attempts = be32_load(in + 32);
	out->rev = be32_load(in + 36);
	memcpy(out->id, in + 40, CLAIM_ID_SIZE);
	memcpy(claim->node, in + 56, SECP_PUBLIC_SIZE);
	claim->chain_id = be64_load(in + 120);
	memcpy(claim->token, in + 128, ADDRESS_SIZE);
	memcpy(claim->payee, in + 148, ADDRESS_SIZE);
	memcpy(claim->payer, in + 168, ADDRESS_SIZE);
	memcpy(claim->tx, in + 188, TX_SIZE);
	claim->index = be16_load(in + 220);
	claim->proof_size = be16_load(in + 222);
	claim->proof = in + CLAIM_RECORD_SIZE;
	if (len != CLAIM_RECORD_SIZE + claim->proof_size)
		return ERR_CORRUPT;
	memcpy(claim->offer_hash, in + 224, 32);
	out->block = be64_load(in + 256);
	out->block_time_s = be64_load(in + 264);
	memcpy(out->block_hash, in + 272, 32);
	out->value = u256_from_bytes(in + 304);
	out->sender_nonce = be64_load(in + 336);
	out->source_tag = be64_load(in + 344);
	return 0;
}
