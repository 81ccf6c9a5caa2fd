#ifndef CORE_AES_H
#define CORE_AES_H
/*
 * AES as the protocol needs it: a CTR stream that runs on from call to call,
 * one block of AES-256, and AES-256-GCM for sealed messages. By OpenSSL, but
 * for AES-256 of the first two where the processor has the instructions.
 *
 * Thread: any; a context belongs to its caller.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Are contexts made from now on to use the processor's instructions? So from
 * the start; tests compare. Returns whether they do for all there is.
 */
bool aes_set_own(bool is_wanted);

struct aes_ctr;   /* one direction's key stream */
struct aes_block; /* a key schedule for single blocks */

/* key_len 16 or 32. NULL when memory is short. */
struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_len,
			    const uint8_t iv[static 16]);
void aes_ctr_free(struct aes_ctr *ctr);
/* Encrypt or decrypt; `out` may equal `in`. */
void aes_ctr_apply(struct aes_ctr *ctr, const uint8_t *in, uint8_t *out,
		   size_t len);

struct aes_block *aes_block_new(const uint8_t key[static 32]);
void aes_block_free(struct aes_block *block);
void aes_block_encrypt(struct aes_block *block, const uint8_t in[static 16],
		       uint8_t out[static 16]);

/*
 * ct = len bytes, tag apart. 0 or ERR_NOMEM; open: ERR_AUTH on a bad
 * tag, and `out` is then all zeroes.
 */
int aes_gcm_seal(const uint8_t key[static 32], const uint8_t nonce[static 12],
		 const uint8_t *in, size_t len, uint8_t *ct,
		 uint8_t tag[static 16]);
int aes_gcm_open(const uint8_t key[static 32], const uint8_t nonce[static 12],
		 const uint8_t *ct, size_t len, const uint8_t tag[static 16],
		 uint8_t *out);

#endif
