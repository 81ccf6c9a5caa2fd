#include "storage/readers.h"

#include <sched.h>

void readers_init(struct readers *readers)
{
	atomic_init(&readers->epoch, 1);
	for (unsigned i = 0; i < READERS_MAX; i++) {
		atomic_init(&readers->slots[i].epoch, 0);
		atomic_init(&readers->slots[i].is_taken, false);
		readers->slots[i].work = NULL;
	}
}

static struct reader *take_slot(struct readers *readers)
{
	for (;;) {
		for (unsigned i = 0; i < READERS_MAX; i++) {
			struct reader *reader = &readers->slots[i];

			if (!atomic_load_explicit(&reader->is_taken,
						  memory_order_relaxed) &&
			    !atomic_exchange(&reader->is_taken, true))
				return reader;
		}
		sched_yield();
	}
}

struct reader *readers_enter(struct readers *readers)
{
	struct reader *reader = take_slot(readers);

	/* The store stands before the loads of what will be read. */
	atomic_store(&reader->epoch, atomic_load(&readers->epoch));
	return reader;
}

void readers_leave(struct reader *reader)
{
	atomic_store(&reader->epoch, 0);
	atomic_store(&reader->is_taken, false);
}

uint64_t readers_stamp(struct readers *readers)
{
	return atomic_fetch_add(&readers->epoch, 1) + 1;
}

bool readers_is_past(struct readers *readers, uint64_t stamp)
{
	for (unsigned i = 0; i < READERS_MAX; i++) {
		uint64_t epoch = atomic_load(&readers->slots[i].epoch);

		if (epoch != 0 && epoch < stamp)
			return false;
	}
	return true;
}
