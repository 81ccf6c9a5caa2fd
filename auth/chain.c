#include "auth/chain.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/bytes.h"
#include "core/err.h"

/* keccak256("Transfer(address,address,uint256)"), §6.2 */
static const uint8_t transfer_topic[32] = {
	0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0,
	0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4,
	0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef};
/* isValidSignature(bytes32,bytes), and what it returns when it is, §6.4 */
static const uint8_t proof_magic[4] = {0x16, 0x26, 0xba, 0x7e};

static const char *const method_names[CHAIN_METHODS] = {
	[CHAIN_RECEIPT] = "eth_getTransactionReceipt",
	[CHAIN_BLOCK] = "eth_getBlockByNumber",
	[CHAIN_TX] = "eth_getTransactionByHash",
	[CHAIN_NONCE] = "eth_getTransactionCount",
	[CHAIN_ID] = "eth_chainId",
	[CHAIN_SYNCING] = "eth_syncing",
	[CHAIN_CODE] = "eth_getCode",
	[CHAIN_CALL] = "eth_call",
};

enum chain_method chain_method(enum chain_ask ask)
{
	switch (ask) {
	case CHAIN_ASK_RECEIPT:
		return CHAIN_RECEIPT;
	case CHAIN_ASK_BLOCK:
	case CHAIN_ASK_LATEST:
	case CHAIN_ASK_SAFE:
	case CHAIN_ASK_FINAL:
		return CHAIN_BLOCK;
	case CHAIN_ASK_TX:
		return CHAIN_TX;
	case CHAIN_ASK_NONCE:
		return CHAIN_NONCE;
	case CHAIN_ASK_ID:
		return CHAIN_ID;
	case CHAIN_ASK_SYNCING:
		return CHAIN_SYNCING;
	case CHAIN_ASK_CODE:
		return CHAIN_CODE;
	case CHAIN_ASK_PROOF:
	case CHAIN_ASK_DECIMALS:
	case CHAIN_ASK_SYMBOL:
		break;
	}
	return CHAIN_CALL;
}

const char *chain_method_str(enum chain_method method)
{
	return method < CHAIN_METHODS ? method_names[method] : "?";
}

/* ---- writing ---- */

/* A growing text that remembers its first error. */
struct text {
	char *at;
	size_t len;
	size_t size;
	bool failed;
};

static char *text_room(struct text *text, size_t more)
{
	size_t size = text->size ? text->size : 1024;
	char *at;

	if (text->failed)
		return NULL;
	while (size - text->len <= more)
		size *= 2;
	if (size != text->size) {
		at = realloc(text->at, size);
		if (!at) {
			text->failed = true;
			return NULL;
		}
		text->at = at;
		text->size = size;
	}
	return text->at + text->len;
}

static void text_add(struct text *text, const char *words)
{
	size_t len = strlen(words);
	char *at = text_room(text, len);

	if (!at)
		return;
	memcpy(at, words, len);
	text->len += len;
}

static void text_hex(struct text *text, const uint8_t *bytes, size_t len)
{
	char *at = text_room(text, len * 2 + 1);

	if (!at)
		return;
	hex_encode(bytes, len, at);
	text->len += len * 2;
}

static void text_number(struct text *text, const char *before, uint64_t value,
			bool is_hex)
{
	char digits[32];

	(void)snprintf(digits, sizeof(digits), is_hex ? "%" PRIx64 : "%" PRIu64,
		       value);
	text_add(text, before);
	text_add(text, digits);
}

/* `["0x…` without the quote that ends it */
static void text_param(struct text *text, const uint8_t *bytes, size_t len)
{
	text_add(text, "[\"0x");
	text_hex(text, bytes, len);
}

static void write_proof(struct text *text, const struct chain_request *req)
{
	static const uint8_t zeros[32];
	uint8_t word[32] = {0};
	size_t over = req->proof_size % 32;

	text_add(text, "[{\"to\":\"0x");
	text_hex(text, req->address, ADDRESS_SIZE);
	text_add(text, "\",\"data\":\"0x");
	text_hex(text, proof_magic, sizeof(proof_magic));
	text_hex(text, req->digest, 32);
	word[31] = 0x40;
	text_hex(text, word, 32);
	word[31] = 0;
	be64_store(word + 24, req->proof_size);
	text_hex(text, word, 32);
	text_hex(text, req->proof, req->proof_size);
	text_hex(text, zeros, over ? 32 - over : 0);
	/* EIP-1898: the state of one block, not of whatever is newest. */
	text_add(text, "\"},{\"blockHash\":\"0x");
	text_hex(text, req->hash, 32);
	text_add(text, "\"}]");
}

