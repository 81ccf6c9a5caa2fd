/*
 * Peers that misbehave at every stage of a link, or are just slow: what they
 * are told, how long they may stay, and how many. Over both engines.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "net/link.h"
#include "net/ring.h"
#include "net/rlpx.h"
#include "tests/support/check.h"
#include "tests/support/echo_server.h"
#include "tests/support/raw_peer.h"

/* ---- what strangers send ---- */

static void garbage_before_keys(struct echo_server *s)
{
	uint8_t bytes[2500];
	struct raw_peer p;

	check_scene("garbage instead of auth");
	bytes_random(bytes, sizeof(bytes));
	/* A size that cannot be; one that can; the old format. */
	for (int i = 0; i < 3; i++) {
		uint64_t start = clock_mono_ms();

		be16_store(bytes, i == 0 ? 65000 : i == 1 ? 400 : 0x04ca);
		raw_peer_connect(&p, s);
		raw_peer_write(&p, bytes, sizeof(bytes));
		CHECK(!raw_peer_read(&p, bytes, 1));
		CHECK(clock_mono_ms() - start < 2000);
		raw_peer_close(&p);
	}
}

static void garbage_after_keys(struct echo_server *s)
{
	uint8_t bytes[300];
	struct raw_peer p;

	check_scene("garbage instead of Hello");
	bytes_random(bytes, sizeof(bytes));
	raw_peer_connect(&p, s);
	raw_peer_keys(&p, s);
	raw_peer_write(&p, bytes, sizeof(bytes));
	CHECK(raw_peer_reason(&p) == -1);
	raw_peer_close(&p);

	check_scene("garbage instead of a message");
	raw_peer_open(&p, s);
	raw_peer_write(&p, bytes, sizeof(bytes));
	CHECK(raw_peer_reason(&p) == -1);
	raw_peer_close(&p);

	check_scene("a body whose MAC is wrong");
	raw_peer_open(&p, s);
	memset(bytes, 0, sizeof(bytes));
	{
		uint8_t frame[RLPX_HEADER_SIZE + 32] = {0};
		struct rlpx_seal_job job = {
			.stream = &p.streams.egress, .frame = frame, .n = 16};

		rlpx_seal_many(&job, 1);
		frame[sizeof(frame) - 1] ^= 1;
		raw_peer_write(&p, frame, sizeof(frame));
	}
	CHECK(raw_peer_reason(&p) == -1);
	raw_peer_close(&p);
}

/* After the keys, `body` as the first frame. */
static int first_frame(struct echo_server *s, const uint8_t *body, size_t n)
{
	struct raw_peer p;
	int reason;

	raw_peer_connect(&p, s);
	raw_peer_keys(&p, s);
	raw_peer_frame(&p, body, n);
	reason = raw_peer_reason(&p);
	raw_peer_close(&p);
	return reason;
}

