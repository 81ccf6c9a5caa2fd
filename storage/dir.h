#ifndef STORAGE_DIR_H
#define STORAGE_DIR_H
/*
 * The directory of an archive: ARCHIVE says what it is and was made with,
 * LOCK keeps a second process out, shard-NNN/ holds slices, quarantine/ what
 * was damaged.
 *
 * Thread: the opener's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dir_made_with {
	unsigned shards;
	uint32_t slice_span_s;
};

/*
 * Create (unless it must exist) and lock. `*lock` is closed to unlock.
 * Returns 0, ERR_IO or ERR_EXISTS (another process), with a sentence in `why`.
 */
int dir_lock(const char *dir, bool create, int *lock, char *why,
	     size_t why_size);
/*
 * What ARCHIVE says. Returns 0, ERR_NOTFOUND (there is none), ERR_IO, or
 * ERR_UNSUPPORTED (not of this format).
 */
int dir_load(const char *dir, struct dir_made_with *out, char *why,
	     size_t why_size);
/* Write ARCHIVE, whole or not at all. Returns 0 or ERR_IO. */
int dir_save(const char *dir, const struct dir_made_with *made, char *why,
	     size_t why_size);
/*
 * A short text kept under a name beside the shards, replaced whole or not at
 * all. Saving returns 0 or ERR_IO; loading 0, ERR_NOTFOUND, ERR_RANGE (longer
 * than `size` - 1) or ERR_IO.
 */
int dir_mark_save(const char *dir, const char *name, const char *text);
int dir_mark_load(const char *dir, const char *name, char *out, size_t size);
/* So that names in it last. 0 or ERR_IO. */
int dir_sync(const char *dir);
/* Are there shards already? */
bool dir_has_shards(const char *dir);

#endif
