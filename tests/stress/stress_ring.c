/*
 * Both engines of the ring against real peers on loopback: what is sent
 * arrives once and whole, `closed` comes exactly once in every state, nothing
 * leaks, nobody delays the others.
 *
 * A server ring listens; the first byte of a connection says how its side
 * behaves (enum mode). Peers are plain sockets in threads.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "net/ring.h"

#define CHECK(what) check((what), #what, __LINE__)

#define PART      ((size_t)256 << 10)
#define PARTS     16 /* of MODE_SEND: 4 MiB */
#define HELD_MAX  64
#define PATIENCE  10000 /* ms */
#define JUNK_SIZE 100000

enum mode {
	MODE_ECHO = 'E',
	MODE_HOARD = 'H',       /* echo, and keep all buffers until a tick */
	MODE_SEND = 'S',        /* send 4 MiB, close when sent */
	MODE_NEVER = 'N',       /* the same, close at the third tick */
	MODE_PAUSE = 'P',       /* pause; go on when told; then count */
	MODE_CLOSE = 'C',       /* close at once, twice */
	MODE_SEND_CLOSE = 'X',  /* begin to send and close in one breath */
	MODE_SENT_CLOSE = 'Y',  /* echo once, close in `sent` */
	MODE_PAUSE_CLOSE = 'Z', /* pause and close */
};

static const char *scene = "start";
static uint8_t block[PART]; /* what MODE_SEND repeats */

static void check(bool is_so, const char *what, int line)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "%s:%d: %s: not so: %s (errno %d)\n", __FILE__,
		      line, scene, what, errno);
	abort();
}

struct conn;
struct bed {
	struct ring *ring;
	pthread_t thread;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	bool close_on_accept;
	bool is_dead; /* ring_run() returned an error */
	struct ring_buf *hoard[HELD_MAX];
	unsigned hoard_count;
	struct conn *conns; /* alive; the ring's thread only */
	atomic_int opened, closed, errors, timeouts;
	atomic_bool go_on, is_paused;
	atomic_uint paused_bytes;
	atomic_uint asked, seen; /* of wakes */
	void (*on_start)(struct bed *bed);
};

struct conn {
	struct bed *bed;
	struct ring_sock *sock;
	struct conn *next;
	enum mode mode;
	bool is_sending, is_closed;
	unsigned ticks;
	struct ring_buf *queue[HELD_MAX]; /* to be echoed */
	unsigned queued, sending;
	struct iovec iov[HELD_MAX];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void nap_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000,
				     .tv_nsec = ms % 1000 * 1000000L},
		  NULL);
}

