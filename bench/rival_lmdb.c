#include <stdlib.h>

#include "bench/lmdb_plain.h"
#include "bench/rival.h"

#define OUT_BYTES (8u << 20)
#define GROUP     1000u /* a commit: what ours makes of this load, and more */

static struct plain {
	struct lmdb_plain db;
	char path[BENCH_PATH_MAX];
	uint8_t *out;
} plain, indexed;

static void open_plain(const struct bench *bench, struct plain *p,
		       const char *name, enum lmdb_layout layout)
{
	p->out = malloc(OUT_BYTES);
	if (!p->out)
		bench_fail("no memory");
	lmdb_plain_open(&p->db, bench_folder(bench, name, p->path), layout);
}

static void close_plain(struct plain *p)
{
	lmdb_plain_close(&p->db);
	free(p->out);
	bench_remove(p->path);
}

static pid_t no_pid(void)
{
	return 0;
}

static bool start(const struct bench *bench, char why[static RIVAL_WHY_MAX])
{
	(void)why;
	open_plain(bench, &plain, "lmdb", LMDB_ONE_TREE);
	return true;
}

static void stop(void)
{
	close_plain(&plain);
}

static void put(const struct archive_item *items, uint32_t count)
{
	lmdb_plain_put(&plain.db, items, count, GROUP);
}

static uint32_t get_topic(struct topic topic)
{
	return lmdb_plain_topic(&plain.db, topic, plain.out, OUT_BYTES);
}

static uint64_t get_all(void)
{
	return lmdb_plain_all(&plain.db, plain.out, OUT_BYTES);
}

static const char *dir(void)
{
	return plain.path;
}

const struct rival rival_lmdb = {
	.name = "lmdb",
	.settings = "one tree, time, hash and topic -> envelope; full "
		    "synchronisation, 1000 a commit; called in our process, "
		    "without network or cryptography",
	.start = start,
	.stop = stop,
	.put = put,
	.topic = get_topic,
	.all = get_all,
	.pid = no_pid,
	.dir = dir,
};

static bool start_indexed(const struct bench *bench,
			  char why[static RIVAL_WHY_MAX])
{
	(void)why;
	open_plain(bench, &indexed, "lmdb-indexed", LMDB_INDEXED);
	return true;
}

static void stop_indexed(void)
{
	close_plain(&indexed);
}

static void put_indexed(const struct archive_item *items, uint32_t count)
{
	lmdb_plain_put(&indexed.db, items, count, GROUP);
}

static uint32_t topic_indexed(struct topic topic)
{
	return lmdb_plain_topic(&indexed.db, topic, indexed.out, OUT_BYTES);
}

static uint64_t all_indexed(void)
{
	return lmdb_plain_all(&indexed.db, indexed.out, OUT_BYTES);
}

static const char *dir_indexed(void)
{
	return indexed.path;
}

const struct rival rival_lmdb_indexed = {
	.name = "lmdb-indexed",
	.settings = "a tree by time and hash, and an index by topic; full "
		    "synchronisation, 1000 a commit; called in our process, "
		    "without network or cryptography",
	.start = start_indexed,
	.stop = stop_indexed,
	.put = put_indexed,
	.topic = topic_indexed,
	.all = all_indexed,
	.pid = no_pid,
	.dir = dir_indexed,
};
