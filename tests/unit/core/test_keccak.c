#include "core/keccak.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/vectors.h"

static void expect_digest(const uint8_t *digest, json_t *obj, const char *path)
{
	struct hex want = vectors_hex(obj, path);

	cr_assert_eq(want.len, KECCAK_DIGEST);
	cr_assert_arr_eq(digest, want.bytes, KECCAK_DIGEST, "%s", path);
	hex_release(&want);
}

Test(keccak, hashes_the_published_vectors)
{
	json_t *root = vectors_load("keccak256.json");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "vectors"), i, entry)
	{
		struct hex in = vectors_hex(entry, "input");
		uint8_t digest[KECCAK_DIGEST];

		keccak256(in.bytes, in.len, digest);
		expect_digest(digest, entry, "keccak256");
		hex_release(&in);
	}
	json_array_foreach(vectors_get(root, "topics"), i, entry)
	{
		const char *name = vectors_text(entry, "name");
		uint8_t digest[KECCAK_DIGEST];

		keccak256(name, strlen(name), digest);
		expect_digest(digest, entry, "keccak256");
	}
	json_decref(root);
}

Test(keccak, peeking_leaves_the_state_alone)
{
	json_t *root = vectors_load("keccak256.json");
	struct keccak k;
	json_t *entry;
	size_t i;

	keccak_init(&k);
	json_array_foreach(vectors_get(root, "running_state"), i, entry)
	{
		const char *text = vectors_text(entry, "absorb_ascii");
		uint8_t digest[KECCAK_DIGEST];

		keccak_absorb(&k, text, strlen(text));
		keccak_peek(&k, digest);
		expect_digest(digest, entry, "digest_now");
	}
	json_decref(root);
}

Test(keccak, a_batch_is_the_hash_of_the_payload)
{
	json_t *envelopes = vectors_load("envelopes.json");
	json_t *confirmations = vectors_load("confirmations.json");
	struct hex payload = vectors_hex(envelopes, "messages_packet.payload");
	uint8_t digest[KECCAK_DIGEST];

	keccak256(payload.bytes, payload.len, digest);
	expect_digest(digest, envelopes, "messages_packet.batch_hash");
	expect_digest(digest, confirmations, "batch_payload_keccak256");
	hex_release(&payload);
	json_decref(envelopes);
	json_decref(confirmations);
}

Test(keccak, pieces_of_any_size_make_the_same_digest)
{
	static uint8_t in[1000];
	uint8_t whole[KECCAK_DIGEST], pieces[KECCAK_DIGEST];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 251);
	keccak256(in, sizeof(in), whole);
	for (size_t piece = 1; piece < 300; piece++) {
		struct keccak k;

		keccak_init(&k);
		for (size_t at = 0; at < sizeof(in); at += piece) {
			size_t left = sizeof(in) - at;

			keccak_absorb(&k, in + at, left < piece ? left : piece);
		}
		keccak_peek(&k, pieces);
		cr_assert_arr_eq(whole, pieces, KECCAK_DIGEST, "piece %zu",
				 piece);
	}
}
