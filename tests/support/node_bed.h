#ifndef TESTS_SUPPORT_NODE_BED_H
#define TESTS_SUPPORT_NODE_BED_H
/*
 * A node whole: an archive in a temporary folder, two rings, and clients in
 * the same process that post to it and fetch from it. What no test wants to
 * fail aborts.
 *
 * Thread: one, but for what the node's own header allows.
 */
#include <netinet/in.h>

#include "net/client.h"
#include "net/node.h"
#include "tests/support/letters.h"
#include "tests/support/tempdir.h"

struct node_bed {
	/* May be changed before a start. */
	char dir[TEMPDIR_MAX];
	struct secp_key key;
	struct secp_key denied; /* may not read */
	struct secp_key syncer; /* may ask to sync */
	uint8_t symmetric[32];
	enum ring_engine engine;
	size_t queue_bytes;          /* of the archive; 0: as it comes */
	struct node_rate envelopes;  /* from one peer */
	const struct enode *friends; /* static peers */
	unsigned friends_count;
	/* Set by the start. */
	struct archive *archive;
	struct node *node;
	struct sockaddr_in addr;
};

/* A bed with keys and a folder of its own, which the release removes. */
void node_bed_init(struct node_bed *bed, enum ring_engine engine);
void node_bed_release(struct node_bed *bed);
void node_bed_start(struct node_bed *bed);
void node_bed_stop(struct node_bed *bed);

/* How a client reaches it. */
struct client_config node_bed_client(const struct node_bed *bed, enum cap cap,
				     void *ctx);
/* Post all of them, from the first. */
void node_bed_post(const struct node_bed *bed, struct letters *l, enum cap cap,
		   unsigned connections, unsigned per_packet);

struct node_bed_ask {
	enum cap cap;
	enum client_form form;
	int topic; /* -1: all */
	uint32_t page;
	const struct secp_key *key; /* NULL: a new one */
};

/* What client_fetch() answers. */
int node_bed_fetch(const struct node_bed *bed, const struct node_bed_ask *ask,
		   struct basket *b, char *why);
/* Fetching brings exactly these. */
void node_bed_expect(const struct node_bed *bed, const struct letters *l,
		     const struct node_bed_ask *ask);

#endif
