#include "core/keccak_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "core/keccak.h"
#include "core/keccak_round.h"

#define AVX512 __attribute__((target("avx512f,avx512vl")))

/* One instruction for each of the three-operand steps: tables of a, b, c. */
#define TABLE_XOR3 0x96
#define TABLE_CHI  0xd2

#define KECCAK_XOR(a, b)     _mm512_xor_si512(a, b)
#define KECCAK_XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, TABLE_XOR3)
#define KECCAK_ROL(a, n)     _mm512_rol_epi64(a, n)
#define KECCAK_CHI(a, b, c)  _mm512_ternarylogic_epi64(a, b, c, TABLE_CHI)
#define KECCAK_RC(i)         _mm512_set1_epi64((long long)keccak_round_constants[i])

#define DECLARE(name, i)                                                       \
	__m512i a##name = _mm512_load_si512(s->words[i]), b##name;
#define STORE(name, i)  _mm512_store_si512(s->words[i], a##name);
#define ABSORB(name, i) a##name = _mm512_xor_si512(a##name, block[i]);

static inline long long word_at(const uint8_t *in)
{
	long long word;

	__builtin_memcpy(&word, in, sizeof(word));
	return word;
}

/* Eight words of each input, turned: out[w] has word w of all eight. */
static AVX512 inline void turn(const uint8_t *const in[static 8], size_t at,
			       __m512i out[static 8])
{
	__m512i t[8], u[8];

	for (unsigned i = 0; i < 8; i += 2) {
		__m512i even = _mm512_loadu_si512(in[i] + at);
		__m512i odd = _mm512_loadu_si512(in[i + 1] + at);

		t[i] = _mm512_unpacklo_epi64(even, odd);
		t[i + 1] = _mm512_unpackhi_epi64(even, odd);
	}
	for (unsigned i = 0; i < 8; i += 4) {
		for (unsigned j = 0; j < 2; j++) {
			__m512i low = t[i + j], high = t[i + j + 2];

			u[i + j] = _mm512_shuffle_i64x2(low, high, 0x88);
			u[i + j + 2] = _mm512_shuffle_i64x2(low, high, 0xdd);
		}
	}
	for (unsigned j = 0; j < 4; j++) {
		/* u[0], u[2]: words 0 and 4, 2 and 6; u[1], u[3]: 1 up. */
		out[j] = _mm512_shuffle_i64x2(u[j], u[j + 4], 0x88);
		out[j + 4] = _mm512_shuffle_i64x2(u[j], u[j + 4], 0xdd);
	}
}

static AVX512 inline void gather_block(const uint8_t *const in[static 8],
				       size_t at, __m512i block[static 17])
{
	turn(in, at, block);
	turn(in, at + 64, block + 8);
	at += 128;
	block[16] = _mm512_set_epi64(word_at(in[7] + at), word_at(in[6] + at),
				     word_at(in[5] + at), word_at(in[4] + at),
				     word_at(in[3] + at), word_at(in[2] + at),
				     word_at(in[1] + at), word_at(in[0] + at));
}

AVX512 void keccak_x8_avx512(struct keccak_wide *s,
			     const uint8_t *const in[KECCAK_LANES_MAX],
			     size_t blocks)
{
	KECCAK_LANES(DECLARE)
	__m512i c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;

	for (size_t at = 0; blocks > 0; blocks--, at += KECCAK_RATE) {
		__m512i block[17];

		gather_block(in, at, block);
		KECCAK_RATE_LANES(ABSORB)
		for (unsigned i = 0; i < 24; i += 2) {
			KECCAK_ROUND(a, b, i);
			KECCAK_ROUND(b, a, i + 1);
		}
	}
	KECCAK_LANES(STORE)
}
#endif
