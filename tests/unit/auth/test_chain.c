#include "auth/chain.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

#define TRANSFER                                                               \
	"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
#define APPROVAL                                                               \
	"0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
#define A(x) "0x" x x x x x x x x x x x x x x x x x x x x
#define T(x)                                                                   \
	"0x000000000000000000000000" x x x x x x x x x x x x x x x x x x x x
#define TOKEN    A("11")
#define OTHER    A("99")
#define PAYEE    T("22")
#define PAYER    T("33")
#define STRANGER T("44")
#define ZERO     T("00")
#define H(x)                                                                   \
	"0x" x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x
#define TX H("aa")
#define V(x)                                                                   \
	"0x00000000000000000000000000000000000000000000000000000000000000" x
#define LOG(address, topics, data, more)                                       \
	"{\"address\":\"" address "\",\"topics\":[" topics                     \
	"],\"data\":\"" data "\"" more "}"
#define PAID(address, from, to, value)                                         \
	LOG(address, "\"" TRANSFER "\",\"" from "\",\"" to "\"", value, "")
#define RECEIPT(status, logs)                                                  \
	"{\"transactionHash\":\"" TX "\",\"status\":" status                   \
	",\"blockHash\":\"" H(                                                 \
		"bb") "\",\"blockNumber\":\"0x10\",\"logs\":[" logs "]}"

static uint8_t token[20], payee[20], payer[20];

static struct chain_request ask_for(uint16_t index)
{
	struct chain_request req = {.ask = CHAIN_ASK_RECEIPT,
				    .transfer = {token, payee, payer, index}};

	memset(token, 0x11, 20);
	memset(payee, 0x22, 20);
	memset(payer, 0x33, 20);
	memset(req.hash, 0xaa, 32);
	return req;
}

static struct chain_receipt read_ok(const char *text, uint16_t index)
{
	struct chain_request req = ask_for(index);
	struct chain_receipt out;

	cr_assert_eq(chain_read_receipt(text, strlen(text), &req, &out),
		     CHAIN_ANSWERED, "%s", text);
	cr_assert_eq(out.block, 16);
	return out;
}

static enum chain_outcome outcome_of(const char *text)
{
	struct chain_request req = ask_for(0);
	struct chain_receipt out;

	return chain_read_receipt(text, strlen(text), &req, &out);
}

static void assert_paid(const char *text, uint16_t index, uint64_t value)
{
	struct chain_receipt out = read_ok(text, index);
	struct u256 want = u256_from_u64(value);

	cr_assert_eq(out.fault, CLAIM_NO_REASON, "%s", text);
	cr_assert_eq(u256_compare(&out.value, &want), 0);
}

static void assert_fault(const char *text, uint16_t index,
			 enum claim_reason fault)
{
	cr_assert_eq(read_ok(text, index).fault, fault, "%s", text);
}

Test(chain, finds_the_transfer_of_a_receipt)
{
	assert_paid(RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, PAYEE, V("05"))), 0,
		    5);
}

/* §6.2: several payers in one transaction cannot shift each other's index. */
Test(chain, counts_only_the_payers_own_transfers)
{
	const char *text = RECEIPT(
		"\"0x1\"",
		PAID(TOKEN, STRANGER, PAYEE, V("07")) "," PAID(
			TOKEN, PAYER, PAYEE,
			V("01")) "," PAID(TOKEN, PAYER, STRANGER,
					  V("09")) "," PAID(OTHER, PAYER, PAYEE,
							    V("08")) "," PAID(TOKEN,
									      PAYER,
									      PAYEE,
									      V("02")));

	assert_paid(text, 0, 1);
	assert_paid(text, 1, 2);
	assert_fault(text, 2, CLAIM_NO_TRANSFER);
}

/* Anybody may emit a zero transfer «from» a stranger. */
Test(chain, a_transfer_of_nothing_does_not_count)
{
	assert_paid(
		RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, PAYEE, V("00")) "," PAID(
					   TOKEN, PAYER, PAYEE, V("03"))),
		0, 3);
	assert_fault(RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, PAYEE, V("00"))), 0,
		     CLAIM_NO_TRANSFER);
}

