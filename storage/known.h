#ifndef STORAGE_KNOWN_H
#define STORAGE_KNOWN_H
/*
 * What a slice may hold already: a blocked Bloom filter over the hashes of its
 * envelopes, in memory, two bytes each, one cache line a question. It spares
 * the writer the look into the runs for what is new, which nearly all is; a
 * yes must be verified there.
 *
 * It grows by a further, twice as large filter when the last one is full.
 *
 * Thread: the writer of the slice.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/envelope.h"

#define KNOWN_LEVELS_MAX 20

struct known {
	struct known_filter {
		uint64_t (*blocks)[8];
		uint32_t blocks_count;
		uint32_t keys, keys_max;
	} filters[KNOWN_LEVELS_MAX];
	unsigned count;
	bool is_blind; /* no memory: every answer is yes */
};

void known_init(struct known *known);
void known_release(struct known *known);
void known_add(struct known *known,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE]);
bool known_has(const struct known *known,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE]);

#endif
