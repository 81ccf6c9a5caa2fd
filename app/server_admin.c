#include "app/server_admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/admin.h"
#include "core/bytes.h"
#include "core/err.h"

#define ADMIN_PATH "/v1/admin/"
#define BEARER     "Bearer "

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

int server_admin_init(struct server_admin *admin, struct payments *payments,
		      const char *path, char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	memset(admin, 0, sizeof(*admin));
	admin->payments = payments;
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

/* ---- requests ---- */

static void run(struct server_admin *admin, const struct http_request *request,
		struct http_answer *answer)
{
	const char *verb = http_path(request) + strlen(ADMIN_PATH);
	struct admin_answer got;
	const char *body;
	size_t size;

	body = http_body(request, &size);
	admin_run(admin->payments, verb, body,
		  size <= ADMIN_BODY_MAX ? size : 0, &got);
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
