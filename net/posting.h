#ifndef NET_POSTING_H
#define NET_POSTING_H
/*
 * The way of one Messages packet to the disk and back: the envelopes of it
 * that the archive is to store, and the confirmation its sender gets when they
 * are stored; then the other rings are told. Answers to our own sync requests
 * go the same way without the confirmation and without being told.
 *
 * Thread: a ring's, except where the archive reports.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/packet.h"
#include "net/confirm.h"
#include "net/p2p.h"
#include "storage/archive.h"

struct node_ring;
struct posting;
struct session;

/* What the other rings need to know besides the archive's item. */
struct posting_extra {
	double pow;
	uint32_t expiry_s;
	uint32_t extra_s;
	uint64_t seq; /* in the pool of the home ring */
	bool is_new;  /* false: a duplicate that waits for the disk again */
};

/* Errors named in one response at most. */
#define POSTING_ERRORS_MAX 1024

struct posting_base {
	struct packet *packet; /* the items point into it */
	uint64_t link;         /* who is to be confirmed */
	enum cap cap;
	uint8_t hash[CONFIRM_HASH_SIZE]; /* of the packet as it came */
	const struct confirm_error *errors;
	uint32_t errors_count;
	uint32_t count; /* of items */
	/* Not 0: a part of this page of net/sync_ask, told there and nobody
	 * else. */
	uint32_t sync_page;
};

/* Copies the errors, takes a reference to the packet. NULL: no memory. */
struct posting *posting_new(struct node_ring *ring,
			    const struct posting_base *base);
/* Both have `count` places, to be filled in before posting_send(). */
struct archive_item *posting_items(struct posting *posting);
struct posting_extra *posting_extras(struct posting *posting);

/* To the archive; when it is full, as soon as there is room. */
void posting_send(struct node_ring *ring, struct posting *posting);
/* Try those that found no room. */
void posting_retry(struct node_ring *ring);

/* Codes 12 and 11 (protocol/whisper-waku.md §9). */
void posting_confirm(struct session *session, enum cap cap,
		     const uint8_t hash[static CONFIRM_HASH_SIZE],
		     const struct confirm_error *errors, uint32_t count);

#endif
