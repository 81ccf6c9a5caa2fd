#include "net/sync_ask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/keccak.h"
#include "core/log.h"
#include "net/mail.h"
#include "net/node_ring.h"
#include "net/posting.h"
#include "net/sync_mark.h"

#define ANSWER_MS      60000u /* longest silence within a page */
#define BACKOFF_MIN_MS 5000u  /* after a failure; doubled each time */
#define EMPTY_MAX      64u    /* pages without an envelope, in a row */
#define TEXT_SHOWN     120u   /* of a refusal */
/*
 * What was sent shortly before may reach the other one late: each range begins
 * so long before the end of the last one.
 */
#define OVERLAP_S 900u

enum ask_state {
	ASK_IDLE,    /* until due_ms */
	ASK_WAITING, /* for answers, until deadline_ms */
	ASK_STORING, /* the page is complete, but not yet on the disk */
};

struct sync_totals {
	uint64_t envelopes, bytes, stored, refused;
	uint32_t pages;
	uint64_t started_ms;
};

struct sync_ask {
	struct sync_asker *asker;
	unsigned index; /* in config.sync_from */
	struct sync_position position;
	enum ask_state state;
	uint64_t due_ms, deadline_ms;
	uint64_t backoff_ms;
	bool is_quiet; /* the first range is through: only news is logged */
	bool is_told;  /* that it has no shh */
	/* The page in hand. */
	uint32_t page;    /* never 0; what comes home late has another one */
	uint32_t count;   /* envelopes of it */
	unsigned pending; /* batches with the archive */
	int err;          /* the first that failed */
	bool has_cursor;  /* it ended with one */
	uint8_t cursor[ENVELOPE_KEY_SIZE];
	/* Of the range. */
	int direction; /* of the cursors: 1 up, -1 down, 0 not known */
	unsigned empty_pages;
	struct sync_totals totals;
};

struct sync_asker {
	struct sync_keeper *keeper;
	uint32_t back_s;
	unsigned every_ms;
	unsigned count;
	struct sync_ask asks[];
};

/* ---- start and stop ---- */

static void load(const struct node_config *config, struct sync_ask *ask)
{
	const uint8_t *node = config->sync_from[ask->index];
	int err = sync_position_load(config->archive, node, &ask->position);

	if (err && err != ERR_NOTFOUND)
		LOG_UNUSUAL("how far a sync has come cannot be read: it begins "
			    "anew",
			    log_hex("peer", node, 8), log_err(err));
}

int sync_asker_start(const struct node_config *config, struct sync_asker **out)
{
	unsigned count = config->sync_from_count;
	struct sync_asker *asker =
		calloc(1, sizeof(*asker) + count * sizeof(asker->asks[0]));
	int err;

	if (!asker)
		return ERR_NOMEM;
	asker->back_s = config->sync_back_s;
	asker->every_ms = config->sync_every_s * 1000;
	asker->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct sync_ask *ask = &asker->asks[i];

		ask->asker = asker;
		ask->index = i;
		ask->page = 1;
		ask->backoff_ms = BACKOFF_MIN_MS;
		load(config, ask);
	}
	err = sync_keeper_start(config->archive, config->sync_from, count,
				&asker->keeper);
	if (err) {
		free(asker);
		return err;
	}
	*out = asker;
	return 0;
}

void sync_asker_stop(struct sync_asker *asker)
{
	if (!asker)
		return;
	sync_keeper_stop(asker->keeper);
	free(asker);
}

void sync_ask_opened(struct session *session)
{
	const struct node *node = session->ring->node;
	const uint8_t *remote = link_remote(session->link);

	for (unsigned i = 0; node->asker && i < node->asker->count; i++) {
		if (memcmp(node->config.sync_from[i], remote,
			   SECP_PUBLIC_SIZE) != 0)
			continue;
		session->ask = &node->asker->asks[i];
		session->ask->due_ms = 0;
		session->ask->is_told = false;
	}
}

/* ---- the end of a range ---- */

