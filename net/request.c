#include "net/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/err.h"
#include "core/keccak.h"
#include "core/log.h"
#include "core/msgbuf.h"
#include "core/rlp.h"
#include "core/sealed.h"
#include "net/bundle.h"
#include "net/node_ring.h"
#include "net/sync.h"
#include "storage/archive.h"

/* Undecodable requests before a Disconnect (§6). */
#define UNREADABLE_MAX 3
/* A sealed one costs public-key work: it counts as so many direct ones. */
#define SEALED_TOKENS 4

enum request_state {
	REQUEST_WAITING, /* for those before it */
	REQUEST_READING, /* a step is with the archive */
	REQUEST_RETRY,   /* the archive had no room for the step */
	REQUEST_DRAIN,   /* for the peer to read */
};

struct request {
	struct note note; /* first: the step comes back with it */
	struct archive_step step;
	struct archive_query query;
	struct node_ring *ring;
	struct session *session; /* NULL: the peer has gone */
	struct request *next;
	struct msgbuf *page;
	enum request_state state;
	enum cap cap;
	bool is_sync;
	bool batch;
	uint8_t id[MAIL_ID_SIZE];
	uint64_t started_ms;
	uint64_t started_ns;
	uint32_t limit;
	uint32_t given;
	uint8_t last[ENVELOPE_KEY_SIZE]; /* of the envelope given last */
	struct topic topics[];
};

static void request_step(struct request *request);
static void step_home(struct node_ring *ring, struct note *note, bool is_over);

static void request_free(struct request *request)
{
	msgbuf_free(request->page);
	free(request);
}

/* ---- answers ---- */

static void send_failure(struct session *session, enum cap cap,
			 const uint8_t *id, const char *text)
{
	uint8_t out[MAIL_FAILURE_SIZE_MAX];
	size_t len = mail_failure_encode(id, text, out);

	(void)link_send_bytes(session->link, cap, CODE_REQUEST_COMPLETE, out,
			      len);
}

static void send_completion(struct request *request, const uint8_t *cursor)
{
	uint8_t out[MAIL_COMPLETION_SIZE_MAX];
	const uint8_t *last = request->given > 0 ? request->last + 4 : NULL;
	size_t len = mail_completion_encode(request->id, last, cursor, out);

	(void)link_send_bytes(request->session->link, request->cap,
			      CODE_REQUEST_COMPLETE, out, len);
}

/* ---- who may ask ---- */

/* With a burst of less than one request takes, each takes a whole burst. */
static bool take(struct bucket *bucket, const struct node_rate *rate,
		 uint32_t tokens, uint64_t now_ms)
{
	return bucket_take(bucket, rate->per_s, rate->burst,
			   tokens < rate->burst ? tokens : rate->burst, now_ms);
}

bool request_rate_ok(struct session *session, uint32_t tokens)
{
	struct node_ring *ring = session->ring;
	const struct node_config *config = &ring->node->config;
	uint64_t now_ms = node_ring_now_ms(ring);
	struct limits_entry *entry;

	/* By node id, so that a new connection is no new start. */
	entry = limits_get(
		ring->node->rates,
		limits_node_key(ring->node->rates, link_remote(session->link)),
		now_ms);
	if (!take(&entry->requests, &config->requests_peer, tokens, now_ms))
		return false;
	entry = session_address(session);
	return take(&entry->requests, &config->requests_ip, tokens, now_ms);
}

/* Rate and entitlement of the connection's key. NULL or the text. */
static const char *refusal(struct session *session, uint32_t tokens, char *text)
{
	struct node *node = session->ring->node;
	const struct node_gate *gate = &node->config.may_read;

	if (!request_rate_ok(session, tokens) ||
	    session->requests_count >= node->config.requests_max) {
		NODE_COUNT(node, request_rate, 1);
		return MAIL_TEXT_RATE;
	}
	(void)memcpy(text, "access denied", sizeof("access denied"));
	if (!gate->check || gate->check(gate->ctx, link_remote(session->link),
					text) == GATE_ALLOW)
		return NULL;
	text[GATE_TEXT_MAX - 1] = '\0';
	NODE_COUNT(node, request_denied, 1);
	return text;
}

/* ---- reading requests ---- */

