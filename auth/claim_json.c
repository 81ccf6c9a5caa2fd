#include "auth/claim_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jvalue.h"
#include "core/bytes.h"
#include "core/err.h"

/* ---- reading fields ---- */

/* 0x (or not) and exactly 2 * len lower-case digits. */
static bool hex_field(const json_t *object, const char *key, const char *prefix,
		      uint8_t *out, size_t len)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	size_t skip = strlen(prefix);

	if (!text || json_string_length(value) != skip + 2 * len ||
	    memcmp(text, prefix, skip) != 0 || strpbrk(text, "ABCDEF"))
		return false;
	return hex_decode(text + skip, 2 * len, out, len) == 0;
}

/* 0x and at most 2 * max digits; *len bytes, at least one. */
static bool hex_any(const json_t *object, const char *key, uint8_t *out,
		    size_t max, size_t *len)
{
	size_t chars = json_string_length(json_object_get(object, key));

	if (chars < 4 || chars % 2 || chars / 2 - 1 > max)
		return false;
	*len = chars / 2 - 1;
	return hex_field(object, key, "0x", out, *len);
}

static bool number_field(const json_t *object, const char *key, uint64_t max,
			 uint64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

/* ---- claims, as the server reads them ---- */

static const char *read_claim(const json_t *root, struct claim_body *out)
{
	struct claim *claim = &out->claim;
	uint64_t index;

	if (!hex_field(root, "node", "", claim->node, sizeof(claim->node)))
		return "node: 128 lower-case hex digits are wanted";
	if (!number_field(root, "chain_id", INT64_MAX, &claim->chain_id))
		return "chain_id: a number is wanted";
	if (!hex_field(root, "token", "0x", claim->token, ADDRESS_SIZE))
		return "token: 0x and 40 lower-case hex digits are wanted";
	if (!hex_field(root, "payee", "0x", claim->payee, ADDRESS_SIZE))
		return "payee: 0x and 40 lower-case hex digits are wanted";
	if (!hex_field(root, "payer", "0x", claim->payer, ADDRESS_SIZE))
		return "payer: 0x and 40 lower-case hex digits are wanted";
	if (!hex_field(root, "tx", "0x", claim->tx, TX_SIZE))
		return "tx: 0x and 64 lower-case hex digits are wanted";
	if (!number_field(root, "transfer", UINT16_MAX, &index))
		return "transfer: a number up to 65535 is wanted";
	if (!hex_field(root, "offer", "0x", claim->offer_hash, 32))
		return "offer: 0x and 64 lower-case hex digits are wanted";
	if (!hex_any(root, "proof", out->proof, sizeof(out->proof),
		     &claim->proof_size))
		return "proof: 0x and 1 to 4096 bytes in lower-case hex are "
		       "wanted";
	claim->index = (uint16_t)index;
	claim->proof = out->proof;
	return NULL;
}

static enum intake read_body(const json_t *root, struct claim_body *out,
			     const char **why)
{
	uint64_t version, scheme;

	if (!json_is_object(root) ||
	    !number_field(root, "version", INT64_MAX, &version)) {
		*why = "a JSON object with a number named version is wanted";
		return INTAKE_BAD_FORMAT;
	}
	if (version != 1) {
		*why = "only version 1 is known here";
		return INTAKE_UNSUPPORTED_VERSION;
	}
	if (!number_field(root, "scheme", INT64_MAX, &scheme)) {
		*why = "scheme: a number is wanted";
		return INTAKE_BAD_FORMAT;
	}
	if (scheme < CLAIM_SIGNATURE || scheme > CLAIM_CALLDATA) {
		*why = "this scheme is not known here";
		return INTAKE_UNSUPPORTED_SCHEME;
	}
	out->claim.scheme = (enum claim_scheme)scheme;
	*why = read_claim(root, out);
	return *why ? INTAKE_BAD_FORMAT : INTAKE_OK;
}

enum intake claim_json_decode(const char *in, size_t len,
			      struct claim_body *out, const char **why)
{
	enum intake code;
	json_t *root;

	memset(out, 0, sizeof(*out));
	if (len > CLAIM_JSON_MAX) {
		*why = "a claim has at most 8192 bytes";
		return INTAKE_TOO_LARGE;
	}
	root = json_loadb(in, len, JSON_REJECT_DUPLICATES, NULL);
	if (!root) {
		*why = "the body is not one JSON object, each key once";
		return INTAKE_BAD_FORMAT;
	}
	code = read_body(root, out, why);
	json_decref(root);
	return code;
}

/* ---- writing ---- */

char *claim_json_accepted(const struct intake_answer *answer)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "claim_id",
		   jvalue_hex("", answer->claim_id, CLAIM_ID_SIZE), &is_bad);
	jvalue_put(root, "rev", jvalue_number(answer->rev), &is_bad);
	jvalue_put(root, "state", json_string(claim_state_str(answer->state)),
		   &is_bad);
	jvalue_put(root, "retry_after", jvalue_number(answer->retry_after_s),
		   &is_bad);
	return jvalue_finish(root, is_bad);
}

