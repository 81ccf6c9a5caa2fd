#include "tests/support/raw_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/snap.h"
#include "tests/support/check.h"

void raw_peer_connect(struct raw_peer *p, const struct echo_server *s)
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

void raw_peer_write(struct raw_peer *p, const void *bytes, size_t len)
{
	/* The other side may have closed: that is looked at by reading. */
	(void)!send(p->fd, bytes, len, MSG_NOSIGNAL);
}

bool raw_peer_read(struct raw_peer *p, void *out, size_t len)
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

void raw_peer_keys(struct raw_peer *p, const struct echo_server *s)
{
	struct rlpx_handshake *hs = rlpx_handshake_new(&p->key, s->key.public);
	uint8_t packet[RLPX_PACKET_MAX], out[RLPX_PACKET_MAX];
	uint8_t remote[SECP_PUBLIC_SIZE];
	size_t len, used, size;

	CHECK(rlpx_handshake_auth(hs, packet, &len) == 0);
	raw_peer_write(p, packet, len);
	CHECK(raw_peer_read(p, packet, 2));
	size = be16_load(packet);
	CHECK(raw_peer_read(p, packet + 2, size));
	CHECK(rlpx_handshake_feed(hs, packet, 2 + size, &used, out, &len,
				  &p->streams, remote) == 0);
	rlpx_handshake_free(hs);
}

void raw_peer_frame(struct raw_peer *p, const uint8_t *body, size_t n)
{
	size_t size = RLPX_HEADER_SIZE + rlpx_body_size(n);
	uint8_t *frame = malloc(size);
	struct rlpx_seal_job job = {
		.stream = &p->streams.egress, .frame = frame, .n = n};

	CHECK(frame != NULL);
	memcpy(frame + RLPX_HEADER_SIZE, body, n);
	rlpx_seal_many(&job, 1);
	raw_peer_write(p, frame, size);
	free(frame);
}

void raw_peer_send(struct raw_peer *p, uint64_t id, const void *payload,
		   size_t len)
{
	uint8_t *body = malloc(32 + len);
	size_t n = p2p_id_encode(id, body);

	if (p->is_snappy && id != P2P_HELLO)
		n += snap_literal_prefix(len, body + n);
	if (len > 0)
		memcpy(body + n, payload, len);
	raw_peer_frame(p, body, n + len);
	free(body);
}

bool raw_peer_frame_read(struct raw_peer *p)
{
	uint8_t header[RLPX_HEADER_SIZE];
	struct rlpx_header_job head = {.stream = &p->streams.ingress,
				       .header = header};
	struct rlpx_body_job body = {.stream = &p->streams.ingress,
				     .body = p->body};

	if (!raw_peer_read(p, header, sizeof(header)))
		return false;
	rlpx_open_headers(&head, 1);
	CHECK(head.err == 0);
	CHECK(rlpx_body_size(head.n) <= sizeof(p->body));
	if (!raw_peer_read(p, p->body, rlpx_body_size(head.n)))
		return false;
	body.n = head.n;
	rlpx_open_bodies(&body, 1);
	CHECK(body.err == 0);
	p->n = head.n;
	return true;
}

int raw_peer_reason(struct raw_peer *p)
{
	while (raw_peer_frame_read(p)) {
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

void raw_peer_hello(struct raw_peer *p, unsigned version)
{
	struct p2p_hello hello = {.version = version, .client = "peer"};
	uint8_t out[P2P_HELLO_MAX];

	hello.caps[CAP_WAKU] = true;
	memcpy(hello.public, p->key.public, SECP_PUBLIC_SIZE);
	raw_peer_send(p, P2P_HELLO, out, p2p_hello_encode(&hello, out));
	p->is_snappy = version >= 5;
}

void raw_peer_close(struct raw_peer *p)
{
	(void)close(p->fd);
	rlpx_streams_release(&p->streams);
}

void raw_peer_open(struct raw_peer *p, struct echo_server *s)
{
	unsigned before = atomic_load(&s->opened);

	raw_peer_connect(p, s);
	raw_peer_keys(p, s);
	CHECK(raw_peer_frame_read(p) && p->body[0] == 0x80);
	raw_peer_hello(p, 5);
	WAIT_FOR(atomic_load(&s->opened) >= before + 1);
}

void raw_peer_next(struct raw_peer *p, uint8_t id)
{
	do
		CHECK(raw_peer_frame_read(p));
	while (p->body[0] < P2P_FIRST_ID);
	CHECK(p->body[0] == id);
}
