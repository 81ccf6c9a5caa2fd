#ifndef NET_ADMIT_H
#define NET_ADMIT_H
/*
 * Messages packets of one round, taken together: all hashes at once, then each
 * envelope's checks in the order of protocol/whisper-waku.md §5.
 *
 * Thread: a ring's.
 */
#include "core/packet.h"
#include "net/p2p.h"

struct admit;
struct node_ring;
struct session;

struct admit *admit_new(void); /* NULL: no memory */
void admit_free(struct admit *admit);

/* A packet of code 1; what is malformed ends its link. */
void admit_message(struct session *session, enum cap cap,
		   struct packet *payload);
/* What has come so far is hashed and judged. */
void admit_flush(struct node_ring *ring);

#endif
