#include "net/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "net/address.h"
#include "net/forwarded.h"

/* Of our own pages: nothing from elsewhere, no frame around them. */
#define PAGE_POLICY                                                            \
	"default-src 'none'; script-src 'self'; style-src 'self'; "            \
	"img-src 'self'; connect-src 'self'; base-uri 'none'; "                \
	"form-action 'none'; frame-ancestors 'none'"
#define HOST_MAX 256
/* Of a body that is too big, so much is read for the sake of the answer. */
#define DROP_MAX         ((size_t)1 << 20)
#define STOP_MS          500 /* for the answers of those who wait */
#define RETRY_STOPPING_S 30

/* An answer that is awaited. */
struct http_later {
	struct http *http;
	struct MHD_Connection *connection;
	struct http_later *next, **prev; /* of http->laters */
	struct http_answer answer;
	bool is_answered;
	bool is_abandoned; /* the connection has gone */
};

struct http {
	pthread_mutex_t lock; /* of what follows, with http_later's fields */
	struct http_later *laters;
	unsigned refs; /* our own, and one for each http_later */
	bool is_stopping;

	struct MHD_Daemon *daemon;
	struct http_config config;
	char *hosts;
	char *unix_path;
	uint16_t port;
};

/* One exchange, from its headers to its answer. */
struct http_request {
	struct http *http;
	struct http_request *self; /* to write what handlers may only read */
	struct http_later *later;
	struct MHD_Connection *connection;
	const char *method;
	const char *path;
	char *body;
	size_t body_size;
	size_t dropped; /* bytes of a body that is too big */
	bool is_too_big;
	bool is_unix;
};

void http_config_default(struct http_config *config)
{
	memset(config, 0, sizeof(*config));
	config->body_max = 16u << 10;
	config->connections_max = 64;
	config->timeout_s = 10;
}

/* ---- who may ask ---- */

/* The host of "host", "host:port" or "[v6]:port", lower case. */
static bool split_host(const char *text, char out[static HOST_MAX])
{
	size_t len;

	if (text[0] == '[') {
		text++;
		len = strcspn(text, "]");
		if (text[len] != ']')
			return false;
	} else {
		len = strcspn(text, ":");
	}
	if (len == 0 || len >= HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32
								 : text[i]);
	out[len] = '\0';
	return true;
}

static bool is_listed(const char *host, const char *list)
{
	size_t len = strlen(host);

	while (list && *list) {
		size_t n = strcspn(list, ", ");

		if (n == len && strncasecmp(list, host, n) == 0)
			return true;
		list += n;
		list += strspn(list, ", ");
	}
	return false;
}

bool http_is_host_known(const char *text, const char *hosts)
{
	char host[HOST_MAX];
	struct in6_addr address;

	if (hosts && strcmp(hosts, "*") == 0)
		return true;
	if (!text || !split_host(text, host))
		return false;
	return strcmp(host, "localhost") == 0 ||
	       inet_pton(AF_INET, host, &address) == 1 ||
	       inet_pton(AF_INET6, host, &address) == 1 ||
	       is_listed(host, hosts);
}

/* "null" and foreign origins are refused; none is a program or a plain link. */
static bool is_origin_known(const char *origin, const char *hosts)
{
	const char *host;

	if (!origin)
		return true;
	host = strstr(origin, "://");
	return host && http_is_host_known(host + 3, hosts);
}

/* ---- requests ---- */

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
					   name);
}

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_GET_ARGUMENT_KIND, name);
}

const char *http_body(const struct http_request *request, size_t *size)
{
	*size = request->body_size;
	return request->body ? request->body : "";
}

/* ---- where they come from ---- */

/* The last lines of a header that may come several times. */
struct lines {
	const char *name;
	const char *list[FORWARDED_HOPS_MAX];
	size_t count; /* of all: the last ones are kept */
};

static enum MHD_Result on_line(void *cls, enum MHD_ValueKind kind,
			       const char *key, const char *value)
{
	struct lines *lines = cls;

	(void)kind;
	if (strcasecmp(key, lines->name) == 0)
		lines->list[lines->count++ % FORWARDED_HOPS_MAX] =
			value ? value : "";
	return MHD_YES;
}

/* Who is connected; false: nobody with an address. */
static bool direct_peer(const struct http_request *request,
			uint8_t out[static FORWARDED_ADDR_SIZE])
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const void *addr = info ? info->client_addr : NULL;
	const struct sockaddr_in6 *six = addr;
	const struct sockaddr_in *four = addr;

	if (request->is_unix || !addr)
		return false;
	if (four->sin_family == AF_INET6) {
		memcpy(out, &six->sin6_addr, FORWARDED_ADDR_SIZE);
		return true;
	}
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, &four->sin_addr, 4);
	return four->sin_family == AF_INET;
}

