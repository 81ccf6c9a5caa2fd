#include "tests/support/fake_node.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"

#define CONNECTIONS_MAX 256
#define ARRIVALS_MAX    1024 /* bodies of a second that are counted */
#define TX_MARK         0x7e570000u

const uint8_t fake_token[20] = {0x74, 0x4d, 0x70, 0xfd, 0xbe, 0x2b, 0xa4,
				0xcf, 0x95, 0x13, 0x16, 0x26, 0x61, 0x4a,
				0x17, 0x63, 0xdf, 0x80, 0x5b, 0x9e};
const uint8_t fake_payee[20] = {0x90, 0xf7, 0x9b, 0xf6, 0xeb, 0x2c, 0x4f,
				0x87, 0x03, 0x65, 0xe7, 0x85, 0x98, 0x2e,
				0x1f, 0x10, 0x1e, 0x93, 0xb9, 0x06};
const uint8_t fake_payer[20] = {0x70, 0x99, 0x79, 0x70, 0xc5, 0x18, 0x12,
				0xdc, 0x3a, 0x01, 0x0c, 0x7d, 0x01, 0xb5,
				0x0e, 0x0d, 0x17, 0xdc, 0x79, 0xc8};

struct connection {
	struct fake_server *server;
	pthread_t thread;
	int fd;
};

struct arrival {
	uint64_t at_ns;
	unsigned count;
};

struct fake_server {
	struct fake_node *node;
	int fd;
	char url[64];
	pthread_t thread;
	atomic_bool stopping;
	struct connection connections[CONNECTIONS_MAX];
	atomic_uint connections_count;
	pthread_mutex_t lock;
	struct arrival arrivals[ARRIVALS_MAX];
	unsigned arrivals_count;
};

/* ---- text ---- */

struct out {
	char *at;
	size_t len, size;
};

static void put(struct out *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct out *out, const char *format, ...)
{
	va_list args;
	int len;

	if (out->size - out->len < 4096) {
		out->size = out->size * 2 + 8192;
		out->at = realloc(out->at, out->size);
		assert(out->at);
	}
	va_start(args, format);
	len = vsnprintf(out->at + out->len, out->size - out->len, format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < out->size - out->len);
	out->len += (size_t)len;
}

static const char *hex(const uint8_t *bytes, size_t len, char *text)
{
	hex_encode(bytes, len, text);
	return text;
}

/* ---- the chain ---- */

void fake_tx(uint64_t block, uint64_t value, uint64_t seq, unsigned flags,
	     uint8_t out[static 32])
{
	be32_store(out, TX_MARK);
	be32_store(out + 4, flags);
	be64_store(out + 8, block);
	be64_store(out + 16, value);
	be64_store(out + 24, seq);
}

void fake_block_hash(const struct fake_node *node, uint64_t number,
		     uint8_t out[static 32])
{
	bool is_forked = number >= atomic_load(&node->fork_from) &&
			 number < atomic_load(&node->fork_to);

	memset(out, 0xb1, 32);
	be64_store(out, number + 1);
	be64_store(out + 8, is_forked ? atomic_load(&node->fork) : 0);
}

uint64_t fake_time(uint64_t number)
{
	return 1767225600 + number;
}

struct fake_paid {
	bool is_known;
	uint64_t block, value, seq;
	unsigned flags;
};

static struct fake_paid look_up(const struct fake_node *node,
				const uint8_t tx[static 32])
{
	struct fake_paid paid = {.is_known = be32_load(tx) == TX_MARK,
				 .flags = be32_load(tx + 4),
				 .block = be64_load(tx + 8),
				 .value = be64_load(tx + 16),
				 .seq = be64_load(tx + 24)};

	if (paid.block >= atomic_load(&node->gone_from) &&
	    paid.block <= atomic_load(&node->gone_to)) {
		if (!atomic_load(&node->moved_by))
			paid.is_known = false;
		paid.block += atomic_load(&node->moved_by);
	}
	return paid;
}

