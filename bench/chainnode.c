#include "bench/chainnode.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/bytes.h"
#include "core/clock.h"

#define STOP_WAIT_MS 2000
#define ROOM         4096 /* of one answer */
#define TOKEN_BYTE   0x74
#define PAYEE_BYTE   0x90
#define FINAL_LAG    20

void chainnode_tx(const uint8_t payer[static ADDRESS_SIZE], uint32_t block,
		  uint32_t value, uint32_t number, uint8_t out[static TX_SIZE])
{
	memcpy(out, payer, ADDRESS_SIZE);
	be32_store(out + 20, block);
	be32_store(out + 24, value);
	be32_store(out + 28, number);
}

/* ---- the process's side: text ---- */

struct buffer {
	char *at;
	size_t len, size;
};

/* The process is ours alone and ends with its parent. */
static void grow(struct buffer *buffer, size_t room)
{
	if (buffer->size - buffer->len >= room)
		return;
	buffer->size = buffer->size * 2 + room;
	buffer->at = realloc(buffer->at, buffer->size);
	if (!buffer->at)
		abort();
}

static void put(struct buffer *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out->at + out->len, text, len);
	out->len += len;
}

static void put_hex(struct buffer *out, const uint8_t *bytes, size_t len)
{
	hex_encode(bytes, len, out->at + out->len);
	out->len += 2 * len;
}

static void put_number(struct buffer *out, uint64_t value)
{
	int len = snprintf(out->at + out->len, 24, "\"0x%" PRIx64 "\"", value);

	out->len += (size_t)len;
}

/* ---- blocks ---- */

static void block_hash(const struct chainnode_knobs *knobs, uint64_t number,
		       uint8_t out[static 32])
{
	memset(out, 0xb1, 32);
	be64_store(out, number + 1);
	out[31] = number >= atomic_load(&knobs->fork_from);
}

static void put_block(struct buffer *out, const struct chainnode_knobs *knobs,
		      uint64_t number)
{
	uint8_t hash[32], parent[32] = {0};

	if (number > atomic_load(&knobs->head)) {
		put(out, "null");
		return;
	}
	block_hash(knobs, number, hash);
	if (number > 0)
		block_hash(knobs, number - 1, parent);
	put(out, "{\"number\":");
	put_number(out, number);
	put(out, ",\"hash\":\"0x");
	put_hex(out, hash, 32);
	put(out, "\",\"parentHash\":\"0x");
	put_hex(out, parent, 32);
	put(out, "\",\"timestamp\":");
	put_number(out, atomic_load(&knobs->time0_s) + number);
	put(out, ",\"transactions\":[]}");
}

static void put_tagged(struct buffer *out, const struct chainnode_knobs *knobs,
		       const char *tag)
{
	uint64_t head = atomic_load(&knobs->head);
	uint64_t lag = atomic_load(&knobs->final_lag);

	if (strncmp(tag, "latest", 6) == 0)
		put_block(out, knobs, head);
	else
		put_block(out, knobs, head > lag ? head - lag : 0);
}

/* ---- transactions ---- */

/* The block it is in; false: in none. */
static bool find(const struct chainnode_knobs *knobs, const uint8_t *tx,
		 uint64_t *block)
{
	*block = be32_load(tx + 20);
	if (*block >= atomic_load(&knobs->fork_from) &&
	    *block <= atomic_load(&knobs->moved_to))
		++*block;
	return !atomic_load(&knobs->is_blind) &&
	       *block <= atomic_load(&knobs->head);
}

static void put_place(struct buffer *out, const struct chainnode_knobs *knobs,
		      const uint8_t *tx, uint64_t block, const char *name)
{
	uint8_t hash[32];

	block_hash(knobs, block, hash);
	put(out, name);
	put_hex(out, tx, TX_SIZE);
	put(out, "\",\"blockHash\":\"0x");
	put_hex(out, hash, 32);
	put(out, "\",\"blockNumber\":");
	put_number(out, block);
}

