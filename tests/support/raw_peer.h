#ifndef TESTS_SUPPORT_RAW_PEER_H
#define TESTS_SUPPORT_RAW_PEER_H
/*
 * A devp2p peer of a blocking socket that says exactly what a test wants, bad
 * or good, to an echo server. What cannot be in any test aborts.
 *
 * Thread: one; it owns the socket and the streams.
 */
#include "net/rlpx.h"
#include "tests/support/echo_server.h"

struct raw_peer {
	int fd;
	struct secp_key key;
	struct rlpx_streams streams;
	uint8_t body[1 << 17]; /* of the last frame read, id first */
	size_t n;
	bool is_snappy;
};

/* A key and a connection, no more. */
void raw_peer_connect(struct raw_peer *p, const struct echo_server *s);
void raw_peer_close(struct raw_peer *p);
/* The key exchange. */
void raw_peer_keys(struct raw_peer *p, const struct echo_server *s);
void raw_peer_hello(struct raw_peer *p, unsigned version);
/* All the way to an open link; what the server sends next is unread. */
void raw_peer_open(struct raw_peer *p, struct echo_server *s);

void raw_peer_write(struct raw_peer *p, const void *bytes, size_t len);
/* One frame of `n` body bytes, as they are. */
void raw_peer_frame(struct raw_peer *p, const uint8_t *body, size_t n);
/* A message, compressed when that was agreed. */
void raw_peer_send(struct raw_peer *p, uint64_t id, const void *payload,
		   size_t len);

/* False: the connection has ended. Never a time-out. */
bool raw_peer_read(struct raw_peer *p, void *out, size_t len);
/* The same of a whole frame. */
bool raw_peer_frame_read(struct raw_peer *p);
/* The next message that is not the p2p capability's has that id. */
void raw_peer_next(struct raw_peer *p, uint8_t id);
/* The reason it is sent away with; -1: closed without a word. */
int raw_peer_reason(struct raw_peer *p);

#endif
