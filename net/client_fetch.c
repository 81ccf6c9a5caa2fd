#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/keccak.h"
#include "net/bundle.h"
#include "net/client_conn.h"
#include "net/mail.h"
#include "net/mail_seal.h"
#include "net/status.h"

#define PAGE_BYTES_MAX    (256u << 20) /* delivered for one page */
#define RATE_WAIT_MS      100          /* doubled at each refusal in a row */
#define RATE_WAIT_MAX_MS  2000
#define RATE_REFUSALS_MAX 60
#define REQUEST_TTL_S     50
#define REQUEST_POW       0.002

/* In which order the server delivers; seen from its first cursor. */
enum direction { UNKNOWN, NEWEST_FIRST, OLDEST_FIRST };

/* A stretch of time that one connection follows to its end. */
struct part {
	uint32_t lower_s, upper_s;
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
};

struct item {
	struct envelope env;
	uint8_t key[ENVELOPE_KEY_SIZE];
	bool is_unwanted;
};

struct worker {
	struct client_conn *conn;
	bool has_part;
	bool is_asked;
	struct part part;
	uint8_t id[MAIL_ID_SIZE];
	uint64_t deadline_ms;
	uint64_t ask_ms;   /* not before */
	unsigned refusals; /* of the rate limit, in a row */
	uint32_t limit;    /* of the page asked for */
	struct packet **packets;
	size_t packets_count;
	size_t packets_max;
	size_t packets_bytes;
};

struct fetcher {
	struct client client;
	const struct client_config *config;
	struct client_fetch *fetch;
	struct worker *workers;
	struct part *parts; /* given to nobody yet */
	size_t parts_count;
	size_t parts_max;
	enum direction direction;
	struct topic *topics; /* sorted, for looking up */
	struct item *items;
	struct item **order;
	size_t items_max;
};

/* ---- asking ---- */

static struct bloom bloom_of(const struct client_fetch *fetch)
{
	struct bloom bloom = {{0}};

	if (fetch->has_bloom)
		return fetch->bloom;
	if (fetch->topics_count == 0)
		memset(bloom.bits, 0xff, sizeof(bloom.bits));
	for (uint32_t i = 0; i < fetch->topics_count; i++)
		bloom_add_deployed(&bloom, fetch->topics[i]);
	return bloom;
}

static void new_id(uint8_t id[static MAIL_ID_SIZE])
{
	uint8_t bytes[MAIL_ID_SIZE / 2];
	char text[MAIL_ID_SIZE + 1];

	/* 32 ASCII digits, as the apps do. */
	bytes_random(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), text);
	memcpy(id, text, MAIL_ID_SIZE);
}

static struct mail_query query_of(const struct fetcher *f,
				  const struct worker *worker)
{
	const struct part *part = &worker->part;
	struct mail_query query = {
		.lower_s = part->lower_s,
		.upper_s = part->upper_s,
		.limit = worker->limit,
		.has_bloom = true,
		.bloom = bloom_of(f->fetch),
		.has_cursor = part->has_cursor,
		.batch = true,
		.topics = (const uint8_t *)f->fetch->topics,
		.topics_count = f->fetch->topics_count,
		.topics_stride = TOPIC_SIZE,
	};

	memcpy(query.cursor, part->cursor, sizeof(query.cursor));
	return query;
}

static int direct_request(struct fetcher *f, struct worker *worker,
			  uint8_t **out, size_t *len)
{
	struct mail_query query = query_of(f, worker);
	size_t max = MAIL_QUERY_SIZE_MAX(query.topics_count);

	*out = malloc(max);
	if (!*out)
		return ERR_NOMEM;
	new_id(worker->id);
	/* Old shh servers know six elements, and the bloom alone. */
	*len = mail_direct_encode(
		worker->id, &query,
		f->config->cap != CAP_SHH || query.topics_count > 0, *out, max);
	return *len == 0 ? ERR_RANGE : 0;
}

static int sealed_request(struct fetcher *f, struct worker *worker,
			  uint8_t **out, size_t *len)
{
	struct mail_query query = query_of(f, worker);
	bool is_for_node = f->fetch->form == CLIENT_SEALED_NODE;
	struct mail_seal seal = {
		.symmetric = is_for_node ? NULL : f->fetch->key,
		.to = is_for_node ? f->config->server : NULL,
		.signer = &worker->conn->key,
		.pow = REQUEST_POW,
	};

	return mail_seal_new(&query, &seal, clock_wall_s(), out, len,
			     worker->id);
}

