#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H
/*
 * Other stores that could do the work of the archive, each behind the same
 * few functions. They get the same envelopes, and everything they take must
 * be on the disk before they say so.
 *
 * Thread: main; a rival may use threads of its own within a call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/bench.h"
#include "storage/archive.h"

#define RIVAL_WHY_MAX     256
#define RIVAL_CONNECTIONS 8u
#define RIVAL_GROUP       400u /* envelopes a connection has under way */

struct rival {
	const char *name;
	const char *settings; /* for the report */
	/* false: it is not to be had; `why` tells. */
	bool (*start)(const struct bench *bench,
		      char why[static RIVAL_WHY_MAX]);
	void (*stop)(void);
	/* Returns when all are on the disk. Each is new; times rise. */
	void (*put)(const struct archive_item *items, uint32_t count);
	/* All of one topic, newest first. Returns how many. */
	uint32_t (*topic)(struct topic topic);
	uint64_t (*all)(void);
	/* The process that does the work, with its children; 0: ourselves. */
	pid_t (*pid)(void);
	const char *(*dir)(void); /* of its data */
};

extern const struct rival rival_lmdb;         /* sent ‖ hash ‖ topic */
extern const struct rival rival_lmdb_indexed; /* and topic ‖ sent ‖ hash */
extern const struct rival rival_postgresql;
extern const struct rival rival_redis;

/* A port of 127.0.0.1 that was free just now. */
uint16_t rival_free_port(void);
/* Run `work` for each connection in a thread of its own and wait. */
void rival_in_threads(void (*work)(unsigned connection, void *ctx), void *ctx);

#endif
