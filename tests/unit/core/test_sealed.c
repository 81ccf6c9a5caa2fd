#include "core/sealed.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes.h"
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

Test(sealed, passwords_give_the_keys_of_the_vectors)
{
	json_t *file = vectors_load("message-codec.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "pbkdf2.keys"), i, v)
	{
		struct hex want = vectors_hex(v, "key");
		uint8_t key[SEALED_KEY_SIZE];

		cr_assert_eq(sealed_key_from_password(
				     vectors_text(v, "password"), key),
			     0);
		cr_assert_arr_eq(key, want.bytes, sizeof(key));
		hex_release(&want);
	}
	cr_assert_geq(i, 5);
	json_decref(file);
}

static void check_opened(json_t *v, const struct sealed_message *msg)
{
	struct hex payload = vectors_hex(v, "payload");
	bool is_signed = !json_is_null(vectors_get(v, "signer_public"));

	cr_assert_eq(msg->payload_size, payload.len);
	cr_assert_eq(memcmp(msg->payload, payload.bytes, payload.len), 0);
	cr_assert_eq(msg->is_signed, is_signed);
	if (is_signed) {
		struct hex signer = vectors_hex(v, "signer_public");

		cr_assert_arr_eq(msg->signer, signer.bytes, SECP_PUBLIC_SIZE);
		hex_release(&signer);
	}
	hex_release(&payload);
}

Test(sealed, the_messages_of_the_vectors_open)
{
	json_t *file = vectors_load("message-codec.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "messages"), i, v)
	{
		struct hex data = vectors_hex(v, "data");
		struct sealed_message msg = {0};

		if (strcmp(vectors_text(v, "kind"), "symmetric") == 0) {
			struct hex key = vectors_hex(v, "key");
			struct secp_key node;

			secp_key_new(&node);
			cr_assert_eq(sealed_open(data.bytes, data.len, &node,
						 key.bytes, &msg),
				     0);
			hex_release(&key);
		} else {
			struct secp_key node = key_of(v, "recipient_private");
			uint8_t key[SEALED_KEY_SIZE] = {1};

			cr_assert_eq(sealed_open(data.bytes, data.len, &node,
						 key, &msg),
				     0);
		}
		check_opened(v, &msg);
		sealed_release(&msg);
		hex_release(&data);
	}
	cr_assert_geq(i, 7);
	json_decref(file);
}

Test(sealed, the_bad_data_of_the_vectors_does_not_open)
{
	json_t *file = vectors_load("message-codec.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "sealed_must_fail"), i, v)
	{
		struct hex data = vectors_hex(v, "data");
		struct hex key = vectors_hex(v, "key");
		struct sealed_message msg;
		struct secp_key node;

		secp_key_new(&node);
		cr_assert_eq(sealed_open(data.bytes, data.len, &node, key.bytes,
					 &msg),
			     ERR_AUTH, "%s", vectors_text(v, "reason"));
		hex_release(&key);
		hex_release(&data);
	}
	cr_assert_geq(i, 4);
	json_decref(file);
}

static const uint8_t test_key[SEALED_KEY_SIZE] = {7};

/* Seal a plaintext as it stands, and open it. */
static int open_plain(const struct hex *plain, struct sealed_message *msg)
{
	uint8_t *data = malloc(plain->len + SEALED_SYMMETRIC_EXTRA);
	uint8_t *nonce = data + plain->len + 16;
	int err;

	memset(nonce, 9, 12);
	cr_assert_eq(aes_gcm_seal(test_key, nonce, plain->bytes, plain->len,
				  data, data + plain->len),
		     0);
	err = sealed_open(data, plain->len + SEALED_SYMMETRIC_EXTRA, NULL,
			  test_key, msg);
	free(data);
	return err;
}

Test(sealed, the_odd_plaintexts_of_the_vectors_are_read)
{
	json_t *file = vectors_load("message-codec.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "plaintext_edge_cases"), i, v)
	{
		struct hex plain = vectors_hex(v, "plaintext");
		struct hex want = vectors_hex(v, "payload");
		struct sealed_message msg;

		cr_assert_eq(open_plain(&plain, &msg), 0);
		cr_assert_not(msg.is_signed);
		cr_assert_eq(msg.payload_size, want.len);
		cr_assert_eq(memcmp(msg.payload, want.bytes, want.len), 0);
		sealed_release(&msg);
		hex_release(&want);
		hex_release(&plain);
	}
	cr_assert_geq(i, 6);
	json_decref(file);
}

Test(sealed, the_bad_plaintexts_of_the_vectors_are_refused)
{
	json_t *file = vectors_load("message-codec.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "plaintext_must_fail"), i, v)
	{
		struct hex plain = vectors_hex(v, "plaintext");
		struct sealed_message msg;
		const char *reason = vectors_text(v, "reason");
		bool is_signature = strstr(reason, "recover") != NULL;

		cr_assert_eq(open_plain(&plain, &msg),
			     is_signature ? ERR_PROTOCOL : ERR_SYNTAX, "%s",
			     reason);
		hex_release(&plain);
	}
	cr_assert_geq(i, 9);
	json_decref(file);
}

Test(sealed, v_of_27_and_28_is_read_like_0_and_1)
{
	json_t *file = vectors_load("message-codec.json");
	struct hex plain = vectors_hex(file, "signature_v_27_28.plaintext");
	struct hex want = vectors_hex(file, "signature_v_27_28.signer_public");
	struct sealed_message msg;
	uint8_t *v = &plain.bytes[plain.len - 1];

	cr_assert_eq(open_plain(&plain, &msg), 0);
	cr_assert(msg.is_signed);
	cr_assert_arr_eq(msg.signer, want.bytes, SECP_PUBLIC_SIZE);
	sealed_release(&msg);
	*v = (uint8_t)(*v - 27);
	cr_assert_eq(open_plain(&plain, &msg), 0);
	cr_assert_arr_eq(msg.signer, want.bytes, SECP_PUBLIC_SIZE);
	sealed_release(&msg);
	for (unsigned other = 2; other < 256; other++) {
		if (other == 27 || other == 28)
			continue;
		*v = (uint8_t)other;
		cr_assert_eq(open_plain(&plain, &msg), ERR_PROTOCOL);
	}
	hex_release(&want);
	hex_release(&plain);
	json_decref(file);
}

static const size_t sizes[] = {0, 1, 189, 190, 254, 255, 256, 65535, 65536};

Test(sealed, what_is_sealed_with_a_key_opens_with_it)
{
	struct secp_key signer;
	uint8_t *payload = calloc(1, 65536);

	secp_key_new(&signer);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int is_signed = 0; is_signed < 2; is_signed++) {
			struct sealed_message msg;
			uint8_t *data;
			size_t len;

			cr_assert_eq(sealed_seal_symmetric(
					     test_key, payload, sizes[i],
					     is_signed ? &signer : NULL, &data,
					     &len),
				     0);
			cr_assert_eq((len - SEALED_SYMMETRIC_EXTRA) % 256, 0);
			cr_assert_gt(len, sizes[i] + SEALED_SYMMETRIC_EXTRA);
			cr_assert_eq(
				sealed_open(data, len, NULL, test_key, &msg),
				0);
			cr_assert_eq(msg.payload_size, sizes[i]);
			cr_assert_eq(msg.is_signed, is_signed);
			if (is_signed)
				cr_assert_arr_eq(msg.signer, signer.public,
						 SECP_PUBLIC_SIZE);
			sealed_release(&msg);
			free(data);
		}
	}
	free(payload);
}

Test(sealed, lengths_are_those_of_the_specification)
{
	struct secp_key node;
	uint8_t payload[254] = {0};
	uint8_t *data;
	size_t len;

	secp_key_new(&node);
	cr_assert_eq(
		sealed_seal_symmetric(test_key, payload, 3, &node, &data, &len),
		0);
	cr_assert_eq(len, 284);
	free(data);
	cr_assert_eq(sealed_seal_asymmetric(node.public, payload, 3, &node,
					    &data, &len),
		     0);
	cr_assert_eq(len, 369);
	free(data);
	/* A whole 256 before the padding gets 256 more. */
	cr_assert_eq(sealed_seal_symmetric(test_key, payload, 254, NULL, &data,
					   &len),
		     0);
	cr_assert_eq(len, 540);
	free(data);
	cr_assert_eq(sealed_seal_symmetric(test_key, payload, 1 << 24, NULL,
					   &data, &len),
		     ERR_RANGE);
}

Test(sealed, what_is_sealed_for_a_node_opens_there_alone)
{
	struct secp_key node;
	struct secp_key other;
	struct sealed_message msg;
	uint8_t *data;
	size_t len;

	secp_key_new(&node);
	secp_key_new(&other);
	cr_assert_eq(sealed_seal_asymmetric(node.public, (const uint8_t *)"abc",
					    3, &other, &data, &len),
		     0);
	cr_assert_eq(sealed_open(data, len, &other, test_key, &msg), ERR_AUTH);
	cr_assert_eq(sealed_open(data, len, NULL, test_key, &msg), ERR_AUTH);
	cr_assert_eq(sealed_open(data, len, NULL, NULL, &msg), ERR_AUTH);
	cr_assert_eq(sealed_open(data, len, &node, NULL, &msg), 0);
	cr_assert_eq(msg.payload_size, 3);
	cr_assert_arr_eq(msg.payload, "abc", 3);
	cr_assert_arr_eq(msg.signer, other.public, SECP_PUBLIC_SIZE);
	sealed_release(&msg);
	data[len - 1] ^= 1;
	cr_assert_eq(sealed_open(data, len, &node, test_key, &msg), ERR_AUTH);
	free(data);
}
