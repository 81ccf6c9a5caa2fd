#include "net/pay_http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claim_json.h"
#include "core/bytes.h"
#include "core/err.h"

#define CLAIMS_PATH   "/v1/claims/"
#define RETRY_OFFER_S 5
#define RETRY_BUSY_S  5
#define JSON          "application/json"

const char *pay_sentence(enum intake code)
{
	switch (code) {
	case INTAKE_OK:
		return "all is well";
	case INTAKE_BAD_FORMAT:
		return "this is not the form of a claim";
	case INTAKE_UNSUPPORTED_VERSION:
		return "only version 1 is known here";
	case INTAKE_UNSUPPORTED_SCHEME:
		return "this kind of proof is not accepted here";
	case INTAKE_BAD_PROOF:
		return "the payer has not signed this claim";
	case INTAKE_UNKNOWN_CLAIM:
		return "no claim has this id";
	case INTAKE_ALREADY_CREDITED:
		return "this payment was credited to another claim";
	case INTAKE_TOO_LARGE:
		return "a claim has at most 8192 bytes";
	case INTAKE_UNSUPPORTED_CHAIN:
		return "payments on this chain were never offered here";
	case INTAKE_UNSUPPORTED_TOKEN:
		return "this token was never offered here";
	case INTAKE_UNSUPPORTED_PAYEE:
		return "this payee was never offered here";
	case INTAKE_TOO_OLD:
		return "this offer ended too long ago";
	case INTAKE_RATE_LIMITED:
		return "too many requests; try again later";
	case INTAKE_BUSY:
		return "too many claims are open; try again later";
	case INTAKE_STOPPING:
		return "the server is stopping; try again later";
	}
	return "";
}

/* ---- answers ---- */

/* Takes `body` over. */
static void answer_json(struct http_answer *answer, unsigned status, char *body)
{
	answer->status = body ? status : 500;
	answer->type = JSON;
	answer->body = body;
	answer->size = body ? strlen(body) : 0;
	answer->is_private = true;
}

static void answer_error(struct http_answer *answer, enum intake code,
			 const char *why, uint32_t retry_after_s)
{
	answer_json(answer, intake_http(code),
		    claim_json_error(code, why ? why : pay_sentence(code)));
	if (code >= INTAKE_RATE_LIMITED)
		answer->retry_after_s =
			retry_after_s ? retry_after_s : RETRY_BUSY_S;
}

void pay_http_source(const char *address, struct source *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t bytes[16];

	memset(out, 0, sizeof(*out));
	out->kind = SOURCE_ADDRESS;
	out->len = 4;
	if (inet_pton(AF_INET, address, out->bytes) == 1)
		return;
	memset(out->bytes, 0, 4);
	if (inet_pton(AF_INET6, address, bytes) != 1)
		return;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		memcpy(out->bytes, bytes + 12, 4);
		return;
	}
	memcpy(out->bytes, bytes, 8);
	out->len = 8;
}

static void source_of(const struct http_request *request, struct source *out)
{
	char address[64];

	http_peer(request, address, sizeof(address));
	pay_http_source(address, out);
}

/* ---- GET /v1/offer ---- */

static bool is_etag(const struct http_request *request, const char *etag)
{
	const char *known = http_header(request, "If-None-Match");

	return known && strstr(known, etag) != NULL;
}

static void answer_offer(const struct http_request *request,
			 const uint8_t *bytes, size_t len,
			 const uint8_t hash[static 32],
			 struct http_answer *answer)
{
	struct offer offer;
	uint8_t again[32];

	hex_encode(hash, 32, answer->etag);
	if (is_etag(request, answer->etag))
		answer->status = 304;
	else if (offer_open(bytes, len, &offer, again))
		answer_error(answer, INTAKE_BUSY, NULL, 0);
	else
		answer_json(answer, 200,
			    offer_json_encode(bytes, len, hash, &offer));
	answer->is_private = false;
}

static void on_offer(void *ctx, const struct http_request *request,
		     struct http_answer *answer)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	if (payments_offer(ctx, bytes, &len, hash))
		answer_error(answer, INTAKE_BUSY,
			     "there is no offer yet; try again later",
			     RETRY_OFFER_S);
	else
		answer_offer(request, bytes, len, hash, answer);
}

/* Beside §7.1: what will be in force next, for whoever shows it. */
static void on_next_offer(void *ctx, const struct http_request *request,
			  struct http_answer *answer)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	if (payments_next_offer(ctx, bytes, &len, hash))
		http_answer_text(answer, 404, JSON,
				 "{\"error\":\"no_offer\",\"message\":"
				 "\"no other offer is announced\"}");
	else
		answer_offer(request, bytes, len, hash, answer);
}

/* ---- POST /v1/claims ---- */

/* A claim between its submission and its commit. */
struct submission {
	struct payments *payments;
	struct http_later *later;
	struct source source;
};

/* A known claim is shown as it stands, a new one as it was accepted. */
static char *accepted_body(const struct submission *sub,
			   const struct intake_answer *got)
{
	struct claim_status status;

	if (!got->is_new && payments_status(sub->payments, got->claim_id,
					    &sub->source, &status) == INTAKE_OK)
		return claim_json_status(&status);
	return claim_json_accepted(got);
}

static void on_submitted(void *ctx, const struct intake_answer *got)
{
	struct submission *sub = ctx;
	struct http_answer answer = {.type = JSON};

	if (got->code != INTAKE_OK)
		answer_error(&answer, got->code, NULL, got->retry_after_s);
	else
		answer_json(&answer, got->is_new ? 202 : 200,
			    accepted_body(sub, got));
	http_later_answer(sub->later, &answer);
	free(sub);
}

