#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "core/err.h"
#include "net/status.h"
#include "tests/support/vectors.h"

typedef int (*decode_fn)(const uint8_t *in, size_t len, struct status *out);

static int decode(decode_fn fn, json_t *item, struct status *out)
{
	struct hex hex = vectors_hex(item, "payload");
	int err = fn(hex.bytes, hex.len, out);

	out->topics = NULL; /* it pointed into what goes now */
	hex_release(&hex);
	return err;
}

/* Decode, encode again and compare to the byte. */
static void expect_round_trip(decode_fn fn,
			      size_t (*encode)(const struct status *, uint8_t *,
					       size_t),
			      json_t *item)
{
	struct hex hex = vectors_hex(item, "payload");
	uint8_t out[STATUS_SIZE_MAX + 64];
	struct status status;
	size_t len;

	cr_assert_eq(fn(hex.bytes, hex.len, &status), 0);
	len = encode(&status, out, sizeof(out));
	cr_assert_eq(len, hex.len);
	cr_assert_arr_eq(out, hex.bytes, len);
	for (size_t i = 0; i < hex.len; i++)
		cr_assert_neq(fn(hex.bytes, i, &status), 0, "cut at %zu", i);
	hex_release(&hex);
}

static void must_fail(decode_fn fn, const char *path)
{
	json_t *doc = vectors_load("status.json");
	json_t *item;
	struct status status;
	size_t i;

	json_array_foreach(vectors_get(doc, path), i, item)
	{
		cr_assert_neq(decode(fn, item, &status), 0, "%s",
			      vectors_text(item, "reason"));
	}
	cr_assert_gt(i, 0);
	json_decref(doc);
}

Test(status, the_list_form_is_read_with_its_defaults)
{
	json_t *doc = vectors_load("status.json");
	json_t *list = vectors_get(doc, "shh6");
	struct status status;

	cr_assert_eq(
		decode(status_decode_shh, json_array_get(list, 0), &status), 0);
	cr_assert_float_eq(status.pow, 0.2, 0);
	cr_assert_eq(status.has,
		     STATUS_HAS_POW | STATUS_HAS_BLOOM | STATUS_HAS_LIGHT);
	cr_assert_eq(
		decode(status_decode_shh, json_array_get(list, 1), &status), 0);
	cr_assert(status.confirms);
	cr_assert(status.has & STATUS_HAS_PACKETS);
	for (size_t i = 2; i < 4; i++) {
		cr_assert_eq(decode(status_decode_shh, json_array_get(list, i),
				    &status),
			     0);
		cr_assert(bloom_is_full(&status.bloom));
		cr_assert_float_eq(status.pow, 0, 0);
	}
	expect_round_trip(status_decode_shh, status_encode_shh,
			  json_array_get(list, 1));
	json_decref(doc);
}

Test(status, a_bad_list_form_is_refused)
{
	must_fail(status_decode_shh, "shh6_must_fail");
}

Test(status, the_option_form_is_read_in_any_order)
{
	json_t *doc = vectors_load("status.json");
	json_t *list = vectors_get(doc, "waku1");
	struct status status;
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		cr_assert_eq(decode(status_decode_waku, item, &status), 0);
	}
	decode(status_decode_waku, json_array_get(list, 0), &status);
	cr_assert_eq(status.packets.ip, 10);
	cr_assert_eq(status.bytes.peer, 0x100000);
	decode(status_decode_waku, json_array_get(list, 2), &status);
	cr_assert_eq(status.has, 0);
	cr_assert_float_eq(status.pow, STATUS_POW_DEFAULT, 0);
	decode(status_decode_waku, json_array_get(list, 3), &status);
	cr_assert_eq(status.has, STATUS_HAS_TOPICS);
	cr_assert_eq(status.topics_count, 0);
	decode(status_decode_waku, json_array_get(list, 4), &status);
	cr_assert(bloom_is_empty(&status.bloom));
	/* An unknown key loses nothing that follows, unlike deployed nodes. */
	decode(status_decode_waku, json_array_get(list, 6), &status);
	cr_assert_eq(status.has, STATUS_HAS_POW | STATUS_HAS_LIGHT);
	expect_round_trip(status_decode_waku, status_encode_waku,
			  json_array_get(list, 0));
	expect_round_trip(status_decode_waku, status_encode_waku,
			  json_array_get(list, 1));
	json_decref(doc);
}

