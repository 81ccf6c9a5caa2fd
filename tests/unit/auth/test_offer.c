#include "auth/offer.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/vectors.h"

static void copy(json_t *root, const char *path, uint8_t *out, size_t len)
{
	struct hex hex = vectors_hex(root, path);

	cr_assert_eq(hex.len, len, "%s", path);
	memcpy(out, hex.bytes, len);
	hex_release(&hex);
}

static struct offer example(json_t *root, struct secp_key *key)
{
	struct offer offer = {
		.sequence = vectors_u64(root, "offer.sequence"),
		.not_before_s = vectors_u64(root, "offer.not_before"),
		.not_after_s = vectors_u64(root, "offer.not_after"),
		.pay_window_s = 86400,
		.grace_s = 86400,
		.options_count = 1,
	};
	struct offer_option *option = &offer.options[0];
	uint8_t private[SECP_PRIVATE_SIZE];

	copy(root, "keys.server_private", private, sizeof(private));
	cr_assert_eq(secp_key_from_private(private, key), 0);
	memcpy(offer.server, key->public, SECP_PUBLIC_SIZE);
	option->id = 1;
	option->kind = PLAN_PERIOD;
	option->chain_id = 1;
	copy(root, "offer.option.token", option->token, ADDRESS_SIZE);
	copy(root, "offer.option.payee", option->payee, ADDRESS_SIZE);
	option->decimals = 18;
	memcpy(option->symbol, "SNT", 4);
	cr_assert_eq(u256_from_decimal(vectors_text(root, "offer.option.price"),
				       &option->terms.price),
		     0);
	option->terms.unit_s = vectors_u64(root, "offer.option.unit");
	option->terms.min_units = 1;
	option->terms.max_units = 24;
	option->activate = (struct policy){POLICY_CONFIRMATIONS, 6};
	option->settle = (struct policy){POLICY_FINAL, 0};
	return offer;
}

Test(offer, signing_gives_the_bytes_of_the_specification)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	struct hex content = vectors_hex(root, "offer.rlp");
	struct hex want_hash = vectors_hex(root, "offer.hash");
	struct hex want_sig = vectors_hex(root, "offer.signature");
	uint8_t out[OFFER_SIZE_MAX];
	uint8_t hash[32];
	size_t len;

	cr_assert_eq(offer_sign(&offer, &key, out, &len, hash), 0);
	cr_assert_arr_eq(hash, want_hash.bytes, 32);
	/* [content, signature]: f8 len, content, b8 41, 65 bytes */
	cr_assert_eq(len, 2 + content.len + 2 + want_sig.len);
	cr_assert_arr_eq(out + 2, content.bytes, content.len);
	cr_assert_arr_eq(out + 2 + content.len + 2, want_sig.bytes,
			 want_sig.len);
	hex_release(&content);
	hex_release(&want_hash);
	hex_release(&want_sig);
	json_decref(root);
}

Test(offer, what_was_signed_opens_to_the_same_terms)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	struct offer opened;
	uint8_t out[OFFER_SIZE_MAX];
	uint8_t hash[32];
	uint8_t hash_again[32];
	size_t len;

	cr_assert_eq(offer_sign(&offer, &key, out, &len, hash), 0);
	cr_assert_eq(offer_open(out, len, &opened, hash_again), 0);
	cr_assert_arr_eq(hash, hash_again, 32);
	cr_assert_eq(opened.sequence, 7);
	cr_assert_eq(opened.options_count, 1);
	cr_assert_str_eq(opened.options[0].symbol, "SNT");
	cr_assert_eq(u256_compare(&opened.options[0].terms.price,
				  &offer.options[0].terms.price),
		     0);
	cr_assert_eq(opened.options[0].settle.mode, POLICY_FINAL);
	cr_assert_not_null(offer_find(&opened, 1, offer.options[0].token,
				      offer.options[0].payee));
	cr_assert_null(offer_find(&opened, 2, offer.options[0].token,
				  offer.options[0].payee));
	cr_assert_null(offer_find(&opened, 1, offer.options[0].payee,
				  offer.options[0].payee));
	cr_assert_null(offer_find(&opened, 1, offer.options[0].token,
				  offer.options[0].token));
	json_decref(root);
}

