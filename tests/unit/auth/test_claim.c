#include "auth/claim.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"
#include "tests/support/vectors.h"

struct example {
	json_t *root;
	struct claim claim;
	uint8_t server[SECP_PUBLIC_SIZE];
	uint8_t proof[SECP_SIGNATURE_SIZE];
};

static void copy(json_t *root, const char *path, uint8_t *out, size_t len)
{
	struct hex hex = vectors_hex(root, path);

	cr_assert_eq(hex.len, len, "%s", path);
	memcpy(out, hex.bytes, len);
	hex_release(&hex);
}

static void load(struct example *ex)
{
	json_t *root = vectors_load("payments.json");

	memset(ex, 0, sizeof(*ex));
	ex->root = root;
	ex->claim.scheme = CLAIM_SIGNATURE;
	ex->claim.chain_id = vectors_u64(root, "claim.chain_id");
	copy(root, "keys.server", ex->server, sizeof(ex->server));
	copy(root, "keys.node", ex->claim.node, sizeof(ex->claim.node));
	copy(root, "keys.payer", ex->claim.payer, ADDRESS_SIZE);
	copy(root, "offer.option.token", ex->claim.token, ADDRESS_SIZE);
	copy(root, "offer.option.payee", ex->claim.payee, ADDRESS_SIZE);
	copy(root, "claim.tx", ex->claim.tx, TX_SIZE);
	copy(root, "offer.hash", ex->claim.offer_hash, 32);
	copy(root, "claim.signature", ex->proof, sizeof(ex->proof));
	ex->claim.proof = ex->proof;
	ex->claim.proof_size = sizeof(ex->proof);
}

static void is_hex(json_t *root, const char *path, const uint8_t *got,
		   size_t len)
{
	struct hex want = vectors_hex(root, path);

	cr_assert_eq(want.len, len, "%s", path);
	cr_assert_arr_eq(got, want.bytes, len, "%s", path);
	hex_release(&want);
}

Test(claim, text_digest_and_keys_are_those_of_the_specification)
{
	struct example ex;
	char text[CLAIM_TEXT_MAX];
	uint8_t payment[PAYMENT_KEY_SIZE];
	uint8_t out[32];
	size_t len;

	load(&ex);
	len = claim_text(&ex.claim, ex.server, text);
	cr_assert_eq(len, 755);
	cr_assert_str_eq(text, vectors_text(ex.root, "claim.text"));
	keccak256(text, len, out);
	is_hex(ex.root, "claim.text_hash", out, sizeof(out));
	claim_digest(&ex.claim, ex.server, out);
	is_hex(ex.root, "claim.digest", out, sizeof(out));
	claim_payment_key(&ex.claim, payment);
	is_hex(ex.root, "claim.payment_key", payment, sizeof(payment));
	claim_key(&ex.claim, out);
	is_hex(ex.root, "claim.claim_key", out, sizeof(out));
	/* Another transfer of the same transaction is another payment. */
	ex.claim.index = 0x0102;
	claim_payment_key(&ex.claim, payment);
	cr_assert_eq(be16_load(payment + 100), 0x0102);
	json_decref(ex.root);
}

Test(claim, every_form_of_the_good_signature_is_accepted)
{
	struct example ex;

	load(&ex);
	cr_assert_eq(claim_check_signature(&ex.claim, ex.server), 0);
	ex.proof[64] = 0;
	cr_assert_eq(claim_check_signature(&ex.claim, ex.server), 0);
	ex.claim.proof_size = 64; /* ERC-2098: v is 27, top bit of s stays 0 */
	cr_assert_eq(claim_check_signature(&ex.claim, ex.server), 0);
	json_decref(ex.root);
}

