#include "app/server_http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/metrics.h"

static void on_livez(void *ctx, const struct http_request *request,
		     struct http_answer *answer)
{
	(void)ctx;
	(void)request;
	http_answer_text(answer, 200, "text/plain", "alive\n");
}

bool server_http_ready(struct server_http *http,
		       const struct archive_health *health,
		       char text[static ADMIN_WHY_MAX])
{
	bool is_stopping = atomic_load(&http->is_stopping);
	bool is_alarmed = http->payments && payments_alarms(http->payments) > 0;
	bool is_failing = http->payments && payments_is_failing(http->payments);

	if (is_stopping)
		(void)snprintf(text, ADMIN_WHY_MAX, "stopping");
	else if (!health->is_healthy)
		(void)snprintf(text, ADMIN_WHY_MAX,
			       "the archive takes no envelopes: %s",
			       health->why);
	else if (is_failing)
		(void)snprintf(text, ADMIN_WHY_MAX,
			       "ready, but no payment can be stored: look at "
			       "the disk and the log");
	else if (is_alarmed) /* history is served all the same */
		(void)snprintf(text, ADMIN_WHY_MAX,
			       "ready, but nothing is credited: a finalized "
			       "block has changed, see restante admin alarms");
	else
		(void)snprintf(text, ADMIN_WHY_MAX, "ready");
	return !is_stopping && health->is_healthy;
}

static void on_readyz(void *ctx, const struct http_request *request,
		      struct http_answer *answer)
{
	struct server_http *http = ctx;
	struct archive_health health;
	char text[ADMIN_WHY_MAX], line[ADMIN_WHY_MAX + 1];
	bool is_ready;

	(void)request;
	archive_health(http->archive, &health);
	is_ready = server_http_ready(http, &health, text);
	(void)snprintf(line, sizeof(line), "%s\n", text);
	answer->is_private = true;
	http_answer_text(answer, is_ready ? 200 : 503, "text/plain", line);
}

static void gauge(const char *name, const char *help, uint64_t value)
{
	metric_set(metric_gauge(name, NULL, help), (int64_t)value);
}

/* What is kept elsewhere, as it stands now. */
static void gather(struct server_http *http)
{
	struct archive_health health;

	archive_health(http->archive, &health);
	gauge("mailserver_archived_envelopes_gauge", "Envelopes archived",
	      health.envelopes);
	gauge("mailserver_archive_bytes", "Bytes of the archive on disk",
	      health.bytes_on_disk);
	gauge("mailserver_archive_slices", "Slices of the archive",
	      health.slices);
	gauge("mailserver_archive_slices_quarantined",
	      "Damaged slices moved aside", health.slices_quarantined);
	gauge("mailserver_archive_queued_envelopes",
	      "Envelopes waiting for their commit", health.queued_envelopes);
	gauge("mailserver_archive_oldest_seconds",
	      "Time of the oldest envelope", health.oldest_sent);
	gauge("mailserver_archive_newest_seconds",
	      "Time of the newest envelope", health.newest_sent);
	gauge("mailserver_healthy", "1 while the archive takes envelopes",
	      health.is_healthy);
}

static void on_metrics(void *ctx, const struct http_request *request,
		       struct http_answer *answer)
{
	(void)request;
	gather(ctx);
	answer->body = metrics_text(&answer->size);
	answer->status = answer->body ? 200 : 500;
	answer->type = "text/plain; version=0.0.4; charset=utf-8";
	answer->is_private = true;
}

void server_http_init(struct server_http *http, struct archive *archive,
		      struct payments *payments)
{
	memset(http->public_routes, 0, sizeof(http->public_routes));
	memset(http->private_routes, 0, sizeof(http->private_routes));
	http->archive = archive;
	http->payments = payments;

	atomic_store(&http->is_stopping, false);
	http->public_routes[0] =
		(struct http_route){"GET", "/livez", on_livez, http};
	http->private_routes[0] =
		(struct http_route){"GET", "/livez", on_livez, http};
	http->private_routes[1] =
		(struct http_route){"GET", "/readyz", on_readyz, http};
	http->private_routes[2] =
		(struct http_route){"GET", "/metrics", on_metrics, http};
}

void server_http_add(struct http_route table[static SERVER_HTTP_ROUTES_MAX],
		     const struct http_route *routes, size_t count)
{
	size_t at = 0;

	while (table[at].method)
		at++;
	assert(at + count < SERVER_HTTP_ROUTES_MAX);
	memcpy(table + at, routes, count * sizeof(*routes));
}

void server_http_stopping(struct server_http *http)
{
	atomic_store(&http->is_stopping, true);
}