static const char *check_signer(const struct session *session,
				const struct sealed_message *msg)
{
	if (!session->ring->node->config.require_signer)
		return NULL;
	if (!msg->is_signed)
		return MAIL_TEXT_SIGNATURE;
	if (memcmp(msg->signer, link_remote(session->link),
		   sizeof(msg->signer)) != 0)
		return MAIL_TEXT_SIGNER;
	return NULL;
}

static const char *open_text(int err)
{
	switch (err) {
	case ERR_AUTH:
		return MAIL_TEXT_DECRYPT;
	case ERR_PROTOCOL:
		return MAIL_TEXT_SIGNATURE;
	case ERR_NOMEM:
		return "the server is out of memory";
	default:
		return MAIL_TEXT_DECODE;
	}
}

/*
 * In the order of the deployed servers (§2.3). NULL, or the text; `msg` is to
 * be released in any case, the query points into it.
 */
static const char *open_sealed(struct session *session,
			       const struct envelope *env,
			       struct sealed_message *msg,
			       struct mail_query *query)
{
	const struct node_config *config = &session->ring->node->config;
	const char *text;
	int err;

	if (config->request_pow_min > 0.0 &&
	    envelope_pow(env, 0) < config->request_pow_min)
		return MAIL_TEXT_POW;
	err = sealed_open(
		env->rlp + env->data_offset, env->data_size, config->key,
		config->has_symmetric ? config->symmetric : NULL, msg);
	if (err)
		return open_text(err);
	text = check_signer(session, msg);
	if (text)
		return text;
	if (mail_sealed_decode(msg->payload, msg->payload_size, query))
		return MAIL_TEXT_DECODE;
	return mail_query_check(query, false, clock_wall_s());
}

static const char *queue_text(int err)
{
	if (err == 0)
		return NULL;
	return err == ERR_FULL ? MAIL_TEXT_RATE : "the server is out of memory";
}

static const char *serve_sealed(struct session *session, enum cap cap,
				const struct packet *payload, const uint8_t *id)
{
	struct sealed_message msg = {0};
	struct mail_query query;
	struct envelope env;
	const char *text;

	if (envelope_decode(payload->bytes, payload->size, &env))
		return MAIL_TEXT_DECODE;
	text = open_sealed(session, &env, &msg, &query);
	if (!text)
		text = queue_text(request_queue(session, cap, id, &query));
	if (msg.plain)
		sealed_release(&msg);
	return text;
}

static const char *serve_direct(struct session *session, enum cap cap,
				const struct packet *payload)
{
	uint8_t id[MAIL_ID_SIZE];
	struct mail_query query;
	const char *text;

	if (mail_direct_decode(payload->bytes, payload->size, id, &query))
		return MAIL_TEXT_DECODE;
	text = mail_query_check(&query, true, clock_wall_s());
	if (text)
		return text;
	return queue_text(request_queue(session, cap, id, &query));
}

static void unreadable(struct session *session)
{
	NODE_COUNT(session->ring->node, request_unreadable, 1);
	if (++session->bad_requests > UNREADABLE_MAX)
		session_breach(session, "requests that are none");
}

void request_message(struct session *session, enum cap cap,
		     struct packet *payload)
{
	struct node *node = session->ring->node;
	uint8_t id[MAIL_ID_SIZE];
	char buffer[GATE_TEXT_MAX];
	const char *text;
	enum mail_form form;

	if (!node->config.is_mail_server)
		return;
	form = mail_request_form(payload->bytes, payload->size, id);
	if (form == MAIL_FORM_NONE) {
		unreadable(session);
		return;
	}
	if (form == MAIL_FORM_SEALED)
		keccak256(payload->bytes, payload->size, id);
	NODE_COUNT(node, requests, 1);
	text = refusal(session, form == MAIL_FORM_SEALED ? SEALED_TOKENS : 1,
		       buffer);
	if (!text) {
		text = form == MAIL_FORM_SEALED
			       ? serve_sealed(session, cap, payload, id)
			       : serve_direct(session, cap, payload);
		if (text)
			NODE_COUNT(node, request_invalid, 1);
	}
	if (!text)
		return;
	LOG_DEBUG("request refused", log_text("why", text),
		  log_hex("peer", link_remote(session->link), 8));
	send_failure(session, cap, id, text);
}

/* ---- the queue ---- */

static void step_done(struct archive_step *step)
{
	struct request *request = step->owner;

	node_ring_put_always(request->ring, &request->note);
}

