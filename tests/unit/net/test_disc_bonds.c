#include "net/disc_bonds.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define SOURCE 0x1201u

static struct disc4_node node_of(uint32_t number, uint16_t udp)
{
	struct disc4_node node = {.endpoint = {.ip = {1}, .udp = udp}};

	be32_store(node.public, number);
	return node;
}

Test(disc_bonds, a_proof_is_of_one_node_at_one_address_for_a_day)
{
	struct disc_bonds *bonds = calloc(1, sizeof(*bonds));
	struct disc4_node node = node_of(1, 30303), other = node_of(2, 30303);

	cr_assert_not(disc_bonds_has(bonds, SOURCE, &node, 5));
	disc_bonds_put(bonds, SOURCE, &node, 10);
	cr_assert(disc_bonds_has(bonds, SOURCE, &node, 10));
	cr_assert(disc_bonds_has_address(bonds, SOURCE, &other.endpoint, 10));
	cr_assert_not(disc_bonds_has(bonds, SOURCE, &other, 10));
	other = node_of(1, 30304);
	cr_assert_not(disc_bonds_has(bonds, SOURCE, &other, 10));
	cr_assert_not(
		disc_bonds_has_address(bonds, SOURCE, &other.endpoint, 10));
	cr_assert(disc_bonds_has(bonds, SOURCE, &node,
				 10 + DISC_BONDS_MAX_MS - 1));
	cr_assert_not(
		disc_bonds_has(bonds, SOURCE, &node, 10 + DISC_BONDS_MAX_MS));
	disc_bonds_put(bonds, SOURCE, &node, DISC_BONDS_MAX_MS);
	cr_assert(disc_bonds_has(bonds, SOURCE, &node, DISC_BONDS_MAX_MS + 99));
	free(bonds);
}

/* Also where both are of one set, and when it is full. */
static void check_pushing(uint64_t honest_source, uint32_t others)
{
	struct disc_bonds *bonds = calloc(1, sizeof(*bonds));
	struct disc4_node honest = node_of(7, 30303), node;

	for (uint32_t i = 0; i < others; i++) {
		node = node_of(20000 + i, 2);
		disc_bonds_put(bonds, honest_source, &node, 1);
	}
	disc_bonds_put(bonds, honest_source, &honest, 2);
	for (uint32_t i = 0; i < 10000; i++) {
		node = node_of(i, 1);
		disc_bonds_put(bonds, SOURCE, &node, 3 + i);
		cr_assert(disc_bonds_has(bonds, SOURCE, &node, 3 + i));
	}
	cr_assert(disc_bonds_has(bonds, honest_source, &honest, 20000));
	free(bonds);
}

Test(disc_bonds, one_address_pushes_out_its_own_proofs_alone)
{
	check_pushing(SOURCE + 0x100, 0);
	check_pushing(SOURCE + (DISC_BONDS_SOURCES << 8), 0);
	/* One place is every address's. */
	check_pushing(SOURCE + (DISC_BONDS_SOURCES << 8), DISC_BONDS_NEAR - 1);
}

Test(disc_bonds, a_proof_that_is_over_goes_before_one_that_is_good)
{
	struct disc_bonds *bonds = calloc(1, sizeof(*bonds));
	struct disc4_node own = node_of(1, 1), node;
	uint64_t late_ms = DISC_BONDS_MAX_MS + 10;

	for (uint32_t i = 1; i < DISC_BONDS_NEAR; i++) {
		node = node_of(10 + i, 1);
		disc_bonds_put(bonds, SOURCE + (DISC_BONDS_SOURCES << 8), &node,
			       1);
	}
	disc_bonds_put(bonds, SOURCE, &own, late_ms - 1);
	node = node_of(2, 1);
	disc_bonds_put(bonds, SOURCE, &node, late_ms);
	cr_assert(disc_bonds_has(bonds, SOURCE, &own, late_ms));
	cr_assert(disc_bonds_has(bonds, SOURCE, &node, late_ms));
	free(bonds);
}

Test(disc_bonds, a_pong_belongs_to_a_ping_of_its_hash_and_address)
{
	struct disc_bonds *bonds = calloc(1, sizeof(*bonds));
	struct disc4_node node = node_of(1, 30303), moved = node_of(1, 30304);
	uint8_t hash[DISC4_HASH_SIZE] = {9}, wrong[DISC4_HASH_SIZE] = {8};
	struct disc_ping *ping;

	cr_assert(disc_pings_has_room(bonds, SOURCE, &node));
	disc_pings_put(bonds, SOURCE, &node, hash, 100);
	/* Not twice at a time. */
	cr_assert_not(disc_pings_has_room(bonds, SOURCE, &node));
	cr_assert(disc_pings_has_room(bonds, SOURCE, &moved));
	cr_assert_null(disc_pings_find(bonds, wrong, &node.endpoint));
	cr_assert_null(disc_pings_find(bonds, hash, &moved.endpoint));
	ping = disc_pings_find(bonds, hash, &node.endpoint);
	cr_assert_not_null(ping);
	cr_assert_null(disc_pings_late(bonds, 100 + DISC_PING_MAX_MS));
	cr_assert_eq(disc_pings_late(bonds, 101 + DISC_PING_MAX_MS), ping);
	ping->source = 0;
	cr_assert_null(disc_pings_late(bonds, 101 + DISC_PING_MAX_MS));
	cr_assert_null(disc_pings_find(bonds, hash, &node.endpoint));
	cr_assert(disc_pings_has_room(bonds, SOURCE, &node));
	free(bonds);
}

Test(disc_bonds, pings_are_bounded_for_one_address_and_in_all)
{
	struct disc_bonds *bonds = calloc(1, sizeof(*bonds));
	const uint8_t hash[DISC4_HASH_SIZE] = {0};
	unsigned sent = 0;

	for (uint32_t i = 0; i < 4 * DISC_PINGS_MAX; i++) {
		struct disc4_node node = node_of(i, 1);
		uint64_t source = SOURCE + i % 64;

		if (!disc_pings_has_room(bonds, source, &node))
			continue;
		disc_pings_put(bonds, source, &node, hash, 1);
		sent++;
	}
	cr_assert_eq(sent, DISC_PINGS_MAX);
	memset(bonds, 0, sizeof(*bonds));
	for (uint32_t i = 0; i < 100; i++) {
		struct disc4_node node = node_of(i, 1);

		cr_assert_eq(disc_pings_has_room(bonds, SOURCE, &node),
			     i < DISC_PINGS_NEAR);
		if (i < DISC_PINGS_NEAR)
			disc_pings_put(bonds, SOURCE, &node, hash, 1);
	}
	free(bonds);
}
