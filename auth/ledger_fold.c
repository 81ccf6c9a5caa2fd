/* The record of a node as the fold of its entries, and the small codecs of the
 * environment's rows. */
#include <assert.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/err.h"

/* ---- the fold (§12.3) ---- */

static int fold_bought(struct entitlement *ent, const struct entry *entry,
		       struct plan_result *out)
{
	const struct plan_terms terms = {
		.price = entry->price,
		.unit_s = entry->unit_s,
		.min_units = entry->min_units,
		.max_units = entry->max_units,
	};
	struct u256 credit =
		entitlement_credit(ent, entry->chain_id, entry->token);
	int err;

	if (u256_is_zero(&terms.price) || terms.unit_s == 0)
		return ERR_CORRUPT;
	err = plan_apply(&terms, &entry->value, &credit, entry->at_s,
			 ent->expiry_s, out);
	if (err)
		return err;
	err = entitlement_set_credit(ent, entry->chain_id, entry->token,
				     &out->credit);
	if (err)
		return err;
	ent->expiry_s = out->expiry_s;
	ent->kind = PLAN_PERIOD;
	if (entry->type == ENTRY_CREDIT && !(entry->flags & ENTRY_SETTLED)) {
		ent->unsettled++;
		ent->flags |= ENTITLEMENT_UNSETTLED;
	}
	return 0;
}

static int fold_grant(struct entitlement *ent, const struct entry *entry)
{
	uint64_t base_s =
		entry->at_s > ent->expiry_s ? entry->at_s : ent->expiry_s;

	if (entry->unit_s == 0) {
		ent->flags |= ENTITLEMENT_NO_END;
	} else {
		if (entry->unit_s > UINT64_MAX - base_s)
			return ERR_RANGE;
		ent->expiry_s = base_s + entry->unit_s;
	}
	ent->flags |= ENTITLEMENT_GRANTED;
	if (ent->kind == PLAN_NONE)
		ent->kind = PLAN_GRANT;
	return 0;
}

static int fold_adjust(struct entitlement *ent, const struct entry *entry)
{
	switch (entry->option_id) {
	case ADJUST_SUSPEND:
		ent->flags |= ENTITLEMENT_SUSPENDED;
		return 0;
	case ADJUST_RESUME:
		ent->flags &= (uint16_t)~ENTITLEMENT_SUSPENDED;
		return 0;
	case ADJUST_REVOKE: /* what it revokes is void */
		return 0;
	default:
		return ERR_CORRUPT;
	}
}

int fold_apply(struct entitlement *ent, const struct entry *entry,
	       struct plan_result *out)
{
	struct plan_result ignored;

	if (entry->flags & ENTRY_VOID)
		return 0;
	switch (entry->type) {
	case ENTRY_CREDIT:
	case ENTRY_CONVERT:
		return fold_bought(ent, entry, out ? out : &ignored);
	case ENTRY_GRANT:
		return fold_grant(ent, entry);
	case ENTRY_ADJUST:
		return fold_adjust(ent, entry);
	default:
		return ERR_CORRUPT;
	}
}

enum plan_outcome fold_outcome(const struct entry *entry)
{
	struct u256 least;

	if (u256_is_zero(&entry->credit_after))
		return PLAN_EXACT;
	/* More left than the next unit costs: there was no room for it. */
	if (u256_mul_u32(&entry->price, entry->units ? 1 : entry->min_units,
			 &least) == 0 &&
	    u256_compare(&entry->credit_after, &least) >= 0)
		return PLAN_CAPPED;
	return entry->units ? PLAN_OVERPAID : PLAN_UNDERPAID;
}

void fold_claim_key(const uint8_t node[static SECP_PUBLIC_SIZE],
		    const struct entry *entry,
		    uint8_t out[static CLAIM_KEY_SIZE])
{
	struct claim claim = {.chain_id = entry->chain_id,
			      .index = entry->index};

	memcpy(claim.node, node, SECP_PUBLIC_SIZE);
	memcpy(claim.token, entry->token, ADDRESS_SIZE);
	memcpy(claim.payee, entry->payee, ADDRESS_SIZE);
	memcpy(claim.payer, entry->payer, ADDRESS_SIZE);
	memcpy(claim.tx, entry->tx, TX_SIZE);
	claim_key(&claim, out);
}

/* ---- keys ---- */

void due_key(uint64_t due_ms, const uint8_t key[static CLAIM_KEY_SIZE],
	     uint8_t out[static DUE_KEY_SIZE])
{
	be64_store(out, due_ms);
	memcpy(out + 8, key, CLAIM_KEY_SIZE);
}

void height_key(uint64_t chain_id, uint64_t block,
		const uint8_t key[static CLAIM_KEY_SIZE],
		uint8_t out[static HEIGHT_KEY_SIZE])
{
	be64_store(out, chain_id);
	be64_store(out + 8, block);
	memcpy(out + 16, key, CLAIM_KEY_SIZE);
}