static void put_receipt(struct out *out, const struct fake_node *node,
			int fault, const uint8_t *tx)
{
	struct fake_paid paid = look_up(node, tx);
	bool failed = (paid.flags & FAKE_FAILED) != 0;
	char text[8][80];
	uint8_t hash[32];

	if (!paid.is_known || paid.block > atomic_load(&node->head) ||
	    fault == FAKE_NULL_RECEIPTS) {
		put(out, "null");
		return;
	}
	if (fault == FAKE_LIE_VALUE)
		paid.value++;
	if (fault == FAKE_LIE_STATUS)
		failed = !failed;
	fake_block_hash(node, paid.block, hash);
	put(out,
	    "{\"transactionHash\":\"0x%s\",\"blockHash\":\"0x%s\","
	    "\"blockNumber\":\"0x%" PRIx64
	    "\",\"status\":\"0x%d\",\"blockTimestamp\":%" PRIu64
	    ",\"type\":\"0x2\",\"logs\":[",
	    hex(tx, 32, text[0]), hex(hash, 32, text[1]), paid.block, !failed,
	    fake_time(paid.block));
	if (!failed && !(paid.flags & FAKE_NO_LOG))
		put(out,
		    "{\"address\":\"0x%s\",\"topics\":[\"0xddf252ad1be2c89b69c2"
		    "b068fc378daa952ba7f163c4a11628f55a4df523b3ef\","
		    "\"0x000000000000000000000000%s\","
		    "\"0x000000000000000000000000%s\"],"
		    "\"data\":\"0x%064" PRIx64
		    "\",\"logIndex\":\"0x7\",\"removed\":false}",
		    hex(fake_token, 20, text[2]), hex(fake_payer, 20, text[3]),
		    hex(fake_payee, 20, text[4]), paid.value);
	put(out, "],\"extra\":\"");
	for (int i = 0; paid.flags & FAKE_LONG && i < 9 << 10; i++)
		put(out, "%01024d", 0);
	put(out, "\"}");
}

static void put_block(struct out *out, const struct fake_node *node, int fault,
		      uint64_t number)
{
	uint8_t hash[32];
	uint8_t parent[32];
	char text[2][80];

	if (number >
	    atomic_load(&node->head) + atomic_load(&node->extra_head)) {
		put(out, "null");
		return;
	}
	fake_block_hash(node, number, hash);
	fake_block_hash(node, number - 1, parent);
	if (number == 0)
		memset(parent, 0, 32);
	if (fault == FAKE_OTHER_BLOCK)
		hash[31]++;
	put(out,
	    "{\"number\":\"0x%" PRIx64
	    "\",\"hash\":\"0x%s\",\"parentHash\":\"0x%s\",\"timestamp\":"
	    "\"0x%" PRIx64 "\",\"transactions\":[]}",
	    number, hex(hash, 32, text[0]), hex(parent, 32, text[1]),
	    fake_time(number));
}

static void put_tagged(struct out *out, const struct fake_node *node, int fault,
		       const char *tag)
{
	uint64_t head = atomic_load(&node->head);
	uint64_t lag = atomic_load(&node->final_lag);

	if (strcmp(tag, "latest") == 0)
		put_block(out, node, fault,
			  head + atomic_load(&node->extra_head));
	else if (lag == UINT64_MAX)
		put(out, "null");
	else
		put_block(out, node, fault, head > lag ? head - lag : 0);
}

static void put_tx(struct out *out, const struct fake_node *node,
		   const uint8_t *tx)
{
	struct fake_paid paid = look_up(node, tx);
	bool is_mined = paid.block <= atomic_load(&node->head);
	uint8_t hash[32];
	char text[4][80];

	if (!paid.is_known || (!is_mined && !atomic_load(&node->in_pool))) {
		put(out, "null");
		return;
	}
	fake_block_hash(node, paid.block, hash);
	put(out, "{\"hash\":\"0x%s\",\"from\":\"0x%s\",\"to\":\"0x%s\",",
	    hex(tx, 32, text[0]),
	    hex(paid.flags & FAKE_RELAYED ? fake_payee : fake_payer, 20,
		text[1]),
	    hex(fake_token, 20, text[2]));
	put(out, "\"nonce\":\"0x%" PRIx64 "\",\"blockHash\":", paid.seq);
	if (is_mined)
		put(out, "\"0x%s\"}", hex(hash, 32, text[3]));
	else
		put(out, "null}");
}

