#include "bench/rival.h"

#ifdef BENCH_HAS_LIBPQ
#include <errno.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"

#define BIN           "/usr/lib/postgresql/15/bin/"
#define START_WAIT_MS 30000
#define STOP_WAIT_MS  10000
#define ID_SIZE       (ENVELOPE_KEY_SIZE + TOPIC_SIZE)
#define ROW_ROOM      (2 + 4 * 4 + ID_SIZE + TOPIC_SIZE + 4 + BLOOM_SIZE)
#define COPY_BYTES    (32u << 10) /* handed to libpq at once */
#define COPY_HEADER   19
#define ROWS_AT_ONCE  "1000"
#define SCHEMA                                                                 \
	"CREATE TABLE envelopes (id bytea PRIMARY KEY, data bytea NOT NULL, "  \
	"topic bytea NOT NULL, bloom bit(512) NOT NULL); "                     \
	"ALTER TABLE envelopes ALTER data SET STORAGE EXTERNAL; "              \
	"CREATE INDEX envelopes_topic ON envelopes (topic, id DESC);"

static struct {
	pid_t pid;
	char path[BENCH_PATH_MAX];
	uint16_t port;
	PGconn *conns[RIVAL_CONNECTIONS];
} pg;

static const char *owner(void)
{
	return geteuid() == 0 ? "postgres" : NULL;
}

static void run(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    status != PGRES_COPY_IN)
		bench_fail("postgresql: %s", PQerrorMessage(conn));
	PQclear(result);
}

static bool make_cluster(const char *log)
{
	const char *const argv[] = {BIN "initdb", "-D",         pg.path, "-A",
				    "trust",      "-U",         "bench", "-E",
				    "SQL_ASCII",  "--locale=C", "-N",    NULL};
	const struct passwd *pw;
	pid_t pid;
	int status;

	if (owner()) {
		pw = getpwnam(owner()); /* NOLINT(concurrency-mt-unsafe) */
		if (!pw || chown(pg.path, pw->pw_uid, pw->pw_gid))
			return false;
	}
	pid = bench_spawn(argv, owner(), log, NULL);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void stop_process(void *ctx)
{
	(void)ctx;
	bench_stop(pg.pid, STOP_WAIT_MS);
}

static PGconn *connect_to(void)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "host=127.0.0.1 port=%u user=bench dbname=postgres",
		       pg.port);
	return PQconnectdb(text);
}

static bool wait_until_up(void)
{
	uint64_t until_ms = clock_mono_ms() + START_WAIT_MS;

	while (clock_mono_ms() < until_ms) {
		PGconn *conn = connect_to();
		bool is_up = PQstatus(conn) == CONNECTION_OK;

		if (is_up)
			run(conn, SCHEMA);
		PQfinish(conn);
		if (is_up)
			return true;
		if (waitpid(pg.pid, NULL, WNOHANG) != 0)
			return false;
		bench_sleep_ms(100);
	}
	return false;
}

static bool start(const struct bench *bench, char why[static RIVAL_WHY_MAX])
{
	char log[BENCH_PATH_MAX + 8], port[8];
	const char *const argv[] = {BIN "postgres",
				    "-D",
				    pg.path,
				    "-p",
				    port,
				    "-c",
				    "listen_addresses=127.0.0.1",
				    "-c",
				    "unix_socket_directories=",
				    "-c",
				    "synchronous_commit=on",
				    "-c",
				    "fsync=on",
				    "-c",
				    "shared_buffers=512MB",
				    "-c",
				    "max_wal_size=8GB",
				    "-c",
				    "checkpoint_timeout=30min",
				    "-c",
				    "wal_buffers=64MB",
				    "-c",
				    "autovacuum=off",
				    "-c",
				    "jit=off",
				    NULL};

	(void)bench_folder(bench, "postgresql", pg.path);
	(void)snprintf(log, sizeof(log), "%s.log", pg.path);
	(void)snprintf(why, RIVAL_WHY_MAX,
		       "PostgreSQL 15 is not installed or "
		       "cannot be started (Debian: "
		       "postgresql)");
	(void)chmod(bench->dir, 0755);
	if (access(BIN "initdb", X_OK))
		return false;
	(void)snprintf(why, RIVAL_WHY_MAX, "initdb failed");
	if (!make_cluster(log))
		return false;
	pg.port = rival_free_port();
	(void)snprintf(port, sizeof(port), "%u", pg.port);
	pg.pid = bench_spawn(argv, owner(), log, NULL);
	if (pg.pid < 0 || !wait_until_up())
		return false;
	bench_at_end(stop_process, &pg);
	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++) {
		pg.conns[i] = connect_to();
		if (PQstatus(pg.conns[i]) != CONNECTION_OK)
			bench_fail("postgresql: %s",
				   PQerrorMessage(pg.conns[i]));
	}
	return true;
}

static void stop(void)
{
	for (unsigned i = 0; i < RIVAL_CONNECTIONS; i++)
		PQfinish(pg.conns[i]);
	bench_not_at_end(stop_process, &pg);
	stop_process(NULL);
	bench_remove(pg.path);
}

/* ---- putting: COPY in binary, a transaction a group ---- */

static uint8_t *field(uint8_t *at, const void *bytes, uint32_t size)
{
	be32_store(at, size);
	memcpy(at + 4, bytes, size);
	return at + 4 + size;
}

