#include "net/mail.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"

#define TOPIC_RLP_SIZE (1 + TOPIC_SIZE)

static const char failure_prefix[6] = {'E', 'R', 'R', 'O', 'R', '='};

struct topic mail_topic(const struct mail_query *query, uint32_t index)
{
	struct topic topic;

	assert(index < query->topics_count);
	memcpy(topic.bytes,
	       query->topics + (size_t)index * query->topics_stride +
		       (query->topics_stride - TOPIC_SIZE),
	       TOPIC_SIZE);
	return topic;
}

/* ---- reading queries ---- */

static void fail(struct rlp_reader *r, int err)
{
	if (!r->err)
		r->err = err;
}

static void read_bounds(struct rlp_reader *r, struct mail_query *out)
{
	out->lower_s = rlp_u32(r);
	out->upper_s = rlp_u32(r);
}

/* Empty, or exactly so many bytes. True: they were there. */
static bool read_optional(struct rlp_reader *r, uint8_t *out, size_t size)
{
	size_t len;
	const uint8_t *bytes = rlp_string(r, &len);

	if (r->err || len == 0)
		return false;
	if (len != size) {
		fail(r, ERR_RANGE);
		return false;
	}
	memcpy(out, bytes, size);
	return true;
}

static void read_bloom(struct rlp_reader *r, struct mail_query *out)
{
	out->has_bloom = read_optional(r, out->bloom.bits, BLOOM_SIZE);
}

/* Canonical topics are five bytes each, so the list is an array as it is. */
static void read_topics(struct rlp_reader *r, struct mail_query *out)
{
	struct rlp_reader list = rlp_list(r);
	uint8_t topic[TOPIC_SIZE];
	size_t count;

	if (r->err)
		return;
	count = (size_t)(list.end - list.pos) / TOPIC_RLP_SIZE;
	if (count > MAIL_TOPICS_MAX) {
		fail(r, ERR_RANGE);
		return;
	}
	out->topics = list.pos;
	out->topics_stride = TOPIC_RLP_SIZE;
	while (rlp_more(&list))
		rlp_bytes(&list, topic, TOPIC_SIZE);
	if (rlp_end(&list))
		fail(r, ERR_SYNTAX);
	else
		out->topics_count = (uint32_t)count;
}

static void read_limit(struct rlp_reader *r, struct mail_query *out)
{
	out->limit = rlp_u32(r);
}

static void read_cursor(struct rlp_reader *r, struct mail_query *out)
{
	out->has_cursor = read_optional(r, out->cursor, ENVELOPE_KEY_SIZE);
}

/* Form B: topics, limit, cursor, batch; all of them. */
static void read_form_b(struct rlp_reader *r, struct mail_query *out)
{
	read_topics(r, out);
	read_limit(r, out);
	read_cursor(r, out);
	out->batch = rlp_bool(r);
}

/* Forms A, C, D, E: limit [, cursor [, batch or topics]]. */
static void read_other_forms(struct rlp_reader *r, struct mail_query *out)
{
	read_limit(r, out);
	if (rlp_more(r))
		read_cursor(r, out);
	if (rlp_is_list(r))
		read_topics(r, out);
	else if (rlp_more(r))
		out->batch = rlp_bool(r);
}

int mail_sealed_decode(const uint8_t *in, size_t len, struct mail_query *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);

	memset(out, 0, sizeof(*out));
	read_bounds(&list, out);
	read_bloom(&list, out);
	if (rlp_is_list(&list))
		read_form_b(&list, out);
	else
		read_other_forms(&list, out);
	if (r.err || list.err)
		return r.err ? r.err : list.err;
	return rlp_end(&list) ? ERR_SYNTAX : rlp_end(&r);
}

int mail_direct_decode(const uint8_t *in, size_t len,
		       uint8_t id[static MAIL_ID_SIZE], struct mail_query *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);

	memset(out, 0, sizeof(*out));
	out->batch = true;
	rlp_bytes(&list, id, MAIL_ID_SIZE);
	read_bounds(&list, out);
	read_limit(&list, out);
	read_cursor(&list, out);
	read_bloom(&list, out);
	if (rlp_more(&list))
		read_topics(&list, out);
	if (r.err || list.err)
		return r.err ? r.err : list.err;
	return rlp_end(&list) ? ERR_SYNTAX : rlp_end(&r);
}

/*
 * The first element decides (§2): an id of 32 bytes, or else an envelope. An
 * id that reads as a failure would make its own success unreadable (§5).
 */
enum mail_form mail_request_form(const uint8_t *in, size_t len,
				 uint8_t id[static MAIL_ID_SIZE])
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);
	struct envelope env;
	const uint8_t *first;
	size_t size;

	memset(id, 0, MAIL_ID_SIZE);
	if (envelope_decode(in, len, &env) == 0)
		return MAIL_FORM_SEALED;
	first = rlp_string(&list, &size);
	if (r.err || list.err || rlp_end(&r) || size != MAIL_ID_SIZE)
		return MAIL_FORM_NONE;
	if (memcmp(first, failure_prefix, sizeof(failure_prefix)) == 0)
		return MAIL_FORM_NONE;
	memcpy(id, first, MAIL_ID_SIZE);
	return MAIL_FORM_DIRECT;
}

