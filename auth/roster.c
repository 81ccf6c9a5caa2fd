#include "auth/roster.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

#define CHUNK_BITS 12
#define CHUNK_ROWS (1u << CHUNK_BITS)
#define CHUNKS_MAX 65536u
#define SLOTS_BITS 10 /* at first */

struct row {
	uint8_t node[SECP_PUBLIC_SIZE];
	_Atomic uint64_t standing;
};

/* Open addressing over the numbers of rows, at most half full. */
struct index {
	struct index *older; /* freed at the end: somebody may look into it */
	unsigned bits;
	_Atomic uint32_t slots[]; /* number + 1; 0: free */
};

struct roster {
	_Atomic(struct index *) index;
	uint64_t seed;
	uint32_t count;
	/* Rows never move. */
	struct row *chunks[CHUNKS_MAX];
};

/* ---- standings ---- */

#define SUSPENDED  (1ull << 60)
#define NO_END     (1ull << 61)
#define HAS_QUOTA  (1ull << 62)
#define HAS_CREDIT (1ull << 63)
#define EXPIRY_MAX (SUSPENDED - 1)

uint64_t roster_standing(const struct entitlement *ent)
{
	uint64_t standing =
		ent->expiry_s < EXPIRY_MAX ? ent->expiry_s : EXPIRY_MAX;

	if (ent->flags & ENTITLEMENT_SUSPENDED)
		standing |= SUSPENDED;
	if (ent->flags & ENTITLEMENT_NO_END)
		standing |= NO_END;
	if (ent->kind == PLAN_BUNDLE && ent->quota > 0)
		standing |= HAS_QUOTA;
	if (ent->credits_count > 0)
		standing |= HAS_CREDIT;
	return standing;
}

void roster_show(uint64_t standing, struct entitlement *out)
{
	out->expiry_s = standing & EXPIRY_MAX;
	out->flags = 0;
	if (standing & SUSPENDED)
		out->flags |= ENTITLEMENT_SUSPENDED;
	if (standing & NO_END)
		out->flags |= ENTITLEMENT_NO_END;
	out->kind = standing & HAS_QUOTA ? PLAN_BUNDLE : PLAN_PERIOD;
	out->quota = standing & HAS_QUOTA ? 1 : 0;
	out->credits_count = standing & HAS_CREDIT ? 1 : 0;
}

/* ---- the index ---- */

static struct index *index_new(unsigned bits, struct index *older)
{
	struct index *index = calloc(
		1, sizeof(*index) + ((size_t)1 << bits) * sizeof(uint32_t));

	if (index) {
		index->bits = bits;
		index->older = older;
	}
	return index;
}

static struct row *row_of(const struct roster *roster, uint32_t number)
{
	return &roster->chunks[number >> CHUNK_BITS][number & (CHUNK_ROWS - 1)];
}

/* Where the node is, or the free slot it would get. Keys come from outside:
 * nobody may choose their place. */
static _Atomic uint32_t *find_slot(const struct roster *roster,
				   struct index *index, const uint8_t *node,
				   struct row **row)
{
	uint64_t mixed = (be64_load(node) ^ roster->seed >> 7) * roster->seed;
	size_t mask = ((size_t)1 << index->bits) - 1;
	size_t at = mixed >> (64 - index->bits);

	for (;; at = (at + 1) & mask) {
		uint32_t number = atomic_load_explicit(&index->slots[at],
						       memory_order_acquire);

		*row = number ? row_of(roster, number - 1) : NULL;
		if (!*row || memcmp((*row)->node, node, SECP_PUBLIC_SIZE) == 0)
			return &index->slots[at];
	}
}

static int grow(struct roster *roster)
{
	struct index *index = atomic_load(&roster->index);
	struct index *more = index_new(index->bits + 1, index);
	struct row *row;

	if (!more)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < roster->count; i++)
		atomic_store_explicit(
			find_slot(roster, more, row_of(roster, i)->node, &row),
			i + 1, memory_order_relaxed);
	atomic_store(&roster->index, more);
	return 0;
}

static int make_room(struct roster *roster)
{
	const struct index *index = atomic_load(&roster->index);
	struct row **chunk = &roster->chunks[roster->count >> CHUNK_BITS];

	if (roster->count == CHUNKS_MAX * CHUNK_ROWS - 1)
		return ERR_NOMEM;
	if (!*chunk)
		*chunk = calloc(CHUNK_ROWS, sizeof(**chunk));
	if (!*chunk)
		return ERR_NOMEM;
	return 2 * (uint64_t)roster->count < (uint64_t)1 << index->bits
		       ? 0
		       : grow(roster);
}

/* ---- the roster ---- */

struct roster *roster_new(void)
{
	struct roster *roster = calloc(1, sizeof(*roster));
	struct index *index = index_new(SLOTS_BITS, NULL);

	if (!roster || !index) {
		free(roster);
		free(index);
		return NULL;
	}
	atomic_init(&roster->index, index);
	bytes_random((uint8_t *)&roster->seed, sizeof(roster->seed));
	roster->seed |= 1;
	return roster;
}

void roster_free(struct roster *roster)
{
	struct index *index;

	if (!roster)
		return;
	index = atomic_load(&roster->index);
	while (index) {
		struct index *older = index->older;

		free(index);
		index = older;
	}
	for (size_t i = 0; i < CHUNKS_MAX && roster->chunks[i]; i++)
		free(roster->chunks[i]);
	free(roster);
}

int roster_put(struct roster *roster,
	       const uint8_t node[static SECP_PUBLIC_SIZE], uint64_t standing)
{
	_Atomic uint32_t *slot;
	struct row *row;

	(void)find_slot(roster, atomic_load(&roster->index), node, &row);
	if (!row) {
		if (make_room(roster))
			return ERR_NOMEM;
		slot = find_slot(roster, atomic_load(&roster->index), node,
				 &row);
		row = row_of(roster, roster->count++);
		memcpy(row->node, node, SECP_PUBLIC_SIZE);
		atomic_init(&row->standing, standing);
		/* From here on it is found. */
		atomic_store_explicit(slot, roster->count,
				      memory_order_release);
		return 0;
	}
	atomic_store_explicit(&row->standing, standing, memory_order_release);
	return 0;
}

bool roster_find(const struct roster *roster,
		 const uint8_t node[static SECP_PUBLIC_SIZE],
		 uint64_t *standing)
{
	struct row *row;

	(void)find_slot(roster, atomic_load(&roster->index), node, &row);
	if (row)
		*standing = atomic_load_explicit(&row->standing,
						 memory_order_acquire);
	return row != NULL;
}
