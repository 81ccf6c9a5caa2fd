#ifndef NET_LIMITS_H
#define NET_LIMITS_H
/*
 * Token buckets: how much one peer and one address may ask of us.
 *
 * Thread: any, and without a lock: all rings share one table, so that the
 *         limits of an address or a node id hold over all of them.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Zeroed it is full. */
struct bucket {
	_Atomic uint64_t full_ns; /* when it will be full again */
};

/* All or nothing. per_s 0: always. */
bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		 uint32_t tokens, uint64_t now_ms);
/* Take in any case; returns after how many ms the debt is paid, 0: none. */
uint64_t bucket_charge(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		       uint32_t tokens, uint64_t now_ms);

/*
 * Buckets of those who may come back under another connection: addresses and
 * node ids. A fixed table; who was not seen for longest is forgotten first.
 */
struct limits_entry {
	_Atomic uint64_t key; /* 0: nobody's */
	_Atomic uint64_t seen_ms;
	struct bucket handshakes;
	struct bucket envelopes;
	struct bucket bytes;
	struct bucket requests;
};
struct limits;

struct limits *limits_new(void); /* NULL: no memory */
void limits_free(struct limits *limits);
/*
 * Never NULL, and good for good; but once it is somebody else's, what is taken
 * from it is taken from him.
 */
struct limits_entry *limits_get(struct limits *limits, uint64_t key,
				uint64_t now_ms);
/* One IPv4 address, one IPv6 /48. */
uint64_t limits_address_key(const struct limits *limits,
			    const struct sockaddr *addr);
uint64_t limits_node_key(const struct limits *limits,
			 const uint8_t node[static 64]);

#endif
