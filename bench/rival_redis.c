#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/corpus.h"
#include "bench/rival.h"
#include "core/bytes.h"
#include "core/clock.h"

#define START_WAIT_MS 10000
#define STOP_WAIT_MS  10000
#define IN_BYTES      (256u << 10)
#define COMMAND_ROOM  160
#define TOPICS        1000u /* as the corpus has them */

struct wire {
	int fd;
	uint8_t *in;
	size_t start, end;
};

static struct {
	pid_t pid;
	char path[BENCH_PATH_MAX];
	uint16_t port;
	struct wire wires[RIVAL_CONNECTIONS];
} redis;

/* ---- the protocol ---- */

static bool wire_open(struct wire *wire)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(redis.port)};
	int on = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	wire->start = wire->end = 0;
	wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (wire->fd < 0 ||
	    connect(wire->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		(void)close(wire->fd);
		return false;
	}
	(void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	wire->in = malloc(IN_BYTES);
	if (!wire->in)
		bench_fail("no memory");
	return true;
}

static void wire_close(struct wire *wire)
{
	(void)close(wire->fd);
	free(wire->in);
}

static void wire_send(struct wire *wire, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(wire->fd, bytes, size, MSG_NOSIGNAL);

		if (n <= 0)
			bench_fail("redis: the connection was lost");
		bytes += n;
		size -= (size_t)n;
	}
}

static void wire_more(struct wire *wire)
{
	ssize_t n;

	if (wire->start == wire->end)
		wire->start = wire->end = 0;
	if (wire->end == IN_BYTES) {
		memmove(wire->in, wire->in + wire->start,
			wire->end - wire->start);
		wire->end -= wire->start;
		wire->start = 0;
	}
	n = recv(wire->fd, wire->in + wire->end, IN_BYTES - wire->end, 0);
	if (n <= 0)
		bench_fail("redis: the connection was lost");
	wire->end += (size_t)n;
}

static void wire_line(struct wire *wire, char line[static 64])
{
	size_t n = 0;

	for (;;) {
		while (wire->start == wire->end)
			wire_more(wire);
		line[n] = (char)wire->in[wire->start++];
		if (line[n] == '\n')
			break;
		if (n < 62)
			n++;
	}
	line[n > 0 ? n - 1 : 0] = '\0';
}

static void wire_skip(struct wire *wire, size_t size)
{
	while (size > 0) {
		size_t have = wire->end - wire->start;

		if (have == 0) {
			wire_more(wire);
			continue;
		}
		if (have > size)
			have = size;
		wire->start += have;
		size -= have;
	}
}

/* One reply, however deep. Returns the elements of its outermost array. */
static uint64_t wire_reply(struct wire *wire)
{
	uint64_t pending = 1, outer = 0;
	bool is_first = true;
	char line[64];

	for (; pending > 0; pending--, is_first = false) {
		long long n;

		wire_line(wire, line);
		n = strtoll(line + 1, NULL, 10);
		if (line[0] == '-')
			bench_fail("redis: %s", line);
		if (line[0] == '$' && n >= 0)
			wire_skip(wire, (size_t)n + 2);
		if (line[0] == '*' && n > 0)
			pending += (uint64_t)n;
		if (line[0] == '*' && is_first && n > 0)
			outer = (uint64_t)n;
	}
	return outer;
}

/* ---- the server ---- */

static void stop_process(void *ctx)
{
	(void)ctx;
	bench_stop(redis.pid, STOP_WAIT_MS);
}

