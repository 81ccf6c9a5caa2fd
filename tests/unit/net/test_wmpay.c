#include "net/wmpay.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/vectors.h"

static struct wmpay decode_text(json_t *root, const char *path, unsigned code)
{
	struct hex hex = vectors_hex(root, path);
	uint8_t again[WMPAY_SIZE_MAX];
	static uint8_t kept[WMPAY_SIZE_MAX];
	struct wmpay msg;

	memcpy(kept, hex.bytes, hex.len);
	cr_assert_eq(wmpay_decode(code, kept, hex.len, &msg), 0, "%s", path);
	cr_assert_eq(wmpay_encode(&msg, again), hex.len, "%s", path);
	cr_assert_arr_eq(again, hex.bytes, hex.len, "%s", path);
	hex_release(&hex);
	return msg;
}

Test(wmpay, messages_are_those_of_the_specification)
{
	json_t *root = vectors_load("payments.json");
	struct wmpay msg;
	struct hex tx;

	msg = decode_text(root, "wmpay.get_offer_1", WMPAY_GET_OFFER);
	cr_assert_eq(msg.request_id, 1);
	msg = decode_text(root, "wmpay.claim_status", WMPAY_CLAIM_STATUS);
	cr_assert_eq(msg.u.status.state, CLAIM_CONFIRMING);
	cr_assert_eq(msg.u.status.confirmations, 2);
	cr_assert_eq(msg.u.status.needed, 6);
	cr_assert_eq(msg.u.status.claim_id[15], 0xff);
	cr_assert_eq(msg.u.status.retry_after_s, 4);
	msg = decode_text(root, "wmpay.claim_1", WMPAY_CLAIM);
	tx = vectors_hex(root, "claim.tx");
	cr_assert_arr_eq(msg.u.claim.tx, tx.bytes, TX_SIZE);
	cr_assert_eq(msg.u.claim.proof_size, 65);
	hex_release(&tx);
	json_decref(root);
}

static void round_trip(const struct wmpay *msg, uint8_t *bytes, size_t *len,
		       struct wmpay *again)
{
	*len = wmpay_encode(msg, bytes);
	cr_assert_gt(*len, 0);
	cr_assert_eq(wmpay_decode(msg->code, bytes, *len, again), 0);
	cr_assert_eq(again->request_id, msg->request_id);
}

Test(wmpay, the_other_messages_come_back_as_they_went)
{
	struct wmpay msg = {.code = WMPAY_ENTITLEMENT, .request_id = 9};
	uint8_t bytes[WMPAY_SIZE_MAX];
	struct wmpay again;
	size_t len;

	msg.u.entitlement = (struct wmpay_entitlement){
		.server_time_s = 1767300000,
		.mode = 1,
		.expiry_s = 1775076000,
		.grace_end_s = 1775162400,
		.flags = ENTITLEMENT_UNSETTLED,
		.credits_count = ENTITLEMENT_CREDITS_MAX};
	msg.u.entitlement.credits[31].amount = u256_from_u64(77);
	round_trip(&msg, bytes, &len, &again);
	cr_assert_eq(again.u.entitlement.credits_count,
		     ENTITLEMENT_CREDITS_MAX);
	cr_assert_eq(u256_compare(&again.u.entitlement.credits[31].amount,
				  &msg.u.entitlement.credits[31].amount),
		     0);

	msg = (struct wmpay){.code = WMPAY_ERROR, .request_id = 3};
	msg.u.error.code = 12;
	msg.u.error.retry_after_s = 60;
	memcpy(msg.u.error.text, "slow\n", 5);
	round_trip(&msg, bytes, &len, &again);
	cr_assert_str_eq(again.u.error.text, "slow?");

	msg = (struct wmpay){.code = WMPAY_GET_CLAIM, .request_id = UINT64_MAX};
	msg.u.claim_id[0] = 1;
	round_trip(&msg, bytes, &len, &again);
	cr_assert_eq(again.u.claim_id[0], 1);
}

Test(wmpay, what_is_longer_at_the_end_of_a_list_is_ignored)
{
	static const uint8_t more[] = {0xc3, 0x01, 0x02, 0x03};
	static const uint8_t behind[] = {0xc1, 0x01, 0x02};
	struct wmpay msg;

	cr_assert_eq(wmpay_decode(WMPAY_GET_OFFER, more, sizeof(more), &msg),
		     0);
	cr_assert_eq(msg.request_id, 1);
	cr_assert_eq(
		wmpay_decode(WMPAY_GET_OFFER, behind, sizeof(behind), &msg),
		ERR_SYNTAX);
}

Test(wmpay, bad_messages_are_refused_and_name_their_request)
{
	json_t *root = vectors_load("payments.json");
	struct hex claim = vectors_hex(root, "wmpay.claim_1");
	uint8_t big[WMPAY_SIZE_MAX + 1] = {0xc1, 0x01};
	struct wmpay msg;

	for (size_t len = 0; len < claim.len; len++)
		cr_assert_neq(wmpay_decode(WMPAY_CLAIM, claim.bytes, len, &msg),
			      0);
	/* A status where a claim should be. */
	cr_assert_neq(
		wmpay_decode(WMPAY_CLAIM_STATUS, claim.bytes, claim.len, &msg),
		0);
	cr_assert_eq(msg.request_id, 1);
	cr_assert_eq(wmpay_decode(9, claim.bytes, claim.len, &msg),
		     ERR_UNSUPPORTED);
	cr_assert_eq(wmpay_decode(WMPAY_GET_OFFER, big, sizeof(big), &msg),
		     ERR_RANGE);
	/* An empty proof proves nothing. */
	claim.bytes[1] = (uint8_t)(claim.len - 2 - 66);
	claim.bytes[claim.len - 67] = 0x80;
	cr_assert_eq(
		wmpay_decode(WMPAY_CLAIM, claim.bytes, claim.len - 66, &msg),
		ERR_RANGE);
	cr_assert_eq(msg.request_id, 1);
	hex_release(&claim);
	json_decref(root);
}
