#include "net/disc_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/enode.h"
#include "core/err.h"
#include "net/disc_addr.h"

static const uint8_t self[SECP_PUBLIC_SIZE] = {1};

/* The table does not ask whether a key is a point: numbers will do. */
static struct disc4_node node_of(uint32_t number, const char *ip)
{
	struct disc4_node node = {.endpoint = {.udp = 30303, .tcp = 30303}};

	be32_store(node.public, number + 1000);
	cr_assert(disc_addr_decode(ip, node.endpoint.ip));
	return node;
}

/* In the last bucket, where half of all are. */
static struct disc4_node far_node(const struct disc_table *table,
				  uint32_t *number, const char *ip)
{
	for (;;) {
		struct disc4_node node = node_of((*number)++, ip);
		uint8_t id[32];

		enode_id(node.public, id);
		if ((id[0] ^ table->self[0]) & 0x80)
			return node;
	}
}

Test(disc_table, a_node_is_known_once_and_moves_with_its_address)
{
	struct disc_table *table = calloc(1, sizeof(*table));
	struct disc4_node node = node_of(1, "127.0.0.1");
	struct disc_entry *entry;

	disc_table_init(table, self);
	cr_assert_null(disc_table_find(table, node.public));
	cr_assert_null(disc_table_stalest(table));
	cr_assert_eq(disc_table_seen(table, &node, 1), 0);
	node.endpoint.udp = 1;
	cr_assert_eq(disc_table_seen(table, &node, 2), 0);
	cr_assert_eq(table->count, 1);
	entry = disc_table_find(table, node.public);
	cr_assert_eq(entry->node.endpoint.udp, 1);
	cr_assert_eq(entry->seen_ms, 2);
	memcpy(node.public, self, sizeof(self));
	cr_assert_eq(disc_table_seen(table, &node, 3), ERR_RANGE);
	free(table);
}

Test(disc_table, a_full_bucket_keeps_whom_it_has)
{
	struct disc_table *table = calloc(1, sizeof(*table));
	struct disc4_node node, first;
	struct disc_entry *stalest;
	uint32_t number = 0;

	disc_table_init(table, self);
	for (unsigned i = 0; i < DISC_TABLE_ENTRIES; i++) {
		node = far_node(table, &number, "10.0.0.1");
		if (i == 0)
			first = node;
		cr_assert_eq(disc_table_seen(table, &node, 100 + i), 0);
	}
	node = far_node(table, &number, "10.0.0.1");
	cr_assert_eq(disc_table_seen(table, &node, 200), ERR_FULL);
	stalest = disc_table_stalest_near(table, node.public);
	cr_assert_arr_eq(stalest->node.public, first.public, SECP_PUBLIC_SIZE);
	cr_assert_eq(disc_table_stalest(table), stalest);
	/* A sign of life takes back what was held against it. */
	for (unsigned i = 1; i < DISC_TABLE_FAILS; i++)
		cr_assert_not(disc_table_failed(table, stalest));
	cr_assert_eq(disc_table_seen(table, &first, 201), 0);
	for (unsigned i = 1; i < DISC_TABLE_FAILS; i++)
		cr_assert_not(disc_table_failed(table, stalest));
	cr_assert(disc_table_failed(table, stalest));
	cr_assert_null(disc_table_find(table, first.public));
	cr_assert_eq(table->count, DISC_TABLE_ENTRIES - 1);
	cr_assert_eq(disc_table_seen(table, &node, 202), 0);
	free(table);
}

Test(disc_table, one_network_has_two_in_a_bucket_and_ten_in_all)
{
	struct disc_table *table = calloc(1, sizeof(*table));
	unsigned taken = 0;
	uint32_t number = 0;
	struct disc4_node node;

	disc_table_init(table, self);
	for (unsigned i = 0; i < 3; i++) {
		node = far_node(table, &number, "198.0.7.1");
		cr_assert_eq(disc_table_seen(table, &node, 1),
			     i < DISC_TABLE_NEAR_BUCKET ? 0 : ERR_FULL);
	}
	node = far_node(table, &number, "198.0.8.1");
	cr_assert_eq(disc_table_seen(table, &node, 1), 0);
	/* Whom it has may come again, but not move to a crowded network. */
	cr_assert_eq(disc_table_seen(table, &node, 2), 0);
	cr_assert(disc_addr_decode("198.0.7.200", node.endpoint.ip));
	cr_assert_eq(disc_table_seen(table, &node, 3), ERR_FULL);
	for (number = 0; number < 3000; number++) {
		node = node_of(number, "198.0.7.2");
		taken += disc_table_seen(table, &node, 4) == 0;
	}
	cr_assert_eq(table->count, DISC_TABLE_NEAR_ALL + 1);
	cr_assert_geq(taken, DISC_TABLE_NEAR_ALL - 2);
	free(table);
}

static int compare(const uint8_t *target, const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < 32; i++)
		if (a[i] != b[i])
			return (a[i] ^ target[i]) - (b[i] ^ target[i]);
	return 0;
}

Test(disc_table, the_closest_are_those_of_a_search_through_all)
{
	struct disc_table *table = calloc(1, sizeof(*table));
	struct disc_entry *closest[DISC_TABLE_CLOSEST];
	uint8_t target[32];
	unsigned count;

	disc_table_init(table, self);
	for (uint32_t i = 0; i < 2000; i++) {
		struct disc4_node node = node_of(i, "10.0.0.1");

		(void)disc_table_seen(table, &node, i);
	}
	cr_assert_gt(table->count, 100);
	for (uint32_t round = 0; round < 50; round++) {
		enode_id(node_of(round + 5000, "10.0.0.1").public, target);
		count = disc_table_closest(table, target, closest);
		cr_assert_eq(count, DISC_TABLE_CLOSEST);
		for (unsigned i = 1; i < count; i++)
			cr_assert_lt(compare(target, closest[i - 1]->id,
					     closest[i]->id),
				     0);
		for (unsigned b = 0; b < DISC_TABLE_BUCKETS; b++)
			for (unsigned i = 0; i < table->buckets[b].count; i++) {
				struct disc_entry *e =
					&table->buckets[b].entries[i];
				bool is_in = false;

				for (unsigned j = 0; j < count; j++)
					is_in |= closest[j] == e;
				cr_assert(is_in ||
					  compare(target, closest[15]->id,
						  e->id) < 0);
			}
	}
	free(table);
}

Test(disc_table, few_nodes_are_all_named)
{
	struct disc_table *table = calloc(1, sizeof(*table));
	struct disc_entry *closest[DISC_TABLE_CLOSEST];
	struct disc4_node node = node_of(1, "10.0.0.1");

	disc_table_init(table, self);
	cr_assert_eq(disc_table_closest(table, table->self, closest), 0);
	cr_assert_eq(disc_table_seen(table, &node, 1), 0);
	cr_assert_eq(disc_table_closest(table, table->self, closest), 1);
	free(table);
}
