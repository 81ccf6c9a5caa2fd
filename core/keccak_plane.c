#include "core/keccak_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "core/keccak.h"
#include "core/keccak_round.h"

/*
 * One state in five registers of five words each: a round is then some forty
 * instructions in a short chain instead of 150 that fill all ports.
 *
 * Words of the state stand at (x, y), all arithmetic being modulo 5. Before a
 * round of slope d register r holds the line y = dx + r, word x in lane x, so
 * that theta's sum of columns goes across the registers. Pi turns the line
 * into one of another slope e = (2 + 3d) / d, register (3 - e) r; we put its
 * words in the lanes of their y, so that chi, which mixes neighbours in x,
 * goes across the registers too: (x + 1, y) is in register r - e. Then the
 * words go back to the lanes of their x. Slope 3 leads to 2, 4 and 1; as 1
 * would lead to rows, with which this does not work, every third round ends
 * with an exchange of words between registers that makes slope 3 of slope 1.
 * Lanes 5 to 7 are always zero.
 */
#define AVX512     __attribute__((target("avx512f,avx512vl")))
#define TABLE_XOR3 0x96
#define TABLE_CHI  0xd2
#define LANES_USED 0x1f

/* What one round needs, for each register. */
struct plan {
	_Alignas(64) uint64_t rho[5][8];  /* rotations */
	_Alignas(64) uint64_t pi[5][8];   /* lane y comes from this lane */
	_Alignas(64) uint64_t back[5][8]; /* lane x comes from this lane */
};

/* clang-format off */
static const struct plan plans[3] = {
	{ /* slope 3 to 2 */
		.rho = {
			{ 0, 45, 6, 56, 39, 0, 0, 0 },
			{ 36, 2, 43, 28, 8, 0, 0, 0 },
			{ 3, 1, 15, 55, 14, 0, 0, 0 },
			{ 41, 44, 61, 25, 27, 0, 0, 0 },
			{ 18, 10, 62, 21, 20, 0, 0, 0 },
		},
		.pi = {
			{ 0, 1, 2, 3, 4, 5, 6, 7 },
			{ 2, 3, 4, 0, 1, 5, 6, 7 },
			{ 4, 0, 1, 2, 3, 5, 6, 7 },
			{ 1, 2, 3, 4, 0, 5, 6, 7 },
			{ 3, 4, 0, 1, 2, 5, 6, 7 },
		},
		.back = {
			{ 0, 2, 4, 1, 3, 5, 6, 7 },
			{ 1, 3, 0, 2, 4, 5, 6, 7 },
			{ 2, 4, 1, 3, 0, 5, 6, 7 },
			{ 3, 0, 2, 4, 1, 5, 6, 7 },
			{ 4, 1, 3, 0, 2, 5, 6, 7 },
		},
	},
	{ /* slope 2 to 4 */
		.rho = {
			{ 0, 10, 61, 55, 8, 0, 0, 0 },
			{ 36, 45, 62, 25, 14, 0, 0, 0 },
			{ 3, 2, 6, 21, 27, 0, 0, 0 },
			{ 41, 1, 43, 56, 20, 0, 0, 0 },
			{ 18, 44, 15, 28, 39, 0, 0, 0 },
		},
		.pi = {
			{ 0, 2, 4, 1, 3, 5, 6, 7 },
			{ 4, 1, 3, 0, 2, 5, 6, 7 },
			{ 3, 0, 2, 4, 1, 5, 6, 7 },
			{ 2, 4, 1, 3, 0, 5, 6, 7 },
			{ 1, 3, 0, 2, 4, 5, 6, 7 },
		},
		.back = {
			{ 0, 4, 3, 2, 1, 5, 6, 7 },
			{ 1, 0, 4, 3, 2, 5, 6, 7 },
			{ 2, 1, 0, 4, 3, 5, 6, 7 },
			{ 3, 2, 1, 0, 4, 5, 6, 7 },
			{ 4, 3, 2, 1, 0, 5, 6, 7 },
		},
	},
	{ /* slope 4 to 1 */
		.rho = {
			{ 0, 2, 15, 25, 20, 0, 0, 0 },
			{ 36, 1, 61, 21, 39, 0, 0, 0 },
			{ 3, 44, 62, 56, 8, 0, 0, 0 },
			{ 41, 10, 6, 28, 14, 0, 0, 0 },
			{ 18, 45, 43, 55, 27, 0, 0, 0 },
		},
		.pi = {
			{ 0, 4, 3, 2, 1, 5, 6, 7 },
			{ 3, 2, 1, 0, 4, 5, 6, 7 },
			{ 1, 0, 4, 3, 2, 5, 6, 7 },
			{ 4, 3, 2, 1, 0, 5, 6, 7 },
			{ 2, 1, 0, 4, 3, 5, 6, 7 },
		},
		.back = {
			{ 0, 3, 1, 4, 2, 5, 6, 7 },
			{ 1, 4, 2, 0, 3, 5, 6, 7 },
			{ 2, 0, 3, 1, 4, 5, 6, 7 },
			{ 3, 1, 4, 2, 0, 5, 6, 7 },
			{ 4, 2, 0, 3, 1, 5, 6, 7 },
		},
	},
};
static const _Alignas(64) uint64_t lane_before[8] = { 4, 0, 1, 2, 3, 5, 6, 7 };
static const _Alignas(64) uint64_t lane_behind[8] = { 1, 2, 3, 4, 0, 5, 6, 7 };
/* clang-format on */

