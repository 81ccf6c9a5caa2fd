/*
 * Links over real sockets: two sets on two rings in two threads that talk
 * with each other, and a peer of plain blocking sockets that misbehaves at
 * every stage. Everything over both engines.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/snap.h"
#include "net/link.h"
#include "net/ring.h"
#include "net/rlpx.h"

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			fail(__LINE__, #what);                                 \
	} while (0)

static const char *section = "";

static _Noreturn void fail(int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, section, what);
	abort();
}

/* ---- a server: one ring, one set, one thread ---- */

enum { CODE_ECHO, CODE_FLOOD, CODE_QUIT, CODE_NOTE };

struct server {
	struct secp_key key;
	struct ring *ring;
	struct link_set *set;
	pthread_t thread;
	struct sockaddr_in addr;
	struct link_config config;
	atomic_uint opened, closed, drained, messages;
	atomic_int last_err, last_reason, last_local;
	atomic_bool stop;
	bool is_stopping;
	bool pauses; /* now and then, to be released by the tick */
	uint64_t paused[8];
};

static unsigned server_opened(void *ctx, struct link *link)
{
	struct server *s = ctx;
	struct link *older = link_find_remote(s->set, link_remote(link));

	CHECK(link_find(s->set, link_handle(link)) == link);
	CHECK(link_find(s->set, link_handle(link) + (1ull << 32)) == NULL);
	atomic_fetch_add(&s->opened, 1);
	return older ? P2P_ALREADY_CONNECTED : 0;
}

static void flood(struct link *link)
{
	static const uint8_t bytes[65536];
	int err = 0;

	while (!err)
		err = link_send_bytes(link, CAP_WAKU, CODE_NOTE, bytes,
				      sizeof(bytes));
	CHECK(err == ERR_FULL);
	CHECK(link_send_bytes(link, CAP_WAKU, 0, bytes, 1) == ERR_CLOSED);
}

static void maybe_pause(struct server *s, struct link *link, unsigned count)
{
	if (!s->pauses || count % 97 != 0)
		return;
	for (unsigned i = 0; i < 8; i++) {
		if (s->paused[i])
			continue;
		s->paused[i] = link_handle(link);
		link_pause(link, true);
		return;
	}
}

static void server_message(void *ctx, struct link *link, enum cap cap,
			   unsigned code, struct packet *payload)
{
	struct server *s = ctx;
	unsigned count = atomic_fetch_add(&s->messages, 1);

	CHECK(cap == CAP_WAKU || cap == CAP_SHH);
	if (code == CODE_ECHO) {
		(void)link_send_bytes(link, cap, code, payload->bytes,
				      payload->size);
		maybe_pause(s, link, count);
	} else if (code == CODE_FLOOD) {
		flood(link);
	} else if (code == CODE_QUIT) {
		link_disconnect(link, P2P_SUBPROTOCOL);
		link_disconnect(link, P2P_REQUESTED);
	}
}

static void server_drained(void *ctx, struct link *link)
{
	struct server *s = ctx;

	CHECK(link_queued(link) <= s->config.queue_low);
	atomic_fetch_add(&s->drained, 1);
}

static void server_closed(void *ctx, struct link *link,
			  const struct link_end *end)
{
	struct server *s = ctx;

	(void)link;
	atomic_store(&s->last_err, end->err);
	atomic_store(&s->last_reason, end->has_reason ? (int)end->reason : -1);
	atomic_store(&s->last_local, end->is_local);
	atomic_fetch_add(&s->closed, 1);
}

static void server_round_end(void *ctx)
{
	struct server *s = ctx;

	link_set_round_end(s->set);
	if (s->is_stopping && link_set_total(s->set) == 0)
		ring_stop(s->ring);
}

static void server_tick(void *ctx, uint64_t now_ms)
{
	struct server *s = ctx;

	link_set_tick(s->set, now_ms);
	for (unsigned i = 0; i < 8; i++) {
		struct link *link = link_find(s->set, s->paused[i]);

		if (s->paused[i] && link)
			link_pause(link, false);
		s->paused[i] = 0;
	}
	if (atomic_load(&s->stop) && !s->is_stopping) {
		s->is_stopping = true;
		ring_listen_stop(s->ring);
		link_set_stop(s->set, P2P_QUITTING);
	}
}

static void *server_run(void *arg)
{
	struct server *s = arg;

	CHECK(ring_run(s->ring) == 0);
	return NULL;
}