Test(chain, a_removed_log_does_not_count)
{
	assert_fault(RECEIPT("\"0x1\"",
			     LOG(TOKEN,
				 "\"" TRANSFER "\",\"" PAYER "\",\"" PAYEE "\"",
				 V("05"), ",\"removed\":true")),
		     0, CLAIM_NO_TRANSFER);
}

Test(chain, other_events_with_three_topics_do_not_count)
{
	assert_fault(RECEIPT("\"0x1\"",
			     LOG(TOKEN,
				 "\"" APPROVAL "\",\"" PAYER "\",\"" PAYEE "\"",
				 V("05"), "")),
		     0, CLAIM_NO_TRANSFER);
}

/* Tokens that number their pieces index the value: four topics, no data. */
Test(chain, a_transfer_with_four_topics_does_not_count)
{
	assert_fault(RECEIPT("\"0x1\"", LOG(TOKEN,
					    "\"" TRANSFER "\",\"" PAYER
					    "\",\"" PAYEE "\",\"" V("05") "\"",
					    "0x", "")),
		     0, CLAIM_NO_TRANSFER);
}

/* Three topics and one word of data, no more and no less. */
Test(chain, other_shapes_of_a_transfer_do_not_count)
{
	static const char *const shapes[] = {
		LOG(TOKEN,
		    "\"" TRANSFER "\",\"" PAYER "\",\"" PAYEE
		    "\",\"" V("05") "\"",
		    V("05"), ""),
		LOG(TOKEN, "\"" TRANSFER "\",\"" PAYER "\",\"" PAYEE "\"",
		    V("05") "00", ""),
		LOG(TOKEN, "\"" TRANSFER "\",\"" PAYER "\",\"" PAYEE "\"",
		    "0x05", ""),
		LOG(TOKEN, "\"" TRANSFER "\",\"" PAYER "\",\"" PAYEE "\"", "0x",
		    ""),
	};
	char text[2048];

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		(void)snprintf(text, sizeof(text), RECEIPT("\"0x1\"", "%s,%s"),
			       shapes[i], PAID(TOKEN, PAYER, PAYEE, V("07")));
		assert_paid(text, 0, 7);
		assert_fault(text, 1, CLAIM_NO_TRANSFER);
	}
}

Test(chain, minting_to_the_payee_is_not_the_payers)
{
	assert_fault(RECEIPT("\"0x1\"", PAID(TOKEN, ZERO, PAYEE, V("05"))), 0,
		     CLAIM_PAYER_MISMATCH);
}

Test(chain, says_why_there_is_no_transfer)
{
	assert_fault(RECEIPT("\"0x0\"", ""), 0, CLAIM_TX_FAILED);
	assert_fault(RECEIPT("\"0x1\"", ""), 0, CLAIM_NO_TRANSFER);
	assert_fault(RECEIPT("\"0x1\"", PAID(OTHER, PAYER, PAYEE, V("05"))), 0,
		     CLAIM_WRONG_TOKEN);
	assert_fault(RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, STRANGER, V("05"))),
		     0, CLAIM_WRONG_PAYEE);
	assert_fault(RECEIPT("\"0x1\"", PAID(TOKEN, STRANGER, PAYEE, V("05"))),
		     0, CLAIM_PAYER_MISMATCH);
}

/* A failed transaction has no logs; one that says otherwise is not believed. */
Test(chain, a_failed_transaction_pays_nothing)
{
	struct chain_receipt out = read_ok(
		RECEIPT("\"0x0\"", PAID(TOKEN, PAYER, PAYEE, V("05"))), 0);

	cr_assert_eq(out.fault, CLAIM_TX_FAILED);
	cr_assert(u256_is_zero(&out.value));
}