/* Threat 33: an offer changed on the way. */
Test(offer, no_byte_of_it_can_be_changed)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	struct offer opened;
	uint8_t out[OFFER_SIZE_MAX];
	uint8_t hash[32];
	size_t len;

	cr_assert_eq(offer_sign(&offer, &key, out, &len, hash), 0);
	for (size_t i = 0; i < len; i++) {
		out[i] ^= 1;
		cr_assert_neq(offer_open(out, len, &opened, hash), 0,
			      "byte %zu", i);
		out[i] ^= 1;
	}
	for (size_t short_len = 0; short_len < len; short_len++)
		cr_assert_neq(offer_open(out, short_len, &opened, hash), 0);
	json_decref(root);
}

/* n - s for s, and the other v: the same key made that, too. */
static void make_twin(uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	struct u256 order, s = u256_from_bytes(sig + 32);

	cr_assert_eq(u256_from_quantity("0xfffffffffffffffffffffffffffffffebaae"
					"dce6af48a03bbfd25e8cd0364141",
					&order),
		     0);
	cr_assert_eq(u256_sub(&order, &s, &s), 0);
	u256_to_bytes(&s, sig + 32);
	sig[64] ^= 1;
}

/* §4.1: v in {0,1}, low s. */
Test(offer, its_signature_has_one_form)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	struct offer opened;
	uint8_t out[OFFER_SIZE_MAX];
	uint8_t hash[32];
	uint8_t *sig;
	size_t len;
	uint8_t good;

	cr_assert_eq(offer_sign(&offer, &key, out, &len, hash), 0);
	sig = out + len - SECP_SIGNATURE_SIZE;
	good = sig[64];
	for (unsigned v = 0; v < 256; v++) {
		sig[64] = (uint8_t)v;
		cr_assert_eq(offer_open(out, len, &opened, hash),
			     v == good ? 0 : ERR_AUTH, "v = %u", v);
	}
	sig[64] = good;
	make_twin(sig);
	cr_assert_eq(offer_open(out, len, &opened, hash), ERR_AUTH);
	make_twin(sig);
	cr_assert_eq(offer_open(out, len, &opened, hash), 0);
	json_decref(root);
}

Test(offer, unsound_terms_are_refused_with_a_reason)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	struct offer bad;
	const char *why;

	cr_assert_eq(offer_check(&offer, &why), 0);
#define UNSOUND(change)                                                        \
	do {                                                                   \
		bad = offer;                                                   \
		change;                                                        \
		cr_assert_eq(offer_check(&bad, &why), ERR_RANGE, #change);     \
		cr_assert_not_null(why);                                       \
	} while (0)
	UNSOUND(bad.not_after_s = bad.not_before_s);
	UNSOUND(bad.options_count = 0);
	UNSOUND(bad.options[0].terms.price = (struct u256){0});
	UNSOUND(bad.options[0].terms.unit_s = 0);
	UNSOUND(bad.options[0].terms.min_units = 0);
	UNSOUND(bad.options[0].terms.max_units = 0);
	UNSOUND(memset(bad.options[0].payee, 0, ADDRESS_SIZE));
	UNSOUND(memcpy(bad.options[0].payee, bad.options[0].token,
		       ADDRESS_SIZE));
	UNSOUND(bad.options[0].settle =
			((struct policy){POLICY_CONFIRMATIONS, 5}));
	UNSOUND(bad.options[0].activate =
			((struct policy){POLICY_CONFIRMATIONS, 0}));
	UNSOUND(bad.options[0].symbol[0] = '\0');
	UNSOUND(bad.options[0].symbol[1] = '\n');
	UNSOUND((bad.options[1] = bad.options[0], bad.options_count = 2));
#undef UNSOUND
	json_decref(root);
}

Test(offer, its_price_holds_from_a_little_before_to_the_end_of_the_pay_window)
{
	struct offer offer = {.not_before_s = 10000,
			      .not_after_s = 20000,
			      .pay_window_s = 500};

	cr_assert_not(offer_covers_time(&offer, 10000 - 901));
	cr_assert(offer_covers_time(&offer, 10000 - 900));
	cr_assert(offer_covers_time(&offer, 20500));
	cr_assert_not(offer_covers_time(&offer, 20501));
}

Test(offer, the_payment_link_names_token_chain_payee_and_amount)
{
	json_t *root = vectors_load("payments.json");
	struct secp_key key;
	struct offer offer = example(root, &key);
	char link[OFFER_LINK_MAX];

	cr_assert_eq(offer_link(&offer.options[0], 3, link), 0);
	cr_assert_str_eq(
		link,
		"ethereum:0x744d70fdbe2ba4cf95131626614a1763df805b9e@1/transfer"
		"?address=0x90f79bf6eb2c4f870365e785982e1f101e93b906"
		"&uint256=300000000000000000000");
	json_decref(root);
}
