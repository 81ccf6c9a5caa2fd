#include "core/aes_kernel.h"

#include <stdlib.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define NI   __attribute__((target("aes,sse2")))
#define WIDE __attribute__((target("aes,vaes,avx512f,avx512bw")))

#define CPUID_7_ECX_VAES (1u << 9)
#define STEP             ((size_t)8 * AES_STREAM)

bool aes_has_ni(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_AES;
}

bool aes_has_wide(void)
{
	unsigned a, b, c, d;

	return aes_has_ni() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & CPUID_7_ECX_VAES;
}

/* FIPS 197 §5.2: each word is the sum of those before it in its key. */
static NI inline __m128i next_key(__m128i before, __m128i assist)
{
	before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
	before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
	return _mm_xor_si128(before, assist);
}

#define EVEN_KEY(i, rcon)                                                      \
	even = next_key(                                                       \
		even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, rcon),  \
					0xff));                                \
	_mm_storeu_si128(to + (i), even);
#define ODD_KEY(i)                                                             \
	odd = next_key(                                                        \
		odd,                                                           \
		_mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa));  \
	_mm_storeu_si128(to + (i), odd);

NI void aes_keys_init(struct aes_keys *keys, const uint8_t key[static 32])
{
	__m128i even = _mm_loadu_si128((const void *)key);
	__m128i odd = _mm_loadu_si128((const void *)(key + AES_BLOCK));
	__m128i *to = (void *)keys->round;

	_mm_storeu_si128(to, even);
	_mm_storeu_si128(to + 1, odd);
	EVEN_KEY(2, 0x01)
	ODD_KEY(3)
	EVEN_KEY(4, 0x02)
	ODD_KEY(5)
	EVEN_KEY(6, 0x04)
	ODD_KEY(7)
	EVEN_KEY(8, 0x08)
	ODD_KEY(9)
	EVEN_KEY(10, 0x10)
	ODD_KEY(11)
	EVEN_KEY(12, 0x20)
	ODD_KEY(13)
	EVEN_KEY(14, 0x40)
}

NI void aes_keys_encrypt(const struct aes_keys *keys,
			 const uint8_t in[static AES_BLOCK],
			 uint8_t out[static AES_BLOCK])
{
	const __m128i *key = (const void *)keys->round;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const void *)in),
				  _mm_loadu_si128(key));

	for (unsigned i = 1; i < AES_ROUND_KEYS - 1; i++)
		x = _mm_aesenc_si128(x, _mm_loadu_si128(key + i));
	x = _mm_aesenclast_si128(x, _mm_loadu_si128(key + AES_ROUND_KEYS - 1));
	_mm_storeu_si128((void *)out, x);
}

/* Counters are big-endian, 128 bits (SP 800-38A): here (low, high) by four. */
static WIDE inline __m512i counters(uint64_t high, uint64_t low)
{
	const __m512i steps = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
	long long h = (long long)high, l = (long long)low;

	return _mm512_add_epi64(_mm512_set_epi64(h, l, h, l, h, l, h, l),
				steps);
}

/* `high` goes up within these four. */
static WIDE __m512i counters_carried(uint64_t high, uint64_t low)
{
	uint64_t words[8];

	for (size_t i = 0; i < 4; i++) {
		words[2 * i] = low + i;
		words[2 * i + 1] = low + i < low ? high + 1 : high;
	}
	return _mm512_loadu_si512(words);
}

static WIDE inline __m512i next_counters(struct aes_wide *wide)
{
	const __m512i reversed = _mm512_broadcast_i32x4(_mm_set_epi8(
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
	uint64_t low = wide->low;
	__m512i x = low <= UINT64_MAX - 3 ? counters(wide->high, low)
					  : counters_carried(wide->high, low);

	wide->low = low + 4;
	if (wide->low < low)
		wide->high++;
	return _mm512_shuffle_epi8(x, reversed);
}

static WIDE inline __m512i round_key(const struct aes_wide *wide, unsigned i)
{
	return _mm512_broadcast_i32x4(
		_mm_loadu_si128((const void *)wide->keys.round[i]));
}

static size_t use_left(struct aes_wide *wide, const uint8_t *in, uint8_t *out,
		       size_t len)
{
	const uint8_t *from = wide->stream + AES_STREAM - wide->left;
	size_t count = len < wide->left ? len : wide->left;
	size_t i = 0;

	/* Frames are whole blocks, and so is what is left. */
	for (; count - i >= AES_BLOCK; i += AES_BLOCK) {
		__m128i x = _mm_loadu_si128((const void *)(in + i));
		__m128i y = _mm_loadu_si128((const void *)(from + i));

		_mm_storeu_si128((void *)(out + i), _mm_xor_si128(x, y));
	}
	for (; i < count; i++)
		out[i] = in[i] ^ from[i];
	wide->left -= count;
	return count;
}

/* Eight under way together, by name, so that they stay in registers. */
#define EACH(X)  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define FIRST(i) __m512i x##i = _mm512_xor_si512(next_counters(wide), k);
#define ROUND(i) x##i = _mm512_aesenc_epi128(x##i, k);
#define LAST(i)  x##i = _mm512_aesenclast_epi128(x##i, k);
#define APPLY(i)                                                               \
	_mm512_storeu_si512(                                                   \
		out + (size_t)AES_STREAM * (i),                                \
		_mm512_xor_si512(                                              \
			x##i,                                                  \
			_mm512_loadu_si512(in + (size_t)AES_STREAM * (i))));

static WIDE void apply_step(struct aes_wide *wide, const uint8_t *in,
			    uint8_t *out)
{
	__m512i k = round_key(wide, 0);

	EACH(FIRST)
	for (unsigned r = 1; r < AES_ROUND_KEYS - 1; r++) {
		k = round_key(wide, r);
		EACH(ROUND)
	}
	k = round_key(wide, AES_ROUND_KEYS - 1);
	EACH(LAST)
	EACH(APPLY)
}

static WIDE void refill(struct aes_wide *wide)
{
	__m512i k = round_key(wide, 0);
	FIRST(0)

	for (unsigned r = 1; r < AES_ROUND_KEYS - 1; r++) {
		k = round_key(wide, r);
		ROUND(0)
	}
	k = round_key(wide, AES_ROUND_KEYS - 1);
	LAST(0)
	_mm512_storeu_si512(wide->stream, x0);
	wide->left = AES_STREAM;
}

void aes_wide_apply(struct aes_wide *wide, const uint8_t *in, uint8_t *out,
		    size_t len)
{
	size_t at = use_left(wide, in, out, len);

	for (; len - at >= STEP; at += STEP)
		apply_step(wide, in + at, out + at);
	while (at < len) {
		refill(wide);
		at += use_left(wide, in + at, out + at, len - at);
	}
}
#else
bool aes_has_ni(void)
{
	return false;
}

bool aes_has_wide(void)
{
	return false;
}

void aes_keys_init(struct aes_keys *keys, const uint8_t key[static 32])
{
	(void)keys;
	(void)key;
	abort();
}

void aes_keys_encrypt(const struct aes_keys *keys,
		      const uint8_t in[static AES_BLOCK],
		      uint8_t out[static AES_BLOCK])
{
	(void)keys;
	(void)in;
	(void)out;
	abort();
}

void aes_wide_apply(struct aes_wide *wide, const uint8_t *in, uint8_t *out,
		    size_t len)
{
	(void)wide;
	(void)in;
	(void)out;
	(void)len;
	abort();
}
#endif