#define WAIT_FOR(what)                                                         \
	do {                                                                   \
		uint64_t until_ms_ = now_ms() + PATIENCE;                      \
		bool is_so_;                                                   \
		while (!(is_so_ = (what)) && now_ms() < until_ms_)             \
			nap_ms(1);                                             \
		check(is_so_, #what, __LINE__);                                \
	} while (0)

static unsigned fds_open(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The server's side */

static void echo_on(struct conn *conn)
{
	unsigned i;

	if (conn->is_sending || conn->queued == 0)
		return;
	for (i = 0; i < conn->queued; i++)
		conn->iov[i] = (struct iovec){conn->queue[i]->data,
					      conn->queue[i]->size};
	conn->sending = conn->queued;
	conn->is_sending = true;
	ring_send(conn->sock, conn->iov, conn->sending);
}

static void release_queue(struct conn *conn, unsigned count)
{
	struct bed *bed = conn->bed;
	unsigned i;

	for (i = 0; i < count; i++) {
		if (conn->mode == MODE_HOARD && bed->hoard_count < HELD_MAX)
			bed->hoard[bed->hoard_count++] = conn->queue[i];
		else
			ring_buf_release(bed->ring, conn->queue[i]);
	}
	conn->queued -= count;
	memmove(conn->queue, conn->queue + count,
		conn->queued * sizeof(struct ring_buf *));
}

static void start_sending(struct conn *conn)
{
	unsigned i;

	for (i = 0; i < PARTS; i++)
		conn->iov[i] = (struct iovec){block, sizeof(block)};
	conn->is_sending = true;
	ring_send(conn->sock, conn->iov, PARTS);
}

static void act_first(struct conn *conn, struct ring_buf *buf)
{
	conn->mode = (enum mode)buf->data[0];
	switch (conn->mode) {
	case MODE_SEND:
	case MODE_NEVER:
		ring_recv_pause(conn->sock, true);
		start_sending(conn);
		break;
	case MODE_PAUSE:
		ring_recv_pause(conn->sock, true);
		atomic_store(&conn->bed->is_paused, true);
		break;
	case MODE_CLOSE:
		ring_close(conn->sock);
		ring_close(conn->sock);
		break;
	case MODE_SEND_CLOSE:
		start_sending(conn);
		ring_close(conn->sock);
		break;
	case MODE_PAUSE_CLOSE:
		ring_recv_pause(conn->sock, true);
		ring_close(conn->sock);
		break;
	case MODE_ECHO:
	case MODE_HOARD:
	case MODE_SENT_CLOSE:
		break;
	default:
		CHECK(false);
	}
}

static bool is_echoing(const struct conn *conn)
{
	return conn->mode == MODE_ECHO || conn->mode == MODE_HOARD ||
	       conn->mode == MODE_SENT_CLOSE;
}

static void on_received(void *owner, struct ring_buf *buf)
{
	struct conn *conn = owner;

	CHECK(!conn->is_closed && buf->size > 0);
	if (!conn->mode)
		act_first(conn, buf);
	if (!is_echoing(conn)) {
		if (conn->mode == MODE_PAUSE)
			atomic_fetch_add(&conn->bed->paused_bytes, buf->size);
		ring_buf_release(conn->bed->ring, buf);
		return;
	}
	CHECK(conn->queued < HELD_MAX);
	conn->queue[conn->queued++] = buf;
	if (conn->queued == HELD_MAX / 4)
		ring_recv_pause(conn->sock, true);
	echo_on(conn);
}

static void on_sent(void *owner)
{
	struct conn *conn = owner;

	CHECK(!conn->is_closed && conn->is_sending);
	conn->is_sending = false;
	if (!is_echoing(conn) || conn->mode == MODE_SENT_CLOSE) {
		ring_close(conn->sock);
		return;
	}
	release_queue(conn, conn->sending);
	if (conn->queued == 0)
		ring_recv_pause(conn->sock, false);
	echo_on(conn);
}

static void on_closed(void *owner, int err)
{
	struct conn *conn = owner;
	struct conn **link = &conn->bed->conns;

	CHECK(!conn->is_closed);
	CHECK(err == 0 || err == ERR_IO || err == ERR_TIMEOUT ||
	      err == ERR_CLOSED);
	conn->is_closed = true;
	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	conn->mode = MODE_ECHO;
	release_queue(conn, conn->queued);
	atomic_fetch_add(&conn->bed->errors, err == ERR_IO);
	atomic_fetch_add(&conn->bed->timeouts, err == ERR_TIMEOUT);
	atomic_fetch_add(&conn->bed->closed, 1);
	free(conn);
}

static void on_connected(void *owner)
{
	struct conn *conn = owner;

	CHECK(!conn->is_closed && !conn->is_sending);
	start_sending(conn);
}

static const struct ring_sock_ops server_ops = {
	.received = on_received, .sent = on_sent, .closed = on_closed};
static const struct ring_sock_ops client_ops = {.connected = on_connected,
						.received = on_received,
						.sent = on_sent,
						.closed = on_closed};

static struct conn *conn_new(struct bed *bed)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	CHECK(conn);
	conn->bed = bed;
	conn->next = bed->conns;
	bed->conns = conn;
	atomic_fetch_add(&bed->opened, 1);
	return conn;
}

static void on_accepted(void *ctx, struct ring_sock *sock,
			const struct sockaddr *addr)
{
	struct bed *bed = ctx;
	struct conn *conn;

	CHECK(addr->sa_family == bed->addr.ss_family);
	if (bed->close_on_accept) {
		ring_close(sock); /* nobody's: no `closed` */
		return;
	}
	conn = conn_new(bed);
	conn->sock = sock;
	ring_sock_set_owner(sock, &server_ops, conn);
}

static void on_tick(void *ctx, uint64_t ms)
{
	struct bed *bed = ctx;
	struct conn *conn;

	CHECK(ms == ring_now_ms(bed->ring));
	while (bed->hoard_count > 0)
		ring_buf_release(bed->ring, bed->hoard[--bed->hoard_count]);
	for (conn = bed->conns; conn; conn = conn->next)
		if (conn->mode == MODE_NEVER && ++conn->ticks == 3)
			ring_close(conn->sock);
}

static void on_woken(void *ctx)
{
	struct bed *bed = ctx;
	struct conn *conn;

	atomic_store(&bed->seen, atomic_load(&bed->asked));
	if (!atomic_exchange(&bed->go_on, false))
		return;
	for (conn = bed->conns; conn; conn = conn->next)
		if (conn->mode == MODE_PAUSE)
			ring_recv_pause(conn->sock, false);
}

static void *run(void *arg)
{
	struct bed *bed = arg;

	if (bed->on_start)
		bed->on_start(bed);
	bed->is_dead = ring_run(bed->ring) != 0;
	return NULL;
}

/* Made on this thread, run on another. */
static void bed_start(struct bed *bed, const struct ring_config *config,
		      int family)
{
	static const struct ring_handler handler = {.woken = on_woken,
						    .tick = on_tick};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint16_t port = 0;

	bed->addr_len = family == AF_INET6 ? sizeof(six) : sizeof(four);
	if (family == AF_INET6)
		memcpy(&bed->addr, &six, sizeof(six));
	else
		memcpy(&bed->addr, &four, sizeof(four));
	CHECK(ring_new(config, &handler, bed, &bed->ring) == 0);
	CHECK(ring_listen(bed->ring, (struct sockaddr *)&bed->addr,
			  bed->addr_len, on_accepted, bed, &port) == 0);
	CHECK(port != 0);
	/* The port lies at the same place in both families. */
	((struct sockaddr_in *)(void *)&bed->addr)->sin_port = htons(port);
	CHECK(pthread_create(&bed->thread, NULL, run, bed) == 0);
}

static void bed_stop(struct bed *bed)
{
	ring_stop(bed->ring);
	pthread_join(bed->thread, NULL);
	CHECK(!bed->is_dead);
	while (bed->hoard_count > 0)
		ring_buf_release(bed->ring, bed->hoard[--bed->hoard_count]);
	ring_free(bed->ring);
	CHECK(atomic_load(&bed->opened) == atomic_load(&bed->closed));
	CHECK(!bed->conns);
}

/* The peers' side */

static int dial(const struct bed *bed)
{
	int fd = socket(bed->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (const struct sockaddr *)&bed->addr, bed->addr_len) ==
	      0);
	return fd;
}

