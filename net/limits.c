#include "net/limits.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define SETS_COUNT 512 /* a power of two */
#define WAYS_COUNT 4

struct limits {
	uint64_t seed;
	struct limits_entry sets[SETS_COUNT][WAYS_COUNT];
};

static void refill(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		   uint64_t now_ms)
{
	int64_t full = (int64_t)burst * 1000;
	uint64_t passed_ms = now_ms - bucket->last_ms;

	if (bucket->last_ms == 0 || passed_ms > 1000000) {
		bucket->milli = full;
	} else {
		bucket->milli += (int64_t)passed_ms * per_s;
		if (bucket->milli > full)
			bucket->milli = full;
	}
	bucket->last_ms = now_ms;
}

bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		 uint32_t tokens, uint64_t now_ms)
{
	if (per_s == 0)
		return true;
	refill(bucket, per_s, burst, now_ms);
	if (bucket->milli < (int64_t)tokens * 1000)
		return false;
	bucket->milli -= (int64_t)tokens * 1000;
	return true;
}

uint64_t bucket_charge(struct bucket *bucket, uint32_t per_s, uint32_t burst,
		       uint32_t tokens, uint64_t now_ms)
{
	if (per_s == 0)
		return 0;
	refill(bucket, per_s, burst, now_ms);
	bucket->milli -= (int64_t)tokens * 1000;
	if (bucket->milli >= 0)
		return 0;
	return (uint64_t)(-bucket->milli / per_s) + 1;
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

struct limits_entry *limits_get(struct limits *limits, uint64_t key,
				uint64_t now_ms)
{
	struct limits_entry *set = limits->sets[key % SETS_COUNT];
	struct limits_entry *oldest = &set[0];

	for (unsigned i = 0; i < WAYS_COUNT; i++) {
		if (set[i].key == key) {
			oldest = &set[i];
			break;
		}
		if (set[i].seen_ms < oldest->seen_ms)
			oldest = &set[i];
	}
	if (oldest->key != key) {
		memset(oldest, 0, sizeof(*oldest));
		oldest->key = key;
	}
	oldest->seen_ms = now_ms;
	return oldest;
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