static uint8_t *row(uint8_t *at, const struct archive_item *item)
{
	static const uint8_t head[2] = {0, 4};
	uint8_t id[ID_SIZE], bits[4 + BLOOM_SIZE];
	struct bloom bloom;

	memcpy(at, head, sizeof(head));
	envelope_key(item->sent, item->hash, id);
	memcpy(id + ENVELOPE_KEY_SIZE, item->topic.bytes, TOPIC_SIZE);
	be32_store(bits, BLOOM_SIZE * 8);
	bloom_from_topic(item->topic, &bloom);
	memcpy(bits + 4, bloom.bits, BLOOM_SIZE);
	at = field(at + sizeof(head), id, sizeof(id));
	at = field(at, item->rlp, item->size);
	at = field(at, item->topic.bytes, TOPIC_SIZE);
	return field(at, bits, sizeof(bits));
}

static void copy_group(PGconn *conn, const struct archive_item *items,
		       uint32_t count)
{
	static const uint8_t header[COPY_HEADER] = "PGCOPY\n\377\r\n";
	static const uint8_t trailer[2] = {0xff, 0xff};
	size_t size = COPY_HEADER + sizeof(trailer);
	uint8_t *buffer, *at;
	PGresult *result;

	for (uint32_t i = 0; i < count; i++)
		size += items[i].size + ROW_ROOM;
	buffer = malloc(size);
	if (!buffer)
		bench_fail("no memory");
	memcpy(buffer, header, COPY_HEADER);
	at = buffer + COPY_HEADER;
	for (uint32_t i = 0; i < count; i++)
		at = row(at, &items[i]);
	memcpy(at, trailer, sizeof(trailer));
	at += sizeof(trailer);
	run(conn, "COPY envelopes FROM STDIN (FORMAT binary)");
	for (uint8_t *part = buffer; part < at; part += COPY_BYTES) {
		size_t n = (size_t)(at - part);

		if (PQputCopyData(conn, (char *)part,
				  (int)(n < COPY_BYTES ? n : COPY_BYTES)) != 1)
			bench_fail("postgresql: %s", PQerrorMessage(conn));
	}
	(void)PQputCopyEnd(conn, NULL);
	result = PQgetResult(conn);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		bench_fail("postgresql: %s", PQerrorMessage(conn));
	PQclear(result);
	while ((result = PQgetResult(conn)))
		PQclear(result);
	free(buffer);
}

struct putting {
	const struct archive_item *items;
	uint32_t count;
};

static void put_part(unsigned connection, void *ctx)
{
	const struct putting *p = ctx;
	uint32_t step = RIVAL_GROUP * RIVAL_CONNECTIONS;

	for (uint32_t at = connection * RIVAL_GROUP; at < p->count; at += step)
		copy_group(pg.conns[connection], p->items + at,
			   p->count - at < RIVAL_GROUP ? p->count - at
						       : RIVAL_GROUP);
}

static void put(const struct archive_item *items, uint32_t count)
{
	struct putting p = {items, count};

	rival_in_threads(put_part, &p);
}

/* ---- reading: binary results ---- */

static uint32_t get_topic(struct topic topic)
{
	const char *values[1] = {(const char *)topic.bytes};
	const int lengths[1] = {TOPIC_SIZE}, formats[1] = {1};
	PGresult *result = PQexecParams(
		pg.conns[0],
		"SELECT data FROM envelopes WHERE topic = $1::bytea "
		"ORDER BY id DESC",
		1, NULL, values, lengths, formats, 1);
	int rows = PQntuples(result);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		bench_fail("postgresql: %s", PQerrorMessage(pg.conns[0]));
	PQclear(result);
	return (uint32_t)rows;
}

static uint64_t get_all(void)
{
	PGconn *conn = pg.conns[0];
	uint64_t count = 0;
	int rows;

	run(conn, "BEGIN; DECLARE c BINARY CURSOR FOR SELECT data FROM "
		  "envelopes ORDER BY id DESC");
	do {
		PGresult *result =
			PQexecParams(conn, "FETCH " ROWS_AT_ONCE " FROM c", 0,
				     NULL, NULL, NULL, NULL, 1);

		rows = PQntuples(result);
		count += (unsigned)rows;
		PQclear(result);
	} while (rows > 0);
	run(conn, "COMMIT");
	return count;
}

static pid_t get_pid(void)
{
	return pg.pid;
}

static const char *dir(void)
{
	return pg.path;
}

const struct rival rival_postgresql = {
	.name = "postgresql",
	.settings =
		"PostgreSQL 15, synchronous_commit=on, shared_buffers 512MB, "
		"max_wal_size 8GB, autovacuum off; table of id (primary key, "
		"time, hash and topic), data, topic, bloom, and an index by "
		"topic and id; 8 connections on loopback, COPY in binary, 400 "
		"a transaction; results in binary, cursor of 1000 rows",
	.start = start,
	.stop = stop,
	.put = put,
	.topic = get_topic,
	.all = get_all,
	.pid = get_pid,
	.dir = dir,
};

#else /* BENCH_HAS_LIBPQ */
#include <stdio.h>

static bool start(const struct bench *bench, char why[static RIVAL_WHY_MAX])
{
	(void)bench;
	(void)snprintf(why, RIVAL_WHY_MAX,
		       "built without libpq (Debian: libpq-dev)");
	return false;
}

const struct rival rival_postgresql = {
	.name = "postgresql",
	.settings = "not built in",
	.start = start,
};
#endif
