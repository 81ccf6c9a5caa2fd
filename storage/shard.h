#ifndef STORAGE_SHARD_H
#define STORAGE_SHARD_H
/*
 * A shard: its slices and the one thread that writes them. The thread takes
 * what waits in the mailbox as one group, commits it, tells the batches, and
 * folds, retires and sets aside slices in between.
 *
 * Threads: shard_put() and the atomics from any; readers look at `list`
 * between readers_enter() and readers_leave(); the rest is the writer's, or
 * the opener's before shard_start() and after shard_stop().
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"
#include "storage/archive.h"
#include "storage/readers.h"
#include "storage/run.h"
#include "storage/slice.h"

#define SHARDS_MAX      256
#define SHARD_DIR_MAX   4160
#define SLICE_READS     (READERS_MAX + 8)
#define CHUNK_BYTES_MAX (16u << 20)

/* The share of one shard in a batch. */
struct batch_part {
	struct letter letter; /* first */
	struct archive_batch_state *state;
	const uint32_t *index; /* of its items */
	uint32_t count;
	uint32_t stored;
	size_t bytes;
};

struct archive_batch_state {
	struct archive_batch *batch;
	atomic_uint pending; /* parts */
	atomic_int err;
	atomic_uint stored;
	struct batch_part parts[];
};

/* In order of (start, part). Immutable; a changed one takes its place. */
struct slice_list {
	unsigned count;
	struct slice *slices[];
};

enum shard_state {
	SHARD_OK,
	SHARD_WAITING, /* no room, or no descriptors: tried again */
	SHARD_BROKEN,  /* the device failed: not tried again */
};

/* What all shards of an archive have in common. */
struct shard_common {
	struct archive_config config;
	char *dir;
	struct readers readers;
	atomic_bool is_stopping;  /* nothing more is taken */
	atomic_bool is_ending;    /* nothing more can come */
	_Atomic uint64_t failure; /* the first; see shard_failure_text() */
	atomic_uint quarantined;
	atomic_uint removed; /* slices past retention, gone from the lists */
	void (*minute)(struct shard_common *common); /* on shard 0's thread */
	void (*grown)(struct shard_common *common);  /* on any shard's thread */
	/* Of a file that cannot be opened as a slice; may be NULL. */
	void (*damaged)(void *ctx, const char *path);
	void *damaged_ctx;
	bool keeps_damaged; /* where they are, instead of quarantine/ */
};

struct shard_retired; /* taken out of the list and perhaps still read */

struct group_ref {
	uint64_t prefix; /* of the key */
	const struct archive_item *item;
	struct batch_part *part;
};

struct shard {
	struct shard_common *common;
	unsigned index;
	char dir[SHARD_DIR_MAX];
	pthread_t thread;
	bool is_started;
	struct mailbox box;
	_Atomic(struct slice_list *) list;
	atomic_int state; /* enum shard_state */
	_Atomic uint64_t queued_bytes, queued_envelopes;
	_Atomic uint64_t commits, put_envelopes;
	_Atomic uint64_t bytes; /* on disk, of its slices when last counted */
	/* the writer's */
	struct letter *waiting, **waiting_end;
	size_t waiting_bytes;
	unsigned waiting_parts;
	struct group_ref *refs;
	uint32_t refs_count, refs_max;
	struct run_builder builder;
	struct shard_retired *retired;
	uint64_t probe_ms;  /* when to try again */
	uint64_t minute_ms; /* when minute() is due */
	unsigned company;   /* batches in the last group */
	uint64_t gather_ns; /* what gathering as many took lately */
};

/*
 * Open the slices of a shard, setting damaged ones aside. `why` gets a
 * sentence on failure. Returns 0, ERR_IO or ERR_NOMEM.
 */
int shard_open(struct shard *shard, struct shard_common *common, unsigned index,
	       char *why, size_t why_size);
/* Start the thread. Returns 0 or ERR_NOMEM. */
int shard_start(struct shard *shard);
/* common.is_ending is set: commit what waits and end the thread. */
void shard_stop(struct shard *shard);
/* After the threads have ended. Good for one that was never opened. */
void shard_close(struct shard *shard);

/* Which shard has this topic? */
unsigned shard_of(struct topic topic, unsigned shards);
/* Is there room for so many bytes more? Reserves it. 0, ERR_FULL, ERR_IO. */
int shard_reserve(struct shard *shard, size_t bytes, uint32_t envelopes);
void shard_unreserve(struct shard *shard, size_t bytes, uint32_t envelopes);
/* Reserved before. */
void shard_put(struct shard *shard, struct batch_part *part);
/* The sentence for common.failure; empty if there is none. */
void shard_failure_text(const struct shard_common *common, char *out,
			size_t size);

/* ---- within the writer: group.c and fold.c ---- */

/*
 * What a slice may grow to before a further part takes what comes: three
 * quarters of its map, the last being for folding, and so little that the
 * bound on all bytes can be kept by removing whole slices.
 */
uint64_t shard_slice_bytes_max(const struct archive_config *config);
/* The slice that takes `sent`, made if need be: 0, or the errors of
 * slice_open(). */
int shard_slice_for(struct shard *shard, uint32_t sent, struct slice **out);
/* Note a failed write and decide what becomes of the shard. */
void shard_note_failure(struct shard *shard, const struct slice *slice, int err,
			int code);
void shard_set_aside(struct shard *shard, struct slice *slice);
/* Nonsense was met in it: counted once, here, and soon set aside. Any thread.
 */
void shard_mark_damaged(struct shard_common *common, struct slice *slice);

/* Commit the parts linked by letter.next as one group. Returns 0 or ERR_*. */
int group_commit(struct shard *shard, struct letter *parts);

/*
 * One fold, if some slice has something to fold: with `is_idle` from eight
 * runs of a level, else from sixteen; and with it, of slices that are full or
 * whose span is over, what is worth it when nothing came for them for a while.
 * Returns whether something was done.
 */
struct fold_time {
	uint32_t wall_s;
	uint64_t mono_ms;
};
bool fold_one(struct shard *shard, bool is_idle, struct fold_time now);

/*
 * Write chunks with the envelopes of a builder that has its index, in the
 * order of topics, and set chunk and offset of its entries. `bytes_of` may
 * look at the entry as it was before, and says NULL if there is nothing.
 * Errors are those of slice_write_chunk(), and ERR_CORRUPT for such a NULL.
 */
typedef const uint8_t *(*chunk_bytes_fn)(void *ctx, uint32_t ordinal,
					 const struct run_entry *entry);
int chunks_write(struct slice *slice, struct run_builder *b,
		 chunk_bytes_fn bytes_of, void *ctx, uint32_t *chunks);

#endif
