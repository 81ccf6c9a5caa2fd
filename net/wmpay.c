#include "net/wmpay.h"

#include <string.h>

#include "core/err.h"
#include "core/rlp.h"

static void fail(struct rlp_reader *r, int err)
{
	if (!r->err)
		r->err = err;
}

/* ---- reading ---- */

static struct u256 read_u256(struct rlp_reader *r)
{
	struct u256 value = {{0}};
	size_t len;
	const uint8_t *bytes = rlp_string(r, &len);
	int err = r->err ? 0 : u256_from_integer(bytes, len, &value);

	if (err)
		fail(r, err);
	return value;
}

static void read_offer(struct rlp_reader *r, struct wmpay *out)
{
	if (!rlp_is_list(r))
		fail(r, ERR_SYNTAX);
	out->u.offer.bytes = rlp_raw(r, &out->u.offer.size);
}

static void read_claim(struct rlp_reader *r, struct claim *claim)
{
	claim->scheme = rlp_u8(r);
	claim->chain_id = rlp_u64(r);
	rlp_bytes(r, claim->token, sizeof(claim->token));
	rlp_bytes(r, claim->payee, sizeof(claim->payee));
	rlp_bytes(r, claim->payer, sizeof(claim->payer));
	rlp_bytes(r, claim->tx, sizeof(claim->tx));
	claim->index = rlp_u16(r);
	rlp_bytes(r, claim->offer_hash, sizeof(claim->offer_hash));
	claim->proof = rlp_string(r, &claim->proof_size);
	if (claim->proof_size == 0 || claim->proof_size > CLAIM_PROOF_MAX)
		fail(r, ERR_RANGE);
}

static void read_status(struct rlp_reader *r, struct wmpay_status *status)
{
	rlp_bytes(r, status->claim_id, sizeof(status->claim_id));
	status->state = rlp_u8(r);
	status->reason = rlp_u8(r);
	status->confirmations = rlp_u64(r);
	status->needed = rlp_u64(r);
	status->units = rlp_u32(r);
	status->credit = read_u256(r);
	status->expiry_s = rlp_u64(r);
	status->retry_after_s = rlp_u32(r);
}

static void read_credits(struct rlp_reader *r, struct wmpay_entitlement *ent)
{
	struct rlp_reader list = rlp_list(r);

	while (rlp_more(&list)) {
		struct rlp_reader item = rlp_list(&list);
		struct credit *credit = &ent->credits[ent->credits_count];

		if (ent->credits_count == ENTITLEMENT_CREDITS_MAX) {
			fail(r, ERR_RANGE);
			return;
		}
		credit->chain_id = rlp_u64(&item);
		rlp_bytes(&item, credit->token, sizeof(credit->token));
		credit->amount = read_u256(&item);
		if (item.err)
			fail(r, item.err);
		ent->credits_count++;
	}
	if (list.err)
		fail(r, list.err);
}

static void read_entitlement(struct rlp_reader *r,
			     struct wmpay_entitlement *ent)
{
	ent->server_time_s = rlp_u64(r);
	ent->mode = rlp_u8(r);
	ent->expiry_s = rlp_u64(r);
	ent->grace_end_s = rlp_u64(r);
	ent->quota = rlp_u64(r);
	ent->flags = rlp_u32(r);
	read_credits(r, ent);
}

static void read_error(struct rlp_reader *r, struct wmpay_error *error)
{
	size_t len;
	const uint8_t *text;

	error->code = rlp_u32(r);
	text = rlp_string(r, &len);
	if (len > WMPAY_TEXT_MAX)
		len = WMPAY_TEXT_MAX;
	for (size_t i = 0; i < len; i++)
		error->text[i] =
			(char)(text[i] >= ' ' && text[i] <= '~' ? text[i]
								: '?');
	error->retry_after_s = rlp_u32(r);
}

static void read_body(struct rlp_reader *r, struct wmpay *out)
{
	switch (out->code) {
	case WMPAY_GET_OFFER:
	case WMPAY_GET_ENTITLEMENT:
		break;
	case WMPAY_OFFER:
		read_offer(r, out);
		break;
	case WMPAY_CLAIM:
		read_claim(r, &out->u.claim);
		break;
	case WMPAY_CLAIM_STATUS:
		read_status(r, &out->u.status);
		break;
	case WMPAY_GET_CLAIM:
		rlp_bytes(r, out->u.claim_id, sizeof(out->u.claim_id));
		break;
	case WMPAY_ENTITLEMENT:
		read_entitlement(r, &out->u.entitlement);
		break;
	case WMPAY_ERROR:
		read_error(r, &out->u.error);
		break;
	}
}

