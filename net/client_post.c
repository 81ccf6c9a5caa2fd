#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/keccak.h"
#include "core/rlp.h"
#include "net/bundle.h"
#include "net/client_conn.h"
#include "net/confirm.h"
#include "net/status.h"

#define QUEUE_HIGH (8u << 20)

/* A packet that waits for its confirmation, kept to be sent again if the
 * connection goes. */
struct batch {
	struct batch *next;
	struct client_conn *conn;
	uint8_t hash[KECCAK_DIGEST]; /* of the payload */
	uint8_t *hashes;             /* of the envelopes, count of them */
	uint32_t count;
	uint64_t deadline_ms;
	size_t size;
	uint8_t payload[];
};

struct poster {
	struct client client;
	const struct client_config *config;
	struct client_post *post;
	struct batch *waiting; /* sent; newest first */
	struct batch *again;   /* to be sent once more */
	unsigned *in_flight;   /* of each connection */
	const uint8_t *held; /* an envelope that did not fit the last packet */
	size_t held_size;
	bool is_drained; /* the source has no more */
	uint8_t *body;   /* BUNDLE_ROOM_MAX bytes */
};

static void batch_free(struct batch *batch)
{
	if (batch)
		free(batch->hashes);
	free(batch);
}

/* ---- making packets ---- */

static int take(struct poster *poster, const uint8_t **rlp, size_t *size)
{
	int err;

	if (poster->held) {
		*rlp = poster->held;
		*size = poster->held_size;
		poster->held = NULL;
		return 0;
	}
	if (poster->is_drained)
		return 1;
	err = poster->post->next(poster->config->ctx, rlp, size);
	if (err > 0)
		poster->is_drained = true;
	return err;
}

/* Envelopes one behind the other in poster->body, as many as one packet
 * takes. Returns their number or an error. */
static int gather(struct poster *poster, uint8_t *hashes, size_t *size)
{
	struct client_post *post = poster->post;
	uint32_t count = 0;

	*size = 0;
	while (count < post->per_packet) {
		const uint8_t *rlp;
		size_t len;
		int err = take(poster, &rlp, &len);

		if (err < 0)
			return err;
		if (err > 0)
			break;
		if (len > BUNDLE_ROOM_MAX)
			return ERR_RANGE;
		if (*size + len > BUNDLE_ROOM_MAX) {
			poster->held = rlp;
			poster->held_size = len;
			break;
		}
		memcpy(poster->body + *size, rlp, len);
		keccak256(rlp, len, hashes + (size_t)count * KECCAK_DIGEST);
		*size += len;
		count++;
	}
	return (int)count;
}

/* Returns 0, > 0 (no more) or an error. */
static int batch_make(struct poster *poster, struct batch **out)
{
	uint8_t *hashes =
		malloc((size_t)poster->post->per_packet * KECCAK_DIGEST);
	uint8_t header[RLP_HEADER_MAX];
	struct batch *batch = NULL;
	size_t size, header_size;
	int count;

	if (!hashes)
		return ERR_NOMEM;
	count = gather(poster, hashes, &size);
	if (count > 0) {
		header_size = rlp_list_header(header, size);
		batch = malloc(sizeof(*batch) + header_size + size);
	}
	if (!batch) {
		free(hashes);
		return count < 0 ? count : count == 0 ? 1 : ERR_NOMEM;
	}
	*batch = (struct batch){.hashes = hashes,
				.count = (uint32_t)count,
				.size = header_size + size};
	memcpy(batch->payload, header, header_size);
	memcpy(batch->payload + header_size, poster->body, size);
	keccak256(batch->payload, batch->size, batch->hash);
	poster->post->sent += batch->count;
	poster->post->bytes += size;
	*out = batch;
	return 0;
}

/* ---- sending ---- */

static void end_if_done(struct poster *poster)
{
	struct client *client = &poster->client;

	if (!poster->is_drained || poster->held || poster->waiting ||
	    poster->again)
		return;
	for (unsigned i = 0; i < client->count; i++)
		if (client->conns[i].link &&
		    link_queued(client->conns[i].link) > 0)
			return;
	client_end(client, 0, "%s", "");
}

static void batch_send(struct poster *poster, struct client_conn *conn,
		       struct batch *batch)
{
	const struct client_config *config = poster->config;

	poster->post->packets++;
	(void)link_send_bytes(conn->link, config->cap, CODE_MESSAGES,
			      batch->payload, batch->size);
	if (!conn->confirms) {
		batch_free(batch);
		return;
	}
	batch->conn = conn;
	batch->deadline_ms =
		ring_now_ms(poster->client.ring) + config->timeout_ms;
	batch->next = poster->waiting;
	poster->waiting = batch;
	poster->in_flight[conn->index]++;
}

static void fill(struct poster *poster, struct client_conn *conn)
{
	while (!poster->client.is_ending && conn->is_ready &&
	       poster->in_flight[conn->index] < poster->post->window &&
	       link_queued(conn->link) < QUEUE_HIGH) {
		struct batch *batch = poster->again;
		int err = 0;

		if (batch)
			poster->again = batch->next;
		else
			err = batch_make(poster, &batch);
		if (err < 0) {
			client_end(&poster->client, err, "%s",
				   err == ERR_RANGE ? "an envelope is larger "
						      "than a packet may be"
						    : err_str(err));
			return;
		}
		if (err > 0)
			break;
		batch_send(poster, conn, batch);
	}
	end_if_done(poster);
}

