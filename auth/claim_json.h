#ifndef AUTH_CLAIM_JSON_H
#define AUTH_CLAIM_JSON_H
/*
 * Offers and claims as JSON, the way they go over HTTP (payments.md §7.1): for
 * the server that reads claims and the client that reads answers. Texts given
 * back are malloc'ed and the caller's; NULL is out of memory.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/offer.h"
#include "auth/payments.h"

#define CLAIM_JSON_MAX  8192 /* a body to POST */
#define ANSWER_JSON_MAX (64u << 10)
#define ANSWER_TEXT_MAX 256

/* ---- the server ---- */

struct claim_body {
	struct claim claim; /* its proof stands below */
	uint8_t proof[CLAIM_PROOF_MAX];
};
/*
 * Strict: one object, no key twice, nothing behind it, texts where texts
 * belong, lower-case hex of exact lengths. Unknown keys are passed over.
 * INTAKE_OK, TOO_LARGE, BAD_FORMAT, UNSUPPORTED_VERSION, UNSUPPORTED_SCHEME,
 * with a sentence in *why.
 */
enum intake claim_json_decode(const char *in, size_t len,
			      struct claim_body *out, const char **why);
char *claim_json_accepted(const struct intake_answer *answer);
char *claim_json_status(const struct claim_status *status);
char *claim_json_error(enum intake code, const char *message);
/* What GET /v1/offer answers for rlp(signed-offer) and what it says. */
char *offer_json_encode(const uint8_t *signed_offer, size_t size,
			const uint8_t hash[static 32],
			const struct offer *offer);

/* ---- the client; answers are untrusted as well ---- */

char *claim_json_encode(const struct claim *claim);
/* The bytes of "offer". 0 or ERR_SYNTAX. */
int offer_json_decode(const char *in, size_t len,
		      uint8_t out[static OFFER_SIZE_MAX], size_t *size);
/*
 * An answer to a claim or a question for its status. What is not there is
 * zero. 0 or ERR_SYNTAX (no such answer: perhaps an error).
 */
int claim_json_read(const char *in, size_t len, struct claim_status *out);
/* {"error","message"}: the code's word and the sentence, made printable. */
struct answer_error {
	char code[32];
	char message[ANSWER_TEXT_MAX];
};
int claim_json_read_error(const char *in, size_t len, struct answer_error *out);

#endif
