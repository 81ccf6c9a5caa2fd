/* The operator: how the server does, in one answer that costs little, as it is
 * asked every few seconds. What needs a walk through the ledger is in stats. */
#include "auth/admin_private.h"

#include <stdlib.h>

struct figure {
	const char *key;
	uint64_t value;
};

/* Ended by one without a key. */
static json_t *figures_value(struct admin_call *call,
			     const struct figure *figures)
{
	json_t *root = json_object();

	for (; figures->key; figures++)
		call_put_number(call, root, figures->key, figures->value);
	return root;
}

static json_t *envelopes_value(struct admin_call *call,
			       const struct admin_server *server)
{
	const struct figure envelopes[] = {
		{"in", server->envelopes_in},
		{"new", server->envelopes_new},
		{"duplicate", server->envelopes_duplicate},
		{"refused", server->envelopes_refused},
		{"out", server->envelopes_out},
		{0},
	};

	return figures_value(call, envelopes);
}

static json_t *requests_value(struct admin_call *call,
			      const struct admin_server *server)
{
	const struct figure requests[] = {
		{"asked", server->requests},
		{"denied", server->requests_denied},
		{"failed", server->requests_failed},
		{"delivered", server->delivered},
		{"delivered_bytes", server->delivered_bytes},
		{0},
	};

	return figures_value(call, requests);
}

static json_t *archive_value(struct admin_call *call,
			     const struct admin_server *server)
{
	const struct archive_health *health = &server->archive;
	const struct figure archive[] = {
		{"envelopes", health->envelopes},
		{"bytes", health->bytes_on_disk},
		{"disk_free", server->disk_free_bytes},
		{"oldest", health->oldest_sent},
		{"newest", health->newest_sent},
		{"retention", server->retention_s},
		{"retention_bytes", server->retention_bytes},
		{"shards", server->shards},
		{"shards_broken", health->shards_broken},
		{"slices", health->slices},
		{"quarantined", health->slices_quarantined},
		{"commits", health->commits},
		{"stored", health->put_envelopes},
		{"queued", health->queued_envelopes},
		{0},
	};
	json_t *root = figures_value(call, archive);

	call_put_bool(call, root, "healthy", health->is_healthy);
	call_put_text(call, root, "why", health->why);
	return root;
}

static json_t *payments_value(struct admin_call *call)
{
	json_t *root = mode_value(call);
	struct ledger_stats stats;

	ledger_read_stats(call->ledger, &stats);
	call_put_number(call, root, "nodes", stats.nodes);
	call_put_number(call, root, "events", stats.events);
	call_put(call, root, "claims", states_value(call));
	call_put(call, root, "chains", chains_value(call));
	call_put(call, root, "alarms", alarms_value(call));
	return root;
}

void status_show(struct admin_call *call)
{
	const struct admin_host *host = call->host;
	struct admin_server *server = calloc(1, sizeof(*server));
	json_t *root;

	if (!server || !host->look) {
		free(server);
		call_error(call, 500, "failed",
			   host->look ? "out of memory"
				      : "there is no server to look at");
		return;
	}
	host->look(host->ctx, server);
	root = json_object();
	call_put_bool(call, root, "ready", server->is_ready);
	call_put_text(call, root, "readiness", server->readiness);
	call_put_text(call, root, "version", server->version);
	call_put_text(call, root, "commit", server->commit);
	call_put_text(call, root, "enode", server->enode);
	call_put_number(call, root, "since", server->started_s);
	call_put_number(call, root, "up_ms", server->up_ms);
	call_put_number(call, root, "peers", server->peers);
	call_put(call, root, "envelopes", envelopes_value(call, server));
	call_put(call, root, "requests", requests_value(call, server));
	call_put(call, root, "archive", archive_value(call, server));
	call_put_bool(call, root, "sells", call->payments != NULL);
	if (call->payments)
		call_put(call, root, "payments", payments_value(call));
	call_answer(call, root);
	free(server);
}