static uint32_t page_limit(const struct client_fetch *fetch)
{
	uint64_t left;

	if (fetch->limit == 0)
		return fetch->page;
	left = fetch->limit - fetch->envelopes;
	return left < fetch->page ? (uint32_t)left : fetch->page;
}

static void ask(struct fetcher *f, struct worker *worker)
{
	uint8_t *request = NULL;
	size_t len = 0;
	int err;

	worker->limit = page_limit(f->fetch);
	if (f->fetch->form == CLIENT_DIRECT)
		err = direct_request(f, worker, &request, &len);
	else
		err = sealed_request(f, worker, &request, &len);
	if (err) {
		client_end(&f->client, err, "cannot make a request: %s",
			   err_str(err));
		goto out;
	}
	worker->is_asked = true;
	worker->deadline_ms =
		ring_now_ms(f->client.ring) + f->config->timeout_ms;
	(void)link_send_bytes(worker->conn->link, f->config->cap, CODE_REQUEST,
			      request, len);
out:
	free(request);
}

/* ---- parts ---- */

static int give_back(struct fetcher *f, const struct part *part)
{
	if (f->parts_count == f->parts_max) {
		size_t max = f->parts_max ? f->parts_max * 2 : 64;
		struct part *parts = realloc(f->parts, max * sizeof(*f->parts));

		if (!parts)
			return ERR_NOMEM;
		f->parts = parts;
		f->parts_max = max;
	}
	f->parts[f->parts_count++] = *part;
	return 0;
}

static bool take_part(struct fetcher *f, struct worker *worker)
{
	if (!worker->has_part && f->parts_count > 0) {
		worker->part = f->parts[--f->parts_count];
		worker->has_part = true;
	}
	return worker->has_part;
}

static double span_of(const struct part *part)
{
	return (double)part->upper_s - part->lower_s + 1;
}

static void measure(struct fetcher *f)
{
	double left = 0;

	for (size_t i = 0; i < f->parts_count; i++)
		left += span_of(&f->parts[i]);
	for (unsigned i = 0; i < f->config->connections; i++)
		if (f->workers[i].has_part)
			left += span_of(&f->workers[i].part);
	f->fetch->done = 1.0 - left / ((double)f->fetch->upper_s -
				       f->fetch->lower_s + 1);
}

/* Set everybody who can to work; end when nothing is left. */
static void go_on(struct fetcher *f)
{
	uint64_t now_ms = ring_now_ms(f->client.ring);
	bool is_busy = f->parts_count > 0;

	for (unsigned i = 0; i < f->config->connections; i++) {
		struct worker *worker = &f->workers[i];

		if (f->client.is_ending)
			return;
		if (worker->conn && worker->conn->is_ready &&
		    !worker->is_asked && now_ms >= worker->ask_ms &&
		    take_part(f, worker))
			ask(f, worker);
		is_busy |= worker->has_part;
	}
	measure(f);
	if (!is_busy)
		client_end(&f->client, 0, "%s", "");
}

static bool is_anybody_idle(const struct fetcher *f)
{
	if (f->parts_count > 0)
		return false;
	for (unsigned i = 0; i < f->config->connections; i++)
		if (f->workers[i].conn && f->workers[i].conn->is_ready &&
		    !f->workers[i].has_part)
			return true;
	return false;
}

/* Between two pages: give half of what is left to one that has nothing. */
static void halve(struct fetcher *f, struct part *part)
{
	uint32_t middle = part->lower_s + (part->upper_s - part->lower_s) / 2;
	struct part rest = *part;
	struct part kept = *part;

	if (f->direction == UNKNOWN || part->upper_s == part->lower_s ||
	    !is_anybody_idle(f))
		return;
	rest.has_cursor = false;
	if (f->direction == NEWEST_FIRST) {
		rest.upper_s = middle;
		kept.lower_s = middle + 1;
	} else {
		rest.lower_s = middle + 1;
		kept.upper_s = middle;
	}
	if (give_back(f, &rest) == 0)
		*part = kept;
}

/* ---- a page ---- */

static void forget_packets(struct worker *worker)
{
	for (size_t i = 0; i < worker->packets_count; i++)
		packet_unref(worker->packets[i]);
	worker->packets_count = 0;
	worker->packets_bytes = 0;
}

