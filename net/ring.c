#include "net/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "net/ring_engine.h"

#define BACKLOG       1024
#define DISCARD_MAX   64 /* reads when closing */
#define BUF_COUNT_MAX 32768
/*
 * Bytes of one socket that the kernel holds and has not sent. Without a bound
 * it takes megabytes for a peer that reads nothing.
 */
#define UNSENT_MAX (128 * 1024)

static void assert_on_ring(const struct ring *ring)
{
	assert(!ring->is_running ||
	       pthread_equal(ring->thread, pthread_self()));
}

/* Slots and states */

uint32_t ring_sock_index(const struct ring_sock *sock)
{
	return (uint32_t)(sock - sock->ring->slots);
}

static struct ring_sock *slot_take(struct ring *ring, int fd)
{
	struct ring_sock *sock = TAILQ_FIRST(&ring->idle);
	uint32_t generation = 0;

	if (sock) {
		TAILQ_REMOVE(&ring->idle, sock, change);
		generation = sock->generation + 1;
	} else if (ring->slots_used < ring->config.socks_max) {
		sock = &ring->slots[ring->slots_used++];
	} else {
		return NULL;
	}
	assert(sock->state == SOCK_FREE);
	*sock = (struct ring_sock){
		.ring = ring, .fd = fd, .generation = generation};
	ring->socks_count++;
	return sock;
}

static bool may_move(enum sock_state from, enum sock_state to)
{
	switch (to) {
	case SOCK_FREE:
		return from == SOCK_CLOSING;
	case SOCK_LISTENING:
	case SOCK_NEW:
	case SOCK_CONNECTING:
		return from == SOCK_FREE;
	case SOCK_OPEN:
		return from == SOCK_NEW || from == SOCK_CONNECTING;
	case SOCK_CLOSING:
		return from != SOCK_FREE && from != SOCK_CLOSING;
	}
	return false;
}

static void sock_leave(struct ring_sock *sock)
{
	struct ring *ring = sock->ring;

	if (sock->state == SOCK_LISTENING)
		TAILQ_REMOVE(&ring->listeners, sock, wait);
	if (sock->state == SOCK_CONNECTING)
		TAILQ_REMOVE(&ring->connecting, sock, wait);
	if (sock->is_starved)
		TAILQ_REMOVE(&ring->starved, sock, wait);
	sock->is_starved = false;
}

/* The one door between states. */
static void sock_move(struct ring_sock *sock, enum sock_state to)
{
	struct ring *ring = sock->ring;

	assert(may_move(sock->state, to));
	sock_leave(sock);
	sock->state = (uint8_t)to;
	if (to == SOCK_LISTENING)
		TAILQ_INSERT_TAIL(&ring->listeners, sock, wait);
	if (to == SOCK_CONNECTING)
		TAILQ_INSERT_TAIL(&ring->connecting, sock, wait);
	if (to == SOCK_FREE) {
		TAILQ_INSERT_HEAD(&ring->idle, sock, change);
		ring->socks_count--;
	} else if (to != SOCK_NEW) {
		ring_sock_changed(sock);
	}
}

void ring_sock_changed(struct ring_sock *sock)
{
	if (sock->is_changed || sock->is_closed)
		return;
	sock->is_changed = true;
	TAILQ_INSERT_TAIL(&sock->ring->changed, sock, change);
}

bool ring_sock_is_receiving(const struct ring_sock *sock)
{
	return sock->state == SOCK_OPEN && !sock->is_paused;
}

void ring_sock_starve(struct ring_sock *sock)
{
	if (sock->is_starved || !ring_sock_is_receiving(sock))
		return;
	sock->is_starved = true;
	TAILQ_INSERT_TAIL(&sock->ring->starved, sock, wait);
}

void ring_sock_is_quiet(struct ring_sock *sock)
{
	assert(sock->state == SOCK_CLOSING && !sock->in_kernel);
	assert(!sock->is_changed && !sock->is_closed);
	sock->is_closed = true;
	TAILQ_INSERT_TAIL(&sock->ring->closed, sock, change);
}

