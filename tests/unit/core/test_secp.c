#include "core/secp.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/vectors.h"

/* n, the order of the group. */
static const char order[] = "fffffffffffffffffffffffffffffffe"
			    "baaedce6af48a03bbfd25e8cd0364141";

static struct secp_key key_of(json_t *obj, const char *path)
{
	struct hex hex = vectors_hex(obj, path);
	struct secp_key key;

	cr_assert_eq(hex.len, SECP_PRIVATE_SIZE);
	cr_assert_eq(secp_key_from_private(hex.bytes, &key), 0);
	hex_release(&hex);
	return key;
}

Test(secp, a_private_key_has_the_public_key_of_the_vector)
{
	json_t *file = vectors_load("signatures.json");
	struct secp_key key = key_of(file, "address_of_key.private");
	struct hex want = vectors_hex(file, "address_of_key.public");

	cr_assert_arr_eq(key.public, want.bytes, SECP_PUBLIC_SIZE);
	cr_assert(secp_public_is_valid(key.public));
	hex_release(&want);
	json_decref(file);
}

/* v is 27 or 28 in these; ours is 0 or 1. */
static void check_signature(json_t *v)
{
	struct secp_key key = key_of(v, "private");
	struct hex digest = vectors_hex(v, "digest");
	struct hex sig = vectors_hex(v, "signature_rsv");
	uint8_t made[SECP_SIGNATURE_SIZE];
	uint8_t signer[SECP_PUBLIC_SIZE];

	cr_assert_eq(secp_recover(digest.bytes, sig.bytes, signer), ERR_AUTH);
	sig.bytes[64] = (uint8_t)(sig.bytes[64] - 27);
	cr_assert_eq(secp_recover(digest.bytes, sig.bytes, signer), 0);
	cr_assert_arr_eq(signer, key.public, SECP_PUBLIC_SIZE);
	secp_sign(&key, digest.bytes, made);
	cr_assert_arr_eq(made, sig.bytes, sizeof(made));
	cr_assert(secp_signature_is_low_s(made));
	hex_release(&sig);
	hex_release(&digest);
}

Test(secp, the_short_form_of_a_public_key_goes_there_and_back)
{
	uint8_t back[SECP_PUBLIC_SIZE], compact[SECP_COMPACT_SIZE];
	struct secp_key key;

	/* Y is odd in about half of them. */
	for (unsigned i = 0; i < 16; i++) {
		secp_key_new(&key);
		secp_public_compact(key.public, compact);
		cr_assert_eq(secp_public_from_compact(compact, back), 0);
		cr_assert_arr_eq(back, key.public, sizeof(back));
	}
	compact[0] = 4;
	cr_assert_eq(secp_public_from_compact(compact, back), ERR_AUTH);
	compact[0] = 2;
	memset(compact + 1, 0xff, sizeof(compact) - 1);
	cr_assert_eq(secp_public_from_compact(compact, back), ERR_AUTH);
}

Test(secp, a_signature_is_verified_by_its_key_alone)
{
	uint8_t digest[32] = {1, 2, 3}, sig[SECP_SIGNATURE_SIZE];
	struct secp_key key, other;

	secp_key_new(&key);
	secp_key_new(&other);
	secp_sign(&key, digest, sig);
	cr_assert_eq(secp_verify(key.public, digest, sig), 0);
	cr_assert_eq(secp_verify(other.public, digest, sig), ERR_AUTH);
	digest[0] ^= 1;
	cr_assert_eq(secp_verify(key.public, digest, sig), ERR_AUTH);
	memset(sig, 0xff, sizeof(sig));
	cr_assert_eq(secp_verify(key.public, digest, sig), ERR_AUTH);
}

