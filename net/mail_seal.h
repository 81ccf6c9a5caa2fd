#ifndef NET_MAIL_SEAL_H
#define NET_MAIL_SEAL_H
/*
 * Making a sealed history request (protocol/mailserver.md §2.2), for the side
 * that asks.
 *
 * Thread: any.
 */
#include "core/secp.h"
#include "net/mail.h"

/* How a client seals its request: with `symmetric`, or else for `to`. */
struct mail_seal {
	const uint8_t *symmetric;      /* 32 bytes or NULL */
	const uint8_t *to;             /* the server's public key, or NULL */
	const struct secp_key *signer; /* NULL: unsigned */
	double pow;                    /* to be reached by search; 0: none */
};
/*
 * A whole sealed request, malloc'ed, to be sent as code 126, and its id.
 * 0, ERR_NOMEM, ERR_TIMEOUT (no nonce found), or what sealing says.
 */
int mail_seal_new(const struct mail_query *query, const struct mail_seal *how,
		  uint32_t now_s, uint8_t **out, size_t *out_len,
		  uint8_t id[static MAIL_ID_SIZE]);

#endif
