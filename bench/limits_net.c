#include "bench/limits_net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/meters.h"
#include "core/clock.h"
#include "net/ring.h"

#define CHUNK       (256u << 10)
#define CONNECTIONS 8

static const char *const names[NET_KINDS] = {
	"TCP on loopback, send and recv",
	("TCP on loopback, io_uring, 1 "
	 "connection"),
	"TCP on loopback, io_uring, 8 connections"};

static uint8_t chunk[CHUNK];

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(port)};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return addr;
}

/* ---- plain calls ---- */

static void *receive_all(void *arg)
{
	int listener = *(int *)arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	uint8_t *into = malloc(CHUNK);

	while (into && recv(fd, into, CHUNK, 0) > 0)
		;
	free(into);
	(void)close(fd);
	return NULL;
}

/* A connection to a thread of its own. */
struct pair {
	int listener, fd;
	pthread_t thread;
};

static void pair_open(struct pair *pair, void *(*other)(void *))
{
	struct sockaddr_in addr = loopback(0);
	socklen_t len = sizeof(addr);

	pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(pair->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(pair->listener, 1) ||
	    getsockname(pair->listener, (struct sockaddr *)&addr, &len) ||
	    pthread_create(&pair->thread, NULL, other, &pair->listener) ||
	    connect(pair->fd, (struct sockaddr *)&addr, sizeof(addr)))
		bench_fail("no socket on loopback");
}

static void pair_close(struct pair *pair)
{
	(void)close(pair->fd);
	(void)pthread_join(pair->thread, NULL);
	(void)close(pair->listener);
}

static void set_no_delay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static double send_plain(uint64_t round_ns, double *sender_ns)
{
	uint64_t begin_ns, now_ns, cpu_ns;
	double bytes = 0;
	struct pair pair;

	pair_open(&pair, receive_all);
	begin_ns = clock_mono_ns();
	cpu_ns = bench_thread_ns();
	do {
		ssize_t n = send(pair.fd, chunk, CHUNK, MSG_NOSIGNAL);

		if (n <= 0)
			bench_fail("sending on loopback failed");
		bytes += (double)n;
		now_ns = clock_mono_ns();
	} while (now_ns - begin_ns < round_ns);
	*sender_ns = (double)(bench_thread_ns() - cpu_ns) / bytes;
	pair_close(&pair);
	return bytes / (double)(now_ns - begin_ns);
}

/* ---- round trips ---- */

#define TRIPS     3000u
#define TRIP_SIZE 64u

static void *answer_all(void *arg)
{
	int listener = *(int *)arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	uint8_t word[TRIP_SIZE];
	ssize_t n;

	set_no_delay(fd);
	while ((n = recv(fd, word, sizeof(word), 0)) > 0)
		(void)send(fd, word, (size_t)n, MSG_NOSIGNAL);
	(void)close(fd);
	return NULL;
}

static void make_trips(struct histogram *times)
{
	uint8_t word[TRIP_SIZE] = {0};
	struct pair pair;

	pair_open(&pair, answer_all);
	set_no_delay(pair.fd);
	for (unsigned i = 0; i < TRIPS; i++) {
		uint64_t since_ns = clock_mono_ns();

		if (send(pair.fd, word, sizeof(word), MSG_NOSIGNAL) < 0 ||
		    recv(pair.fd, word, sizeof(word), MSG_WAITALL) !=
			    sizeof(word))
			bench_fail("a round trip on loopback failed");
		histogram_add(times, clock_mono_ns() - since_ns);
	}
	pair_close(&pair);
}

/* ---- io_uring ---- */

struct end {
	struct ring *ring;
	bool is_sender;
	unsigned open;
	uint64_t bytes, begin_ns, round_ns, wall_ns, cpu_ns;
	struct iovec iov;
};
struct conn {
	struct end *end;
	struct ring_sock *sock;
};

static void on_connected(void *owner)
{
	struct conn *conn = owner;

	ring_send(conn->sock, &conn->end->iov, 1);
}

static void on_sent(void *owner)
{
	struct conn *conn = owner;

	conn->end->bytes += CHUNK;
	ring_send(conn->sock, &conn->end->iov, 1);
}

static void on_received(void *owner, struct ring_buf *buf)
{
	struct conn *conn = owner;

	conn->end->bytes += buf->size;
	ring_buf_release(conn->end->ring, buf);
}

static void on_closed(void *owner, int err)
{
	struct conn *conn = owner;
	struct end *end = conn->end;

	(void)err;
	free(conn);
	/* The sender stops the clock; the receiver goes with its last. */
	if (--end->open == 0)
		ring_stop(end->ring);
}

