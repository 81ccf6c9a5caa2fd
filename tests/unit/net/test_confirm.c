#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "net/confirm.h"
#include "tests/support/vectors.h"

static void expect_response(json_t *doc, const char *path)
{
	json_t *item = vectors_get(doc, path);
	json_t *errors = json_object_get(item, "errors");
	struct hex hash = vectors_hex(doc, "batch_payload_keccak256");
	struct hex hex = vectors_hex(item, "payload");
	uint8_t again[CONFIRM_SIZE_MAX(1)];
	struct confirm_error got[2];
	struct confirm confirm;
	size_t count = 0;
	size_t len;

	cr_assert_eq(confirm_decode(hex.bytes, hex.len, &confirm), 0);
	cr_assert_arr_eq(confirm.hash, hash.bytes, CONFIRM_HASH_SIZE);
	while (confirm_next(&confirm, &got[count]) == 0)
		count++;
	cr_assert_eq(count, json_array_size(errors));
	if (count > 0) {
		json_t *error = json_array_get(errors, 0);
		struct hex env = vectors_hex(error, "hash");

		cr_assert_eq(got[0].code, vectors_u64(error, "code"));
		cr_assert_arr_eq(got[0].hash, env.bytes, env.len);
		hex_release(&env);
	}
	len = confirm_encode(hash.bytes, got, count, again, sizeof(again));
	cr_assert_eq(len, hex.len);
	cr_assert_arr_eq(again, hex.bytes, len);
	for (size_t i = 0; i < hex.len; i++)
		cr_assert_neq(confirm_decode(hex.bytes, i, &confirm), 0);
	hex_release(&hash);
	hex_release(&hex);
}

Test(confirm, responses_are_read_and_written)
{
	json_t *doc = vectors_load("confirmations.json");

	expect_response(doc, "message_response_ok");
	expect_response(doc, "message_response_time_error_spec_code_1");
	expect_response(doc,
			"message_response_time_error_deployed_waku_code_21");
	json_decref(doc);
}

Test(confirm, another_version_is_told_apart)
{
	json_t *doc = vectors_load("confirmations.json");
	struct hex hex = vectors_hex(doc, "message_response_ok.payload");
	struct confirm confirm;

	cr_assert_eq(hex.bytes[1], 1);
	hex.bytes[1] = 2;
	cr_assert_eq(confirm_decode(hex.bytes, hex.len, &confirm),
		     ERR_UNSUPPORTED);
	hex_release(&hex);
	json_decref(doc);
}

Test(confirm, a_malformed_error_ends_the_list_for_good)
{
	/* [1, [hash, [01]]]: an error that is no list */
	uint8_t in[3 + 33 + 2] = {0xe5, 0x01, 0xe3, 0xa0};
	struct confirm confirm;
	struct confirm_error error;

	in[36] = 0xc1;
	in[37] = 0x01;
	cr_assert_eq(confirm_decode(in, sizeof(in), &confirm), 0);
	cr_assert_lt(confirm_next(&confirm, &error), 0);
	cr_assert_lt(confirm_next(&confirm, &error), 0);
}

Test(confirm, the_acknowledgement_is_a_bare_string)
{
	json_t *doc = vectors_load("confirmations.json");
	struct hex hash = vectors_hex(doc, "batch_payload_keccak256");
	struct hex hex = vectors_hex(doc, "batch_ack.payload");
	uint8_t out[CONFIRM_ACK_SIZE];
	uint8_t got[CONFIRM_HASH_SIZE];

	confirm_ack_encode(hash.bytes, out);
	cr_assert_eq(hex.len, sizeof(out));
	cr_assert_arr_eq(out, hex.bytes, sizeof(out));
	cr_assert_eq(confirm_ack_decode(hex.bytes, hex.len, got), 0);
	cr_assert_arr_eq(got, hash.bytes, sizeof(got));
	cr_assert_neq(confirm_ack_decode(hex.bytes, hex.len - 1, got), 0);
	hex.bytes[0] = 0xe0; /* as a list */
	cr_assert_neq(confirm_ack_decode(hex.bytes, hex.len, got), 0);
	hex_release(&hash);
	hex_release(&hex);
	json_decref(doc);
}