static void fill_in(struct request *request, const struct mail_query *query)
{
	for (uint32_t i = 0; i < query->topics_count; i++)
		request->topics[i] = mail_topic(query, i);
	request->query = (struct archive_query){
		.lower_s = query->lower_s,
		.upper_s = query->upper_s,
		.topics = query->topics_count ? request->topics : NULL,
		.topics_count = query->topics_count,
		/* Topics decide alone; an all-ones bloom selects nothing. */
		.has_bloom = query->has_bloom && query->topics_count == 0 &&
			     !bloom_is_full(&query->bloom),
		.bloom = query->bloom,
		.order = ARCHIVE_NEWEST_FIRST};
	request->step.query = &request->query;
	request->step.has_cursor = query->has_cursor;
	memcpy(request->step.cursor, query->cursor, ENVELOPE_KEY_SIZE);
	request->step.done = step_done;
	request->step.owner = request;
	request->limit = query->limit;
	request->batch = query->batch;
}

int request_queue(struct session *session, enum cap cap, const uint8_t *id,
		  const struct mail_query *query)
{
	struct node_ring *ring = session->ring;
	struct request *request;

	if (session->requests_count >= ring->node->config.requests_max)
		return ERR_FULL;
	request = calloc(1, sizeof(*request) +
				    query->topics_count * sizeof(struct topic));
	if (!request)
		return ERR_NOMEM;
	request->note.deliver = step_home;
	request->ring = ring;
	request->session = session;
	request->cap = cap;
	request->is_sync = id == NULL;
	if (id)
		memcpy(request->id, id, MAIL_ID_SIZE);
	fill_in(request, query);
	request->started_ms = node_ring_now_ms(ring);
	request->started_ns = clock_mono_ns();
	if (request->batch)
		NODE_COUNT(ring->node, requests_batched, 1);
	*session->requests_end = request;
	session->requests_end = &request->next;
	session->requests_count++;
	if (session->requests == request)
		request_step(request);
	return 0;
}

/* The first of the queue is answered: on with the next. */
static void finish(struct request *request)
{
	struct session *session = request->session;

	assert(session->requests == request);
	metric_observe_us(request->ring->node->metrics.request_time,
			  (clock_mono_ns() - request->started_ns) / 1000);
	session->requests = request->next;
	if (!session->requests)
		session->requests_end = &session->requests;
	session->requests_count--;
	request_free(request);
	if (session->requests)
		request_step(session->requests);
}

static void fail(struct request *request, const char *text)
{
	NODE_COUNT(request->ring->node, request_broken, 1);
	if (request->is_sync)
		sync_send_failure(request->session, text);
	else
		send_failure(request->session, request->cap, request->id, text);
	finish(request);
}

static void complete(struct request *request, const uint8_t *cursor)
{
	if (request->is_sync)
		sync_send_final(request->session, cursor);
	else
		send_completion(request, cursor);
	finish(request);
}

void request_cancel_all(struct session *session)
{
	struct request *request = session->requests;

	while (request) {
		struct request *next = request->next;

		if (request->state == REQUEST_RETRY)
			session->ring->retries--;
		request->session = NULL;
		/* What the archive still holds is freed when it comes home. */
		if (request->state != REQUEST_READING)
			request_free(request);
		request = next;
	}
	session->requests = NULL;
	session->requests_end = &session->requests;
	session->requests_count = 0;
}

/* ---- pages ---- */

/* Ask for the next page. */
static void request_step(struct request *request)
{
	struct node_ring *ring = request->ring;
	const struct node_config *config = &ring->node->config;
	struct archive_step *step = &request->step;

	assert(!request->page);
	request->page = msgbuf_new(BUNDLE_ROOM_MAX + MAIL_SYNC_TAIL);
	if (!request->page) {
		fail(request, "the server is out of memory");
		return;
	}
	step->limit = request->limit - request->given;
	step->out = request->page->bytes + request->page->start;
	/* Larger than what a client takes: passed over (§4). */
	step->out_max = BUNDLE_ROOM_MAX;
	step->out_page = config->page_bytes;
	if (archive_read(config->archive, step)) {
		msgbuf_free(request->page);
		request->page = NULL;
		request->state = REQUEST_RETRY;
		ring->retries++;
		return;
	}
	request->state = REQUEST_READING;
	ring->out++;
}