/* An address topic with something above the 20 bytes is no address. */
Test(chain, topics_are_padded_with_zeros)
{
	assert_fault(
		RECEIPT("\"0x1\"",
			LOG(TOKEN,
			    "\"" TRANSFER
			    "\",\"0x010000000000000000000000333333333333333333"
			    "3333333333333333333333\",\"" PAYEE "\"",
			    V("05"), "")),
		0, CLAIM_PAYER_MISMATCH);
}

Test(chain, null_and_waiting_receipts_are_not_known)
{
	cr_assert_eq(outcome_of("null"), CHAIN_NULL);
	cr_assert_eq(outcome_of("{\"transactionHash\":\"" TX "\"}"),
		     CHAIN_NULL);
	cr_assert_eq(outcome_of(RECEIPT("null", "")), CHAIN_NULL);
}

Test(chain, odd_receipts_are_no_answer)
{
	static const char *const odd[] = {
		"true",
		"[]",
		"{}",
		"\"0x\"",
		RECEIPT("\"0x2\"", ""),
		RECEIPT("1", ""),
		RECEIPT("\"0x01\"", ""),
		RECEIPT("\"0x1\"", "{}"),
		RECEIPT("\"0x1\"", "null"),
		RECEIPT("\"0x1\"", PAID("0x11", PAYER, PAYEE, V("05"))),
		RECEIPT("\"0x1\"", PAID(TOKEN, "0x33", PAYEE, V("05"))),
		RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, PAYEE, "5")),
		RECEIPT("\"0x1\"", PAID(TOKEN, PAYER, PAYEE, "0x5")),
		RECEIPT("\"0x1\"", LOG(TOKEN, "\"" TRANSFER "\"", "0x",
				       ",\"removed\":\"no\"")),
		/* another transaction's */
		"{\"transactionHash\":\"" H("ab") "\",\"status\":\"0x1\","
						  "\"blockHash\":\"" H(
							  "b"
							  "b") "\","
							       "\"blockNumber\""
							       ":\"0x10\","
							       "\"logs\":[]}",
		/* no logs */
		"{\"transactionHash\":\"" TX
		"\",\"status\":\"0x1\",\"blockHash\":\"" H(
			"bb") "\",\"blockNumber\":\"0x10\"}",
		/* the same member twice */
		"{\"transactionHash\":\"" TX
		"\",\"status\":\"0x0\",\"status\":\"0x1\",\"blockHash\":\"" H(
			"bb") "\",\"blockNumber\":\"0x10\",\"logs\":[]}",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		cr_assert_eq(outcome_of(odd[i]), CHAIN_UNANSWERED, "%s",
			     odd[i]);
}

/* ---- bodies ---- */

static const unsigned order[] = {0, 1, 2};
static const struct chain_request three[] = {
	{.ask = CHAIN_ASK_ID},
	{.ask = CHAIN_ASK_NONCE},
	{.ask = CHAIN_ASK_FINAL},
};

static enum chain_body read_three(const char *text, struct chain_answer *out)
{
	return chain_read(text, strlen(text), three, order, 3, 7, true, out);
}

Test(chain, answers_in_any_order_are_matched_by_id)
{
	struct chain_answer got[3];

	cr_assert_eq(
		read_three("[{\"id\":9,\"result\":null},{\"id\":7,\"result\":"
			   "\"0x1\"},{\"id\":8,\"result\":\"0x2a\"}]",
			   got),
		CHAIN_BODY_GOOD);
	cr_assert_eq(got[0].is.number, 1);
	cr_assert_eq(got[1].is.number, 42);
	cr_assert_eq(got[2].outcome, CHAIN_NULL);
}

