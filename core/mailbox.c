#include "core/mailbox.h"

#include "core/err.h"
#include "core/futex.h"

/* What the futex word `sleeping` says of the reader. */
enum { AWAKE, ASLEEP, NUDGED };

void mailbox_init(struct mailbox *box, unsigned max, mailbox_wake_fn wake,
		  void *wake_ctx)
{
	atomic_init(&box->head, NULL);
	atomic_init(&box->count, 0);
	atomic_init(&box->sleeping, AWAKE);
	box->max = max;
	box->wake = wake;
	box->wake_ctx = wake_ctx;
}

static void tell_reader(struct mailbox *box)
{
	unsigned asleep = ASLEEP;

	if (box->wake) {
		box->wake(box->wake_ctx);
		return;
	}
	/* Sequentially consistent against mailbox_wait(): either it sees the
	 * letter before it sleeps, or we see that it is about to. */
	if (atomic_compare_exchange_strong(&box->sleeping, &asleep, AWAKE))
		futex_rouse(&box->sleeping, 1);
}

/* The letter is counted already, so the count never runs below what is in. */
static void push(struct mailbox *box, struct letter *letter)
{
	struct letter *old =
		atomic_load_explicit(&box->head, memory_order_relaxed);

	do {
		letter->next = old;
	} while (!atomic_compare_exchange_weak(&box->head, &old, letter));
	/* Whoever finds the box empty tells; the others know it was told. */
	if (!old)
		tell_reader(box);
}

int mailbox_put(struct mailbox *box, struct letter *letter)
{
	unsigned before =
		atomic_fetch_add_explicit(&box->count, 1, memory_order_relaxed);

	if (before >= box->max) {
		atomic_fetch_sub_explicit(&box->count, 1, memory_order_relaxed);
		return ERR_FULL;
	}
	push(box, letter);
	return 0;
}

void mailbox_put_always(struct mailbox *box, struct letter *letter)
{
	atomic_fetch_add_explicit(&box->count, 1, memory_order_relaxed);
	push(box, letter);
}

struct letter *mailbox_take_all(struct mailbox *box)
{
	struct letter *newest = atomic_exchange(&box->head, NULL);
	struct letter *oldest = NULL;
	unsigned count = 0;

	while (newest) {
		struct letter *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
		count++;
	}
	if (count > 0)
		atomic_fetch_sub_explicit(&box->count, count,
					  memory_order_relaxed);
	return oldest;
}

void mailbox_wait(struct mailbox *box, unsigned timeout_ms)
{
	unsigned awake = AWAKE;

	if (atomic_load(&box->head))
		return;
	if (atomic_compare_exchange_strong(&box->sleeping, &awake, ASLEEP) &&
	    !atomic_load(&box->head))
		futex_sleep(&box->sleeping, ASLEEP, timeout_ms);
	/* A nudge is used up here, whenever it came. */
	atomic_store(&box->sleeping, AWAKE);
}

void mailbox_nudge(struct mailbox *box)
{
	if (box->wake) {
		box->wake(box->wake_ctx);
		return;
	}
	if (atomic_exchange(&box->sleeping, NUDGED) == ASLEEP)
		futex_rouse(&box->sleeping, 1);
}

unsigned mailbox_count(const struct mailbox *box)
{
	return atomic_load_explicit(&box->count, memory_order_relaxed);
}