static void next_page(struct sync_ask *ask)
{
	ask->page = ask->page + 1 ? ask->page + 1 : 1;
	ask->count = 0;
	ask->pending = 0;
	ask->err = 0;
	ask->has_cursor = false;
}

static void log_totals(const struct session *session, const char *event)
{
	const struct sync_ask *ask = session->ask;
	const struct sync_totals *t = &ask->totals;
	uint64_t now_ms = node_ring_now_ms(session->ring);

	if (ask->is_quiet && t->stored == 0 && t->refused == 0)
		return;
	LOG_INFO(event, log_hex("peer", link_remote(session->link), 8),
		 log_u64("from_s", ask->position.lower_s),
		 log_u64("until_s", ask->position.upper_s),
		 log_u64("envelopes", t->envelopes), log_u64("new", t->stored),
		 log_u64("refused", t->refused), log_u64("bytes", t->bytes),
		 log_u64("pages", t->pages),
		 log_u64("ms", now_ms - t->started_ms));
}

static void go_idle(struct sync_ask *ask, uint64_t due_ms)
{
	next_page(ask); /* what is still with the archive is not waited for */
	ask->state = ASK_IDLE;
	ask->due_ms = due_ms;
}

/* Later again, from the last page that was stored. */
static void give_up(struct session *session, const char *why, const char *text)
{
	struct sync_ask *ask = session->ask;
	uint64_t longest_ms = ask->asker->every_ms;

	NODE_COUNT(session->ring->node, sync_failures, 1);
	LOG_UNUSUAL("sync was broken off",
		    log_hex("peer", link_remote(session->link), 8),
		    log_text("why", why), log_text("text", text),
		    log_u64("again_ms", ask->backoff_ms));
	go_idle(ask, node_ring_now_ms(session->ring) + ask->backoff_ms);
	ask->backoff_ms *= 2;
	if (ask->backoff_ms > longest_ms)
		ask->backoff_ms = longest_ms;
	if (ask->backoff_ms < BACKOFF_MIN_MS)
		ask->backoff_ms = BACKOFF_MIN_MS;
}

static void breach(struct session *session, const char *what)
{
	give_up(session, what, "");
	session_breach(session, what);
}

void sync_ask_closed(struct session *session)
{
	struct sync_ask *ask = session->ask;

	if (!ask)
		return;
	if (ask->state != ASK_IDLE)
		log_totals(session, "sync ended with the connection");
	go_idle(ask, 0);
	session->ask = NULL;
}

/* ---- asking ---- */

static void ask_page(struct session *session)
{
	struct sync_ask *ask = session->ask;
	const struct sync_position *p = &ask->position;
	struct mail_query query = {.lower_s = p->lower_s,
				   .upper_s = p->upper_s,
				   .limit = MAIL_LIMIT_MAX,
				   .has_bloom = true,
				   .has_cursor = p->has_cursor};
	uint8_t out[MAIL_QUERY_SIZE_MAX(0)];
	size_t len;

	memset(query.bloom.bits, 0xff, BLOOM_SIZE);
	memcpy(query.cursor, p->cursor, ENVELOPE_KEY_SIZE);
	len = mail_sync_encode(&query, out, sizeof(out));
	assert(len > 0);
	next_page(ask);
	ask->state = ASK_WAITING;
	ask->deadline_ms = node_ring_now_ms(session->ring) + ANSWER_MS;
	(void)link_send_bytes(session->link, CAP_SHH, CODE_SYNC_REQUEST, out,
			      len);
}

/* The range that was begun, or the next one: since we had everything. */
static void choose_range(struct sync_ask *ask, uint32_t now_s)
{
	struct sync_position *p = &ask->position;
	uint32_t back_s = ask->asker->back_s;
	uint32_t oldest_s = back_s == 0 || back_s > now_s ? 0 : now_s - back_s;

	if (p->has_range && p->upper_s < oldest_s)
		p->has_range = false;
	if (!p->has_range) {
		p->upper_s = now_s;
		p->lower_s =
			p->until_s < OVERLAP_S ? 0 : p->until_s - OVERLAP_S;
		p->has_cursor = false;
	}
	if (p->lower_s < oldest_s)
		p->lower_s = oldest_s;
	if (p->lower_s > p->upper_s) /* the clock was put back */
		p->lower_s = p->upper_s;
	p->has_range = true;
}

