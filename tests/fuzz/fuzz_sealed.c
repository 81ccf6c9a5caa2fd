/*
 * Sealed messages: the input as data from an envelope, and as a plaintext
 * that is sealed first, for the parser that stands behind the tag.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_hex(const char *text, uint8_t out[static 32])
{
	if (hex_decode(text, 64, out, 32))
		abort();
}

static void check_open(const uint8_t *data, size_t size,
		       const struct secp_key *node, const uint8_t *key)
{
	struct sealed_message msg;

	if (sealed_open(data, size, node, key, &msg))
		return;
	assert(msg.payload > msg.plain);
	assert(msg.payload_size < size);
	assert((size_t)(msg.payload - msg.plain) + msg.payload_size < size);
	sealed_release(&msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secp_key node;
	uint8_t private[SECP_PRIVATE_SIZE];
	uint8_t key[SEALED_KEY_SIZE];
	uint8_t *sealed = calloc(1, size + SEALED_SYMMETRIC_EXTRA);

	from_hex("a981c95a1e79857008854ef0640053838eecad1609b4353eecf62616ad01a"
		 "51a",
		 private);
	from_hex("765df27c0765526f920ba742ff4b9452bb0064e016435ffccd81186aa6fea"
		 "ae8",
		 key);
	if (!sealed || secp_key_from_private(private, &node))
		abort();
	check_open(data, size, &node, key);
	if (aes_gcm_seal(key, sealed + size + 16, data, size, sealed,
			 sealed + size))
		abort();
	check_open(sealed, size + SEALED_SYMMETRIC_EXTRA, NULL, key);
	free(sealed);
	return 0;
}
