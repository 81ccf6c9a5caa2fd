#include "auth/counts.h"

#include <assert.h>
#include <stdlib.h>

#include "core/err.h"

int counts_init(struct counts *counts, size_t keys_max)
{
	size_t slots = 64;

	/* Half empty at the most, so that runs stay short. */
	while (slots < 2 * keys_max)
		slots *= 2;
	*counts = (struct counts){
		.slots = calloc(slots, sizeof(struct count_slot)),
		.mask = slots - 1,
	};
	return counts->slots ? 0 : ERR_NOMEM;
}

void counts_release(struct counts *counts)
{
	free(counts->slots);
	*counts = (struct counts){0};
}

/* Where the key is, or the free slot where it would be. */
static size_t find(const struct counts *counts, uint64_t key)
{
	size_t i = key & counts->mask;

	while (counts->slots[i].count && counts->slots[i].key != key)
		i = (i + 1) & counts->mask;
	return i;
}

uint32_t counts_get(const struct counts *counts, uint64_t key)
{
	return counts->slots[find(counts, key)].count;
}

int counts_add(struct counts *counts, uint64_t key)
{
	struct count_slot *slot = &counts->slots[find(counts, key)];

	if (slot->count == 0) {
		/* One slot stays free, so that find() ends. */
		if (counts->used == counts->mask)
			return ERR_FULL;
		counts->used++;
		slot->key = key;
	}
	slot->count++;
	return 0;
}

/* Close the gap at `hole`: move back whoever may not be found over it. */
static void close_gap(struct counts *counts, size_t hole)
{
	struct count_slot *slots = counts->slots;

	for (size_t i = (hole + 1) & counts->mask; slots[i].count;
	     i = (i + 1) & counts->mask) {
		size_t home = slots[i].key & counts->mask;

		if (((i - home) & counts->mask) >=
		    ((i - hole) & counts->mask)) {
			slots[hole] = slots[i];
			slots[i].count = 0;
			hole = i;
		}
	}
}

void counts_sub(struct counts *counts, uint64_t key)
{
	size_t i = find(counts, key);

	assert(counts->slots[i].count > 0);
	if (--counts->slots[i].count > 0)
		return;
	counts->used--;
	close_gap(counts, i);
}
