#include "tests/support/ring_bed.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "tests/support/check.h"

#define PART  ((size_t)256 << 10)
#define PARTS (RING_BED_SEND_SIZE / PART)

static uint8_t block[PART]; /* what is sent, again and again */

struct ring_bed_conn {
	struct ring_bed *bed;
	struct ring_sock *sock;
	struct ring_bed_conn *next;
	enum ring_bed_mode mode;
	bool is_sending, is_closed;
	unsigned ticks;
	struct ring_buf *queue[RING_BED_HELD_MAX]; /* to be echoed */
	unsigned queued, sending;
	struct iovec iov[RING_BED_HELD_MAX];
};

uint8_t ring_bed_byte(size_t at)
{
	at %= PART;
	return (uint8_t)(at * 13 + (at >> 9));
}

static void echo_on(struct ring_bed_conn *conn)
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

static void release_queue(struct ring_bed_conn *conn, unsigned count)
{
	struct ring_bed *bed = conn->bed;
	unsigned i;

	for (i = 0; i < count; i++) {
		if (conn->mode == RING_BED_HOARD &&
		    bed->hoard_count < RING_BED_HELD_MAX)
			bed->hoard[bed->hoard_count++] = conn->queue[i];
		else
			ring_buf_release(bed->ring, conn->queue[i]);
	}
	conn->queued -= count;
	memmove(conn->queue, conn->queue + count,
		conn->queued * sizeof(struct ring_buf *));
}

static void start_sending(struct ring_bed_conn *conn)
{
	unsigned i;

	for (i = 0; i < PARTS; i++)
		conn->iov[i] = (struct iovec){block, sizeof(block)};
	conn->is_sending = true;
	ring_send(conn->sock, conn->iov, PARTS);
}

static void act_first(struct ring_bed_conn *conn, struct ring_buf *buf)
{
	conn->mode = (enum ring_bed_mode)buf->data[0];
	switch (conn->mode) {
	case RING_BED_SEND:
	case RING_BED_NEVER:
		ring_recv_pause(conn->sock, true);
		start_sending(conn);
		break;
	case RING_BED_PAUSE:
		ring_recv_pause(conn->sock, true);
		atomic_store(&conn->bed->is_paused, true);
		break;
	case RING_BED_CLOSE:
		ring_close(conn->sock);
		ring_close(conn->sock);
		break;
	case RING_BED_SEND_CLOSE:
		start_sending(conn);
		ring_close(conn->sock);
		break;
	case RING_BED_PAUSE_CLOSE:
		ring_recv_pause(conn->sock, true);
		ring_close(conn->sock);
		break;
	case RING_BED_ECHO:
	case RING_BED_HOARD:
	case RING_BED_SENT_CLOSE:
		break;
	default:
		CHECK(false);
	}
}

static bool is_echoing(const struct ring_bed_conn *conn)
{
	return conn->mode == RING_BED_ECHO || conn->mode == RING_BED_HOARD ||
	       conn->mode == RING_BED_SENT_CLOSE;
}

static void on_received(void *owner, struct ring_buf *buf)
{
	struct ring_bed_conn *conn = owner;

	CHECK(!conn->is_closed && buf->size > 0);
	if (!conn->mode)
		act_first(conn, buf);
	if (!is_echoing(conn)) {
		if (conn->mode == RING_BED_PAUSE)
			atomic_fetch_add(&conn->bed->paused_bytes, buf->size);
		ring_buf_release(conn->bed->ring, buf);
		return;
	}
	CHECK(conn->queued < RING_BED_HELD_MAX);
	conn->queue[conn->queued++] = buf;
	if (conn->queued == RING_BED_HELD_MAX / 4)
		ring_recv_pause(conn->sock, true);
	echo_on(conn);
}