static void look_through(const struct http_request *request,
			 struct forwarded *f)
{
	struct lines lines = {.name = "X-Forwarded-For"};

	(void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND,
					on_line, &lines);
	for (size_t i = 0; i < lines.count && i < FORWARDED_HOPS_MAX; i++)
		forwarded_line(
			f,
			lines.list[(lines.count - 1 - i) % FORWARDED_HOPS_MAX]);
}

static void address_text(const uint8_t addr[static FORWARDED_ADDR_SIZE],
			 char *out, size_t size)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_v4 = memcmp(addr, mapped, sizeof(mapped)) == 0;

	if (!inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? addr + 12 : addr,
		       out, (socklen_t)size))
		(void)snprintf(out, size, "?");
}

void http_peer(const struct http_request *request, char *out, size_t size)
{
	const struct http_config *config = &request->http->config;
	struct forwarded f = {.trusted = config->trusted,
			      .trusted_count = config->trusted_count};
	bool has_address = direct_peer(request, f.addr);

	f.is_peer_trusted = !has_address && config->is_unix_trusted;
	if (f.is_peer_trusted || (has_address && config->trusted_count))
		look_through(request, &f);
	if (has_address || f.hops)
		address_text(f.addr, out, size);
	else
		(void)snprintf(out, size, "unix");
}