static int dial_mode(const struct bed *bed, enum mode mode)
{
	uint8_t first = (uint8_t)mode;
	int fd = dial(bed);

	CHECK(send(fd, &first, 1, MSG_NOSIGNAL) == 1);
	return fd;
}

static uint8_t pattern(size_t seed, size_t at)
{
	return (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

static void fill(uint8_t *out, size_t count, size_t seed, size_t at)
{
	size_t i;

	for (i = 0; i < count; i++)
		out[i] = pattern(seed, at + i);
}

static void expect(const uint8_t *in, size_t count, size_t seed, size_t at)
{
	size_t i;

	for (i = 0; i < count; i++)
		CHECK(in[i] == pattern(seed, at + i));
}

static void wait_fd(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	CHECK(poll(&p, 1, PATIENCE) == 1);
}

/* Send `size` bytes and read the same back, both ways at once. */
static void exchange(int fd, size_t size, size_t seed)
{
	uint8_t out[16384], in[16384];
	size_t sent = 0, got = 0;

	while (got < size) {
		size_t n =
			size - sent < sizeof(out) ? size - sent : sizeof(out);
		ssize_t did;

		wait_fd(fd, sent < size ? POLLIN | POLLOUT : POLLIN);
		fill(out, n, seed, sent);
		did = n ? send(fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		CHECK(did >= 0 || errno == EAGAIN);
		sent += did > 0 ? (size_t)did : 0;
		did = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		CHECK(did > 0 || (did < 0 && errno == EAGAIN));
		if (did < 0)
			continue;
		expect(in, (size_t)did, seed, got);
		got += (size_t)did;
	}
}

/* Everything up to the end of the stream. Returns its size. */
static size_t drain(int fd, unsigned nap)
{
	static _Thread_local uint8_t in[PART];
	size_t total = 0;
	ssize_t n;

	for (;;) {
		wait_fd(fd, POLLIN);
		n = recv(fd, in, sizeof(in), 0);
		if (n <= 0)
			return total;
		for (ssize_t i = 0; i < n; i++)
			CHECK(in[i] == block[(total + (size_t)i) % PART]);
		total += (size_t)n;
		if (nap)
			nap_ms(nap);
	}
}

static void expect_end(int fd)
{
	uint8_t byte;

	wait_fd(fd, POLLIN);
	CHECK(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

/* Scenes */

struct crowd {
	const struct bed *bed;
	unsigned conns, rounds;
	size_t size_max;
	enum mode mode;
};

static void *crowd_thread(void *arg)
{
	const struct crowd *crowd = arg;
	int *fds = calloc(crowd->conns, sizeof(*fds));
	uint8_t first;
	unsigned i, round;

	CHECK(fds);
	for (i = 0; i < crowd->conns; i++) {
		fds[i] = dial_mode(crowd->bed, crowd->mode);
		wait_fd(fds[i], POLLIN);
		CHECK(recv(fds[i], &first, 1, 0) == 1 && first == crowd->mode);
	}
	for (round = 0; round < crowd->rounds; round++)
		for (i = 0; i < crowd->conns; i++)
			exchange(fds[i],
				 1 + (i * 7919u + round * 104729u) %
						 crowd->size_max,
				 i + round);
	for (i = 0; i < crowd->conns; i++)
		close(fds[i]);
	free(fds);
	return NULL;
}

static void crowds(const struct crowd *crowd, unsigned threads)
{
	pthread_t thread[8];
	struct crowd copy = *crowd;
	unsigned i;

	for (i = 0; i < threads; i++)
		CHECK(pthread_create(&thread[i], NULL, crowd_thread, &copy) ==
		      0);
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

static void scene_echo(enum ring_engine engine, int family)
{
	struct ring_config config = {.engine = engine, .socks_max = 128};
	struct bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 25,
			      .rounds = 4,
			      .size_max = 150000,
			      .mode = MODE_ECHO};

	scene = "echo";
	bed_start(&bed, &config, family);
	crowds(&crowd, 4);
	WAIT_FOR(atomic_load(&bed.closed) == 100);
	CHECK(atomic_load(&bed.errors) == 0);
	bed_stop(&bed);
}

static void scene_few_buffers(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine,
				     .socks_max = 64,
				     .buf_size = 2048,
				     .buf_count = 4,
				     .tick_ms = 2};
	struct bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 8,
			      .rounds = 2,
			      .size_max = 20000,
			      .mode = MODE_HOARD};

	scene = "few buffers";
	bed_start(&bed, &config, AF_INET);
	crowds(&crowd, 4);
	WAIT_FOR(atomic_load(&bed.closed) == 32);
	bed_stop(&bed);
}

static void scene_readers(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 64, .tick_ms = 20};
	struct bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 5,
			      .rounds = 2,
			      .size_max = 50000,
			      .mode = MODE_ECHO};
	int never[8], slow;
	unsigned i;

	scene = "slow and never readers";
	bed_start(&bed, &config, AF_INET);
	slow = dial_mode(&bed, MODE_SEND);
	for (i = 0; i < 8; i++)
		never[i] = dial_mode(&bed, MODE_NEVER);
	crowds(&crowd, 1);
	CHECK(drain(slow, 1) == PART * PARTS);
	close(slow);
	WAIT_FOR(atomic_load(&bed.closed) == 5 + 8 + 1);
	for (i = 0; i < 8; i++)
		close(never[i]);
	bed_stop(&bed);
}

static void send_junk(int fd)
{
	static const uint8_t junk[JUNK_SIZE];

	CHECK(send(fd, junk, sizeof(junk), MSG_NOSIGNAL) == sizeof(junk));
}

static void scene_pause(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct bed bed = {0};
	unsigned i, before;
	int fd;

	scene = "pause";
	bed_start(&bed, &config, AF_INET);
	fd = dial_mode(&bed, MODE_PAUSE);
	WAIT_FOR(atomic_load(&bed.is_paused));
	nap_ms(20);
	before = atomic_load(&bed.paused_bytes);
	CHECK(before == 1);
	send_junk(fd);
	nap_ms(30);
	CHECK(atomic_load(&bed.paused_bytes) == before);
	for (i = 0; i < 3; i++) {
		atomic_store(&bed.go_on, true);
		ring_wake(bed.ring);
		WAIT_FOR(atomic_load(&bed.paused_bytes) ==
			 1 + (i + 1) * JUNK_SIZE);
		send_junk(fd);
	}
	close(fd);
	bed_stop(&bed);
}

/* What was sent before ring_close() arrives, though we left bytes unread. */
static void scene_graceful(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct bed bed = {0};
	int fd;

	scene = "graceful close";
	bed_start(&bed, &config, AF_INET);
	fd = dial_mode(&bed, MODE_SEND);
	send_junk(fd);
	nap_ms(20);
	CHECK(drain(fd, 0) == PART * PARTS);
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	CHECK(atomic_load(&bed.errors) == 0);
	close(fd);
	bed_stop(&bed);
}

static void reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ==
	      0);
	close(fd);
}

