#ifndef TESTS_SUPPORT_NODE_PEER_H
#define TESTS_SUPPORT_NODE_PEER_H
/*
 * Peers of a node made by hand, each a link on a ring in a thread of its own:
 * what they say is their role, and what they are told is counted.
 *
 * Thread: started and stopped on one; the atomic fields are for any, the
 *         others for after the stop.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "net/link.h"
#include "net/ring.h"
#include "tests/support/node_bed.h"

enum node_peer_role {
	NODE_PEER_WATCH,   /* counts what it is told */
	NODE_PEER_LATE,    /* the same, but reads only when it is woken */
	NODE_PEER_SLEEP,   /* asks a lot and never reads */
	NODE_PEER_TWIN,    /* the key of another one */
	NODE_PEER_GREEDY,  /* asks NODE_PEER_ASKED times at once */
	NODE_PEER_SINGLES, /* asks for one envelope a packet */
	NODE_PEER_SYNC,
	NODE_PEER_RUDE, /* speaks before its Status */
	NODE_PEER_JUNK, /* a Messages packet that is none */
};

#define NODE_PEER_ASKED 20

struct node_peer {
	const struct node_bed *bed;
	enum node_peer_role role;
	enum cap cap;
	int topic; /* wanted; -1: all */
	struct secp_key key;
	struct ring *ring;
	struct link_set *set;
	struct link *link;
	pthread_t thread;
	struct basket told;
	unsigned packets;
	bool is_ready; /* Status sent and received */
	atomic_bool has_status, is_complete, stop;
	atomic_bool is_awake; /* set it to wake a late one */
	atomic_uint count;
	atomic_uint served, refused; /* of a greedy one's questions */
	atomic_int reason;           /* of the Disconnect; -1: none */
};

/* Dial the bed's node; `key` NULL: a new one. */
void node_peer_start(struct node_peer *p, const struct node_bed *bed,
		     enum node_peer_role role, enum cap cap, int topic,
		     const struct secp_key *key);
void node_peer_stop(struct node_peer *p);

#endif
