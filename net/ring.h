#ifndef NET_RING_H
#define NET_RING_H
/*
 * A ring is one thread's event loop over sockets. It hides the engine below:
 * io_uring (multishot accept and receive, provided buffers) or epoll, for
 * places where io_uring is forbidden.
 *
 * Nothing here blocks or locks. A round takes what the kernel has completed,
 * calls the handlers below for each, then calls `round_end` once: the place
 * where work of many sockets is done together.
 *
 * Thread: everything on the ring's own thread, between ring_run() and its
 * return (or before it on one thread, not necessarily the one that will run
 * it); only ring_wake() and ring_stop() from any. Functions of a socket
 * assert that. None of them calls a handler: those come from ring_run().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct ring;
struct ring_sock;

enum ring_engine { RING_AUTO, RING_URING, RING_EPOLL };

struct ring_config {
	enum ring_engine engine; /* AUTO: io_uring if the kernel lets us */
	unsigned socks_max;      /* sockets at once, listeners included */
	unsigned buf_size;       /* of one receive buffer; 0: 32 KiB */
	unsigned buf_count;      /* a power of two; 0: 128 */
	unsigned tick_ms;        /* 0: 100 */
};

/* Calls that concern no single socket. Any may be NULL. */
struct ring_handler {
	void (*round_end)(void *ctx);
	void (*woken)(void *ctx); /* after ring_wake(), coalesced */
	void (*tick)(void *ctx, uint64_t now_ms); /* about every tick_ms */
};

/* A received stretch of bytes. The holder may write into it and must give it
 * back with ring_buf_release() in the same or a later round, soon: buffers
 * are few, and without them nothing is received. */
struct ring_buf {
	uint8_t *data;
	uint32_t size;
};

/* Calls about one socket; `owner` is what ring_sock_set_owner() or
 * ring_connect() was given. */
struct ring_sock_ops {
	/* The connection stands (outgoing ones only). */
	void (*connected)(void *owner);
	/* Bytes came; `buf` now belongs to the owner. */
	void (*received)(void *owner, struct ring_buf *buf);
	/* Everything of the last ring_send() has been handed to the kernel. */
	void (*sent)(void *owner);
	/*
	 * The last call ever for this socket: nothing of it is in the kernel
	 * any more and its memory may go. `err`: 0 closed in order by either
	 * side, ERR_IO, ERR_TIMEOUT (connecting), ERR_CLOSED (open when the
	 * ring stopped). Buffers given before are still to be released.
	 */
	void (*closed)(void *owner, int err);
};

/* Returns 0, ERR_NOMEM, ERR_UNSUPPORTED (URING asked for and not to be had) or
 * ERR_IO. */
int ring_new(const struct ring_config *config,
	     const struct ring_handler *handler, void *ctx, struct ring **out);
void ring_free(struct ring *ring); /* after ring_run() returned; NULL is fine */
const char *ring_engine_name(const struct ring *ring); /* "io_uring", "epoll" */

/*
 * Loop until ring_stop(). The calling thread becomes the ring's. What is still
 * open then is closed, with a call of `closed` for each (and no other handler)
 * before this returns. 0 or ERR_IO.
 */
int ring_run(struct ring *ring);
void ring_stop(struct ring *ring);             /* any thread */
void ring_wake(struct ring *ring);             /* any thread */
uint64_t ring_now_ms(const struct ring *ring); /* monotonic, as of this round */
/*
 * The next round begins then at the latest (microseconds of clock_mono_ns();
 * with epoll up to 1 ms later), though nothing happens until then. For that
 * round only: who waits for longer says so in each.
 */
void ring_again_at(struct ring *ring, uint64_t at_us);

/*
 * Listen with SO_REUSEPORT, so that every ring has a listener of its own on
 * the same port. `accepted` gets each new socket: it must call
 * ring_sock_set_owner() or ring_close() before it returns. With port 0 the
 * port really bound is in *port. IPv6 listeners take IPv6 only. Connections
 * for which no slot or descriptor is left are refused at once.
 * 0, ERR_EXISTS (in use), ERR_DENIED, ERR_FULL (no slot), ERR_UNSUPPORTED (the
 * family), ERR_IO.
 */
typedef void (*ring_accepted_fn)(void *ctx, struct ring_sock *sock,
				 const struct sockaddr *addr);
int ring_listen(struct ring *ring, const struct sockaddr *addr, socklen_t len,
		ring_accepted_fn accepted, void *ctx, uint16_t *port);
void ring_listen_stop(struct ring *ring); /* accept no more */
/*
 * May a process listen there that nobody shares with? Since rings share a
 * port, a second process of the same user would too, unnoticed: ask before the
 * first ring listens. Any thread. 0 (always, with port 0) or as ring_listen().
 */
int ring_listen_probe(const struct sockaddr *addr, socklen_t len);

void ring_sock_set_owner(struct ring_sock *sock,
			 const struct ring_sock_ops *ops, void *owner);
/*
 * Begin to connect. The socket is returned at once; connected or closed
 * follows. The time is looked at each tick; 0: the kernel's own.
 * 0, ERR_FULL (no slot), ERR_UNSUPPORTED (the family), ERR_IO.
 */
int ring_connect(struct ring *ring, const struct sockaddr *addr, socklen_t len,
		 unsigned timeout_ms, const struct ring_sock_ops *ops,
		 void *owner, struct ring_sock **out);

/*
 * Send all of `iov` (at most RING_IOV_MAX parts). Array and bytes stay the
 * caller's and must stay put until `sent` or `closed`. One send at a time, of
 * one byte at least. On a socket that is closing it does nothing.
 */
#define RING_IOV_MAX 64
void ring_send(struct ring_sock *sock, const struct iovec *iov, unsigned count);
/*
 * Stop and start receiving: backpressure. What the kernel has put into buffers
 * by then is still delivered. A paused socket does not notice the end of the
 * stream either.
 */
void ring_recv_pause(struct ring_sock *sock, bool paused);
/*
 * Shut down; `closed` follows when the kernel has let go, and nothing else
 * does. A send that is under way is cut; what was `sent` is delivered, without
 * anybody waiting for it. Idempotent.
 */
void ring_close(struct ring_sock *sock);
void ring_buf_release(struct ring *ring, struct ring_buf *buf);

#endif