static const struct ring_sock_ops ops = {.connected = on_connected,
					 .received = on_received,
					 .sent = on_sent,
					 .closed = on_closed};

static struct conn *conn_new(struct end *end)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		bench_fail("no memory");
	conn->end = end;
	end->open++;
	return conn;
}

static void on_accepted(void *ctx, struct ring_sock *sock,
			const struct sockaddr *addr)
{
	struct conn *conn = conn_new(ctx);

	(void)addr;
	conn->sock = sock;
	ring_sock_set_owner(sock, &ops, conn);
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct end *end = ctx;

	(void)now_ms;
	if (!end->is_sender || clock_mono_ns() - end->begin_ns < end->round_ns)
		return;
	end->wall_ns = clock_mono_ns() - end->begin_ns;
	end->cpu_ns = bench_thread_ns() - end->cpu_ns;
	ring_stop(end->ring);
}

static void end_open(struct end *end, unsigned connections)
{
	const struct ring_config config = {.engine = RING_URING,
					   .socks_max = connections + 2,
					   .tick_ms = 5};
	const struct ring_handler handler = {.tick = on_tick};

	if (ring_new(&config, &handler, end, &end->ring))
		end->ring = NULL;
}

static void *run_receiver(void *arg)
{
	struct end *end = arg;

	(void)ring_run(end->ring);
	return NULL;
}

static double send_uring(unsigned connections, uint64_t round_ns,
			 double *sender_ns)
{
	struct end to = {0}, from = {.is_sender = true, .round_ns = round_ns};
	struct sockaddr_in addr = loopback(0);
	uint16_t port;
	pthread_t thread;

	*sender_ns = 0;
	end_open(&to, connections);
	end_open(&from, connections);
	if (!to.ring || !from.ring)
		goto out; /* forbidden here */
	from.iov = (struct iovec){.iov_base = chunk, .iov_len = CHUNK};
	if (ring_listen(to.ring, (struct sockaddr *)&addr, sizeof(addr),
			on_accepted, &to, &port) ||
	    pthread_create(&thread, NULL, run_receiver, &to))
		bench_fail("no listener on loopback");
	addr = loopback(port);
	for (unsigned i = 0; i < connections; i++) {
		struct conn *conn = conn_new(&from);

		if (ring_connect(from.ring, (struct sockaddr *)&addr,
				 sizeof(addr), 0, &ops, conn, &conn->sock))
			bench_fail("no connection on loopback");
	}
	from.begin_ns = clock_mono_ns();
	from.cpu_ns = bench_thread_ns();
	(void)ring_run(from.ring);
	(void)pthread_join(thread, NULL);
	*sender_ns = (double)from.cpu_ns / (double)from.bytes;
out:
	ring_free(to.ring);
	ring_free(from.ring);
	return from.wall_ns ? (double)from.bytes / (double)from.wall_ns : 0;
}

static void measure_trips(struct limits_net *net, bool counts)
{
	struct histogram times = {0};

	make_trips(&times);
	if (!counts)
		return;
	series_add(&net->trip, (double)histogram_quantile(&times, 0.5) / 1e3);
	histogram_merge(&net->trips, &times);
}

void limits_net_measure(struct limits_net *net, uint64_t round_ns, bool counts)
{
	measure_trips(net, counts);
	for (unsigned kind = 0; kind < NET_KINDS; kind++) {
		double sender_ns;
		double rate =
			kind == NET_PLAIN
				? send_plain(round_ns, &sender_ns)
				: send_uring(kind == NET_URING_1 ? 1
								 : CONNECTIONS,
					     round_ns, &sender_ns);

		if (!counts || rate <= 0)
			continue;
		series_add(&net->rate[kind], rate);
		series_add(&net->sender[kind], sender_ns * 1000);
	}
}

void limits_net_put(const struct limits_net *net)
{
	static const char trip[] = "TCP on loopback, round trip";

	meters_put_one(&net->trip, "limits", trip, "limit", "latency_p50", "us",
		       false);
	result_latency("limits", trip, "limit", &net->trips);
	for (unsigned kind = 0; kind < NET_KINDS; kind++) {
		if (net->rate[kind].count == 0)
			result_note("limits", names[kind],
				    "skipped: io_uring is not allowed here");
		meters_put_one(&net->rate[kind], "limits", names[kind], "limit",
			       "rate", "GB/s", true);
		meters_put_one(&net->sender[kind], "limits", names[kind],
			       "limit", "sender_cpu", "ns/kB", false);
	}
}
