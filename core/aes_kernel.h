#ifndef CORE_AES_KERNEL_H
#define CORE_AES_KERNEL_H
/*
 * AES-256 by the processor's own instructions, for aes.c alone: OpenSSL 3.0
 * knows no counter mode in registers of four blocks, and takes longer to be
 * called for one block than to compute it.
 *
 * Thread: any; a context belongs to its caller.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AES_BLOCK      16
#define AES_ROUND_KEYS 15
#define AES_STREAM     64 /* key stream made at once at least */

struct aes_keys {
	uint8_t round[AES_ROUND_KEYS][AES_BLOCK];
};

/* The key stream so far: `stream` has `left` bytes at its end to be used. */
struct aes_wide {
	struct aes_keys keys;
	uint64_t high, low; /* the next counter */
	size_t left;
	uint8_t stream[AES_STREAM];
};

/* What the processor has: without, the functions below may not be called. */
bool aes_has_ni(void);   /* aes_keys_init(), aes_keys_encrypt() */
bool aes_has_wide(void); /* these and aes_wide_apply() */

void aes_keys_init(struct aes_keys *keys, const uint8_t key[static 32]);
void aes_keys_encrypt(const struct aes_keys *keys,
		      const uint8_t in[static AES_BLOCK],
		      uint8_t out[static AES_BLOCK]);
/* `keys`, `high`, `low` are set and `left` is 0 at first; `out` may be `in`. */
void aes_wide_apply(struct aes_wide *wide, const uint8_t *in, uint8_t *out,
		    size_t len);

#endif
