/*
 * Offers and claims over HTTP with a payments facade of the test's own: claims
 * are answered by another thread, some after the listener has stopped; many at
 * once; waiting questions keep no thread; each code has its status.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "auth/claim_json.h"
#include "core/bytes.h"
#include "core/err.h"
#include "net/forwarded.h"
#include "net/pay_http.h"

#define CLIENTS 24
#define HELD    4

/* ---- the facade: answers from a thread of its own ---- */

struct held {
	intake_done_fn done;
	void (*changed)(void *ctx);
	void *ctx;
};
static struct payments {
	pthread_mutex_t lock;
	enum intake code;
	struct held held[256];
	unsigned held_count;
	bool has_next;
	bool is_slow; /* keep what is asked until flush() */
	atomic_uint rev;
	struct source source;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .rev = 1};

int payments_next_offer(struct payments *p, uint8_t out[static OFFER_SIZE_MAX],
			size_t *len, uint8_t hash[static 32])
{
	return p->has_next ? payments_offer(p, out, len, hash) : ERR_NOTFOUND;
}

int payments_offer(struct payments *p, uint8_t out[static OFFER_SIZE_MAX],
		   size_t *len, uint8_t hash[static 32])
{
	struct offer offer = {.sequence = 1,
			      .not_before_s = 1,
			      .not_after_s = 2,
			      .flags = OFFER_FREE_NOW};
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 1};
	struct secp_key key;

	(void)p;
	(void)secp_key_from_private(private, &key);
	memcpy(offer.server, key.public, sizeof(offer.server));
	return offer_sign(&offer, &key, out, len, hash);
}

static void *answer_soon(void *arg)
{
	struct held *held = arg;
	struct intake_answer answer = {.code = fake.code,
				       .is_new = true,
				       .rev = 1,
				       .state = CLAIM_RECEIVED,
				       .retry_after_s = 4};

	(void)usleep(2000);
	held->done(held->ctx, &answer);
	free(held);
	return NULL;
}

static void start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	assert(pthread_create(&thread, NULL, run, arg) == 0);
	assert(pthread_detach(thread) == 0);
}

void payments_submit(struct payments *p, const struct claim *claim,
		     const struct source *source, intake_done_fn done,
		     void *ctx)
{
	struct held one = {.done = done, .ctx = ctx};
	struct held *soon;

	assert(claim->proof_size == 65);
	(void)pthread_mutex_lock(&p->lock);
	p->source = *source;
	if (p->is_slow)
		p->held[p->held_count++] = one;
	(void)pthread_mutex_unlock(&p->lock);
	if (p->is_slow)
		return;
	if (p->code == INTAKE_BAD_PROOF) { /* a refusal comes at once */
		struct intake_answer answer = {.code = p->code};

		done(ctx, &answer);
		return;
	}
	soon = malloc(sizeof(*soon));
	assert(soon);
	*soon = one;
	start(answer_soon, soon);
}

enum intake payments_status(struct payments *p,
			    const uint8_t id[static CLAIM_ID_SIZE],
			    const struct source *source,
			    struct claim_status *out)
{
	(void)source;
	if (id[0] != 0xab)
		return INTAKE_UNKNOWN_CLAIM;
	*out = (struct claim_status){.rev = atomic_load(&p->rev),
				     .state = CLAIM_PENDING};
	memcpy(out->claim_id, id, CLAIM_ID_SIZE);
	return INTAKE_OK;
}

int payments_wait(struct payments *p, const uint8_t id[static CLAIM_ID_SIZE],
		  uint32_t rev, unsigned wait_s, void (*changed)(void *ctx),
		  void *ctx)
{
	(void)id;
	(void)rev;
	assert(wait_s <= PAY_HTTP_WAIT_MAX_S);
	(void)pthread_mutex_lock(&p->lock);
	p->held[p->held_count++] =
		(struct held){.changed = changed, .ctx = ctx};
	(void)pthread_mutex_unlock(&p->lock);
	return 0;
}

static unsigned held_count(void)
{
	unsigned count;

	(void)pthread_mutex_lock(&fake.lock);
	count = fake.held_count;
	(void)pthread_mutex_unlock(&fake.lock);
	return count;
}

