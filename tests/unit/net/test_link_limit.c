#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "net/link_impl.h"

static uint64_t prefix_of(const char *text, bool is_net)
{
	union link_addr addr;

	memset(&addr, 0, sizeof(addr));
	if (inet_pton(AF_INET, text, &addr.v4.sin_addr) == 1) {
		addr.v4.sin_family = AF_INET;
	} else {
		cr_assert_eq(inet_pton(AF_INET6, text, &addr.v6.sin6_addr), 1);
		addr.v6.sin6_family = AF_INET6;
	}
	return is_net ? link_prefix_net(&addr.any) : link_prefix_ip(&addr.any);
}

Test(prefix, is_the_address_or_its_network)
{
	cr_assert_neq(prefix_of("10.0.0.1", false),
		      prefix_of("10.0.0.2", false));
	cr_assert_eq(prefix_of("10.0.0.1", true), prefix_of("10.0.0.2", true));
	cr_assert_neq(prefix_of("10.0.1.1", true), prefix_of("10.0.0.2", true));
	cr_assert_eq(prefix_of("2001:db8:1:2::1", false),
		     prefix_of("2001:db8:1:3::9", false));
	cr_assert_neq(prefix_of("2001:db8:1::1", false),
		      prefix_of("2001:db8:2::1", false));
	cr_assert_eq(prefix_of("2001:db8:1::1", true),
		     prefix_of("2001:db8:2::1", true));
	cr_assert_neq(prefix_of("2001:db8::", true),
		      prefix_of("2001:db9::", true));
	cr_assert_neq(prefix_of("0.0.0.0", false), 0);
	cr_assert_neq(prefix_of("::", true), 0);
}

Test(prefix, one_host_is_one_in_either_clothing)
{
	cr_assert_eq(prefix_of("::ffff:10.1.2.3", false),
		     prefix_of("10.1.2.3", false));
	cr_assert_eq(prefix_of("::ffff:10.1.2.3", true),
		     prefix_of("10.1.2.9", true));
}

Test(limit, stands_at_its_bound_and_frees_again)
{
	struct link_limit *limit = link_limit_new(4);

	cr_assert_eq(link_limit_take(limit, 7, 2), 0);
	cr_assert_eq(link_limit_take(limit, 7, 2), 0);
	cr_assert_eq(link_limit_take(limit, 7, 2), ERR_FULL);
	cr_assert_eq(link_limit_take(limit, 8, 2), 0);
	cr_assert_eq(link_limit_take(limit, 7, 0), 0);
	link_limit_give(limit, 7);
	link_limit_give(limit, 7);
	cr_assert_eq(link_limit_take(limit, 7, 2), 0);
	cr_assert_eq(link_limit_take(limit, 7, 2), ERR_FULL);
	link_limit_free(limit);
}

#define KEYS 512

/* Against plain counters, with many collisions and removals. */
Test(limit, counts_like_a_plain_array)
{
	struct link_limit *limit = link_limit_new(KEYS);
	unsigned counts[KEYS] = {0};
	uint32_t seed = 1;

	for (unsigned i = 0; i < 200000; i++) {
		unsigned key;

		seed = seed * 1664525 + 1013904223;
		key = (seed >> 8) % KEYS;
		if (seed >> 31 && counts[key] > 0) {
			link_limit_give(limit, 1000 + key);
			counts[key]--;
			continue;
		}
		cr_assert_eq(link_limit_take(limit, 1000 + key, 3),
			     counts[key] < 3 ? 0 : ERR_FULL);
		if (counts[key] < 3)
			counts[key]++;
	}
	for (unsigned key = 0; key < KEYS; key++)
		while (counts[key]-- > 0)
			link_limit_give(limit, 1000 + key);
	for (unsigned key = 0; key < KEYS; key++)
		cr_assert_eq(link_limit_take(limit, 5000 + key, 1), 0);
	link_limit_free(limit);
}
