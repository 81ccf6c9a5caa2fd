#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "net/bundle.h"
#include "net/mail.h"
#include "tests/support/vectors.h"

#define NOW 1600000000u

static void expect_topics(const struct mail_query *query, json_t *topics)
{
	json_t *item;
	size_t i;

	if (json_is_null(topics)) {
		cr_assert_eq(query->topics_count, 0);
		return;
	}
	cr_assert_eq(query->topics_count, json_array_size(topics));
	json_array_foreach(topics, i, item)
	{
		struct hex hex = hex_from_text(json_string_value(item));
		struct topic topic = mail_topic(query, (uint32_t)i);

		cr_assert_arr_eq(topic.bytes, hex.bytes, TOPIC_SIZE);
		hex_release(&hex);
	}
}

static void expect_query(const struct mail_query *query, json_t *want)
{
	struct hex bloom = vectors_hex(want, "bloom");
	struct hex cursor = vectors_hex(want, "cursor");

	cr_assert_eq(query->lower_s, vectors_u64(want, "lower"));
	cr_assert_eq(query->upper_s, vectors_u64(want, "upper"));
	cr_assert_eq(query->limit, vectors_u64(want, "limit"));
	cr_assert_eq(query->batch,
		     json_is_true(json_object_get(want, "batch")));
	cr_assert_eq(query->has_bloom, bloom.len > 0);
	if (bloom.len > 0)
		cr_assert_arr_eq(query->bloom.bits, bloom.bytes, BLOOM_SIZE);
	cr_assert_eq(query->has_cursor, cursor.len > 0);
	if (cursor.len > 0)
		cr_assert_arr_eq(query->cursor, cursor.bytes,
				 ENVELOPE_KEY_SIZE);
	expect_topics(query, json_object_get(want, "topics"));
	hex_release(&bloom);
	hex_release(&cursor);
}

Test(mail, every_payload_form_is_read)
{
	json_t *doc = vectors_load("mailserver.json");
	json_t *item;
	size_t i;

	json_array_foreach(vectors_get(doc, "request_payload_forms"), i, item)
	{
		struct hex hex = vectors_hex(item, "payload");
		struct mail_query query;

		cr_assert_eq(mail_sealed_decode(hex.bytes, hex.len, &query), 0,
			     "%s", vectors_text(item, "name"));
		expect_query(&query, vectors_get(item, "decoded"));
		for (size_t cut = 0; cut < hex.len; cut++)
			cr_assert_neq(
				mail_sealed_decode(hex.bytes, cut, &query), 0);
		hex_release(&hex);
	}
	cr_assert_eq(i, 9);
	json_array_foreach(
		vectors_get(doc, "legacy_binary_request_payloads.forms"), i,
		item)
	{
		struct hex hex = vectors_hex(item, "payload");
		struct mail_query query;

		cr_assert_neq(mail_sealed_decode(hex.bytes, hex.len, &query),
			      0);
		hex_release(&hex);
	}
	json_decref(doc);
}

Test(mail, form_b_is_written_as_deployed_clients_write_it)
{
	json_t *doc = vectors_load("mailserver.json");
	json_t *forms = vectors_get(doc, "request_payload_forms");

	for (size_t i = 2; i < 5; i++) {
		json_t *item = json_array_get(forms, i);
		struct hex hex = vectors_hex(item, "payload");
		uint8_t out[MAIL_QUERY_SIZE_MAX(2)];
		struct mail_query query;

		cr_assert_eq(mail_sealed_decode(hex.bytes, hex.len, &query), 0);
		cr_assert_eq(mail_payload_encode(&query, out, sizeof(out)),
			     hex.len);
		cr_assert_arr_eq(out, hex.bytes, hex.len);
		hex_release(&hex);
	}
	json_decref(doc);
}