void request_retry(struct node_ring *ring)
{
	for (struct session *s = ring->sessions; s && ring->retries > 0;
	     s = s->next) {
		if (!s->requests || s->requests->state != REQUEST_RETRY)
			continue;
		ring->retries--;
		request_step(s->requests);
	}
}

void request_drained(struct session *session)
{
	if (session->requests && session->requests->state == REQUEST_DRAIN)
		request_step(session->requests);
}

/* Those who asked for no batches get one envelope a packet (§4). */
static int send_singles(struct request *request)
{
	const uint8_t *at = request->page->bytes + request->page->start;
	const uint8_t *end = at + request->page->size;
	int err = 0;

	while (at < end && !err) {
		struct msgbuf *buf;
		uint8_t header[RLP_HEADER_MAX];
		size_t size;

		if (rlp_item_size(at, (size_t)(end - at), &size) ||
		    size > (size_t)(end - at))
			return ERR_CORRUPT;
		buf = msgbuf_new(size);
		if (!buf)
			return ERR_NOMEM;
		msgbuf_append(buf, at, size);
		if (request->cap == CAP_WAKU)
			msgbuf_prepend(buf, header,
				       rlp_list_header(header, size));
		err = link_send(request->session->link, request->cap,
				CODE_P2P_MESSAGE, buf);
		at += size;
	}
	return err;
}

static int send_page(struct request *request)
{
	struct msgbuf *page = request->page;
	uint8_t header[RLP_HEADER_MAX];
	bool is_bare = request->cap == CAP_SHH && request->step.count == 1;
	int err;

	if (request->is_sync) {
		request->page = NULL;
		return sync_send_page(request->session, page);
	}
	if (!request->batch) {
		err = send_singles(request);
		msgbuf_free(page);
		request->page = NULL;
		return err;
	}
	if (!is_bare)
		msgbuf_prepend(page, header,
			       rlp_list_header(header, page->size));
	request->page = NULL;
	return link_send(request->session->link, request->cap, CODE_P2P_MESSAGE,
			 page);
}

/* What a step brought: into the queue of the link. */
static int take_page(struct request *request)
{
	struct node *node = request->ring->node;
	struct archive_step *step = &request->step;

	request->given += step->count;
	if (step->has_last) {
		step->has_cursor = true;
		memcpy(step->cursor, step->last, ENVELOPE_KEY_SIZE);
	}
	if (step->count == 0) {
		msgbuf_free(request->page);
		request->page = NULL;
		return 0;
	}
	memcpy(request->last, step->last_given, ENVELOPE_KEY_SIZE);
	request->page->size = (uint32_t)step->out_size;
	NODE_COUNT(node, delivered, step->count);
	NODE_COUNT(node, delivered_bytes, step->out_size);
	return send_page(request);
}

/* Go on, wait for the peer to read, or end it (§3, §5). */
static void after_page(struct request *request)
{
	const struct node_config *config = &request->ring->node->config;
	const struct archive_step *step = &request->step;
	uint64_t age_ms = node_ring_now_ms(request->ring) - request->started_ms;

	if (request->given == request->limit) {
		complete(request, request->last);
	} else if (step->stop == ARCHIVE_STOP_END) {
		complete(request, NULL);
	} else if (age_ms >= config->request_ms && step->has_cursor) {
		complete(request, step->cursor);
	} else if (link_queued(request->session->link) >
		   config->link.queue_low) {
		request->state = REQUEST_DRAIN;
	} else {
		request_step(request);
	}
}

static void step_home(struct node_ring *ring, struct note *note, bool is_over)
{
	struct request *request = (struct request *)note;
	int err;

	ring->out--;
	if (is_over || !request->session) {
		request_free(request);
		return;
	}
	assert(request->state == REQUEST_READING);
	request->state = REQUEST_WAITING;
	if (request->step.err) {
		LOG_UNUSUAL("history could not be read",
			    log_err(request->step.err));
		msgbuf_free(request->page);
		request->page = NULL;
		fail(request, "the archive could not be read");
		return;
	}
	err = take_page(request);
	if (err == ERR_NOMEM || err == ERR_CORRUPT)
		fail(request, "the archive could not be read");
	else if (!err)
		after_page(request);
	else
		request->state = REQUEST_DRAIN; /* the link is ending */
}