static void on_sent(void *owner)
{
	struct ring_bed_conn *conn = owner;

	CHECK(!conn->is_closed && conn->is_sending);
	conn->is_sending = false;
	if (!is_echoing(conn) || conn->mode == RING_BED_SENT_CLOSE) {
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
	struct ring_bed_conn *conn = owner;
	struct ring_bed_conn **link = &conn->bed->conns;

	CHECK(!conn->is_closed);
	CHECK(err == 0 || err == ERR_IO || err == ERR_TIMEOUT ||
	      err == ERR_CLOSED);
	conn->is_closed = true;
	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	conn->mode = RING_BED_ECHO;
	release_queue(conn, conn->queued);
	atomic_fetch_add(&conn->bed->errors, err == ERR_IO);
	atomic_fetch_add(&conn->bed->timeouts, err == ERR_TIMEOUT);
	atomic_fetch_add(&conn->bed->closed, 1);
	free(conn);
}

static void on_connected(void *owner)
{
	struct ring_bed_conn *conn = owner;

	CHECK(!conn->is_closed && !conn->is_sending);
	start_sending(conn);
}

static const struct ring_sock_ops server_ops = {
	.received = on_received, .sent = on_sent, .closed = on_closed};
static const struct ring_sock_ops client_ops = {.connected = on_connected,
						.received = on_received,
						.sent = on_sent,
						.closed = on_closed};

static struct ring_bed_conn *conn_new(struct ring_bed *bed)
{
	struct ring_bed_conn *conn = calloc(1, sizeof(*conn));

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
	struct ring_bed *bed = ctx;
	struct ring_bed_conn *conn;

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
	struct ring_bed *bed = ctx;
	struct ring_bed_conn *conn;

	CHECK(ms == ring_now_ms(bed->ring));
	while (bed->hoard_count > 0)
		ring_buf_release(bed->ring, bed->hoard[--bed->hoard_count]);
	for (conn = bed->conns; conn; conn = conn->next)
		if (conn->mode == RING_BED_NEVER && ++conn->ticks == 3)
			ring_close(conn->sock);
}

static void on_woken(void *ctx)
{
	struct ring_bed *bed = ctx;
	struct ring_bed_conn *conn;

	atomic_store(&bed->seen, atomic_load(&bed->asked));
	if (!atomic_exchange(&bed->go_on, false))
		return;
	for (conn = bed->conns; conn; conn = conn->next)
		if (conn->mode == RING_BED_PAUSE)
			ring_recv_pause(conn->sock, false);
}

static void on_round_end(void *ctx)
{
	struct ring_bed *bed = ctx;

	atomic_fetch_add(&bed->rounds, 1);
	if (bed->again == 0)
		return;
	bed->again--;
	ring_again_at(bed->ring, clock_mono_ns() / 1000 + bed->again_us);
	/* The earliest counts. */
	ring_again_at(bed->ring, clock_mono_ns() / 1000 + 60000000);
}

static void *run(void *arg)
{
	struct ring_bed *bed = arg;

	if (bed->on_start)
		bed->on_start(bed);
	bed->is_dead = ring_run(bed->ring) != 0;
	return NULL;
}

void ring_bed_start(struct ring_bed *bed, const struct ring_config *config,
		    int family)
{
	static const struct ring_handler handler = {
		.round_end = on_round_end, .woken = on_woken, .tick = on_tick};
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
	for (size_t i = 0; i < PART; i++)
		block[i] = ring_bed_byte(i);
	CHECK(ring_new(config, &handler, bed, &bed->ring) == 0);
	CHECK(ring_listen(bed->ring, (struct sockaddr *)&bed->addr,
			  bed->addr_len, on_accepted, bed, &port) == 0);
	CHECK(port != 0);
	/* The port lies at the same place in both families. */
	((struct sockaddr_in *)(void *)&bed->addr)->sin_port = htons(port);
	CHECK(pthread_create(&bed->thread, NULL, run, bed) == 0);
}

void ring_bed_stop(struct ring_bed *bed)
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

void ring_bed_connect(struct ring_bed *bed, const struct sockaddr_in *addr,
		      unsigned timeout_ms, bool then_close)
{
	struct ring_bed_conn *conn = conn_new(bed);

	CHECK(ring_connect(bed->ring, (const struct sockaddr *)addr,
			   sizeof(*addr), timeout_ms, &client_ops, conn,
			   &conn->sock) == 0);
	if (then_close)
		ring_close(conn->sock);
}