static void server_init(struct server *s)
{
	memset(s, 0, sizeof(*s));
	secp_key_new(&s->key);
	link_config_default(&s->config);
	s->config.key = &s->key;
	s->config.client = "stress-server/1";
	s->config.caps[CAP_WAKU] = true;
	s->config.caps[CAP_SHH] = true;
}

/* False: there is no such engine here. */
static bool server_start(struct server *s, enum ring_engine engine)
{
	static const struct ring_handler ring_handler = {
		.round_end = server_round_end, .tick = server_tick};
	static const struct link_handler handler = {.opened = server_opened,
						    .message = server_message,
						    .drained = server_drained,
						    .closed = server_closed};
	struct ring_config ring_config = {
		.engine = engine, .socks_max = 512, .tick_ms = 20};
	uint16_t port;
	int err;

	err = ring_new(&ring_config, &ring_handler, s, &s->ring);
	if (err == ERR_UNSUPPORTED)
		return false;
	CHECK(err == 0);
	CHECK(link_set_new(s->ring, &s->config, &handler, s, &s->set) == 0);
	s->addr =
		(struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(ring_listen(s->ring, (struct sockaddr *)&s->addr, sizeof(s->addr),
			  link_set_accepted, s->set, &port) == 0);
	s->addr.sin_port = htons(port);
	CHECK(pthread_create(&s->thread, NULL, server_run, s) == 0);
	return true;
}

static void server_stop(struct server *s)
{
	atomic_store(&s->stop, true);
	CHECK(pthread_join(s->thread, NULL) == 0);
	link_set_free(s->set);
	ring_free(s->ring);
	CHECK(s->opened <= s->closed);
}

static void wait_for(atomic_uint *counter, unsigned value)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (atomic_load(counter) < value) {
		CHECK(clock_mono_ms() < end);
		(void)usleep(2000);
	}
}

/* Until every link that was opened has been closed. */
static void wait_quiet(struct server *s)
{
	wait_for(&s->closed, atomic_load(&s->opened));
}

/* ---- many links that echo ---- */

#define LINKS    72
#define MESSAGES 40
#define WINDOW   6

struct dialer {
	struct server *server;
	struct secp_key key; /* of the set that is dialled from */
	struct ring *ring;
	struct link_set *sets[LINKS]; /* one key, one set, one link each */
	struct secp_key keys[LINKS];
	struct echo {
		struct dialer *dialer;
		unsigned index;
		unsigned sent;
		unsigned got;
		uint64_t opened_ms;
	} echoes[LINKS];
	unsigned done, closed, linger_ms;
	uint64_t done_ms;
	int last_reason;
};

static size_t size_of(unsigned link, unsigned seq)
{
	unsigned x = (link * 7919 + seq * 104729 + 13) % 1000;

	if (seq == 20 && link % 9 == 0)
		return 1024 * 1024;
	if (x < 100)
		return 0;
	if (x < 700)
		return x * 3;
	return x < 950 ? x * 17 : x * 40;
}

static uint8_t byte_of(unsigned link, unsigned seq, size_t at)
{
	return (uint8_t)(link * 31 + seq * 17 + at * 7 + (at >> 8));
}

static void send_next(struct echo *echo, struct link *link)
{
	size_t size = size_of(echo->index, echo->sent);
	struct msgbuf *buf = msgbuf_new(size);
	uint8_t *bytes;

	CHECK(buf != NULL);
	bytes = buf->bytes + buf->start;
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_of(echo->index, echo->sent, i);
	buf->size = (uint32_t)size;
	CHECK(link_send(link, CAP_WAKU, CODE_ECHO, buf) == 0);
	echo->sent++;
}

static unsigned echo_opened(void *ctx, struct link *link)
{
	struct echo *echo = ctx;

	CHECK(link_owner(link) == echo && link_is_outgoing(link));
	CHECK(strcmp(link_client(link), "stress-server/1") == 0);
	CHECK(link_has_cap(link, CAP_WAKU) && !link_has_cap(link, CAP_WMPAY));
	CHECK(memcmp(link_remote(link), echo->dialer->server->key.public,
		     SECP_PUBLIC_SIZE) == 0);
	while (echo->sent < WINDOW)
		send_next(echo, link);
	return 0;
}

static void echo_message(void *ctx, struct link *link, enum cap cap,
			 unsigned code, struct packet *payload)
{
	struct echo *echo = ctx;
	size_t size = size_of(echo->index, echo->got);

	CHECK(cap == CAP_WAKU && code == CODE_ECHO);
	CHECK(payload->size == size);
	for (size_t i = 0; i < size; i++)
		CHECK(payload->bytes[i] == byte_of(echo->index, echo->got, i));
	if (++echo->got == MESSAGES)
		echo->dialer->done++;
	if (echo->sent < MESSAGES)
		send_next(echo, link);
}