static void start_range(struct session *session, uint64_t now_ms)
{
	struct sync_ask *ask = session->ask;

	choose_range(ask, clock_wall_s());
	ask->direction = 0;
	ask->empty_pages = 0;
	ask->totals = (struct sync_totals){.started_ms = now_ms};
	ask_page(session);
}

void sync_ask_second(struct session *session, uint64_t now_ms)
{
	struct sync_ask *ask = session->ask;

	if (!ask || !session_has_status(session))
		return;
	if (!session->caps[CAP_SHH].is_shared && !ask->is_told) {
		ask->is_told = true;
		LOG_UNUSUAL("cannot be synced from: it does not offer shh/6",
			    log_hex("peer", link_remote(session->link), 8));
	}
	if (!session->caps[CAP_SHH].has_status)
		return;
	if (ask->state == ASK_IDLE && now_ms >= ask->due_ms)
		start_range(session, now_ms);
	/* As long as we do not read it cannot answer. */
	else if (ask->state == ASK_WAITING && session->paused)
		ask->deadline_ms = now_ms + ANSWER_MS;
	else if (ask->state == ASK_WAITING && now_ms >= ask->deadline_ms)
		give_up(session, "no answer came", "");
}

/* ---- the end of a page ---- */

static void range_done(struct session *session)
{
	struct sync_ask *ask = session->ask;
	struct sync_position *p = &ask->position;

	p->until_s = p->upper_s;
	p->has_range = false;
	p->has_cursor = false;
	sync_keeper_put(ask->asker->keeper, ask->index, p);
	log_totals(session, "synced");
	ask->is_quiet = true;
	ask->backoff_ms = BACKOFF_MIN_MS;
	go_idle(ask, node_ring_now_ms(session->ring) + ask->asker->every_ms);
}

/* Each cursor must lie beyond the last, always in the same direction. */
static bool is_progress(struct sync_ask *ask)
{
	const struct sync_position *p = &ask->position;
	int order;

	ask->empty_pages = ask->count > 0 ? 0 : ask->empty_pages + 1;
	if (ask->empty_pages > EMPTY_MAX)
		return false;
	if (!p->has_cursor)
		return true;
	order = memcmp(ask->cursor, p->cursor, ENVELOPE_KEY_SIZE);
	if (order == 0 || (ask->direction > 0 && order < 0) ||
	    (ask->direction < 0 && order > 0))
		return false;
	ask->direction = order > 0 ? 1 : -1;
	return true;
}

static void page_done(struct session *session)
{
	struct sync_ask *ask = session->ask;

	if (ask->err) {
		give_up(session, "a page could not be stored",
			err_str(ask->err));
		return;
	}
	ask->totals.pages++;
	NODE_COUNT(session->ring->node, sync_pages, 1);
	if (!ask->has_cursor) {
		range_done(session);
		return;
	}
	if (!is_progress(ask)) {
		give_up(session, "its cursors lead nowhere", "");
		return;
	}
	ask->position.has_cursor = true;
	memcpy(ask->position.cursor, ask->cursor, ENVELOPE_KEY_SIZE);
	sync_keeper_put(ask->asker->keeper, ask->index, &ask->position);
	ask_page(session);
}

void sync_ask_stored(struct session *session, uint32_t page, uint32_t count,
		     uint32_t stored, int err)
{
	struct sync_ask *ask = session->ask;

	if (!err) {
		NODE_COUNT(session->ring->node, sync_stored, stored);
		NODE_COUNT(session->ring->node, sync_known, count - stored);
	}
	if (page != ask->page || ask->state == ASK_IDLE)
		return;
	assert(ask->pending > 0);
	ask->pending--;
	if (err && !ask->err)
		ask->err = err;
	if (!err)
		ask->totals.stored += stored;
	if (ask->state == ASK_STORING && ask->pending == 0)
		page_done(session);
}

/* ---- answers ---- */

