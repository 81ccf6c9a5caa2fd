#include "auth/claim_json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "tests/support/vectors.h"

static const char *const why_none = "";

/* The body of the specification, from its vectors, with fields of `changes`. */
static json_t *example(void)
{
	json_t *v = vectors_load("payments.json");
	json_t *body =
		json_pack("{s:i,s:i,s:s,s:i,s:s+,s:s+,s:s+,s:s+,s:i,s:s+,s:s+}",
			  "version", 1, "scheme", 1, "node",
			  vectors_text(v, "keys.node"), "chain_id", 1, "token",
			  "0x", vectors_text(v, "offer.option.token"), "payee",
			  "0x", vectors_text(v, "offer.option.payee"), "payer",
			  "0x", vectors_text(v, "keys.payer"), "tx", "0x",
			  vectors_text(v, "claim.tx"), "transfer", 0, "offer",
			  "0x", vectors_text(v, "offer.hash"), "proof", "0x",
			  vectors_text(v, "claim.signature"));

	cr_assert_not_null(body);
	json_decref(v);
	return body;
}

static enum intake decode(json_t *body)
{
	static struct claim_body out;
	const char *why = why_none;
	char *text = json_dumps(body, 0);
	enum intake code = claim_json_decode(text, strlen(text), &out, &why);

	free(text);
	json_decref(body);
	return code;
}

static enum intake decode_text(const char *text)
{
	static struct claim_body out;
	const char *why = why_none;

	return claim_json_decode(text, strlen(text), &out, &why);
}

Test(claim_json, the_claim_of_the_specification_is_read)
{
	json_t *v = vectors_load("payments.json");
	json_t *body = example();
	char *text = json_dumps(body, 0);
	struct hex key = vectors_hex(v, "claim.claim_key");
	static struct claim_body out;
	uint8_t got[CLAIM_KEY_SIZE];
	const char *why = why_none;
	char *again;

	cr_assert_eq(claim_json_decode(text, strlen(text), &out, &why),
		     INTAKE_OK, "%s", why);
	claim_key(&out.claim, got);
	cr_assert_arr_eq(got, key.bytes, key.len);
	cr_assert_eq(out.claim.proof_size, 65);
	/* What the client writes is what the server reads. */
	again = claim_json_encode(&out.claim);
	cr_assert_eq(claim_json_decode(again, strlen(again), &out, &why),
		     INTAKE_OK);
	claim_key(&out.claim, got);
	cr_assert_arr_eq(got, key.bytes, key.len);
	free(again);
	free(text);
	hex_release(&key);
	json_decref(body);
	json_decref(v);
}

static json_t *with(const char *key, json_t *value)
{
	json_t *body = example();

	(void)json_object_set_new(body, key, value);
	return body;
}

static json_t *without(const char *key)
{
	json_t *body = example();

	cr_assert_eq(json_object_del(body, key), 0);
	return body;
}

Test(claim_json, versions_and_schemes_have_codes_of_their_own)
{
	cr_assert_eq(decode(with("version", json_integer(2))),
		     INTAKE_UNSUPPORTED_VERSION);
	cr_assert_eq(decode(with("version", json_string("1"))),
		     INTAKE_BAD_FORMAT);
	cr_assert_eq(decode(without("version")), INTAKE_BAD_FORMAT);
	cr_assert_eq(decode(with("scheme", json_integer(0))),
		     INTAKE_UNSUPPORTED_SCHEME);
	cr_assert_eq(decode(with("scheme", json_integer(4))),
		     INTAKE_UNSUPPORTED_SCHEME);
	cr_assert_eq(decode(example()), INTAKE_OK);
}

Test(claim_json, every_field_must_be_there_and_of_its_kind)
{
	static const char *const keys[] = {
		"scheme", "node", "chain_id", "token",    "payee",
		"payer",  "tx",   "offer",    "transfer", "proof"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		cr_assert_eq(decode(without(keys[i])), INTAKE_BAD_FORMAT, "%s",
			     keys[i]);
		cr_assert_eq(decode(with(keys[i], json_null())),
			     INTAKE_BAD_FORMAT, "%s", keys[i]);
		cr_assert_eq(decode(with(keys[i], json_real(1.0))),
			     INTAKE_BAD_FORMAT, "%s", keys[i]);
		cr_assert_eq(decode(with(keys[i], json_integer(-1))),
			     INTAKE_BAD_FORMAT, "%s", keys[i]);
		cr_assert_eq(decode(with(keys[i], json_string("0xzz"))),
			     INTAKE_BAD_FORMAT, "%s", keys[i]);
	}
	cr_assert_eq(decode(with("transfer", json_integer(65536))),
		     INTAKE_BAD_FORMAT);
	cr_assert_eq(decode(with("chain_id", json_string("1"))),
		     INTAKE_BAD_FORMAT);
	cr_assert_eq(decode(with("proof", json_string("0x"))),
		     INTAKE_BAD_FORMAT);
	cr_assert_eq(decode(with("payer",
				 json_string("0x70997970C51812dc3A010C7d01b50"
					     "e0d17dc79C8"))),
		     INTAKE_BAD_FORMAT);
	/* Unknown keys are somebody else's. */
	cr_assert_eq(decode(with("note", json_string("hi"))), INTAKE_OK);
}