static void echo_closed(void *ctx, struct link *link,
			const struct link_end *end)
{
	struct echo *echo = ctx;

	(void)link;
	echo->dialer->closed++;
	echo->dialer->last_reason = end->has_reason ? (int)end->reason : -1;
	CHECK(end->err == ERR_CLOSED && end->has_reason && !end->is_local);
	CHECK(end->reason == P2P_QUITTING);
}

static void dialer_round_end(void *ctx)
{
	struct dialer *d = ctx;

	for (unsigned i = 0; i < LINKS; i++)
		link_set_round_end(d->sets[i]);
	if (d->closed == LINKS)
		ring_stop(d->ring);
}

static void dialer_tick(void *ctx, uint64_t now_ms)
{
	struct dialer *d = ctx;

	for (unsigned i = 0; i < LINKS; i++)
		link_set_tick(d->sets[i], now_ms);
	if (d->done < LINKS)
		return;
	/* All said: keep-alive carries the silence, then the server goes. */
	if (!d->done_ms)
		d->done_ms = now_ms;
	if (now_ms >= d->done_ms + d->linger_ms)
		atomic_store(&d->server->stop, true);
	else
		CHECK(d->closed == 0);
}

static void dialer_add(struct dialer *d, unsigned i)
{
	static const struct link_handler handler = {.opened = echo_opened,
						    .message = echo_message,
						    .closed = echo_closed};
	struct link_config config = d->server->config;
	struct link *link;

	secp_key_new(&d->keys[i]);
	d->echoes[i] = (struct echo){.dialer = d, .index = i};
	config.key = &d->keys[i];
	config.client = "stress-dialer/1";
	config.caps[CAP_SHH] = i % 3 == 0;
	config.caps[CAP_WMPAY] = true;
	config.links_max = 1;
	config.handshakes_max = 0;
	CHECK(link_set_new(d->ring, &config, &handler, &d->echoes[i],
			   &d->sets[i]) == 0);
	CHECK(link_dial(d->sets[i], d->server->key.public,
			(struct sockaddr *)&d->server->addr,
			sizeof(d->server->addr), &d->echoes[i], &link) == 0);
}

static bool test_echo(enum ring_engine engine)
{
	static const struct ring_handler handler = {
		.round_end = dialer_round_end, .tick = dialer_tick};
	struct ring_config ring_config = {
		.engine = engine, .socks_max = LINKS, .tick_ms = 20};
	static struct server server;
	static struct dialer d;

	section = "echo";
	server_init(&server);
	server.pauses = true;
	server.config.handshakes_max = LINKS;
	server.config.handshake_ms = 10000;
	server.config.hello_ms = 10000;
	server.config.ping_ms = 150;
	/* ThreadSanitizer on a busy machine: keys alone take seconds. */
	server.config.idle_ms = 20000;
	if (!server_start(&server, engine))
		return false;
	memset(&d, 0, sizeof(d));
	d.server = &server;
	d.linger_ms = 600;
	CHECK(ring_new(&ring_config, &handler, &d, &d.ring) == 0);
	for (unsigned i = 0; i < LINKS; i++)
		dialer_add(&d, i);
	CHECK(ring_run(d.ring) == 0);
	CHECK(d.done == LINKS && d.closed == LINKS);
	for (unsigned i = 0; i < LINKS; i++)
		link_set_free(d.sets[i]);
	ring_free(d.ring);
	server_stop(&server);
	CHECK(server.opened == LINKS && server.closed == LINKS);
	CHECK(server.messages == LINKS * MESSAGES);
	return true;
}

/* ---- a peer of blocking sockets ---- */

struct peer {
	int fd;
	struct secp_key key;
	struct rlpx_streams streams;
	uint8_t body[1 << 17];
	size_t n;
	bool is_snappy;
};

static void peer_connect(struct peer *p, const struct server *s)
{
	struct timeval wait = {.tv_sec = 6};

	memset(p, 0, sizeof(*p));
	secp_key_new(&p->key);
	p->is_snappy = true;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(p->fd >= 0);
	CHECK(setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ==
	      0);
	CHECK(connect(p->fd, (const struct sockaddr *)&s->addr,
		      sizeof(s->addr)) == 0);
}

static void peer_write(struct peer *p, const void *bytes, size_t len)
{
	/* The other side may have closed: that is looked at by reading. */
	(void)!send(p->fd, bytes, len, MSG_NOSIGNAL);
}