Test(secp, the_signatures_of_the_vectors_are_made_and_recovered)
{
	json_t *file = vectors_load("signatures.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "eip191_personal"), i, v)
		check_signature(v);
	cr_assert_geq(i, 4);
	check_signature(vectors_get(file, "eip712"));
	json_decref(file);
}

Test(secp, ecdh_gives_the_x_of_the_vectors_from_both_sides)
{
	json_t *file = vectors_load("ecies.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "good"), i, v)
	{
		struct secp_key a = key_of(v, "ephemeral_private");
		struct secp_key b = key_of(v, "recipient_private");
		struct hex want = vectors_hex(v, "ecdh_x");
		uint8_t x[32];

		cr_assert_eq(secp_ecdh(a.private, b.public, x), 0);
		cr_assert_arr_eq(x, want.bytes, sizeof(x));
		cr_assert_eq(secp_ecdh(b.private, a.public, x), 0);
		cr_assert_arr_eq(x, want.bytes, sizeof(x));
		hex_release(&want);
	}
	json_decref(file);
}

Test(secp, zero_and_the_order_are_no_private_keys)
{
	struct hex n = hex_from_text(order);
	uint8_t zero[SECP_PRIVATE_SIZE] = {0};
	struct secp_key key;

	cr_assert_eq(secp_key_from_private(zero, &key), ERR_RANGE);
	cr_assert_eq(secp_key_from_private(n.bytes, &key), ERR_RANGE);
	n.bytes[31]--;
	cr_assert_eq(secp_key_from_private(n.bytes, &key), 0);
	hex_release(&n);
}

Test(secp, a_point_off_the_curve_is_never_multiplied)
{
	uint8_t point[SECP_PUBLIC_SIZE] = {0};
	struct secp_key key;
	uint8_t x[32];

	secp_key_new(&key);
	cr_assert_not(secp_public_is_valid(point));
	cr_assert_eq(secp_ecdh(key.private, point, x), ERR_AUTH);
	memset(point, 0xff, sizeof(point));
	cr_assert_not(secp_public_is_valid(point));
	memcpy(point, key.public, sizeof(point));
	cr_assert(secp_public_is_valid(point));
	point[63] ^= 1;
	cr_assert_not(secp_public_is_valid(point));
	cr_assert_eq(secp_ecdh(key.private, point, x), ERR_AUTH);
}

Test(secp, r_s_and_v_out_of_range_are_refused)
{
	struct hex n = hex_from_text(order);
	struct secp_key key;
	uint8_t digest[32] = {5};
	uint8_t good[SECP_SIGNATURE_SIZE];
	uint8_t sig[SECP_SIGNATURE_SIZE];
	uint8_t signer[SECP_PUBLIC_SIZE];

	secp_key_new(&key);
	secp_sign(&key, digest, good);
	for (unsigned v = 4; v < 256; v++) {
		memcpy(sig, good, sizeof(sig));
		sig[64] = (uint8_t)v;
		cr_assert_eq(secp_recover(digest, sig, signer), ERR_AUTH);
	}
	for (size_t at = 0; at <= 32; at += 32) {
		memcpy(sig, good, sizeof(sig));
		memset(sig + at, 0, 32);
		cr_assert_eq(secp_recover(digest, sig, signer), ERR_AUTH);
		memcpy(sig + at, n.bytes, 32);
		cr_assert_eq(secp_recover(digest, sig, signer), ERR_AUTH);
	}
	cr_assert_eq(secp_recover(digest, good, signer), 0);
	cr_assert_arr_eq(signer, key.public, sizeof(signer));
	hex_release(&n);
}

/* The other signature of the same key: n - s, and v turned over. */
static void make_high_s(uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	struct hex n = hex_from_text(order);
	int borrow = 0;

	for (int i = 31; i >= 0; i--) {
		int d = n.bytes[i] - sig[32 + i] - borrow;

		borrow = d < 0;
		sig[32 + i] = (uint8_t)d;
	}
	sig[64] ^= 1;
	hex_release(&n);
}

Test(secp, high_s_recovers_the_same_key_and_is_told)
{
	struct secp_key key;
	uint8_t digest[32] = {6};
	uint8_t sig[SECP_SIGNATURE_SIZE];
	uint8_t signer[SECP_PUBLIC_SIZE];

	secp_key_new(&key);
	secp_sign(&key, digest, sig);
	cr_assert(secp_signature_is_low_s(sig));
	make_high_s(sig);
	cr_assert_not(secp_signature_is_low_s(sig));
	cr_assert_eq(secp_recover(digest, sig, signer), 0);
	cr_assert_arr_eq(signer, key.public, sizeof(signer));
}

Test(secp, the_middle_of_the_range_is_low_and_its_successor_is_not)
{
	struct hex half = hex_from_text("7fffffffffffffffffffffffffffffff"
					"5d576e7357a4501ddfe92f46681b20a0");
	uint8_t sig[SECP_SIGNATURE_SIZE] = {0};

	memcpy(sig + 32, half.bytes, 32);
	cr_assert(secp_signature_is_low_s(sig));
	sig[63]++;
	cr_assert_not(secp_signature_is_low_s(sig));
	hex_release(&half);
}

Test(secp, fresh_keys_differ)
{
	struct secp_key a;
	struct secp_key b;

	secp_key_new(&a);
	secp_key_new(&b);
	cr_assert_neq(memcmp(a.private, b.private, sizeof(a.private)), 0);
	cr_assert_neq(memcmp(a.public, b.public, sizeof(a.public)), 0);
}