int wmpay_decode(unsigned code, const uint8_t *in, size_t len,
		 struct wmpay *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list;

	memset(out, 0, sizeof(*out));
	if (len > WMPAY_SIZE_MAX)
		return ERR_RANGE;
	list = rlp_list(&r);
	out->request_id = rlp_u64(&list);
	if (code > WMPAY_ERROR)
		return ERR_UNSUPPORTED;
	out->code = (enum wmpay_code)code;
	read_body(&list, out);
	return list.err ? list.err : rlp_end(&r);
}

/* ---- writing ---- */

static void put_u256(struct rlp_writer *w, const struct u256 *value)
{
	uint8_t bytes[U256_SIZE];

	rlp_put_string(w, bytes, u256_to_integer(value, bytes));
}

static void put_claim(struct rlp_writer *w, const struct claim *claim)
{
	rlp_put_u64(w, claim->scheme);
	rlp_put_u64(w, claim->chain_id);
	rlp_put_string(w, claim->token, sizeof(claim->token));
	rlp_put_string(w, claim->payee, sizeof(claim->payee));
	rlp_put_string(w, claim->payer, sizeof(claim->payer));
	rlp_put_string(w, claim->tx, sizeof(claim->tx));
	rlp_put_u64(w, claim->index);
	rlp_put_string(w, claim->offer_hash, sizeof(claim->offer_hash));
	rlp_put_string(w, claim->proof, claim->proof_size);
}

static void put_status(struct rlp_writer *w, const struct wmpay_status *status)
{
	rlp_put_string(w, status->claim_id, sizeof(status->claim_id));
	rlp_put_u64(w, status->state);
	rlp_put_u64(w, status->reason);
	rlp_put_u64(w, status->confirmations);
	rlp_put_u64(w, status->needed);
	rlp_put_u64(w, status->units);
	put_u256(w, &status->credit);
	rlp_put_u64(w, status->expiry_s);
	rlp_put_u64(w, status->retry_after_s);
}

static void put_entitlement(struct rlp_writer *w,
			    const struct wmpay_entitlement *ent)
{
	rlp_put_u64(w, ent->server_time_s);
	rlp_put_u64(w, ent->mode);
	rlp_put_u64(w, ent->expiry_s);
	rlp_put_u64(w, ent->grace_end_s);
	rlp_put_u64(w, ent->quota);
	rlp_put_u64(w, ent->flags);
	rlp_put_list(w);
	for (unsigned i = 0; i < ent->credits_count; i++) {
		rlp_put_list(w);
		rlp_put_u64(w, ent->credits[i].chain_id);
		rlp_put_string(w, ent->credits[i].token, ADDRESS_SIZE);
		put_u256(w, &ent->credits[i].amount);
		rlp_put_list_end(w);
	}
	rlp_put_list_end(w);
}

static void put_body(struct rlp_writer *w, const struct wmpay *message)
{
	switch (message->code) {
	case WMPAY_GET_OFFER:
	case WMPAY_GET_ENTITLEMENT:
		break;
	case WMPAY_OFFER:
		rlp_put_raw(w, message->u.offer.bytes, message->u.offer.size);
		break;
	case WMPAY_CLAIM:
		put_claim(w, &message->u.claim);
		break;
	case WMPAY_CLAIM_STATUS:
		put_status(w, &message->u.status);
		break;
	case WMPAY_GET_CLAIM:
		rlp_put_string(w, message->u.claim_id,
			       sizeof(message->u.claim_id));
		break;
	case WMPAY_ENTITLEMENT:
		put_entitlement(w, &message->u.entitlement);
		break;
	case WMPAY_ERROR:
		rlp_put_u64(w, message->u.error.code);
		rlp_put_string(w, message->u.error.text,
			       strlen(message->u.error.text));
		rlp_put_u64(w, message->u.error.retry_after_s);
		break;
	}
}

size_t wmpay_encode(const struct wmpay *message,
		    uint8_t out[static WMPAY_SIZE_MAX])
{
	struct rlp_writer w = rlp_writer(out, WMPAY_SIZE_MAX);
	size_t len;

	rlp_put_list(&w);
	rlp_put_u64(&w, message->request_id);
	put_body(&w, message);
	rlp_put_list_end(&w);
	return rlp_put_end(&w, &len) ? 0 : len;
}
