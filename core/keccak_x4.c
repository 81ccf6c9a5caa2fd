#include "core/keccak_kernel.h"

#if defined(__x86_64__)
#include "core/keccak_x4.h"

#define KECCAK_XOR(a, b)     _mm256_xor_si256(a, b)
#define KECCAK_XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define KECCAK_ROL(a, n)                                                       \
	_mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define KECCAK_CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
#define KECCAK_RC(i)        _mm256_set1_epi64x((long long)keccak_round_constants[i])

__attribute__((target("avx2"))) void
keccak_x4_avx2(struct keccak_wide *s, const uint8_t *const in[KECCAK_LANES_MAX],
	       size_t blocks)
{
	KECCAK_X4_BODY(s, in, blocks)
}
#endif