static void on_delivery(struct fetcher *f, struct worker *worker,
			struct packet *payload)
{
	if (!worker->is_asked)
		return;
	if (worker->packets_count == worker->packets_max) {
		size_t max = worker->packets_max ? worker->packets_max * 2 : 16;
		struct packet **packets = realloc(
			worker->packets, max * sizeof(*worker->packets));

		if (!packets) {
			client_end(&f->client, ERR_NOMEM, "out of memory");
			return;
		}
		worker->packets = packets;
		worker->packets_max = max;
	}
	worker->packets_bytes += payload->size;
	if (worker->packets_bytes > PAGE_BYTES_MAX) {
		client_end(&f->client, ERR_PROTOCOL,
			   "the server sends more than a page can hold");
		return;
	}
	worker->packets[worker->packets_count++] = packet_ref(payload);
}

static int add_items(struct fetcher *f, const struct packet *packet,
		     size_t *count, size_t max)
{
	struct bundle bundle;
	struct envelope env;
	int err = bundle_open(&bundle, packet->bytes, packet->size,
			      f->config->cap == CAP_SHH);

	while (!err) {
		err = bundle_next(&bundle, &env);
		if (!err && *count == max)
			return ERR_RANGE;
		if (!err)
			f->items[(*count)++].env = env;
	}
	return err > 0 ? 0 : err;
}

/* All envelopes of the page, with their keys. */
static int read_items(struct fetcher *f, struct worker *worker, size_t *count)
{
	struct keccak_hash_job jobs[64];
	int err = 0;

	*count = 0;
	for (size_t i = 0; i < worker->packets_count && !err; i++)
		err = add_items(f, worker->packets[i], count, f->items_max);
	if (!err && *count > worker->limit)
		err = ERR_RANGE;
	for (size_t done = 0, n; !err && done < *count; done += n) {
		for (n = 0; n < 64 && done + n < *count; n++) {
			struct item *item = &f->items[done + n];

			be32_store(item->key, envelope_sent(&item->env));
			jobs[n] =
				(struct keccak_hash_job){.in = item->env.rlp,
							 .len = item->env.size,
							 .out = item->key + 4};
		}
		keccak256_many(jobs, n);
	}
	return err;
}

static int compare_topics(const void *a, const void *b)
{
	return memcmp(a, b, TOPIC_SIZE);
}

static bool is_topic_wanted(const struct fetcher *f, struct topic topic)
{
	if (f->fetch->topics_count > 0)
		return bsearch(&topic, f->topics, f->fetch->topics_count,
			       sizeof(topic), compare_topics) != NULL;
	return !f->fetch->has_bloom ||
	       bloom_covers_topic(&f->fetch->bloom, topic);
}

static bool is_beyond(const struct fetcher *f, const struct part *part,
		      const uint8_t key[static ENVELOPE_KEY_SIZE])
{
	int order;

	if (!part->has_cursor)
		return true;
	order = memcmp(key, part->cursor, ENVELOPE_KEY_SIZE);
	return f->direction == NEWEST_FIRST   ? order < 0
	       : f->direction == OLDEST_FIRST ? order > 0
					      : order != 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *const *x = a;
	const struct item *const *y = b;

	return memcmp((*x)->key, (*y)->key, ENVELOPE_KEY_SIZE);
}

/* What nobody asked for, or what was there before, is not handed on. */
static void mark_unwanted(struct fetcher *f, const struct part *part,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct item *item = &f->items[i];
		uint32_t sent = be32_load(item->key);

		item->is_unwanted = sent < part->lower_s ||
				    sent > part->upper_s ||
				    !is_topic_wanted(f, item->env.topic) ||
				    !is_beyond(f, part, item->key);
		f->order[i] = item;
	}
	qsort(f->order, count, sizeof(struct item *), compare_items);
	for (size_t i = 1; i < count; i++)
		if (memcmp(f->order[i - 1]->key, f->order[i]->key,
			   ENVELOPE_KEY_SIZE) == 0)
			f->order[i]->is_unwanted = true;
}

static int hand_on(struct fetcher *f, size_t count)
{
	struct client_fetch *fetch = f->fetch;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct item *item = &f->items[i];

		if (item->is_unwanted) {
			fetch->passed_over++;
			continue;
		}
		err = fetch->envelope(f->config->ctx, &item->env,
				      item->key + 4);
		fetch->envelopes++;
		fetch->bytes += item->env.size;
	}
	return err;
}

