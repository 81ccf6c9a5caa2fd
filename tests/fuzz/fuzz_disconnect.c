/* Disconnect payloads, and the message ids in front of them. */
#include <stdlib.h>
#include <string.h>

#include "net/p2p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message_id(const uint8_t *data, size_t size)
{
	const bool all[CAP_COUNT] = {true, true, true};
	struct cap_map map;
	uint8_t out[9];
	uint64_t id;
	size_t used;
	enum cap cap;
	unsigned code;

	if (p2p_id_decode(data, size, &id, &used))
		return;
	if (used == 0 || used > size || p2p_id_encode(id, out) != used ||
	    memcmp(out, data, used) != 0)
		abort();
	(void)cap_map_make(all, all, &map);
	if (cap_map_find(&map, id, &cap, &code) !=
	    (id >= P2P_FIRST_ID && id < map.end))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (p2p_disconnect_decode(data, size) > 0xff)
		abort();
	message_id(data, size);
	return 0;
}
