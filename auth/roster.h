#ifndef AUTH_ROSTER_H
#define AUTH_ROSTER_H
/*
 * What the check on the path of a request needs to know of every node with a
 * record, in memory: a ring asks it and waits for no disk. About 80 bytes a
 * node. Nodes are added and changed, never removed.
 *
 * Thread: roster_put() from one, roster_find() from any at the same time,
 *         without a lock; a put that has returned is seen by all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/record.h"

struct roster;

/* NULL: no memory. */
struct roster *roster_new(void);
void roster_free(struct roster *roster);

/*
 * What of a record matters to the check (payments.md §13): suspended, without
 * end, some quota, some credit, expiry (beyond 2^60 as that).
 */
uint64_t roster_standing(const struct entitlement *ent);
/* Sets kind, flags, expiry_s, quota and credits_count, as far as that tells,
 * and nothing else. */
void roster_show(uint64_t standing, struct entitlement *out);

/* 0 or ERR_NOMEM, which cannot be for a node that is there already. */
int roster_put(struct roster *roster,
	       const uint8_t node[static SECP_PUBLIC_SIZE], uint64_t standing);
bool roster_find(const struct roster *roster,
		 const uint8_t node[static SECP_PUBLIC_SIZE],
		 uint64_t *standing);

#endif
