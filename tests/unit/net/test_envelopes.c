#include <criterion/criterion.h>
#include <string.h>

#include "core/keccak.h"
#include "net/envelopes.h"

static void hash_of(uint32_t n, uint8_t out[static 32])
{
	keccak256(&n, sizeof(n), out);
}

static struct pooled *add(struct envelopes *envs, uint32_t n, uint32_t expiry_s,
			  struct packet *packet)
{
	struct held *held = packet ? held_new(packet) : NULL;
	struct pooled *env;
	uint8_t hash[32];

	hash_of(n, hash);
	env = envelopes_add(envs, hash, packet ? packet->bytes : NULL, 10,
			    held);
	env->expiry_s = expiry_s;
	env->origin = n;
	held_release(envs, held);
	return env;
}

static struct pooled *find(struct envelopes *envs, uint32_t n)
{
	uint8_t hash[32];

	hash_of(n, hash);
	return envelopes_find(envs, hash);
}

Test(envelopes, what_was_added_is_found_through_every_growth)
{
	struct envelopes *envs = envelopes_new(1 << 20, 1 << 16);

	for (uint32_t i = 1; i <= 20000; i++) {
		cr_assert_null(find(envs, i));
		add(envs, i, 100, NULL);
	}
	for (uint32_t i = 1; i <= 20000; i++) {
		struct pooled *env = find(envs, i);

		cr_assert_not_null(env);
		cr_assert_eq(env->origin, i);
		cr_assert_eq(envelopes_seq(envs, env), i - 1);
		cr_assert_eq(envelopes_at(envs, i - 1), env);
	}
	envelopes_free(envs);
}

Test(envelopes, the_oldest_make_room_when_there_are_too_many)
{
	struct envelopes *envs = envelopes_new(1 << 20, 2048);

	for (uint32_t i = 1; i <= 5000; i++)
		add(envs, i, 100, NULL);
	cr_assert_eq(envelopes_count(envs), 2048);
	cr_assert_eq(envelopes_tail(envs), 5000 - 2048);
	for (uint32_t i = 1; i <= 5000; i++)
		cr_assert_eq(find(envs, i) != NULL, i > 5000 - 2048, "%u", i);
	envelopes_free(envs);
}

Test(envelopes, the_expired_are_forgotten_and_only_they)
{
	struct envelopes *envs = envelopes_new(1 << 20, 1 << 16);

	for (uint32_t i = 1; i <= 9000; i++)
		add(envs, i, i % 3 ? 50 : 200, NULL);
	for (unsigned i = 0; i < 12; i++)
		envelopes_expire(envs, 51, 10);
	cr_assert_eq(envelopes_count(envs), 3000);
	for (uint32_t i = 1; i <= 9000; i++)
		cr_assert_eq(find(envs, i) != NULL, i % 3 == 0, "%u", i);
	cr_assert_eq(envelopes_tail(envs), 2);
	cr_assert_null(envelopes_at(envs, 3));
	/* Expiring this very second is still valid. */
	for (unsigned i = 0; i < 12; i++)
		envelopes_expire(envs, 200, 10);
	cr_assert_eq(envelopes_count(envs), 3000);
	for (unsigned i = 0; i < 12; i++)
		envelopes_expire(envs, 201, 10);
	cr_assert_eq(envelopes_count(envs), 0);
	cr_assert_eq(envelopes_tail(envs), envelopes_head(envs));
	envelopes_free(envs);
}

Test(envelopes, bytes_are_bounded_and_the_filter_outlives_them)
{
	struct envelopes *envs = envelopes_new(10 * 1000, 1 << 16);

	for (uint32_t i = 1; i <= 100; i++) {
		struct packet *packet = packet_new(1000);

		add(envs, i, 100, packet);
		packet_unref(packet);
		cr_assert_leq(envelopes_bytes(envs), 10 * 1000);
	}
	cr_assert_eq(envelopes_count(envs), 100);
	cr_assert_null(find(envs, 90)->rlp);
	cr_assert_not_null(find(envs, 91)->rlp);
	for (unsigned i = 0; i < 12; i++)
		envelopes_expire(envs, 101, 10);
	cr_assert_eq(envelopes_bytes(envs), 0);
	envelopes_free(envs);
}

Test(envelopes, a_packet_is_counted_once_and_goes_with_its_last_envelope)
{
	struct envelopes *envs = envelopes_new(1 << 20, 1 << 16);
	struct packet *packet = packet_new(1000);
	struct held *held = held_new(packet);
	uint8_t hash[32];

	for (uint32_t i = 0; i < 10; i++) {
		hash_of(i, hash);
		envelopes_add(envs, hash, packet->bytes, 10, held)->expiry_s =
			10 + i;
	}
	held_release(envs, held);
	cr_assert_eq(envelopes_bytes(envs), 1000);
	envelopes_expire(envs, 19, 1);
	cr_assert_eq(envelopes_count(envs), 1);
	cr_assert_eq(envelopes_bytes(envs), 1000);
	cr_assert_eq(packet->refs, 2);
	envelopes_expire(envs, 20, 1);
	cr_assert_eq(envelopes_bytes(envs), 0);
	cr_assert_eq(packet->refs, 1);
	packet_unref(packet);
	envelopes_free(envs);
}