void ring_sock_end(struct ring_sock *sock, int err)
{
	if (sock->state == SOCK_CLOSING)
		return;
	sock->err = err;
	sock_move(sock, SOCK_CLOSING);
}

/* What the engines tell */

void ring_sock_connected(struct ring_sock *sock)
{
	if (sock->state != SOCK_CONNECTING)
		return;
	sock_move(sock, SOCK_OPEN);
	if (sock->ops->connected)
		sock->ops->connected(sock->owner);
}

void ring_sock_failed(struct ring_sock *sock, int error)
{
	bool is_late = sock->state == SOCK_CONNECTING && error == ETIMEDOUT;

	ring_sock_end(sock, is_late ? ERR_TIMEOUT : ERR_IO);
}

void ring_sock_received(struct ring_sock *sock, unsigned index, uint32_t size)
{
	struct ring *ring = sock->ring;
	struct ring_buf *buf = &ring->bufs[index];

	assert(index < ring->config.buf_count && !ring->bufs_held[index]);
	assert(size > 0 && size <= ring->config.buf_size);
	if (sock->state != SOCK_OPEN) {
		ring->engine->give(ring, index);
		return;
	}
	ring->bufs_held[index] = true;
	ring->bufs_free--;
	buf->data = ring->bufs_memory + (size_t)index * ring->config.buf_size;
	buf->size = size;
	sock->ops->received(sock->owner, buf);
}

void ring_sock_sent(struct ring_sock *sock)
{
	if (sock->state != SOCK_OPEN)
		return;
	assert(sock->is_sending && sock->iov_count == 0);
	sock->is_sending = false;
	if (sock->ops->sent)
		sock->ops->sent(sock->owner);
}

static void skip_empty(struct ring_sock *sock)
{
	while (sock->iov_count > 0 && sock->iov->iov_len == sock->offset) {
		sock->iov++;
		sock->iov_count--;
		sock->offset = 0;
	}
}

bool ring_sock_advance(struct ring_sock *sock, size_t count)
{
	while (count > 0) {
		size_t left = sock->iov->iov_len - sock->offset;
		size_t step = count < left ? count : left;

		assert(sock->iov_count > 0);
		sock->offset += step;
		count -= step;
		skip_empty(sock);
	}
	return sock->iov_count == 0;
}

/* Accepting */

void ring_sock_accepted(struct ring_sock *listener, int fd)
{
	struct ring *ring = listener->ring;
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	struct ring_sock *sock = NULL;

	/* Gone already, not wanted any more, or the table is full: refuse. */
	if (listener->state == SOCK_LISTENING &&
	    getpeername(fd, (struct sockaddr *)&addr, &len) == 0)
		sock = slot_take(ring, fd);
	if (!sock) {
		close(fd);
		return;
	}
	sock_move(sock, SOCK_NEW);
	listener->accepted(listener->owner, sock, (struct sockaddr *)&addr);
	assert(sock->state != SOCK_NEW);
}