static void put_call(struct out *out, struct fake_node *node, const char *data)
{
	if (strncmp(data, "0x1626ba7e", 10) == 0)
		atomic_fetch_add(&node->proofs, 1);
	if (strcmp(data, "0x313ce567") == 0)
		put(out, "\"result\":\"0x%064x\"", 18);
	else if (strcmp(data, "0x95d89b41") == 0)
		put(out, "\"result\":\"0x%064x%064x%s%058x\"", 32, 3, "534e54",
		    0);
	else if (atomic_load(&node->proof) == 1)
		put(out, "\"result\":\"0x1626ba7e%056x\"", 0);
	else if (atomic_load(&node->proof) == 0)
		put(out, "\"result\":\"0x\"");
	else
		put(out, "\"error\":{\"code\":3,\"message\":\"execution "
			 "reverted\",\"data\":\"0x\"}");
}

/* Is the state asked for that of a tag, or of a block that there is? */
static bool has_state(const struct fake_node *node, const json_t *where)
{
	const char *text =
		json_string_value(json_object_get(where, "blockHash"));
	uint8_t hash[32], own[32];
	uint64_t number;

	if (!text)
		return true;
	if (strlen(text) != 66 || hex_decode(text + 2, 64, hash, 32))
		return false;
	number = be64_load(hash) - 1;
	fake_block_hash(node, number, own);
	return number <= atomic_load(&node->head) && memcmp(own, hash, 32) == 0;
}

static void put_result(struct out *out, struct fake_node *node, int fault,
		       const char *method, const json_t *params)
{
	const char *first = json_string_value(json_array_get(params, 0));
	uint8_t hash[32] = {0};

	if (strcmp(method, "eth_call") == 0 &&
	    has_state(node, json_array_get(params, 1))) {
		put_call(out, node,
			 json_string_value(json_object_get(
				 json_array_get(params, 0), "data")));
		return;
	}
	if (strcmp(method, "eth_call") == 0 ||
	    (atomic_load(&node->no_receipts) &&
	     strcmp(method, "eth_getTransactionReceipt") == 0)) {
		put(out, "\"error\":{\"code\":-32000,\"message\":"
			 "\"header not found\"}");
		return;
	}
	put(out, "\"result\":");
	if (first && strlen(first) == 66)
		(void)hex_decode(first + 2, 64, hash, 32);
	if (strcmp(method, "eth_getTransactionReceipt") == 0) {
		atomic_fetch_add(&node->receipts, 1);
		put_receipt(out, node, fault, hash);
	} else if (strcmp(method, "eth_getBlockByNumber") == 0) {
		if (!first)
			put(out, "null");
		else if (first[0] == '0')
			put_block(out, node, fault,
				  strtoull(first + 2, NULL, 16));
		else
			put_tagged(out, node, fault, first);
	} else if (strcmp(method, "eth_getTransactionByHash") == 0) {
		put_tx(out, node, hash);
	} else if (strcmp(method, "eth_getTransactionCount") == 0) {
		put(out, "\"0x%" PRIx64 "\"", atomic_load(&node->nonce));
	} else if (strcmp(method, "eth_chainId") == 0) {
		put(out, "\"0x%" PRIx64 "\"", atomic_load(&node->chain_id));
	} else if (strcmp(method, "eth_syncing") == 0) {
		put(out, atomic_load(&node->syncing) ? "{\"a\":1}" : "false");
	} else {
		put(out, "\"0x6000\"");
	}
}

static void put_item(struct out *out, struct fake_node *node, int fault,
		     const json_t *item)
{
	json_int_t id = json_integer_value(json_object_get(item, "id"));

	atomic_fetch_add(&node->items, 1);
	put(out, "{\"jsonrpc\":\"2.0\",\"id\":%" JSON_INTEGER_FORMAT ",",
	    fault == FAKE_WRONG_ID ? id + 5000 : id);
	if (fault == FAKE_ERROR)
		put(out, "\"error\":{\"code\":%d,\"message\":\"%s\"}",
		    atomic_load(&node->error_code),
		    atomic_load(&node->error_message));
	else
		put_result(out, node, fault,
			   json_string_value(json_object_get(item, "method")),
			   json_object_get(item, "params"));
	put(out, "}");
}

