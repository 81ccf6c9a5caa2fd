#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H
/*
 * Many peers of a server, on one ring in the calling thread: they connect, a
 * few at a time, tell their Status, and when all are there the work begins.
 * What is built on it (posting, fetching, listening, sitting idle) gives the
 * functions below. A connection that is lost ends the whole as a failure.
 *
 * Thread: the caller's; several crowds may run in threads of their own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/enode.h"
#include "core/packet.h"
#include "net/link.h"
#include "net/ring.h"

#define CROWD_WHY_MAX 200

struct crowd;

struct crowd_config {
	const struct enode *server;
	unsigned connections;
	unsigned dials;   /* in handshake at once; 0: 16 */
	bool wants_all;   /* told to the server: gossip everything to us */
	unsigned tick_ms; /* 0: 10 */
	enum ring_engine engine;
};

struct crowd_member {
	struct crowd *crowd;
	unsigned index;
	struct secp_key key;
	struct link_set *set;
	struct link *link;
	bool is_ready; /* Status has come */
};

struct crowd_use {
	/* All are connected: take the time, begin. */
	void (*begin)(void *ctx, struct crowd *crowd);
	void (*message)(void *ctx, struct crowd_member *member, unsigned code,
			struct packet *payload);
	void (*drained)(void *ctx, struct crowd_member *member); /* or NULL */
	void (*tick)(void *ctx, struct crowd *crowd);            /* or NULL */
	/* In each round of the ring, before links send. Or NULL. */
	void (*round)(void *ctx, struct crowd *crowd);
	/* After ring_wake(crowd->ring), from any thread; coalesced. Or NULL. */
	void (*woken)(void *ctx, struct crowd *crowd);
};

struct crowd {
	const struct crowd_config *config;
	const struct crowd_use *use;
	void *ctx;
	struct ring *ring;
	struct crowd_member *members;
	struct link_set **sets; /* of the members */
	unsigned dialled, ready;
	bool is_begun, is_ending;
	uint64_t end_ms;
	int err;
	char why[CROWD_WHY_MAX];
};

/* Until crowd_end(); ends the program when a connection fails. */
void crowd_run(struct crowd *crowd, const struct crowd_config *config,
	       const struct crowd_use *use, void *ctx);
/* The work is done: disconnect all. */
void crowd_end(struct crowd *crowd);
void crowd_fail(struct crowd *crowd, const char *why);
/* A message of waku/1. */
void crowd_send(struct crowd_member *member, unsigned code, const void *payload,
		size_t size);

#endif
