#include <assert.h>

#include "core/clock.h"
#include "core/err.h"
#include "net/client_conn.h"
#include "net/wmpay.h"

static void on_ready(void *ctx, struct client_conn *conn)
{
	struct client_pay *pay = ctx;

	pay->conn = conn;
	pay->answer_ms = 0;
	pay->ready(pay->client->config->ctx, pay);
}

static void on_message(void *ctx, struct client_conn *conn, unsigned code,
		       struct packet *payload)
{
	struct client_pay *pay = ctx;
	struct wmpay msg;

	(void)conn;
	if (wmpay_decode(code, payload->bytes, payload->size, &msg)) {
		client_end(pay->client, ERR_PROTOCOL,
			   "the server's answer could not be read");
		return;
	}
	if (msg.request_id)
		pay->answer_ms = 0;
	pay->client->conns[0].failures = 0;
	pay->message(pay->client->config->ctx, pay, &msg);
}

static void on_lost(void *ctx, struct client_conn *conn)
{
	struct client_pay *pay = ctx;

	(void)conn;
	pay->conn = NULL;
	pay->answer_ms = 0;
}

static void give_up_waiting(struct client_pay *pay)
{
	pay->answer_ms = 0;
	if (pay->is_patient)
		link_disconnect(pay->conn->link, P2P_READ_TIMEOUT);
	else
		client_end(pay->client, ERR_TIMEOUT,
			   "the server does not answer");
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct client_pay *pay = ctx;

	if (pay->answer_ms && now_ms >= pay->answer_ms)
		give_up_waiting(pay);
	else if (pay->idle)
		pay->idle(pay->client->config->ctx, pay, now_ms);
}

int client_pay(const struct client_config *config, struct client_pay *pay,
	       char *why)
{
	static const struct client_use use = {.ready = on_ready,
					      .message = on_message,
					      .lost = on_lost,
					      .tick = on_tick};
	struct client client = {
		.config = config, .use = &use, .ctx = pay, .why = why};

	assert(config->cap == CAP_WMPAY && config->connections == 1);
	pay->client = &client;
	pay->conn = NULL;
	pay->answer_ms = 0;
	return client_run(&client);
}

void client_pay_send(struct client_pay *pay, const struct wmpay *msg)
{
	uint8_t out[WMPAY_SIZE_MAX];
	size_t len = wmpay_encode(msg, out);

	assert(pay->conn);
	if (len == 0) {
		client_end(pay->client, ERR_RANGE, "the message is too large");
		return;
	}
	/* The first of several that are unanswered counts. */
	if (!pay->answer_ms)
		pay->answer_ms =
			clock_mono_ms() + pay->client->config->timeout_ms;
	(void)link_send_bytes(pay->conn->link, CAP_WMPAY, msg->code, out, len);
}

const char *client_pay_why(const struct client_pay *pay)
{
	return pay->client->conns[0].why;
}

void client_pay_end(struct client_pay *pay, int err, const char *why)
{
	client_end(pay->client, err, "%s", why ? why : "");
}