/* False: the connection has ended. Never a time-out. */
static bool peer_read(struct peer *p, void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t n = recv(p->fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			CHECK(n == 0 || errno == ECONNRESET);
			return false;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void peer_keys(struct peer *p, const struct server *s)
{
	struct rlpx_handshake *hs = rlpx_handshake_new(&p->key, s->key.public);
	uint8_t packet[RLPX_PACKET_MAX], out[RLPX_PACKET_MAX];
	uint8_t remote[SECP_PUBLIC_SIZE];
	size_t len, used, size;

	CHECK(rlpx_handshake_auth(hs, packet, &len) == 0);
	peer_write(p, packet, len);
	CHECK(peer_read(p, packet, 2));
	size = be16_load(packet);
	CHECK(peer_read(p, packet + 2, size));
	CHECK(rlpx_handshake_feed(hs, packet, 2 + size, &used, out, &len,
				  &p->streams, remote) == 0);
	rlpx_handshake_free(hs);
}

/* One frame of `n` body bytes, as they are. */
static void peer_frame(struct peer *p, const uint8_t *body, size_t n)
{
	size_t size = RLPX_HEADER_SIZE + rlpx_body_size(n);
	uint8_t *frame = malloc(size);
	struct rlpx_seal_job job = {
		.stream = &p->streams.egress, .frame = frame, .n = n};

	CHECK(frame != NULL);
	memcpy(frame + RLPX_HEADER_SIZE, body, n);
	rlpx_seal_many(&job, 1);
	peer_write(p, frame, size);
	free(frame);
}

static void peer_send(struct peer *p, uint64_t id, const void *payload,
		      size_t len)
{
	uint8_t *body = malloc(32 + len);
	size_t n = p2p_id_encode(id, body);

	if (p->is_snappy && id != P2P_HELLO)
		n += snap_literal_prefix(len, body + n);
	if (len > 0)
		memcpy(body + n, payload, len);
	peer_frame(p, body, n + len);
	free(body);
}

static bool peer_frame_read(struct peer *p)
{
	uint8_t header[RLPX_HEADER_SIZE];
	struct rlpx_header_job head = {.stream = &p->streams.ingress,
				       .header = header};
	struct rlpx_body_job body = {.stream = &p->streams.ingress,
				     .body = p->body};

	if (!peer_read(p, header, sizeof(header)))
		return false;
	rlpx_open_headers(&head, 1);
	CHECK(head.err == 0);
	CHECK(rlpx_body_size(head.n) <= sizeof(p->body));
	if (!peer_read(p, p->body, rlpx_body_size(head.n)))
		return false;
	body.n = head.n;
	rlpx_open_bodies(&body, 1);
	CHECK(body.err == 0);
	p->n = head.n;
	return true;
}

/* The reason it is sent away with; -1: closed without a word. */
static int peer_reason(struct peer *p)
{
	while (peer_frame_read(p)) {
		uint8_t plain[16];
		size_t size = 0;

		if (p->body[0] != P2P_DISCONNECT)
			continue;
		if (p->is_snappy &&
		    snap_plain_size(p->body + 1, p->n - 1, 16, &size) == 0 &&
		    snap_decompress(p->body + 1, p->n - 1, plain, size) == 0)
			return (int)p2p_disconnect_decode(plain, size);
		return (int)p2p_disconnect_decode(p->body + 1, p->n - 1);
	}
	return -1;
}

static void peer_hello(struct peer *p, unsigned version)
{
	struct p2p_hello hello = {.version = version, .client = "peer"};
	uint8_t out[P2P_HELLO_MAX];

	hello.caps[CAP_WAKU] = true;
	memcpy(hello.public, p->key.public, SECP_PUBLIC_SIZE);
	peer_send(p, P2P_HELLO, out, p2p_hello_encode(&hello, out));
	p->is_snappy = version >= 5;
}

static void peer_close(struct peer *p)
{
	(void)close(p->fd);
	rlpx_streams_release(&p->streams);
}

/* All the way to an open link; what the server sends next is unread. */
static void peer_open(struct peer *p, struct server *s)
{
	unsigned before = atomic_load(&s->opened);

	peer_connect(p, s);
	peer_keys(p, s);
	CHECK(peer_frame_read(p) && p->body[0] == 0x80);
	peer_hello(p, 5);
	wait_for(&s->opened, before + 1);
}

/* ---- what strangers send ---- */

static void garbage_before_keys(struct server *s)
{
	uint8_t bytes[2500];
	struct peer p;

	section = "garbage instead of auth";
	bytes_random(bytes, sizeof(bytes));
	/* A size that cannot be; one that can; the old format. */
	for (int i = 0; i < 3; i++) {
		uint64_t start = clock_mono_ms();

		be16_store(bytes, i == 0 ? 65000 : i == 1 ? 400 : 0x04ca);
		peer_connect(&p, s);
		peer_write(&p, bytes, sizeof(bytes));
		CHECK(!peer_read(&p, bytes, 1));
		CHECK(clock_mono_ms() - start < 2000);
		peer_close(&p);
	}
}

static void garbage_after_keys(struct server *s)
{
	uint8_t bytes[300];
	struct peer p;

	section = "garbage instead of Hello";
	bytes_random(bytes, sizeof(bytes));
	peer_connect(&p, s);
	peer_keys(&p, s);
	peer_write(&p, bytes, sizeof(bytes));
	CHECK(peer_reason(&p) == -1);
	peer_close(&p);

	section = "garbage instead of a message";
	peer_open(&p, s);
	peer_write(&p, bytes, sizeof(bytes));
	CHECK(peer_reason(&p) == -1);
	peer_close(&p);

	section = "a body whose MAC is wrong";
	peer_open(&p, s);
	memset(bytes, 0, sizeof(bytes));
	{
		uint8_t frame[RLPX_HEADER_SIZE + 32] = {0};
		struct rlpx_seal_job job = {
			.stream = &p.streams.egress, .frame = frame, .n = 16};

		rlpx_seal_many(&job, 1);
		frame[sizeof(frame) - 1] ^= 1;
		peer_write(&p, frame, sizeof(frame));
	}
	CHECK(peer_reason(&p) == -1);
	peer_close(&p);
}

/* After the keys, `body` as the first frame. */
static int first_frame(struct server *s, const uint8_t *body, size_t n)
{
	struct peer p;
	int reason;

	peer_connect(&p, s);
	peer_keys(&p, s);
	peer_frame(&p, body, n);
	reason = peer_reason(&p);
	peer_close(&p);
	return reason;
}

static void wrong_hellos(struct server *s)
{
	uint8_t body[3000] = {0x80};
	struct p2p_hello hello = {.version = 5};
	size_t n;

	section = "wrong first messages";
	CHECK(first_frame(s, (const uint8_t *)"\x02\x01\x00\xc0", 4) ==
	      P2P_BREACH);
	CHECK(first_frame(s, body, sizeof(body)) == P2P_BREACH);
	CHECK(first_frame(s, body, 100) == P2P_BREACH);
	CHECK(first_frame(s, (const uint8_t *)"\x01\xc1\x04", 3) == -1);

	/* Nothing in common is judged after the key. */
	memset(hello.public, 1, sizeof(hello.public));
	hello.caps[CAP_WAKU] = true;
	n = p2p_hello_encode(&hello, body + 1);
	CHECK(first_frame(s, body, 1 + n) == P2P_UNEXPECTED_IDENTITY);
	memset(hello.public, 0, sizeof(hello.public));
	n = p2p_hello_encode(&hello, body + 1);
	CHECK(first_frame(s, body, 1 + n) == P2P_INVALID_IDENTITY);
}

static void nothing_in_common(struct server *s)
{
	struct p2p_hello hello = {.version = 5, .client = "peer"};
	uint8_t out[P2P_HELLO_MAX];
	struct peer p;

	section = "no shared capability";
	peer_connect(&p, s);
	peer_keys(&p, s);
	memcpy(hello.public, p.key.public, SECP_PUBLIC_SIZE);
	peer_send(&p, P2P_HELLO, out, p2p_hello_encode(&hello, out));
	CHECK(peer_reason(&p) == P2P_USELESS);
	peer_close(&p);

	section = "its own key";
	peer_connect(&p, s);
	p.key = s->key;
	peer_keys(&p, s);
	p.is_snappy = false;
	CHECK(peer_reason(&p) == P2P_SELF);
	peer_close(&p);
}

/* One frame on an open link and what comes of it. */
static int open_then(struct server *s, const void *body, size_t n)
{
	struct peer p;
	int reason;

	peer_open(&p, s);
	peer_frame(&p, body, n);
	reason = peer_reason(&p);
	peer_close(&p);
	wait_quiet(s);
	return reason;
}

static void wrong_messages(struct server *s)
{
	uint8_t *huge = calloc(1, 1 << 21);

	section = "wrong messages";
	wait_quiet(s);
	CHECK(open_then(s, "\x00", 1) == P2P_BREACH);
	CHECK(open_then(s, "\x82\x00\x10", 3) == P2P_BREACH);
	/* waku alone is shared: 16..143. */
	CHECK(open_then(s, "\x81\x90\x01\x00\xc0", 5) == P2P_BREACH);
	CHECK(open_then(s, "\x10\x80\x80\x80\x08\x00\x61", 7) == P2P_BREACH);
	CHECK(open_then(s, "\x10\x05\x00\x61", 4) == P2P_BREACH);
	CHECK(open_then(s, "\x10\x03\x00\x61\x09\x05", 6) == P2P_BREACH);
	CHECK(open_then(s, "\x10", 1) == P2P_BREACH);
	CHECK(open_then(s, huge, 1 << 21) == P2P_BREACH);
	CHECK(atomic_load(&s->last_err) == ERR_PROTOCOL);
	/* Its own Disconnect, compressed or not, just closes. */
	CHECK(open_then(s, "\x01\x02\x04\xc1\x04", 5) == -1);
	CHECK(atomic_load(&s->last_reason) == P2P_TOO_MANY);
	CHECK(open_then(s, "\x01\xc1\x10", 3) == -1);
	CHECK(atomic_load(&s->last_reason) == P2P_SUBPROTOCOL);
	CHECK(atomic_load(&s->last_local) == 0);
	free(huge);
}

/* The next message that is not the p2p capability's. */
static void peer_next(struct peer *p, uint8_t id)
{
	do
		CHECK(peer_frame_read(p));
	while (p->body[0] < P2P_FIRST_ID);
	CHECK(p->body[0] == id);
}

static void odd_but_honest(struct server *s)
{
	struct peer p;

	section = "odd but honest";
	peer_open(&p, s);
	peer_send(&p, 4, "\xc0", 1);
	peer_send(&p, 15, "", 0);
	peer_send(&p, P2P_HELLO, "nonsense", 8);
	peer_send(&p, P2P_PONG, "\xc0", 1);
	peer_send(&p, P2P_PING, "\xc0", 1);
	do
		CHECK(peer_frame_read(&p));
	while (p.body[0] == P2P_PING);
	CHECK(p.n == 4 && memcmp(p.body, "\x03\x01\x00\xc0", 4) == 0);
	peer_send(&p, 16, "abc", 3);
	peer_next(&p, 16);
	CHECK(p.n == 6 && memcmp(p.body,
				 "\x10\x03\x08"
				 "abc",
				 6) == 0);
	peer_send(&p, 16 + CODE_QUIT, "", 0);
	CHECK(peer_reason(&p) == P2P_SUBPROTOCOL);
	peer_close(&p);

	section = "version 4: no snappy";
	peer_connect(&p, s);
	peer_keys(&p, s);
	CHECK(peer_frame_read(&p));
	peer_hello(&p, 4);
	peer_send(&p, 16, "abc", 3);
	peer_next(&p, 16);
	CHECK(p.n == 4 && memcmp(p.body,
				 "\x10"
				 "abc",
				 4) == 0);
	peer_close(&p);
}

static void same_key_twice(struct server *s)
{
	struct peer a, b;

	section = "the same key twice";
	peer_open(&a, s);
	peer_connect(&b, s);
	b.key = a.key;
	peer_keys(&b, s);
	CHECK(peer_frame_read(&b));
	peer_hello(&b, 5);
	CHECK(peer_reason(&b) == P2P_ALREADY_CONNECTED);
	peer_close(&b);
	peer_close(&a);
}

/* Bytes one at a time are as good as all at once. */
static void dribble(struct server *s)
{
	uint8_t frame[RLPX_HEADER_SIZE + 32] = {0};
	struct rlpx_seal_job job = {.frame = frame, .n = 6};
	struct peer p;

	section = "byte by byte";
	peer_open(&p, s);
	job.stream = &p.streams.egress;
	memcpy(frame + RLPX_HEADER_SIZE,
	       "\x10\x03\x08"
	       "xyz",
	       6);
	rlpx_seal_many(&job, 1);
	for (size_t i = 0; i < sizeof(frame); i++) {
		peer_write(&p, frame + i, 1);
		if (i % 8 == 0)
			(void)usleep(1000);
	}
	peer_next(&p, 16);
	CHECK(memcmp(p.body + 3, "xyz", 3) == 0);
	peer_close(&p);
}

/* Hundreds of small frames in one write, beyond one round's share. */
static void many_at_once(struct server *s)
{
	enum { COUNT = 400, SIZE = RLPX_HEADER_SIZE + 32 };
	uint8_t *frames = calloc(COUNT, SIZE);
	struct peer p;

	section = "many small frames at once";
	peer_open(&p, s);
	for (size_t i = 0; i < COUNT; i++) {
		struct rlpx_seal_job job = {.stream = &p.streams.egress,
					    .frame = frames + i * SIZE,
					    .n = 6};

		memcpy(job.frame + RLPX_HEADER_SIZE, "\x10\x03\x08", 3);
		job.frame[RLPX_HEADER_SIZE + 3] = (uint8_t)i;
		job.frame[RLPX_HEADER_SIZE + 4] = (uint8_t)(i >> 8);
		rlpx_seal_many(&job, 1);
	}
	peer_write(&p, frames, (size_t)COUNT * SIZE);
	for (size_t i = 0; i < COUNT; i++) {
		peer_next(&p, 16);
		CHECK(p.body[3] == (uint8_t)i && p.body[4] == i >> 8);
	}
	/* What stands before an end is still heard. */
	peer_write(&p, frames, 0);
	peer_close(&p);
	free(frames);
}

static void slow_reader(struct server *s)
{
	struct peer p;

	section = "a reader that does not read";
	wait_quiet(s);
	peer_open(&p, s);
	peer_send(&p, 16 + CODE_FLOOD, "", 0);
	wait_quiet(s);
	CHECK(atomic_load(&s->last_err) == ERR_FULL);
	CHECK(atomic_load(&s->last_local) == 1);
	peer_close(&p);
}

static void test_strangers(enum ring_engine engine)
{
	static struct server s;

	server_init(&s);
	s.config.queue_bytes_max = 1 << 20;
	s.config.ping_ms = 5000;
	CHECK(server_start(&s, engine));

	garbage_before_keys(&s);
	garbage_after_keys(&s);
	wrong_hellos(&s);
	nothing_in_common(&s);
	wrong_messages(&s);
	odd_but_honest(&s);
	same_key_twice(&s);
	dribble(&s);
	many_at_once(&s);
	slow_reader(&s);
	server_stop(&s);
}

/* ---- deadlines ---- */

static void assert_between(uint64_t start, uint64_t least, uint64_t most)
{
	uint64_t took = clock_mono_ms() - start;

	if (took < least || took > most)
		(void)fprintf(stderr, "took %lu ms\n", (unsigned long)took);
	CHECK(took >= least && took <= most);
}

static void test_deadlines(enum ring_engine engine)
{
	static struct server s;
	struct peer silent, keyed, idle;
	uint64_t start;
	uint8_t byte;

	section = "deadlines";
	server_init(&s);
	s.config.handshake_ms = 300;
	s.config.hello_ms = 400;
	s.config.idle_ms = 500;
	s.config.ping_ms = 200;
	CHECK(server_start(&s, engine));
	start = clock_mono_ms();
	peer_connect(&silent, &s);
	peer_connect(&keyed, &s);
	peer_keys(&keyed, &s);
	CHECK(!peer_read(&silent, &byte, 1));
	assert_between(start, 290, 3000);
	CHECK(peer_reason(&keyed) == -1);
	assert_between(start, 390, 4000);

	start = clock_mono_ms();
	peer_open(&idle, &s);
	CHECK(peer_frame_read(&idle) && idle.body[0] == P2P_PING);
	CHECK(peer_reason(&idle) == P2P_READ_TIMEOUT);
	assert_between(start, 490, 4000);
	wait_for(&s.closed, 1);
	CHECK(atomic_load(&s.last_err) == ERR_TIMEOUT);
	peer_close(&silent);
	peer_close(&keyed);
	peer_close(&idle);
	server_stop(&s);
}

/* A peer that reads nothing: closed when no byte could be written. */
static void test_stalled_write(enum ring_engine engine)
{
	static struct server s;
	static uint8_t bytes[100000];
	struct peer p;
	uint64_t start;

	section = "stalled write";
	server_init(&s);
	s.config.write_ms = 300;
	s.config.queue_bytes_max = 64u << 20;
	CHECK(server_start(&s, engine));
	peer_open(&p, &s);
	start = clock_mono_ms();
	/* Far more than both kernels' buffers hold. */
	for (int i = 0; i < 200 && atomic_load(&s.closed) == 0; i++)
		peer_send(&p, 16, bytes, sizeof(bytes));
	wait_for(&s.closed, 1);
	assert_between(start, 250, 5000);
	CHECK(atomic_load(&s.last_err) == ERR_TIMEOUT);
	peer_close(&p);
	server_stop(&s);
}

/* ---- limits ---- */

static void test_limits(enum ring_engine engine)
{
	static struct server s;
	struct peer a, b, c;
	uint8_t byte;

	section = "links of one address";
	server_init(&s);
	s.config.per_ip_max = 2;
	CHECK(server_start(&s, engine));
	peer_open(&a, &s);
	peer_open(&b, &s);
	peer_connect(&c, &s);
	CHECK(!peer_read(&c, &byte, 1));
	peer_close(&c);
	/* A place that becomes free can be had again. */
	peer_close(&a);
	wait_for(&s.closed, 1);
	peer_open(&c, &s);
	peer_close(&c);
	peer_close(&b);
	server_stop(&s);

	section = "links in all, and handshakes";
	server_init(&s);
	s.config.links_max = 1;
	s.config.handshakes_max = 1;
	CHECK(server_start(&s, engine));
	peer_open(&a, &s);
	peer_connect(&b, &s);
	peer_keys(&b, &s);
	peer_connect(&c, &s);
	CHECK(!peer_read(&c, &byte, 1));
	CHECK(peer_frame_read(&b));
	peer_hello(&b, 5);
	CHECK(peer_reason(&b) == P2P_TOO_MANY);
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
	server_stop(&s);
}

/* ---- dialling what is not there ---- */

struct lost {
	struct ring *ring;
	struct link_set *set;
	unsigned closed;
	int errs[2];
};

static unsigned lost_opened(void *ctx, struct link *link)
{
	(void)ctx;
	(void)link;
	fail(__LINE__, "opened");
}

static void lost_message(void *ctx, struct link *link, enum cap cap,
			 unsigned code, struct packet *payload)
{
	(void)ctx;
	(void)link;
	(void)cap;
	(void)code;
	(void)payload;
}

static void lost_closed(void *ctx, struct link *link,
			const struct link_end *end)
{
	struct lost *lost = ctx;

	CHECK((intptr_t)link_owner(link) < 2);
	lost->errs[(intptr_t)link_owner(link)] = end->err;
	lost->closed++;
}

static void lost_round_end(void *ctx)
{
	struct lost *lost = ctx;

	link_set_round_end(lost->set);
	if (lost->closed == 2)
		ring_stop(lost->ring);
}

static void test_dial(enum ring_engine engine)
{
	static const struct ring_handler ring_handler = {
		.round_end = lost_round_end};
	static const struct link_handler handler = {.opened = lost_opened,
						    .message = lost_message,
						    .closed = lost_closed};
	struct ring_config ring_config = {.engine = engine, .socks_max = 4};
	struct link_config config;
	static struct server s;
	struct sockaddr_in nobody;
	struct lost lost = {0};
	struct secp_key key, other;
	struct link *link;

	section = "dialling in vain";
	server_init(&s);
	CHECK(server_start(&s, engine));
	secp_key_new(&key);
	secp_key_new(&other);
	link_config_default(&config);
	config.key = &key;
	config.links_max = 2;
	CHECK(ring_new(&ring_config, &ring_handler, &lost, &lost.ring) == 0);
	CHECK(link_set_new(lost.ring, &config, &handler, &lost, &lost.set) ==
	      0);
	/* A server with another key, and a port where nobody listens. */
	nobody = s.addr;
	nobody.sin_port = htons(1);
	CHECK(link_dial(lost.set, other.public, (struct sockaddr *)&s.addr,
			sizeof(s.addr), NULL, &link) == 0);
	CHECK(link_dial(lost.set, s.key.public, (struct sockaddr *)&nobody,
			sizeof(nobody), (void *)(intptr_t)1, &link) == 0);
	CHECK(ring_run(lost.ring) == 0);
	CHECK(lost.errs[0] == ERR_CLOSED || lost.errs[0] == ERR_IO);
	CHECK(lost.errs[1] == ERR_IO);
	link_set_free(lost.set);
	ring_free(lost.ring);
	server_stop(&s);
}

static bool test_engine(enum ring_engine engine, const char *name)
{
	uint64_t start = clock_mono_ms();

	if (!test_echo(engine)) {
		printf("%s: not to be had here\n", name);
		return false;
	}
	printf("%s: echo %lu ms\n", name,
	       (unsigned long)(clock_mono_ms() - start));
	test_strangers(engine);
	test_deadlines(engine);
	test_stalled_write(engine);
	test_limits(engine);
	test_dial(engine);
	printf("%s: %lu ms\n", name, (unsigned long)(clock_mono_ms() - start));
	return true;
}

int main(void)
{
	CHECK(test_engine(RING_EPOLL, "epoll"));
	(void)test_engine(RING_URING, "io_uring");
	return 0;
}
