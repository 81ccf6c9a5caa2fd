#ifndef NET_HTTP_H
#define NET_HTTP_H
/*
 * A small HTTP server: a table of routes behind limits of time, size and
 * number, with checks of Host and Origin so that a web page of somebody else
 * cannot speak to a listener on the reader's own machine.
 *
 * Thread: handlers run on the server's own thread and must not wait long;
 * start and stop from one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;
struct http_request;
struct http_later;
struct ip_range;

#define HTTP_ETAG_MAX 72

/* What a handler answers. `body` is malloc'ed and taken over; NULL is empty. */
struct http_answer {
	unsigned status;
	const char *type; /* content type, a literal */
	char *body;
	size_t size;
	bool is_private;          /* not to be cached */
	unsigned retry_after_s;   /* told when not 0 */
	char etag[HTTP_ETAG_MAX]; /* without its quotes; "": none */
};

typedef void (*http_handler_fn)(void *ctx, const struct http_request *request,
				struct http_answer *answer);

struct http_route {
	const char *method; /* "GET" (HEAD is served too), "POST", ...; NULL
			       ends the table */
	const char *path;   /* whole, or a prefix when it ends in '/' and more
			       follows */
	http_handler_fn handler;
	void *ctx;
};

struct http_config {
	const char *listen; /* "ADDR:PORT", "[ADDR]:PORT" or "unix:PATH" */
	const struct http_route *routes; /* borrowed until http_stop() */
	/*
	 * Host names answered to, comma-separated, beside addresses and
	 * localhost; NULL: none. "*": any, behind a proxy that checks.
	 */
	const char *hosts;
	size_t body_max;
	unsigned connections_max;
	unsigned per_ip_max; /* connections; 0, or with `trusted`: no bound */
	/*
	 * Proxies whose X-Forwarded-For is believed, for http_peer(): borrowed
	 * until http_stop().
	 */
	const struct ip_range *trusted;
	size_t trusted_count;
	bool is_unix_trusted; /* whoever comes through a unix socket is one */
	unsigned timeout_s;   /* without progress */
};

/* 16 KiB bodies, 64 connections, 10 s. */
void http_config_default(struct http_config *config);
/* 0, or an error with a sentence in `why`. */
int http_start(const struct http_config *config, struct http **out, char *why,
	       size_t why_size);
/* Answers under way are cut, waiting ones answered with 503. NULL is fine. */
void http_stop(struct http *http);
uint16_t http_port(const struct http *http); /* really bound; 0 for unix */

/* Of a request, all borrowed for the handler's call; NULL: not there. */
const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);
const char *http_header(const struct http_request *request, const char *name);
const char *http_query(const struct http_request *request, const char *name);
const char *http_body(const struct http_request *request, size_t *size);
/* The caller's address as text, for limits and logs, behind proxies as far as
 * they are trusted; "unix" for a socket. IPv4 is never written as IPv6. */
void http_peer(const struct http_request *request, char *out, size_t size);

/* Answer with a copy of a text; out of memory becomes 500 without a body. */
void http_answer_text(struct http_answer *answer, unsigned status,
		      const char *type, const char *text);

/*
 * Answer later instead: what the handler leaves in its answer is not looked
 * at, and the connection waits without a thread. NULL: no memory; answer now.
 */
struct http_later *http_answer_later(const struct http_request *request);
/*
 * Any thread, once for each, before or after the handler has returned; the
 * body is taken over. If the peer has gone or the server has stopped
 * meanwhile, it goes nowhere. The server's struct outlives its last one.
 */
void http_later_answer(struct http_later *later, struct http_answer *answer);

/* Is this Host header one that is answered to? For tests. */
bool http_is_host_known(const char *host, const char *hosts);

#endif