static void flush(void)
{
	struct intake_answer answer = {
		.code = INTAKE_OK, .is_new = true, .state = CLAIM_RECEIVED};

	for (unsigned i = 0; i < held_count(); i++) {
		if (fake.held[i].changed)
			fake.held[i].changed(fake.held[i].ctx);
		else
			fake.held[i].done(fake.held[i].ctx, &answer);
	}
	fake.held_count = 0;
}

/* ---- a client ---- */

static uint16_t port;

static int dial(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert(fd >= 0);
	assert(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

static void say(int fd, const char *head, const char *body)
{
	char *text = malloc(strlen(head) + strlen(body) + 256);
	int len;

	assert(text);
	len = sprintf(text,
		      "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		      "Content-Length: %zu\r\n\r\n%s",
		      head, strlen(body), body);
	assert(send(fd, text, (size_t)len, MSG_NOSIGNAL) == len);
	free(text);
}

/* Everything until the end; the status. */
static unsigned hear(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 &&
	       (n = recv(fd, out + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	(void)close(fd);
	return len > 12 ? (unsigned)atoi(out + 9) : 0;
}

static char claim_body_text[1024];
static char answer_text[16384];

static unsigned ask(const char *head, const char *body)
{
	int fd = dial();

	say(fd, head, body);
	return hear(fd, answer_text, sizeof(answer_text));
}

static bool said(const char *text)
{
	return strstr(answer_text, text) != NULL;
}

/* ---- what is tested ---- */

static void *file_some(void *arg)
{
	char *out = malloc(4096);

	(void)arg;
	assert(out);
	for (int i = 0; i < 20; i++) {
		int fd = dial();

		say(fd, "POST /v1/claims", claim_body_text);
		assert(hear(fd, out, 4096) == 202);
		assert(strstr(out, "\"state\":\"received\""));
	}
	free(out);
	return NULL;
}

static void test_many_at_once(void)
{
	pthread_t threads[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		assert(pthread_create(&threads[i], NULL, file_some, NULL) == 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert(pthread_join(threads[i], NULL) == 0);
	assert(fake.source.len == 4 && fake.source.bytes[0] == 127);
}

static void test_codes(void)
{
	static char big[9000];

	for (enum intake code = INTAKE_BAD_FORMAT; code <= INTAKE_STOPPING;
	     code++) {
		fake.code = code;
		assert(ask("POST /v1/claims", claim_body_text) ==
		       intake_http(code));
		assert(said(intake_str(code)));
		assert(said("application/json"));
		assert(said("Retry-After: 4") == (code >= INTAKE_RATE_LIMITED));
	}
	fake.code = INTAKE_OK;
	assert(ask("POST /v1/claims", "{}") == 400 && said("bad_format"));
	memset(big, ' ', sizeof(big) - 1);
	assert(ask("POST /v1/claims", big) == 413 && said("too_large"));
	assert(ask("POST /v1/claims", claim_body_text) == 202);
	assert(ask("PUT /v1/claims", "") == 405);
}

static void test_offer(void)
{
	char head[256];
	char *etag;

	assert(ask("GET /v1/offer", "") == 200 && said("\"offer\":\"0x"));
	etag = strstr(answer_text, "ETag: \"");
	assert(etag);
	(void)sprintf(head,
		      "GET /v1/offer HTTP/1.1\r\nIf-None-Match: %.66s\r\n"
		      "X-Rest:",
		      etag + 6);
	assert(ask(head, "") == 304);
	assert(ask("GET /v1/offer/next", "") == 404 && said("no_offer"));
	fake.has_next = true;
	assert(ask("GET /v1/offer/next", "") == 200 && said("\"offer\":\"0x"));
	fake.has_next = false;
}

#define ID "ab000000000000000000000000000000"

static void test_questions(void)
{
	int fd;

	assert(ask("GET /v1/claims/" ID, "") == 200 && said("\"pending\""));
	assert(ask("GET /v1/claims/00" ID, "") == 404 && said("unknown_claim"));
	assert(ask("GET /v1/claims/", "") == 404);
	assert(ask("GET /v1/claims/" ID "?wait=31", "") == 400);
	assert(ask("GET /v1/claims/" ID "?wait=x", "") == 400);
	assert(ask("GET /v1/claims/" ID "?wait=5&rev=9", "") == 200);
	/* Waiting holds nobody else up. */
	fd = dial();
	say(fd, "GET /v1/claims/" ID "?wait=30&rev=1", "");
	while (held_count() < 1)
		(void)usleep(1000);
	assert(ask("GET /v1/claims/" ID, "") == 200);
	atomic_store(&fake.rev, 2);
	flush();
	assert(hear(fd, answer_text, sizeof(answer_text)) == 200);
	assert(said("\"rev\":2"));
}

/* What is under way when the listener stops is told so, and leaks nothing. */
static void test_stop(struct http *http)
{
	int fds[2 * HELD];

	fake.is_slow = true;
	for (unsigned i = 0; i < HELD; i++) {
		fds[2 * i] = dial();
		say(fds[2 * i], "POST /v1/claims", claim_body_text);
		fds[2 * i + 1] = dial();
		say(fds[2 * i + 1], "GET /v1/claims/" ID "?wait=30&rev=2", "");
	}
	while (held_count() < 2 * HELD)
		(void)usleep(1000);
	http_stop(http);
	for (unsigned i = 0; i < 2 * HELD; i++)
		(void)close(fds[i]);
	flush();
}

static void make_claim(void)
{
	uint8_t proof[65] = {1};
	struct claim claim = {.scheme = CLAIM_SIGNATURE,
			      .chain_id = 1,
			      .proof = proof,
			      .proof_size = sizeof(proof)};
	char *text = claim_json_encode(&claim);

	assert(text && strlen(text) < sizeof(claim_body_text));
	memcpy(claim_body_text, text, strlen(text) + 1);
	free(text);
}

static void test_source(void)
{
	struct source a, b;

	pay_http_source("2001:db8:1:2:3::9", &a);
	pay_http_source("2001:db8:1:2::1", &b);
	assert(a.len == 8 && memcmp(&a, &b, sizeof(a)) == 0);
	pay_http_source("::ffff:10.1.2.3", &a);
	pay_http_source("10.1.2.3", &b);
	assert(a.len == 4 && memcmp(&a, &b, sizeof(a)) == 0);
	pay_http_source("unix", &a);
	assert(a.len == 4 && a.bytes[0] == 0);
}

/* Who is believed to have asked: the one that our own proxy names last. */
static void test_proxied(struct http_config config, bool is_proxied,
			 const char *wanted)
{
	struct ip_range loopback;
	struct source source;
	struct http *http;
	char why[256];

	if (is_proxied) {
		assert(ip_range_decode("127.0.0.0/8", &loopback) == 0);
		config.trusted = &loopback;
		config.trusted_count = 1;
	}
	assert(http_start(&config, &http, why, sizeof(why)) == 0);
	port = http_port(http);
	assert(ask("POST /v1/claims HTTP/1.1\r\nX-Forwarded-For: 10.9.9.9\r\n"
		   "X-Forwarded-For: 10.8.8.8, 203.0.113.5\r\nX-Rest:",
		   claim_body_text) == 202);
	pay_http_source(wanted, &source);
	assert(memcmp(&source, &fake.source, sizeof(source)) == 0);
	http_stop(http);
}

int main(void)
{
	struct http_route routes[PAY_HTTP_ROUTES + 1] = {{0}};
	struct http_config config;
	struct http *http;
	char why[256];

	make_claim();
	test_source();
	pay_http_routes(&fake, routes);
	http_config_default(&config);
	config.listen = "127.0.0.1:0";
	config.routes = routes;
	test_proxied(config, false, "127.0.0.1");
	test_proxied(config, true, "203.0.113.5");
	assert(http_start(&config, &http, why, sizeof(why)) == 0);
	port = http_port(http);
	test_many_at_once();
	test_codes();
	test_offer();
	test_questions();
	test_stop(http);
	return 0;
}
