#ifndef AUTH_BACKLOG_H
#define AUTH_BACKLOG_H
/*
 * What waits to be looked at, in fair order (payments.md §16.2): classes with
 * weights, and within a class one claim of each source in turn. A lane is a
 * class of one chain, so that a job taken from it is of one kind.
 *
 * Items are embedded in the caller's objects.
 *
 * Thread: its owner's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum backlog_class {
	BACKLOG_REORG,   /* weight 8 */
	BACKLOG_CONFIRM, /* 4 */
	BACKLOG_FIRST,   /* 3 */
	BACKLOG_PENDING, /* 1 */
	BACKLOG_CLASSES
};

struct backlog_item {
	struct backlog_item *next;
	uint64_t source;
};

struct backlog;

/* `chains` lanes of each class. NULL: no memory. */
struct backlog *backlog_new(unsigned chains);
/* Items still in it are the caller's. */
void backlog_free(struct backlog *backlog);

/* 0 or ERR_NOMEM. item->source is set. */
int backlog_put(struct backlog *backlog, unsigned chain,
		enum backlog_class kind, struct backlog_item *item);
size_t backlog_count(const struct backlog *backlog);

/*
 * Up to `max` items of the lane whose turn it is; `open` has bit i for each
 * chain i that can be asked now. Returns how many; 0: nothing to do.
 */
unsigned backlog_take(struct backlog *backlog, uint32_t open,
		      struct backlog_item **out, unsigned max, unsigned *chain,
		      enum backlog_class *kind);

#endif
