/*
 * Links that talk with each other over real sockets: two sets on two rings in
 * two threads, and calls that nobody takes. Everything over both engines.
 */
#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>

#include "core/err.h"
#include "net/link.h"
#include "net/ring.h"
#include "tests/support/check.h"
#include "tests/support/echo_server.h"

/* ---- many links that echo ---- */

#define LINKS    72
#define MESSAGES 40
#define WINDOW   6

struct dialer {
	struct echo_server *server;
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
	CHECK(link_send(link, CAP_WAKU, ECHO_CODE_SAME, buf) == 0);
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

	CHECK(cap == CAP_WAKU && code == ECHO_CODE_SAME);
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
	static struct echo_server server;
	static struct dialer d;

	check_scene("echo");
	echo_server_init(&server);
	server.pauses = true;
	server.config.handshakes_max = LINKS;
	server.config.handshake_ms = 10000;
	server.config.hello_ms = 10000;
	server.config.ping_ms = 150;
	/* ThreadSanitizer on a busy machine: keys alone take seconds. */
	server.config.idle_ms = 20000;
	if (!echo_server_start(&server, engine))
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
	echo_server_stop(&server);
	CHECK(server.opened == LINKS && server.closed == LINKS);
	CHECK(server.messages == LINKS * MESSAGES);
	return true;
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
	check_failed("opened", __FILE__, __LINE__);
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
	static struct echo_server s;
	struct sockaddr_in nobody;
	struct lost lost = {0};
	struct secp_key key, other;
	struct link *link;

	check_scene("dialling in vain");
	echo_server_init(&s);
	CHECK(echo_server_start(&s, engine));
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
	echo_server_stop(&s);
}

static bool test_all(enum ring_engine engine)
{
	if (!test_echo(engine))
		return false;
	test_dial(engine);
	return true;
}

int main(void)
{
	echo_server_engines(test_all);
	return 0;
}