static void put_array(struct out *out, struct fake_node *node, int fault,
		      const json_t *items)
{
	size_t count = json_array_size(items);

	put(out, "[");
	for (size_t i = 0; i < count; i++) {
		size_t at = fault == FAKE_REORDERED ? count - 1 - i : i;

		if (fault == FAKE_MISSING && i == count - 1)
			break;
		put(out, i ? "," : "");
		put_item(out, node, fault, json_array_get(items, at));
	}
	if (fault == FAKE_ID_TWICE) {
		put(out, ",");
		put_item(out, node, fault, json_array_get(items, 0));
	}
	put(out, "]");
}

static void put_body(struct out *out, struct fake_node *node, int fault,
		     const json_t *question)
{
	if (fault == FAKE_NOT_JSON) {
		put(out, "<html>bad gateway</html>");
	} else if (fault == FAKE_DEEP) {
		for (int i = 0; i < 100000; i++)
			put(out, "[");
	} else if (fault == FAKE_GIANT) {
		put(out, "[\"");
		for (int i = 0; i < 9 << 10; i++)
			put(out, "%01024d", 0);
		put(out, "\"]");
	} else if (fault == FAKE_NO_BATCH && json_is_array(question)) {
		put(out, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
			 "-32600,\"message\":\"batches are not served\"}}");
	} else if (json_is_array(question)) {
		put_array(out, node, fault, question);
	} else {
		put_item(out, node, fault, question);
	}
}

/* ---- HTTP ---- */

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

static bool answer(struct connection *c, int fault, const json_t *question)
{
	struct fake_node *node = c->server->node;
	struct out head = {0};
	struct out body = {0};
	int status = 200;
	bool good;

	if (fault == FAKE_STATUS)
		status = atomic_load(&node->http_status);
	if (fault == FAKE_REDIRECT)
		status = 302;
	/* The body is as good as ever: what counts is the status. */
	put_body(&body, node, fault, question);
	put(&head, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n",
	    status);
	if (status == 302)
		put(&head, "Location: http://127.0.0.1:%d/\r\n",
		    atomic_load(&node->redirect_port));
	if (fault == FAKE_STATUS && atomic_load(&node->retry_after))
		put(&head, "Retry-After: %d\r\n",
		    atomic_load(&node->retry_after));
	put(&head, "Content-Length: %zu\r\n\r\n", body.len);
	if (fault == FAKE_TRUNCATED)
		body.len /= 2;
	good = send_all(c->fd, head.at, head.len) &&
	       send_all(c->fd, body.at ? body.at : "", body.len) &&
	       fault != FAKE_TRUNCATED;
	free(head.at);
	free(body.at);
	return good;
}

static int take_fault(struct fake_node *node)
{
	int left = atomic_load(&node->fault_left);

	if (left < 0)
		return atomic_load(&node->fault);
	if (left == 0)
		return FAKE_NONE;
	atomic_fetch_sub(&node->fault_left, 1);
	return atomic_load(&node->fault);
}

static void nap(const struct fake_server *server, int ms)
{
	struct timespec step = {.tv_nsec = 5000000};

	for (; ms > 0 && !atomic_load(&server->stopping); ms -= 5)
		(void)nanosleep(&step, NULL);
}

/* A body's items have come; those of a second are looked back at. */
static void note_arrival(struct fake_server *server, unsigned count)
{
	unsigned sum = 0;
	uint64_t now_ns;

	(void)pthread_mutex_lock(&server->lock);
	now_ns = clock_mono_ns();
	server->arrivals[server->arrivals_count++ % ARRIVALS_MAX] =
		(struct arrival){now_ns, count};
	for (unsigned i = 1; i <= ARRIVALS_MAX; i++) {
		const struct arrival *a =
			&server->arrivals[(server->arrivals_count - i) %
					  ARRIVALS_MAX];

		if (a->count == 0 || now_ns - a->at_ns >= 1000000000)
			break;
		sum += a->count;
	}
	if (sum > atomic_load(&server->node->worst_second))
		atomic_store(&server->node->worst_second, sum);
	(void)pthread_mutex_unlock(&server->lock);
}

