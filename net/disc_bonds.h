#ifndef NET_DISC_BONDS_H
#define NET_DISC_BONDS_H
/*
 * Endpoint proofs (protocol/discovery.md §3): which nodes have answered a Ping
 * of ours from which address within a day, and the Pings that are still to be
 * answered. Both are of fixed size, and one address has a part of each: where
 * that is full it pushes out its own.
 *
 * `source` is a number for an address or its network (limits_address_key()).
 *
 * Thread: one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "net/disc4.h"

#define DISC_BONDS_MAX_MS  UINT64_C(86400000) /* a day */
#define DISC_PING_MAX_MS   500u               /* deployed */
#define DISC_PINGS_MAX     512                /* under way */
#define DISC_PINGS_NEAR    16                 /* of these to one source */
#define DISC_BONDS_NEAR    16 /* proofs of one source, and of those in its set */
#define DISC_BONDS_SOURCES 128 /* sets */

struct disc_bond {
	uint64_t source; /* 0: free */
	uint64_t ponged_ms;
	uint8_t public[SECP_PUBLIC_SIZE];
	struct disc4_endpoint endpoint; /* tcp does not matter */
};

struct disc_ping {
	uint64_t source; /* 0: free */
	uint64_t sent_ms;
	uint8_t hash[DISC4_HASH_SIZE];
	struct disc4_node node;
};

struct disc_bonds {
	struct disc_bond bonds[DISC_BONDS_SOURCES][DISC_BONDS_NEAR];
	struct disc_ping pings[DISC_PINGS_MAX];
};

/* Zeroed bonds are empty. */

bool disc_bonds_has(const struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node, uint64_t now_ms);
/* Is there any node's proof of that address and port? */
bool disc_bonds_has_address(const struct disc_bonds *bonds, uint64_t source,
			    const struct disc4_endpoint *endpoint,
			    uint64_t now_ms);
/* It has answered. Without room the oldest of its source goes; if there is none
 * the oldest of the set. */
void disc_bonds_put(struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node, uint64_t now_ms);

/* May this node be pinged? Not while it is, nor when there is no room. */
bool disc_pings_has_room(const struct disc_bonds *bonds, uint64_t source,
			 const struct disc4_node *node);
/* It was, with this hash. There must be room. */
void disc_pings_put(struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node,
		    const uint8_t hash[static DISC4_HASH_SIZE],
		    uint64_t now_ms);
/* The Ping that a Pong from `endpoint` names; NULL: none. Nothing is taken. */
struct disc_ping *disc_pings_find(struct disc_bonds *bonds,
				  const uint8_t hash[static DISC4_HASH_SIZE],
				  const struct disc4_endpoint *endpoint);
/* One that was not answered in time; NULL: there is none. Its `source` is to
 * be made 0 by the caller, as of one that was answered. */
struct disc_ping *disc_pings_late(struct disc_bonds *bonds, uint64_t now_ms);

#endif
