#ifndef APP_GENERATE_H
#define APP_GENERATE_H
/*
 * Makes valid envelopes: topics and payloads from a seed, a nonce found by
 * search. The same seed gives the same topics and payloads.
 *
 * Thread: one.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/sealed.h"
#include "core/topic.h"

/* What the data is: random bytes, or such sealed with a key. */
enum generate_seal { GENERATE_RANDOM, GENERATE_SYMMETRIC, GENERATE_ASYMMETRIC };

struct generate_config {
	uint64_t count;
	uint32_t size; /* of the data */
	const struct topic
		*topics; /* borrowed; NULL: topics_count from the seed */
	uint32_t topics_count;
	uint64_t seed;
	uint32_t ttl_s;
	uint32_t spread_s; /* `sent` lies in the last so many seconds */
	double pow;
	enum generate_seal seal;
	uint8_t key[SEALED_KEY_SIZE];     /* of GENERATE_SYMMETRIC */
	uint8_t public[SECP_PUBLIC_SIZE]; /* of GENERATE_ASYMMETRIC */
};

struct generate {
	struct generate_config config;
	uint64_t state;
	uint64_t made;
	uint8_t *data;
	uint8_t *rlp;
};

/* 0 or ERR_NOMEM. generate_release() is due in either case. */
int generate_init(struct generate *g, const struct generate_config *config);
void generate_release(struct generate *g);
struct topic generate_topic(uint64_t seed, uint32_t index);
/*
 * The next envelope, bytes that stay until the next call. Returns 0, > 0 (the
 * count is reached), ERR_TIMEOUT (no nonce found) or ERR_NOMEM.
 */
int generate_next(struct generate *g, const uint8_t **rlp, size_t *size);

#endif