void http_answer_text(struct http_answer *answer, unsigned status,
		      const char *type, const char *text)
{
	answer->status = status;
	answer->type = type;
	answer->body = strdup(text);
	answer->size = answer->body ? strlen(text) : 0;
	if (!answer->body)
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- answers ---- */

static void add_headers(struct MHD_Response *response,
			const struct http_answer *answer)
{
	char text[HTTP_ETAG_MAX + 2];

	if (answer->retry_after_s) {
		(void)snprintf(text, sizeof(text), "%u", answer->retry_after_s);
		(void)MHD_add_response_header(response, "Retry-After", text);
	}
	if (answer->etag[0]) {
		(void)snprintf(text, sizeof(text), "\"%s\"", answer->etag);
		(void)MHD_add_response_header(response, "ETag", text);
	}
}

static enum MHD_Result send_answer(struct MHD_Connection *connection,
				   struct http_answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(
		answer->size, answer->body,
		answer->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, "Content-Type", answer->type);
	(void)MHD_add_response_header(response, "X-Content-Type-Options",
				      "nosniff");
	if (strncmp(answer->type, "text/html", 9) == 0)
		(void)MHD_add_response_header(
			response, "Content-Security-Policy", PAGE_POLICY);
	if (answer->is_private)
		(void)MHD_add_response_header(response, "Cache-Control",
					      "no-store");
	add_headers(response, answer);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- answers that come later ---- */

/* With the lock; gives it back. */
static void unref_unlock(struct http *http)
{
	bool is_last = --http->refs == 0;

	(void)pthread_mutex_unlock(&http->lock);
	if (!is_last)
		return;
	(void)pthread_mutex_destroy(&http->lock);
	free(http);
}

struct http_later *http_answer_later(const struct http_request *request)
{
	struct http *http = request->http;
	struct http_later *later = calloc(1, sizeof(*later));

	if (!later)
		return NULL;
	later->http = http;
	later->connection = request->connection;
	(void)pthread_mutex_lock(&http->lock);
	http->refs++;
	later->next = http->laters;
	later->prev = &http->laters;
	if (later->next)
		later->next->prev = &later->next;
	http->laters = later;
	MHD_suspend_connection(later->connection);
	/* Too late for http_stop() to see it. */
	if (http->is_stopping)
		MHD_resume_connection(later->connection);
	(void)pthread_mutex_unlock(&http->lock);
	request->self->later = later;
	return later;
}

void http_later_answer(struct http_later *later, struct http_answer *answer)
{
	struct http *http = later->http;

	(void)pthread_mutex_lock(&http->lock);
	assert(!later->is_answered);
	if (later->is_abandoned) {
		free(answer->body);
		free(later);
	} else {
		later->answer = *answer;
		later->is_answered = true;
		if (!http->is_stopping)
			MHD_resume_connection(later->connection);
	}
	answer->body = NULL;
	unref_unlock(http);
}

/* The connection was resumed: it is answered, or we are stopping. */
static enum MHD_Result send_later(struct http_request *request)
{
	struct http_later *later = request->later;
	struct http_answer answer = {.type = "text/plain"};

	(void)pthread_mutex_lock(&request->http->lock);
	if (later->is_answered) {
		answer = later->answer;
		later->answer.body = NULL;
	}
	(void)pthread_mutex_unlock(&request->http->lock);
	if (!answer.status) {
		http_answer_text(&answer, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "application/json",
				 "{\"error\":\"stopping\",\"message\":"
				 "\"the server is stopping\"}");
		answer.retry_after_s = RETRY_STOPPING_S;
	}
	return send_answer(request->connection, &answer);
}

static void leave_later(struct http_request *request)
{
	struct http_later *later = request->later;

	if (!later)
		return;
	(void)pthread_mutex_lock(&request->http->lock);
	*later->prev = later->next;
	if (later->next)
		later->next->prev = later->prev;
	later->is_abandoned = true;
	if (later->is_answered) {
		free(later->answer.body);
		free(later);
	}
	(void)pthread_mutex_unlock(&request->http->lock);
}

static void wake_laters(struct http *http)
{
	(void)pthread_mutex_lock(&http->lock);
	http->is_stopping = true;
	for (struct http_later *l = http->laters; l; l = l->next) {
		if (!l->is_answered)
			MHD_resume_connection(l->connection);
	}
	(void)pthread_mutex_unlock(&http->lock);
}

/* Until all have had their answer, or do not take it. */
static void wait_for_laters(struct http *http)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	bool is_waiting = true;

	for (int i = 0; i < STOP_MS && is_waiting; i++) {
		(void)pthread_mutex_lock(&http->lock);
		is_waiting = http->laters != NULL;
		(void)pthread_mutex_unlock(&http->lock);
		if (is_waiting)
			(void)nanosleep(&pause, NULL);
	}
}

/* ---- requests and their handlers ---- */

static bool is_path_of(const struct http_route *route, const char *path)
{
	size_t len = strlen(route->path);

	if (len > 1 && route->path[len - 1] == '/')
		return strncmp(route->path, path, len) == 0;
	return strcmp(route->path, path) == 0;
}

static void dispatch(struct http *http, struct http_request *request,
		     struct http_answer *answer)
{
	const char *method = request->method;
	bool is_path_known = false;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (const struct http_route *route = http->config.routes;
	     route->method; route++) {
		if (!is_path_of(route, request->path))
			continue;
		is_path_known = true;
		if (strcmp(route->method, method) == 0) {
			route->handler(route->ctx, request, answer);
			return;
		}
	}
	if (is_path_known)
		http_answer_text(answer, MHD_HTTP_METHOD_NOT_ALLOWED,
				 "text/plain", "method not allowed\n");
	else
		http_answer_text(answer, MHD_HTTP_NOT_FOUND, "text/plain",
				 "not found\n");
}

static void answer_request(struct http *http, struct http_request *request,
			   struct http_answer *answer)
{
	const char *hosts = request->is_unix ? "*" : http->config.hosts;

	if (!http_is_host_known(http_header(request, "Host"), hosts))
		http_answer_text(answer, MHD_HTTP_MISDIRECTED_REQUEST,
				 "text/plain",
				 "this host name is not served here\n");
	else if (!is_origin_known(http_header(request, "Origin"), hosts))
		http_answer_text(answer, MHD_HTTP_FORBIDDEN, "text/plain",
				 "requests of other sites are refused\n");
	else if (request->is_too_big)
		http_answer_text(answer, MHD_HTTP_CONTENT_TOO_LARGE,
				 "application/json",
				 "{\"error\":\"too_large\",\"message\":"
				 "\"the body is too large\"}");
	else
		dispatch(http, request, answer);
}

static void take_body(struct http *http, struct http_request *request,
		      const char *data, size_t size)
{
	char *body;

	if (request->is_too_big ||
	    request->body_size + size > http->config.body_max) {
		request->is_too_big = true;
		request->dropped += size;
		return;
	}
	body = realloc(request->body, request->body_size + size + 1);
	if (!body) {
		request->is_too_big = true;
		return;
	}
	memcpy(body + request->body_size, data, size);
	request->body = body;
	request->body_size += size;
	body[request->body_size] = '\0';
}

static struct http_request *request_new(struct http *http,
					struct MHD_Connection *connection,
					const char *path, const char *method)
{
	struct http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = http;
	request->self = request;
	request->connection = connection;
	request->method = method;
	request->path = path;
	request->is_unix = http->unix_path != NULL;
	return request;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *data,
				  size_t *data_size, void **state)
{
	struct http *http = cls;
	struct http_request *request = *state;
	struct http_answer answer = {.status = MHD_HTTP_INTERNAL_SERVER_ERROR,
				     .type = "text/plain"};

	(void)version;
	if (!request) {
		*state = request_new(http, connection, path, method);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*data_size > 0) {
		take_body(http, request, data, *data_size);
		*data_size = 0;
		/* One that does not end would keep us reading for ever. */
		return request->dropped > DROP_MAX ? MHD_NO : MHD_YES;
	}
	if (request->later)
		return send_later(request);
	answer_request(http, request, &answer);
	if (request->later)
		return MHD_YES;
	return send_answer(connection, &answer);
}

static void on_completed(void *cls, struct MHD_Connection *connection,
			 void **state, enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *state;

	(void)cls;
	(void)connection;
	(void)code;
	if (request) {
		leave_later(request);
		free(request->body);
	}
	free(request);
	*state = NULL;
}

/* ---- listening ---- */

static int bind_socket(int fd, const struct sockaddr *addr, socklen_t len)
{
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, addr, len) != 0 || listen(fd, 64) != 0)
		return errno == EADDRINUSE ? ERR_EXISTS
		       : errno == EACCES   ? ERR_DENIED
					   : ERR_IO;
	return 0;
}

