#ifndef CORE_KECCAK_X4_H
#define CORE_KECCAK_X4_H
/*
 * What the two four-state kernels share: getting words in and out of 256-bit
 * registers. For keccak_x4*.c alone.
 */
#include <immintrin.h>

#include "core/keccak.h"
#include "core/keccak_kernel.h"
#include "core/keccak_round.h"

#define AVX2 __attribute__((target("avx2")))

#define KECCAK_X4_DECLARE(name, i) __m256i a##name = row_load(s, i), b##name;
#define KECCAK_X4_STORE(name, i)   _mm256_store_si256(row_of(s, i), a##name);
#define KECCAK_X4_ABSORB(name, i)  a##name = _mm256_xor_si256(a##name, block[i]);

static AVX2 inline __m256i *row_of(struct keccak_wide *s, unsigned i)
{
	return (__m256i *)(void *)s->words[i];
}

static AVX2 inline __m256i row_load(const struct keccak_wide *s, unsigned i)
{
	return _mm256_load_si256((const __m256i *)(const void *)s->words[i]);
}

static AVX2 inline __m256i load_unaligned(const uint8_t *in)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)in);
}

static inline long long word_at(const uint8_t *in)
{
	long long word;

	__builtin_memcpy(&word, in, sizeof(word));
	return word;
}

/* Four words of each input, turned so that out[w] has word w of all four. */
static AVX2 inline void turn(const uint8_t *const in[static 4], size_t at,
			     __m256i out[static 4])
{
	__m256i r0 = load_unaligned(in[0] + at);
	__m256i r1 = load_unaligned(in[1] + at);
	__m256i r2 = load_unaligned(in[2] + at);
	__m256i r3 = load_unaligned(in[3] + at);
	__m256i t0 = _mm256_unpacklo_epi64(r0, r1);
	__m256i t1 = _mm256_unpackhi_epi64(r0, r1);
	__m256i t2 = _mm256_unpacklo_epi64(r2, r3);
	__m256i t3 = _mm256_unpackhi_epi64(r2, r3);

	out[0] = _mm256_permute2x128_si256(t0, t2, 0x20);
	out[1] = _mm256_permute2x128_si256(t1, t3, 0x20);
	out[2] = _mm256_permute2x128_si256(t0, t2, 0x31);
	out[3] = _mm256_permute2x128_si256(t1, t3, 0x31);
}

static AVX2 inline void gather_block(const uint8_t *const in[static 4],
				     size_t at, __m256i block[static 17])
{
	for (unsigned part = 0; part < 4; part++)
		turn(in, at + (size_t)32 * part, block + (size_t)4 * part);
	at += 128;
	block[16] = _mm256_set_epi64x(word_at(in[3] + at), word_at(in[2] + at),
				      word_at(in[1] + at), word_at(in[0] + at));
}

/* The body of a kernel, once the steps of a round are defined. */
#define KECCAK_X4_BODY(s, in, blocks)                                          \
	KECCAK_LANES(KECCAK_X4_DECLARE)                                        \
	__m256i c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;                        \
                                                                               \
	for (size_t at = 0; (blocks) > 0; (blocks)--, at += KECCAK_RATE) {     \
		__m256i block[17];                                             \
                                                                               \
		gather_block(in, at, block);                                   \
		KECCAK_RATE_LANES(KECCAK_X4_ABSORB)                            \
		for (unsigned i = 0; i < 24; i += 2) {                         \
			KECCAK_ROUND(a, b, i);                                 \
			KECCAK_ROUND(b, a, i + 1);                             \
		}                                                              \
	}                                                                      \
	KECCAK_LANES(KECCAK_X4_STORE)

#undef AVX2
#endif