Test(chain, ids_wrong_missing_or_twice_are_no_answers)
{
	struct chain_answer got[3];

	cr_assert_eq(read_three("[{\"id\":7,\"result\":\"0x1\"},{\"id\":7,"
				"\"result\":\"0x1\"},{\"id\":\"8\",\"result\":"
				"\"0x1\"},{\"id\":6,\"result\":\"0x1\"}]",
				got),
		     CHAIN_BODY_FLAWED);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(got[i].outcome, CHAIN_UNANSWERED);
	cr_assert_eq(read_three("[]", got), CHAIN_BODY_FLAWED);
	cr_assert_eq(read_three("[{\"id\":7,\"result\":\"0x1\"}]", got),
		     CHAIN_BODY_FLAWED);
	cr_assert_eq(got[0].outcome, CHAIN_ANSWERED);
	cr_assert_eq(got[1].outcome, CHAIN_UNANSWERED);
}

static enum chain_body read_single(const char *text, struct chain_answer *out)
{
	return chain_read(text, strlen(text), three, order, 1, 7, false, out);
}

Test(chain, a_single_answer_has_its_id_too)
{
	static const char *const others[] = {"6", "8", "\"7\"", "null", "7.0"};
	struct chain_answer got[3];
	char text[128];

	cr_assert_eq(read_single("{\"id\":7,\"result\":\"0x1\"}", got),
		     CHAIN_BODY_GOOD);
	cr_assert_eq(got[0].outcome, CHAIN_ANSWERED);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"id\":%s,\"result\":\"0x1\"}", others[i]);
		cr_assert_eq(read_single(text, got), CHAIN_BODY_FLAWED, "%s",
			     text);
		cr_assert_eq(got[0].outcome, CHAIN_UNANSWERED, "%s", text);
	}
	cr_assert_eq(read_single("{\"result\":\"0x1\"}", got),
		     CHAIN_BODY_FLAWED);
	/* Some put none on an error that is not about one request. */
	cr_assert_eq(read_single("{\"id\":null,\"error\":{\"code\":-32005,"
				 "\"message\":\"\"}}",
				 got),
		     CHAIN_BODY_GOOD);
	cr_assert_eq(got[0].outcome, CHAIN_THROTTLED);
}

/* It is not taken for the one that is missing. */
Test(chain, a_wrong_id_in_a_batch_is_no_answer)
{
	static const char *const ids[] = {"6", "10", "107", "\"7\"", "null"};
	struct chain_answer got[3];
	char text[128];

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		(void)snprintf(text, sizeof(text),
			       "[{\"id\":%s,\"result\":\"0x1\"},"
			       "{\"id\":8,\"result\":\"0x1\"},"
			       "{\"id\":9,\"result\":null}]",
			       ids[i]);
		cr_assert_eq(read_three(text, got), CHAIN_BODY_FLAWED);
		cr_assert_eq(got[0].outcome, CHAIN_UNANSWERED, "%s", text);
		cr_assert_eq(got[1].outcome, CHAIN_ANSWERED);
	}
}

Test(chain, what_is_not_json_is_malformed)
{
	struct chain_answer got[3];

	cr_assert_eq(read_three("", got), CHAIN_BODY_MALFORMED);
	cr_assert_eq(read_three("<html>", got), CHAIN_BODY_MALFORMED);
	cr_assert_eq(read_three("[{\"id\":7,\"result\":\"0x1\"}", got),
		     CHAIN_BODY_MALFORMED);
	cr_assert_eq(read_three("[]x", got), CHAIN_BODY_MALFORMED);
	cr_assert_eq(read_three("{}", got), CHAIN_BODY_MALFORMED);
	cr_assert_eq(read_three("7", got), CHAIN_BODY_MALFORMED);
	/* Which of the two would hold? */
	cr_assert_eq(read_three("[{\"id\":7,\"result\":\"0x1\",\"result\":"
				"\"0x2\"}]",
				got),
		     CHAIN_BODY_MALFORMED);
}

Test(chain, one_error_for_a_batch_refuses_or_throttles_it)
{
	struct chain_answer got[3];

	cr_assert_eq(read_three("{\"id\":null,\"error\":{\"code\":-32600,"
				"\"message\":\"no batches\"}}",
				got),
		     CHAIN_BODY_REFUSED);
	cr_assert_eq(
		read_three("{\"error\":{\"code\":-32005,\"message\":\"\"}}",
			   got),
		CHAIN_BODY_THROTTLED);
}

