#ifndef STORAGE_ARCHIVE_H
#define STORAGE_ARCHIVE_H
/*
 * The archive keeps envelopes, bytes unchanged, and finds them again by topic
 * and time. This is all that the folders above see of storage; it names no
 * type of the engine below, so that another one can stand in its place.
 *
 * An envelope's place is its key, sent (4 bytes, big endian) ‖ hash (32); an
 * envelope is stored once however often it is put. The number of its shard is
 * xxh3(topic) mod shards and depends on nothing else.
 *
 * Threads: archive_put(), archive_read() and archive_health() from any, and
 * they neither wait nor lock; completions run on threads of the archive and
 * must be short and must not wait (post a letter). archive_read_now() works in
 * the caller's thread and touches the disk. Open and close from one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/envelope.h"
#include "core/mailbox.h"
#include "core/pool.h"
#include "core/topic.h"

struct archive;

struct archive_config {
	const char *dir; /* created 0700 when absent */
	unsigned shards; /* 1..256; must equal what the directory was made with
			  */
	uint32_t slice_span_s; /* time of `sent` kept in one slice */
	uint32_t retention_s;  /* 0: for ever */
	/* On disk, all slices, looked at after each commit; 0: no bound. Slices
	 * are cut so that a dozen and more stand below it, and the oldest go;
	 * above it are at most the slice that each shard is filling and what
	 * readers have not left yet. */
	uint64_t retention_bytes;
	size_t group_bytes_max; /* of envelopes in one commit of one shard */
	unsigned group_wait_us; /* longest wait for a fuller group */
	size_t queue_bytes_max; /* envelopes waiting, per shard */
	size_t map_bytes;       /* address space of one slice */
	unsigned readers;       /* reader threads */
	unsigned reads_max;     /* read steps waiting */
	/* Can these bytes be what was put? Asked of each that is given, so it
	 * must be quick; a slice with one that cannot is damaged. NULL: they
	 * can. */
	bool (*is_sound)(const uint8_t *rlp, uint32_t size, struct topic topic);
	/* A damaged slice was moved out of the way; may be NULL. Called while
	 * opening, and by the writers' threads. */
	void (*set_aside)(const char *from, const char *to);
};

/* What `restante serve` uses when nothing is said; `dir` stays NULL. */
void archive_config_default(struct archive_config *config);

/*
 * Open or create. `why` gets one sentence for a person on failure (what,
 * where, what to do): another shard count (ERR_CONFLICT), a second process
 * (ERR_EXISTS), no access (ERR_IO), an unknown format (ERR_UNSUPPORTED), a
 * setting out of bounds (ERR_RANGE), no memory (ERR_NOMEM).
 * A damaged slice does not fail the opening: it is moved aside
 * (`quarantine/`), told to `set_aside`, counted in the health, and the rest is
 * served; so is one in which a read meets nonsense.
 */
int archive_open(const struct archive_config *config, struct archive **out,
		 char *why, size_t why_size);
/* Commits what was put, ends the threads. No read may be pending. NULL is fine.
 */
void archive_close(struct archive *archive);

/* ---- putting ---- */

struct archive_item {
	const uint8_t *rlp; /* the envelope as received */
	uint32_t size;
	uint32_t sent;
	struct topic topic;
	uint8_t hash[ENVELOPE_HASH_SIZE];
};

/*
 * A batch belongs to the archive from archive_put() until `done`; so do the
 * items and the bytes they point to. `done` runs once, on a writer thread,
 * after the last of its envelopes is on the disk (err 0), or when one of them
 * could not be stored (err < 0: nothing may be confirmed).
 */
struct archive_batch {
	const struct archive_item *items;
	uint32_t count;
	void (*done)(struct archive_batch *batch);
	void *owner;     /* the caller's */
	int err;         /* result */
	uint32_t stored; /* result: those that were not there before */
	struct archive_batch_state *state; /* the archive's */
};

/*
 * Returns 0, or ERR_FULL (a shard's queue is full), ERR_CLOSED (stopping),
 * ERR_IO (a shard of this batch is out of order): then nothing was taken and
 * `done` will not run. An empty batch is done at once, before returning.
 */
int archive_put(struct archive *archive, struct archive_batch *batch);

/* ---- reading ---- */

enum archive_order { ARCHIVE_NEWEST_FIRST, ARCHIVE_OLDEST_FIRST };

/* The selection of protocol/mailserver.md §3. Borrowed by every step. */
struct archive_query {
	uint32_t lower_s, upper_s; /* both inclusive */
	const struct topic
		*topics; /* if any, they decide alone; duplicates are fine */
	uint32_t topics_count;
	bool has_bloom; /* neither topics nor bloom: everything */
	struct bloom bloom;
	enum archive_order order;
};

