#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "net/link_impl.h"

/*
 * A word is the mark of a prefix ‖ how many links it has; 0: free. A prefix
 * has its words somewhere in a window of the table; nothing ever moves, so
 * there may be several when two rings came at the same moment. Therefore who
 * takes counts itself first and then the whole window: of those that come
 * together the last one sees all, so that the bound is never passed; at worst
 * two are refused where one had room. Two prefixes with the same mark (once in
 * 2^40) share their bound.
 */
#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define WINDOW     64u /* words */
#define SPARE      4u  /* words for each prefix there may be */

struct link_limit {
	size_t mask;
	uint64_t seeds[2];
	_Atomic uint64_t words[];
};

struct link_limit *link_limit_new(size_t entries_max)
{
	struct link_limit *limit;
	size_t cap = WINDOW;

	while (cap < SPARE * entries_max)
		cap *= 2;
	limit = calloc(1, sizeof(*limit) + cap * sizeof(limit->words[0]));
	if (!limit)
		return NULL;
	limit->mask = cap - 1;
	bytes_random((uint8_t *)limit->seeds, sizeof(limit->seeds));
	return limit;
}

void link_limit_free(struct link_limit *limit)
{
	free(limit);
}

/* Where strangers cannot tell: the seeds are ours. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static uint64_t mark_of(const struct link_limit *limit, uint64_t prefix)
{
	return mix(prefix ^ limit->seeds[0]) | UINT64_C(1) << COUNT_BITS;
}

static size_t home_of(const struct link_limit *limit, uint64_t prefix)
{
	return mix(mix(prefix ^ limit->seeds[1]) + limit->seeds[0]) &
	       limit->mask;
}

static bool is_of(uint64_t word, uint64_t mark)
{
	return word != 0 && (word ^ mark) >> COUNT_BITS == 0;
}

static _Atomic uint64_t *word_at(struct link_limit *limit, size_t home,
				 unsigned i)
{
	return &limit->words[(home + i) & limit->mask];
}

/* One more: in a word of this mark, or else in a free one. */
static bool add(struct link_limit *limit, size_t home, uint64_t mark)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		_Atomic uint64_t *at = word_at(limit, home, i);
		uint64_t word = atomic_load(at);

		while (is_of(word, mark) && (word & COUNT_MASK) < COUNT_MASK)
			if (atomic_compare_exchange_weak(at, &word, word + 1))
				return true;
	}
	for (unsigned i = 0; i < WINDOW; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(word_at(limit, home, i),
						   &none,
						   (mark & ~COUNT_MASK) | 1))
			return true;
	}
	return false;
}

static uint64_t sum(struct link_limit *limit, size_t home, uint64_t mark)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < WINDOW; i++) {
		uint64_t word = atomic_load(word_at(limit, home, i));

		if (is_of(word, mark))
			count += word & COUNT_MASK;
	}
	return count;
}

int link_limit_take(struct link_limit *limit, uint64_t prefix, unsigned max)
{
	uint64_t mark = mark_of(limit, prefix);
	size_t home = home_of(limit, prefix);

	if (max > 0 && sum(limit, home, mark) >= max)
		return ERR_FULL;
	if (!add(limit, home, mark))
		return ERR_FULL;
	if (max == 0 || sum(limit, home, mark) <= max)
		return 0;
	link_limit_give(limit, prefix);
	return ERR_FULL;
}

/* One less, in whichever word; ours is in one, so it is found in the end. */
void link_limit_give(struct link_limit *limit, uint64_t prefix)
{
	uint64_t mark = mark_of(limit, prefix);
	size_t home = home_of(limit, prefix);

	for (unsigned i = 0;; i = (i + 1) % WINDOW) {
		_Atomic uint64_t *at = word_at(limit, home, i);
		uint64_t word = atomic_load(at);

		while (is_of(word, mark)) {
			uint64_t less = (word & COUNT_MASK) > 1 ? word - 1 : 0;

			if (atomic_compare_exchange_weak(at, &word, less))
				return;
		}
	}
}

/* ---- what several sets share ---- */

struct link_limits *link_limits_new(size_t links, unsigned opened_max)
{
	struct link_limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return NULL;
	limits->opened_max = opened_max;
	limits->by_ip = link_limit_new(links);
	limits->by_net = link_limit_new(links);
	if (limits->by_ip && limits->by_net)
		return limits;
	link_limits_free(limits);
	return NULL;
}

void link_limits_free(struct link_limits *limits)
{
	if (!limits)
		return;
	link_limit_free(limits->by_ip);
	link_limit_free(limits->by_net);
	free(limits);
}

bool link_limits_open(struct link_limits *limits)
{
	if (atomic_fetch_add(&limits->opened, 1) < limits->opened_max)
		return true;
	atomic_fetch_sub(&limits->opened, 1);
	return false;
}

void link_limits_closed(struct link_limits *limits)
{
	unsigned before = atomic_fetch_sub(&limits->opened, 1);

	assert(before > 0);
	(void)before;
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