/* The table of §15.3. */
Test(chain, errors_have_their_meaning)
{
	static const struct {
		enum chain_ask ask;
		const char *error;
		enum chain_outcome outcome;
	} table[] = {
		{CHAIN_ASK_ID, "-32005,\"message\":\"x\"", CHAIN_THROTTLED},
		{CHAIN_ASK_ID, "-32097,\"message\":\"x\"", CHAIN_THROTTLED},
		{CHAIN_ASK_ID, "-32000,\"message\":\"Rate exceeded\"",
		 CHAIN_THROTTLED},
		{CHAIN_ASK_ID, "-32000,\"message\":\"daily limit reached\"",
		 CHAIN_THROTTLED},
		{CHAIN_ASK_ID, "-32000,\"message\":\"generated badly\"",
		 CHAIN_LATER},
		{CHAIN_ASK_ID, "-32601,\"message\":\"rate\"", CHAIN_NO_METHOD},
		{CHAIN_ASK_ID, "-32602,\"message\":\"limit\"",
		 CHAIN_OUR_MISTAKE},
		{CHAIN_ASK_RECEIPT,
		 "-32000,\"message\":\"transaction indexing is in progress\"",
		 CHAIN_LATER},
		{CHAIN_ASK_BLOCK, "-32000,\"message\":\"header not found\"",
		 CHAIN_LATER},
		{CHAIN_ASK_RECEIPT, "-32001,\"message\":\"resource not found\"",
		 CHAIN_LATER},
		{CHAIN_ASK_SAFE, "-32000,\"message\":\"safe block not found\"",
		 CHAIN_NULL},
		{CHAIN_ASK_FINAL, "-39001,\"message\":\"Unknown block\"",
		 CHAIN_NULL},
		{CHAIN_ASK_LATEST, "-39001,\"message\":\"Unknown block\"",
		 CHAIN_LATER},
		{CHAIN_ASK_ID, "3,\"message\":\"execution reverted\"",
		 CHAIN_LATER},
		{CHAIN_ASK_PROOF, "3,\"message\":\"execution reverted\"",
		 CHAIN_ANSWERED},
		{CHAIN_ASK_PROOF, "-32000,\"message\":\"out of gas\"",
		 CHAIN_ANSWERED},
		{CHAIN_ASK_PROOF, "-32603,\"message\":\"EVM error MemoryOOG\"",
		 CHAIN_ANSWERED},
		{CHAIN_ASK_PROOF,
		 "-32000,\"message\":\"execution aborted (timeout = 5s)\"",
		 CHAIN_LATER},
		{CHAIN_ASK_PROOF, "-32000,\"message\":\"header not found\"",
		 CHAIN_LATER},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct chain_request req = {.ask = table[i].ask};
		struct chain_answer got;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "{\"id\":1,\"error\":{\"code\":%s}}",
			       table[i].error);
		(void)chain_read(text, strlen(text), &req, order, 1, 1, false,
				 &got);
		cr_assert_eq(got.outcome, table[i].outcome, "%s", text);
		if (table[i].ask == CHAIN_ASK_PROOF)
			cr_assert_not(got.is.flag);
	}
}

static struct chain_answer read_one(struct chain_request req,
				    const char *result)
{
	struct chain_answer got;
	char text[2048];

	(void)snprintf(text, sizeof(text), "{\"id\":1,\"result\":%s}", result);
	(void)chain_read(text, strlen(text), &req, order, 1, 1, false, &got);
	return got;
}

#define HEADER(number)                                                         \
	"{\"number\":\"" number                                                \
	"\",\"hash\":\"" H("cd") "\",\"parentHash\":\"" H(                     \
		"ce") "\",\"timestamp\":\"0x69\",\"more\":[1]}"