static void put_word(struct buffer *out, const uint8_t *address)
{
	put(out, "\"0x000000000000000000000000");
	put_hex(out, address, ADDRESS_SIZE);
	put(out, "\"");
}

static void put_receipt(struct buffer *out, const struct chainnode_knobs *knobs,
			const uint8_t *tx)
{
	uint8_t token[ADDRESS_SIZE], payee[ADDRESS_SIZE];
	uint64_t block;

	if (!find(knobs, tx, &block)) {
		put(out, "null");
		return;
	}
	memset(token, TOKEN_BYTE, sizeof(token));
	memset(payee, PAYEE_BYTE, sizeof(payee));
	put_place(out, knobs, tx, block, "{\"transactionHash\":\"0x");
	put(out, ",\"status\":\"0x1\",\"type\":\"0x2\",\"gasUsed\":"
		 "\"0x19000\",\"logs\":[{\"address\":\"0x");
	put_hex(out, token, ADDRESS_SIZE);
	put(out, "\",\"topics\":[\"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163"
		 "c4a11628f55a4df523b3ef\",");
	put_word(out, tx);
	put(out, ",");
	put_word(out, payee);
	put(out, "],\"data\":\"0x00000000000000000000000000000000000000000000"
		 "000000000000");
	put_hex(out, tx + 24, 4);
	put(out, "\",\"logIndex\":\"0x7\",\"removed\":false}]}");
}

static void put_tx(struct buffer *out, const struct chainnode_knobs *knobs,
		   const uint8_t *tx)
{
	uint64_t block;

	if (!find(knobs, tx, &block)) {
		put(out, "null");
		return;
	}
	put_place(out, knobs, tx, block, "{\"hash\":\"0x");
	put(out, ",\"from\":\"0x");
	put_hex(out, tx, ADDRESS_SIZE);
	put(out, "\",\"nonce\":");
	put_number(out, be32_load(tx + 28));
	put(out, ",\"to\":null}");
}

/* ---- one question ---- */

/* decimals() and symbol(), by the selector in the call's data. */
static void put_call(struct buffer *out, const char *params)
{
	if (strstr(params, "0x313ce567"))
		out->len += (size_t)snprintf(out->at + out->len, ROOM / 2,
					     "\"0x%064x\"", 18);
	else
		out->len += (size_t)snprintf(out->at + out->len, ROOM / 2,
					     "\"0x%064x%064x%s%058x\"", 32, 3,
					     "534e54", 0);
}

static void put_result(struct buffer *out, const struct chainnode_knobs *knobs,
		       const char *method, const char *params)
{
	uint8_t hash[TX_SIZE] = {0};

	/* The first of them, a text: ["... */
	if (strlen(params) > 68 && params[68] == '"')
		(void)hex_decode(params + 4, 64, hash, sizeof(hash));
	if (strncmp(method, "eth_getTransactionR", 19) == 0)
		put_receipt(out, knobs, hash);
	else if (strncmp(method, "eth_getTransactionB", 19) == 0)
		put_tx(out, knobs, hash);
	else if (strncmp(method, "eth_getTransactionC", 19) == 0)
		put(out, "\"0x0\"");
	else if (strncmp(method, "eth_getBlock", 12) == 0 && params[2] == '0')
		put_block(out, knobs, strtoull(params + 4, NULL, 16));
	else if (strncmp(method, "eth_getBlock", 12) == 0)
		put_tagged(out, knobs, params + 2);
	else if (strncmp(method, "eth_chainId", 11) == 0)
		put_number(out, CHAINNODE_ID);
	else if (strncmp(method, "eth_syncing", 11) == 0)
		put(out, "false");
	else if (strncmp(method, "eth_call", 8) == 0)
		put_call(out, params);
	else
		put(out, "\"0x6000\"");
}

/* The items of the last second, by the milliseconds that it touches. */
#define SPAN_MS 1001u