static void submit(struct payments *payments,
		   const struct http_request *request,
		   const struct claim *claim, struct http_answer *answer)
{
	struct submission *sub = calloc(1, sizeof(*sub));

	if (sub)
		sub->later = http_answer_later(request);
	if (!sub || !sub->later) {
		free(sub);
		answer_error(answer, INTAKE_BUSY, NULL, 0);
		return;
	}
	sub->payments = payments;
	source_of(request, &sub->source);
	payments_submit(payments, claim, &sub->source, on_submitted, sub);
}

static void on_claims(void *ctx, const struct http_request *request,
		      struct http_answer *answer)
{
	struct claim_body *claim = malloc(sizeof(*claim));
	const char *why = NULL;
	const char *body;
	enum intake code;
	size_t size;

	if (!claim) {
		answer_error(answer, INTAKE_BUSY, NULL, 0);
		return;
	}
	body = http_body(request, &size);
	code = claim_json_decode(body, size, claim, &why);
	if (code != INTAKE_OK)
		answer_error(answer, code, why, 0);
	else
		submit(ctx, request, &claim->claim, answer);
	free(claim);
}

/* ---- GET /v1/claims/<id>?wait=&rev= ---- */

/* A question that waits for its claim to change. */
struct waiting {
	struct payments *payments;
	struct http_later *later;
	struct source source;
	uint8_t id[CLAIM_ID_SIZE];
};

static void answer_status(struct payments *payments,
			  const uint8_t id[static CLAIM_ID_SIZE],
			  const struct source *source,
			  struct http_answer *answer)
{
	struct claim_status status;
	enum intake code = payments_status(payments, id, source, &status);

	if (code != INTAKE_OK)
		answer_error(answer, code, NULL, 0);
	else
		answer_json(answer, 200, claim_json_status(&status));
}

static void on_changed(void *ctx)
{
	struct waiting *waiting = ctx;
	struct http_answer answer = {.type = JSON};

	answer_status(waiting->payments, waiting->id, &waiting->source,
		      &answer);
	http_later_answer(waiting->later, &answer);
	free(waiting);
}

/* Wait, or answer at once when there is no room to. */
static void wait_for_change(struct payments *payments,
			    const struct http_request *request,
			    const struct claim_status *status,
			    const struct source *source, unsigned wait_s,
			    struct http_answer *answer)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (waiting)
		waiting->later = http_answer_later(request);
	if (!waiting || !waiting->later) {
		free(waiting);
		answer_json(answer, 200, claim_json_status(status));
		return;
	}
	waiting->payments = payments;
	waiting->source = *source;
	memcpy(waiting->id, status->claim_id, sizeof(waiting->id));
	if (payments_wait(payments, status->claim_id, status->rev, wait_s,
			  on_changed, waiting)) {
		answer_json(answer, 200, claim_json_status(status));
		http_later_answer(waiting->later, answer);
		free(waiting);
	}
}

/* A decimal number of at most `max`; absent is zero. */
static bool query_number(const struct http_request *request, const char *name,
			 uint32_t max, bool *is_there, uint32_t *out)
{
	const char *text = http_query(request, name);
	uint64_t value = 0;

	*is_there = text != NULL;
	*out = 0;
	if (!text)
		return true;
	if (!*text || strlen(text) > 10)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	*out = (uint32_t)value;
	return value <= max;
}

static bool read_claim_id(const char *path, uint8_t id[static CLAIM_ID_SIZE])
{
	const char *text = path + strlen(CLAIMS_PATH);

	return strlen(text) == 2 * (size_t)CLAIM_ID_SIZE &&
	       hex_decode(text, strlen(text), id, CLAIM_ID_SIZE) == 0;
}

static void on_claim(void *ctx, const struct http_request *request,
		     struct http_answer *answer)
{
	struct payments *payments = ctx;
	uint8_t id[CLAIM_ID_SIZE];
	struct claim_status status;
	struct source source;
	bool has_wait, has_rev;
	uint32_t wait_s, rev;
	enum intake code;

	if (!query_number(request, "wait", PAY_HTTP_WAIT_MAX_S, &has_wait,
			  &wait_s) ||
	    !query_number(request, "rev", UINT32_MAX, &has_rev, &rev)) {
		answer_error(answer, INTAKE_BAD_FORMAT,
			     "wait is 0 to 30 seconds, rev a number", 0);
		return;
	}
	source_of(request, &source);
	code = read_claim_id(http_path(request), id)
		       ? payments_status(payments, id, &source, &status)
		       : INTAKE_UNKNOWN_CLAIM;
	if (code != INTAKE_OK)
		answer_error(answer, code, NULL, 0);
	else if (wait_s > 0 && has_rev && rev == status.rev)
		wait_for_change(payments, request, &status, &source, wait_s,
				answer);
	else
		answer_json(answer, 200, claim_json_status(&status));
}

void pay_http_routes(struct payments *payments,
		     struct http_route out[static PAY_HTTP_ROUTES])
{
	out[0] = (struct http_route){"GET", "/v1/offer", on_offer, payments};
	out[1] = (struct http_route){"POST", "/v1/claims", on_claims, payments};
	out[2] = (struct http_route){"GET", CLAIMS_PATH, on_claim, payments};
	out[3] = (struct http_route){"GET", "/v1/offer/next", on_next_offer,
				     payments};
}