static void write_getter(struct text *text, const struct chain_request *req,
			 const char *selector)
{
	text_add(text, "[{\"to\":\"0x");
	text_hex(text, req->address, ADDRESS_SIZE);
	text_add(text, "\",\"data\":\"0x");
	text_add(text, selector);
	text_add(text, "\"},\"latest\"]");
}

static void write_params(struct text *text, const struct chain_request *req)
{
	switch (req->ask) {
	case CHAIN_ASK_RECEIPT:
	case CHAIN_ASK_TX:
		text_param(text, req->hash, 32);
		text_add(text, "\"]");
		break;
	case CHAIN_ASK_BLOCK:
		text_number(text, "[\"0x", req->number, true);
		text_add(text, "\",false]");
		break;
	case CHAIN_ASK_LATEST:
		text_add(text, "[\"latest\",false]");
		break;
	case CHAIN_ASK_SAFE:
		text_add(text, "[\"safe\",false]");
		break;
	case CHAIN_ASK_FINAL:
		text_add(text, "[\"finalized\",false]");
		break;
	case CHAIN_ASK_NONCE:
		text_param(text, req->address, ADDRESS_SIZE);
		text_add(text, "\",\"finalized\"]");
		break;
	case CHAIN_ASK_ID:
	case CHAIN_ASK_SYNCING:
		text_add(text, "[]");
		break;
	case CHAIN_ASK_CODE:
		text_param(text, req->address, ADDRESS_SIZE);
		text_add(text, "\",\"latest\"]");
		break;
	case CHAIN_ASK_PROOF:
		write_proof(text, req);
		break;
	case CHAIN_ASK_DECIMALS:
		write_getter(text, req, "313ce567");
		break;
	case CHAIN_ASK_SYMBOL:
		write_getter(text, req, "95d89b41");
		break;
	}
}

int chain_write(const struct chain_request *requests, const unsigned *index,
		unsigned count, uint64_t first_id, bool is_batch, char **out,
		size_t *out_len)
{
	struct text text = {0};

	assert(count > 0 && (is_batch || count == 1));
	if (is_batch)
		text_add(&text, "[");
	for (unsigned i = 0; i < count; i++) {
		const struct chain_request *req = &requests[index[i]];

		text_number(&text,
			    i ? ",{\"jsonrpc\":\"2.0\",\"id\":"
			      : "{\"jsonrpc\":\"2.0\",\"id\":",
			    first_id + i, false);
		text_add(&text, ",\"method\":\"");
		text_add(&text, method_names[chain_method(req->ask)]);
		text_add(&text, "\",\"params\":");
		write_params(&text, req);
		text_add(&text, "}");
	}
	if (is_batch)
		text_add(&text, "]");
	if (text.failed) {
		free(text.at);
		return ERR_NOMEM;
	}
	text.at[text.len] = 0; /* text_room() left a place for it */
	*out = text.at;
	*out_len = text.len;
	return 0;
}

/* ---- reading: values ---- */

bool chain_is_bounded(const char *body, size_t len)
{
	unsigned depth = 0, containers = 0, values = 0;
	bool in_string = false;

	if (len > CHAIN_BODY_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = body[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		switch (c) {
		case '"':
			in_string = true;
			break;
		case '[':
		case '{':
			depth++;
			containers++;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		case ',':
			values++;
			break;
		default:
			break;
		}
		if (depth > CHAIN_DEPTH_MAX ||
		    containers > CHAIN_CONTAINERS_MAX ||
		    values > CHAIN_VALUES_MAX)
			return false;
	}
	return true;
}

/* 0x and exactly 2 * len digits. */
static bool read_bytes(const json_t *value, uint8_t *out, size_t len)
{
	const char *text = json_string_value(value);

	if (!text || json_string_length(value) != len * 2 + 2 ||
	    text[0] != '0' || text[1] != 'x')
		return false;
	return hex_decode(text + 2, len * 2, out, len) == 0;
}

static bool read_number(const json_t *value, uint64_t *out)
{
	const char *text = json_string_value(value);
	struct u256 wide;

	if (!text || strlen(text) != json_string_length(value))
		return false;
	return u256_from_quantity(text, &wide) == 0 &&
	       u256_to_u64(&wide, out) == 0;
}

/* 0x, then whole bytes: the digits' length, or -1. */
static long data_size(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = text ? json_string_length(value) : 0;

	if (len < 2 || len % 2 || text[0] != '0' || text[1] != 'x')
		return -1;
	return (long)(len - 2) / 2;
}

static bool is_null(const json_t *value)
{
	return !value || json_is_null(value);
}

/* ---- reading: receipts ---- */

struct log_entry {
	uint8_t address[ADDRESS_SIZE];
	bool is_transfer; /* the shape of §6.2, of a value above 0 */
	uint8_t from[32]; /* topics: addresses padded to 32 bytes */
	uint8_t to[32];
	struct u256 value;
};

static bool read_topics(const json_t *topics, uint8_t out[static 4][32])
{
	size_t count = json_array_size(topics);

	if (!json_is_array(topics) || count > 4)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!read_bytes(json_array_get(topics, i), out[i], 32))
			return false;
	}
	return true;
}

