#include "net/limits.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define SETS_COUNT 4096 /* a power of two */
#define WAYS_COUNT 4
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   UINT64_C(1000000000)

struct limits {
	uint64_t seed;
	struct limits_entry sets[SETS_COUNT][WAYS_COUNT];
};

/* The time in which so many tokens come. */
static uint64_t time_of(uint32_t tokens, uint32_t per_s)
{
	return tokens * NS_PER_S / per_s;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		 uint32_t tokens, uint64_t now_ms)
{
	uint64_t now_ns = now_ms * NS_PER_MS;
	uint64_t full_ns, taken_ns;

	if (per_s == 0)
		return true;
	full_ns = atomic_load(&bucket->full_ns);
	do {
		taken_ns = later(full_ns, now_ns) + time_of(tokens, per_s);
		if (taken_ns - now_ns > time_of(burst, per_s))
			return false;
	} while (!atomic_compare_exchange_weak(&bucket->full_ns, &full_ns,
					       taken_ns));
	return true;
}

uint64_t bucket_charge(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		       uint32_t tokens, uint64_t now_ms)
{
	uint64_t now_ns = now_ms * NS_PER_MS;
	uint64_t full_ns, taken_ns, empty_ns;

	if (per_s == 0)
		return 0;
	full_ns = atomic_load(&bucket->full_ns);
	do {
		taken_ns = later(full_ns, now_ns) + time_of(tokens, per_s);
	} while (!atomic_compare_exchange_weak(&bucket->full_ns, &full_ns,
					       taken_ns));
	empty_ns = now_ns + time_of(burst, per_s);
	return taken_ns > empty_ns ? (taken_ns - empty_ns) / NS_PER_MS + 1 : 0;
}

struct limits *limits_new(void)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits)
		bytes_random((uint8_t *)&limits->seed, sizeof(limits->seed));
	return limits;
}

void limits_free(struct limits *limits)
{
	free(limits);
}

/* The key's own entry, or else the one that was not seen for longest. */
static struct limits_entry *look_up(struct limits_entry *set, uint64_t key)
{
	struct limits_entry *oldest = &set[0];

	for (unsigned i = 0; i < WAYS_COUNT; i++) {
		if (atomic_load(&set[i].key) == key)
			return &set[i];
		if (atomic_load(&set[i].seen_ms) <
		    atomic_load(&oldest->seen_ms))
			oldest = &set[i];
	}
	return oldest;
}

static void fill(struct limits_entry *entry)
{
	atomic_store(&entry->handshakes.full_ns, 0);
	atomic_store(&entry->envelopes.full_ns, 0);
	atomic_store(&entry->bytes.full_ns, 0);
	atomic_store(&entry->requests.full_ns, 0);
}

/*
 * Two rings that meet a new key at the same moment may each give it an entry;
 * from then on both find the same one of them.
 */
struct limits_entry *limits_get(struct limits *limits, uint64_t key,
				uint64_t now_ms)
{
	struct limits_entry *entry;
	uint64_t owner;

	do {
		entry = look_up(limits->sets[key % SETS_COUNT], key);
		owner = atomic_load(&entry->key);
	} while (owner != key &&
		 !atomic_compare_exchange_weak(&entry->key, &owner, key));
	if (owner != key)
		fill(entry);
	atomic_store(&entry->seen_ms, now_ms);
	return entry;
}

/* Seeded, so that nobody can choose whom he shares a set with. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash ^= value;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 32;
	hash *= UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 29;
}

uint64_t limits_address_key(const struct limits *limits,
			    const struct sockaddr *addr)
{
	uint64_t value = 0;

	if (addr->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, addr, sizeof(in));
		value = in.sin_addr.s_addr;
	} else if (addr->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, addr, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			memcpy(&value, in6.sin6_addr.s6_addr + 12, 4);
		else
			memcpy(&value, in6.sin6_addr.s6_addr, 6);
		value |= UINT64_C(1) << 48;
	}
	return mix(mix(limits->seed, 1), value) | 1;
}

uint64_t limits_node_key(const struct limits *limits,
			 const uint8_t node[static 64])
{
	uint64_t hash = mix(limits->seed, 2);

	for (unsigned i = 0; i < 64; i += 8)
		hash = mix(hash, be64_load(node + i));
	return hash | 1;
}
