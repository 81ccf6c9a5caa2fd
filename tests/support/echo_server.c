#include "tests/support/echo_server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/check.h"

static unsigned server_opened(void *ctx, struct link *link)
{
	struct echo_server *s = ctx;
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
		err = link_send_bytes(link, CAP_WAKU, ECHO_CODE_NOTE, bytes,
				      sizeof(bytes));
	CHECK(err == ERR_FULL);
	CHECK(link_send_bytes(link, CAP_WAKU, 0, bytes, 1) == ERR_CLOSED);
}

static void maybe_pause(struct echo_server *s, struct link *link,
			unsigned count)
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
	struct echo_server *s = ctx;
	unsigned count = atomic_fetch_add(&s->messages, 1);

	CHECK(cap == CAP_WAKU || cap == CAP_SHH);
	if (code == ECHO_CODE_SAME) {
		(void)link_send_bytes(link, cap, code, payload->bytes,
				      payload->size);
		maybe_pause(s, link, count);
	} else if (code == ECHO_CODE_FLOOD) {
		flood(link);
	} else if (code == ECHO_CODE_QUIT) {
		link_disconnect(link, P2P_SUBPROTOCOL);
		link_disconnect(link, P2P_REQUESTED);
	}
}

static void server_drained(void *ctx, struct link *link)
{
	struct echo_server *s = ctx;

	CHECK(link_queued(link) <= s->config.queue_low);
	atomic_fetch_add(&s->drained, 1);
}

static void server_closed(void *ctx, struct link *link,
			  const struct link_end *end)
{
	struct echo_server *s = ctx;

	(void)link;
	atomic_store(&s->last_err, end->err);
	atomic_store(&s->last_reason, end->has_reason ? (int)end->reason : -1);
	atomic_store(&s->last_local, end->is_local);
	atomic_fetch_add(&s->closed, 1);
}

static void server_round_end(void *ctx)
{
	struct echo_server *s = ctx;

	link_set_round_end(s->set);
	if (s->is_stopping && link_set_total(s->set) == 0)
		ring_stop(s->ring);
}

static void server_tick(void *ctx, uint64_t now_ms)
{
	struct echo_server *s = ctx;

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
	struct echo_server *s = arg;

	CHECK(ring_run(s->ring) == 0);
	return NULL;
}

void echo_server_init(struct echo_server *s)
{
	memset(s, 0, sizeof(*s));
	secp_key_new(&s->key);
	link_config_default(&s->config);
	s->config.key = &s->key;
	s->config.client = "stress-server/1";
	s->config.caps[CAP_WAKU] = true;
	s->config.caps[CAP_SHH] = true;
}

bool echo_server_start(struct echo_server *s, enum ring_engine engine)
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

void echo_server_stop(struct echo_server *s)
{
	atomic_store(&s->stop, true);
	CHECK(pthread_join(s->thread, NULL) == 0);
	link_set_free(s->set);
	ring_free(s->ring);
	CHECK(s->opened <= s->closed);
}

void echo_server_wait_quiet(struct echo_server *s)
{
	WAIT_FOR(atomic_load(&s->closed) >= atomic_load(&s->opened));
}

static bool is_there(bool (*test)(enum ring_engine engine),
		     enum ring_engine engine, const char *name)
{
	uint64_t start = clock_mono_ms();
	bool was_run = test(engine);

	printf("%s: %s, %lu ms\n", name,
	       was_run ? "done" : "not to be had here",
	       (unsigned long)(clock_mono_ms() - start));
	return was_run;
}

void echo_server_engines(bool (*test)(enum ring_engine engine))
{
	CHECK(is_there(test, RING_EPOLL, "epoll"));
	(void)is_there(test, RING_URING, "io_uring");
}
