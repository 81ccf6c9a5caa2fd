#include "core/keccak_kernel.h"

#if defined(__x86_64__)
#include "core/keccak_x4.h"

/* One instruction for each of the three-operand steps: tables of a, b, c. */
#define TABLE_XOR3 0x96
#define TABLE_CHI  0xd2

#define KECCAK_XOR(a, b)     _mm256_xor_si256(a, b)
#define KECCAK_XOR3(a, b, c) _mm256_ternarylogic_epi64(a, b, c, TABLE_XOR3)
#define KECCAK_ROL(a, n)     _mm256_rol_epi64(a, n)
#define KECCAK_CHI(a, b, c)  _mm256_ternarylogic_epi64(a, b, c, TABLE_CHI)
#define KECCAK_RC(i)         _mm256_set1_epi64x((long long)keccak_round_constants[i])

/* Half the vectors of keccak_x8.c, and three ports instead of two. */
__attribute__((target("avx512f,avx512vl"))) void
keccak_x4_avx512(struct keccak_wide *s,
		 const uint8_t *const in[KECCAK_LANES_MAX], size_t blocks)
{
	KECCAK_X4_BODY(s, in, blocks)
}
#endif