static struct {
	pthread_mutex_t lock;
	uint64_t now_ms;
	uint64_t sum;
	uint64_t items[SPAN_MS]; /* by ms % SPAN_MS */
} lately = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget_until(uint64_t now_ms)
{
	if (lately.now_ms + SPAN_MS < now_ms)
		lately.now_ms = now_ms - SPAN_MS;
	while (lately.now_ms < now_ms) {
		uint64_t *oldest = &lately.items[++lately.now_ms % SPAN_MS];

		lately.sum -= *oldest;
		*oldest = 0;
	}
}

/* All of a body have come now. */
static void count_items(struct chainnode_knobs *knobs, unsigned count)
{
	atomic_fetch_add(&knobs->items, count);
	(void)pthread_mutex_lock(&lately.lock);
	forget_until(clock_mono_ms());
	lately.items[lately.now_ms % SPAN_MS] += count;
	lately.sum += count;
	if (lately.sum > atomic_load(&knobs->peak_items))
		atomic_store(&knobs->peak_items, lately.sum);
	(void)pthread_mutex_unlock(&lately.lock);
}

/* What asks is ours: members come in its order, and nothing is nested but
 * params. */
static const char id_key[] = "\"id\":";

static unsigned items_of(const char *body)
{
	unsigned count = 0;

	while ((body = strstr(body, id_key))) {
		body += sizeof(id_key) - 1;
		count++;
	}
	return count;
}

static void answer(struct buffer *out, const struct chainnode_knobs *knobs,
		   const char *body)
{
	static const char method_key[] = "\"method\":\"",
			  params_key[] = "\"params\":";
	bool is_batch = *body == '[';
	bool has_some = false;
	const char *at = body;

	grow(out, ROOM);
	put(out, is_batch ? "[" : "");
	while ((at = strstr(at, id_key))) {
		const char *method = strstr(at, method_key);
		const char *params = method ? strstr(method, params_key) : NULL;

		if (!params)
			break;
		grow(out, ROOM);
		out->len += (size_t)snprintf(
			out->at + out->len, 96,
			"%s{\"jsonrpc\":\"2.0\",\"id\":%lu,\"result\":",
			has_some ? "," : "",
			strtoul(at + sizeof(id_key) - 1, NULL, 10));
		put_result(out, knobs, method + sizeof(method_key) - 1,
			   params + sizeof(params_key) - 1);
		put(out, "}");
		has_some = true;
		at = params;
	}
	put(out, is_batch ? "]" : "");
}

/* ---- HTTP ---- */

struct connection {
	struct chainnode_knobs *knobs;
	int fd;
};

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		len -= (size_t)sent;
	}
	return true;
}

static bool serve_body(const struct connection *c, const char *body,
		       struct buffer *out)
{
	unsigned delay_ms = atomic_load(&c->knobs->delay_ms);
	const size_t head = 128;
	char text[128];
	int len;

	if (atomic_load(&c->knobs->is_away))
		return false;
	atomic_fetch_add(&c->knobs->bodies, 1);
	count_items(c->knobs, items_of(body));
	if (delay_ms)
		bench_sleep_ms(delay_ms);
	out->len = 0;
	grow(out, head);
	out->len = head;
	answer(out, c->knobs, body);
	len = snprintf(text, sizeof(text),
		       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\n\r\n",
		       out->len - head);
	memcpy(out->at + head - len, text, (size_t)len);
	return send_all(c->fd, out->at + head - len,
			out->len - head + (size_t)len);
}

static bool read_more(int fd, struct buffer *in)
{
	ssize_t got;

	grow(in, 1u << 16);
	got = recv(fd, in->at + in->len, in->size - in->len - 1, 0);
	if (got <= 0)
		return false;
	in->len += (size_t)got;
	in->at[in->len] = 0;
	return true;
}

