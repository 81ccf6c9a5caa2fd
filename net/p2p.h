#ifndef NET_P2P_H
#define NET_P2P_H
/*
 * The base protocol: Hello, Disconnect, Ping, Pong, and which message id means
 * what on a connection (protocol/rlpx.md §6 to §8). Pure codecs.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define P2P_VERSION      5
#define P2P_HELLO_MAX    2048
#define P2P_CLIENT_MAX   128
#define P2P_FIRST_ID     16
#define P2P_CAP_NAME_MAX 8
#define P2P_CAPS_MAX     16

enum p2p_id { P2P_HELLO = 0, P2P_DISCONNECT = 1, P2P_PING = 2, P2P_PONG = 3 };

enum p2p_reason {
	P2P_REQUESTED = 0x00,
	P2P_NETWORK_ERROR = 0x01,
	P2P_BREACH = 0x02,
	P2P_USELESS = 0x03,
	P2P_TOO_MANY = 0x04,
	P2P_ALREADY_CONNECTED = 0x05,
	P2P_INCOMPATIBLE = 0x06,
	P2P_INVALID_IDENTITY = 0x07,
	P2P_QUITTING = 0x08,
	P2P_UNEXPECTED_IDENTITY = 0x09,
	P2P_SELF = 0x0a,
	P2P_READ_TIMEOUT = 0x0b,
	P2P_SUBPROTOCOL = 0x10,
};
const char *p2p_reason_str(unsigned reason);

/* The capabilities we know; their order here is not the order on the wire. */
enum cap { CAP_SHH, CAP_WAKU, CAP_WMPAY, CAP_COUNT };
struct cap_info {
	const char *name;
	unsigned version;
	unsigned length; /* message ids taken */
};
extern const struct cap_info cap_infos[CAP_COUNT];

struct p2p_hello {
	uint64_t version;
	char client[P2P_CLIENT_MAX + 1]; /* printable ASCII; the rest as '?' */
	bool caps[CAP_COUNT];            /* offered, name and version as ours */
	uint16_t port;
	uint8_t public[SECP_PUBLIC_SIZE];
};
/* 0, ERR_SYNTAX; ERR_AUTH when the key is null. `caps` in `out` are those
 * known. */
int p2p_hello_decode(const uint8_t *in, size_t len, struct p2p_hello *out);
/* Writes at most P2P_HELLO_MAX bytes. */
size_t p2p_hello_encode(const struct p2p_hello *hello,
			uint8_t out[static P2P_HELLO_MAX]);

/* All deployed forms of a Disconnect payload; nonsense gives P2P_REQUESTED. */
unsigned p2p_disconnect_decode(const uint8_t *in, size_t len);

/* Which ids belong to whom on one connection (§8). */
struct cap_map {
	unsigned offset[CAP_COUNT]; /* 0: not shared */
	unsigned end;               /* first id past the last */
};
/* Returns how many capabilities are shared. */
unsigned cap_map_make(const bool ours[CAP_COUNT], const bool theirs[CAP_COUNT],
		      struct cap_map *out);
/* Whose id is it, and which code? false: out of range. */
bool cap_map_find(const struct cap_map *map, uint64_t id, enum cap *cap,
		  unsigned *code);

/* Message id as RLP integer; returns its length, at most 5. */
size_t p2p_id_encode(uint64_t id, uint8_t out[static 9]);
/* 0, ERR_SYNTAX (not canonical, too wide, empty). */
int p2p_id_decode(const uint8_t *in, size_t len, uint64_t *id, size_t *used);

#endif
