#include "core/envelope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "tests/support/vectors.h"

#define SIZE_MAX_DEFAULT (1u << 20)

static uint32_t u32_of(json_t *obj, const char *path)
{
	return (uint32_t)vectors_u64(obj, path);
}

/* A figure of the vectors; "+Inf" is text. */
static double number_of(json_t *obj, const char *path)
{
	json_t *value = vectors_get(obj, path);

	return json_is_number(value) ? json_number_value(value) : INFINITY;
}

static void expect_fields(const struct envelope *env, json_t *want)
{
	struct hex topic = vectors_hex(want, "topic");
	struct hex data = vectors_hex(want, "data");
	struct hex hash = vectors_hex(want, "hash");
	uint8_t got[ENVELOPE_HASH_SIZE], key[ENVELOPE_KEY_SIZE];

	cr_assert_eq(env->expiry_s, u32_of(want, "expiry"));
	cr_assert_eq(env->ttl_s, u32_of(want, "ttl"));
	cr_assert_eq(env->nonce,
		     strtoull(vectors_text(want, "nonce"), NULL, 10));
	cr_assert_arr_eq(env->topic.bytes, topic.bytes, TOPIC_SIZE);
	cr_assert_eq(env->data_size, data.len);
	if (data.len > 0)
		cr_assert_arr_eq(env->rlp + env->data_offset, data.bytes,
				 data.len);
	cr_assert_eq(envelope_sent(env), u32_of(want, "sent"));
	envelope_hash(env, got);
	cr_assert_arr_eq(got, hash.bytes, ENVELOPE_HASH_SIZE);
	envelope_key(envelope_sent(env), got, key);
	cr_assert_eq(be32_load(key), u32_of(want, "sent"));
	cr_assert_arr_eq(key + 4, hash.bytes, ENVELOPE_HASH_SIZE);
	hex_release(&topic);
	hex_release(&data);
	hex_release(&hash);
}

static void expect_pow(const struct envelope *env, json_t *want)
{
	struct hex hash = vectors_hex(want, "pow_hash");
	uint8_t *scratch = malloc((size_t)env->size + 9);
	uint8_t got[KECCAK_DIGEST], nonce[8];
	size_t len = envelope_pow_input(env, scratch);
	struct keccak k;

	cr_assert_eq(len, u32_of(want, "short_rlp_length"));
	be64_store(nonce, env->nonce);
	keccak_init(&k);
	keccak_absorb(&k, scratch, len);
	keccak_absorb(&k, nonce, sizeof(nonce));
	keccak_peek(&k, got);
	cr_assert_arr_eq(got, hash.bytes, KECCAK_DIGEST);
	cr_assert_eq(envelope_pow_of(got, len, env->ttl_s, 0),
		     number_of(want, "pow"));
	cr_assert_eq(envelope_pow(env, 0), number_of(want, "pow"));
	free(scratch);
	hex_release(&hash);
}

static void expect_encoding(const struct envelope *env, const struct hex *rlp)
{
	uint8_t *out = malloc((size_t)env->data_size + 40);
	size_t len = envelope_encode(env, env->rlp + env->data_offset, out);

	cr_assert_eq(len, rlp->len);
	cr_assert_arr_eq(out, rlp->bytes, len);
	free(out);
}

Test(envelope, the_vectors_decode_hash_and_encode)
{
	json_t *root = vectors_load("envelopes.json");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "vectors"), i, entry)
	{
		struct hex rlp = vectors_hex(entry, "rlp");
		struct envelope env;

		cr_assert_eq(envelope_decode(rlp.bytes, rlp.len, &env), 0);
		expect_fields(&env, entry);
		expect_pow(&env, entry);
		expect_encoding(&env, &rlp);
		cr_assert(envelope_is_sound(rlp.bytes, (uint32_t)rlp.len,
					    env.topic));
		hex_release(&rlp);
	}
	json_decref(root);
}

Test(envelope, malformed_ones_are_refused)
{
	json_t *root = vectors_load("envelopes.json");
	struct envelope env;
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "must_fail"), i, entry)
	{
		struct hex rlp = vectors_hex(entry, "rlp");

		cr_assert_eq(envelope_decode(rlp.bytes, rlp.len, &env),
			     ERR_SYNTAX, "%s", vectors_text(entry, "reason"));
		hex_release(&rlp);
	}
	json_decref(root);
}

Test(envelope, cut_short_or_followed_by_more_it_is_refused)
{
	struct hex rlp = hex_from_text(
		"ee845f5e100f0f8400000000a16d10006cf61612c050115edb9f58cc84298c"
		"5216905351573921947f49f6133fc501");
	uint8_t *more = malloc(rlp.len + 1);
	struct envelope env;

	cr_assert_eq(envelope_decode(rlp.bytes, rlp.len, &env), 0);
	for (size_t len = 0; len < rlp.len; len++) {
		uint8_t *less = malloc(len ? len : 1);

		memcpy(less, rlp.bytes, len);
		cr_assert_eq(envelope_decode(less, len, &env), ERR_SYNTAX);
		cr_assert_not(envelope_is_sound(less, (uint32_t)len,
						(struct topic){{0}}));
		free(less);
	}
	memcpy(more, rlp.bytes, rlp.len);
	more[rlp.len] = 0x01;
	cr_assert_eq(envelope_decode(more, rlp.len + 1, &env), ERR_SYNTAX);
	cr_assert_not(envelope_is_sound(more, (uint32_t)rlp.len + 1,
					(struct topic){{0}}));
	free(more);
	hex_release(&rlp);
}

