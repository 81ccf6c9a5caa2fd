/* The ack packet, raw and as a sealed plaintext, as the initiator reads it. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/ecies.h"
#include "net/rlpx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char private_hex[] =
	"49a7b37aa6f6645917e7b807e9d1c00d4fa71f18343b0d4122a4d2df64dd6fee";

static void feed(const struct secp_key *key, const uint8_t *in, size_t len)
{
	/* Any valid point does as the other side. */
	struct rlpx_handshake *hs = rlpx_handshake_new(key, key->public);
	struct rlpx_streams streams;
	uint8_t out[RLPX_PACKET_MAX], remote[SECP_PUBLIC_SIZE];
	size_t used, out_len;

	if (!hs || rlpx_handshake_auth(hs, out, &out_len))
		abort();
	if (rlpx_handshake_feed(hs, in, len, &used, out, &out_len, &streams,
				remote) == 0)
		rlpx_streams_release(&streams);
	if (used > len)
		abort();
	rlpx_handshake_free(hs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t private[SECP_PRIVATE_SIZE], packet[RLPX_PACKET_MAX];
	struct secp_key key;

	if (hex_decode(private_hex, 64, private, sizeof(private)) ||
	    secp_key_from_private(private, &key))
		abort();
	feed(&key, data, size);
	if (size == 0 || size > RLPX_HANDSHAKE_SIZE_MAX - ECIES_OVERHEAD)
		return 0;
	be16_store(packet, (uint16_t)(size + ECIES_OVERHEAD));
	if (ecies_seal(key.public, data, size, packet, 2, packet + 2))
		abort();
	feed(&key, packet, 2 + size + ECIES_OVERHEAD);
	return 0;
}
