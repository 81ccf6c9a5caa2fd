#include "core/ecies.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/vectors.h"

static struct secp_key key_of(json_t *obj, const char *path)
{
	struct hex hex = vectors_hex(obj, path);
	struct secp_key key;

	cr_assert_eq(secp_key_from_private(hex.bytes, &key), 0);
	hex_release(&hex);
	return key;
}

static void check_good(json_t *v)
{
	struct secp_key to = key_of(v, "recipient_private");
	struct secp_key ephemeral = key_of(v, "ephemeral_private");
	struct hex iv = vectors_hex(v, "iv");
	struct hex plain = vectors_hex(v, "plaintext");
	struct hex s2 = vectors_hex(v, "mac_extra");
	struct hex sealed = vectors_hex(v, "ciphertext");
	uint8_t *made = malloc(sealed.len);
	uint8_t *opened = malloc(plain.len);

	cr_assert_eq(sealed.len, plain.len + ECIES_OVERHEAD);
	cr_assert_eq(ecies_seal_with(&ephemeral, iv.bytes, to.public,
				     plain.bytes, plain.len, s2.bytes, s2.len,
				     made),
		     0);
	cr_assert_arr_eq(made, sealed.bytes, sealed.len);
	cr_assert_eq(ecies_open(&to, sealed.bytes, sealed.len, s2.bytes, s2.len,
				opened),
		     0);
	cr_assert_arr_eq(opened, plain.bytes, plain.len);
	/* What is not sent is authenticated all the same. */
	cr_assert_eq(ecies_open(&to, sealed.bytes, sealed.len,
				(const uint8_t *)"?", 1, opened),
		     ERR_AUTH);
	free(opened);
	free(made);
	hex_release(&sealed);
	hex_release(&s2);
	hex_release(&plain);
	hex_release(&iv);
}

Test(ecies, the_good_vectors_are_sealed_and_opened)
{
	json_t *file = vectors_load("ecies.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "good"), i, v) check_good(v);
	cr_assert_geq(i, 3);
	json_decref(file);
}

Test(ecies, the_bad_vectors_do_not_open)
{
	json_t *file = vectors_load("ecies.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "must_fail"), i, v)
	{
		struct secp_key key = key_of(v, "recipient_private");
		struct hex in = vectors_hex(v, "ciphertext");
		uint8_t *out = malloc(in.len + 1);

		cr_assert_eq(ecies_open(&key, in.bytes, in.len, NULL, 0, out),
			     ERR_AUTH, "%s", vectors_text(v, "reason"));
		free(out);
		hex_release(&in);
	}
	cr_assert_geq(i, 10);
	json_decref(file);
}

Test(ecies, every_byte_and_the_length_are_authenticated)
{
	uint8_t plain[20] = "nineteen characters";
	uint8_t sealed[sizeof(plain) + ECIES_OVERHEAD];
	uint8_t opened[sizeof(plain)];
	struct secp_key to;

	secp_key_new(&to);
	cr_assert_eq(
		ecies_seal(to.public, plain, sizeof(plain), NULL, 0, sealed),
		0);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		sealed[i] ^= bit;
		cr_assert_eq(ecies_open(&to, sealed, sizeof(sealed), NULL, 0,
					opened),
			     ERR_AUTH);
		sealed[i] ^= bit;
		cr_assert_eq(ecies_open(&to, sealed, i, NULL, 0, opened),
			     ERR_AUTH);
	}
	cr_assert_eq(ecies_open(&to, sealed, sizeof(sealed), NULL, 0, opened),
		     0);
	cr_assert_arr_eq(opened, plain, sizeof(plain));
}

Test(ecies, another_key_does_not_open_it)
{
	uint8_t plain[1] = {1};
	uint8_t sealed[1 + ECIES_OVERHEAD];
	struct secp_key to;
	struct secp_key other;

	secp_key_new(&to);
	secp_key_new(&other);
	cr_assert_eq(ecies_seal(to.public, plain, 1, NULL, 0, sealed), 0);
	cr_assert_eq(ecies_open(&other, sealed, sizeof(sealed), NULL, 0, plain),
		     ERR_AUTH);
}

Test(ecies, nothing_is_sealed_that_could_not_be_opened)
{
	uint8_t out[ECIES_OVERHEAD + 1];
	uint8_t off_curve[SECP_PUBLIC_SIZE] = {0};
	struct secp_key to;

	secp_key_new(&to);
	cr_assert_eq(ecies_seal(to.public, NULL, 0, NULL, 0, out), ERR_RANGE);
	cr_assert_eq(ecies_seal(off_curve, out, 1, NULL, 0, out), ERR_AUTH);
}
