#ifndef NET_LINK_IMPL_H
#define NET_LINK_IMPL_H
/*
 * What the files of a link share: link.c (life), link_in.c (receiving),
 * link_out.c (sending), link_time.c (deadlines), link_limit.c (counts by
 * address). Nobody else includes this.
 *
 * Thread: the ring's.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>

#include "core/metrics.h"
#include "net/link.h"
#include "net/ring.h"
#include "net/rlpx.h"

/* ---- lists ---- */

/* A circle through its head; a node outside any list points at itself. */
struct node {
	struct node *prev;
	struct node *next;
};
static inline void node_init(struct node *n)
{
	n->prev = n;
	n->next = n;
}
static inline bool node_is_alone(const struct node *n)
{
	return n->next == n;
}
static inline void node_remove(struct node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	node_init(n);
}
/* To the end of the list; nothing if it is in one already. */
static inline void node_append(struct node *head, struct node *n)
{
	if (!node_is_alone(n))
		return;
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
/* All of `from` to the end of `to`. */
static inline void node_splice(struct node *to, struct node *from)
{
	if (node_is_alone(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	node_init(from);
}
#define LINK_OF(ptr, member)                                                   \
	((struct link *)(void *)((char *)(ptr)-offsetof(struct link, member)))

/* ---- counts by address prefix ---- */

/*
 * Of a fixed size, and without a lock: any thread. A bound is never passed,
 * however many take at once.
 */
struct link_limit; /* prefix -> count */
struct link_limit *link_limit_new(size_t entries_max);
void link_limit_free(struct link_limit *limit);
/* 0, or ERR_FULL when `max` are counted already (0: no bound). */
int link_limit_take(struct link_limit *limit, uint64_t prefix, unsigned max);
/* One that was taken. */
void link_limit_give(struct link_limit *limit, uint64_t prefix);

struct link_limits {
	struct link_limit *by_ip, *by_net;
	unsigned opened_max;
	atomic_uint opened;
};
/* May one more link be open? Then it is counted, until _closed(). */
bool link_limits_open(struct link_limits *limits);
void link_limits_closed(struct link_limits *limits);
/* IPv4 /32 or IPv6 /48; IPv4 /24 or IPv6 /32. */
uint64_t link_prefix_ip(const struct sockaddr *addr);
uint64_t link_prefix_net(const struct sockaddr *addr);

/* ---- a link ---- */

enum link_state {
	LINK_CONNECTING, /* outgoing, TCP is not there yet */
	LINK_KEYS,       /* key exchange */
	LINK_HELLO,      /* ours is under way, theirs not here */
	LINK_OPEN,
	LINK_ENDING,  /* Disconnect under way; what comes is thrown away */
	LINK_CLOSING, /* the ring was told to close */
	LINK_STATE_COUNT
};

union link_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The array of one ring_send(); kept aside by the set between two. */
struct link_flight {
	struct link_flight *next;
	struct iovec iov[RING_IOV_MAX];
};

struct msg_queue {
	struct msgbuf *head;
	struct msgbuf *tail;
};

struct link {
	struct link_set *set;
	struct ring_sock *sock; /* NULL: the ring has let go */
	void *owner;
	char *client;
	struct rlpx_handshake *handshake; /* in CONNECTING and KEYS only */
	struct link *remote_next;         /* in the table by remote key */
	struct node input;                /* has bytes to be looked at */
	struct node crypto; /* waits for its turn at public-key work */
	struct node output; /* has something to seal or send */
	struct node timer;
	struct node dead;
	struct node shaking; /* an incoming one in handshake */
	uint64_t due_ms;     /* of the timer, when it is set */

	/* Receiving: bytes stand in `held` or in `in`, from in_start. */
	struct ring_buf *held;
	uint8_t *in;
	uint32_t in_start;
	uint32_t in_end;
	uint32_t in_cap;
	uint32_t frame_n; /* of the header that was opened; 0: none */
	uint32_t round_bytes;
	uint32_t round_frames;

	/* Sending: first wait unsealed, then sealed, the first in flight. */
	struct msg_queue waiting;
	struct msg_queue sealed;
	struct link_flight *flight;
	size_t queued; /* bytes of all of them not with the kernel */
	uint64_t read_bytes, sent_bytes; /* since the connection */
	size_t sealed_bytes;
	size_t flight_bytes;
	uint32_t sealed_count;
	uint32_t sealed_offset; /* of the head that the kernel has */

	uint64_t since_ms; /* in this state */
	uint64_t read_ms;  /* the last byte */
	uint64_t write_ms; /* of the present flight */
	uint64_t ping_ms;  /* the last of ours */
	uint32_t slot;
	uint32_t generation;
	struct cap_map caps;
	struct link_end end;
	uint8_t state;
	bool is_outgoing;
	bool is_ended;   /* `end` is set */
	bool is_opened;  /* `opened` was called */
	bool is_counted; /* in the gauge and the table of open links */
	bool is_limited; /* counted by address */
	bool is_snappy;
	bool is_above_low;
	bool is_paused;      /* by the owner */
	bool is_backlogged;  /* paused until its frames are worked off */
	bool is_recv_paused; /* what the ring was told */
	union link_addr addr;
	uint8_t remote[SECP_PUBLIC_SIZE];
	struct rlpx_streams streams;
};

struct link_metrics {
	struct metric *opened, *too_many, *per_address, *garbage, *timeout;
	struct metric *refused, *lost;
	struct metric *end_closed, *end_timeout, *end_breach, *end_slow;
	struct metric *end_lost;
	struct metric *open_now, *handshakes_now;
	struct metric *read_bytes, *sent_bytes;
};

#define WHEEL_SLOTS    1024
#define WHEEL_GRAIN_MS 50

/* Links whose MACs are worked on together. */
#define LINK_BATCH 256

struct link_slot {
	struct link *link;
	uint32_t generation;
	uint32_t next_free;
};

struct link_set {
	struct ring *ring;
	struct link_config config;
	struct link_handler handler;
	void *ctx;
	struct p2p_hello hello;
	struct link_metrics metrics;
	struct link_slot *slots;
	unsigned slot_count;
	unsigned slot_free;  /* first free one; slot_count: none */
	unsigned links;      /* all */
	unsigned handshakes; /* KEYS and HELLO, incoming */
	unsigned opened;
	struct link **remotes; /* open links by remote key */
	uint32_t remotes_mask;
	uint64_t remotes_seed;
	struct link_limits *limits;     /* ours, or the config's */
	struct link_limits *own_limits; /* NULL: they are shared */
	struct node input, crypto, output, dead;
	struct node shaking; /* the oldest first */
	unsigned crowd_turn; /* whom of them to look at */
	bool is_again;       /* work is left: another round at once */
	bool is_stopping;
	struct link_flight *flights; /* spare ones */
	unsigned flights_spare;
	uint64_t read_bytes, sent_bytes; /* since the last round's end */
	uint64_t wheel_at; /* the last slot that was emptied, absolute */
	struct node wheel[WHEEL_SLOTS];
	/* Scratch of one batch. */
	struct link *batch[LINK_BATCH];
	struct link *batch_jobs[LINK_BATCH];
	struct rlpx_header_job headers[LINK_BATCH];
	struct rlpx_body_job bodies[LINK_BATCH];
	struct rlpx_seal_job seals[LINK_BATCH];
};

/* link.c */
void link_move(struct link *link, enum link_state state);
/* Remember why; the first reason stands. */
void link_note_end(struct link *link, int err, bool is_local);
/* Close without a word. */
void link_abort(struct link *link, int err);
/* Say why, then close. */
void link_refuse(struct link *link, unsigned reason, int err);
static inline bool link_is_live(const struct link *link)
{
	return link->state == LINK_HELLO || link->state == LINK_OPEN;
}
/* The key exchange is over: `remote` and streams are set. */
void link_keys_agreed(struct link *link);
/* Their Hello is here. */
void link_hello_come(struct link *link, const uint8_t *payload, size_t len);
uint64_t link_now(const struct link_set *set);

/* link_in.c */
void link_in_received(struct link *link, struct ring_buf *buf);
void link_in_drop(struct link *link);
void link_in_update_pause(struct link *link);
bool link_in_has_more(const struct link *link);
/* Of all sets together; the first one lends its scratch. */
void link_in_round(struct link_set *const *sets, size_t sets_count);

/* link_out.c */
/* Queue `buf` as message `id`; `is_snappy` says how the payload goes. */
int link_out_message(struct link *link, uint64_t id, struct msgbuf *buf,
		     bool is_snappy);
int link_out_small(struct link *link, uint64_t id, const void *payload,
		   size_t len, bool is_snappy);
/* Bytes that are no frame: a handshake packet. */
int link_out_raw(struct link *link, const void *bytes, size_t len);
bool link_out_is_empty(const struct link *link);
void link_out_sent(struct link *link);
void link_out_drop_waiting(struct link *link);
void link_out_release(struct link *link);
void link_out_round(struct link_set *const *sets, size_t sets_count);
void link_out_release_spare(struct link_set *set);

/* link_time.c */
void link_timer_init(struct link_set *set);
/* Look at the link's deadlines at `at_ms`, or before. */
void link_timer_arm(struct link *link, uint64_t at_ms);
/* From the deadlines of the present state. */
void link_timer_set(struct link *link);

#endif