void entry_key(const uint8_t node[static SECP_PUBLIC_SIZE], uint64_t seq,
	       uint8_t out[static ENTRY_KEY_SIZE])
{
	memcpy(out, node, SECP_PUBLIC_SIZE);
	be64_store(out + SECP_PUBLIC_SIZE, seq);
}

/* ---- rows ---- */

void payment_encode(const struct payment *payment,
		    uint8_t out[static PAYMENT_SIZE])
{
	out[0] = (uint8_t)payment->state;
	memcpy(out + 1, payment->claim_key, CLAIM_KEY_SIZE);
	memcpy(out + 1 + CLAIM_KEY_SIZE, payment->node, SECP_PUBLIC_SIZE);
	be64_store(out + PAYMENT_SIZE - 8, payment->seq);
}

int payment_decode(const uint8_t *in, size_t len, struct payment *out)
{
	if (len != PAYMENT_SIZE ||
	    (in[0] != PAYMENT_CREDITED && in[0] != PAYMENT_VOID))
		return ERR_CORRUPT;
	out->state = (enum payment_state)in[0];
	memcpy(out->claim_key, in + 1, CLAIM_KEY_SIZE);
	memcpy(out->node, in + 1 + CLAIM_KEY_SIZE, SECP_PUBLIC_SIZE);
	out->seq = be64_load(in + PAYMENT_SIZE - 8);
	return 0;
}

const char tally_meta_key[8] = "tally";
const char source_meta_key[8] = "source";

void tally_encode(const struct tally *tally, uint8_t out[static TALLY_SIZE])
{
	be64_store(out, tally->next_event);
	for (int i = 0; i <= CLAIM_REORGED; i++)
		be64_store(out + 8 + 8 * (size_t)i, tally->by_state[i]);
}

int tally_decode(const uint8_t *in, size_t len, struct tally *out)
{
	if (len != TALLY_SIZE)
		return ERR_CORRUPT;
	out->next_event = be64_load(in);
	for (int i = 0; i <= CLAIM_REORGED; i++)
		out->by_state[i] = be64_load(in + 8 + 8 * (size_t)i);
	return 0;
}

/*
 * An event: version 1, kind, from, to, reason, 0, text size u16, crc u32, units
 * u32, index u64, at u64, chain u64, block u64, claim key 32, claim id 16, node
 * 64, and the text.
 */
size_t event_encode(const struct ledger_event *event,
		    uint8_t out[static EVENT_SIZE_MAX])
{
	size_t text_size = strnlen(event->text, sizeof(event->text));

	memset(out, 0, EVENT_FIXED_SIZE);
	out[0] = 1;
	out[1] = event->kind;
	out[2] = (uint8_t)event->from;
	out[3] = (uint8_t)event->to;
	out[4] = (uint8_t)event->reason;
	be16_store(out + 6, (uint16_t)text_size);
	be32_store(out + 12, event->units);
	be64_store(out + 16, event->index);
	be64_store(out + 24, event->at_s);
	be64_store(out + 32, event->chain_id);
	be64_store(out + 40, event->block);
	memcpy(out + 48, event->claim_key, CLAIM_KEY_SIZE);
	memcpy(out + 80, event->claim_id, CLAIM_ID_SIZE);
	memcpy(out + 96, event->node, SECP_PUBLIC_SIZE);
	memcpy(out + EVENT_FIXED_SIZE, event->text, text_size);
	be32_store(out + 8, crc32c(0, out, EVENT_FIXED_SIZE + text_size));
	return EVENT_FIXED_SIZE + text_size;
}

int event_decode(const uint8_t *in, size_t len, struct ledger_event *out)
{
	uint8_t copy[EVENT_SIZE_MAX];
	size_t text_size;

	if (len < EVENT_FIXED_SIZE || len > EVENT_SIZE_MAX)
		return ERR_CORRUPT;
	if (in[0] != 1)
		return ERR_UNSUPPORTED;
	memcpy(copy, in, len);
	be32_store(copy + 8, 0);
	text_size = len - EVENT_FIXED_SIZE;
	if (be32_load(in + 8) != crc32c(0, copy, len) ||
	    be16_load(in + 6) != text_size || text_size >= sizeof(out->text) ||
	    in[2] > CLAIM_REORGED || in[3] > CLAIM_REORGED ||
	    in[4] > CLAIM_CANCELLED)
		return ERR_CORRUPT;
	*out = (struct ledger_event){
		.kind = in[1],
		.from = (enum claim_state)in[2],
		.to = (enum claim_state)in[3],
		.reason = (enum claim_reason)in[4],
		.units = be32_load(in + 12),
		.index = be64_load(in + 16),
		.at_s = be64_load(in + 24),
		.chain_id = be64_load(in + 32),
		.block = be64_load(in + 40),
	};
	memcpy(out->claim_key, in + 48, CLAIM_KEY_SIZE);
	memcpy(out->claim_id, in + 80, CLAIM_ID_SIZE);
	memcpy(out->node, in + 96, SECP_PUBLIC_SIZE);
	memcpy(out->text, in + EVENT_FIXED_SIZE, text_size);
	return 0;
}
