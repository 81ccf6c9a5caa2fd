#include "net/ring_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/err.h"

/*
 * The engine for places where io_uring is forbidden. Edges are remembered in
 * the socket; what can be done at once is on the list `ready`. Nothing of a
 * socket is ever inside the kernel between two rounds.
 */
#define EVENTS_MAX  256
#define ACCEPTS_MAX 64 /* of one listener in a round */
#define READS_MAX   4  /* of one socket in a round */
#define WAKE        UINT64_MAX

struct epoll {
	int fd;
	int events_count;
	struct epoll_event events[EVENTS_MAX];
	struct sock_list ready;
	unsigned bufs_count;
	uint16_t bufs[]; /* free ones, a stack */
};

static void make_ready(struct ring_sock *sock)
{
	struct epoll *e = sock->ring->engine_data;

	if (sock->is_ready)
		return;
	sock->is_ready = true;
	TAILQ_INSERT_TAIL(&e->ready, sock, ready);
}

static void epoll_release(struct ring *ring)
{
	struct epoll *e = ring->engine_data;

	if (!e)
		return;
	if (e->fd >= 0)
		close(e->fd);
	free(e);
	ring->engine_data = NULL;
}

static int epoll_init(struct ring *ring)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET,
				    .data.u64 = WAKE};
	struct epoll *e;

	e = calloc(1, sizeof(*e) + ring->config.buf_count * sizeof(*e->bufs));
	if (!e)
		return ERR_NOMEM;
	ring->engine_data = e;
	TAILQ_INIT(&e->ready);
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	/* Each write to the eventfd is an edge, so it is never read. */
	if (e->fd < 0 ||
	    epoll_ctl(e->fd, EPOLL_CTL_ADD, ring->event_fd, &event) != 0) {
		epoll_release(ring);
		return ERR_IO;
	}
	return 0;
}

static int epoll_start(struct ring *ring)
{
	(void)ring;
	return 0;
}

static void epoll_give(struct ring *ring, unsigned index)
{
	struct epoll *e = ring->engine_data;

	assert(e->bufs_count < ring->config.buf_count);
	e->bufs[e->bufs_count++] = (uint16_t)index;
}

static void epoll_forget(struct ring_sock *sock)
{
	struct epoll *e = sock->ring->engine_data;

	if (sock->is_ready)
		TAILQ_REMOVE(&e->ready, sock, ready);
	sock->is_ready = false;
}

static bool epoll_has_work(const struct ring *ring)
{
	const struct epoll *e = ring->engine_data;

	return !TAILQ_EMPTY(&e->ready);
}

/* Sockets are registered once, for edges; closing the fd ends that. */
static void register_sock(struct ring_sock *sock)
{
	struct epoll *e = sock->ring->engine_data;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	event.data.u64 =
		(uint64_t)sock->generation << 32 | ring_sock_index(sock);
	if (sock->state != SOCK_LISTENING)
		event.events |= EPOLLOUT | EPOLLRDHUP;
	sock->is_registered = true;
	if (epoll_ctl(e->fd, EPOLL_CTL_ADD, sock->fd, &event) != 0)
		ring_sock_failed(sock, errno);
}

/* Sending and receiving */

static size_t rest_of_send(const struct ring_sock *sock, struct iovec *iov)
{
	memcpy(iov, sock->iov, sock->iov_count * sizeof(*iov));
	iov[0].iov_base = (uint8_t *)iov[0].iov_base + sock->offset;
	iov[0].iov_len -= sock->offset;
	return sock->iov_count;
}

/* Until all is with the kernel or it takes no more. True: all is. */
static bool send_on(struct ring_sock *sock)
{
	struct iovec iov[RING_IOV_MAX];
	struct msghdr msg = {.msg_iov = iov};
	ssize_t n;

	while (sock->iov_count > 0) {
		msg.msg_iovlen = rest_of_send(sock, iov);
		n = sendmsg(sock->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			sock->is_writable = false;
			return false;
		}
		if (n < 0) {
			ring_sock_failed(sock, errno);
			return false;
		}
		(void)ring_sock_advance(sock, (size_t)n);
	}
	return true;
}

/* One read. True: there may be more. */
static bool receive_once(struct ring_sock *sock)
{
	struct ring *ring = sock->ring;
	struct epoll *e = ring->engine_data;
	unsigned index;
	ssize_t n;

	if (e->bufs_count == 0) {
		ring_sock_starve(sock);
		return false;
	}
	index = e->bufs[--e->bufs_count];
	n = recv(sock->fd,
		 ring->bufs_memory + (size_t)index * ring->config.buf_size,
		 ring->config.buf_size, MSG_DONTWAIT);
	if (n > 0) {
		/* A short read has emptied it, unless the end came with it. */
		if ((size_t)n < ring->config.buf_size && !sock->is_ended)
			sock->is_readable = false;
		ring_sock_received(sock, index, (uint32_t)n);
		return sock->is_readable;
	}
	epoll_give(ring, index);
	if (n == 0)
		ring_sock_end(sock, 0);
	else if (errno == EAGAIN)
		sock->is_readable = false;
	else if (errno != EINTR)
		ring_sock_failed(sock, errno);
	return sock->is_readable;
}

