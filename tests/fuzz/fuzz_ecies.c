/*
 * ECIES: the input as a ciphertext for the node of the vectors, and as a
 * plaintext that is sealed, opened, and refused with one bit turned over.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/ecies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secp_key node_key(void)
{
	struct secp_key key;
	uint8_t private[SECP_PRIVATE_SIZE];
	static const char text[] = "caaae6d7d3018ac6af90705cc2eaebf4"
				   "6a5dc6317719284c872ce55ca188e65c";

	if (hex_decode(text, 64, private, sizeof(private)) ||
	    secp_key_from_private(private, &key))
		abort();
	return key;
}

static void check_sealed(const struct secp_key *key, const uint8_t *data,
			 size_t size)
{
	uint8_t *sealed = malloc(size + ECIES_OVERHEAD);
	uint8_t *opened = malloc(size);
	const uint8_t s2[2] = {data[0], data[size - 1]};
	size_t at = data[0] % (size + ECIES_OVERHEAD);
	int err;

	if (!sealed || !opened)
		abort();
	/* The first 16 bytes serve as iv too: runs can be repeated. */
	err = ecies_seal_with(key, data, key->public, data, size, s2, 2,
			      sealed);
	assert(err == 0);
	err = ecies_open(key, sealed, size + ECIES_OVERHEAD, s2, 2, opened);
	assert(err == 0 && memcmp(opened, data, size) == 0);
	sealed[at] ^= 0x20;
	assert(ecies_open(key, sealed, size + ECIES_OVERHEAD, s2, 2, opened));
	free(opened);
	free(sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secp_key key = node_key();
	uint8_t *out = malloc(size + 1);

	if (!out)
		abort();
	(void)ecies_open(&key, data, size, NULL, 0, out);
	if (size >= 16)
		check_sealed(&key, data, size);
	free(out);
	return 0;
}