/* Out of descriptors: the spare one serves to refuse who waits first. */
static void refuse_one(struct ring_sock *listener)
{
	struct pollfd ready = {.fd = listener->fd, .events = POLLIN};
	struct ring *ring = listener->ring;

	if (ring->spare_fd < 0 || poll(&ready, 1, 0) <= 0)
		return;
	close(ring->spare_fd);
	ring->spare_fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (ring->spare_fd >= 0)
		close(ring->spare_fd);
	ring->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void ring_sock_not_accepted(struct ring_sock *listener, int error)
{
	if (listener->state != SOCK_LISTENING)
		return;
	if (error == EMFILE || error == ENFILE)
		refuse_one(listener);
	/* An error of that connection only: go on. */
	if (error == ECONNABORTED || error == EINTR || error == EPROTO)
		return;
	listener->is_paused = true;
}

static void resume_listeners(struct ring *ring)
{
	struct ring_sock *sock;

	TAILQ_FOREACH(sock, &ring->listeners, wait)
	{
		if (!sock->is_paused)
			continue;
		sock->is_paused = false;
		ring_sock_changed(sock);
	}
	if (ring->spare_fd < 0)
		ring->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The round */

static void end_late_connects(struct ring *ring)
{
	struct ring_sock *sock = TAILQ_FIRST(&ring->connecting);

	while (sock) {
		struct ring_sock *next = TAILQ_NEXT(sock, wait);

		if (sock->deadline_ms && ring->now_ms >= sock->deadline_ms)
			ring_sock_end(sock, ERR_TIMEOUT);
		sock = next;
	}
}

static void tick_if_due(struct ring *ring)
{
	if (ring->now_ms < ring->tick_ms)
		return;
	ring->tick_ms = ring->now_ms + ring->config.tick_ms;
	end_late_connects(ring);
	resume_listeners(ring);
	if (ring->handler.tick && !ring->is_stopping)
		ring->handler.tick(ring->ctx, ring->now_ms);
}

/*
 * Bytes that nobody has read turn close() into a reset, which may overtake
 * what was sent: read what is there, within a bound.
 */
static void discard(int fd)
{
	const int flags = MSG_TRUNC | MSG_DONTWAIT; /* TCP: nothing is copied */
	uint8_t sink[16 * 1024];
	unsigned i;

	for (i = 0; i < DISCARD_MAX; i++)
		if (recv(fd, sink, sizeof(sink), flags) <= 0)
			return;
}

static void finish(struct ring_sock *sock)
{
	const struct ring_sock_ops *ops = sock->ops;
	void *owner = sock->owner;
	int err = sock->err;

	assert(sock->state == SOCK_CLOSING && !sock->in_kernel);
	sock->ring->engine->forget(sock);
	if (!sock->accepted)
		discard(sock->fd);
	close(sock->fd);
	sock->is_closed = false;
	sock_move(sock, SOCK_FREE);
	if (ops && ops->closed)
		ops->closed(owner, err);
}

static void finish_closed(struct ring *ring)
{
	struct ring_sock *sock;

	while ((sock = TAILQ_FIRST(&ring->closed))) {
		TAILQ_REMOVE(&ring->closed, sock, change);
		finish(sock);
	}
}

/* As many may try again as there are buffers. */
static void feed_starved(struct ring *ring)
{
	unsigned count = ring->bufs_free;
	struct ring_sock *sock;

	while (count-- > 0 && (sock = TAILQ_FIRST(&ring->starved))) {
		TAILQ_REMOVE(&ring->starved, sock, wait);
		sock->is_starved = false;
		ring_sock_changed(sock);
	}
}

static void update_changed(struct ring *ring)
{
	struct ring_sock *sock;

	feed_starved(ring);
	while ((sock = TAILQ_FIRST(&ring->changed))) {
		TAILQ_REMOVE(&ring->changed, sock, change);
		sock->is_changed = false;
		if (sock->state == SOCK_CLOSING && !sock->is_shut &&
		    !sock->accepted) {
			/* What the kernel has accepted is still delivered. */
			sock->is_shut = true;
			shutdown(sock->fd, SHUT_WR);
		}
		if (!ring->engine->update(sock)) {
			ring_sock_changed(sock);
			return;
		}
	}
}

static bool has_work(const struct ring *ring)
{
	return !TAILQ_EMPTY(&ring->changed) || !TAILQ_EMPTY(&ring->closed) ||
	       (!TAILQ_EMPTY(&ring->starved) && ring->bufs_free > 0) ||
	       ring->engine->has_work(ring);
}

/* The time to the tick, or to the round that was asked for. */
static unsigned until_due(const struct ring *ring)
{
	uint64_t now_us = clock_mono_ns() / 1000;
	uint64_t due_us = ring->tick_ms * 1000;

	if (ring->again_us && ring->again_us < due_us)
		due_us = ring->again_us;
	return now_us < due_us ? (unsigned)(due_us - now_us) : 0;
}

/* True when somebody has called ring_wake() since the last time. */
static int wait_or_woken(struct ring *ring, bool *woken)
{
	int was = WAKE_RUNNING;
	unsigned timeout_us = 0;
	int err;

	if (!has_work(ring) && atomic_compare_exchange_strong(
				       &ring->wake_state, &was, WAKE_SLEEPING))
		timeout_us = until_due(ring);
	ring->again_us = 0;
	err = ring->engine->wait(ring, timeout_us);
	*woken = atomic_exchange(&ring->wake_state, WAKE_RUNNING) ==
		 WAKE_PENDING;
	ring->now_ms = clock_mono_ms();
	return err;
}

static int do_round(struct ring *ring)
{
	bool woken;
	int err;

	update_changed(ring);
	err = wait_or_woken(ring, &woken);
	if (err)
		return err;
	ring->engine->dispatch(ring);
	if (woken && ring->handler.woken && !ring->is_stopping)
		ring->handler.woken(ring->ctx);
	tick_if_due(ring);
	finish_closed(ring);
	if (ring->handler.round_end && !ring->is_stopping)
		ring->handler.round_end(ring->ctx);
	return 0;
}

static void end_all(struct ring *ring)
{
	unsigned i;

	for (i = 0; i < ring->slots_used; i++)
		if (ring->slots[i].state != SOCK_FREE)
			ring_sock_end(&ring->slots[i], ERR_CLOSED);
}

int ring_run(struct ring *ring)
{
	int err;

	assert(!ring->is_running && !ring->is_stopping);
	ring->thread = pthread_self();
	ring->is_running = true;
	ring->now_ms = clock_mono_ms();
	ring->tick_ms = ring->now_ms + ring->config.tick_ms;
	err = ring->engine->start(ring);
	while (!err && !atomic_load(&ring->stop))
		err = do_round(ring);
	ring->is_stopping = true;
	while (!err && ring->socks_count > 0) {
		end_all(ring);
		err = do_round(ring);
	}
	ring->is_running = false;
	return err;
}

void ring_wake(struct ring *ring)
{
	uint64_t one = 1;
	ssize_t n;

	if (atomic_exchange(&ring->wake_state, WAKE_PENDING) != WAKE_SLEEPING)
		return;
	/* It can only fail when the count is full, and so it is awake. */
	n = write(ring->event_fd, &one, sizeof(one));
	(void)n;
}

void ring_again_at(struct ring *ring, uint64_t at_us)
{
	assert(!ring->is_running ||
	       pthread_equal(ring->thread, pthread_self()));
	if (!ring->again_us || at_us < ring->again_us)
		ring->again_us = at_us;
}

void ring_stop(struct ring *ring)
{
	atomic_store(&ring->stop, true);
	ring_wake(ring);
}

/* Making and ending */

static int bufs_new(struct ring *ring)
{
	const struct ring_config *config = &ring->config;
	unsigned i;

	ring->bufs_bytes = (size_t)config->buf_size * config->buf_count;
	ring->bufs = calloc(config->buf_count, sizeof(*ring->bufs));
	ring->bufs_held = calloc(config->buf_count, sizeof(*ring->bufs_held));
	ring->bufs_memory = mmap(NULL, ring->bufs_bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring->bufs_memory == MAP_FAILED)
		ring->bufs_memory = NULL;
	if (!ring->bufs || !ring->bufs_held || !ring->bufs_memory)
		return ERR_NOMEM;
	for (i = 0; i < config->buf_count; i++)
		ring->engine->give(ring, i);
	ring->bufs_free = config->buf_count;
	return 0;
}

static int engine_new(struct ring *ring)
{
	int err = ERR_UNSUPPORTED;

	if (ring->config.engine != RING_EPOLL) {
		ring->engine = &ring_engine_uring;
		err = ring->engine->init(ring);
	}
	if (ring->config.engine == RING_EPOLL ||
	    (ring->config.engine == RING_AUTO && err == ERR_UNSUPPORTED)) {
		ring->engine = &ring_engine_epoll;
		err = ring->engine->init(ring);
	}
	return err;
}

static void set_config(struct ring *ring, const struct ring_config *config)
{
	struct ring_config *c = &ring->config;

	*c = *config;
	if (!c->buf_size)
		c->buf_size = 32 * 1024;
	if (!c->buf_count)
		c->buf_count = 128;
	if (!c->tick_ms)
		c->tick_ms = 100;
	assert(c->socks_max > 0 && c->socks_max < 1 << 24);
	assert(c->buf_count <= BUF_COUNT_MAX);
	assert((c->buf_count & (c->buf_count - 1)) == 0);
}

static void lists_init(struct ring *ring)
{
	TAILQ_INIT(&ring->idle);
	TAILQ_INIT(&ring->changed);
	TAILQ_INIT(&ring->closed);
	TAILQ_INIT(&ring->listeners);
	TAILQ_INIT(&ring->connecting);
	TAILQ_INIT(&ring->starved);
}

int ring_new(const struct ring_config *config,
	     const struct ring_handler *handler, void *ctx, struct ring **out)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int err = ERR_IO;

	if (!ring)
		return ERR_NOMEM;
	set_config(ring, config);
	lists_init(ring);
	ring->handler = *handler;
	ring->ctx = ctx;
	ring->now_ms = clock_mono_ms();
	ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ring->event_fd < 0 || ring->spare_fd < 0)
		goto out;
	ring->slots = calloc(ring->config.socks_max, sizeof(*ring->slots));
	err = ERR_NOMEM;
	if (!ring->slots)
		goto out;
	err = engine_new(ring);
	if (err)
		goto out;
	err = bufs_new(ring);
	if (err)
		goto out;
	*out = ring;
	ring = NULL;
out:
	ring_free(ring);
	return err;
}

