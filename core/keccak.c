#include "core/keccak.h"

#include <endian.h>
#include <string.h>

#include "core/keccak_round.h"

const uint64_t keccak_round_constants[24] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a,
	0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
	0x8000000080008081, 0x8000000000008009, 0x000000000000008a,
	0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
	0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
	0x000000000000800a, 0x800000008000000a, 0x8000000080008081,
	0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define KECCAK_XOR(a, b)     ((a) ^ (b))
#define KECCAK_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KECCAK_ROL(a, n)     ((a) << (n) | (a) >> (64 - (n)))
#define KECCAK_CHI(a, b, c)  ((a) ^ (~(b) & (c)))
#define KECCAK_RC(i)         keccak_round_constants[i]

#define DECLARE(name, i) uint64_t a##name = s[i], b##name;
#define STORE(name, i)   s[i] = a##name;

static void permute(uint64_t s[static 25])
{
	KECCAK_LANES(DECLARE)
	uint64_t c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;

	for (unsigned i = 0; i < 24; i += 2) {
		KECCAK_ROUND(a, b, i);
		KECCAK_ROUND(b, a, i + 1);
	}
	KECCAK_LANES(STORE)
}

static uint64_t le64_load(const uint8_t *in)
{
	uint64_t word;

	memcpy(&word, in, sizeof(word));
	return le64toh(word);
}

static void xor_byte(struct keccak *k, uint32_t pos, uint8_t byte)
{
	k->lanes[pos / 8] ^= (uint64_t)byte << (8 * (pos % 8));
}

/* `len` bytes that stay within the block. */
static void xor_bytes(struct keccak *k, const uint8_t *in, size_t len)
{
	uint32_t pos = k->pos;

	for (; len > 0 && pos % 8; len--)
		xor_byte(k, pos++, *in++);
	for (; len >= 8; len -= 8, in += 8, pos += 8)
		k->lanes[pos / 8] ^= le64_load(in);
	for (; len > 0; len--)
		xor_byte(k, pos++, *in++);
	k->pos = pos;
}

void keccak_init(struct keccak *k)
{
	memset(k, 0, sizeof(*k));
}

void keccak_absorb(struct keccak *k, const void *in, size_t len)
{
	const uint8_t *at = in;

	while (len >= KECCAK_RATE - k->pos) {
		size_t part = KECCAK_RATE - k->pos;

		xor_bytes(k, at, part);
		permute(k->lanes);
		k->pos = 0;
		at += part;
		len -= part;
	}
	xor_bytes(k, at, len);
}

void keccak_peek(const struct keccak *k, uint8_t out[static KECCAK_DIGEST])
{
	struct keccak end = *k;

	xor_byte(&end, end.pos, 0x01);
	xor_byte(&end, KECCAK_RATE - 1, 0x80);
	permute(end.lanes);
	for (unsigned i = 0; i < KECCAK_DIGEST / 8; i++) {
		uint64_t word = htole64(end.lanes[i]);

		memcpy(out + (size_t)8 * i, &word, sizeof(word));
	}
}

void keccak256(const void *in, size_t len, uint8_t out[static KECCAK_DIGEST])
{
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, in, len);
	keccak_peek(&k, out);
}

void keccak_absorb_many(const struct keccak_absorb_job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		keccak_absorb(jobs[i].state, jobs[i].in, jobs[i].len);
}

void keccak_peek_many(const struct keccak_peek_job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		keccak_peek(jobs[i].state, jobs[i].out);
}

void keccak256_many(const struct keccak_hash_job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct keccak k;

		keccak_init(&k);
		keccak_absorb(&k, jobs[i].in, jobs[i].len);
		keccak_absorb(&k, jobs[i].tail, jobs[i].tail_len);
		keccak_peek(&k, jobs[i].out);
	}
}

unsigned keccak_width(void)
{
	return 1;
}

unsigned keccak_set_width(unsigned width)
{
	(void)width;
	return 1;
}