static bool serve_body(struct connection *c, const char *body, size_t len)
{
	struct fake_node *node = c->server->node;
	json_t *question = json_loadb(body, len, 0, NULL);
	int fault = take_fault(node);
	bool good = question != NULL && fault != FAKE_RESET;

	atomic_fetch_add(&node->bodies, 1);
	nap(c->server, atomic_load(&node->way_ms));
	note_arrival(c->server, json_is_array(question)
					? (unsigned)json_array_size(question)
					: 1);
	nap(c->server, atomic_load(&node->delay_ms));
	if (good)
		good = answer(c, fault, question);
	json_decref(question);
	return good;
}

struct input {
	char *at;
	size_t len, size;
};

static bool read_more(int fd, struct input *in)
{
	ssize_t got;

	if (in->size - in->len < 65536) {
		in->size = in->size * 2 + 65536 * 2;
		in->at = realloc(in->at, in->size);
		assert(in->at);
	}
	got = recv(fd, in->at + in->len, in->size - in->len - 1, 0);
	if (got <= 0)
		return false;
	in->len += (size_t)got;
	in->at[in->len] = 0;
	return true;
}

/* 0: not all there yet. */
static size_t whole_size(const struct input *in, size_t *body_at)
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
	struct input in = {0};
	bool good = true;

	while (good) {
		size_t body_at = 0;
		size_t size = whole_size(&in, &body_at);

		if (size == 0) {
			good = read_more(c->fd, &in);
			continue;
		}
		good = serve_body(c, in.at + body_at, size - body_at);
		memmove(in.at, in.at + size, in.len - size + 1);
		in.len -= size;
	}
	(void)shutdown(c->fd, SHUT_RDWR);
	free(in.at);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct fake_server *server = arg;

	for (;;) {
		int fd = accept(server->fd, NULL, NULL);
		unsigned n = atomic_load(&server->connections_count);
		int on = 1;

		if (fd < 0)
			return NULL;
		atomic_fetch_add(&server->node->connections, 1);
		if (n >= CONNECTIONS_MAX) {
			(void)close(fd);
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		server->connections[n] =
			(struct connection){.server = server, .fd = fd};
		if (pthread_create(&server->connections[n].thread, NULL, serve,
				   &server->connections[n]))
			abort();
		atomic_store(&server->connections_count, n + 1);
	}
}

static void listen_on(struct fake_server *server)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (server->fd < 0 ||
	    bind(server->fd, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(server->fd, 64) ||
	    getsockname(server->fd, (struct sockaddr *)&at, &len))
		abort();
	server->node->port = ntohs(at.sin_port);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d",
		       server->node->port);
}

struct fake_node *fake_node_start(void)
{
	struct fake_node *node = calloc(1, sizeof(*node));
	struct fake_server *server = calloc(1, sizeof(*server));

	if (!node || !server)
		abort();
	node->server = server;
	server->node = node;
	atomic_store(&node->fault_left, -1);
	atomic_store(&node->chain_id, 1);
	atomic_store(&node->head, 100);
	atomic_store(&node->final_lag, 20);
	atomic_store(&node->fork_from, UINT64_MAX);
	atomic_store(&node->fork_to, UINT64_MAX);
	atomic_store(&node->gone_from, UINT64_MAX);
	atomic_store(&node->gone_to, UINT64_MAX);
	atomic_store(&node->error_message, "");
	atomic_store(&node->proof, 1);
	(void)pthread_mutex_init(&server->lock, NULL);
	listen_on(server);
	if (pthread_create(&server->thread, NULL, accept_all, server))
		abort();
	return node;
}

void fake_node_stop(struct fake_node *node)
{
	struct fake_server *server;

	if (!node)
		return;
	server = node->server;
	atomic_store(&server->stopping, true);
	(void)shutdown(server->fd, SHUT_RDWR);
	(void)pthread_join(server->thread, NULL);
	for (unsigned i = 0; i < atomic_load(&server->connections_count); i++)
		(void)shutdown(server->connections[i].fd, SHUT_RDWR);
	for (unsigned i = 0; i < atomic_load(&server->connections_count); i++) {
		(void)pthread_join(server->connections[i].thread, NULL);
		(void)close(server->connections[i].fd);
	}
	(void)close(server->fd);
	(void)pthread_mutex_destroy(&server->lock);
	free(server);
	free(node);
}

const char *fake_node_url(const struct fake_node *node)
{
	return node->server->url;
}
