#include "net/peers.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/err.h"

#define SLOTS_COUNT 16 /* of one group; a group holds what hashes to it */

struct group {
	_Atomic uint64_t slots[SLOTS_COUNT]; /* 0: empty */
};

struct peers {
	uint64_t seed;
	size_t groups_count; /* a power of two */
	struct group groups[];
};

struct peers *peers_new(size_t peers_max)
{
	struct peers *peers;
	size_t count = 16;

	while (count * SLOTS_COUNT < peers_max * 4)
		count *= 2;
	peers = calloc(1, sizeof(*peers) + count * sizeof(peers->groups[0]));
	if (!peers)
		return NULL;
	bytes_random((uint8_t *)&peers->seed, sizeof(peers->seed));
	peers->groups_count = count;
	return peers;
}

void peers_free(struct peers *peers)
{
	free(peers);
}

/*
 * Eight bytes of a public key stand for it: to find another key with the same
 * ones takes 2^64 tries.
 */
static uint64_t mark_of(const uint8_t *node)
{
	uint64_t mark = be64_load(node);

	return mark ? mark : 1;
}

static size_t group_of(const struct peers *peers, uint64_t mark)
{
	uint64_t hash = (mark ^ peers->seed) * UINT64_C(0x9e3779b97f4a7c15);

	hash ^= hash >> 32;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	return (size_t)(hash >> 32) & (peers->groups_count - 1);
}

static unsigned count_of(const struct group *group, uint64_t mark)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SLOTS_COUNT; i++)
		count += atomic_load(&group->slots[i]) == mark;
	return count;
}

/*
 * Whoever sees another one's mark after having set its own takes it back: of
 * two that meet at least one sees the other.
 */
int peers_claim(struct peers *peers, const uint8_t node[static 64])
{
	uint64_t mark = mark_of(node);
	struct group *group = &peers->groups[group_of(peers, mark)];

	if (count_of(group, mark) > 0)
		return ERR_EXISTS;
	for (unsigned i = 0; i < SLOTS_COUNT; i++) {
		uint64_t empty = 0;

		if (!atomic_compare_exchange_strong(&group->slots[i], &empty,
						    mark))
			continue;
		if (count_of(group, mark) == 1)
			return 0;
		atomic_store(&group->slots[i], 0);
		return ERR_EXISTS;
	}
	return ERR_FULL;
}

void peers_release(struct peers *peers, const uint8_t node[static 64])
{
	uint64_t mark = mark_of(node);
	struct group *group = &peers->groups[group_of(peers, mark)];

	for (unsigned i = 0; i < SLOTS_COUNT; i++) {
		uint64_t held = mark;

		if (atomic_compare_exchange_strong(&group->slots[i], &held, 0))
			return;
	}
	assert(false); /* released without a claim */
}

bool peers_has(const struct peers *peers, const uint8_t node[static 64])
{
	uint64_t mark = mark_of(node);

	return count_of(&peers->groups[group_of(peers, mark)], mark) > 0;
}
