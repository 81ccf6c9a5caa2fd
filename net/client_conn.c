#include "net/client_conn.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "net/status.h"

#define STATUS_WAIT_MS 10000
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS  3000
#define RETRY_STEPS    8 /* from there on each wait is the last */
#define END_WAIT_MS    4000
#define QUEUE_MAX      (64u << 20)
#define QUEUE_LOW      (4u << 20)
#define PACKET_MAX     (10u << 20)

void client_config_default(struct client_config *config)
{
	memset(config, 0, sizeof(*config));
	config->cap = CAP_WAKU;
	config->connections = 1;
	config->engine = RING_AUTO;
	config->timeout_ms = 30000;
	config->retries_max = 3;
}

int client_config_server(struct client_config *config,
			 const struct enode *server)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char port[8];

	if (server->host[0] == '\0' || server->tcp == 0)
		return ERR_SYNTAX;
	(void)snprintf(port, sizeof(port), "%u", (unsigned)server->tcp);
	if (getaddrinfo(server->host, port, &hints, &found) != 0)
		return ERR_NOTFOUND;
	memcpy(config->server, server->public, sizeof(config->server));
	memcpy(&config->addr, found->ai_addr, found->ai_addrlen);
	config->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static bool all_closed(const struct client *client)
{
	for (unsigned i = 0; i < client->count; i++)
		if (client->conns[i].link)
			return false;
	return true;
}

void client_end(struct client *client, int err, const char *format, ...)
{
	va_list args;

	if (client->is_ending)
		return;
	client->is_ending = true;
	client->end_ms = clock_mono_ms() + END_WAIT_MS;
	client->err = err;
	va_start(args, format);
	(void)vsnprintf(client->why, CLIENT_WHY_MAX, format, args);
	va_end(args);
	for (unsigned i = 0; i < client->count; i++)
		if (client->conns[i].link)
			link_disconnect(client->conns[i].link, P2P_REQUESTED);
	if (all_closed(client))
		ring_stop(client->ring);
}

/* ---- Status ---- */

/* What we want is nothing: no gossip, only answers. */
static void send_status(struct client_conn *conn)
{
	struct status status = {.has = STATUS_HAS_POW | STATUS_HAS_LIGHT |
				       STATUS_HAS_CONFIRMS | STATUS_HAS_TOPICS};
	enum cap cap = conn->client->config->cap;
	uint8_t out[STATUS_SIZE_MAX];
	size_t len;

	if (cap == CAP_SHH)
		len = status_encode_shh(&status, out, sizeof(out));
	else
		len = status_encode_waku(&status, out, sizeof(out));
	assert(len > 0);
	(void)link_send_bytes(conn->link, cap, CODE_STATUS, out, len);
}

static void read_status(struct client_conn *conn, struct packet *payload)
{
	struct client *client = conn->client;
	struct status status;
	int err;

	if (conn->is_ready)
		return;
	if (client->config->cap == CAP_SHH)
		err = status_decode_shh(payload->bytes, payload->size, &status);
	else
		err = status_decode_waku(payload->bytes, payload->size,
					 &status);
	if (err) {
		client_end(client, ERR_PROTOCOL,
			   "the server's Status is malformed");
		return;
	}
	conn->confirms = status.confirms;
	conn->is_ready = true;
	conn->status_ms = 0;
	client->use->ready(client->ctx, conn);
}

/* ---- links ---- */

static unsigned on_opened(void *ctx, struct link *link)
{
	struct client_conn *conn = ctx;

	if (!link_has_cap(link, conn->client->config->cap)) {
		client_end(conn->client, ERR_UNSUPPORTED,
			   "the server does not speak %s",
			   cap_infos[conn->client->config->cap].name);
		return P2P_USELESS;
	}
	conn->link = link;
	if (conn->client->config->cap == CAP_WMPAY) {
		/* It knows no Status. */
		conn->is_ready = true;
		conn->client->use->ready(conn->client->ctx, conn);
		return 0;
	}
	conn->status_ms = clock_mono_ms() + STATUS_WAIT_MS;
	send_status(conn);
	return 0;
}

static void on_message(void *ctx, struct link *link, enum cap cap,
		       unsigned code, struct packet *payload)
{
	struct client_conn *conn = ctx;
	struct client *client = conn->client;

	(void)link;
	(void)cap;
	if (client->is_ending)
		return;
	if (code == CODE_STATUS && client->config->cap != CAP_WMPAY)
		read_status(conn, payload);
	else if (conn->is_ready)
		client->use->message(client->ctx, conn, code, payload);
}

static void on_drained(void *ctx, struct link *link)
{
	struct client_conn *conn = ctx;

	(void)link;
	if (!conn->client->is_ending && conn->client->use->drained)
		conn->client->use->drained(conn->client->ctx, conn);
}

static void retry_later(struct client_conn *conn, const char *why)
{
	struct client *client = conn->client;
	unsigned wait_ms = conn->failures < RETRY_STEPS
				   ? RETRY_FIRST_MS << (conn->failures * 2)
				   : RETRY_LAST_MS;

	(void)snprintf(conn->why, sizeof(conn->why), "%s", why);
	if (conn->failures >= client->config->retries_max) {
		client_end(client, ERR_CLOSED, "connection %u: %s",
			   conn->index + 1, why);
		return;
	}
	conn->failures++;
	if (wait_ms > RETRY_LAST_MS)
		wait_ms = RETRY_LAST_MS;
	conn->dial_ms = clock_mono_ms() + wait_ms;
}