static AVX512 inline __attribute__((always_inline)) __m512i
xor3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi64(a, b, c, TABLE_XOR3);
}

static AVX512 inline __attribute__((always_inline)) __m512i
chi(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi64(a, b, c, TABLE_CHI);
}

/* Lane i from the register that stands at place i. */
static AVX512 inline __attribute__((always_inline)) __m512i
pick(__m512i r0, __m512i r1, __m512i r2, __m512i r3, __m512i r4)
{
	__m512i low = _mm512_mask_blend_epi64(0x02, r0, r1);
	__m512i high = _mm512_mask_blend_epi64(0x08, r2, r3);

	low = _mm512_mask_blend_epi64(0x10, low, r4);
	return _mm512_mask_blend_epi64(0x0c, low, high);
}

/* Rows to lines of slope 3, word x in lane x: lane x of row 3x + r. */
static AVX512 inline __attribute__((always_inline)) void
rows_to_lines(const __m512i row[static 5], __m512i line[static 5])
{
	line[0] = pick(row[0], row[3], row[1], row[4], row[2]);
	line[1] = pick(row[1], row[4], row[2], row[0], row[3]);
	line[2] = pick(row[2], row[0], row[3], row[1], row[4]);
	line[3] = pick(row[3], row[1], row[4], row[2], row[0]);
	line[4] = pick(row[4], row[2], row[0], row[3], row[1]);
}

/* And back: lane x of line y - 3x. */
static AVX512 inline __attribute__((always_inline)) void
lines_to_rows(const __m512i line[static 5], __m512i row[static 5])
{
	row[0] = pick(line[0], line[2], line[4], line[1], line[3]);
	row[1] = pick(line[1], line[3], line[0], line[2], line[4]);
	row[2] = pick(line[2], line[4], line[1], line[3], line[0]);
	row[3] = pick(line[3], line[0], line[2], line[4], line[1]);
	row[4] = pick(line[4], line[1], line[3], line[0], line[2]);
}

/* Slope 1 to slope 3, word y in lane y: lane y of line 2r - y. */
static AVX512 inline __attribute__((always_inline)) void
exchange(__m512i a[static 5])
{
	__m512i b[5];

	b[0] = pick(a[0], a[4], a[3], a[2], a[1]);
	b[1] = pick(a[2], a[1], a[0], a[4], a[3]);
	b[2] = pick(a[4], a[3], a[2], a[1], a[0]);
	b[3] = pick(a[1], a[0], a[4], a[3], a[2]);
	b[4] = pick(a[3], a[2], a[1], a[0], a[4]);
#pragma GCC unroll 5
	for (unsigned r = 0; r < 5; r++)
		a[r] = b[r];
}