static void close_all(struct ring *ring)
{
	unsigned i;

	for (i = 0; i < ring->slots_used; i++)
		if (ring->slots[i].state != SOCK_FREE)
			close(ring->slots[i].fd);
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	assert(!ring->is_running);
	if (ring->engine)
		ring->engine->release(ring);
	close_all(ring);
	if (ring->bufs_memory)
		munmap(ring->bufs_memory, ring->bufs_bytes);
	if (ring->spare_fd >= 0)
		close(ring->spare_fd);
	if (ring->event_fd >= 0)
		close(ring->event_fd);
	free(ring->bufs);
	free(ring->bufs_held);
	free(ring->slots);
	free(ring);
}

const char *ring_engine_name(const struct ring *ring)
{
	return ring->engine->name;
}

uint64_t ring_now_ms(const struct ring *ring)
{
	return ring->now_ms;
}

/* Sockets, as their owners see them */

static int open_fd(const struct ring *ring, int family)
{
	bool is_epoll = ring->engine == &ring_engine_epoll;
	int type = SOCK_STREAM | SOCK_CLOEXEC | (is_epoll ? SOCK_NONBLOCK : 0);
	int fd = socket(family, type, IPPROTO_TCP);
	int on = 1, unsent = UNSENT_MAX;

	if (fd < 0)
		return fd;
	/* Sockets that are accepted inherit these from their listener. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
			 sizeof(unsent));
	return fd;
}

static int bind_and_listen(int fd, const struct sockaddr *addr, socklen_t len,
			   bool is_shared)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return ERR_IO;
	if (is_shared &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		return ERR_IO;
	if (addr->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	if (bind(fd, addr, len) == 0 && listen(fd, BACKLOG) == 0)
		return 0;
	if (errno == EADDRINUSE)
		return ERR_EXISTS;
	return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO;
}

static int bound_port(int fd, uint16_t *port)
{
	struct sockaddr_in6 addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		return ERR_IO;
	/* The port lies at the same place in both families. */
	*port = ntohs(addr.sin6_port);
	return 0;
}

