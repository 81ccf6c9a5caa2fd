#ifndef CORE_KECCAK_KERNEL_H
#define CORE_KECCAK_KERNEL_H
/*
 * The loops in which Keccak spends its time, one for each kind of processor.
 * For keccak*.c and its tests alone; nobody else chooses between them.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KECCAK_LANES_MAX 8

/* XOR each of `blocks` blocks of KECCAK_RATE bytes in, then permute. */
typedef void (*keccak_single_fn)(uint64_t s[static 25], const uint8_t *in,
				 size_t blocks);

void keccak_single_plain(uint64_t s[static 25], const uint8_t *in,
			 size_t blocks);
/* The fastest that this processor has. */
void keccak_single(uint64_t s[static 25], const uint8_t *in, size_t blocks);

/* States side by side: word w of state i is words[w][i]. */
struct keccak_wide {
	_Alignas(64) uint64_t words[25][KECCAK_LANES_MAX];
};

/* The same for several states; in[i] belongs to state i. */
typedef void (*keccak_wide_fn)(struct keccak_wide *s,
			       const uint8_t *const in[KECCAK_LANES_MAX],
			       size_t blocks);

#if defined(__x86_64__)
void keccak_single_bmi(uint64_t s[static 25], const uint8_t *in, size_t blocks);
void keccak_single_avx512(uint64_t s[static 25], const uint8_t *in,
			  size_t blocks);
void keccak_x4_avx2(struct keccak_wide *s,
		    const uint8_t *const in[KECCAK_LANES_MAX], size_t blocks);
void keccak_x4_avx512(struct keccak_wide *s,
		      const uint8_t *const in[KECCAK_LANES_MAX], size_t blocks);
void keccak_x8_avx512(struct keccak_wide *s,
		      const uint8_t *const in[KECCAK_LANES_MAX], size_t blocks);
#endif

/* May this processor run it? */
bool keccak_has_bmi(void);
bool keccak_has_avx2(void);
bool keccak_has_avx512(void);

#endif