static AVX512 inline __attribute__((always_inline)) __m512i
constant(unsigned round)
{
	return _mm512_maskz_loadu_epi64(0x01, keccak_round_constants + round);
}

/* One round that leads to lines of slope `slope`. */
static AVX512 inline __attribute__((always_inline)) void
plane_round(__m512i a[static 5], const struct plan *plan, unsigned slope,
	    unsigned round)
{
	/* The register that pi moves to place `to` is to / (3 - slope). */
	const unsigned inverse = slope == 2 ? 1 : slope == 4 ? 4 : 3;
	/* Slope 3 is what slope 1 was made into. */
	const unsigned old = slope == 2 ? 3 : slope == 4 ? 2 : 4;
	__m512i sum = xor3(xor3(a[2 * old % 5], a[3 * old % 5], a[4 * old % 5]),
			   a[0], a[old]);
	__m512i before =
		_mm512_permutexvar_epi64(_mm512_load_si512(lane_before), sum);
	__m512i behind = _mm512_permutexvar_epi64(
		_mm512_load_si512(lane_behind), _mm512_rol_epi64(sum, 1));
	__m512i b[5], c;

	/* In the order in which chi can make use of them. */
#pragma GCC unroll 5
	for (unsigned k = 0; k < 5; k++) {
		unsigned to = k * slope % 5;
		unsigned from = to * inverse % 5;
		__m512i t = xor3(a[from], before, behind);

		t = _mm512_rolv_epi64(t, _mm512_load_si512(plan->rho[from]));
		b[to] = _mm512_permutexvar_epi64(
			_mm512_load_si512(plan->pi[from]), t);
	}
	c = _mm512_xor_si512(b[0], constant(round));
#pragma GCC unroll 5
	for (unsigned k = 2; k < 7; k++) {
		unsigned r = k * slope % 5;

		a[r] = chi(r == 0 ? c : b[r], b[(k + 4) * slope % 5],
			   b[(k + 3) * slope % 5]);
	}
	if (slope == 1)
		exchange(a);
#pragma GCC unroll 5
	for (unsigned k = 2; k < 7; k++) {
		unsigned r = k * (slope == 1 ? 3 : slope) % 5;

		a[r] = _mm512_permutexvar_epi64(
			_mm512_load_si512(plan->back[r]), a[r]);
	}
}

/* XOR the 17 words of a block in. */
static AVX512 inline __attribute__((always_inline)) void
absorb(__m512i a[static 5], const uint8_t *in)
{
	__m512i row[5], line[5];

	row[0] = _mm512_maskz_loadu_epi64(LANES_USED, in);
	row[1] = _mm512_maskz_loadu_epi64(LANES_USED, in + 40);
	row[2] = _mm512_maskz_loadu_epi64(LANES_USED, in + 80);
	row[3] = _mm512_maskz_loadu_epi64(0x03, in + 120);
	row[4] = _mm512_setzero_si512();
	rows_to_lines(row, line);
#pragma GCC unroll 5
	for (unsigned r = 0; r < 5; r++)
		a[r] = _mm512_xor_si512(a[r], line[r]);
}

AVX512 void keccak_single_avx512(uint64_t s[static 25], const uint8_t *in,
				 size_t blocks)
{
	__m512i a[5], row[5];

#pragma GCC unroll 5
	for (unsigned y = 0; y < 5; y++)
		row[y] =
			_mm512_maskz_loadu_epi64(LANES_USED, s + (size_t)5 * y);
	rows_to_lines(row, a);
	for (; blocks > 0; blocks--, in += KECCAK_RATE) {
		absorb(a, in);
		for (unsigned round = 0; round < 24; round += 3) {
			plane_round(a, &plans[0], 2, round);
			plane_round(a, &plans[1], 4, round + 1);
			plane_round(a, &plans[2], 1, round + 2);
		}
	}
	lines_to_rows(a, row);
#pragma GCC unroll 5
	for (unsigned y = 0; y < 5; y++)
		_mm512_mask_storeu_epi64(s + (size_t)5 * y, LANES_USED, row[y]);
}
#endif
