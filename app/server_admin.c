#include "app/server_admin.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define ADMIN_PATH "/v1/admin/"
#define BEARER     "Bearer "

#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 10)
#define CAPS_TEXT_MAX    64
#define PEERS_WAIT_MS    500

/* ---- the token ---- */

static int read_token(int fd, struct server_admin *admin)
{
	uint8_t bytes[SERVER_ADMIN_TOKEN_SIZE / 2];
	ssize_t n = read(fd, admin->token, SERVER_ADMIN_TOKEN_SIZE);

	if (n != SERVER_ADMIN_TOKEN_SIZE ||
	    hex_decode(admin->token, SERVER_ADMIN_TOKEN_SIZE, bytes,
		       sizeof(bytes)))
		return ERR_SYNTAX;
	admin->token[SERVER_ADMIN_TOKEN_SIZE] = '\0';
	return 0;
}

static int make_token(const char *path, struct server_admin *admin)
{
	uint8_t bytes[SERVER_ADMIN_TOKEN_SIZE / 2];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return ERR_IO;
	bytes_random(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), admin->token);
	if (dprintf(fd, "%s\n", admin->token) != SERVER_ADMIN_TOKEN_SIZE + 1)
		err = ERR_IO;
	if (close(fd) != 0)
		err = ERR_IO;
	return err;
}

int server_admin_init(struct server_admin *admin, const char *path, char *why,
		      size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = errno == ENOENT ? make_token(path, admin) : ERR_IO;
	} else {
		err = read_token(fd, admin);
		(void)close(fd);
	}
	if (err)
		(void)snprintf(why, why_size,
			       "%s: no admin token: %s; remove the file for a "
			       "new one",
			       path,
			       err == ERR_SYNTAX ? "not 64 hex digits"
						 : err_system(errno));
	return err;
}

void server_admin_stop(struct server_admin *admin)
{
	atomic_store(&admin->is_stopping, true);
	while (atomic_load(&admin->running) > 0)
		(void)sched_yield();
}

/* ---- peers ---- */

static void address_text(const struct node_peer_view *peer,
			 char out[static ADDRESS_TEXT_MAX])
{
	const struct sockaddr *addr = (const struct sockaddr *)&peer->addr;
	bool is_v6 = addr->sa_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

	(void)getnameinfo(addr,
			  is_v6 ? sizeof(struct sockaddr_in6)
				: sizeof(struct sockaddr_in),
			  host, sizeof(host), port, sizeof(port),
			  NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(out, ADDRESS_TEXT_MAX, is_v6 ? "[%s]:%s" : "%s:%s", host,
		       port);
}

static void caps_text(const struct node_peer_view *peer,
		      char out[static CAPS_TEXT_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < CAP_COUNT && at < CAPS_TEXT_MAX; i++)
		if (peer->caps[i])
			at += (size_t)snprintf(out + at, CAPS_TEXT_MAX - at,
					       "%s%s/%u", at ? " " : "",
					       cap_infos[i].name,
					       cap_infos[i].version);
}

static int each_peer(void *ctx,
		     void (*visit)(void *visit_ctx,
				   const struct admin_peer *peer),
		     void *visit_ctx, unsigned *silent)
{
	struct server_admin *admin = ctx;
	char address[ADDRESS_TEXT_MAX], caps[CAPS_TEXT_MAX];
	struct node_peer_view *list;
	size_t count;
	int err = node_peers(admin->node, PEERS_WAIT_MS, &list, &count, silent);

	for (size_t i = 0; i < count && !err; i++) {
		const struct node_peer_view *peer = &list[i];

		address_text(peer, address);
		caps_text(peer, caps);
		visit(visit_ctx,
		      &(struct admin_peer){
			      .node = peer->node,
			      .address = address,
			      .client = peer->client,
			      .caps = caps,
			      .since_s = clock_wall_s() - peer->age_ms / 1000,
			      .is_outgoing = peer->is_outgoing,
			      .is_paused = peer->is_paused,
			      .read_bytes = peer->read_bytes,
			      .sent_bytes = peer->sent_bytes,
			      .queued_bytes = peer->queued_bytes,
			      .requests = peer->requests,
		      });
	}
	if (!err)
		free(list);
	return err;
}

/* ---- requests ---- */

static void look(void *ctx, struct admin_server *out)
{
	struct server_admin *admin = ctx;

	admin->look(admin->look_ctx, out);
}

static void run(struct server_admin *admin, const struct http_request *request,
		struct http_answer *answer)
{
	const char *verb = http_path(request) + strlen(ADMIN_PATH);
	const struct admin_host host = {.payments = admin->payments,
					.each_peer = each_peer,
					.look = look,
					.ctx = admin};
	struct admin_answer got;
	const char *body;
	size_t size;

	atomic_fetch_add(&admin->running, 1);
	if (atomic_load(&admin->is_stopping)) {
		atomic_fetch_sub(&admin->running, 1);
		http_answer_text(answer, 503, "application/json",
				 "{\"error\":\"stopping\",\"message\":"
				 "\"the server is stopping\"}");
		return;
	}
	body = http_body(request, &size);
	admin_run(&host, verb, body, size <= ADMIN_BODY_MAX ? size : 0, &got);
	atomic_fetch_sub(&admin->running, 1);
	answer->status = got.body ? got.status : 500;
	answer->type = got.type;
	answer->body = got.body;
	answer->size = got.body ? strlen(got.body) : 0;
	answer->is_private = true;
}

static void on_socket(void *ctx, const struct http_request *request,
		      struct http_answer *answer)
{
	run(ctx, request, answer);
}

static bool has_token(const struct server_admin *admin,
		      const struct http_request *request)
{
	const char *given = http_header(request, "Authorization");

	if (!given || strncmp(given, BEARER, strlen(BEARER)) != 0)
		return false;
	given += strlen(BEARER);
	return strlen(given) == SERVER_ADMIN_TOKEN_SIZE &&
	       bytes_equal_ct((const uint8_t *)given,
			      (const uint8_t *)admin->token,
			      SERVER_ADMIN_TOKEN_SIZE);
}

static void on_private(void *ctx, const struct http_request *request,
		       struct http_answer *answer)
{
	if (has_token(ctx, request))
		run(ctx, request, answer);
	else
		http_answer_text(answer, 401, "application/json",
				 "{\"error\":\"unauthorized\",\"message\":"
				 "\"the admin token is wanted, as "
				 "Authorization: Bearer TOKEN\"}");
}

void server_admin_routes(struct server_admin *admin, bool needs_token,
			 struct http_route out[static SERVER_ADMIN_ROUTES])
{
	out[0] = (struct http_route){"POST", ADMIN_PATH,
				     needs_token ? on_private : on_socket,
				     admin};
}
