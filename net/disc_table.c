#include "net/disc_table.h"

#include <string.h>

#include "core/enode.h"
#include "core/err.h"
#include "net/disc_addr.h"

/* The first bucket takes all that are nearer; half of all nodes go in the last.
 */
#define DISTANCE_MIN (256 - DISC_TABLE_BUCKETS)

void disc_table_init(struct disc_table *table,
		     const uint8_t self[static SECP_PUBLIC_SIZE])
{
	memset(table, 0, sizeof(*table));
	enode_id(self, table->self);
}

/* Bits of the XOR, leading zeroes left out: 0 (the same) to 256. */
static unsigned distance(const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < 32; i++) {
		unsigned differ = a[i] ^ b[i];

		if (differ)
			return 8 * (32 - i) -
			       ((unsigned)__builtin_clz(differ) - 24);
	}
	return 0;
}

static struct disc_bucket *bucket_of(struct disc_table *table,
				     const uint8_t *id)
{
	unsigned d = distance(table->self, id);

	return &table->buckets[d <= DISTANCE_MIN + 1 ? 0
						     : d - DISTANCE_MIN - 1];
}

static struct disc_entry *find_in(struct disc_bucket *bucket, const uint8_t *id)
{
	for (unsigned i = 0; i < bucket->count; i++)
		if (memcmp(bucket->entries[i].id, id, 32) == 0)
			return &bucket->entries[i];
	return NULL;
}

struct disc_entry *
disc_table_find(struct disc_table *table,
		const uint8_t public[static SECP_PUBLIC_SIZE])
{
	uint8_t id[32];

	enode_id(public, id);
	return find_in(bucket_of(table, id), id);
}

/* Nodes of the network of `ip` in a bucket, but for `but`. */
static unsigned count_near(const struct disc_bucket *bucket, const uint8_t *ip,
			   const struct disc_entry *but)
{
	unsigned count = 0;

	for (unsigned i = 0; i < bucket->count; i++) {
		const struct disc_entry *entry = &bucket->entries[i];

		if (entry != but &&
		    disc_addr_is_near(ip, entry->node.endpoint.ip))
			count++;
	}
	return count;
}

static bool has_room_near(const struct disc_table *table,
			  const struct disc_bucket *bucket, const uint8_t *ip,
			  const struct disc_entry *but)
{
	unsigned all = 0;

	if (disc_addr_is_lan(ip))
		return true;
	if (count_near(bucket, ip, but) >= DISC_TABLE_NEAR_BUCKET)
		return false;
	for (unsigned i = 0; i < DISC_TABLE_BUCKETS; i++)
		all += count_near(&table->buckets[i], ip, but);
	return all < DISC_TABLE_NEAR_ALL;
}

int disc_table_seen(struct disc_table *table, const struct disc4_node *node,
		    uint64_t now_ms)
{
	struct disc_bucket *bucket;
	struct disc_entry *entry;
	uint8_t id[32];

	enode_id(node->public, id);
	if (memcmp(id, table->self, sizeof(id)) == 0)
		return ERR_RANGE;
	bucket = bucket_of(table, id);
	entry = find_in(bucket, id);
	if (!has_room_near(table, bucket, node->endpoint.ip, entry))
		return ERR_FULL;
	if (!entry) {
		if (bucket->count == DISC_TABLE_ENTRIES)
			return ERR_FULL;
		entry = &bucket->entries[bucket->count++];
		table->count++;
		memset(entry, 0, sizeof(*entry));
		memcpy(entry->id, id, sizeof(id));
	}
	entry->node = *node;
	entry->seen_ms = now_ms;
	entry->fails = 0;
	return 0;
}

bool disc_table_failed(struct disc_table *table, struct disc_entry *entry)
{
	struct disc_bucket *bucket = bucket_of(table, entry->id);

	if (++entry->fails < DISC_TABLE_FAILS)
		return false;
	*entry = bucket->entries[--bucket->count];
	table->count--;
	return true;
}

static struct disc_entry *stalest_in(struct disc_bucket *bucket)
{
	struct disc_entry *stalest = NULL;

	for (unsigned i = 0; i < bucket->count; i++) {
		struct disc_entry *entry = &bucket->entries[i];

		if (!stalest || entry->seen_ms < stalest->seen_ms)
			stalest = entry;
	}
	return stalest;
}

struct disc_entry *disc_table_stalest(struct disc_table *table)
{
	struct disc_entry *stalest = NULL;

	for (unsigned i = 0; i < DISC_TABLE_BUCKETS; i++) {
		struct disc_entry *entry = stalest_in(&table->buckets[i]);

		if (entry && (!stalest || entry->seen_ms < stalest->seen_ms))
			stalest = entry;
	}
	return stalest;
}

struct disc_entry *
disc_table_stalest_near(struct disc_table *table,
			const uint8_t public[static SECP_PUBLIC_SIZE])
{
	uint8_t id[32];

	enode_id(public, id);
	return stalest_in(bucket_of(table, id));
}

static bool is_closer(const uint8_t *target, const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < 32; i++)
		if (a[i] != b[i])
			return (a[i] ^ target[i]) < (b[i] ^ target[i]);
	return false;
}

/* Put it where it belongs among the `count` closest so far. */
static unsigned insert(struct disc_entry **out, unsigned count,
		       const uint8_t *target, struct disc_entry *entry)
{
	unsigned at = count;

	while (at > 0 && is_closer(target, entry->id, out[at - 1]->id))
		at--;
	if (at == DISC_TABLE_CLOSEST)
		return count;
	if (count < DISC_TABLE_CLOSEST)
		count++;
	memmove(out + at + 1, out + at, (count - at - 1) * sizeof(out[0]));
	out[at] = entry;
	return count;
}

unsigned disc_table_closest(struct disc_table *table,
			    const uint8_t id[static 32],
			    struct disc_entry *out[static DISC_TABLE_CLOSEST])
{
	unsigned count = 0;

	for (unsigned i = 0; i < DISC_TABLE_BUCKETS; i++) {
		struct disc_bucket *bucket = &table->buckets[i];

		for (unsigned j = 0; j < bucket->count; j++)
			count = insert(out, count, id, &bucket->entries[j]);
	}
	return count;
}