Test(envelope, one_that_was_spoilt_is_not_sound)
{
	/* Headers of the list, expiry, ttl, topic, data and nonce; the topic.
	 */
	static const uint8_t places[] = {0, 1, 6, 7, 8, 11, 12, 46};
	struct hex rlp = hex_from_text(
		"ee845f5e100f0f8400000000a16d10006cf61612c050115edb9f58cc84298c"
		"5216905351573921947f49f6133fc501");
	struct topic topic = {{0}};

	cr_assert(envelope_is_sound(rlp.bytes, (uint32_t)rlp.len, topic));
	for (size_t i = 0; i < sizeof(places); i++) {
		uint8_t was = rlp.bytes[places[i]];

		rlp.bytes[places[i]] = 0xba;
		cr_assert_not(
			envelope_is_sound(rlp.bytes, (uint32_t)rlp.len, topic),
			"%u", places[i]);
		rlp.bytes[places[i]] = was;
	}
	topic.bytes[3] = 1;
	cr_assert_not(envelope_is_sound(rlp.bytes, (uint32_t)rlp.len, topic));
	hex_release(&rlp);
}

/* §4: an envelope ahead of our clock counts as living d longer. */
Test(envelope, the_near_future_lowers_the_pow)
{
	const uint8_t hash[32] = {0x00, 0x3b};

	cr_assert_eq(envelope_pow_of(hash, 46, 15, 0), 1024.0 / 46 / 15);
	cr_assert_eq(envelope_pow_of(hash, 46, 15, 11), 1024.0 / 46 / 26);
	cr_assert_eq(envelope_pow_of(hash, 46, UINT32_MAX, 1),
		     1024.0 / 46 / 4294967296.0);
}

static enum envelope_verdict verdict_of(const char *text)
{
	if (!strcmp(text, "accept"))
		return ENVELOPE_OK;
	if (!strcmp(text, "silent drop"))
		return ENVELOPE_DROP;
	if (!strcmp(text, "time error: very old"))
		return ENVELOPE_VERY_OLD;
	cr_assert_str_eq(text, "time error: from the future");
	return ENVELOPE_FUTURE;
}

Test(envelope, clocks_are_judged_as_in_the_vectors)
{
	json_t *root = vectors_load("envelopes.json");
	uint32_t now_s = u32_of(root, "time_checks.now");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "time_checks.cases"), i, entry)
	{
		json_int_t ahead_s = json_integer_value(
			vectors_get(entry, "expiry_minus_now"));
		struct envelope env = {
			.expiry_s = (uint32_t)(now_s + ahead_s),
			.ttl_s = u32_of(entry, "ttl"),
		};

		cr_assert_eq(envelope_check(&env, now_s, SIZE_MAX_DEFAULT),
			     verdict_of(vectors_text(entry, "verdict")),
			     "case %zu", i);
	}
	json_decref(root);
}

Test(envelope, ttl_0_is_dropped_and_size_is_the_last_check)
{
	struct envelope env = {.expiry_s = 1000, .ttl_s = 10, .data_size = 80};

	cr_assert_eq(envelope_check(&env, 1000, 100), ENVELOPE_OK);
	cr_assert_eq(envelope_check(&env, 1000, 99), ENVELOPE_TOO_BIG);
	cr_assert_eq(envelope_check(&env, 1001, 99), ENVELOPE_DROP);
	cr_assert_eq(envelope_check(&env, 1021, 99), ENVELOPE_VERY_OLD);
	cr_assert_eq(envelope_check(&env, 979, 99), ENVELOPE_FUTURE);
	env.ttl_s = 0;
	cr_assert_eq(envelope_check(&env, 979, 99), ENVELOPE_DROP);
	env.ttl_s = 10;
	env.data_size = UINT32_MAX;
	cr_assert_eq(envelope_check(&env, 1000, UINT32_MAX), ENVELOPE_TOO_BIG);
}

/* Every position of the nonce within its block, and across two. */
Test(envelope, a_sealed_one_has_the_pow_asked_for)
{
	uint8_t data[300], out[340];

	memset(data, 0x55, sizeof(data));
	for (uint32_t size = 0; size <= sizeof(data); size++) {
		struct envelope env = {
			.expiry_s = 1600000015,
			.ttl_s = 15,
			.topic = {{1, 2, 3, 4}},
			.data_size = size,
		};
		double want = 64.0 / (size + 40) / 15;
		struct envelope got;
		size_t len;

		cr_assert_eq(envelope_seal_pow(&env, data, want, 1u << 16), 0);
		len = envelope_encode(&env, data, out);
		cr_assert_eq(envelope_decode(out, len, &got), 0);
		cr_assert_geq(envelope_pow(&got, 0), want, "size %u", size);
	}
}

Test(envelope, sealing_gives_up_after_the_tries_allowed)
{
	const uint8_t data = 0x01;
	struct envelope env = {.expiry_s = 100, .ttl_s = 10, .data_size = 1};
	uint64_t nonce;

	cr_assert_eq(envelope_seal_pow(&env, &data, 1e60, 100), ERR_TIMEOUT);
	cr_assert_eq(envelope_seal_pow(&env, &data, 0, 0), ERR_TIMEOUT);
	cr_assert_eq(envelope_seal_pow(&env, &data, 50, 1u << 16), 0);
	/* The first that will do is taken, and one try less is too few. */
	nonce = env.nonce;
	cr_assert_gt(nonce, 0);
	cr_assert_eq(envelope_seal_pow(&env, &data, 50, nonce), ERR_TIMEOUT);
	cr_assert_eq(envelope_seal_pow(&env, &data, 50, nonce + 1), 0);
	cr_assert_eq(env.nonce, nonce);
}
