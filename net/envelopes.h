#ifndef NET_ENVELOPES_H
#define NET_ENVELOPES_H
/*
 * The envelopes of one ring that are not expired yet: the duplicate filter,
 * and the bytes for peers that have not got them. Each has a sequence number,
 * so that what a peer has still to be told is a number (net/gossip).
 *
 * Both are bounded: when the bytes are too many those of the oldest are let
 * go, when the envelopes are too many the oldest are forgotten.
 *
 * Thread: a ring's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/packet.h"

#define POOLED_KEY_SIZE 16

struct envelopes;
struct held;

struct pooled {
	uint8_t key[POOLED_KEY_SIZE]; /* of the hash */
	const uint8_t *rlp;           /* NULL: the bytes were let go */
	struct held *held;
	double pow; /* negative: not computed */
	uint32_t size;
	uint32_t expiry_s;
	uint32_t origin;  /* serial of the session that brought it first */
	uint32_t extra_s; /* d of the PoW when it came (§4) */
	struct topic topic;
	bool is_alive;
	bool is_pending; /* not known to be on the disk */
};

/* NULL: no memory. */
struct envelopes *envelopes_new(size_t bytes_max, uint32_t count_max);
void envelopes_free(struct envelopes *envs);

/* A packet's bytes are counted once, however many envelopes point into it. */
struct held *held_new(struct packet *packet); /* takes a reference of its own */
void held_release(struct envelopes *envs, struct held *held);

/* NULL if it is not there. */
struct pooled *envelopes_find(struct envelopes *envs,
			      const uint8_t hash[static ENVELOPE_HASH_SIZE]);
void envelopes_prefetch(const struct envelopes *envs,
			const uint8_t hash[static ENVELOPE_HASH_SIZE]);
/*
 * Add one that is not there; `held` may be NULL. Never fails: without memory
 * the oldest one makes room. The caller fills in the rest.
 */
struct pooled *envelopes_add(struct envelopes *envs,
			     const uint8_t hash[static ENVELOPE_HASH_SIZE],
			     const uint8_t *rlp, uint32_t size,
			     struct held *held);

/* Sequence numbers run from tail (oldest) to head (one past the newest). */
uint64_t envelopes_tail(const struct envelopes *envs);
uint64_t envelopes_head(const struct envelopes *envs);
/* NULL if it has expired. */
struct pooled *envelopes_at(struct envelopes *envs, uint64_t seq);
uint64_t envelopes_seq(const struct envelopes *envs, const struct pooled *env);

/* The one with this number and hash, if it is still there, is on the disk. */
void envelopes_stored(struct envelopes *envs, uint64_t seq,
		      const uint8_t hash[static ENVELOPE_HASH_SIZE]);

/* Look at a part of them, 1 / `parts`, and forget the expired ones. */
void envelopes_expire(struct envelopes *envs, uint32_t now_s, unsigned parts);

size_t envelopes_count(const struct envelopes *envs);
size_t envelopes_bytes(const struct envelopes *envs);

#endif
