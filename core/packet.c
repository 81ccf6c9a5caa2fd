#include "core/packet.h"

#include <assert.h>
#include <stdlib.h>

struct packet *packet_new(size_t size)
{
	struct packet *packet;

	assert(size <= UINT32_MAX);
	packet = malloc(sizeof(*packet) + size);
	if (!packet)
		return NULL;
	atomic_init(&packet->refs, 1);
	packet->size = (uint32_t)size;
	return packet;
}

struct packet *packet_ref(struct packet *packet)
{
	unsigned before = atomic_fetch_add_explicit(&packet->refs, 1,
						    memory_order_relaxed);

	assert(before > 0);
	return packet;
}

void packet_unref(struct packet *packet)
{
	unsigned before;

	if (!packet)
		return;
	/* What others read happened before the last one frees it. */
	before = atomic_fetch_sub_explicit(&packet->refs, 1,
					   memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		free(packet);
}