Test(mail, the_two_forms_of_a_request_are_told_apart)
{
	json_t *doc = vectors_load("mailserver.json");
	uint8_t id[MAIL_ID_SIZE];
	json_t *item;
	size_t i;

	json_array_foreach(vectors_get(doc, "wrapped_requests"), i, item)
	{
		struct hex hex = vectors_hex(item, "packet_payload");

		cr_assert_eq(mail_request_form(hex.bytes, hex.len, id),
			     MAIL_FORM_SEALED);
		hex_release(&hex);
	}
	json_array_foreach(vectors_get(doc, "direct_requests"), i, item)
	{
		struct hex hex = vectors_hex(item, "packet_payload");
		struct hex want = vectors_hex(item, "request_id");

		cr_assert_eq(mail_request_form(hex.bytes, hex.len, id),
			     MAIL_FORM_DIRECT);
		cr_assert_arr_eq(id, want.bytes, MAIL_ID_SIZE);
		hex.bytes[0] ^= 0x01;
		cr_assert_eq(mail_request_form(hex.bytes, hex.len, id),
			     MAIL_FORM_NONE);
		hex_release(&hex);
		hex_release(&want);
	}
	cr_assert_eq(mail_request_form((const uint8_t *)"\xc0", 1, id),
		     MAIL_FORM_NONE);
	json_decref(doc);
}

Test(mail, direct_requests_are_read_and_written)
{
	json_t *doc = vectors_load("mailserver.json");
	json_t *item;
	size_t i;

	json_array_foreach(vectors_get(doc, "direct_requests"), i, item)
	{
		struct hex hex = vectors_hex(item, "packet_payload");
		uint8_t out[MAIL_QUERY_SIZE_MAX(4)];
		uint8_t id[MAIL_ID_SIZE];
		struct mail_query query;
		size_t len;

		cr_assert_eq(mail_direct_decode(hex.bytes, hex.len, id, &query),
			     0);
		cr_assert(query.batch);
		cr_assert_null(mail_query_check(&query, true, NOW));
		len = mail_direct_encode(id, &query, i < 2, out, sizeof(out));
		cr_assert_eq(len, hex.len);
		cr_assert_arr_eq(out, hex.bytes, len);
		hex_release(&hex);
	}
	cr_assert_eq(i, 3);
	json_decref(doc);
}

Test(mail, an_id_that_reads_as_a_failure_is_refused)
{
	uint8_t id[MAIL_ID_SIZE] = "ERROR=ERROR=ERROR=ERROR=ERROR=E";
	struct mail_query query = {.upper_s = 1, .limit = 1};
	uint8_t out[MAIL_QUERY_SIZE_MAX(0)];
	size_t len = mail_direct_encode(id, &query, true, out, sizeof(out));

	cr_assert_gt(len, 0);
	cr_assert_eq(mail_request_form(out, len, id), MAIL_FORM_NONE);
}

Test(mail, checks_have_the_deployed_texts)
{
	struct mail_query query = {.lower_s = 2, .upper_s = 1};

	cr_assert_str_eq(mail_query_check(&query, false, NOW),
			 "query range is invalid: lower > upper");
	cr_assert_str_eq(
		mail_query_check(&query, true, NOW),
		"request is invalid: query range is invalid: lower > upper");
	query.upper_s = 0;
	cr_assert_str_eq(
		mail_query_check(&query, false, NOW),
		"request is invalid: bloom filter and topics is empty");
	cr_assert_eq(query.upper_s, NOW + 60);
	query.has_bloom = true;
	query.limit = 10000;
	cr_assert_null(mail_query_check(&query, false, NOW));
	cr_assert_eq(query.limit, MAIL_LIMIT_MAX);
}

static void expect_completion(json_t *item)
{
	struct hex hex = vectors_hex(item, "packet_payload");
	struct mail_completion got;
	uint8_t out[MAIL_FAILURE_SIZE_MAX];
	char text[MAIL_TEXT_MAX + 1] = "";
	uint8_t zero[32] = {0};
	size_t len;

	cr_assert_eq(mail_completion_decode(hex.bytes, hex.len, &got), 0);
	if (got.is_failure) {
		memcpy(text, got.text, got.text_size);
		len = mail_failure_encode(got.id, text, out);
	} else {
		len = mail_completion_encode(
			got.id, memcmp(got.last, zero, 32) ? got.last : NULL,
			got.has_cursor ? got.cursor : NULL, out);
	}
	cr_assert_eq(len, hex.len, "%s", vectors_text(item, "name"));
	cr_assert_arr_eq(out, hex.bytes, len);
	hex_release(&hex);
}

