#ifndef BENCH_LMDB_PLAIN_H
#define BENCH_LMDB_PLAIN_H
/*
 * LMDB as one would use it at first: full synchronisation, one writer, calls
 * in the caller's thread. A rival of the archive, and the limit of a store
 * that is made of it.
 *
 * Thread: one.
 */
#include <lmdb.h>
#include <stdint.h>

#include "storage/archive.h"

enum lmdb_layout {
	LMDB_BY_TIME, /* sent ‖ hash → envelope; no topics */
	LMDB_ONE_TREE, /* sent ‖ hash ‖ topic → envelope: topics by scanning */
	LMDB_BY_TOPIC, /* topic ‖ sent ‖ hash → envelope: no order of time */
	LMDB_INDEXED, /* by time, and topic ‖ sent ‖ hash → nothing */
};

struct lmdb_plain {
	MDB_env *env;
	MDB_dbi main, index;
	enum lmdb_layout layout;
};
void lmdb_plain_open(struct lmdb_plain *db, const char *dir,
		     enum lmdb_layout layout);
void lmdb_plain_close(struct lmdb_plain *db);
/* `group` a commit. */
void lmdb_plain_put(struct lmdb_plain *db, const struct archive_item *items,
		    uint32_t count, uint32_t group);
/* Newest first, copied into `out`, which is begun anew when full. Both return
 * how many there were. */
uint32_t lmdb_plain_topic(struct lmdb_plain *db, struct topic topic,
			  uint8_t *out, size_t max);
uint32_t lmdb_plain_all(struct lmdb_plain *db, uint8_t *out, size_t max);

#endif