static void wrong_hellos(struct echo_server *s)
{
	uint8_t body[3000] = {0x80};
	struct p2p_hello hello = {.version = 5};
	size_t n;

	check_scene("wrong first messages");
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

static void nothing_in_common(struct echo_server *s)
{
	struct p2p_hello hello = {.version = 5, .client = "peer"};
	uint8_t out[P2P_HELLO_MAX];
	struct raw_peer p;

	check_scene("no shared capability");
	raw_peer_connect(&p, s);
	raw_peer_keys(&p, s);
	memcpy(hello.public, p.key.public, SECP_PUBLIC_SIZE);
	raw_peer_send(&p, P2P_HELLO, out, p2p_hello_encode(&hello, out));
	CHECK(raw_peer_reason(&p) == P2P_USELESS);
	raw_peer_close(&p);

	check_scene("its own key");
	raw_peer_connect(&p, s);
	p.key = s->key;
	raw_peer_keys(&p, s);
	p.is_snappy = false;
	CHECK(raw_peer_reason(&p) == P2P_SELF);
	raw_peer_close(&p);
}

/* One frame on an open link and what comes of it. */
static int open_then(struct echo_server *s, const void *body, size_t n)
{
	struct raw_peer p;
	int reason;

	raw_peer_open(&p, s);
	raw_peer_frame(&p, body, n);
	reason = raw_peer_reason(&p);
	raw_peer_close(&p);
	echo_server_wait_quiet(s);
	return reason;
}

static void wrong_messages(struct echo_server *s)
{
	uint8_t *huge = calloc(1, 1 << 21);

	check_scene("wrong messages");
	echo_server_wait_quiet(s);
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

static void odd_but_honest(struct echo_server *s)
{
	struct raw_peer p;

	check_scene("odd but honest");
	raw_peer_open(&p, s);
	raw_peer_send(&p, 4, "\xc0", 1);
	raw_peer_send(&p, 15, "", 0);
	raw_peer_send(&p, P2P_HELLO, "nonsense", 8);
	raw_peer_send(&p, P2P_PONG, "\xc0", 1);
	raw_peer_send(&p, P2P_PING, "\xc0", 1);
	do
		CHECK(raw_peer_frame_read(&p));
	while (p.body[0] == P2P_PING);
	CHECK(p.n == 4 && memcmp(p.body, "\x03\x01\x00\xc0", 4) == 0);
	raw_peer_send(&p, 16, "abc", 3);
	raw_peer_next(&p, 16);
	CHECK(p.n == 6 && memcmp(p.body,
				 "\x10\x03\x08"
				 "abc",
				 6) == 0);
	raw_peer_send(&p, 16 + ECHO_CODE_QUIT, "", 0);
	CHECK(raw_peer_reason(&p) == P2P_SUBPROTOCOL);
	raw_peer_close(&p);

	check_scene("version 4: no snappy");
	raw_peer_connect(&p, s);
	raw_peer_keys(&p, s);
	CHECK(raw_peer_frame_read(&p));
	raw_peer_hello(&p, 4);
	raw_peer_send(&p, 16, "abc", 3);
	raw_peer_next(&p, 16);
	CHECK(p.n == 4 && memcmp(p.body,
				 "\x10"
				 "abc",
				 4) == 0);
	raw_peer_close(&p);
}

static void same_key_twice(struct echo_server *s)
{
	struct raw_peer a, b;

	check_scene("the same key twice");
	raw_peer_open(&a, s);
	raw_peer_connect(&b, s);
	b.key = a.key;
	raw_peer_keys(&b, s);
	CHECK(raw_peer_frame_read(&b));
	raw_peer_hello(&b, 5);
	CHECK(raw_peer_reason(&b) == P2P_ALREADY_CONNECTED);
	raw_peer_close(&b);
	raw_peer_close(&a);
}

/* Bytes one at a time are as good as all at once. */
static void dribble(struct echo_server *s)
{
	uint8_t frame[RLPX_HEADER_SIZE + 32] = {0};
	struct rlpx_seal_job job = {.frame = frame, .n = 6};
	struct raw_peer p;

	check_scene("byte by byte");
	raw_peer_open(&p, s);
	job.stream = &p.streams.egress;
	memcpy(frame + RLPX_HEADER_SIZE,
	       "\x10\x03\x08"
	       "xyz",
	       6);
	rlpx_seal_many(&job, 1);
	for (size_t i = 0; i < sizeof(frame); i++) {
		raw_peer_write(&p, frame + i, 1);
		if (i % 8 == 0)
			(void)usleep(1000);
	}
	raw_peer_next(&p, 16);
	CHECK(memcmp(p.body + 3, "xyz", 3) == 0);
	raw_peer_close(&p);
}

/* Hundreds of small frames in one write, beyond one round's share. */
static void many_at_once(struct echo_server *s)
{
	enum { COUNT = 400, SIZE = RLPX_HEADER_SIZE + 32 };
	uint8_t *frames = calloc(COUNT, SIZE);
	struct raw_peer p;

	check_scene("many small frames at once");
	raw_peer_open(&p, s);
	for (size_t i = 0; i < COUNT; i++) {
		struct rlpx_seal_job job = {.stream = &p.streams.egress,
					    .frame = frames + i * SIZE,
					    .n = 6};

		memcpy(job.frame + RLPX_HEADER_SIZE, "\x10\x03\x08", 3);
		job.frame[RLPX_HEADER_SIZE + 3] = (uint8_t)i;
		job.frame[RLPX_HEADER_SIZE + 4] = (uint8_t)(i >> 8);
		rlpx_seal_many(&job, 1);
	}
	raw_peer_write(&p, frames, (size_t)COUNT * SIZE);
	for (size_t i = 0; i < COUNT; i++) {
		raw_peer_next(&p, 16);
		CHECK(p.body[3] == (uint8_t)i && p.body[4] == i >> 8);
	}
	/* What stands before an end is still heard. */
	raw_peer_write(&p, frames, 0);
	raw_peer_close(&p);
	free(frames);
}

static void slow_reader(struct echo_server *s)
{
	struct raw_peer p;

	check_scene("a reader that does not read");
	echo_server_wait_quiet(s);
	raw_peer_open(&p, s);
	raw_peer_send(&p, 16 + ECHO_CODE_FLOOD, "", 0);
	echo_server_wait_quiet(s);
	CHECK(atomic_load(&s->last_err) == ERR_FULL);
	CHECK(atomic_load(&s->last_local) == 1);
	raw_peer_close(&p);
}

static bool test_strangers(enum ring_engine engine)
{
	static struct echo_server s;

	echo_server_init(&s);
	s.config.queue_bytes_max = 1 << 20;
	s.config.ping_ms = 5000;
	if (!echo_server_start(&s, engine))
		return false;

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
	echo_server_stop(&s);
	return true;
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
	static struct echo_server s;
	struct raw_peer silent, keyed, idle;
	uint64_t start;
	uint8_t byte;

	check_scene("deadlines");
	echo_server_init(&s);
	s.config.handshake_ms = 300;
	s.config.hello_ms = 400;
	s.config.idle_ms = 500;
	s.config.ping_ms = 200;
	CHECK(echo_server_start(&s, engine));
	start = clock_mono_ms();
	raw_peer_connect(&silent, &s);
	raw_peer_connect(&keyed, &s);
	raw_peer_keys(&keyed, &s);
	CHECK(!raw_peer_read(&silent, &byte, 1));
	assert_between(start, 290, 3000);
	CHECK(raw_peer_reason(&keyed) == -1);
	assert_between(start, 390, 4000);

	start = clock_mono_ms();
	raw_peer_open(&idle, &s);
	CHECK(raw_peer_frame_read(&idle) && idle.body[0] == P2P_PING);
	CHECK(raw_peer_reason(&idle) == P2P_READ_TIMEOUT);
	assert_between(start, 490, 4000);
	WAIT_FOR(atomic_load(&s.closed) >= 1);
	CHECK(atomic_load(&s.last_err) == ERR_TIMEOUT);
	raw_peer_close(&silent);
	raw_peer_close(&keyed);
	raw_peer_close(&idle);
	echo_server_stop(&s);
}

/* A peer that reads nothing: closed when no byte could be written. */
static void test_stalled_write(enum ring_engine engine)
{
	static struct echo_server s;
	static uint8_t bytes[100000];
	struct raw_peer p;
	uint64_t start;

	check_scene("stalled write");
	echo_server_init(&s);
	s.config.write_ms = 300;
	s.config.queue_bytes_max = 64u << 20;
	CHECK(echo_server_start(&s, engine));
	raw_peer_open(&p, &s);
	start = clock_mono_ms();
	/* Far more than both kernels' buffers hold. */
	for (int i = 0; i < 200 && atomic_load(&s.closed) == 0; i++)
		raw_peer_send(&p, 16, bytes, sizeof(bytes));
	WAIT_FOR(atomic_load(&s.closed) >= 1);
	assert_between(start, 250, 5000);
	CHECK(atomic_load(&s.last_err) == ERR_TIMEOUT);
	raw_peer_close(&p);
	echo_server_stop(&s);
}

/* ---- limits ---- */

static void test_limits(enum ring_engine engine)
{
	static struct echo_server s;
	struct raw_peer a, b, c;
	uint8_t byte;

	check_scene("links of one address");
	echo_server_init(&s);
	s.config.per_ip_max = 2;
	CHECK(echo_server_start(&s, engine));
	raw_peer_open(&a, &s);
	raw_peer_open(&b, &s);
	raw_peer_connect(&c, &s);
	CHECK(!raw_peer_read(&c, &byte, 1));
	raw_peer_close(&c);
	/* A place that becomes free can be had again. */
	raw_peer_close(&a);
	WAIT_FOR(atomic_load(&s.closed) >= 1);
	raw_peer_open(&c, &s);
	raw_peer_close(&c);
	raw_peer_close(&b);
	echo_server_stop(&s);

	check_scene("links in all, and handshakes");
	echo_server_init(&s);
	s.config.links_max = 1;
	s.config.handshakes_max = 1;
	CHECK(echo_server_start(&s, engine));
	raw_peer_open(&a, &s);
	raw_peer_connect(&b, &s);
	raw_peer_keys(&b, &s);
	raw_peer_connect(&c, &s);
	CHECK(!raw_peer_read(&c, &byte, 1));
	CHECK(raw_peer_frame_read(&b));
	raw_peer_hello(&b, 5);
	CHECK(raw_peer_reason(&b) == P2P_TOO_MANY);
	raw_peer_close(&a);
	raw_peer_close(&b);
	raw_peer_close(&c);
	echo_server_stop(&s);
}

static bool test_all(enum ring_engine engine)
{
	if (!test_strangers(engine))
		return false;
	test_deadlines(engine);
	test_stalled_write(engine);
	test_limits(engine);
	return true;
}

int main(void)
{
	echo_server_engines(test_all);
	return 0;
}
