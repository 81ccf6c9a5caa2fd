#include "storage/known.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_FIRST  4096u
#define BLOCK_KEYS  32u /* 512 bits a block: 16 bits a key */
#define BLOCK_BYTES 64u

void known_init(struct known *known)
{
	memset(known, 0, sizeof(*known));
}

void known_release(struct known *known)
{
	for (unsigned i = 0; i < known->count; i++)
		free(known->filters[i].blocks);
	known_init(known);
}

static struct known_filter *filter_with_room(struct known *known)
{
	struct known_filter *f = NULL;
	uint32_t keys = KEYS_FIRST;

	if (known->count > 0) {
		f = &known->filters[known->count - 1];
		if (f->keys < f->keys_max)
			return f;
		keys = f->keys_max * 2;
	}
	if (known->count == KNOWN_LEVELS_MAX)
		return NULL;
	f = &known->filters[known->count];
	f->blocks_count = keys / BLOCK_KEYS;
	f->keys = 0;
	f->keys_max = keys;
	f->blocks = aligned_alloc(BLOCK_BYTES,
				  (size_t)f->blocks_count * BLOCK_BYTES);
	if (!f->blocks)
		return NULL;
	memset(f->blocks, 0, (size_t)f->blocks_count * BLOCK_BYTES);
	known->count++;
	return f;
}

/* The hash is uniform: its words are the random numbers we need. */
static uint64_t hash_word(const uint8_t *hash, unsigned i)
{
	uint64_t word;

	memcpy(&word, hash + (size_t)i * 8, sizeof(word));
	return word;
}

static size_t block_of(const struct known_filter *f, const uint8_t *hash)
{
	return (size_t)((hash_word(hash, 0) >> 32) * f->blocks_count >> 32);
}

static uint64_t bit_of(const uint8_t *hash, unsigned i)
{
	return 1ull << (hash_word(hash, 1) >> (6 * i) & 63);
}

void known_add(struct known *known,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct known_filter *f;
	uint64_t *block;

	if (known->is_blind)
		return;
	f = filter_with_room(known);
	if (!f) {
		known->is_blind = true;
		return;
	}
	block = f->blocks[block_of(f, hash)];
	for (unsigned i = 0; i < 8; i++)
		block[i] |= bit_of(hash, i);
	f->keys++;
}

static bool filter_has(const struct known_filter *f, const uint8_t *hash)
{
	const uint64_t *block = f->blocks[block_of(f, hash)];

	for (unsigned i = 0; i < 8; i++)
		if (!(block[i] & bit_of(hash, i)))
			return false;
	return true;
}

bool known_has(const struct known *known,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	if (known->is_blind)
		return true;
	for (unsigned i = 0; i < known->count; i++)
		if (filter_has(&known->filters[i], hash))
			return true;
	return false;
}