static void scene_close(enum ring_engine engine)
{
	static const enum mode modes[] = {MODE_CLOSE, MODE_SEND_CLOSE,
					  MODE_PAUSE_CLOSE};
	struct ring_config config = {.engine = engine, .socks_max = 16};
	struct bed bed = {0};
	uint8_t byte;
	unsigned i, round;
	int fd, paused, never;

	scene = "close";
	bed_start(&bed, &config, AF_INET);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 3; i++)
			expect_end(dial_mode(&bed, modes[i]));
		fd = dial_mode(&bed, MODE_SENT_CLOSE);
		CHECK(recv(fd, &byte, 1, 0) == 1);
		expect_end(fd);
		reset(dial(&bed));
		reset(dial_mode(&bed, MODE_ECHO));
		reset(dial_mode(&bed, MODE_SEND));
		close(dial(&bed));
		WAIT_FOR(atomic_load(&bed.closed) == atomic_load(&bed.opened));
	}
	/* A reset may come before the connection has been taken. */
	WAIT_FOR(atomic_load(&bed.closed) >= 20 * 5);
	/* These are open when the ring stops. */
	fd = dial(&bed);
	paused = dial_mode(&bed, MODE_PAUSE);
	never = dial_mode(&bed, MODE_NEVER);
	WAIT_FOR(atomic_load(&bed.is_paused));
	bed_stop(&bed);
	expect_end(fd);
	close(paused);
	close(never);
}

