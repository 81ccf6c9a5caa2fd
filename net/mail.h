#ifndef NET_MAIL_H
#define NET_MAIL_H
/*
 * The mail server's messages (protocol/mailserver.md): history requests in
 * both forms (code 126), completions (125), sync (123, 124), for the side that
 * asks and the side that answers. Pure codecs; deliveries (127) are bundles.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/topic.h"
#include "net/bundle.h"

#define MAIL_ID_SIZE    32
#define MAIL_LIMIT_MAX  1000
#define MAIL_TOPICS_MAX 10000
/* upper = 0 means so many seconds from now (§2.2). */
#define MAIL_UPPER_AHEAD_S 60

/* What is asked for, whatever form it came in (§2.2). */
struct mail_query {
	uint32_t lower_s, upper_s; /* both inclusive */
	uint32_t limit;
	bool has_bloom;
	struct bloom bloom;
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
	bool batch;
	/*
	 * Borrowed; topics_stride is 5 for those just decoded (they stand in
	 * the message) and 4 for an array of struct topic.
	 */
	const uint8_t *topics;
	uint32_t topics_count;
	uint32_t topics_stride;
};

struct topic mail_topic(const struct mail_query *query, uint32_t index);

/* ---- code 126 ---- */

enum mail_form {
	MAIL_FORM_NONE,   /* neither: there is nobody to answer */
	MAIL_FORM_SEALED, /* an envelope; the id is its hash */
	MAIL_FORM_DIRECT,
};
/* Tell the forms apart and, for a direct one, copy its id (else it is 0). */
enum mail_form mail_request_form(const uint8_t *in, size_t len,
				 uint8_t id[static MAIL_ID_SIZE]);

/* A direct request (§2.1), 6 or 7 elements. 0, ERR_SYNTAX or ERR_RANGE. */
int mail_direct_decode(const uint8_t *in, size_t len,
		       uint8_t id[static MAIL_ID_SIZE], struct mail_query *out);
/* The payload inside a sealed one, forms A to E (§2.2). The same errors. */
int mail_sealed_decode(const uint8_t *in, size_t len, struct mail_query *out);

/*
 * Fill in what 0 stands for, bound the limit, and check in the deployed order
 * (§2.3). Returns NULL or the deployed text.
 */
const char *mail_query_check(struct mail_query *query, bool is_direct,
			     uint32_t now_s);

/* Deployed texts of the checks that need more than the query (§2.3). */
#define MAIL_TEXT_POW     "PoW too low"
#define MAIL_TEXT_DECRYPT "failed to decrypt p2p request"
#define MAIL_TEXT_SIGNATURE                                                    \
	"check message signature failed: wrong signature of p2p request"
#define MAIL_TEXT_SIGNER "signature does not match peer"
#define MAIL_TEXT_DECODE "failed to decode data: malformed request"
#define MAIL_TEXT_RATE   "rate limit exceeded"

/*
 * Encode, for a client. Both return the length, or 0 when `cap` is too small;
 * MAIL_QUERY_SIZE_MAX says what is enough. The payload is form B; a direct
 * request has its topics only `with_topics` (waku).
 */
#define MAIL_QUERY_SIZE_MAX(topics) (192 + 5 * (size_t)(topics))
size_t mail_payload_encode(const struct mail_query *query, uint8_t *out,
			   size_t cap);
size_t mail_direct_encode(const uint8_t id[static MAIL_ID_SIZE],
			  const struct mail_query *query, bool with_topics,
			  uint8_t *out, size_t cap);

/* ---- code 125 ---- */

#define MAIL_COMPLETION_SIZE_MAX 102 /* of a success, header included */
#define MAIL_TEXT_MAX            200 /* of a failure we send */

struct mail_completion {
	bool is_failure;
	uint8_t id[MAIL_ID_SIZE];
	/* Success. */
	uint8_t last[ENVELOPE_HASH_SIZE]; /* zero: none was sent */
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
	/* Failure: borrowed, not terminated, from a stranger. */
	const char *text;
	size_t text_size;
};
/* As deployed clients read it. Returns 0 or ERR_SYNTAX. */
int mail_completion_decode(const uint8_t *in, size_t len,
			   struct mail_completion *out);
/* `last` NULL: none was sent; `cursor` NULL: no page follows. */
size_t mail_completion_encode(const uint8_t id[static MAIL_ID_SIZE],
			      const uint8_t *last, const uint8_t *cursor,
			      uint8_t out[static MAIL_COMPLETION_SIZE_MAX]);
/* Text beyond MAIL_TEXT_MAX is cut. */
#define MAIL_FAILURE_SIZE_MAX (3 + 6 + MAIL_ID_SIZE + MAIL_TEXT_MAX)
size_t mail_failure_encode(const uint8_t id[static MAIL_ID_SIZE],
			   const char *text,
			   uint8_t out[static MAIL_FAILURE_SIZE_MAX]);

/* ---- codes 123 and 124 (§7) ---- */

/* Bounds are checked too. 0, ERR_SYNTAX or ERR_RANGE. */
int mail_sync_decode(const uint8_t *in, size_t len, struct mail_query *out);
size_t mail_sync_encode(const struct mail_query *query, uint8_t *out,
			size_t cap);

struct mail_sync_answer {
	struct bundle envelopes;
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
	bool is_final;
	const char *text; /* of a failure, borrowed; text_size 0: none */
	size_t text_size;
};
int mail_sync_answer_decode(const uint8_t *in, size_t len,
			    struct mail_sync_answer *out);
/*
 * What stands before and behind `size` bytes of envelopes laid one behind the
 * other, so that all three together are one answer.
 */
#define MAIL_SYNC_HEAD_MAX 18
#define MAIL_SYNC_TAIL     3
size_t mail_sync_head(size_t size, uint8_t out[static MAIL_SYNC_HEAD_MAX]);
void mail_sync_tail(uint8_t out[static MAIL_SYNC_TAIL]);
/* The last answer: `cursor` NULL when everything was sent. */
size_t mail_sync_final_encode(const uint8_t *cursor, uint8_t out[static 64]);
size_t mail_sync_failure_encode(const char *text,
				uint8_t out[static MAIL_FAILURE_SIZE_MAX]);

#endif