static json_t *block_value(const struct claim_status *status, bool *is_bad)
{
	json_t *block = json_object();

	jvalue_put(block, "number", jvalue_number(status->block), is_bad);
	jvalue_put(block, "hash", jvalue_hex("0x", status->block_hash, 32),
		   is_bad);
	jvalue_put(block, "time", jvalue_number(status->block_time_s), is_bad);
	return block;
}

static void put_credit(json_t *root, const struct claim_status *status,
		       bool *is_bad)
{
	jvalue_put(root, "outcome",
		   json_string(plan_outcome_str(status->outcome)), is_bad);
	jvalue_put(root, "value", jvalue_amount(&status->value), is_bad);
	jvalue_put(root, "units", jvalue_number(status->units), is_bad);
	jvalue_put(root, "credit", jvalue_amount(&status->credit), is_bad);
	jvalue_put(root, "expiry", jvalue_number(status->expiry_s), is_bad);
}

char *claim_json_status(const struct claim_status *status)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "claim_id",
		   jvalue_hex("", status->claim_id, CLAIM_ID_SIZE), &is_bad);
	jvalue_put(root, "rev", jvalue_number(status->rev), &is_bad);
	jvalue_put(root, "state", json_string(claim_state_str(status->state)),
		   &is_bad);
	if (status->reason != CLAIM_NO_REASON)
		jvalue_put(root, "reason",
			   json_string(claim_reason_str(status->reason)),
			   &is_bad);
	jvalue_put(root, "confirmations", jvalue_number(status->confirmations),
		   &is_bad);
	jvalue_put(root, "needed", jvalue_number(status->needed), &is_bad);
	jvalue_put(root, "settled",
		   json_boolean(status->state == CLAIM_SETTLED), &is_bad);
	if (status->has_block)
		jvalue_put(root, "block", block_value(status, &is_bad),
			   &is_bad);
	if (status->is_credited)
		put_credit(root, status, &is_bad);
	jvalue_put(root, "updated_at", jvalue_number(status->updated_s),
		   &is_bad);
	if (status->retry_after_s)
		jvalue_put(root, "retry_after",
			   jvalue_number(status->retry_after_s), &is_bad);
	return jvalue_finish(root, is_bad);
}

char *claim_json_error(enum intake code, const char *message)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "error", json_string(intake_str(code)), &is_bad);
	jvalue_put(root, "message", json_string(message), &is_bad);
	return jvalue_finish(root, is_bad);
}

/* ---- offers ---- */

