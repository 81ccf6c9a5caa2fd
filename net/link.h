#ifndef NET_LINK_H
#define NET_LINK_H
/*
 * A link is one devp2p connection on a ring: handshake, Hello, keep-alive,
 * frames, snappy, the offsets of capabilities, and a bounded send queue. All
 * links of a ring live in one set, which opens and seals the frames of many
 * links together, several MACs at a time, once a round.
 *
 * Server, client commands and load generator stand on this, each with a
 * handler of its own.
 *
 * Thread: the ring's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/msgbuf.h"
#include "core/packet.h"
#include "core/secp.h"
#include "net/p2p.h"

struct link;
struct link_set;
struct ring;
struct ring_sock;

/*
 * Counts that several sets share, whatever threads they run on, so that the
 * bounds by address and on open links hold over all of them.
 */
struct link_limits;
/* `links` at most, handshakes included. NULL: no memory. */
struct link_limits *link_limits_new(size_t links, unsigned opened_max);
/* After all sets that have it. NULL is fine. */
void link_limits_free(struct link_limits *limits);

struct link_config {
	const struct secp_key *key; /* borrowed for the set's life */
	const char *client;         /* client id in Hello */
	uint16_t port;           /* listen port told in Hello; 0 for clients */
	bool caps[CAP_COUNT];    /* offered */
	unsigned links_max;      /* in this set */
	unsigned handshakes_max; /* incoming, in handshake at once; beyond it
				    who holds most of them gives one up */
	unsigned per_ip_max;     /* links of one IPv4 address or IPv6 /48; 0: no
				    bound */
	unsigned per_net_max;    /* links of one IPv4 /24 or IPv6 /32... ; 0: no
				    bound */
	struct link_limits *limits; /* borrowed; NULL: the set's own */
	unsigned handshake_ms; /* from accept to the end of the key exchange */
	unsigned hello_ms;     /* after that */
	unsigned idle_ms;      /* nothing read: Disconnect 0x0b */
	unsigned write_ms;     /* nothing could be written: close */
	unsigned ping_ms;
	size_t packet_max;      /* plain payload */
	size_t queue_bytes_max; /* waiting to be sent on one link */
	size_t queue_low;       /* `drained` when it falls to this */
};
void link_config_default(struct link_config *config);

/* Why a link ended. */
struct link_end {
	int err; /* ERR_CLOSED, ERR_IO, ERR_TIMEOUT, ERR_PROTOCOL, ERR_AUTH,
		    ERR_FULL */
	unsigned reason; /* of the Disconnect sent or received, if any */
	bool is_local;   /* we ended it */
	bool has_reason;
};

struct link_handler {
	/*
	 * Hello agreed. Return 0 to serve it or a p2p_reason to refuse it with
	 * (then `closed` follows). Set the link's owner here.
	 */
	unsigned (*opened)(void *ctx, struct link *link);
	/*
	 * One capability message, plain. `payload` is borrowed for the call:
	 * packet_ref() keeps it. Codes above the capability's length never
	 * come.
	 */
	void (*message)(void *ctx, struct link *link, enum cap cap,
			unsigned code, struct packet *payload);
	/* The send queue has fallen to queue_low after having been above it. */
	void (*drained)(void *ctx, struct link *link);
	/* All that was queued is with the kernel. */
	void (*emptied)(void *ctx, struct link *link);
	/* Last call for the link; it had been opened, or was ours (link_dial).
	 */
	void (*closed)(void *ctx, struct link *link,
		       const struct link_end *end);
	/* After a round's messages, before what was queued is sealed and sent.
	 */
	void (*round_end)(void *ctx);
};

/* 0 or ERR_NOMEM. */
int link_set_new(struct ring *ring, const struct link_config *config,
		 const struct link_handler *handler, void *ctx,
		 struct link_set **out);
/* All links must be closed. NULL is fine. */
void link_set_free(struct link_set *set);

/*
 * To be called from the ring's handler. Sets that share a ring go together, so
 * that the MACs of all their links are computed several at a time.
 */
void link_set_round_end(struct link_set *set);
void link_sets_round_end(struct link_set *const *sets, size_t count);
void link_set_tick(struct link_set *set, uint64_t now_ms);
/* For ring_listen(): ctx is the set. */
void link_set_accepted(void *set, struct ring_sock *sock,
		       const struct sockaddr *addr);

/* Dial; `owner` is set from the start. closed tells if it fails. 0, ERR_CLOSED
 * (the set is stopping), ERR_FULL, ERR_NOMEM or those of ring_connect(). */
int link_dial(struct link_set *set,
	      const uint8_t remote[static SECP_PUBLIC_SIZE],
	      const struct sockaddr *addr, socklen_t len, void *owner,
	      struct link **out);

void link_set_owner(struct link *link, void *owner);
void *link_owner(const struct link *link);
/*
 * A name for other threads: no pointer to a link crosses a mailbox. NULL when
 * that link is gone.
 */
uint64_t link_handle(const struct link *link);
struct link *link_find(struct link_set *set, uint64_t handle);

const uint8_t *link_remote(const struct link *link); /* 64 bytes */
const struct sockaddr *link_addr(const struct link *link);
const char *link_client(const struct link *link); /* from its Hello */
bool link_has_cap(const struct link *link, enum cap cap);
bool link_is_outgoing(const struct link *link);
unsigned link_set_count(const struct link_set *set); /* opened links */
/* With those in handshake and those whose Disconnect is under way. */
unsigned link_set_total(const struct link_set *set);
/*
 * An open link with this remote key, NULL if there is none. Within `opened`
 * the new link itself is not found, only an older one.
 */
struct link *link_find_remote(struct link_set *set,
			      const uint8_t public[static SECP_PUBLIC_SIZE]);

/*
 * Queue a message: `buf` holds the plain payload and belongs to the link from
 * here on, whatever is returned. Returns 0, ERR_FULL (the queue would pass its
 * bound; the link is being closed: a reader this slow is not served) or
 * ERR_CLOSED.
 */
int link_send(struct link *link, enum cap cap, unsigned code,
	      struct msgbuf *buf);
/* The same from bytes that are copied. */
int link_send_bytes(struct link *link, enum cap cap, unsigned code,
		    const void *payload, size_t len);
size_t link_queued(const struct link *link); /* bytes not yet with the kernel */
/* Bytes of the connection, as they were on the wire. */
void link_traffic(const struct link *link, uint64_t *read_bytes,
		  uint64_t *sent_bytes);
/* Has the kernel been busy for so long with what it was given last? */
bool link_is_stalled(const struct link *link, unsigned ms);
/* Nothing is to be sent on any link, and nothing that came is to be read. */
bool link_set_is_idle(const struct link_set *set);
/* Stop and start reading from the peer. */
void link_pause(struct link *link, bool paused);
/* Send Disconnect, then close. Idempotent. */
void link_disconnect(struct link *link, unsigned reason);
/* Disconnect all, for stopping; `closed` follows for each. */
void link_set_stop(struct link_set *set, unsigned reason);

#endif