/* The first cursor shows which end of the page it stands at. */
static void learn_direction(struct fetcher *f, const uint8_t *cursor,
			    size_t count)
{
	if (f->direction != UNKNOWN || count < 2)
		return;
	if (memcmp(cursor, f->order[0]->key, ENVELOPE_KEY_SIZE) <= 0)
		f->direction = NEWEST_FIRST;
	else if (memcmp(cursor, f->order[count - 1]->key, ENVELOPE_KEY_SIZE) >=
		 0)
		f->direction = OLDEST_FIRST;
}

static int advance(struct fetcher *f, struct worker *worker,
		   const uint8_t *cursor)
{
	struct part *part = &worker->part;
	uint32_t sent = be32_load(cursor);

	if (!is_beyond(f, part, cursor))
		return ERR_PROTOCOL;
	/* Pages of one envelope do not show it, but two cursors do. */
	if (f->direction == UNKNOWN && part->has_cursor)
		f->direction =
			memcmp(cursor, part->cursor, ENVELOPE_KEY_SIZE) < 0
				? NEWEST_FIRST
				: OLDEST_FIRST;
	memcpy(part->cursor, cursor, sizeof(part->cursor));
	part->has_cursor = true;
	if (f->direction == NEWEST_FIRST && sent < part->upper_s)
		part->upper_s = sent;
	if (f->direction == OLDEST_FIRST && sent > part->lower_s)
		part->lower_s = sent;
	/* A cursor outside of the bounds: nothing is left. */
	if (part->lower_s > part->upper_s)
		worker->has_part = false;
	return 0;
}

/* With a limit the fetch ends where it is reached. */
static bool is_limit_reached(struct fetcher *f, const uint8_t *cursor)
{
	struct client_fetch *fetch = f->fetch;

	if (fetch->limit == 0 || fetch->envelopes < fetch->limit)
		return false;
	if (cursor) {
		fetch->has_more = true;
		memcpy(fetch->next, cursor, sizeof(fetch->next));
	}
	return true;
}

static void page_done(struct fetcher *f, struct worker *worker,
		      const uint8_t *cursor)
{
	struct client *client = &f->client;
	size_t count;
	int err;

	err = read_items(f, worker, &count);
	if (err) {
		client_end(client, ERR_PROTOCOL,
			   err == ERR_RANGE
				   ? "the server sent more than was asked for"
				   : "the server sent a malformed packet");
		return;
	}
	mark_unwanted(f, &worker->part, count);
	f->fetch->pages++;
	err = hand_on(f, count);
	forget_packets(worker);
	if (err) {
		client_end(client, err, "writing failed: %s", err_str(err));
		return;
	}
	if (is_limit_reached(f, cursor)) {
		client_end(client, 0, "%s", "");
		return;
	}
	if (!cursor) {
		worker->has_part = false;
		return;
	}
	learn_direction(f, cursor, count);
	if (advance(f, worker, cursor))
		client_end(client, ERR_PROTOCOL,
			   "the server's cursor does not advance");
	else if (worker->has_part)
		halve(f, &worker->part);
}

static bool begins_with(const char *text, size_t size, const char *words)
{
	return size >= strlen(words) && memcmp(text, words, strlen(words)) == 0;
}

