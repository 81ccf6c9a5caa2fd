#ifndef NET_RLPX_H
#define NET_RLPX_H
/*
 * RLPx without sockets (protocol/rlpx.md §2 to §5): the EIP-8 handshake of
 * both sides and the frames after it. Bytes in, bytes out; ring, commands,
 * tests and fuzz targets share it.
 *
 * Thread: any; an object belongs to its caller.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/keccak.h"
#include "core/secp.h"

#define RLPX_AUTH_SIZE_MIN      282
#define RLPX_ACK_SIZE_MIN       215
#define RLPX_HANDSHAKE_SIZE_MAX 2048
#define RLPX_PACKET_MAX         (2 + RLPX_HANDSHAKE_SIZE_MAX)

struct aes_block;
struct aes_ctr;

/* One direction of a connection after the handshake. */
struct rlpx_stream {
	struct keccak mac;
	struct aes_ctr *cipher;
	struct aes_block *mac_key;
	/* D(S) as the last update left it: the next header begins with it. */
	uint8_t digest[16];
	bool has_digest;
};
struct rlpx_streams {
	struct rlpx_stream egress;
	struct rlpx_stream ingress;
};
/* Frees the ciphers and erases the states. Zeroed streams are fine. */
void rlpx_streams_release(struct rlpx_streams *streams);

/* What both sides know at the end of the key exchange; all borrowed. */
struct rlpx_agreement {
	const uint8_t *secret; /* ecdh of the ephemeral keys, 32 bytes */
	const uint8_t *initiator_nonce; /* 32 bytes each */
	const uint8_t *recipient_nonce;
	const uint8_t *auth; /* the packets as on the wire */
	size_t auth_len;
	const uint8_t *ack;
	size_t ack_len;
};
/* Derive the streams of one side (§4). 0 or ERR_NOMEM. */
int rlpx_streams_init(struct rlpx_streams *streams,
		      const struct rlpx_agreement *agreed, bool is_initiator);

/*
 * A handshake is fed bytes and says what it wants next. It is small
 * (allocated while it runs, freed and erased when done).
 */
struct rlpx_handshake;

/* `key` is borrowed. `remote` is NULL for the recipient. NULL: no memory. */
struct rlpx_handshake *rlpx_handshake_new(const struct secp_key *key,
					  const uint8_t *remote);
void rlpx_handshake_free(struct rlpx_handshake *hs); /* erases; NULL is fine */
/* Initiator: the auth packet to send first. 0, or ERR_NOMEM or ERR_AUTH when
 * the other side's key is none. */
int rlpx_handshake_auth(struct rlpx_handshake *hs,
			uint8_t out[static RLPX_PACKET_MAX], size_t *out_len);
/*
 * Take from `in`; *used says how much. Returns ERR_AGAIN (wants more), 0 (done:
 * *streams and `remote` are set, and for the recipient the ack to send is in
 * out) or ERR_PROTOCOL / ERR_AUTH: close without a word, one refusal for all.
 */
int rlpx_handshake_feed(struct rlpx_handshake *hs, const uint8_t *in,
			size_t len, size_t *used,
			uint8_t out[static RLPX_PACKET_MAX], size_t *out_len,
			struct rlpx_streams *streams,
			uint8_t remote[static SECP_PUBLIC_SIZE]);

/* Fixed ephemeral key and nonce, for vectors. Before any packet is made. */
void rlpx_handshake_fix(struct rlpx_handshake *hs,
			const struct secp_key *ephemeral,
			const uint8_t nonce[static 32]);

/* ---- frames ---- */

#define RLPX_HEADER_SIZE 32 /* header ‖ mac */
#define RLPX_MAC_SIZE    16
#define RLPX_FRAME_MAX   0xffffff

/* n rounded up to 16, plus the MAC: what follows the header. */
size_t rlpx_body_size(size_t n);

/*
 * Seal in place: `frame` holds RLPX_HEADER_SIZE free bytes, n bytes of body,
 * and room for rlpx_body_size(n) - n bytes behind. One job per connection in a
 * call: frames of one connection depend on each other.
 */
struct rlpx_seal_job {
	struct rlpx_stream *stream;
	uint8_t *frame;
	size_t n; /* 1..RLPX_FRAME_MAX */
};
void rlpx_seal_many(const struct rlpx_seal_job *jobs, size_t count);

/* Check and decrypt headers: sets n, or err = ERR_AUTH / ERR_PROTOCOL (n = 0).
 */
struct rlpx_header_job {
	struct rlpx_stream *stream;
	const uint8_t *header; /* RLPX_HEADER_SIZE bytes */
	size_t n;
	int err;
};
void rlpx_open_headers(struct rlpx_header_job *jobs, size_t count);

/* Check and decrypt bodies in place: `body` is rlpx_body_size(n) bytes. */
struct rlpx_body_job {
	struct rlpx_stream *stream;
	uint8_t *body;
	size_t n;
	int err; /* 0 or ERR_AUTH; never decrypted then */
};
void rlpx_open_bodies(struct rlpx_body_job *jobs, size_t count);

#endif