Test(chain, reads_headers_of_the_number_asked_for)
{
	struct chain_request req = {.ask = CHAIN_ASK_BLOCK, .number = 16};
	struct chain_answer got = read_one(req, HEADER("0x10"));

	cr_assert_eq(got.outcome, CHAIN_ANSWERED);
	cr_assert_eq(got.is.header.number, 16);
	cr_assert_eq(got.is.header.time_s, 0x69);
	cr_assert_eq(got.is.header.hash[31], 0xcd);
	cr_assert_eq(got.is.header.parent[0], 0xce);
	cr_assert_eq(read_one(req, "null").outcome, CHAIN_NULL);
	cr_assert_eq(read_one(req, HEADER("0x11")).outcome, CHAIN_UNANSWERED);
	cr_assert_eq(read_one(req, HEADER("0x010")).outcome, CHAIN_UNANSWERED);
	cr_assert_eq(read_one(req, HEADER("0x10000000000000000")).outcome,
		     CHAIN_UNANSWERED);
}

Test(chain, contract_proofs_are_good_in_one_way)
{
	struct chain_request req = {.ask = CHAIN_ASK_PROOF};
	struct chain_answer got = read_one(
		req, "\"0x1626ba7e00000000000000000000000000000000000000000000"
		     "000000000000\"");
	static const char *const bad[] = {
		"\"0x\"", "\"0x1626ba7e\"",
		"\"0x1626ba7e000000000000000000000000000000000000000000000000"
		"00000001\"",
		"\"0x0000000000000000000000000000000000000000000000000000"
		"00001626ba7e\"",
		"\"0x1626ba7e00000000000000000000000000000000000000000000"
		"00000000000000\""};

	cr_assert_eq(got.outcome, CHAIN_ANSWERED);
	cr_assert(got.is.flag);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		got = read_one(req, bad[i]);
		cr_assert_eq(got.outcome, CHAIN_ANSWERED);
		cr_assert_not(got.is.flag, "%s", bad[i]);
	}
	cr_assert_eq(read_one(req, "null").outcome, CHAIN_UNANSWERED);
}

Test(chain, reads_tokens_and_accounts)
{
	struct chain_request req = {.ask = CHAIN_ASK_SYMBOL};
	char text[256];

	(void)snprintf(text, sizeof(text), "\"0x%064x%064x534e54%058x\"", 32, 3,
		       0);
	cr_assert_str_eq(read_one(req, text).is.symbol, "SNT");
	cr_assert_str_eq(
		read_one(req, "\"0x4d4b5200000000000000000000000000000000000000"
			      "00000000000000000000\"")
			.is.symbol,
		"MKR");
	/* No token: that is an answer. */
	cr_assert_eq(read_one(req, "\"0x\"").outcome, CHAIN_NULL);
	cr_assert_eq(read_one(req, "7").outcome, CHAIN_UNANSWERED);
	req.ask = CHAIN_ASK_DECIMALS;
	cr_assert_eq(read_one(req, "\"" V("12") "\"").is.number, 18);
	cr_assert_eq(read_one(req, "\"0x12\"").outcome, CHAIN_NULL);
	cr_assert_eq(read_one(req, "\"0x1\"").outcome, CHAIN_UNANSWERED);
	req.ask = CHAIN_ASK_CODE;
	cr_assert_not(read_one(req, "\"0x\"").is.flag);
	cr_assert(read_one(req, "\"0x60\"").is.flag);
	cr_assert_eq(read_one(req, "\"0x6\"").outcome, CHAIN_UNANSWERED);
	req.ask = CHAIN_ASK_SYNCING;
	cr_assert_not(read_one(req, "false").is.flag);
	cr_assert(read_one(req, "{\"currentBlock\":\"0x1\"}").is.flag);
	cr_assert_eq(read_one(req, "null").outcome, CHAIN_UNANSWERED);
}

