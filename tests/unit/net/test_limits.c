#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "core/err.h"
#include "net/limits.h"
#include "net/peers.h"

Test(limits, a_bucket_gives_its_burst_and_then_its_rate)
{
	struct bucket bucket = {0};

	for (unsigned i = 0; i < 5; i++)
		cr_assert(bucket_take(&bucket, 2, 5, 1, 1000));
	cr_assert_not(bucket_take(&bucket, 2, 5, 1, 1000));
	cr_assert_not(bucket_take(&bucket, 2, 5, 1, 1499));
	cr_assert(bucket_take(&bucket, 2, 5, 1, 1500));
	cr_assert_not(bucket_take(&bucket, 2, 5, 1, 1501));
	/* It does not grow beyond its burst. */
	for (unsigned i = 0; i < 5; i++)
		cr_assert(bucket_take(&bucket, 2, 5, 1, 900000));
	cr_assert_not(bucket_take(&bucket, 2, 5, 1, 900000));
	/* No rate is no limit. */
	for (unsigned i = 0; i < 100; i++)
		cr_assert(bucket_take(&bucket, 0, 0, 1000, 900000));
}

Test(limits, a_debt_says_how_long_to_wait)
{
	struct bucket bucket = {0};
	uint64_t wait_ms;

	cr_assert_eq(bucket_charge(&bucket, 10, 10, 10, 1000), 0);
	wait_ms = bucket_charge(&bucket, 10, 10, 5, 1000);
	cr_assert(wait_ms >= 500 && wait_ms < 510);
	cr_assert_eq(bucket_charge(&bucket, 10, 10, 0, 1000 + wait_ms), 0);
}

Test(limits, rates_at_both_ends_are_kept)
{
	struct bucket bytes = {0};
	struct bucket slow = {0};

	/* 4 GiB a second, in packets of a mebibyte. */
	for (unsigned i = 0; i < 4096; i++)
		cr_assert_eq(bucket_charge(&bytes, UINT32_MAX, UINT32_MAX,
					   1u << 20, 1),
			     0);
	cr_assert_eq(bucket_charge(&bytes, UINT32_MAX, UINT32_MAX, 8u << 20, 1),
		     2);
	cr_assert(bucket_take(&slow, 1, 2, 2, 7));
	cr_assert_not(bucket_take(&slow, 1, 2, 1, 1006));
	cr_assert(bucket_take(&slow, 1, 2, 1, 1007));
	/* More than the bucket holds is never to be had. */
	cr_assert_not(bucket_take(&slow, 1, 2, 3, 900000));
}

static uint64_t key_of(const struct limits *limits, const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return limits_address_key(limits, (struct sockaddr *)&in);
	cr_assert_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return limits_address_key(limits, (struct sockaddr *)&in6);
}

Test(limits, addresses_are_told_apart_as_operators_count_them)
{
	struct limits *limits = limits_new();

	cr_assert_eq(key_of(limits, "10.0.0.1"), key_of(limits, "10.0.0.1"));
	cr_assert_neq(key_of(limits, "10.0.0.1"), key_of(limits, "10.0.0.2"));
	cr_assert_eq(key_of(limits, "2001:db8:1:2::1"),
		     key_of(limits, "2001:db8:1:ffff::2"));
	cr_assert_neq(key_of(limits, "2001:db8:1::1"),
		      key_of(limits, "2001:db8:2::1"));
	limits_free(limits);
}

Test(limits, an_entry_keeps_its_buckets_while_others_come)
{
	struct limits *limits = limits_new();
	struct limits_entry *entry = limits_get(limits, 12345, 1);

	cr_assert(bucket_take(&entry->requests, 1, 1, 1, 1));
	for (uint64_t key = 1; key < 100000; key++) {
		(void)limits_get(limits, key | UINT64_C(1) << 40, 2);
		(void)limits_get(limits, 12345, 3 + key);
	}
	entry = limits_get(limits, 12345, 200000);
	cr_assert_not(bucket_take(&entry->requests, 1, 1, 1, 1));
	limits_free(limits);
}

Test(peers, a_node_is_connected_once)
{
	struct peers *peers = peers_new(1000);
	uint8_t nodes[1000][64];

	for (unsigned i = 0; i < 1000; i++) {
		memset(nodes[i], (int)i, 64);
		nodes[i][0] = (uint8_t)(i >> 8);
		cr_assert_eq(peers_claim(peers, nodes[i]), 0);
	}
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_eq(peers_claim(peers, nodes[i]), ERR_EXISTS);
	cr_assert(peers_has(peers, nodes[7]));
	peers_release(peers, nodes[7]);
	cr_assert_not(peers_has(peers, nodes[7]));
	cr_assert_eq(peers_claim(peers, nodes[7]), 0);
	peers_free(peers);
}
