#ifndef CORE_ENODE_H
#define CORE_ENODE_H
/*
 * Node identities and enode URLs (protocol/discovery.md §1).
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define ENODE_TEXT_MAX 512
#define ENODE_HOST_MAX 255

struct enode {
	uint8_t public[SECP_PUBLIC_SIZE];
	char host[ENODE_HOST_MAX + 1]; /* name or address, no brackets; "" */
	uint16_t tcp;                  /* 0 if the URL names none */
	uint16_t udp;
};

/*
 * Read `enode://<key>@host:port[?discport=n]`, `enode://<key>` or `<key>`.
 * Refuses keys off the curve and a password part. 0, ERR_SYNTAX, ERR_RANGE.
 */
int enode_decode(const char *text, struct enode *out);
/* Lower case, brackets round IPv6. Returns the length without the NUL. */
size_t enode_encode(const struct enode *enode, char out[static ENODE_TEXT_MAX]);
/* keccak256 of the public key: the id discovery and logs use. */
void enode_id(const uint8_t public[static SECP_PUBLIC_SIZE],
	      uint8_t id[static 32]);

#endif