const char *mail_query_check(struct mail_query *query, bool is_direct,
			     uint32_t now_s)
{
	if (query->upper_s == 0)
		query->upper_s = now_s + MAIL_UPPER_AHEAD_S;
	if (query->limit == 0 || query->limit > MAIL_LIMIT_MAX)
		query->limit = MAIL_LIMIT_MAX;
	if (query->upper_s < query->lower_s)
		return is_direct ? "request is invalid: query range is "
				   "invalid: lower > upper"
				 : "query range is invalid: lower > upper";
	if (!query->has_bloom && query->topics_count == 0)
		return "request is invalid: bloom filter and topics is empty";
	return NULL;
}

/* ---- writing queries ---- */

static size_t finish(const struct rlp_writer *w)
{
	size_t len;

	return rlp_put_end(w, &len) ? 0 : len;
}

static void put_bloom(struct rlp_writer *w, const struct mail_query *query)
{
	rlp_put_string(w, query->bloom.bits, query->has_bloom ? BLOOM_SIZE : 0);
}

static void put_topics(struct rlp_writer *w, const struct mail_query *query)
{
	rlp_put_list(w);
	for (uint32_t i = 0; i < query->topics_count; i++) {
		struct topic topic = mail_topic(query, i);

		rlp_put_string(w, topic.bytes, TOPIC_SIZE);
	}
	rlp_put_list_end(w);
}

static void put_cursor(struct rlp_writer *w, const struct mail_query *query)
{
	rlp_put_string(w, query->cursor,
		       query->has_cursor ? ENVELOPE_KEY_SIZE : 0);
}

size_t mail_payload_encode(const struct mail_query *query, uint8_t *out,
			   size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	rlp_put_u64(&w, query->lower_s);
	rlp_put_u64(&w, query->upper_s);
	put_bloom(&w, query);
	put_topics(&w, query);
	rlp_put_u64(&w, query->limit);
	put_cursor(&w, query);
	rlp_put_bool(&w, query->batch);
	rlp_put_list_end(&w);
	return finish(&w);
}

size_t mail_direct_encode(const uint8_t id[static MAIL_ID_SIZE],
			  const struct mail_query *query, bool with_topics,
			  uint8_t *out, size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	rlp_put_string(&w, id, MAIL_ID_SIZE);
	rlp_put_u64(&w, query->lower_s);
	rlp_put_u64(&w, query->upper_s);
	rlp_put_u64(&w, query->limit);
	put_cursor(&w, query);
	put_bloom(&w, query);
	if (with_topics)
		put_topics(&w, query);
	rlp_put_list_end(&w);
	return finish(&w);
}

/* ---- completions ---- */

static int decode_failure(const uint8_t *body, size_t size,
			  struct mail_completion *out)
{
	size_t skip = sizeof(failure_prefix) + MAIL_ID_SIZE;

	out->is_failure = true;
	memcpy(out->id, body + sizeof(failure_prefix), MAIL_ID_SIZE);
	out->text = (const char *)body + skip;
	out->text_size = size - skip;
	return 0;
}

int mail_completion_decode(const uint8_t *in, size_t len,
			   struct mail_completion *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	size_t size;
	const uint8_t *body = rlp_string(&r, &size);

	memset(out, 0, sizeof(*out));
	if (rlp_end(&r) || size < MAIL_ID_SIZE)
		return ERR_SYNTAX;
	if (size >= sizeof(failure_prefix) + MAIL_ID_SIZE &&
	    memcmp(body, failure_prefix, sizeof(failure_prefix)) == 0)
		return decode_failure(body, size, out);
	if (size > MAIL_ID_SIZE + ENVELOPE_HASH_SIZE + ENVELOPE_KEY_SIZE)
		return ERR_SYNTAX;
	memcpy(out->id, body, MAIL_ID_SIZE);
	if (size >= MAIL_ID_SIZE + ENVELOPE_HASH_SIZE)
		memcpy(out->last, body + MAIL_ID_SIZE, ENVELOPE_HASH_SIZE);
	/* A shorter cursor is ignored (§5). */
	if (size == MAIL_ID_SIZE + ENVELOPE_HASH_SIZE + ENVELOPE_KEY_SIZE) {
		out->has_cursor = true;
		memcpy(out->cursor, body + size - ENVELOPE_KEY_SIZE,
		       ENVELOPE_KEY_SIZE);
	}
	return 0;
}

static size_t put_body(const uint8_t *body, size_t size, uint8_t *out,
		       size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_string(&w, body, size);
	return finish(&w);
}

