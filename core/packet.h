#ifndef CORE_PACKET_H
#define CORE_PACKET_H
/*
 * A received payload, decrypted and decompressed: immutable from the moment
 * it is shared, counted, and freed by whoever lets go of it last. Envelopes
 * point into it from the ring to the commit.
 *
 * Thread: any may hold a reference.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct packet {
	atomic_uint refs;
	uint32_t size;
	uint8_t bytes[];
};

struct packet *packet_new(size_t size); /* refs = 1; NULL: no memory */
struct packet *packet_ref(struct packet *packet);
void packet_unref(struct packet *packet); /* NULL is fine */

#endif
