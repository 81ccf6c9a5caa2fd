#ifndef NET_DISC_TABLE_H
#define NET_DISC_TABLE_H
/*
 * The nodes that discovery knows to be alive, in buckets by their distance to
 * us (protocol/discovery.md §3). A full bucket keeps whom it has. No clock, no
 * socket.
 *
 * Thread: one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/disc4.h"

#define DISC_TABLE_BUCKETS 17
#define DISC_TABLE_ENTRIES 16 /* of a bucket */
#define DISC_TABLE_CLOSEST 16 /* that are named for a target */
#define DISC_TABLE_FAILS   5  /* and a node is dropped */
/* Nodes of one network (IPv4 /24, IPv6 /32), private ones not counted. */
#define DISC_TABLE_NEAR_BUCKET 2
#define DISC_TABLE_NEAR_ALL    10

struct disc_entry {
	uint8_t id[32]; /* keccak256 of the public key */
	struct disc4_node node;
	uint64_t seen_ms; /* the last sign of life */
	unsigned fails;   /* since then */
	uint32_t walk;    /* the last walk it was asked in; the caller's */
};

struct disc_table {
	uint8_t self[32];
	unsigned count;
	struct disc_bucket {
		unsigned count;
		struct disc_entry entries[DISC_TABLE_ENTRIES];
	} buckets[DISC_TABLE_BUCKETS];
};

/* Entries are good until the table changes. */

void disc_table_init(struct disc_table *table,
		     const uint8_t self[static SECP_PUBLIC_SIZE]);
/*
 * It is alive and where it says: added, or known again, with its endpoint as
 * it is now. 0, ERR_FULL (its bucket, or too many of its network), or
 * ERR_RANGE: it is ourselves.
 */
int disc_table_seen(struct disc_table *table, const struct disc4_node *node,
		    uint64_t now_ms);
/* NULL: not there. */
struct disc_entry *
disc_table_find(struct disc_table *table,
		const uint8_t public[static SECP_PUBLIC_SIZE]);
/* It did not answer; true: it is dropped, and the entry gone. */
bool disc_table_failed(struct disc_table *table, struct disc_entry *entry);
/* Least recently seen of all, or of a node's bucket; NULL: there is none. */
struct disc_entry *disc_table_stalest(struct disc_table *table);
struct disc_entry *
disc_table_stalest_near(struct disc_table *table,
			const uint8_t public[static SECP_PUBLIC_SIZE]);
/* Closest to the id, by XOR, closest first. Returns how many. */
unsigned disc_table_closest(struct disc_table *table,
			    const uint8_t id[static 32],
			    struct disc_entry *out[static DISC_TABLE_CLOSEST]);

#endif
