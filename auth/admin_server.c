/* The operator: who is connected, and what is logged. */
#include "auth/admin_private.h"

#include "core/err.h"
#include "core/log.h"

/* ---- peers ---- */

static void on_peer(void *ctx, const struct admin_peer *peer)
{
	struct listing *l = ctx;
	struct admin_call *call = l->call;
	json_t *row;

	if (listing_is_full(l))
		return;
	row = json_object();
	call_put_text(call, row, "address", peer->address);
	call_put_text(call, row, "direction", peer->is_outgoing ? "out" : "in");
	call_put_number(call, row, "since", peer->since_s);
	call_put_text(call, row, "client", peer->client);
	call_put_text(call, row, "capabilities", peer->caps);
	call_put_number(call, row, "requests", peer->requests);
	call_put_number(call, row, "read_bytes", peer->read_bytes);
	call_put_number(call, row, "sent_bytes", peer->sent_bytes);
	call_put_number(call, row, "queued_bytes", peer->queued_bytes);
	call_put_bool(call, row, "paused", peer->is_paused);
	call_put_hex(call, row, "node", "", peer->node, SECP_PUBLIC_SIZE);
	call_append(call, l->list, row);
}

void server_peers(struct admin_call *call)
{
	const struct admin_host *host = call->host;
	struct listing l = {.call = call, .max = ADMIN_LIST_MAX};
	unsigned silent = 0;
	json_t *root;
	int err = ERR_UNSUPPORTED;

	if (!call_number_arg(call, "limit", &l.max))
		return;
	l.list = json_array();
	if (host->each_peer)
		err = host->each_peer(host->ctx, on_peer, &l, &silent);
	if (err) {
		json_decref(l.list);
		(void)call_is_done(call, err);
		return;
	}
	root = json_object();
	/* Rings that were too busy to answer: their peers are missing. */
	call_put_number(call, root, "silent_rings", silent);
	call_put_number(call, root, "shown", json_array_size(l.list));
	call_put(call, root, "peers", l.list);
	call_answer(call, root);
}

/* ---- the log ---- */

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_UNUSUAL] = "unusual",
	[LOG_LEVEL_BROKEN] = "broken",
};

void server_log_level(struct admin_call *call)
{
	const char *wanted = call_arg(call, "level");
	enum log_level level = log_get_level();
	json_t *root;

	if (wanted && log_level_from_text(wanted, &level)) {
		call_error(call, 400, "bad_format",
			   "level: debug, info, unusual or broken");
		return;
	}
	if (wanted) {
		LOG_UNUSUAL("log level changed by the operator",
			    log_text("level", level_names[level]));
		log_set_level(level);
	}
	root = json_object();
	call_put_text(call, root, "level", level_names[level]);
	call_answer(call, root);
}