/*
 * One step of a query: fills `out` with envelopes laid one behind the other in
 * order and stops when the buffer is full, `limit` is reached, a budget is
 * spent, or nothing is left. To go on, set has_cursor and cursor from `last`
 * and submit again; a step costs the same wherever in the history it starts.
 */
enum archive_stop {
	ARCHIVE_STOP_END,    /* nothing further matches */
	ARCHIVE_STOP_LIMIT,  /* `limit` envelopes were given */
	ARCHIVE_STOP_FULL,   /* the next one does not fit into `out` */
	ARCHIVE_STOP_BUDGET, /* work for one turn is done; maybe nothing was
				given */
};

struct archive_step {
	struct pool_job job;     /* the archive's */
	struct archive *archive; /* the archive's */
	const struct archive_query *query;
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE]; /* strictly beyond it in the order */
	uint32_t limit;                    /* envelopes, > 0 */
	uint8_t *out;
	size_t out_max;     /* an envelope larger than this is passed over */
	size_t out_page;    /* FULL beyond so many bytes, if anything was given;
			       0: out_max. Room for large ones, small pages. */
	uint32_t item_max;  /* envelopes larger than this are passed over; 0:
			       out_max */
	uint32_t budget_us; /* time of one turn; 0: the default */
	void (*done)(struct archive_step *step); /* on a reader thread */
	void *owner;

	/* results */
	int err; /* 0, ERR_IO, ERR_CORRUPT, ERR_CLOSED */
	enum archive_stop stop;
	size_t out_size;
	uint32_t count;
	/* Where to go on from: the last one given, or with BUDGET the last one
	 * looked at. Valid if has_last. */
	bool has_last;
	uint8_t last[ENVELOPE_KEY_SIZE];
	/* Key of the last envelope given; valid if count > 0. */
	uint8_t last_given[ENVELOPE_KEY_SIZE];
};

/* Queue it behind all others. Returns 0 or ERR_FULL. */
int archive_read(struct archive *archive, struct archive_step *step);
/* The same at once in this thread; `done` is not called. */
int archive_read_now(struct archive *archive, struct archive_step *step);

/* ---- keeping ---- */

/* Remove slices that are past retention as of now_s. Runs by itself every
 * minute, and whenever a commit goes beyond retention_bytes; here for tests and
 * commands. Returns slices removed. */
unsigned archive_expire(struct archive *archive, uint32_t now_s);

/*
 * A short text kept with the archive under a name (letters, digits, '-'): how
 * far something has come, to be restored with what it speaks of. Both wait for
 * the disk; from any thread, but one at a time for a name. Saving replaces it
 * whole or not at all: 0 or ERR_IO. Loading: 0, ERR_NOTFOUND, ERR_RANGE (longer
 * than `size` - 1) or ERR_IO.
 */
#define ARCHIVE_MARK_NAME_MAX 200
int archive_mark_save(struct archive *archive, const char *name,
		      const char *text);
int archive_mark_load(struct archive *archive, const char *name, char *out,
		      size_t size);

struct archive_health {
	bool is_healthy; /* every shard takes envelopes */
	unsigned shards_broken;
	unsigned slices;
	unsigned slices_quarantined; /* since it was opened */
	uint64_t envelopes;
	uint64_t bytes_on_disk;
	uint64_t commits;
	uint64_t put_envelopes; /* stored since start */
	uint64_t queued_envelopes;
	uint32_t oldest_sent, newest_sent; /* 0 if empty */
	char why[256];                     /* first failure, for a person */
};
void archive_health(struct archive *archive, struct archive_health *out);

/*
 * Check a closed archive: structure, order, that every envelope hashes to its
 * key and that no index entry dangles. Findings go to `report` as lines for a
 * person. Returns 0 (sound), ERR_CORRUPT (findings), ERR_IO, ERR_EXISTS (in
 * use). With `repair` damaged slices are moved to quarantine/.
 */
int archive_fsck(const char *dir, bool repair, FILE *report,
		 void (*progress)(void *ctx, uint64_t done, uint64_t all),
		 void *ctx);

/*
 * Copy the archive at `from` into the folder `to`, which is made when absent
 * and has no archive in it, while another process may be writing it (not this
 * one). Each slice is copied as it was committed at one moment: all that was
 * on the disk before the call is in the copy, unless it went by retention
 * meanwhile, and of what came later a part. Everything is on the disk when it
 * returns 0; else ERR_NOTFOUND (no archive), ERR_IO, ERR_UNSUPPORTED or
 * ERR_NOMEM, with a sentence in `why`.
 */
struct archive_backup {
	unsigned slices;
	uint64_t bytes;
};
int archive_backup(const char *from, const char *to, struct archive_backup *out,
		   void (*progress)(void *ctx, uint64_t done, uint64_t all),
		   void *ctx, char *why, size_t why_size);

#endif