static bool start(const struct bench *bench, char why[static RIVAL_WHY_MAX])
{
	uint64_t until_ms = clock_mono_ms() + START_WAIT_MS;
	char log[BENCH_PATH_MAX + 8], port[8];
	const char *const argv[] = {"redis-server",
				    "--port",
				    port,
				    "--bind",
				    "127.0.0.1",
				    "--dir",
				    redis.path,
				    "--appendonly",
				    "yes",
				    "--appendfsync",
				    "always",
				    "--save",
				    "",
				    "--auto-aof-rewrite-percentage",
				    "0",
				    NULL};

	(void)snprintf(why, RIVAL_WHY_MAX,
		       "Redis is not installed or cannot be started (Debian: "
		       "redis-server)");
	if (!bench_has_program("redis-server"))
		return false;
	(void)bench_folder(bench, "redis", redis.path);
	(void)snprintf(log, sizeof(log), "%s.log", redis.path);
	redis.port = rival_free_port();
	(void)snprintf(port, sizeof(port), "%u", redis.port);
	redis.pid = bench_spawn(argv, NULL, log, NULL);
	if (redis.pid < 0)
		return false;
	bench_at_end(stop_process, &redis);
	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++) {
		while (!wire_open(&redis.wires[i])) {
			if (clock_mono_ms() >= until_ms)
				return false;
			bench_sleep_ms(20);
		}
	}
	return true;
}

static void stop(void)
{
	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++)
		wire_close(&redis.wires[i]);
	bench_not_at_end(stop_process, &redis);
	stop_process(NULL);
	bench_remove(redis.path);
}

/* ---- putting: a stream a topic; ids must rise in each ---- */

struct putting {
	const struct archive_item *items;
	uint32_t count;
};

static size_t command(uint8_t *out, const struct archive_item *item)
{
	size_t n = (size_t)sprintf(
		(char *)out,
		"*5\r\n$4\r\nXADD\r\n$9\r\nt%08x\r\n$12\r\n%010u-*\r\n"
		"$1\r\ne\r\n$%u\r\n",
		be32_load(item->topic.bytes), item->sent, item->size);

	memcpy(out + n, item->rlp, item->size);
	memcpy(out + n + item->size, "\r\n", 2);
	return n + item->size + 2;
}

/* Each connection has topics of its own, so that their order holds. */
static void put_part(unsigned connection, void *ctx)
{
	const struct putting *p = ctx;
	struct wire *wire = &redis.wires[connection];
	size_t room = RIVAL_GROUP * (size_t)(p->items[0].size + COMMAND_ROOM);
	uint8_t *out = malloc(room);
	uint32_t under_way = 0;
	size_t used = 0;

	if (!out)
		bench_fail("no memory");
	for (uint32_t i = 0; i <= p->count; i++) {
		bool is_end = i == p->count;

		if (!is_end && p->items[i].topic.bytes[3] % RIVAL_CONNECTIONS !=
				       connection)
			continue;
		if (is_end || under_way == RIVAL_GROUP) {
			wire_send(wire, out, used);
			for (; under_way > 0; under_way--)
				(void)wire_reply(wire);
			used = 0;
		}
		if (!is_end) {
			used += command(out + used, &p->items[i]);
			under_way++;
		}
	}
	free(out);
}

static void put(const struct archive_item *items, uint32_t count)
{
	struct putting p = {items, count};

	rival_in_threads(put_part, &p);
}

/* ---- reading ---- */

static void ask(struct wire *wire, struct topic topic)
{
	char out[96];
	int n = snprintf(out, sizeof(out),
			 "*4\r\n$9\r\nXREVRANGE\r\n$9\r\nt%08x\r\n$1\r\n+\r\n"
			 "$1\r\n-\r\n",
			 be32_load(topic.bytes));

	wire_send(wire, (uint8_t *)out, (size_t)n);
}

static uint32_t get_topic(struct topic topic)
{
	ask(&redis.wires[0], topic);
	return (uint32_t)wire_reply(&redis.wires[0]);
}

/* Stream by stream: there is no order of time over all of them. */
static uint64_t get_all(void)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < TOPICS; i++)
		count += get_topic(corpus_topic(i));
	return count;
}

static pid_t get_pid(void)
{
	return redis.pid;
}

static const char *dir(void)
{
	return redis.path;
}

const struct rival rival_redis = {
	.name = "redis",
	.settings = "Redis streams, appendonly yes, appendfsync always, no "
		    "snapshots or rewrites; a stream a topic, 8 connections "
		    "on loopback, 400 commands in flight on each; everything "
		    "is read stream by stream, not in order of time",
	.start = start,
	.stop = stop,
	.put = put,
	.topic = get_topic,
	.all = get_all,
	.pid = get_pid,
	.dir = dir,
};
