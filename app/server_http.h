#ifndef APP_SERVER_HTTP_H
#define APP_SERVER_HTTP_H
/*
 * What the HTTP listeners of a server answer: /livez for everybody, /metrics
 * and /readyz for the operator.
 *
 * Thread: init by main, the rest on the listeners' threads.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "auth/admin.h"
#include "auth/payments.h"
#include "net/http.h"
#include "storage/archive.h"

#define SERVER_HTTP_ROUTES_MAX 16

struct server_http {
	struct archive *archive;
	struct payments *payments; /* NULL: nothing is sold */
	atomic_bool is_stopping;
	struct http_route public_routes[SERVER_HTTP_ROUTES_MAX];
	struct http_route private_routes[SERVER_HTTP_ROUTES_MAX];
};

/* `http` must stay where it is while the listeners run. */
void server_http_init(struct server_http *http, struct archive *archive,
		      struct payments *payments);
/* Append to one of the tables above, which must have room. */
void server_http_add(struct http_route table[static SERVER_HTTP_ROUTES_MAX],
		     const struct http_route *routes, size_t count);
/* Ready? `text` says so in a sentence, and why not. Any thread. */
bool server_http_ready(struct server_http *http,
		       const struct archive_health *health,
		       char text[static ADMIN_WHY_MAX]);
/* From now on not ready. Any thread. */
void server_http_stopping(struct server_http *http);

#endif
