/* The operator: how the server does, in one answer that costs little, as it is
 * asked every few seconds. What needs a walk through the ledger is in stats. */
#include "auth/admin_private.h"

#include <stdlib.h>

static json_t *envelopes_value(struct admin_call *call,
			       const struct admin_server *server)
{
	json_t *root = json_object();

	call_put_number(call, root, "in", server->envelopes_in);
	call_put_number(call, root, "new", server->envelopes_new);
	call_put_number(call, root, "duplicate", server->envelopes_duplicate);
	call_put_number(call, root, "refused", server->envelopes_refused);
	call_put_number(call, root, "out", server->envelopes_out);
	return root;
}

static json_t *requests_value(struct admin_call *call,
			      const struct admin_server *server)
{
	json_t *root = json_object();

	call_put_number(call, root, "asked", server->requests);
	call_put_number(call, root, "denied", server->requests_denied);
	call_put_number(call, root, "failed", server->requests_failed);
	call_put_number(call, root, "delivered", server->delivered);
	call_put_number(call, root, "delivered_bytes", server->delivered_bytes);
	return root;
}

static json_t *archive_value(struct admin_call *call,
			     const struct admin_server *server)
{
	const struct archive_health *health = &server->archive;
	json_t *root = json_object();

	call_put_bool(call, root, "healthy", health->is_healthy);
	call_put_text(call, root, "why", health->why);
	call_put_number(call, root, "envelopes", health->envelopes);
	call_put_number(call, root, "bytes", health->bytes_on_disk);
	call_put_number(call, root, "disk_free", server->disk_free_bytes);
	call_put_number(call, root, "oldest", health->oldest_sent);
	call_put_number(call, root, "newest", health->newest_sent);
	call_put_number(call, root, "retention", server->retention_s);
	call_put_number(call, root, "retention_bytes", server->retention_bytes);
	call_put_number(call, root, "shards", server->shards);
	call_put_number(call, root, "shards_broken", health->shards_broken);
	call_put_number(call, root, "slices", health->slices);
	call_put_number(call, root, "quarantined", health->slices_quarantined);
	call_put_number(call, root, "commits", health->commits);
	call_put_number(call, root, "stored", health->put_envelopes);
	call_put_number(call, root, "queued", health->queued_envelopes);
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
