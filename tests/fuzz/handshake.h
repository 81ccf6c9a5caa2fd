#ifndef TESTS_FUZZ_HANDSHAKE_H
#define TESTS_FUZZ_HANDSHAKE_H
/*
 * A packet of the key exchange, fed to the side that reads it: as it comes,
 * and as the plaintext of a packet that is rightly sealed, which is where a
 * stranger's bytes go deepest.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/ecies.h"
#include "net/rlpx.h"

static inline void handshake_feed(const struct secp_key *key, bool is_initiator,
				  const uint8_t *in, size_t len)
{
	/* Any valid point does as the other side. */
	struct rlpx_handshake *hs =
		rlpx_handshake_new(key, is_initiator ? key->public : NULL);
	struct rlpx_streams streams;
	uint8_t out[RLPX_PACKET_MAX], remote[SECP_PUBLIC_SIZE];
	size_t used, out_len;

	if (!hs || (is_initiator && rlpx_handshake_auth(hs, out, &out_len)))
		abort();
	if (rlpx_handshake_feed(hs, in, len, &used, out, &out_len, &streams,
				remote) == 0)
		rlpx_streams_release(&streams);
	if (used > len)
		abort();
	rlpx_handshake_free(hs);
}

static inline void handshake_fuzz(const char *private_hex, bool is_initiator,
				  const uint8_t *data, size_t size)
{
	uint8_t private[SECP_PRIVATE_SIZE], packet[RLPX_PACKET_MAX];
	struct secp_key key;

	if (hex_decode(private_hex, 64, private, sizeof(private)) ||
	    secp_key_from_private(private, &key))
		abort();
	handshake_feed(&key, is_initiator, data, size);
	if (size == 0 || size > RLPX_HANDSHAKE_SIZE_MAX - ECIES_OVERHEAD)
		return;
	be16_store(packet, (uint16_t)(size + ECIES_OVERHEAD));
	if (ecies_seal(key.public, data, size, packet, 2, packet + 2))
		abort();
	handshake_feed(&key, is_initiator, packet, 2 + size + ECIES_OVERHEAD);
}

#endif