static void why_closed(const struct link_end *end, bool was_ready, char *out,
		       size_t size)
{
	if (end->has_reason)
		(void)snprintf(out, size, "%s disconnected: %s",
			       end->is_local ? "we" : "the server",
			       p2p_reason_str(end->reason));
	else
		(void)snprintf(out, size, "%s (%s)",
			       was_ready ? "the connection was lost"
					 : "the server cannot be reached",
			       err_str(end->err));
}

static void on_closed(void *ctx, struct link *link, const struct link_end *end)
{
	struct client_conn *conn = ctx;
	struct client *client = conn->client;
	bool was_ready = conn->is_ready;
	char why[sizeof(conn->why)];

	(void)link;
	conn->link = NULL;
	conn->is_ready = false;
	conn->status_ms = 0;
	if (client->is_ending) {
		if (all_closed(client))
			ring_stop(client->ring);
		return;
	}
	if (was_ready)
		client->use->lost(client->ctx, conn);
	why_closed(end, was_ready, why, sizeof(why));
	if (end->has_reason && end->reason == P2P_USELESS)
		client_end(client, ERR_UNSUPPORTED,
			   "the server does not speak %s",
			   cap_infos[client->config->cap].name);
	if (!client->is_ending)
		retry_later(conn, why);
}

static const struct link_handler handler = {
	.opened = on_opened,
	.message = on_message,
	.drained = on_drained,
	.closed = on_closed,
};

void client_conn_drop(struct client_conn *conn)
{
	if (conn->link)
		link_disconnect(conn->link, P2P_SUBPROTOCOL);
}

static void dial(struct client_conn *conn)
{
	const struct client_config *config = conn->client->config;
	int err;

	conn->dial_ms = 0;
	err = link_dial(conn->set, config->server,
			(const struct sockaddr *)&config->addr,
			config->addr_len, conn, &conn->link);
	if (err)
		retry_later(conn, err_str(err));
}

/* ---- the ring ---- */

static void on_round_end(void *ctx)
{
	struct client *client = ctx;

	link_sets_round_end(client->sets, client->count);
}

static void tick_conn(struct client_conn *conn, uint64_t now_ms)
{
	struct client *client = conn->client;

	link_set_tick(conn->set, now_ms);
	if (client->is_ending)
		return;
	if (conn->dial_ms && now_ms >= conn->dial_ms)
		dial(conn);
	if (conn->status_ms && now_ms >= conn->status_ms) {
		conn->status_ms = 0;
		client_end(client, ERR_TIMEOUT, "the server sent no Status");
	}
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct client *client = ctx;
	const struct client_config *config = client->config;

	for (unsigned i = 0; i < client->count; i++)
		tick_conn(&client->conns[i], now_ms);
	if (!client->is_ending && config->stop && *config->stop)
		client_end(client, ERR_CLOSED, "interrupted");
	if (!client->is_ending)
		client->use->tick(client->ctx, now_ms);
	if (config->tick)
		config->tick(config->ctx);
	if (client->is_ending &&
	    (all_closed(client) || clock_mono_ms() >= client->end_ms))
		ring_stop(client->ring);
}

static int conn_init(struct client *client, unsigned index)
{
	struct client_conn *conn = &client->conns[index];
	struct link_config config;

	conn->client = client;
	conn->index = index;
	if (index == 0 && client->config->key)
		conn->key = *client->config->key;
	else
		secp_key_new(&conn->key);
	link_config_default(&config);
	config.key = &conn->key;
	config.client = "restante-client/v" RESTANTE_VERSION;
	config.port = 0;
	memset(config.caps, 0, sizeof(config.caps));
	config.caps[client->config->cap] = true;
	config.links_max = 1;
	config.handshakes_max = 1;
	config.per_ip_max = 0;
	config.per_net_max = 0;
	config.packet_max = PACKET_MAX;
	config.queue_bytes_max = QUEUE_MAX;
	config.queue_low = QUEUE_LOW;
	return link_set_new(client->ring, &config, &handler, conn, &conn->set);
}

static int start(struct client *client)
{
	const struct ring_handler ring_handler = {.round_end = on_round_end,
						  .tick = on_tick};
	const struct ring_config ring_config = {
		.engine = client->config->engine,
		.socks_max = client->count + 1,
		.tick_ms = 50,
	};
	int err;

	client->conns = calloc(client->count, sizeof(*client->conns));
	client->sets = calloc(client->count, sizeof(struct link_set *));
	if (!client->conns || !client->sets)
		return ERR_NOMEM;
	err = ring_new(&ring_config, &ring_handler, client, &client->ring);
	for (unsigned i = 0; i < client->count && !err; i++)
		err = conn_init(client, i);
	for (unsigned i = 0; i < client->count && !err; i++)
		client->sets[i] = client->conns[i].set;
	return err;
}

static void release(struct client *client)
{
	for (unsigned i = 0; client->conns && i < client->count; i++) {
		link_set_free(client->conns[i].set);
		bytes_erase(&client->conns[i].key, sizeof(struct secp_key));
	}
	ring_free(client->ring);
	free(client->sets);
	free(client->conns);
}

int client_run(struct client *client)
{
	int err;

	client->count = client->config->connections;
	assert(client->count > 0 && client->count <= CLIENT_CONNECTIONS_MAX);
	client->why[0] = '\0';
	err = start(client);
	if (err) {
		(void)snprintf(client->why, CLIENT_WHY_MAX, "cannot start: %s",
			       err_str(err));
		client->err = err;
		goto out;
	}
	for (unsigned i = 0; i < client->count; i++)
		dial(&client->conns[i]);
	err = ring_run(client->ring);
	if (err && !client->err)
		client->err = err;
out:
	/* A link that would not close keeps its memory until the process ends.
	 */
	if (!client->conns || all_closed(client))
		release(client);
	return client->err;
}