static void scene_close_on_accept(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 4};
	struct bed bed = {.close_on_accept = true};
	unsigned i;

	scene = "close on accept";
	bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 50; i++)
		expect_end(dial(&bed));
	CHECK(atomic_load(&bed.opened) == 0);
	bed_stop(&bed);
}

/* Connecting: `peer` is what the ring dials when it starts. */

static struct sockaddr_in peer;

static void connect_one(struct bed *bed, unsigned timeout_ms, bool then_close)
{
	struct conn *conn = conn_new(bed);

	CHECK(ring_connect(bed->ring, (struct sockaddr *)&peer, sizeof(peer),
			   timeout_ms, &client_ops, conn, &conn->sock) == 0);
	if (then_close)
		ring_close(conn->sock);
}

static void connect_three(struct bed *bed)
{
	connect_one(bed, 5000, false);
	connect_one(bed, 0, false);
	connect_one(bed, 5000, true);
}

static void connect_short(struct bed *bed)
{
	connect_one(bed, 60, false);
	connect_one(bed, 5000, false); /* is under way when the ring stops */
}

static int listen_at(int backlog)
{
	socklen_t len = sizeof(peer);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peer = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&peer, len) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&peer, &len) == 0);
	CHECK(backlog < 0 || listen(fd, backlog) == 0);
	return fd;
}