size_t mail_completion_encode(const uint8_t id[static MAIL_ID_SIZE],
			      const uint8_t *last, const uint8_t *cursor,
			      uint8_t out[static MAIL_COMPLETION_SIZE_MAX])
{
	uint8_t body[MAIL_ID_SIZE + ENVELOPE_HASH_SIZE + ENVELOPE_KEY_SIZE];
	size_t size = MAIL_ID_SIZE + ENVELOPE_HASH_SIZE;

	memset(body, 0, sizeof(body));
	memcpy(body, id, MAIL_ID_SIZE);
	if (last)
		memcpy(body + MAIL_ID_SIZE, last, ENVELOPE_HASH_SIZE);
	if (cursor) {
		memcpy(body + size, cursor, ENVELOPE_KEY_SIZE);
		size += ENVELOPE_KEY_SIZE;
	}
	return put_body(body, size, out, MAIL_COMPLETION_SIZE_MAX);
}

size_t mail_failure_encode(const uint8_t id[static MAIL_ID_SIZE],
			   const char *text,
			   uint8_t out[static MAIL_FAILURE_SIZE_MAX])
{
	uint8_t body[sizeof(failure_prefix) + MAIL_ID_SIZE + MAIL_TEXT_MAX];
	size_t head = sizeof(failure_prefix) + MAIL_ID_SIZE;
	size_t text_size = strnlen(text, MAIL_TEXT_MAX);

	memcpy(body, failure_prefix, sizeof(failure_prefix));
	memcpy(body + sizeof(failure_prefix), id, MAIL_ID_SIZE);
	memcpy(body + head, text, text_size);
	return put_body(body, head + text_size, out, MAIL_FAILURE_SIZE_MAX);
}

/* ---- sync ---- */

int mail_sync_decode(const uint8_t *in, size_t len, struct mail_query *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);

	memset(out, 0, sizeof(*out));
	out->batch = true;
	read_bounds(&list, out);
	read_bloom(&list, out);
	read_limit(&list, out);
	read_cursor(&list, out);
	if (r.err || list.err)
		return r.err ? r.err : list.err;
	if (rlp_end(&list) || rlp_end(&r))
		return ERR_SYNTAX;
	if (out->limit == 0 || out->limit > MAIL_LIMIT_MAX ||
	    out->lower_s > out->upper_s || !out->has_bloom)
		return ERR_RANGE;
	return 0;
}

size_t mail_sync_encode(const struct mail_query *query, uint8_t *out,
			size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	rlp_put_u64(&w, query->lower_s);
	rlp_put_u64(&w, query->upper_s);
	put_bloom(&w, query);
	rlp_put_u64(&w, query->limit);
	put_cursor(&w, query);
	rlp_put_list_end(&w);
	return finish(&w);
}

int mail_sync_answer_decode(const uint8_t *in, size_t len,
			    struct mail_sync_answer *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);
	struct mail_query query = {0};

	memset(out, 0, sizeof(*out));
	out->envelopes.items = rlp_list(&list);
	read_cursor(&list, &query);
	out->is_final = rlp_bool(&list);
	out->text = (const char *)rlp_string(&list, &out->text_size);
	if (r.err || list.err)
		return r.err ? r.err : list.err;
	out->has_cursor = query.has_cursor;
	memcpy(out->cursor, query.cursor, ENVELOPE_KEY_SIZE);
	return rlp_end(&list) ? ERR_SYNTAX : rlp_end(&r);
}

size_t mail_sync_head(size_t size, uint8_t out[static MAIL_SYNC_HEAD_MAX])
{
	uint8_t inner[RLP_HEADER_MAX];
	size_t inner_size = rlp_list_header(inner, size);
	size_t outer_size =
		rlp_list_header(out, inner_size + size + MAIL_SYNC_TAIL);

	memcpy(out + outer_size, inner, inner_size);
	return outer_size + inner_size;
}

/* Empty cursor, not final, no error. */
void mail_sync_tail(uint8_t out[static MAIL_SYNC_TAIL])
{
	memset(out, 0x80, MAIL_SYNC_TAIL);
}

static size_t put_answer(const uint8_t *cursor, bool is_final, const char *text,
			 uint8_t *out, size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	rlp_put_list(&w);
	rlp_put_list_end(&w);
	rlp_put_string(&w, cursor ? (const void *)cursor : "",
		       cursor ? ENVELOPE_KEY_SIZE : 0);
	rlp_put_bool(&w, is_final);
	rlp_put_string(&w, text, strnlen(text, MAIL_TEXT_MAX));
	rlp_put_list_end(&w);
	return finish(&w);
}

size_t mail_sync_final_encode(const uint8_t *cursor, uint8_t out[static 64])
{
	return put_answer(cursor, true, "", out, 64);
}

size_t mail_sync_failure_encode(const char *text,
				uint8_t out[static MAIL_FAILURE_SIZE_MAX])
{
	return put_answer(NULL, false, text, out, MAIL_FAILURE_SIZE_MAX);
}
