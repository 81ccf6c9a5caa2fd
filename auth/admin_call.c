#include "auth/admin_private.h"

#include <stdlib.h>
#include <string.h>

#include "auth/jvalue.h"
#include "core/bytes.h"
#include "core/enode.h"
#include "core/err.h"

void call_error(struct admin_call *call, unsigned status, const char *code,
		const char *message)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "error", json_string(code), &is_bad);
	jvalue_put(root, "message", json_string(message), &is_bad);
	call->out->status = status;
	call->out->body = jvalue_finish(root, is_bad);
}

void call_answer(struct admin_call *call, json_t *root)
{
	call->out->status = 200;
	call->out->body = jvalue_finish(root, call->is_bad || !root);
}

const char *call_arg(const struct admin_call *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call->args, name));

	return text && *text ? text : NULL;
}

bool call_number_arg(struct admin_call *call, const char *name, uint64_t *out)
{
	const char *text = call_arg(call, name);
	char *end;

	if (!text)
		return true;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0')
		return true;
	call_error(call, 400, "bad_format", "a number is wanted");
	return false;
}

bool call_node_arg(struct admin_call *call,
		   uint8_t out[static SECP_PUBLIC_SIZE])
{
	const char *text = call_arg(call, "node");
	struct enode enode;

	if (!text || enode_decode(text, &enode)) {
		call_error(call, 400, "bad_format",
			   "node: an enode URL or a key of 128 hex digits "
			   "is wanted");
		return false;
	}
	memcpy(out, enode.public, SECP_PUBLIC_SIZE);
	return true;
}

bool call_claim_arg(struct admin_call *call, uint8_t out[static CLAIM_ID_SIZE])
{
	const char *text = call_arg(call, "claim");

	if (text && hex_decode(text, strlen(text), out, CLAIM_ID_SIZE) == 0)
		return true;
	call_error(call, 400, "bad_format",
		   "claim: an id of 32 hex digits is wanted");
	return false;
}

bool call_reason_arg(struct admin_call *call, const char **out)
{
	*out = call_arg(call, "reason");
	if (*out && strlen(*out) <= ADMIN_REASON_MAX)
		return true;
	call_error(call, 400, "bad_format",
		   "reason: 1 to 127 characters are wanted; it is kept with "
		   "the change");
	return false;
}

void call_put_text(struct admin_call *call, json_t *root, const char *key,
		   const char *text)
{
	jvalue_put(root, key, json_string(text), &call->is_bad);
}
void call_put_number(struct admin_call *call, json_t *root, const char *key,
		     uint64_t value)
{
	jvalue_put(root, key, jvalue_number(value), &call->is_bad);
}
void call_put_hex(struct admin_call *call, json_t *root, const char *key,
		  const char *prefix, const uint8_t *in, size_t len)
{
	jvalue_put(root, key, jvalue_hex(prefix, in, len), &call->is_bad);
}
void call_put_amount(struct admin_call *call, json_t *root, const char *key,
		     const struct u256 *amount)
{
	jvalue_put(root, key, jvalue_amount(amount), &call->is_bad);
}

void call_append(struct admin_call *call, json_t *list, json_t *item)
{
	if (json_array_append_new(list, item) != 0)
		call->is_bad = true;
}

bool call_is_done(struct admin_call *call, int err)
{
	switch (err) {
	case 0:
		return true;
	case ERR_NOTFOUND:
		call_error(call, 404, "not_found",
			   "there is nothing to change");
		return false;
	case ERR_DENIED:
	case ERR_EXISTS:
	case ERR_CONFLICT:
		call_error(call, 409, "not_allowed",
			   "this cannot be changed so, or is so already");
		return false;
	case ERR_RANGE:
		call_error(call, 400, "bad_format",
			   "this is beyond what can be counted");
		return false;
	case ERR_FULL:
	case ERR_CLOSED:
		call_error(call, 503, "busy", "try again");
		return false;
	default:
		call_error(call, 500, "failed", err_str(err));
		return false;
	}
}

void call_put(struct admin_call *call, json_t *root, const char *key,
	      json_t *value)
{
	jvalue_put(root, key, value, &call->is_bad);
}

void call_put_bool(struct admin_call *call, json_t *root, const char *key,
		   bool value)
{
	jvalue_put(root, key, json_boolean(value), &call->is_bad);
}

bool listing_is_full(const struct listing *listing)
{
	return listing->max != 0 &&
	       json_array_size(listing->list) >= listing->max;
}
