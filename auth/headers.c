#include "auth/headers.h"

#include <assert.h>
#include <string.h>

void headers_init(struct headers *headers)
{
	headers->is_empty = true;
	headers->first = 0;
	headers->tip = 0;
}

const uint8_t *headers_find(const struct headers *headers, uint64_t number)
{
	if (headers->is_empty || number < headers->first ||
	    number > headers->tip)
		return NULL;
	return headers->ring[number % HEADERS_MAX].hash;
}

static void put(struct headers *headers, const struct chain_header *header)
{
	memcpy(headers->ring[header->number % HEADERS_MAX].hash, header->hash,
	       32);
	headers->tip = header->number;
	if (headers->tip - headers->first >= HEADERS_MAX)
		headers->first = headers->tip - HEADERS_MAX + 1;
}

void headers_restart(struct headers *headers, const struct chain_header *at)
{
	headers->is_empty = false;
	headers->first = at->number;
	put(headers, at);
}

void headers_set(struct headers *headers, const struct chain_header *chain,
		 unsigned count)
{
	assert(count > 0);
	if (headers->is_empty || chain[0].number <= headers->first ||
	    chain[0].number > headers->tip + 1)
		headers_restart(headers, &chain[0]);
	for (unsigned i = 0; i < count; i++)
		put(headers, &chain[i]);
}