Test(mail, completions_are_read_and_written)
{
	json_t *doc = vectors_load("mailserver.json");
	struct mail_completion got;
	json_t *item;
	size_t i;

	json_array_foreach(vectors_get(doc, "completions"), i, item)
	{
		expect_completion(item);
	}
	json_array_foreach(vectors_get(doc, "completions_rejected_by_clients"),
			   i, item)
	{
		struct hex hex = vectors_hex(item, "packet_payload");

		cr_assert_neq(mail_completion_decode(hex.bytes, hex.len, &got),
			      0, "%s", vectors_text(item, "reason"));
		hex_release(&hex);
	}
	json_decref(doc);
}

static unsigned count_bundle(json_t *doc, const char *path, bool bare_ok)
{
	struct hex hex = vectors_hex(doc, path);
	struct envelope env;
	struct bundle bundle;
	unsigned count = 0;
	int err = bundle_open(&bundle, hex.bytes, hex.len, bare_ok);

	while (!err && !(err = bundle_next(&bundle, &env)))
		count++;
	hex_release(&hex);
	return err > 0 ? count : UINT32_MAX;
}

Test(mail, deliveries_are_read_in_every_shape)
{
	json_t *doc = vectors_load("mailserver.json");

	cr_assert_eq(count_bundle(doc, "delivery.waku_two", false), 2);
	cr_assert_eq(count_bundle(doc, "delivery.waku_one", false), 1);
	cr_assert_eq(count_bundle(doc, "delivery.shh_one_bare", true), 1);
	cr_assert_eq(count_bundle(doc, "delivery.shh_one_bare", false),
		     UINT32_MAX);
	cr_assert_eq(count_bundle(doc, "delivery.shh_two", true), 2);
	json_decref(doc);
}

Test(mail, sync_messages_are_read_and_written)
{
	json_t *doc = vectors_load("mailserver.json");
	struct hex hex = vectors_hex(doc, "sync.request.payload");
	struct mail_query query;
	uint8_t out[256];

	cr_assert_eq(mail_sync_decode(hex.bytes, hex.len, &query), 0);
	cr_assert_eq(query.limit, 1000);
	cr_assert_eq(mail_sync_encode(&query, out, sizeof(out)), hex.len);
	cr_assert_arr_eq(out, hex.bytes, hex.len);
	query.limit = 0;
	cr_assert_eq(mail_sync_decode(
			     out, mail_sync_encode(&query, out, sizeof(out)),
			     &query),
		     ERR_RANGE);
	hex_release(&hex);
	json_decref(doc);
}

Test(mail, sync_answers_are_read_and_written)
{
	json_t *doc = vectors_load("mailserver.json");
	struct hex part = vectors_hex(doc, "sync.response_partial.payload");
	struct hex last = vectors_hex(doc, "sync.response_final.payload");
	struct hex bad = vectors_hex(doc, "sync.response_error.payload");
	struct mail_sync_answer got;
	struct envelope env;
	uint8_t out[MAIL_FAILURE_SIZE_MAX];
	size_t head;

	cr_assert_eq(mail_sync_answer_decode(part.bytes, part.len, &got), 0);
	head = mail_sync_head(2 * 46, out);
	cr_assert_eq(head + 2 * 46 + MAIL_SYNC_TAIL, part.len);
	cr_assert_arr_eq(out, part.bytes, head);
	cr_assert_eq(bundle_next(&got.envelopes, &env), 0);
	cr_assert_eq(bundle_next(&got.envelopes, &env), 0);
	cr_assert_gt(bundle_next(&got.envelopes, &env), 0);
	cr_assert_eq(mail_sync_answer_decode(last.bytes, last.len, &got), 0);
	cr_assert(got.is_final && got.has_cursor);
	cr_assert_eq(mail_sync_final_encode(got.cursor, out), last.len);
	cr_assert_arr_eq(out, last.bytes, last.len);
	cr_assert_eq(mail_sync_answer_decode(bad.bytes, bad.len, &got), 0);
	cr_assert_eq(got.text_size, 35);
	cr_assert_eq(mail_sync_failure_encode(
			     "requests per seconds limit exceeded", out),
		     bad.len);
	cr_assert_arr_eq(out, bad.bytes, bad.len);
	hex_release(&part);
	hex_release(&last);
	hex_release(&bad);
	json_decref(doc);
}