static json_t *policy_value(struct policy policy)
{
	json_t *list = json_array();

	if (json_array_append_new(list, json_integer(policy.mode)) != 0 ||
	    (policy.mode == POLICY_CONFIRMATIONS &&
	     json_array_append_new(list, json_integer(policy.confirmations)) !=
		     0)) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *option_value(const struct offer_option *option, bool *is_bad)
{
	json_t *root = json_object();

	jvalue_put(root, "option_id", jvalue_number(option->id), is_bad);
	jvalue_put(root, "kind", jvalue_number(option->kind), is_bad);
	jvalue_put(root, "chain_id", jvalue_number(option->chain_id), is_bad);
	jvalue_put(root, "token", jvalue_hex("0x", option->token, ADDRESS_SIZE),
		   is_bad);
	jvalue_put(root, "decimals", jvalue_number(option->decimals), is_bad);
	jvalue_put(root, "symbol", json_string(option->symbol), is_bad);
	jvalue_put(root, "payee", jvalue_hex("0x", option->payee, ADDRESS_SIZE),
		   is_bad);
	jvalue_put(root, "price", jvalue_amount(&option->terms.price), is_bad);
	jvalue_put(root, "unit", jvalue_number(option->terms.unit_s), is_bad);
	jvalue_put(root, "min_units", jvalue_number(option->terms.min_units),
		   is_bad);
	jvalue_put(root, "max_units", jvalue_number(option->terms.max_units),
		   is_bad);
	jvalue_put(root, "activate", policy_value(option->activate), is_bad);
	jvalue_put(root, "settle", policy_value(option->settle), is_bad);
	return root;
}

static json_t *offer_value(const struct offer *offer, bool *is_bad)
{
	json_t *root = json_object();
	json_t *options = json_array();

	jvalue_put(root, "server",
		   jvalue_hex("", offer->server, SECP_PUBLIC_SIZE), is_bad);
	jvalue_put(root, "sequence", jvalue_number(offer->sequence), is_bad);
	jvalue_put(root, "not_before", jvalue_number(offer->not_before_s),
		   is_bad);
	jvalue_put(root, "not_after", jvalue_number(offer->not_after_s),
		   is_bad);
	jvalue_put(root, "pay_window", jvalue_number(offer->pay_window_s),
		   is_bad);
	jvalue_put(root, "flags", jvalue_number(offer->flags), is_bad);
	jvalue_put(root, "grace", jvalue_number(offer->grace_s), is_bad);
	for (unsigned i = 0; i < offer->options_count; i++) {
		if (json_array_append_new(
			    options,
			    option_value(&offer->options[i], is_bad)) != 0)
			*is_bad = true;
	}
	jvalue_put(root, "options", options, is_bad);
	return root;
}

char *offer_json_encode(const uint8_t *signed_offer, size_t size,
			const uint8_t hash[static 32],
			const struct offer *offer)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "offer", jvalue_hex("0x", signed_offer, size),
		   &is_bad);
	jvalue_put(root, "offer_hash", jvalue_hex("0x", hash, 32), &is_bad);
	jvalue_put(root, "decoded", offer_value(offer, &is_bad), &is_bad);
	return jvalue_finish(root, is_bad);
}

/* ---- the client ---- */

char *claim_json_encode(const struct claim *claim)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "version", json_integer(1), &is_bad);
	jvalue_put(root, "scheme", jvalue_number(claim->scheme), &is_bad);
	jvalue_put(root, "node", jvalue_hex("", claim->node, SECP_PUBLIC_SIZE),
		   &is_bad);
	jvalue_put(root, "chain_id", jvalue_number(claim->chain_id), &is_bad);
	jvalue_put(root, "token", jvalue_hex("0x", claim->token, ADDRESS_SIZE),
		   &is_bad);
	jvalue_put(root, "payee", jvalue_hex("0x", claim->payee, ADDRESS_SIZE),
		   &is_bad);
	jvalue_put(root, "payer", jvalue_hex("0x", claim->payer, ADDRESS_SIZE),
		   &is_bad);
	jvalue_put(root, "tx", jvalue_hex("0x", claim->tx, TX_SIZE), &is_bad);
	jvalue_put(root, "transfer", jvalue_number(claim->index), &is_bad);
	jvalue_put(root, "offer", jvalue_hex("0x", claim->offer_hash, 32),
		   &is_bad);
	jvalue_put(root, "proof",
		   jvalue_hex("0x", claim->proof, claim->proof_size), &is_bad);
	return jvalue_finish(root, is_bad);
}

