#ifndef NET_DISC4_H
#define NET_DISC4_H
/*
 * Packets of discovery v4 (protocol/discovery.md §3): bytes in, bytes out.
 * Reading is lenient as EIP-8 says: further elements of lists, bytes behind
 * the list and the version of a Ping do not matter.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/keccak.h"
#include "core/secp.h"

#define DISC4_SIZE_MAX  1280
#define DISC4_HASH_SIZE KECCAK_DIGEST
#define DISC4_HEAD_SIZE 98 /* hash, signature and type */
#define DISC4_NODES_MAX                                                        \
	12 /* of one Neighbors; further ones are passed over                   \
	    */

enum disc4_type {
	DISC4_PING = 1,
	DISC4_PONG,
	DISC4_FINDNODE,
	DISC4_NEIGHBORS,
	DISC4_ENR_REQUEST,
	DISC4_ENR_RESPONSE,
};
#define DISC4_TYPES_END 7

/* An address of IPv4 is mapped (::ffff:a.b.c.d). All zero: none was told. */
struct disc4_endpoint {
	uint8_t ip[16];
	uint16_t udp, tcp;
};

struct disc4_node {
	struct disc4_endpoint endpoint;
	uint8_t public[SECP_PUBLIC_SIZE]; /* perhaps no point of the curve */
};

struct disc4_packet {
	enum disc4_type type;
	uint64_t expiration_s; /* 0 of an ENRResponse, which has none */
	union {
		struct { /* Ping, Pong; `from` and `hash` of one alone */
			struct disc4_endpoint from, to;
			uint8_t hash[DISC4_HASH_SIZE];
			bool has_enr_seq;
			uint64_t enr_seq;
		} ping;
		struct { /* FindNode */
			uint8_t target[SECP_PUBLIC_SIZE];
		} find;
		struct { /* Neighbors */
			unsigned count;
			struct disc4_node nodes[DISC4_NODES_MAX];
		} neighbors;
		struct { /* ENRResponse; the record is borrowed, RLP */
			uint8_t hash[DISC4_HASH_SIZE];
			const uint8_t *record;
			size_t record_len;
		} enr;
	} body;
};

/*
 * Check the hash and read what follows the signature, which is not looked at.
 * 0, ERR_SYNTAX, ERR_RANGE (size, or a number), ERR_AUTH (hash) or
 * ERR_UNSUPPORTED (a type that is not known).
 */
int disc4_decode(const uint8_t *in, size_t len, struct disc4_packet *out);
/* The same behind hash and signature: type and data. */
int disc4_body_decode(const uint8_t *in, size_t len, struct disc4_packet *out);
/* Who signed it; costs a recovery. Of bytes that were decoded. 0, ERR_AUTH. */
int disc4_sender(const uint8_t *in, size_t len,
		 uint8_t public[static SECP_PUBLIC_SIZE]);

/* Sign and write; the packet's hash is its first 32 bytes. Returns the size.
 * Everything fits but a record that is larger than it may be. */
size_t disc4_encode(const struct disc4_packet *packet,
		    const struct secp_key *key,
		    uint8_t out[static DISC4_SIZE_MAX]);

#endif