static void scene_connect(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct bed bed = {.on_start = connect_three};
	int fd = listen_at(16), i;

	scene = "connect";
	bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 2; i++) {
		int got = accept(fd, NULL, NULL);

		CHECK(got >= 0);
		CHECK(drain(got, 0) == PART * PARTS);
		close(got);
	}
	WAIT_FOR(atomic_load(&bed.closed) == 3);
	CHECK(atomic_load(&bed.errors) == 0);
	bed_stop(&bed);
	close(fd);
}

static void scene_refused(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct bed bed = {.on_start = connect_three};
	int fd = listen_at(-1); /* bound, and nobody listens */

	scene = "refused";
	bed_start(&bed, &config, AF_INET);
	WAIT_FOR(atomic_load(&bed.closed) == 3);
	CHECK(atomic_load(&bed.errors) == 2);
	bed_stop(&bed);
	close(fd);
}

static void scene_timeout(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 8, .tick_ms = 10};
	struct bed bed = {.on_start = connect_short};
	int fd = listen_at(0), stuffing[3], i;

	scene = "connect timeout";
	/* A full backlog drops what comes further. */
	for (i = 0; i < 3; i++) {
		stuffing[i] = socket(
			AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(stuffing[i], (struct sockaddr *)&peer,
			       sizeof(peer));
	}
	nap_ms(20);
	bed_start(&bed, &config, AF_INET);
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	CHECK(atomic_load(&bed.timeouts) == 1);
	bed_stop(&bed);
	for (i = 0; i < 3; i++)
		close(stuffing[i]);
	close(fd);
}

static void *wake_thread(void *arg)
{
	struct bed *bed = arg;
	unsigned i, mine;

	for (i = 0; i < 2000; i++) {
		mine = atomic_fetch_add(&bed->asked, 1) + 1;
		ring_wake(bed->ring);
		if (i % 16 == 0) /* no wake is lost */
			WAIT_FOR((int)(atomic_load(&bed->seen) - mine) >= 0);
	}
	return NULL;
}

static void scene_wake(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 8, .tick_ms = 20000};
	struct bed bed = {0};
	pthread_t thread[4];
	unsigned i;

	scene = "wake";
	bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, wake_thread, &bed) == 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	WAIT_FOR(atomic_load(&bed.seen) == 4 * 2000);
	bed_stop(&bed);
}

/* The table has far fewer slots than connections come and go. */
static void scene_churn(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 16};
	struct bed bed = {0};
	unsigned i;
	int fd;

	scene = "churn";
	bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 2000; i++) {
		fd = dial_mode(&bed, MODE_CLOSE);
		if (i % 2)
			expect_end(fd);
		else
			close(fd);
		if (i % 8 == 7)
			WAIT_FOR(atomic_load(&bed.closed) == (int)(i + 1));
	}
	bed_stop(&bed);
}

/* Beyond the table: refused at once, and served again later. */
static void scene_full(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 5};
	struct bed bed = {0};
	int fds[4];
	unsigned i;

	scene = "full table";
	bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 4; i++)
		fds[i] = dial_mode(&bed, MODE_ECHO);
	WAIT_FOR(atomic_load(&bed.opened) == 4);
	expect_end(dial(&bed));
	exchange(fds[0], 0, 0);
	for (i = 0; i < 4; i++)
		close(fds[i]);
	WAIT_FOR(atomic_load(&bed.closed) == 4);
	close(dial_mode(&bed, MODE_ECHO));
	WAIT_FOR(atomic_load(&bed.closed) == 5);
	bed_stop(&bed);
}