static bool is_inet(const struct sockaddr *addr, socklen_t len)
{
	return (addr->sa_family == AF_INET &&
		len == sizeof(struct sockaddr_in)) ||
	       (addr->sa_family == AF_INET6 &&
		len == sizeof(struct sockaddr_in6));
}

int ring_listen(struct ring *ring, const struct sockaddr *addr, socklen_t len,
		ring_accepted_fn accepted, void *ctx, uint16_t *port)
{
	struct ring_sock *sock;
	int fd, err;

	assert_on_ring(ring);
	if (!is_inet(addr, len))
		return ERR_UNSUPPORTED;
	fd = open_fd(ring, addr->sa_family);
	if (fd < 0)
		return ERR_IO;
	err = bind_and_listen(fd, addr, len, true);
	if (!err && port)
		err = bound_port(fd, port);
	if (err)
		goto out;
	err = ERR_FULL;
	sock = slot_take(ring, fd);
	if (!sock)
		goto out;
	sock->accepted = accepted;
	sock->owner = ctx;
	sock_move(sock, SOCK_LISTENING);
	return 0;
out:
	close(fd);
	return err;
}

int ring_listen_probe(const struct sockaddr *addr, socklen_t len)
{
	int fd, err;

	if (!is_inet(addr, len))
		return ERR_UNSUPPORTED;
	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return ERR_IO;
	err = bind_and_listen(fd, addr, len, false);
	close(fd);
	return err;
}

