#ifndef APP_SERVER_ADMIN_H
#define APP_SERVER_ADMIN_H
/*
 * The operator's way in: POST /v1/admin/<verb> on a unix socket that only the
 * owner may open, and on the private listener with a token.
 *
 * Thread: init and stop by main; the rest on the listeners' threads.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "auth/admin.h"
#include "auth/payments.h"
#include "net/http.h"
#include "net/node.h"

#define SERVER_ADMIN_TOKEN_SIZE 64 /* hex digits */
#define SERVER_ADMIN_ROUTES     1

struct server_admin {
	struct payments *payments; /* NULL: nothing is sold */
	struct node *node;
	/* How the server does; may look at the node. */
	void (*look)(void *ctx, struct admin_server *out);
	void *look_ctx;
	atomic_uint running; /* requests that may look at the node */
	atomic_bool is_stopping;
	char token[SERVER_ADMIN_TOKEN_SIZE + 1];
};

/*
 * `admin` is all zeroes but for payments, node and look, which the caller sets.
 * Read the token from `path`, or make one there that only the owner may read.
 * 0, or an error with a sentence in `why`.
 */
int server_admin_init(struct server_admin *admin, const char *path, char *why,
		      size_t why_size);
/* Before node_stop(): waits for requests that look at the node. */
void server_admin_stop(struct server_admin *admin);
/* For the unix socket (no token) and for the private listener. */
void server_admin_routes(struct server_admin *admin, bool needs_token,
			 struct http_route out[static SERVER_ADMIN_ROUTES]);

#endif
