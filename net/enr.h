#ifndef NET_ENR_H
#define NET_ENR_H
/*
 * Ethereum node records, identity scheme "v4" (protocol/discovery.md §2): who
 * a node is and where, signed by itself. A record is at most 300 bytes of RLP.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define ENR_SIZE_MAX 300
/* "enr:", base64 of that and a NUL. */
#define ENR_TEXT_MAX (4 + ENR_SIZE_MAX / 3 * 4 + 1)

/* Keys that are not known here are passed over when reading. */
struct enr {
	uint64_t seq;
	uint8_t public[SECP_PUBLIC_SIZE];
	bool has_ip, has_ip6;
	uint8_t ip[4], ip6[16];
	uint16_t tcp, udp, tcp6, udp6; /* 0: not told */
};

/*
 * Sign and write; the key takes the place of `enr->public`. Returns the size;
 * whatever the fields are, it is below ENR_SIZE_MAX.
 */
size_t enr_encode(const struct enr *enr, const struct secp_key *key,
		  uint8_t out[static ENR_SIZE_MAX]);
/*
 * Read and verify. 0, ERR_SYNTAX, ERR_RANGE (too large, or a number is),
 * ERR_UNSUPPORTED (another identity scheme) or ERR_AUTH (signature, key).
 * `*out` is changed on success alone.
 */
int enr_decode(const uint8_t *in, size_t len, struct enr *out);

/* The bytes as "enr:…"; returns the length without the NUL. */
size_t enr_text_encode(const uint8_t *in, size_t len,
		       char out[static ENR_TEXT_MAX]);
/* Back to bytes, which are still to be decoded: 0, ERR_SYNTAX or ERR_RANGE. */
int enr_text_decode(const char *text, uint8_t out[static ENR_SIZE_MAX],
		    size_t *len);

#endif