Test(status, a_bad_option_form_is_refused)
{
	must_fail(status_decode_waku, "waku1_must_fail");
	must_fail(status_decode_update, "waku1_must_fail");
}

Test(status, topics_are_read_where_they_stand)
{
	static const uint8_t in[] = {0xcd, 0xcc, 0x05, 0xca, 0x84, 0xcd, 0x42,
				     0x37, 0x60, 0x84, 0x2b, 0x8d, 0x98, 0x4a};
	static const uint8_t second[] = {0x2b, 0x8d, 0x98, 0x4a};
	struct status status;
	struct topic topic;

	cr_assert_eq(status_decode_update(in, sizeof(in), &status), 0);
	cr_assert_eq(status.has, STATUS_HAS_TOPICS);
	cr_assert_eq(status.topics_count, 2);
	topic = status_topic(&status, 1);
	cr_assert_arr_eq(topic.bytes, second, sizeof(second));
}

/* A list of `count` topics, as an update. */
static size_t make_update(uint32_t count, uint8_t *out, size_t cap)
{
	struct topic *topics = calloc(count, sizeof(*topics));
	struct status status = {.has = STATUS_HAS_TOPICS,
				.topics = (const uint8_t *)topics,
				.topics_count = count,
				.topics_stride = sizeof(*topics)};
	size_t len;

	for (uint32_t i = 0; i < count; i++)
		memcpy(topics[i].bytes, &i, sizeof(i));
	len = status_encode_waku(&status, out, cap);
	free(topics);
	return len;
}

Test(status, ten_thousand_topics_are_the_bound)
{
	static uint8_t out[STATUS_SIZE_MAX + 5 * (STATUS_TOPICS_MAX + 1)];
	struct status status;
	struct topic topic;
	uint32_t value;
	size_t len = make_update(STATUS_TOPICS_MAX, out, sizeof(out));

	cr_assert_eq(status_decode_update(out, len, &status), 0);
	cr_assert_eq(status.topics_count, STATUS_TOPICS_MAX);
	topic = status_topic(&status, 9999);
	memcpy(&value, topic.bytes, sizeof(value));
	cr_assert_eq(value, 9999);
	len = make_update(STATUS_TOPICS_MAX + 1, out, sizeof(out));
	cr_assert_gt(len, 0);
	cr_assert_eq(status_decode_update(out, len, &status), ERR_RANGE);
}

Test(status, changes_are_read)
{
	json_t *doc = vectors_load("status.json");
	json_t *updates = vectors_get(doc, "waku1_status_update");
	struct status status;

	decode(status_decode_update, json_array_get(updates, 0), &status);
	cr_assert_eq(status.has, STATUS_HAS_POW);
	cr_assert_float_eq(status.pow, 0.0001, 0);
	decode(status_decode_update, json_array_get(updates, 2), &status);
	cr_assert_eq(status.has, 0);
	cr_assert_eq(decode(status_decode_pow,
			    vectors_get(doc, "shh6_pow_requirement"), &status),
		     0);
	cr_assert_float_eq(status.pow, 0.002, 0);
	cr_assert_eq(decode(status_decode_bloom, vectors_get(doc, "shh6_bloom"),
			    &status),
		     0);
	cr_assert_eq(status.has, STATUS_HAS_BLOOM);
	cr_assert_eq(decode(status_decode_limits,
			    vectors_get(doc, "shh6_rate_limits"), &status),
		     0);
	cr_assert_eq(status.packets.peer, 5);
	json_decref(doc);
}

Test(status, pow_is_a_double_in_an_integer)
{
	json_t *doc = vectors_load("status.json");
	json_t *item;
	double pow;
	size_t i;

	json_array_foreach(vectors_get(doc, "floats"), i, item)
	{
		uint64_t bits = strtoull(vectors_text(item, "bits"), NULL, 16);

		cr_assert_eq(status_pow_from_bits(bits, &pow), 0);
		cr_assert_float_eq(
			pow, json_number_value(vectors_get(item, "value")), 0);
		cr_assert_eq(status_pow_to_bits(pow), bits);
	}
	cr_assert_eq(status_pow_from_bits(status_pow_to_bits(INFINITY), &pow),
		     ERR_RANGE);
	cr_assert_eq(status_pow_from_bits(status_pow_to_bits(NAN), &pow),
		     ERR_RANGE);
	json_decref(doc);
}
