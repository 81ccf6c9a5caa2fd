/*
 * Packets of discovery: as they come, and again without hash and signature,
 * which no mutation would keep. What is read can be written and read again.
 */
#include <assert.h>
#include <string.h>

#include "net/disc4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record is signed over and may be larger than fits beside a signature. */
static void check_again(const struct disc4_packet *packet)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 1}, out[DISC4_SIZE_MAX];
	uint8_t sender[SECP_PUBLIC_SIZE];
	struct disc4_packet again;
	struct secp_key key;
	size_t len;
	int err = secp_key_from_private(private, &key);

	assert(!err);
	if (packet->type == DISC4_ENR_RESPONSE &&
	    packet->body.enr.record_len > DISC4_SIZE_MAX - 2 * DISC4_HEAD_SIZE)
		return;
	len = disc4_encode(packet, &key, out);
	err = disc4_decode(out, len, &again);
	assert(!err && again.type == packet->type);
	assert(again.expiration_s == packet->expiration_s);
	if (packet->type == DISC4_NEIGHBORS)
		assert(again.body.neighbors.count ==
		       packet->body.neighbors.count);
	err = disc4_sender(out, len, sender);
	assert(!err && memcmp(sender, key.public, sizeof(sender)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sender[SECP_PUBLIC_SIZE];
	struct disc4_packet packet;

	if (disc4_decode(data, size, &packet) == 0)
		(void)disc4_sender(data, size, sender);
	if (disc4_body_decode(data, size, &packet) == 0)
		check_again(&packet);
	return 0;
}
