#ifndef STORAGE_SLICE_H
#define STORAGE_SLICE_H
/*
 * A slice: one LMDB environment with the envelopes of one shard for one span
 * of `sent`, in one database with the keys
 *
 *	'c' ‖ id (4)              a chunk: envelopes one behind the other
 *	'i'                       what the file is: struct slice_ident
 *	'r' ‖ level (1) ‖ id (4)  a run: the index of one or more chunks
 *
 * Chunks and runs are larger than half a page, so LMDB gives each of them
 * pages of its own: they do not move while they live, and are read in place.
 *
 * Threads: the writer of the shard opens, writes and closes; slice_read_* on
 * any thread, each read begun and ended by the same one. A slice must outlive
 * its reads (storage/readers.h).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/known.h"
#include "storage/run.h"

#define SLICE_PATH_MAX 4352

struct slice_ident {
	uint32_t shard;
	uint32_t shards;
	uint32_t start_s;
	uint32_t span_s;
	uint32_t part; /* 0; more when a map was full */
};

/* A run as the writer remembers it. */
struct slice_run {
	uint8_t level;
	uint32_t id;
	uint32_t count;
	uint32_t chunks;
	uint64_t envelope_bytes;
};

struct slice_db;

struct slice {
	struct slice_ident ident;
	char path[SLICE_PATH_MAX];
	struct slice_db *db;
	/* the writer's */
	struct slice_run *runs; /* in the order of their keys */
	unsigned runs_count, runs_max;
	struct known known;
	bool is_known_loaded;
	bool is_settled;  /* nothing is left to fold */
	bool is_full;     /* the map is; a further part takes what comes */
	uint64_t busy_ms; /* last put or loading of `known`, monotonic; or 0 */
	/* anybody's */
	atomic_bool is_doomed;  /* past retention: readers pass it over */
	atomic_bool is_damaged; /* a reader met nonsense */
	_Atomic uint64_t envelopes;
	_Atomic uint64_t bytes; /* on disk */
	_Atomic uint32_t oldest_s, newest_s;
};

/*
 * Open, or with `create` make, the file at `path`. Returns 0, ERR_CORRUPT
 * (including one that belongs elsewhere), ERR_NOTFOUND (it was just being
 * made, and holds nothing), ERR_IO or ERR_NOMEM.
 */
int slice_open(const char *path, const struct slice_ident *ident,
	       size_t map_bytes, unsigned reads_max, bool create,
	       struct slice **out);
/* NULL is fine. */
void slice_close(struct slice *slice);
/* Does the span of this slice hold `sent`? */
bool slice_covers(const struct slice *slice, uint32_t sent);
uint64_t slice_end_s(const struct slice *slice); /* first second behind it */

/* ---- writing: begin, some of the others, end or abort ---- */

/*
 * After an error of any of these the transaction is aborted; ERR_FULL is a
 * full map. slice_write_errno() is what the system or LMDB said, ENOSPC also
 * where LMDB makes an EIO of it.
 */
int slice_write_begin(struct slice *slice);
/* What is smaller must be padded: see above. */
size_t slice_value_min(const struct slice *slice);
/* Room for `size` bytes, to be filled before the next call. */
int slice_write_chunk(struct slice *slice, size_t size, uint8_t **at,
		      uint32_t *id);
int slice_write_run(struct slice *slice, uint8_t level,
		    const struct run_builder *b, size_t size);
int slice_drop_run(struct slice *slice, const struct slice_run *run);
int slice_drop_chunk(struct slice *slice, uint32_t id);
/* Commits with full synchronisation. */
int slice_write_end(struct slice *slice);
void slice_write_abort(struct slice *slice);
int slice_write_errno(const struct slice *slice);
/* Write and remove something small: can this disk take writes again? */
int slice_probe(struct slice *slice);

/*
 * Let go of what processes held that read this file and died: their snapshot
 * would keep it from using its free pages. Returns how many there were.
 */
unsigned slice_forget_dead(struct slice *slice);

/* ---- reading ---- */

struct slice_read {
	struct slice *slice;
	struct MDB_txn *txn;
	struct MDB_cursor *cursor;
};

/* Returns 0, ERR_NOMEM, ERR_IO or ERR_CORRUPT. */
int slice_read_begin(struct slice *slice, struct slice_read *read);
void slice_read_end(struct slice_read *read);
/* The first run, then the next. 0, ERR_NOTFOUND (no more) or ERR_CORRUPT. */
int slice_read_run(struct slice_read *read, bool is_first,
		   struct run_view *out);
/* One run by its name. 0 or ERR_CORRUPT. */
int slice_read_one(struct slice_read *read, const struct slice_run *run,
		   struct run_view *out);
/* Bytes of an entry of a run of this read; NULL if it points nowhere. */
const uint8_t *slice_read_envelope(struct slice_read *read,
				   const struct run_entry *entry);
/* Is there an envelope with this key? 1, 0, or an error. */
int slice_read_has(struct slice_read *read, const uint8_t *key);

#endif
