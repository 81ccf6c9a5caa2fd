#ifndef AUTH_CHAIN_H
#define AUTH_CHAIN_H
/*
 * JSON-RPC of a chain's node as pure text in and values out (payments.md §9,
 * §15.3). Everything an endpoint sends is hostile: size and nesting are
 * bounded before the parser sees it, hexadecimal has exact lengths, answers
 * belong to questions by id alone, and what is not exactly right is no answer.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claim.h"
#include "core/u256.h"

#define CHAIN_BODY_MAX  (8u << 20)
#define CHAIN_DEPTH_MAX 32
/* The parser takes hundreds of bytes for the two of an empty object: more than
 * receipts of that length ever hold are not parsed. */
#define CHAIN_CONTAINERS_MAX 65536
#define CHAIN_VALUES_MAX     524288
#define CHAIN_SYMBOL_MAX     32
#define CHAIN_ITEMS_MAX      1000 /* in one body */

/* ---- questions ---- */

enum chain_ask {
	CHAIN_ASK_RECEIPT, /* hash, transfer */
	CHAIN_ASK_BLOCK,   /* number */
	CHAIN_ASK_LATEST,
	CHAIN_ASK_SAFE,
	CHAIN_ASK_FINAL,
	CHAIN_ASK_TX,    /* hash */
	CHAIN_ASK_NONCE, /* address: transaction count at «finalized» */
	CHAIN_ASK_ID,
	CHAIN_ASK_SYNCING,
	CHAIN_ASK_CODE,     /* address: is there any? */
	CHAIN_ASK_PROOF,    /* address, hash of a block, digest, proof: §6.4 */
	CHAIN_ASK_DECIMALS, /* address */
	CHAIN_ASK_SYMBOL,   /* address */
};

/* The names of JSON-RPC, for counting and for what an endpoint lacks. */
enum chain_method {
	CHAIN_RECEIPT,
	CHAIN_BLOCK,
	CHAIN_TX,
	CHAIN_NONCE,
	CHAIN_ID,
	CHAIN_SYNCING,
	CHAIN_CODE,
	CHAIN_CALL,
	CHAIN_METHODS
};
enum chain_method chain_method(enum chain_ask ask);
const char *chain_method_str(enum chain_method method);

/* Which transfer inside a receipt (§6.2). */
struct chain_transfer {
	const uint8_t *token; /* ADDRESS_SIZE each; borrowed */
	const uint8_t *payee;
	const uint8_t *payer;
	uint16_t index;
};

struct chain_request {
	enum chain_ask ask;
	uint64_t number;
	uint8_t hash[32];
	uint8_t address[ADDRESS_SIZE];
	struct chain_transfer transfer;
	uint8_t digest[32];
	const uint8_t *proof; /* borrowed */
	size_t proof_size;
};

/*
 * One body: an array when `is_batch`, else the one request. The i-th has the
 * id `first_id + i` and is requests[index[i]]. `*out` is malloc'ed and
 * ends with a NUL that is not counted. 0 or
 * ERR_NOMEM.
 */
int chain_write(const struct chain_request *requests, const unsigned *index,
		unsigned count, uint64_t first_id, bool is_batch, char **out,
		size_t *out_len);

/* ---- answers ---- */

/* The table of §15.3, as far as it is told by the text of an answer. */
enum chain_outcome {
	CHAIN_UNANSWERED, /* malformed, missing, given twice, not asked yet */
	CHAIN_ANSWERED,
	CHAIN_NULL, /* an answer: not known */
	CHAIN_THROTTLED,
	CHAIN_NO_METHOD,
	CHAIN_OUR_MISTAKE,
	CHAIN_LATER, /* any other error: no answer, ask again */
};

struct chain_receipt {
	uint64_t block;
	uint8_t block_hash[32];
	/* CLAIM_NO_REASON: a transfer of `value`; else §8's reasons 1..5. */
	enum claim_reason fault;
	struct u256 value;
};
struct chain_header {
	uint64_t number;
	uint64_t time_s;
	uint8_t hash[32];
	uint8_t parent[32];
};
struct chain_tx {
	uint8_t from[ADDRESS_SIZE];
	uint64_t nonce;
	bool has_to; /* false: makes a contract */
	uint8_t to[ADDRESS_SIZE];
	bool is_mined;
};

struct chain_answer {
	enum chain_outcome outcome;
	int code; /* of a JSON-RPC error; 0 if there was none */
	union {
		struct chain_receipt receipt;
		struct chain_header header;
		struct chain_tx tx;
		uint64_t number; /* NONCE, ID, DECIMALS */
		bool flag;       /* SYNCING, CODE, PROOF */
		char symbol[CHAIN_SYMBOL_MAX + 1];
	} is;
};

/* What became of the body as a whole. */
enum chain_body {
	CHAIN_BODY_GOOD,      /* each item has its outcome */
	CHAIN_BODY_FLAWED,    /* some items are missing, doubled or odd */
	CHAIN_BODY_MALFORMED, /* nothing can be read */
	CHAIN_BODY_REFUSED,   /* a batch was answered by one error object */
	CHAIN_BODY_THROTTLED, /* the same, and the error is about rates */
};

/*
 * Read the answer to what chain_write() wrote with the same first arguments.
 * answers[index[i]] is set for each i < count.
 */
enum chain_body chain_read(const char *body, size_t len,
			   const struct chain_request *requests,
			   const unsigned *index, unsigned count,
			   uint64_t first_id, bool is_batch,
			   struct chain_answer *answers);

/* One receipt, as it stands in `result`. ANSWERED, NULL or UNANSWERED. */
enum chain_outcome chain_read_receipt(const char *text, size_t len,
				      const struct chain_request *request,
				      struct chain_receipt *out);

/* Is text nested no deeper than CHAIN_DEPTH_MAX, no longer than allowed, and
 * not made of more parts? */
bool chain_is_bounded(const char *body, size_t len);

#endif