static json_t *load_answer(const char *in, size_t len)
{
	json_t *root;

	if (len > ANSWER_JSON_MAX)
		return NULL;
	root = json_loadb(in, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

int offer_json_decode(const char *in, size_t len,
		      uint8_t out[static OFFER_SIZE_MAX], size_t *size)
{
	json_t *root = load_answer(in, len);
	bool is_good =
		root && hex_any(root, "offer", out, OFFER_SIZE_MAX, size);

	json_decref(root);
	return is_good ? 0 : ERR_SYNTAX;
}

static uint64_t number_or_zero(const json_t *root, const char *key,
			       uint64_t max)
{
	uint64_t value;

	return number_field(root, key, max, &value) ? value : 0;
}

static struct u256 amount_or_zero(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));
	struct u256 value = {{0}};

	if (text)
		(void)u256_from_decimal(text, &value);
	return value;
}

static enum claim_state state_from_text(const char *text)
{
	for (enum claim_state s = CLAIM_RECEIVED; text && s <= CLAIM_REORGED;
	     s++) {
		if (strcmp(claim_state_str(s), text) == 0)
			return s;
	}
	return 0;
}

static enum claim_reason reason_from_text(const char *text)
{
	for (enum claim_reason r = CLAIM_TX_FAILED;
	     text && r <= CLAIM_CANCELLED; r++) {
		if (strcmp(claim_reason_str(r), text) == 0)
			return r;
	}
	return CLAIM_NO_REASON;
}

static enum plan_outcome outcome_from_text(const char *text)
{
	for (enum plan_outcome o = PLAN_EXACT; text && o <= PLAN_CAPPED; o++) {
		if (strcmp(plan_outcome_str(o), text) == 0)
			return o;
	}
	return PLAN_EXACT;
}

static void read_credit(const json_t *root, struct claim_status *out)
{
	out->is_credited = json_object_get(root, "outcome") != NULL;
	out->outcome = outcome_from_text(
		json_string_value(json_object_get(root, "outcome")));
	out->value = amount_or_zero(root, "value");
	out->credit = amount_or_zero(root, "credit");
	out->units = (uint32_t)number_or_zero(root, "units", UINT32_MAX);
	out->expiry_s = number_or_zero(root, "expiry", INT64_MAX);
}

static void read_block(const json_t *block, struct claim_status *out)
{
	out->has_block =
		number_field(block, "number", INT64_MAX, &out->block) &&
		hex_field(block, "hash", "0x", out->block_hash, 32);
	out->block_time_s = number_or_zero(block, "time", INT64_MAX);
}

static bool read_status(const json_t *root, struct claim_status *out)
{
	if (!hex_field(root, "claim_id", "", out->claim_id, CLAIM_ID_SIZE))
		return false;
	out->state = state_from_text(
		json_string_value(json_object_get(root, "state")));
	out->reason = reason_from_text(
		json_string_value(json_object_get(root, "reason")));
	out->rev = (uint32_t)number_or_zero(root, "rev", UINT32_MAX);
	out->confirmations = number_or_zero(root, "confirmations", INT64_MAX);
	out->needed = number_or_zero(root, "needed", INT64_MAX);
	out->updated_s = number_or_zero(root, "updated_at", INT64_MAX);
	out->retry_after_s =
		(uint32_t)number_or_zero(root, "retry_after", UINT32_MAX);
	read_block(json_object_get(root, "block"), out);
	read_credit(root, out);
	return out->state != 0;
}

int claim_json_read(const char *in, size_t len, struct claim_status *out)
{
	json_t *root = load_answer(in, len);
	bool is_good;

	memset(out, 0, sizeof(*out));
	is_good = root && read_status(root, out);
	json_decref(root);
	return is_good ? 0 : ERR_SYNTAX;
}

static void copy_printable(const json_t *value, char *out, size_t size)
{
	const char *text = json_string_value(value);
	size_t len = text ? strlen(text) : 0;

	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i]
								 : '?');
	out[len] = '\0';
}

int claim_json_read_error(const char *in, size_t len, struct answer_error *out)
{
	json_t *root = load_answer(in, len);
	bool is_good = json_is_string(json_object_get(root, "error"));

	memset(out, 0, sizeof(*out));
	copy_printable(json_object_get(root, "error"), out->code,
		       sizeof(out->code));
	copy_printable(json_object_get(root, "message"), out->message,
		       sizeof(out->message));
	json_decref(root);
	return is_good ? 0 : ERR_SYNTAX;
}
