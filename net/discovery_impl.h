#ifndef NET_DISCOVERY_IMPL_H
#define NET_DISCOVERY_IMPL_H
/*
 * The inside of discovery, shared by its files and by nothing else.
 *
 * Thread: discovery's own, but where it says so.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/metrics.h"
#include "net/disc4.h"
#include "net/disc_bonds.h"
#include "net/disc_table.h"
#include "net/discovery.h"
#include "net/limits.h"

#define DISCOVERY_ASKS 3 /* FindNodes at once */

enum discovery_drop {
	DROP_MALFORMED,
	DROP_HASH,
	DROP_SIGNATURE,
	DROP_EXPIRED,
	DROP_RATE,
	DROP_UNPROVEN,    /* asks before its address is proved */
	DROP_UNSOLICITED, /* answers what was not asked */
	DROP_COUNT
};

/* A FindNode of ours that is under way. */
struct discovery_ask {
	struct disc4_node node;
	unsigned left; /* nodes that it may still name; 0: not asked */
	bool is_answered;
};

/* Looks at the surroundings of our own id, step by step. */
struct discovery_walk {
	void (*step)(struct discovery *d);
	uint64_t due_ms; /* of the step */
	uint32_t number; /* of the walk */
	unsigned rounds;
	struct discovery_ask asks[DISCOVERY_ASKS];
	bool is_alone; /* said so */
};

struct discovery {
	struct discovery_config config;
	int fd;      /* the socket */
	int wake_fd; /* an eventfd; any thread */
	pthread_t thread;
	bool is_started; /* the thread */
	atomic_bool is_stopping;
	atomic_uint nodes; /* any thread */
	uint16_t port;

	uint8_t record[ENR_SIZE_MAX];
	size_t record_len;
	uint64_t record_seq;
	char record_text[ENR_TEXT_MAX];

	uint64_t now_ms; /* monotonic, of this round */
	struct limits *limits;
	struct bucket strangers, known; /* recoveries for all of them */
	struct disc_table table;
	struct disc_bonds bonds;
	struct discovery_walk walk;
	uint64_t check_ms; /* when the next node is looked after */

	struct metric *received[DISC4_TYPES_END];
	struct metric *sent[DISC4_TYPES_END];
	struct metric *dropped[DROP_COUNT];
	struct metric *nodes_gauge;
};

/* ---- discovery.c ---- */

/* A number for the address, as limits and proofs count it. */
uint64_t discovery_source(const struct discovery *d,
			  const struct disc4_endpoint *endpoint);
/* With expiration; `hash` may be NULL. What the socket does not take is lost.
 */
void discovery_send(struct discovery *d, struct disc4_packet *packet,
		    const struct disc4_endpoint *to,
		    uint8_t hash[DISC4_HASH_SIZE]);
/* Ask for a sign of life, unless that is being done or too much is. */
void discovery_ping(struct discovery *d, const struct disc4_node *node);
/* Can this be a node that we can reach? */
bool discovery_is_reachable(const struct discovery *d,
			    const struct disc4_node *node);

/* ---- discovery_in.c ---- */

void discovery_receive(struct discovery *d, const uint8_t *in, size_t len,
		       const struct sockaddr *from);

/* ---- discovery_walk.c ---- */

void discovery_walk_start(struct discovery *d);
void discovery_walk_tick(struct discovery *d);
/* Nodes that `from` names. False: nobody asked it. */
bool discovery_walk_found(struct discovery *d, const struct disc4_node *from,
			  const struct disc4_node *nodes, unsigned count);
/* Did we ask somebody at this address? */
bool discovery_walk_has_asked(const struct discovery *d,
			      const struct disc4_endpoint *endpoint);

#endif