static void on_ready(void *ctx, struct client_conn *conn)
{
	struct poster *poster = ctx;

	conn->failures = 0;
	if (!conn->confirms && !poster->post->no_wait) {
		client_end(&poster->client, ERR_UNSUPPORTED,
			   "the server does not confirm what it is sent");
		return;
	}
	fill(poster, conn);
}

static void on_drained(void *ctx, struct client_conn *conn)
{
	fill(ctx, conn);
}

/* ---- confirmations ---- */

static struct batch **find(struct poster *poster,
			   const uint8_t hash[static KECCAK_DIGEST])
{
	struct batch **at = &poster->waiting;

	while (*at && memcmp((*at)->hash, hash, KECCAK_DIGEST) != 0)
		at = &(*at)->next;
	return *at ? at : NULL;
}

static void batch_done(struct poster *poster, struct batch **at)
{
	struct batch *batch = *at;
	struct client_conn *conn = batch->conn;
	struct client_post *post = poster->post;

	*at = batch->next;
	poster->in_flight[conn->index]--;
	post->confirmed_count += batch->count;
	if (post->confirmed && batch->count > 0)
		post->confirmed(poster->config->ctx, batch->hashes,
				batch->count);
	batch_free(batch);
	fill(poster, conn);
}

/* Take the refused one out of the batch: the rest is what is confirmed. */
static void strike(struct poster *poster, struct batch *batch,
		   const struct confirm_error *error)
{
	struct client_refusal refusal = {.code = error->code,
					 .text = error->text,
					 .text_size = error->text_size};

	for (uint32_t i = 0; i < batch->count; i++) {
		uint8_t *hash = batch->hashes + (size_t)i * KECCAK_DIGEST;

		if (memcmp(hash, error->hash, KECCAK_DIGEST) != 0)
			continue;
		memcpy(refusal.hash, hash, sizeof(refusal.hash));
		batch->count--;
		memmove(hash,
			batch->hashes + (size_t)batch->count * KECCAK_DIGEST,
			KECCAK_DIGEST);
		poster->post->refused_count++;
		if (poster->post->refused)
			poster->post->refused(poster->config->ctx, &refusal);
		return;
	}
}

static void on_response(struct poster *poster, struct packet *payload)
{
	struct confirm confirm;
	struct confirm_error error;
	struct batch **at;
	int err = confirm_decode(payload->bytes, payload->size, &confirm);

	if (err == ERR_UNSUPPORTED)
		return;
	at = err ? NULL : find(poster, confirm.hash);
	if (!at)
		return;
	while ((err = confirm_next(&confirm, &error)) == 0)
		strike(poster, *at, &error);
	if (err > 0)
		batch_done(poster, at);
}

/* Servers of old send this alone; others after the response. */
static void on_ack(struct poster *poster, struct packet *payload)
{
	uint8_t hash[CONFIRM_HASH_SIZE];
	struct batch **at;

	if (confirm_ack_decode(payload->bytes, payload->size, hash))
		return;
	at = find(poster, hash);
	if (at)
		batch_done(poster, at);
}

static void on_message(void *ctx, struct client_conn *conn, unsigned code,
		       struct packet *payload)
{
	(void)conn;
	if (code == CODE_RESPONSE)
		on_response(ctx, payload);
	else if (code == CODE_BATCH_ACK)
		on_ack(ctx, payload);
}

static void on_lost(void *ctx, struct client_conn *conn)
{
	struct poster *poster = ctx;
	struct batch **at = &poster->waiting;

	while (*at) {
		struct batch *batch = *at;

		if (batch->conn != conn) {
			at = &batch->next;
			continue;
		}
		*at = batch->next;
		batch->next = poster->again;
		poster->again = batch;
	}
	poster->in_flight[conn->index] = 0;
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct poster *poster = ctx;
	struct client *client = &poster->client;

	for (struct batch *batch = poster->waiting; batch; batch = batch->next)
		if (now_ms >= batch->deadline_ms) {
			client_end(client, ERR_TIMEOUT,
				   "a packet was not confirmed within %u s",
				   poster->config->timeout_ms / 1000);
			return;
		}
	for (unsigned i = 0; i < client->count && !client->is_ending; i++)
		if (client->conns[i].is_ready)
			fill(poster, &client->conns[i]);
}

static const struct client_use use = {
	.ready = on_ready,
	.message = on_message,
	.lost = on_lost,
	.drained = on_drained,
	.tick = on_tick,
};

static void free_list(struct batch *batch)
{
	while (batch) {
		struct batch *next = batch->next;

		batch_free(batch);
		batch = next;
	}
}

int client_post(const struct client_config *config, struct client_post *post,
		char *why)
{
	struct poster poster = {
		.client = {.config = config, .use = &use, .why = why},
		.config = config,
		.post = post,
	};
	int err = ERR_NOMEM;

	assert(post->per_packet > 0 && post->window > 0);
	poster.client.ctx = &poster;
	poster.in_flight = calloc(config->connections, sizeof(unsigned));
	poster.body = malloc(BUNDLE_ROOM_MAX);
	if (poster.in_flight && poster.body)
		err = client_run(&poster.client);
	free_list(poster.waiting);
	free_list(poster.again);
	free(poster.in_flight);
	free(poster.body);
	return err;
}