static void receive(struct ring_sock *sock)
{
	unsigned i;

	for (i = 0; i < READS_MAX; i++)
		if (!ring_sock_is_receiving(sock) || !receive_once(sock))
			return;
	make_ready(sock);
}

static void accept_some(struct ring_sock *listener)
{
	unsigned i;
	int fd;

	for (i = 0; i < ACCEPTS_MAX; i++) {
		if (listener->state != SOCK_LISTENING || listener->is_paused)
			return;
		fd = accept4(listener->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			ring_sock_accepted(listener, fd);
		} else if (errno == EAGAIN) {
			listener->is_readable = false;
			return;
		} else {
			ring_sock_not_accepted(listener, errno);
		}
	}
	make_ready(listener);
}

/* Connecting */

static void begin_connect(struct ring_sock *sock)
{
	const struct sockaddr *addr = (const struct sockaddr *)&sock->addr;
	int was = connect(sock->fd, addr, sock->addr_len);

	if (was != 0 && errno != EINPROGRESS && errno != EINTR) {
		ring_sock_failed(sock, errno);
		return;
	}
	register_sock(sock);
}

static void end_connect(struct ring_sock *sock)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error)
		ring_sock_failed(sock, error);
	else
		ring_sock_connected(sock);
}

/* The round */

static bool can_go_on(const struct ring_sock *sock)
{
	return sock->is_sent || (sock->is_sending && sock->is_writable) ||
	       (sock->is_readable && ring_sock_is_receiving(sock));
}

static void update_open(struct ring_sock *sock)
{
	if (!sock->is_registered)
		register_sock(sock);
	if (sock->state == SOCK_OPEN && sock->is_sending && sock->is_writable &&
	    !sock->is_sent)
		sock->is_sent = send_on(sock);
	if (sock->state == SOCK_OPEN && can_go_on(sock))
		make_ready(sock);
}

static bool epoll_update(struct ring_sock *sock)
{
	switch ((enum sock_state)sock->state) {
	case SOCK_LISTENING:
		if (!sock->is_registered)
			register_sock(sock);
		if (sock->is_readable)
			make_ready(sock);
		break;
	case SOCK_CONNECTING:
		if (!sock->is_registered)
			begin_connect(sock);
		break;
	case SOCK_OPEN:
		update_open(sock);
		break;
	case SOCK_CLOSING:
		ring_sock_is_quiet(sock);
		break;
	case SOCK_FREE:
	case SOCK_NEW:
		assert(false);
	}
	return true;
}

static int epoll_wait_some(struct ring *ring, unsigned timeout_us)
{
	struct epoll *e = ring->engine_data;

	e->events_count = epoll_wait(e->fd, e->events, EVENTS_MAX,
				     (int)((timeout_us + 999) / 1000));
	if (e->events_count >= 0)
		return 0;
	e->events_count = 0;
	return errno == EINTR ? 0 : ERR_IO;
}

static void take_event(struct ring *ring, const struct epoll_event *event)
{
	struct ring_sock *sock;

	if (event->data.u64 == WAKE)
		return;
	sock = &ring->slots[(uint32_t)event->data.u64];
	if (sock->state == SOCK_FREE ||
	    sock->generation != event->data.u64 >> 32)
		return;
	if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		sock->is_ended = true;
	if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		sock->is_readable = true;
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		sock->is_writable = true;
	make_ready(sock);
}

static void go_on(struct ring_sock *sock)
{
	if (sock->state == SOCK_LISTENING) {
		accept_some(sock);
		return;
	}
	if (sock->state == SOCK_CONNECTING && sock->is_writable)
		end_connect(sock);
	if (sock->state == SOCK_OPEN && sock->is_sending && !sock->is_sent &&
	    sock->is_writable)
		sock->is_sent = send_on(sock);
	if (sock->is_sent) {
		sock->is_sent = false;
		ring_sock_sent(sock);
	}
	if (sock->is_readable)
		receive(sock);
}

static void epoll_dispatch(struct ring *ring)
{
	struct epoll *e = ring->engine_data;
	struct sock_list ready = TAILQ_HEAD_INITIALIZER(ready);
	struct ring_sock *sock;
	int i;

	for (i = 0; i < e->events_count; i++)
		take_event(ring, &e->events[i]);
	TAILQ_CONCAT(&ready, &e->ready, ready);
	while ((sock = TAILQ_FIRST(&ready))) {
		TAILQ_REMOVE(&ready, sock, ready);
		sock->is_ready = false;
		go_on(sock);
	}
}

const struct ring_engine_ops ring_engine_epoll = {
	.name = "epoll",
	.init = epoll_init,
	.start = epoll_start,
	.update = epoll_update,
	.wait = epoll_wait_some,
	.dispatch = epoll_dispatch,
	.has_work = epoll_has_work,
	.give = epoll_give,
	.forget = epoll_forget,
	.release = epoll_release,
};