/* Those of an answer that are as they were asked for. */
struct sync_part {
	uint32_t count;
	size_t bytes;
	struct archive_item items[MAIL_LIMIT_MAX];
	struct keccak_hash_job jobs[MAIL_LIMIT_MAX];
};

static void take(struct session *session, const struct envelope *env,
		 struct sync_part *part)
{
	const struct node_config *config = &session->ring->node->config;
	struct sync_ask *ask = session->ask;
	uint32_t sent = envelope_sent(env);

	if (sent < ask->position.lower_s || sent > ask->position.upper_s ||
	    20 + env->data_size > config->envelope_max) {
		ask->totals.refused++;
		NODE_COUNT(session->ring->node, sync_refused, 1);
		return;
	}
	part->items[part->count] = (struct archive_item){.rlp = env->rlp,
							 .size = env->size,
							 .sent = sent,
							 .topic = env->topic};
	part->jobs[part->count] =
		(struct keccak_hash_job){.in = env->rlp,
					 .len = env->size,
					 .out = part->items[part->count].hash};
	part->count++;
	part->bytes += env->size;
}

/* Returns NULL, or what is wrong with the answer. */
static const char *read_part(struct session *session, struct bundle *bundle,
			     struct sync_part *part)
{
	struct sync_ask *ask = session->ask;
	struct envelope env;
	int err = bundle_next(bundle, &env);

	part->count = 0;
	part->bytes = 0;
	while (!err) {
		if (++ask->count > MAIL_LIMIT_MAX)
			return "more came than was asked for";
		take(session, &env, part);
		err = bundle_next(bundle, &env);
	}
	return err < 0 ? "malformed sync answer" : NULL;
}

static int send_part(struct session *session, struct packet *payload,
		     const struct sync_part *part)
{
	struct sync_ask *ask = session->ask;
	struct posting_base base = {.packet = payload,
				    .link = session->handle,
				    .cap = CAP_SHH,
				    .count = part->count,
				    .sync_page = ask->page};
	struct posting *posting;

	if (part->count == 0)
		return 0;
	posting = posting_new(session->ring, &base);
	if (!posting)
		return ERR_NOMEM;
	keccak256_many(part->jobs, part->count);
	memcpy(posting_items(posting), part->items,
	       part->count * sizeof(part->items[0]));
	ask->pending++;
	ask->totals.envelopes += part->count;
	ask->totals.bytes += part->bytes;
	posting_send(session->ring, posting);
	return 0;
}

static const char *take_envelopes(struct session *session,
				  struct packet *payload, struct bundle *bundle)
{
	struct sync_part *part = malloc(sizeof(*part));
	const char *what = "no memory";

	if (part)
		what = read_part(session, bundle, part);
	if (!what && send_part(session, payload, part))
		what = "no memory";
	free(part);
	return what;
}

static void refused(struct session *session,
		    const struct mail_sync_answer *answer)
{
	char text[TEXT_SHOWN + 1];
	size_t len =
		answer->text_size < TEXT_SHOWN ? answer->text_size : TEXT_SHOWN;

	memcpy(text, answer->text, len);
	text[len] = '\0';
	give_up(session, "the other side refused", text);
}

void sync_ask_answer(struct session *session, struct packet *payload)
{
	struct sync_ask *ask = session->ask;
	struct mail_sync_answer answer;
	const char *what = NULL;

	if (!ask || ask->state != ASK_WAITING)
		return;
	if (mail_sync_answer_decode(payload->bytes, payload->size, &answer)) {
		breach(session, "malformed sync answer");
		return;
	}
	if (answer.text_size > 0) {
		refused(session, &answer);
		return;
	}
	ask->deadline_ms = node_ring_now_ms(session->ring) + ANSWER_MS;
	what = take_envelopes(session, payload, &answer.envelopes);
	if (what) {
		breach(session, what);
		return;
	}
	if (!answer.is_final)
		return;
	ask->has_cursor = answer.has_cursor;
	memcpy(ask->cursor, answer.cursor, ENVELOPE_KEY_SIZE);
	ask->state = ASK_STORING;
	if (ask->pending == 0)
		page_done(session);
}
