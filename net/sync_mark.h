#ifndef NET_SYNC_MARK_H
#define NET_SYNC_MARK_H
/*
 * How far we have come with another mail server's archive, kept with ours; and
 * the thread that writes it down, so that no ring waits for the disk.
 *
 * Threads: the codec and the loading any; the keeper's owner starts and stops
 * it; sync_keeper_put() from any, for one source from one at a time.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/secp.h"
#include "storage/archive.h"

struct sync_position {
	uint32_t until_s; /* all that was sent before is here; 0: never asked */
	/* A range that was begun, and where in it we are. */
	bool has_range;
	uint32_t lower_s, upper_s;
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
};

#define SYNC_POSITION_TEXT_MAX 192
void sync_position_encode(const struct sync_position *position,
			  char out[static SYNC_POSITION_TEXT_MAX]);
/* Returns 0 or ERR_SYNTAX. */
int sync_position_decode(const char *text, struct sync_position *out);
/* What the archive remembers of this node. 0, ERR_NOTFOUND, ERR_SYNTAX, ERR_IO
 */
int sync_position_load(struct archive *archive,
		       const uint8_t node[static SECP_PUBLIC_SIZE],
		       struct sync_position *out);

struct sync_keeper;

/* `nodes` is borrowed. Returns 0, ERR_NOMEM or ERR_IO. */
int sync_keeper_start(struct archive *archive,
		      const uint8_t (*nodes)[SECP_PUBLIC_SIZE], unsigned count,
		      struct sync_keeper **out);
/* Writes what was put. NULL is fine. */
void sync_keeper_stop(struct sync_keeper *keeper);
/*
 * Write it down soon; of several the last one. It may be lost with the power,
 * or without memory: then a part is asked for again.
 */
void sync_keeper_put(struct sync_keeper *keeper, unsigned node,
		     const struct sync_position *position);

#endif