/* false: not a log at all. */
static bool read_log(const json_t *value, struct log_entry *out)
{
	const json_t *topics = json_object_get(value, "topics");
	const json_t *data = json_object_get(value, "data");
	const json_t *removed = json_object_get(value, "removed");
	uint8_t topic[4][32] = {{0}};

	*out = (struct log_entry){.is_transfer = false};
	if (!read_bytes(json_object_get(value, "address"), out->address,
			ADDRESS_SIZE) ||
	    !read_topics(topics, topic) || data_size(data) < 0 ||
	    (!is_null(removed) && !json_is_boolean(removed)))
		return false;
	if (json_is_true(removed) || json_array_size(topics) != 3 ||
	    memcmp(topic[0], transfer_topic, 32) != 0 || data_size(data) != 32)
		return true;
	if (u256_from_data(json_string_value(data), &out->value))
		return false;
	memcpy(out->from, topic[1], 32);
	memcpy(out->to, topic[2], 32);
	out->is_transfer = !u256_is_zero(&out->value);
	return true;
}

static bool is_padded(const uint8_t topic[static 32],
		      const uint8_t address[static ADDRESS_SIZE])
{
	static const uint8_t zeros[12];

	return memcmp(topic, zeros, 12) == 0 &&
	       memcmp(topic + 12, address, ADDRESS_SIZE) == 0;
}

/* What was met on the way, to say why there is no transfer (§8, 3..5). */
struct sightings {
	unsigned ours; /* transfers of payer to payee so far */
	bool other_payer;
	bool other_payee;
	bool other_token;
};

/* true: this is the one. */
static bool look_at(const struct log_entry *log,
		    const struct chain_transfer *want, struct sightings *seen)
{
	bool token = memcmp(log->address, want->token, ADDRESS_SIZE) == 0;
	bool payee = is_padded(log->to, want->payee);
	bool payer = is_padded(log->from, want->payer);

	if (token && payee && payer)
		return seen->ours++ == want->index;
	seen->other_payer |= token && payee;
	seen->other_payee |= token && !payee;
	seen->other_token |= !token && payee;
	return false;
}

static enum claim_reason explain(const struct sightings *seen)
{
	if (seen->ours > 0)
		return CLAIM_NO_TRANSFER;
	if (seen->other_payer)
		return CLAIM_PAYER_MISMATCH;
	if (seen->other_payee)
		return CLAIM_WRONG_PAYEE;
	return seen->other_token ? CLAIM_WRONG_TOKEN : CLAIM_NO_TRANSFER;
}

/* §6.2. All logs are read, so that a malformed one is never overlooked. */
static bool read_logs(const json_t *logs, const struct chain_transfer *want,
		      struct chain_receipt *out)
{
	struct sightings seen = {0};
	bool found = false;

	if (!json_is_array(logs))
		return false;
	for (size_t i = 0; i < json_array_size(logs); i++) {
		struct log_entry log;

		if (!read_log(json_array_get(logs, i), &log))
			return false;
		if (log.is_transfer && look_at(&log, want, &seen)) {
			out->value = log.value;
			found = true;
		}
	}
	out->fault = found ? CLAIM_NO_REASON : explain(&seen);
	return true;
}

static bool read_status(const json_t *value, bool *is_success)
{
	uint64_t status;

	if (!read_number(value, &status) || status > 1)
		return false;
	*is_success = status == 1;
	return true;
}

/* §9, 1 and 2 */
static enum chain_outcome read_receipt(const json_t *value,
				       const struct chain_request *req,
				       struct chain_receipt *out)
{
	const json_t *status = json_object_get(value, "status");
	const json_t *hash = json_object_get(value, "blockHash");
	const json_t *number = json_object_get(value, "blockNumber");
	uint8_t tx[32];
	bool is_success;

