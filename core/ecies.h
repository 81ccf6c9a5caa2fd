#ifndef CORE_ECIES_H
#define CORE_ECIES_H
/*
 * ECIES as devp2p uses it (protocol/rlpx.md §2).
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define ECIES_OVERHEAD 113

/*
 * Write len + ECIES_OVERHEAD bytes. `s2` is authenticated and not sent.
 * Returns 0, ERR_AUTH (`to` is no point), ERR_RANGE (len is 0: nobody would
 * open it) or ERR_NOMEM.
 */
int ecies_seal(const uint8_t to[static SECP_PUBLIC_SIZE], const uint8_t *in,
	       size_t len, const uint8_t *s2, size_t s2_len, uint8_t *out);
/* The same with a given ephemeral key and iv: for vectors. */
int ecies_seal_with(const struct secp_key *ephemeral,
		    const uint8_t iv[static 16],
		    const uint8_t to[static SECP_PUBLIC_SIZE],
		    const uint8_t *in, size_t len, const uint8_t *s2,
		    size_t s2_len, uint8_t *out);
/*
 * Write len - ECIES_OVERHEAD bytes. Returns 0, ERR_AUTH or ERR_NOMEM; the
 * length (at least 114) and the first byte are looked at before anything else.
 */
int ecies_open(const struct secp_key *key, const uint8_t *in, size_t len,
	       const uint8_t *s2, size_t s2_len, uint8_t *out);

#endif
