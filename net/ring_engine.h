#ifndef NET_RING_ENGINE_H
#define NET_RING_ENGINE_H
/*
 * What ring.c and its engines share; nobody else includes this.
 *
 * Functions of ring.h only note what a socket wants and put it on the list
 * `changed`. Once a round ring.c has the engine bring each of those in line
 * with the kernel (`update`), waits, and lets the engine tell what happened
 * (`dispatch`), which ends in the ring_sock_* functions below. So no handler
 * is ever called from within a function of ring.h, and the engine's queues
 * are never changed while they are being walked.
 *
 * A socket is in one state. It goes back to the free slots only when it is
 * closing and `in_kernel` is empty: the kernel has given its last answer.
 *
 * Thread: the ring's.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "net/ring.h"

enum sock_state {
	SOCK_FREE,       /* on ring->idle, or never used */
	SOCK_LISTENING,  /* on ring->listeners */
	SOCK_NEW,        /* accepted; its owner is about to be set */
	SOCK_CONNECTING, /* on ring->connecting */
	SOCK_OPEN,       /* on ring->starved when it waits for a buffer */
	SOCK_CLOSING,    /* on ring->closed once nothing is in the kernel */
};

/* Operations that the kernel may hold; each has its record in the socket. */
enum sock_op {
	OP_ACCEPT = 1,
	OP_CONNECT = 2,
	OP_RECV = 4,
	OP_SEND = 8,
	OP_CANCEL = 16,
	OP_WAKE = 32, /* of no socket: the ring's eventfd */
};

struct ring_sock {
	struct ring *ring;
	const struct ring_sock_ops *ops;
	void *owner;               /* of a listener: what `accepted` gets */
	ring_accepted_fn accepted; /* listeners only */

	TAILQ_ENTRY(ring_sock) change; /* changed, closed or idle */
	TAILQ_ENTRY(ring_sock) wait;   /* listeners, connecting or starved */
	TAILQ_ENTRY(ring_sock) ready;  /* the engine's own */
	bool is_changed, is_closed, is_starved, is_ready;

	uint8_t state;     /* enum sock_state */
	uint8_t in_kernel; /* enum sock_op, or'ed */
	bool is_paused;    /* receiving, or accepting until the next tick */
	bool is_sending;   /* between ring_send() and `sent` */
	bool is_shut;
	/* The epoll engine's view: edges seen and not yet used up. */
	bool is_registered, is_readable, is_writable, is_ended, is_sent;

	int fd;
	int err; /* for `closed` */
	uint32_t generation;
	/* The rest of a send: it goes on in part `iov`, at `offset`. */
	unsigned iov_count;
	const struct iovec *iov;
	size_t offset;
	uint64_t deadline_ms; /* connecting; 0: the kernel's own */
	union {
		struct msghdr msg;        /* OP_SEND */
		struct sockaddr_in6 addr; /* OP_CONNECT */
	};
	socklen_t addr_len;
};

_Static_assert(sizeof(struct ring_sock) <= 256, "memory of an idle connection");

TAILQ_HEAD(sock_list, ring_sock);

/* Where the ring's thread is, as those who wake it need to know. */
enum wake_state { WAKE_RUNNING, WAKE_SLEEPING, WAKE_PENDING };

struct ring_engine_ops {
	const char *name;
	/* Take what is needed from the kernel. 0, ERR_UNSUPPORTED, ERR_NOMEM,
	 * ERR_IO. Any thread. */
	int (*init)(struct ring *ring);
	/* First call on the ring's thread. 0 or ERR_IO. */
	int (*start)(struct ring *ring);
	/* Begin or cancel what `sock` wants. False: no room now, ask again in
	 * the next round. */
	bool (*update)(struct ring_sock *sock);
	/* Sleep until something happens; 0: only look. 0 or ERR_IO. */
	int (*wait)(struct ring *ring, unsigned timeout_us);
	void (*dispatch)(struct ring *ring);
	/* Something is left that needs no event from the kernel. */
	bool (*has_work)(const struct ring *ring);
	/* A receive buffer is free again (at the start: each of them). */
	void (*give)(struct ring *ring, unsigned index);
	/* The socket's slot is about to be freed. */
	void (*forget)(struct ring_sock *sock);
	void (*release)(
		struct ring *ring); /* NULL or half-built data is fine */
};

extern const struct ring_engine_ops ring_engine_epoll;
extern const struct ring_engine_ops ring_engine_uring;

struct ring {
	const struct ring_engine_ops *engine;
	void *engine_data;
	struct ring_config config;
	struct ring_handler handler;
	void *ctx;

	/* Slots below `slots_used` have been used before; the others are
	 * pages that were never touched. */
	struct ring_sock *slots;
	unsigned slots_used, socks_count;
	struct sock_list idle, changed, closed;
	struct sock_list listeners, connecting, starved;

	struct ring_buf *bufs;
	bool *bufs_held; /* by an owner */
	uint8_t *bufs_memory;
	size_t bufs_bytes;
	unsigned bufs_free; /* with the engine */

	uint64_t now_ms, tick_ms;
	uint64_t again_us; /* 0: not asked for */
	pthread_t thread;
	bool is_running, is_stopping;
	int event_fd;
	int spare_fd; /* given up to refuse a connection when fds run out */
	_Atomic int wake_state;
	atomic_bool stop;
};

/* The name of a socket in the kernel's answers. */
uint32_t ring_sock_index(const struct ring_sock *sock);

/* `update` is to be called for it before the next wait. */
void ring_sock_changed(struct ring_sock *sock);
bool ring_sock_is_receiving(const struct ring_sock *sock);
/* No buffer was free: it is `changed` again when there is one. */
void ring_sock_starve(struct ring_sock *sock);
/* Nothing is in the kernel: `closed` is called in this or the next round. */
void ring_sock_is_quiet(struct ring_sock *sock);
/* End it; the first error counts. ERR_IO, ERR_TIMEOUT or 0 (end of stream). */
void ring_sock_end(struct ring_sock *sock, int err);

/* What happened. `error` is an errno. These call the owner. */
void ring_sock_connected(struct ring_sock *sock);
void ring_sock_failed(struct ring_sock *sock, int error);
/* The engine's buffer `index` holds `size` bytes; if nobody wants them it is
 * given back. */
void ring_sock_received(struct ring_sock *sock, unsigned index, uint32_t size);
void ring_sock_sent(struct ring_sock *sock);
void ring_sock_accepted(struct ring_sock *listener, int fd);
void ring_sock_not_accepted(struct ring_sock *listener, int error);

/* `count` bytes of the send are with the kernel: true when that was all. */
bool ring_sock_advance(struct ring_sock *sock, size_t count);

#endif