	if (json_is_null(value))
		return CHAIN_NULL;
	if (!json_is_object(value) ||
	    !read_bytes(json_object_get(value, "transactionHash"), tx, 32) ||
	    memcmp(tx, req->hash, 32) != 0)
		return CHAIN_UNANSWERED;
	if (is_null(status) || is_null(hash) || is_null(number))
		return CHAIN_NULL;
	*out = (struct chain_receipt){.fault = CLAIM_TX_FAILED};
	if (!read_status(status, &is_success) ||
	    !read_bytes(hash, out->block_hash, 32) ||
	    !read_number(number, &out->block) ||
	    !read_logs(json_object_get(value, "logs"), &req->transfer, out))
		return CHAIN_UNANSWERED;
	if (!is_success) {
		out->fault = CLAIM_TX_FAILED;
		out->value = u256_from_u64(0);
	}
	return CHAIN_ANSWERED;
}

enum chain_outcome chain_read_receipt(const char *text, size_t len,
				      const struct chain_request *request,
				      struct chain_receipt *out)
{
	enum chain_outcome outcome = CHAIN_UNANSWERED;
	json_t *value = NULL;

	if (chain_is_bounded(text, len))
		value = json_loadb(text, len,
				   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
				   NULL);
	if (value)
		outcome = read_receipt(value, request, out);
	json_decref(value);
	return outcome;
}

/* ---- reading: the other results ---- */

static enum chain_outcome read_header(const json_t *value,
				      const struct chain_request *req,
				      struct chain_header *out)
{
	if (json_is_null(value))
		return CHAIN_NULL;
	if (!read_number(json_object_get(value, "number"), &out->number) ||
	    !read_number(json_object_get(value, "timestamp"), &out->time_s) ||
	    !read_bytes(json_object_get(value, "hash"), out->hash, 32) ||
	    !read_bytes(json_object_get(value, "parentHash"), out->parent, 32))
		return CHAIN_UNANSWERED;
	if (req->ask == CHAIN_ASK_BLOCK && out->number != req->number)
		return CHAIN_UNANSWERED;
	return CHAIN_ANSWERED;
}

static enum chain_outcome read_tx(const json_t *value,
				  const struct chain_request *req,
				  struct chain_tx *out)
{
	const json_t *to = json_object_get(value, "to");
	uint8_t hash[32];

	if (json_is_null(value))
		return CHAIN_NULL;
	out->has_to = !is_null(to);
	out->is_mined = !is_null(json_object_get(value, "blockHash"));
	if (!read_bytes(json_object_get(value, "hash"), hash, 32) ||
	    memcmp(hash, req->hash, 32) != 0 ||
	    !read_bytes(json_object_get(value, "from"), out->from,
			ADDRESS_SIZE) ||
	    !read_number(json_object_get(value, "nonce"), &out->nonce) ||
	    (out->has_to && !read_bytes(to, out->to, ADDRESS_SIZE)))
		return CHAIN_UNANSWERED;
	return CHAIN_ANSWERED;
}

/* §6.4: 32 bytes, the magic and 28 zeros; everything else is a no. */
static enum chain_outcome read_proof(const json_t *value, bool *out)
{
	static const uint8_t zeros[28];
	uint8_t word[32];

	if (!json_is_string(value))
		return CHAIN_UNANSWERED;
	*out = read_bytes(value, word, 32) &&
	       memcmp(word, proof_magic, 4) == 0 &&
	       memcmp(word + 4, zeros, 28) == 0;
	return CHAIN_ANSWERED;
}

static enum chain_outcome read_decimals(const json_t *value, uint64_t *out)
{
	struct u256 wide;

	if (data_size(value) < 0)
		return CHAIN_UNANSWERED;
	if (data_size(value) != 32 ||
	    u256_from_data(json_string_value(value), &wide) ||
	    u256_to_u64(&wide, out) || *out > UINT8_MAX)
		return CHAIN_NULL; /* not a token's answer */
	return CHAIN_ANSWERED;
}

/* Text of a token's own making: what is not plain shows as '?'. */
static enum chain_outcome copy_symbol(const uint8_t *bytes, size_t len,
				      char *out)
{
	if (len > CHAIN_SYMBOL_MAX)
		return CHAIN_NULL;
	for (size_t i = 0; i < len; i++) {
		bool is_plain = bytes[i] > ' ' && bytes[i] < 0x7f;

		out[i] = (char)(is_plain ? bytes[i] : '?');
	}
	out[len] = 0;
	return CHAIN_ANSWERED;
}

