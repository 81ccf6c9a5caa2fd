#ifndef CORE_SEALED_H
#define CORE_SEALED_H
/*
 * The sealed message in an envelope's data field (protocol/message-codec.md):
 * a mail server opens history requests with it, and nothing else.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define SEALED_KEY_SIZE        32
#define SEALED_SYMMETRIC_EXTRA 28 /* tag and nonce */

/* PBKDF2-HMAC-SHA256, empty salt, 65356 rounds: tens of milliseconds. 0 or
 * ERR_NOMEM. */
int sealed_key_from_password(const char *password,
			     uint8_t key[static SEALED_KEY_SIZE]);

struct sealed_message {
	uint8_t *plain;         /* owned; sealed_release() frees it */
	const uint8_t *payload; /* into plain */
	size_t payload_size;
	bool is_signed;
	uint8_t signer[SECP_PUBLIC_SIZE]; /* when is_signed */
};

/*
 * Open with whichever of the two keys fits (§5): `node` when the data looks
 * asymmetric, then `symmetric`; either may be NULL. Returns 0, ERR_AUTH (does
 * not open), ERR_SYNTAX (opened, malformed inside) or ERR_NOMEM.
 * A wrong signature is ERR_PROTOCOL, so the two texts of mailserver.md §2.3
 * can be told apart.
 */
int sealed_open(const uint8_t *data, size_t len, const struct secp_key *node,
		const uint8_t *symmetric, struct sealed_message *out);
void sealed_release(struct sealed_message *msg);

/*
 * Seal `payload`, signed by `signer` unless NULL, with a symmetric key or for
 * a public key. Returns malloc'ed bytes in *out.
 */
int sealed_seal_symmetric(const uint8_t key[static SEALED_KEY_SIZE],
			  const uint8_t *payload, size_t len,
			  const struct secp_key *signer, uint8_t **out,
			  size_t *out_len);
int sealed_seal_asymmetric(const uint8_t to[static SECP_PUBLIC_SIZE],
			   const uint8_t *payload, size_t len,
			   const struct secp_key *signer, uint8_t **out,
			   size_t *out_len);

#endif