static void refused(struct fetcher *f, struct worker *worker, const char *text,
		    size_t size)
{
	char shown[128];
	size_t n = 0;

	if (begins_with(text, size, "rate limit") &&
	    worker->refusals < RATE_REFUSALS_MAX) {
		unsigned wait_ms =
			RATE_WAIT_MS
			<< (worker->refusals < 5 ? worker->refusals : 5);

		worker->refusals++;
		f->fetch->retries++;
		if (wait_ms > RATE_WAIT_MAX_MS)
			wait_ms = RATE_WAIT_MAX_MS;
		worker->ask_ms = ring_now_ms(f->client.ring) + wait_ms;
		return;
	}
	for (; n < size && n < sizeof(shown) - 1; n++)
		shown[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
	shown[n] = '\0';
	f->fetch->wants_payment = begins_with(text, size, "payment required");
	client_end(&f->client, ERR_DENIED, "the server refused: %s", shown);
}

static void on_complete(struct fetcher *f, struct worker *worker,
			struct packet *payload)
{
	struct mail_completion done;

	if (!worker->is_asked ||
	    mail_completion_decode(payload->bytes, payload->size, &done) ||
	    memcmp(done.id, worker->id, MAIL_ID_SIZE) != 0)
		return;
	worker->is_asked = false;
	if (done.is_failure) {
		forget_packets(worker);
		refused(f, worker, done.text, done.text_size);
		go_on(f);
		return;
	}
	worker->refusals = 0;
	worker->conn->failures = 0;
	page_done(f, worker, done.has_cursor ? done.cursor : NULL);
	go_on(f);
}

/* ---- the connection's events ---- */

static void on_ready(void *ctx, struct client_conn *conn)
{
	struct fetcher *f = ctx;

	f->workers[conn->index].conn = conn;
	go_on(f);
}

static void on_message(void *ctx, struct client_conn *conn, unsigned code,
		       struct packet *payload)
{
	struct fetcher *f = ctx;
	struct worker *worker = &f->workers[conn->index];

	if (code == CODE_P2P_MESSAGE)
		on_delivery(f, worker, payload);
	else if (code == CODE_REQUEST_COMPLETE)
		on_complete(f, worker, payload);
}

/* The page is asked for again, from the same cursor. */
static void on_lost(void *ctx, struct client_conn *conn)
{
	struct fetcher *f = ctx;
	struct worker *worker = &f->workers[conn->index];

	if (worker->is_asked)
		f->fetch->retries++;
	worker->is_asked = false;
	forget_packets(worker);
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct fetcher *f = ctx;

	for (unsigned i = 0; i < f->config->connections; i++) {
		struct worker *worker = &f->workers[i];

		if (!worker->is_asked || now_ms < worker->deadline_ms)
			continue;
		if (worker->conn->failures >= f->config->retries_max) {
			client_end(&f->client, ERR_TIMEOUT,
				   "the server did not answer within %u s",
				   f->config->timeout_ms / 1000);
			return;
		}
		worker->deadline_ms = now_ms + f->config->timeout_ms;
		client_conn_drop(worker->conn);
	}
	go_on(f);
}

static const struct client_use use = {
	.ready = on_ready,
	.message = on_message,
	.lost = on_lost,
	.tick = on_tick,
};

/* ---- the whole ---- */

static int share_out(struct fetcher *f)
{
	const struct client_fetch *fetch = f->fetch;
	uint64_t span = (uint64_t)fetch->upper_s - fetch->lower_s + 1;
	uint64_t n = f->config->connections;
	int err = 0;

	if (n > span)
		n = span;
	/* The newest part lies on top. */
	for (uint64_t i = 0; i < n && !err; i++) {
		struct part part = {
			.lower_s = fetch->lower_s + (uint32_t)(span * i / n),
			.upper_s = fetch->lower_s +
				   (uint32_t)(span * (i + 1) / n - 1)};

		if (fetch->has_cursor) {
			part.has_cursor = true;
			memcpy(part.cursor, fetch->cursor, sizeof(part.cursor));
		}
		err = give_back(f, &part);
	}
	return err;
}

static int prepare(struct fetcher *f)
{
	const struct client_fetch *fetch = f->fetch;

	/* One more, so that a page too long shows itself. */
	f->items_max = CLIENT_PAGE_MAX + 1;
	f->workers = calloc(f->config->connections, sizeof(*f->workers));
	f->items = calloc(f->items_max, sizeof(*f->items));
	f->order = calloc(f->items_max, sizeof(struct item *));
	f->topics = calloc(fetch->topics_count + 1, sizeof(*f->topics));
	if (!f->workers || !f->items || !f->order || !f->topics)
		return ERR_NOMEM;
	if (fetch->topics_count > 0)
		memcpy(f->topics, fetch->topics,
		       fetch->topics_count * sizeof(*f->topics));
	qsort(f->topics, fetch->topics_count, sizeof(*f->topics),
	      compare_topics);
	return share_out(f);
}

static void release(struct fetcher *f)
{
	for (unsigned i = 0; f->workers && i < f->config->connections; i++) {
		forget_packets(&f->workers[i]);
		free(f->workers[i].packets);
	}
	free(f->workers);
	free(f->items);
	free(f->order);
	free(f->topics);
	free(f->parts);
}

int client_fetch(const struct client_config *config, struct client_fetch *fetch,
		 char *why)
{
	struct fetcher f = {
		.client = {.config = config, .use = &use, .why = why},
		.config = config,
		.fetch = fetch,
	};
	int err;

	assert(fetch->page > 0 && fetch->page <= CLIENT_PAGE_MAX);
	assert(fetch->lower_s <= fetch->upper_s);
	assert(config->connections == 1 ||
	       (!fetch->limit && !fetch->has_cursor));
	f.client.ctx = &f;
	err = prepare(&f);
	if (!err)
		err = client_run(&f.client);
	else
		(void)snprintf(why, CLIENT_WHY_MAX, "%s", err_str(err));
	release(&f);
	return err;
}