void ring_listen_stop(struct ring *ring)
{
	struct ring_sock *sock;

	assert_on_ring(ring);
	while ((sock = TAILQ_FIRST(&ring->listeners)))
		ring_sock_end(sock, 0);
}

void ring_sock_set_owner(struct ring_sock *sock,
			 const struct ring_sock_ops *ops, void *owner)
{
	assert_on_ring(sock->ring);
	assert(ops && ops->received);
	assert(sock->state == SOCK_NEW || sock->state == SOCK_OPEN ||
	       sock->state == SOCK_CONNECTING);
	sock->ops = ops;
	sock->owner = owner;
	if (sock->state == SOCK_NEW)
		sock_move(sock, SOCK_OPEN);
}

int ring_connect(struct ring *ring, const struct sockaddr *addr, socklen_t len,
		 unsigned timeout_ms, const struct ring_sock_ops *ops,
		 void *owner, struct ring_sock **out)
{
	struct ring_sock *sock;
	int fd;

	assert_on_ring(ring);
	assert(ops && ops->received);
	if (!is_inet(addr, len))
		return ERR_UNSUPPORTED;
	fd = open_fd(ring, addr->sa_family);
	if (fd < 0)
		return ERR_IO;
	sock = slot_take(ring, fd);
	if (!sock) {
		close(fd);
		return ERR_FULL;
	}
	sock->ops = ops;
	sock->owner = owner;
	memcpy(&sock->addr, addr, len);
	sock->addr_len = len;
	if (timeout_ms)
		sock->deadline_ms = clock_mono_ms() + timeout_ms;
	sock_move(sock, SOCK_CONNECTING);
	*out = sock;
	return 0;
}

void ring_send(struct ring_sock *sock, const struct iovec *iov, unsigned count)
{
	assert_on_ring(sock->ring);
	assert(sock->state == SOCK_OPEN || sock->state == SOCK_CLOSING);
	assert(!sock->is_sending && count <= RING_IOV_MAX);
	if (sock->state == SOCK_CLOSING)
		return;
	sock->is_sending = true;
	sock->iov = iov;
	sock->iov_count = count;
	sock->offset = 0;
	skip_empty(sock);
	assert(sock->iov_count > 0); /* there is something to send */
	ring_sock_changed(sock);
}

void ring_recv_pause(struct ring_sock *sock, bool paused)
{
	assert_on_ring(sock->ring);
	assert(sock->state != SOCK_FREE && sock->state != SOCK_LISTENING);
	if (sock->state == SOCK_CLOSING || sock->is_paused == paused)
		return;
	sock->is_paused = paused;
	if (sock->is_starved)
		TAILQ_REMOVE(&sock->ring->starved, sock, wait);
	sock->is_starved = false;
	if (sock->state == SOCK_OPEN)
		ring_sock_changed(sock);
}

void ring_close(struct ring_sock *sock)
{
	assert_on_ring(sock->ring);
	assert(sock->state != SOCK_FREE);
	ring_sock_end(sock, 0);
}

void ring_buf_release(struct ring *ring, struct ring_buf *buf)
{
	unsigned index = (unsigned)(buf - ring->bufs);

	assert_on_ring(ring);
	assert(index < ring->config.buf_count && ring->bufs_held[index]);
	ring->bufs_held[index] = false;
	ring->bufs_free++;
	ring->engine->give(ring, index);
}
