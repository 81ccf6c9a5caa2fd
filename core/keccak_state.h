#ifndef CORE_KECCAK_STATE_H
#define CORE_KECCAK_STATE_H
/*
 * Bytes in and out of one state without permuting. For keccak*.c alone.
 *
 * Thread: any.
 */
#include <endian.h>
#include <string.h>

#include "core/keccak.h"

static inline uint64_t keccak_word(const uint8_t *in)
{
	uint64_t word;

	memcpy(&word, in, sizeof(word));
	return le64toh(word);
}

static inline void keccak_xor_byte(struct keccak *k, uint32_t pos, uint8_t byte)
{
	k->lanes[pos / 8] ^= (uint64_t)byte << (8 * (pos % 8));
}

/* XOR in `len` bytes that stay within the block; pos may become 136. */
static inline void keccak_xor(struct keccak *k, const uint8_t *in, size_t len)
{
	uint32_t pos = k->pos;

	for (; len > 0 && pos % 8; len--)
		keccak_xor_byte(k, pos++, *in++);
	for (; len >= 8; len -= 8, in += 8, pos += 8)
		k->lanes[pos / 8] ^= keccak_word(in);
	for (; len > 0; len--)
		keccak_xor_byte(k, pos++, *in++);
	k->pos = pos;
}

/* Keccak's padding: one bit after the message, one at the block's end. */
static inline void keccak_pad(struct keccak *k)
{
	keccak_xor_byte(k, k->pos, 0x01);
	keccak_xor_byte(k, KECCAK_RATE - 1, 0x80);
}

static inline void keccak_digest(const struct keccak *k,
				 uint8_t out[static KECCAK_DIGEST])
{
	for (unsigned i = 0; i < KECCAK_DIGEST / 8; i++) {
		uint64_t word = htole64(k->lanes[i]);

		memcpy(out + (size_t)8 * i, &word, sizeof(word));
	}
}

#endif