Test(claim, twins_and_odd_forms_are_refused)
{
	uint8_t longer[CLAIM_PROOF_MAX] = {0};
	struct example ex;

	load(&ex);
	copy(ex.root, "claim.high_s", ex.proof, sizeof(ex.proof));
	cr_assert_eq(claim_check_signature(&ex.claim, ex.server), ERR_AUTH);
	copy(ex.root, "claim.signature", ex.proof, sizeof(ex.proof));
	for (unsigned v = 0; v < 256; v++) {
		ex.proof[64] = (uint8_t)v;
		cr_assert_eq(claim_check_signature(&ex.claim, ex.server),
			     v == 0 || v == 27 ? 0 : ERR_AUTH, "v = %u", v);
	}
	ex.proof[64] = 27;
	memcpy(longer, ex.proof, sizeof(ex.proof));
	ex.claim.proof = longer;
	for (size_t size = 0; size <= sizeof(longer); size++) {
		ex.claim.proof_size = size;
		cr_assert_eq(claim_check_signature(&ex.claim, ex.server),
			     size == 64 || size == 65 ? 0 : ERR_AUTH,
			     "size %zu", size);
	}
	json_decref(ex.root);
}

/* Each line of the text binds: changing any field loses the payer. */
Test(claim, a_signature_serves_no_other_claim)
{
	struct example ex;
	struct claim changed;

	load(&ex);
#define REFUSED(change)                                                        \
	do {                                                                   \
		changed = ex.claim;                                            \
		change;                                                        \
		cr_assert_eq(claim_check_signature(&changed, ex.server),       \
			     ERR_AUTH, #change);                               \
	} while (0)
	REFUSED(changed.node[0] ^= 1);
	REFUSED(changed.chain_id = 2);
	REFUSED(changed.token[19] ^= 1);
	REFUSED(changed.payee[19] ^= 1);
	REFUSED(changed.payer[19] ^= 1);
	REFUSED(changed.tx[31] ^= 1);
	REFUSED(changed.index = 1);
	REFUSED(changed.offer_hash[31] ^= 1);
#undef REFUSED
	ex.server[63] ^= 1;
	cr_assert_eq(claim_check_signature(&ex.claim, ex.server), ERR_AUTH);
	json_decref(ex.root);
}

/* Threat 12: what recovers to no key at all must not pass for address 0, from
 * which a token that is minted comes. */
Test(claim, nobody_signs_for_the_zero_address)
{
	struct example ex;
	uint8_t good[SECP_SIGNATURE_SIZE];

	load(&ex);
	memcpy(good, ex.proof, sizeof(good));
	memset(ex.claim.payer, 0, ADDRESS_SIZE);
	for (unsigned change = 0; change < 5; change++) {
		memcpy(ex.proof, good, sizeof(good));
		switch (change) {
		case 0: /* somebody's */
			break;
		case 1: /* r and s are 0 */
			memset(ex.proof, 0, 64);
			break;
		case 2: /* r is 0 */
			memset(ex.proof, 0, 32);
			break;
		case 3: /* s is 0 */
			memset(ex.proof + 32, 0, 32);
			break;
		case 4: /* r is above the order of the curve */
			memset(ex.proof, 0xff, 32);
			break;
		}
		for (size_t size = 0; size <= sizeof(good); size++) {
			ex.claim.proof_size = size;
			cr_assert_eq(
				claim_check_signature(&ex.claim, ex.server),
				ERR_AUTH, "change %u, %zu bytes", change, size);
		}
	}
	json_decref(ex.root);
}

/* Variants of the text, and what the example's signature recovers to. */
Test(claim, other_texts_recover_to_strangers)
{
	struct example ex;
	char text[CLAIM_TEXT_MAX + 32];
	uint8_t digest[32];
	uint8_t address[ADDRESS_SIZE];
	json_t *row;
	size_t len;

	load(&ex);
	len = claim_text(&ex.claim, ex.server, text);
	text[len++] = '\n';
	claim_digest_of(text, len, digest);
	row = json_array_get(vectors_get(ex.root, "claim.refuse"), 0);
	is_hex(row, "digest", digest, sizeof(digest));
	cr_assert_eq(claim_recover(digest, ex.proof, sizeof(ex.proof), address),
		     0);
	is_hex(row, "recovers", address, sizeof(address));
	json_decref(ex.root);
}

Test(claim, the_calldata_commitment_is_that_of_the_specification)
{
	struct example ex;
	uint8_t nonce[16];
	uint8_t out[32];

	load(&ex);
	copy(ex.root, "commitment.nonce", nonce, sizeof(nonce));
	claim_commitment(ex.server, ex.claim.node, nonce, out);
	is_hex(ex.root, "commitment.value", out, sizeof(out));
	json_decref(ex.root);
}