/* Rings share a port with each other, not with a stranger. */
static void scene_probe(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct bed bed = {0};

	scene = "probe";
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(ring_listen_probe((struct sockaddr *)&any, sizeof(any)) == 0);
	bed_start(&bed, &config, AF_INET);
	CHECK(ring_listen_probe((struct sockaddr *)&bed.addr, bed.addr_len) ==
	      ERR_EXISTS);
	/* What is left of a connection is in nobody's way. */
	close(dial_mode(&bed, MODE_CLOSE));
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	bed_stop(&bed);
	CHECK(ring_listen_probe((struct sockaddr *)&bed.addr, bed.addr_len) ==
	      0);
}

/* Without descriptors one who waits is refused, not left hanging. */
static void scene_no_fds(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 16, .tick_ms = 10};
	struct bed bed = {0};
	struct rlimit was, low;
	int fd, all[64], count = 0;

	scene = "no descriptors";
	/* io_uring holds to the limit of when accepting was armed. */
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	low = was;
	low.rlim_cur = fds_open() + 32;
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	bed_start(&bed, &config, AF_INET);
	close(dial_mode(&bed, MODE_ECHO));
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while ((all[count] = dup(fd)) >= 0)
		CHECK(++count < 64);
	CHECK(connect(fd, (struct sockaddr *)&bed.addr, bed.addr_len) == 0);
	wait_fd(fd, POLLIN);
	CHECK(recv(fd, &low, 1, 0) <= 0);
	while (count > 0)
		close(all[--count]);
	close(fd);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	nap_ms(30);
	fd = dial_mode(&bed, MODE_CLOSE);
	expect_end(fd);
	WAIT_FOR(atomic_load(&bed.closed) == 2);
	bed_stop(&bed);
}

static bool can_run(enum ring_engine engine)
{
	const struct ring_config config = {.engine = engine, .socks_max = 1};
	const struct ring_handler handler = {0};
	struct ring *ring = NULL;
	int err = ring_new(&config, &handler, NULL, &ring);

	scene = "start";
	CHECK(err == 0 || (err == ERR_UNSUPPORTED && engine == RING_URING));
	if (!err)
		printf("engine %s\n", ring_engine_name(ring));
	ring_free(ring);
	return !err;
}

/* As the default profile of containers does it. */
static void forbid_uring(unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void falls_back(unsigned error)
{
	struct ring_config config = {.engine = RING_AUTO, .socks_max = 1};
	const struct ring_handler handler = {0};
	struct ring *ring = NULL;

	forbid_uring(error);
	CHECK(ring_new(&config, &handler, NULL, &ring) == 0);
	CHECK(strcmp(ring_engine_name(ring), "epoll") == 0);
	ring_free(ring);
	config.engine = RING_URING;
	CHECK(ring_new(&config, &handler, NULL, &ring) == ERR_UNSUPPORTED);
}

static void scene_forbidden(unsigned error)
{
	int status = -1;
	pid_t pid;

	scene = "io_uring forbidden";
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		falls_back(error);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void all_scenes(enum ring_engine engine)
{
	unsigned fds = fds_open();

	scene_echo(engine, AF_INET);
	scene_echo(engine, AF_INET6);
	scene_few_buffers(engine);
	scene_readers(engine);
	scene_pause(engine);
	scene_graceful(engine);
	scene_close(engine);
	scene_close_on_accept(engine);
	scene_connect(engine);
	scene_refused(engine);
	scene_timeout(engine);
	scene_wake(engine);
	scene_churn(engine);
	scene_full(engine);
	scene_no_fds(engine);
	scene_probe(engine);
	scene = "end";
	WAIT_FOR(fds_open() == fds);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 13 + (i >> 9));
	scene_forbidden(EPERM);
	scene_forbidden(ENOSYS);
	CHECK(can_run(RING_AUTO));
	all_scenes(RING_EPOLL);
	if (can_run(RING_URING))
		all_scenes(RING_URING);
	else
		puts("io_uring is forbidden here: not tested");
	return 0;
}
