#ifndef TESTS_SUPPORT_LETTERS_H
#define TESTS_SUPPORT_LETTERS_H
/*
 * Envelopes that a test posts, with what became of them, and a basket for
 * those that come back.
 *
 * Thread: one at a time.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "net/client.h"

#define LETTERS_TOPICS   10 /* of which they are in turn */
#define LETTERS_DATA_MAX 200
#define LETTERS_TTL_S    100

struct letters {
	uint8_t (*rlp)[LETTERS_DATA_MAX + 40];
	size_t *sizes;
	uint8_t (*hashes)[32];
	size_t count;
	size_t next; /* to be posted */
	uint64_t confirmed, refused;
	uint64_t code; /* of the last refusal */
};

struct basket {
	uint8_t (*hashes)[32];
	size_t count, cap;
};

/* Of letter `i`; no bloom of one covers another. */
struct topic letters_topic(size_t i);

/* Sent `ahead_s` seconds from now. */
void letters_init(struct letters *l, size_t count, int ahead_s,
		  size_t data_size);
void letters_release(struct letters *l);
/* What posts those that are left; a client's `ctx` is the letters. */
struct client_post letters_job(unsigned per_packet, unsigned window);

void basket_init(struct basket *b, size_t cap);
void basket_release(struct basket *b);
/* A client's `envelope`, with the basket as `ctx`. */
int basket_add(void *ctx, const struct envelope *env,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE]);
/* The basket, whose order is lost, holds exactly the letters of that topic
 * (-1: all). */
void basket_expect(struct basket *b, const struct letters *l, int topic);

#endif
