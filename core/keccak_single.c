#include "core/keccak_kernel.h"

#include "core/keccak.h"
#include "core/keccak_round.h"
#include "core/keccak_state.h"

/* clang-format off */
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
/* clang-format on */

#define KECCAK_XOR(a, b)     ((a) ^ (b))
#define KECCAK_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define KECCAK_ROL(a, n)     ((a) << (n) | (a) >> (64 - (n)))
#define KECCAK_CHI(a, b, c)  ((a) ^ (~(b) & (c)))
#define KECCAK_RC(i)         keccak_round_constants[i]

#define DECLARE(name, i) uint64_t a##name = s[i], b##name;
#define STORE(name, i)   s[i] = a##name;
#define ABSORB(name, i)  a##name ^= keccak_word(in + (size_t)8 * (i));

/* Written once, compiled for each instruction set. */
static inline __attribute__((always_inline)) void
run(uint64_t s[static 25], const uint8_t *in, size_t blocks)
{
	KECCAK_LANES(DECLARE)
	uint64_t c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;

	for (; blocks > 0; blocks--, in += KECCAK_RATE) {
		KECCAK_RATE_LANES(ABSORB)
		for (unsigned i = 0; i < 24; i += 2) {
			KECCAK_ROUND(a, b, i);
			KECCAK_ROUND(b, a, i + 1);
		}
	}
	KECCAK_LANES(STORE)
}

void keccak_single_plain(uint64_t s[static 25], const uint8_t *in,
			 size_t blocks)
{
	run(s, in, blocks);
}

#if defined(__x86_64__)
/* andn and rorx spare a third of the moves. */
__attribute__((target("bmi,bmi2"))) void
keccak_single_bmi(uint64_t s[static 25], const uint8_t *in, size_t blocks)
{
	run(s, in, blocks);
}

bool keccak_has_bmi(void)
{
	return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

bool keccak_has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

bool keccak_has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512vl");
}
#else
bool keccak_has_bmi(void)
{
	return false;
}

bool keccak_has_avx2(void)
{
	return false;
}

bool keccak_has_avx512(void)
{
	return false;
}
#endif