Test(claim_json, odd_bodies_are_refused)
{
	json_t *body = example();
	char *text = json_dumps(body, 0);
	char *odd = malloc(strlen(text) + 64);
	static char big[CLAIM_JSON_MAX + 1];

	(void)sprintf(odd, "%s x", text);
	cr_assert_eq(decode_text(odd), INTAKE_BAD_FORMAT);
	(void)sprintf(odd, "{\"version\":1,%s", text + 1);
	cr_assert_eq(decode_text(odd), INTAKE_BAD_FORMAT);
	(void)sprintf(odd, "%s\n ", text);
	cr_assert_eq(decode_text(odd), INTAKE_OK);
	for (size_t len = 0; len < strlen(text); len++) {
		static struct claim_body out;
		const char *why;

		cr_assert_eq(claim_json_decode(text, len, &out, &why),
			     INTAKE_BAD_FORMAT);
	}
	memset(big, ' ', sizeof(big));
	memcpy(big, text, strlen(text));
	cr_assert_eq(claim_json_decode(big, sizeof(big),
				       &(struct claim_body){0},
				       &(const char *){0}),
		     INTAKE_TOO_LARGE);
	memset(big, '[', sizeof(big));
	cr_assert_eq(claim_json_decode(big, CLAIM_JSON_MAX,
				       &(struct claim_body){0},
				       &(const char *){0}),
		     INTAKE_BAD_FORMAT);
	cr_assert_eq(decode_text("[]"), INTAKE_BAD_FORMAT);
	free(odd);
	free(text);
	json_decref(body);
}

Test(claim_json, what_the_server_says_the_client_reads)
{
	struct claim_status status = {.claim_id = {0, 0x11},
				      .rev = 4,
				      .state = CLAIM_ACTIVE,
				      .confirmations = 6,
				      .needed = 6,
				      .has_block = true,
				      .block = 24141200,
				      .block_time_s = 1767300000,
				      .is_credited = true,
				      .outcome = PLAN_OVERPAID,
				      .units = 3,
				      .expiry_s = 1775076000,
				      .updated_s = 1767300075};
	struct claim_status got;
	char *text;

	cr_assert_eq(u256_from_decimal("350000000000000000000", &status.value),
		     0);
	status.credit = u256_from_u64(50);
	text = claim_json_status(&status);
	cr_assert_str_eq(
		text,
		"{\"claim_id\":\"00110000000000000000000000000000\",\"rev\":4,"
		"\"state\":\"active\",\"confirmations\":6,\"needed\":6,"
		"\"settled\":false,\"block\":{\"number\":24141200,\"hash\":"
		"\"0x00000000000000000000000000000000000000000000000000000000"
		"00000000\",\"time\":1767300000},\"outcome\":\"overpaid\","
		"\"value\":\"350000000000000000000\",\"units\":3,\"credit\":"
		"\"50\",\"expiry\":1775076000,\"updated_at\":1767300075}");
	cr_assert_eq(claim_json_read(text, strlen(text), &got), 0);
	cr_assert_eq(got.state, CLAIM_ACTIVE);
	cr_assert_eq(got.outcome, PLAN_OVERPAID);
	cr_assert_eq(u256_compare(&got.value, &status.value), 0);
	cr_assert_eq(got.expiry_s, status.expiry_s);
	cr_assert(got.has_block && got.is_credited);
	free(text);

	status = (struct claim_status){
		.rev = 5, .state = CLAIM_REJECTED, .reason = CLAIM_NO_TRANSFER};
	text = claim_json_status(&status);
	cr_assert_eq(claim_json_read(text, strlen(text), &got), 0);
	cr_assert_eq(got.reason, CLAIM_NO_TRANSFER);
	cr_assert_not(got.is_credited || got.has_block);
	free(text);
}

Test(claim_json, errors_are_read_and_made_harmless)
{
	static const char nasty[] =
		"{\"error\":\"rate_limited\",\"message\":\"wait\\u001b[2J\"}";
	char *text = claim_json_error(INTAKE_BUSY, "try again");
	struct answer_error err;

	cr_assert_str_eq(text,
			 "{\"error\":\"busy\",\"message\":\"try again\"}");
	cr_assert_eq(claim_json_read_error(text, strlen(text), &err), 0);
	cr_assert_str_eq(err.code, "busy");
	cr_assert_eq(claim_json_read_error(nasty, strlen(nasty), &err), 0);
	cr_assert_str_eq(err.message, "wait?[2J");
	cr_assert_eq(claim_json_read_error("{}", 2, &err), ERR_SYNTAX);
	cr_assert_eq(claim_json_read_error("", 0, &err), ERR_SYNTAX);
	free(text);
}

Test(claim_json, an_offer_goes_over_whole)
{
	json_t *v = vectors_load("payments.json");
	struct hex content = vectors_hex(v, "offer.rlp");
	struct hex key = vectors_hex(v, "keys.server_private");
	struct hex signature = vectors_hex(v, "offer.signature");
	uint8_t bytes[OFFER_SIZE_MAX], got[OFFER_SIZE_MAX];
	uint8_t hash[32];
	struct offer offer;
	size_t len = 0, got_len;
	char *text;

	/* [content, signature] by hand. */
	bytes[len++] = 0xf8;
	bytes[len++] = (uint8_t)(content.len + 67);
	memcpy(bytes + len, content.bytes, content.len);
	len += content.len;
	bytes[len++] = 0xb8;
	bytes[len++] = 65;
	memcpy(bytes + len, signature.bytes, 65);
	len += 65;
	cr_assert_eq(offer_open(bytes, len, &offer, hash), 0);
	text = offer_json_encode(bytes, len, hash, &offer);
	cr_assert_eq(offer_json_decode(text, strlen(text), got, &got_len), 0);
	cr_assert_eq(got_len, len);
	cr_assert_arr_eq(got, bytes, len);
	cr_assert_not_null(strstr(text, "\"price\":\"100000000000000000000\""));
	cr_assert_not_null(strstr(text, "\"settle\":[3]"));
	free(text);
	hex_release(&content);
	hex_release(&key);
	hex_release(&signature);
	json_decref(v);
}