/* string as the ABI has it, or bytes32 as old tokens do. */
static enum chain_outcome read_symbol(const json_t *value, char *out)
{
	uint8_t words[96] = {0};
	long size = data_size(value);
	struct u256 wide;
	uint64_t len = 0;

	if (size == 32 && read_bytes(value, words, 32))
		return copy_symbol(words, strnlen((char *)words, 32), out);
	if (size < 0)
		return CHAIN_UNANSWERED;
	if (size != 96 || !read_bytes(value, words, 96))
		return CHAIN_NULL;
	wide = u256_from_bytes(words);
	if (u256_to_u64(&wide, &len) || len != 32)
		return CHAIN_NULL;
	wide = u256_from_bytes(words + 32);
	if (u256_to_u64(&wide, &len) || len > 32)
		return CHAIN_NULL;
	return copy_symbol(words + 64, len, out);
}

static enum chain_outcome answered_if(bool good)
{
	return good ? CHAIN_ANSWERED : CHAIN_UNANSWERED;
}

static enum chain_outcome read_result(const json_t *value,
				      const struct chain_request *req,
				      struct chain_answer *out)
{
	switch (req->ask) {
	case CHAIN_ASK_RECEIPT:
		return read_receipt(value, req, &out->is.receipt);
	case CHAIN_ASK_BLOCK:
	case CHAIN_ASK_LATEST:
	case CHAIN_ASK_SAFE:
	case CHAIN_ASK_FINAL:
		return read_header(value, req, &out->is.header);
	case CHAIN_ASK_TX:
		return read_tx(value, req, &out->is.tx);
	case CHAIN_ASK_NONCE:
	case CHAIN_ASK_ID:
		return answered_if(read_number(value, &out->is.number));
	case CHAIN_ASK_SYNCING:
		out->is.flag = !json_is_false(value);
		return answered_if(json_is_boolean(value) ||
				   json_is_object(value));
	case CHAIN_ASK_CODE:
		out->is.flag = data_size(value) > 0;
		return answered_if(data_size(value) >= 0);
	case CHAIN_ASK_PROOF:
		return read_proof(value, &out->is.flag);
	case CHAIN_ASK_DECIMALS:
		return read_decimals(value, &out->is.number);
	case CHAIN_ASK_SYMBOL:
		return read_symbol(value, out->is.symbol);
	}
	return CHAIN_UNANSWERED;
}

/* ---- reading: errors (§15.3) ---- */

/* Is there a word that begins so? «rate limited», not «generated». */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; *at; at++) {
		if ((at == text || !isalpha((unsigned char)at[-1])) &&
		    strncasecmp(at, word, len) == 0)
			return true;
	}
	return false;
}

/* The machine ran the contract's code and that ended badly: an answer. */
static bool is_revert(int code, const char *message)
{
	return code == 3 || has_word(message, "revert") ||
	       has_word(message, "out of gas") ||
	       has_word(message, "OutOfGas") ||
	       has_word(message, "invalid opcode") ||
	       has_word(message, "invalid jump") ||
	       has_word(message, "stack underflow") ||
	       has_word(message, "stack limit") ||
	       has_word(message, "VM execution error") ||
	       has_word(message, "EVM error");
}

static bool is_tag(enum chain_ask ask)
{
	return ask == CHAIN_ASK_SAFE || ask == CHAIN_ASK_FINAL;
}

static bool is_getter(enum chain_ask ask)
{
	return ask == CHAIN_ASK_DECIMALS || ask == CHAIN_ASK_SYMBOL;
}

static bool is_about_rates(int code, const char *message)
{
	return code == -32005 || code == -32097 || has_word(message, "rate") ||
	       has_word(message, "limit");
}

static enum chain_outcome classify(enum chain_ask ask, int code,
				   const char *message, bool *flag)
{
	if (code == -32601)
		return CHAIN_NO_METHOD;
	if (ask == CHAIN_ASK_PROOF && is_revert(code, message)) {
		*flag = false;
		return CHAIN_ANSWERED;
	}
	if (is_getter(ask) && is_revert(code, message))
		return CHAIN_NULL;
	/* §10: a chain without the tag. */
	if (is_tag(ask) &&
	    (has_word(message, "not found") || has_word(message, "unknown")))
		return CHAIN_NULL;
	if (code == -32602)
		return CHAIN_OUR_MISTAKE;
	return is_about_rates(code, message) ? CHAIN_THROTTLED : CHAIN_LATER;
}

