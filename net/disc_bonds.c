#include "net/disc_bonds.h"

#include <assert.h>
#include <string.h>

static bool is_same_address(const struct disc4_endpoint *a,
			    const struct disc4_endpoint *b)
{
	return a->udp == b->udp && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static bool is_same_node(const uint8_t *public,
			 const struct disc4_endpoint *endpoint,
			 const struct disc4_node *node)
{
	return is_same_address(endpoint, &node->endpoint) &&
	       memcmp(public, node->public, SECP_PUBLIC_SIZE) == 0;
}

/* ---- proofs ---- */

static bool is_valid(const struct disc_bond *bond, uint64_t source,
		     uint64_t now_ms)
{
	return bond->source == source &&
	       now_ms - bond->ponged_ms < DISC_BONDS_MAX_MS;
}

static size_t set_of(uint64_t source)
{
	assert(source != 0);
	return (size_t)(source >> 8) % DISC_BONDS_SOURCES;
}

bool disc_bonds_has(const struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node, uint64_t now_ms)
{
	const struct disc_bond *set = bonds->bonds[set_of(source)];

	for (unsigned i = 0; i < DISC_BONDS_NEAR; i++)
		if (is_valid(&set[i], source, now_ms) &&
		    is_same_node(set[i].public, &set[i].endpoint, node))
			return true;
	return false;
}

bool disc_bonds_has_address(const struct disc_bonds *bonds, uint64_t source,
			    const struct disc4_endpoint *endpoint,
			    uint64_t now_ms)
{
	const struct disc_bond *set = bonds->bonds[set_of(source)];

	for (unsigned i = 0; i < DISC_BONDS_NEAR; i++)
		if (is_valid(&set[i], source, now_ms) &&
		    is_same_address(&set[i].endpoint, endpoint))
			return true;
	return false;
}

/* The higher, the sooner it makes place for a new one of `source`: none at all
 * or one that is over, one of its own, one of others. */
static unsigned turn_of(const struct disc_bond *bond, uint64_t source,
			uint64_t now_ms)
{
	if (bond->source == 0 || !is_valid(bond, bond->source, now_ms))
		return 2;
	return bond->source == source;
}

static struct disc_bond *place_for(struct disc_bond *set, uint64_t source,
				   uint64_t now_ms)
{
	struct disc_bond *best = &set[0];

	for (unsigned i = 1; i < DISC_BONDS_NEAR; i++) {
		unsigned a = turn_of(&set[i], source, now_ms);
		unsigned b = turn_of(best, source, now_ms);

		if (a > b || (a == b && set[i].ponged_ms < best->ponged_ms))
			best = &set[i];
	}
	return best;
}

void disc_bonds_put(struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node, uint64_t now_ms)
{
	struct disc_bond *set = bonds->bonds[set_of(source)];
	struct disc_bond *bond = place_for(set, source, now_ms);

	for (unsigned i = 0; i < DISC_BONDS_NEAR; i++)
		if (set[i].source == source &&
		    is_same_node(set[i].public, &set[i].endpoint, node))
			bond = &set[i];
	bond->source = source;
	bond->ponged_ms = now_ms;
	bond->endpoint = node->endpoint;
	memcpy(bond->public, node->public, SECP_PUBLIC_SIZE);
}

/* ---- Pings ---- */

bool disc_pings_has_room(const struct disc_bonds *bonds, uint64_t source,
			 const struct disc4_node *node)
{
	unsigned near = 0, all = 0;

	for (unsigned i = 0; i < DISC_PINGS_MAX; i++) {
		const struct disc_ping *ping = &bonds->pings[i];

		if (ping->source == 0)
			continue;
		all++;
		near += ping->source == source;
		if (is_same_node(ping->node.public, &ping->node.endpoint, node))
			return false;
	}
	return all < DISC_PINGS_MAX && near < DISC_PINGS_NEAR;
}

void disc_pings_put(struct disc_bonds *bonds, uint64_t source,
		    const struct disc4_node *node,
		    const uint8_t hash[static DISC4_HASH_SIZE], uint64_t now_ms)
{
	struct disc_ping *ping = bonds->pings;

	while (ping->source) {
		ping++;
		assert(ping < bonds->pings + DISC_PINGS_MAX);
	}
	ping->source = source;
	ping->sent_ms = now_ms;
	ping->node = *node;
	memcpy(ping->hash, hash, sizeof(ping->hash));
}

struct disc_ping *disc_pings_find(struct disc_bonds *bonds,
				  const uint8_t hash[static DISC4_HASH_SIZE],
				  const struct disc4_endpoint *endpoint)
{
	for (unsigned i = 0; i < DISC_PINGS_MAX; i++) {
		struct disc_ping *ping = &bonds->pings[i];

		if (ping->source &&
		    memcmp(ping->hash, hash, sizeof(ping->hash)) == 0 &&
		    is_same_address(&ping->node.endpoint, endpoint))
			return ping;
	}
	return NULL;
}

struct disc_ping *disc_pings_late(struct disc_bonds *bonds, uint64_t now_ms)
{
	for (unsigned i = 0; i < DISC_PINGS_MAX; i++) {
		struct disc_ping *ping = &bonds->pings[i];

		if (ping->source && now_ms - ping->sent_ms > DISC_PING_MAX_MS)
			return ping;
	}
	return NULL;
}