static int listen_unix(struct http *http, const char *path, int *out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return ERR_RANGE;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	/* A socket left behind by a process that was killed. */
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	err = bind_socket(fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (!err && chmod(path, 0600) != 0)
		err = ERR_IO;
	http->unix_path = strdup(path);
	if (!http->unix_path)
		err = ERR_NOMEM;
	if (err)
		(void)close(fd);
	else
		*out = fd;
	return err;
}

static int listen_inet(struct http *http, const char *text, int *out)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd, err;

	err = address_decode(text, &addr, &len);
	if (err)
		return err;
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	err = bind_socket(fd, (const struct sockaddr *)&addr, len);
	if (!err && getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		err = ERR_IO;
	if (err) {
		(void)close(fd);
		return err;
	}
	http->port = ntohs(addr.ss_family == AF_INET6
				   ? ((struct sockaddr_in6 *)&addr)->sin6_port
				   : ((struct sockaddr_in *)&addr)->sin_port);
	*out = fd;
	return 0;
}

static int open_listener(struct http *http, const char *listen, int *fd)
{
	if (strncmp(listen, "unix:", 5) == 0)
		return listen_unix(http, listen + 5, fd);
	return listen_inet(http, listen, fd);
}

static int start_daemon(struct http *http, int fd)
{
	const struct http_config *config = &http->config;
	/* All come from the proxy's address. */
	unsigned per_ip_max = config->trusted_count ? 0 : config->per_ip_max;
	unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_ALLOW_SUSPEND_RESUME;

	http->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		config->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		per_ip_max, MHD_OPTION_CONNECTION_TIMEOUT, config->timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32u << 10),
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
	return http->daemon ? 0 : ERR_IO;
}

int http_start(const struct http_config *config, struct http **out, char *why,
	       size_t why_size)
{
	struct http *http = calloc(1, sizeof(*http));
	int fd = -1;
	int err;

	if (!http)
		return ERR_NOMEM;
	(void)pthread_mutex_init(&http->lock, NULL);
	http->refs = 1;
	http->config = *config;
	if (config->hosts) {
		http->hosts = strdup(config->hosts);
		http->config.hosts = http->hosts;
	}
	err = open_listener(http, config->listen, &fd);
	if (!err)
		err = start_daemon(http, fd);
	if (err) {
		(void)snprintf(why, why_size, "cannot serve HTTP on %s: %s%s",
			       config->listen, err_str(err),
			       err == ERR_SYNTAX
				       ? " (wanted: ADDR:PORT or unix:PATH)"
				       : "");
		if (fd >= 0)
			(void)close(fd);
		goto out;
	}
	*out = http;
	http = NULL;
out:
	http_stop(http);
	return err;
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	wake_laters(http);
	if (http->daemon) {
		wait_for_laters(http);
		MHD_stop_daemon(http->daemon);
	}
	if (http->unix_path)
		(void)unlink(http->unix_path);
	free(http->unix_path);
	free(http->hosts);
	(void)pthread_mutex_lock(&http->lock);
	unref_unlock(http);
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}
