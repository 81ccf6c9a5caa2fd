#ifndef NET_NODE_H
#define NET_NODE_H
/*
 * The server: ring threads that take envelopes from peers, have them archived,
 * tell other peers about them, and hand history back. One a process.
 *
 * Thread: node_start() and node_stop() from one thread; the rest from any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/enode.h"
#include "core/secp.h"
#include "net/link.h"
#include "net/ring.h"
#include "net/status.h"
#include "storage/archive.h"

struct node;

/* May this node read history? Asked on a ring: neither wait nor lock. */
enum gate_answer { GATE_ALLOW, GATE_DENY };
#define GATE_TEXT_MAX 192
struct node_gate {
	/*
	 * With DENY, `text` (preset to a plain sentence) is what the peer is
	 * told behind `ERROR=` and its request's id. `check` NULL: everybody.
	 */
	enum gate_answer (*check)(void *ctx,
				  const uint8_t node[static SECP_PUBLIC_SIZE],
				  char text[static GATE_TEXT_MAX]);
	void *ctx;
};

/* A connection's name for other threads: no pointer crosses a mailbox. */
struct node_link {
	uint32_t ring;
	uint64_t link;
};

/* Messages of wmpay/1, if link.caps offers it: on a ring, not to wait. */
struct node_wmpay {
	void (*message)(void *ctx, struct node_link from,
			const uint8_t node[static SECP_PUBLIC_SIZE],
			unsigned code, const uint8_t *payload, size_t len);
	void *ctx;
};

/* A token bucket; per_s 0 is no limit. */
struct node_rate {
	uint32_t per_s;
	uint32_t burst;
};

struct node_config {
	const struct secp_key *key; /* borrowed while it runs */
	struct sockaddr_storage listen;
	socklen_t listen_len; /* 0: do not listen */
	unsigned rings;
	enum ring_engine engine;
	/* key, port and limits are set by the node; links_max and
	 * handshakes_max are a ring's, the bounds by address all rings'. */
	struct link_config link;
	unsigned sessions_max; /* of all rings; 0: as many as they take */
	struct archive *archive;

	/* Envelopes. */
	double pow_min;
	uint32_t envelope_max;             /* 20 + size of the data */
	size_t pool_bytes_max;             /* held for other peers, a ring */
	uint32_t pool_count_max;           /* remembered, a ring */
	struct status_limits packets_told; /* rate limits in our Status */
	struct status_limits bytes_told;
	unsigned bad_max; /* bad envelopes before a Disconnect */

	/* What is taken from one peer, and from one address. */
	struct node_rate handshakes_ip;
	struct node_rate envelopes_peer, envelopes_ip;
	struct node_rate bytes_peer, bytes_ip;
	struct node_rate requests_peer, requests_ip;

	/* History. */
	bool is_mail_server;
	bool has_symmetric;
	uint8_t symmetric[32]; /* of the password of sealed requests */
	bool require_signer;   /* sealed requests signed by the peer's key */
	double request_pow_min;
	unsigned requests_max; /* of one peer, waiting */
	size_t page_bytes;     /* of envelopes in one packet */
	unsigned request_ms;   /* then a completion with a cursor */
	struct node_gate may_read;
	const uint8_t (*sync_peers)[SECP_PUBLIC_SIZE]; /* borrowed */
	unsigned sync_peers_count;
	/* Those we copy the archive of, while they are connected. */
	const uint8_t (*sync_from)[SECP_PUBLIC_SIZE]; /* borrowed */
	unsigned sync_from_count;
	unsigned sync_every_s; /* after the last time */
	uint32_t sync_back_s;  /* how far, the first time; 0: all there is */

	/* Peers we dial and keep. */
	const struct enode *static_peers; /* borrowed */
	unsigned static_peers_count;
	unsigned dial_min_ms, dial_max_ms;

	struct node_wmpay wmpay;
};

/* What `restante serve` uses when nothing is said. */
void node_config_default(struct node_config *config);

/*
 * Start: the port is bound when this returns. `why` gets one sentence for a
 * person on failure. 0, ERR_NOMEM, ERR_EXISTS (address in use), ERR_DENIED,
 * ERR_UNSUPPORTED (the engine), ERR_IO, ERR_RANGE (a setting).
 */
int node_start(const struct node_config *config, struct node **out, char *why,
	       size_t why_size);
/*
 * Accept no more, finish what is on its way to the disk, cut requests, tell
 * peers (0x08), end the threads: at most 5 s, if the disk answers. The archive
 * is still the caller's. NULL is fine.
 */
void node_stop(struct node *node);
uint16_t node_port(const struct node *node); /* 0 when not listening */
const char *node_engine(const struct node *node);

/*
 * Send a message of wmpay/1. The bytes are copied. 0, ERR_NOMEM or ERR_FULL;
 * if the peer has gone meanwhile nothing happens.
 */
int node_send(struct node *node, struct node_link to, unsigned code,
	      const uint8_t *payload, size_t len);
/* The same to a node, on whatever ring it is; nothing if it is not connected.
 */
void node_tell(struct node *node, const uint8_t to[static SECP_PUBLIC_SIZE],
	       unsigned code, const uint8_t *payload, size_t len);

/* A connected peer, as it was when its ring was asked. */
struct node_peer_view {
	uint8_t node[SECP_PUBLIC_SIZE];
	struct sockaddr_storage addr;
	char client[P2P_CLIENT_MAX + 1]; /* printable ASCII */
	bool caps[CAP_COUNT];            /* shared */
	bool is_outgoing;
	bool is_paused;  /* not read from: archive full, or above its rate */
	uint64_t age_ms; /* of the connection */
	uint64_t read_bytes, sent_bytes;
	size_t queued_bytes;
	unsigned requests; /* in work */
	unsigned ring;
};
/*
 * All peers: each ring is asked through its mailbox, and what has answered
 * within `wait_ms` counts; `*silent` rings have not. The list is malloc'ed.
 * Not on a ring, and not while the node is stopped. 0 or ERR_NOMEM.
 */
int node_peers(struct node *node, unsigned wait_ms, struct node_peer_view **out,
	       size_t *count, unsigned *silent);

struct node_stats {
	uint32_t peers;
	uint64_t packets_in;
	uint64_t envelopes_in;       /* in Messages packets */
	uint64_t envelopes_accepted; /* new */
	uint64_t envelopes_duplicate;
	uint64_t envelopes_refused;
	uint64_t envelopes_relayed;
	uint64_t requests;
	uint64_t requests_denied;
	uint64_t requests_failed;
	uint64_t envelopes_delivered;
	uint64_t bytes_delivered;
	bool is_healthy; /* the last batch could be stored */
};
void node_stats(struct node *node, struct node_stats *out);

#endif