Test(chain, reads_waiting_transactions)
{
	struct chain_request req = ask_for(0);
	struct chain_answer got;

	req.ask = CHAIN_ASK_TX;
	got = read_one(req, "{\"hash\":\"" TX "\",\"from\":\"" A(
				    "33") "\",\"to\":null,\"nonce\":\"0x7\","
					  "\"blockHash\":null}");
	cr_assert_eq(got.outcome, CHAIN_ANSWERED);
	cr_assert_eq(got.is.tx.nonce, 7);
	cr_assert_not(got.is.tx.has_to);
	cr_assert_not(got.is.tx.is_mined);
	cr_assert_eq(read_one(req, "{\"hash\":\"" H("01") "\"}").outcome,
		     CHAIN_UNANSWERED);
	cr_assert_eq(read_one(req, "null").outcome, CHAIN_NULL);
}

/* ---- bounds ---- */

Test(chain, depth_and_size_are_bounded_before_parsing)
{
	char *giant = malloc(CHAIN_BODY_MAX + 1);
	struct chain_answer got[3];

	memset(giant, '[', 33);
	memset(giant + 33, ']', 33);
	giant[66] = 0;
	cr_assert_eq(read_three(giant, got), CHAIN_BODY_MALFORMED);
	cr_assert(chain_is_bounded(giant + 1, 64));
	/* Brackets in strings are text. */
	cr_assert(chain_is_bounded("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"["
				   "[\"]",
				   41));
	memset(giant, ' ', CHAIN_BODY_MAX + 1);
	cr_assert(chain_is_bounded(giant, CHAIN_BODY_MAX));
	cr_assert_not(chain_is_bounded(giant, CHAIN_BODY_MAX + 1));
	free(giant);
}

/* Empty objects take many times their text in the parser. */
Test(chain, parts_are_bounded_before_parsing)
{
	static const char *const parts[] = {"{},", "[],", "0,"};
	static const size_t most[] = {CHAIN_CONTAINERS_MAX,
				      CHAIN_CONTAINERS_MAX, CHAIN_VALUES_MAX};

	for (int i = 0; i < 3; i++) {
		size_t size = strlen(parts[i]);
		char *body = malloc((most[i] + 1) * size);

		for (size_t n = 0; n <= most[i]; n++)
			memcpy(body + n * size, parts[i], size);
		cr_assert(chain_is_bounded(body, most[i] * size));
		cr_assert_not(chain_is_bounded(body, (most[i] + 1) * size));
		free(body);
	}
}

/* ---- writing ---- */

Test(chain, writes_requests_as_nodes_expect_them)
{
	uint8_t proof[33];
	struct chain_request reqs[] = {
		{.ask = CHAIN_ASK_BLOCK, .number = 16},
		{.ask = CHAIN_ASK_PROOF, .proof = proof, .proof_size = 33},
		{.ask = CHAIN_ASK_NONCE, .address = {0xab}},
	};
	char want[512];
	char *text;
	size_t len;

	memset(proof, 0x77, sizeof(proof));
	cr_assert_eq(chain_write(reqs, order, 1, 5, false, &text, &len), 0);
	cr_assert_eq(len, strlen(text));
	cr_assert_str_eq(text, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":"
			       "\"eth_getBlockByNumber\",\"params\":[\"0x10\","
			       "false]}");
	free(text);
	cr_assert_eq(chain_write(reqs, order, 2, 5, true, &text, &len), 0);
	cr_assert_eq(text[0], '[');
	/* selector, digest, offset, length, 33 bytes padded to 64 */
	(void)snprintf(want, sizeof(want),
		       "\"data\":\"0x1626ba7e%064x%064x%064x%s77%062x\"},"
		       "{\"blockHash\":\"0x0",
		       0, 0x40, 33, &H("77")[2], 0);
	cr_assert_not_null(strstr(text, want), "%s", text);
	free(text);
	/* §9; §21, 15: used by what is final, not by what is newest. */
	cr_assert_eq(chain_write(reqs, order + 2, 1, 5, false, &text, &len), 0);
	(void)snprintf(want, sizeof(want),
		       "\"eth_getTransactionCount\",\"params\":[\"0xab%038x\","
		       "\"finalized\"]}",
		       0);
	cr_assert_not_null(strstr(text, want), "%s", text);
	free(text);
}