static const char *error_message(const json_t *error, int *code)
{
	const char *message =
		json_string_value(json_object_get(error, "message"));
	json_int_t number = json_integer_value(json_object_get(error, "code"));

	*code = number > -1000000 && number < 1000000 ? (int)number : 0;
	return message ? message : "";
}

static void read_item(const json_t *item, const struct chain_request *req,
		      struct chain_answer *out)
{
	const json_t *error = json_object_get(item, "error");
	const json_t *result = json_object_get(item, "result");

	if (!is_null(error)) {
		const char *message = error_message(error, &out->code);

		out->outcome =
			classify(req->ask, out->code, message, &out->is.flag);
		return;
	}
	out->outcome =
		result ? read_result(result, req, out) : CHAIN_UNANSWERED;
}

/* ---- reading: bodies ---- */

/* Which of our questions is this the answer to? -1: to none. */
static long find_item(const json_t *item, uint64_t first_id, unsigned count)
{
	const json_t *id = json_object_get(item, "id");
	json_int_t number = json_integer_value(id);

	if (!json_is_integer(id) || number < 0 || (uint64_t)number < first_id ||
	    (uint64_t)number - first_id >= count)
		return -1;
	return (long)((uint64_t)number - first_id);
}

static enum chain_body read_whole_error(const json_t *root)
{
	const json_t *error = json_object_get(root, "error");
	const char *message;
	int code;

	if (is_null(error))
		return CHAIN_BODY_MALFORMED;
	message = error_message(error, &code);
	return is_about_rates(code, message) ? CHAIN_BODY_THROTTLED
					     : CHAIN_BODY_REFUSED;
}

static enum chain_body read_batch(const json_t *root,
				  const struct chain_request *requests,
				  const unsigned *index, unsigned count,
				  uint64_t first_id,
				  struct chain_answer *answers)
{
	uint8_t seen[CHAIN_ITEMS_MAX] = {0};
	bool is_odd = false;

	if (json_is_object(root))
		return read_whole_error(root);
	if (!json_is_array(root))
		return CHAIN_BODY_MALFORMED;
	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *item = json_array_get(root, i);
		long at = find_item(item, first_id, count);

		if (at < 0) {
			is_odd = true;
			continue;
		}
		if (!seen[at])
			read_item(item, &requests[index[at]],
				  &answers[index[at]]);
		else /* given twice: neither is believed */
			answers[index[at]].outcome = CHAIN_UNANSWERED;
		seen[at] = 1;
	}
	for (unsigned i = 0; i < count; i++)
		is_odd |= answers[index[i]].outcome == CHAIN_UNANSWERED;
	return is_odd ? CHAIN_BODY_FLAWED : CHAIN_BODY_GOOD;
}

static enum chain_body read_single(const json_t *root,
				   const struct chain_request *requests,
				   const unsigned *index, uint64_t first_id,
				   struct chain_answer *answers)
{
	/* Some put no id on an error that is not about one request. */
	if (!json_is_object(root))
		return CHAIN_BODY_MALFORMED;
	if (find_item(root, first_id, 1) < 0 &&
	    !(json_is_null(json_object_get(root, "id")) &&
	      json_is_object(json_object_get(root, "error"))))
		return CHAIN_BODY_FLAWED;
	read_item(root, &requests[index[0]], &answers[index[0]]);
	return answers[index[0]].outcome == CHAIN_UNANSWERED ? CHAIN_BODY_FLAWED
							     : CHAIN_BODY_GOOD;
}

enum chain_body chain_read(const char *body, size_t len,
			   const struct chain_request *requests,
			   const unsigned *index, unsigned count,
			   uint64_t first_id, bool is_batch,
			   struct chain_answer *answers)
{
	enum chain_body outcome;
	json_t *root;

	assert(count > 0 && count <= CHAIN_ITEMS_MAX);
	for (unsigned i = 0; i < count; i++)
		answers[index[i]] =
			(struct chain_answer){.outcome = CHAIN_UNANSWERED};
	if (!chain_is_bounded(body, len))
		return CHAIN_BODY_MALFORMED;
	root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return CHAIN_BODY_MALFORMED;
	outcome = is_batch ? read_batch(root, requests, index, count, first_id,
					answers)
			   : read_single(root, requests, index, first_id,
					 answers);
	json_decref(root);
	return outcome;
}
