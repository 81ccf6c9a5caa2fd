#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "net/link_impl.h"

struct entry {
	uint64_t prefix; /* 0: free */
	uint64_t count;
};

/* Open addressing, never more than half full. */
struct link_limit {
	size_t mask;
	size_t used;
	uint64_t seed;
	struct entry entries[];
};

struct link_limit *link_limit_new(size_t entries_max)
{
	struct link_limit *limit;
	size_t cap = 16;

	while (cap < 2 * entries_max)
		cap *= 2;
	limit = calloc(1, sizeof(*limit) + cap * sizeof(struct entry));
	if (!limit)
		return NULL;
	limit->mask = cap - 1;
	bytes_random((uint8_t *)&limit->seed, sizeof(limit->seed));
	limit->seed |= 1;
	return limit;
}

void link_limit_free(struct link_limit *limit)
{
	free(limit);
}

static size_t home_of(const struct link_limit *limit, uint64_t prefix)
{
	return (size_t)((prefix * limit->seed) >> 32) & limit->mask;
}

/* Where `prefix` is, or would be put. */
static struct entry *find(struct link_limit *limit, uint64_t prefix)
{
	size_t at = home_of(limit, prefix);

	while (limit->entries[at].prefix && limit->entries[at].prefix != prefix)
		at = (at + 1) & limit->mask;
	return &limit->entries[at];
}

int link_limit_take(struct link_limit *limit, uint64_t prefix, unsigned max)
{
	struct entry *entry = find(limit, prefix);

	if (max > 0 && entry->count >= max)
		return ERR_FULL;
	if (entry->count == 0) {
		assert(2 * limit->used <= limit->mask);
		limit->used++;
	}
	entry->prefix = prefix;
	entry->count++;
	return 0;
}

/* Close the hole at `hole`: later ones of the same run move up. */
static void close_hole(struct link_limit *limit, size_t hole)
{
	size_t at = hole;

	for (;;) {
		size_t home;

		at = (at + 1) & limit->mask;
		if (!limit->entries[at].prefix)
			break;
		home = home_of(limit, limit->entries[at].prefix);
		if (((at - home) & limit->mask) < ((at - hole) & limit->mask))
			continue;
		limit->entries[hole] = limit->entries[at];
		hole = at;
	}
	limit->entries[hole] = (struct entry){0};
}

void link_limit_give(struct link_limit *limit, uint64_t prefix)
{
	struct entry *entry = find(limit, prefix);

	assert(entry->count > 0);
	if (--entry->count > 0)
		return;
	limit->used--;
	close_hole(limit, (size_t)(entry - limit->entries));
}

#define TAG_V4    (UINT64_C(4) << 56)
#define TAG_V6    (UINT64_C(6) << 56)
#define TAG_NET   (UINT64_C(1) << 48)
#define TAG_OTHER (UINT64_C(9) << 56)

/* An IPv4 address in either clothing; false: it is none. */
static bool v4_of(const struct sockaddr *addr, uint32_t *out)
{
	const struct sockaddr_in6 *v6 = (const void *)addr;

	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)addr;

		*out = ntohl(v4->sin_addr.s_addr);
		return true;
	}
	if (addr->sa_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return false;
	*out = be32_load(v6->sin6_addr.s6_addr + 12);
	return true;
}

uint64_t link_prefix_ip(const struct sockaddr *addr)
{
	const struct sockaddr_in6 *v6 = (const void *)addr;
	uint32_t v4;

	if (v4_of(addr, &v4))
		return TAG_V4 | v4;
	if (addr->sa_family != AF_INET6)
		return TAG_OTHER;
	return TAG_V6 | be64_load(v6->sin6_addr.s6_addr) >> 16;
}

uint64_t link_prefix_net(const struct sockaddr *addr)
{
	const struct sockaddr_in6 *v6 = (const void *)addr;
	uint32_t v4;

	if (v4_of(addr, &v4))
		return TAG_V4 | TAG_NET | v4 >> 8;
	if (addr->sa_family != AF_INET6)
		return TAG_OTHER;
	return TAG_V6 | TAG_NET | be32_load(v6->sin6_addr.s6_addr);
}
