#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H
/*
 * Where threads meet: a bounded queue of letters from many threads to one.
 * Putting never waits and takes no lock. The reader either sleeps in
 * mailbox_wait() (a worker) or is told through `wake` (a ring) when the box
 * was empty before.
 *
 * Letters are embedded in the caller's objects and belong to the box from put
 * to take. Order is kept per sender.
 *
 * Thread: put from any, the rest from the one reader.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct letter {
	struct letter *next;
};

typedef void (*mailbox_wake_fn)(void *ctx);

struct mailbox {
	_Atomic(struct letter *) head; /* newest first */
	atomic_uint count;
	atomic_uint sleeping; /* futex word of mailbox_wait() */
	unsigned max;
	mailbox_wake_fn wake; /* NULL: the reader waits */
	void *wake_ctx;
};

void mailbox_init(struct mailbox *box, unsigned max, mailbox_wake_fn wake,
		  void *wake_ctx);
/* 0 or ERR_FULL: the letter is then still the caller's. */
int mailbox_put(struct mailbox *box, struct letter *letter);
/* The same without the bound: for answers whose question was admitted. */
void mailbox_put_always(struct mailbox *box, struct letter *letter);
/* All letters, oldest first, linked by next; NULL if none. */
struct letter *mailbox_take_all(struct mailbox *box);
/* Sleep until there is a letter, mailbox_nudge(), or the time is over. */
void mailbox_wait(struct mailbox *box, unsigned timeout_ms);
/* End a mailbox_wait() or call wake without a letter: to stop a thread. */
void mailbox_nudge(struct mailbox *box);
unsigned mailbox_count(const struct mailbox *box);

#endif