/* 0: not all there yet. */
static size_t whole_size(const struct buffer *in, size_t *body_at)
{
	const char *end = in->len ? strstr(in->at, "\r\n\r\n") : NULL;
	const char *length =
		in->len ? strcasestr(in->at, "content-length:") : NULL;
	size_t size;

	if (!end || !length)
		return 0;
	*body_at = (size_t)(end - in->at) + 4;
	size = *body_at + strtoul(length + 15, NULL, 10);
	return in->len >= size ? size : 0;
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct buffer in = {0}, out = {0};
	bool is_good = true;

	while (is_good) {
		size_t body_at = 0;
		size_t size = whole_size(&in, &body_at);

		if (size == 0) {
			is_good = read_more(c->fd, &in);
			continue;
		}
		is_good = serve_body(c, in.at + body_at, &out);
		memmove(in.at, in.at + size, in.len - size + 1);
		in.len -= size;
	}
	(void)close(c->fd);
	free(in.at);
	free(out.at);
	free(c);
	return NULL;
}

static void *tick(void *arg)
{
	struct chainnode_knobs *knobs = arg;
	uint64_t at_ms = clock_mono_ms();

	for (;;) {
		unsigned block_ms = atomic_load(&knobs->block_ms);

		bench_sleep_ms(10);
		if (!block_ms || clock_mono_ms() - at_ms < block_ms)
			continue;
		at_ms += block_ms;
		atomic_fetch_add(&knobs->head, 1);
	}
	return NULL;
}

static _Noreturn void run_process(struct chainnode_knobs *knobs, int listener)
{
	pthread_t thread;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_IGN);
	if (pthread_create(&thread, NULL, tick, knobs))
		_exit(1);
	for (;;) {
		struct connection *c = malloc(sizeof(*c));
		int on = 1;

		if (!c)
			_exit(1);
		*c = (struct connection){.knobs = knobs,
					 .fd = accept(listener, NULL, NULL)};
		if (c->fd < 0)
			_exit(1);
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on,
				 sizeof(on));
		if (pthread_create(&thread, NULL, serve, c))
			_exit(1);
		(void)pthread_detach(thread);
	}
}

/* ---- our side ---- */

static int listen_on_any(uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(fd, 64) || getsockname(fd, (struct sockaddr *)&at, &len))
		bench_fail("no port for the chain's node");
	*port = ntohs(at.sin_port);
	return fd;
}

static void kill_it(void *ctx)
{
	const struct chainnode *node = ctx;

	bench_stop(node->pid, STOP_WAIT_MS);
}

void chainnode_reset(struct chainnode *node)
{
	struct chainnode_knobs *knobs = node->knobs;

	atomic_store(&knobs->final_lag, FINAL_LAG);
	atomic_store(&knobs->block_ms, 1000);
	atomic_store(&knobs->delay_ms, 0);
	atomic_store(&knobs->is_away, false);
	atomic_store(&knobs->is_blind, false);
	atomic_store(&knobs->fork_from, UINT64_MAX);
	atomic_store(&knobs->moved_to, 0);
	atomic_store(&knobs->peak_items, 0);
}

void chainnode_start(struct chainnode *node, uint64_t head)
{
	uint16_t port;
	int listener = listen_on_any(&port);

	memset(node, 0, sizeof(*node));
	node->knobs = mmap(NULL, sizeof(*node->knobs), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (node->knobs == MAP_FAILED)
		bench_fail("no memory for the chain's node");
	memset(node->token, TOKEN_BYTE, sizeof(node->token));
	memset(node->payee, PAYEE_BYTE, sizeof(node->payee));
	chainnode_reset(node);
	atomic_store(&node->knobs->head, head);
	atomic_store(&node->knobs->time0_s, clock_wall_s() - head);
	(void)snprintf(node->url, sizeof(node->url), "http://127.0.0.1:%u",
		       port);
	(void)fflush(NULL);
	node->pid = fork();
	if (node->pid == 0)
		run_process(node->knobs, listener);
	(void)close(listener);
	if (node->pid < 0)
		bench_fail("the chain's node cannot be started");
	bench_at_end(kill_it, node);
}

void chainnode_stop(struct chainnode *node)
{
	bench_not_at_end(kill_it, node);
	bench_stop(node->pid, STOP_WAIT_MS);
	(void)munmap(node->knobs, sizeof(*node->knobs));
	memset(node, 0, sizeof(*node));
}
