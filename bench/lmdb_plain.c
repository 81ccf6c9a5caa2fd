#include "bench/lmdb_plain.h"

#include <string.h>

#include "bench/bench.h"
#include "core/bytes.h"

#define MAP_BYTES ((size_t)64 << 30)
#define KEY_SIZE  (TOPIC_SIZE + ENVELOPE_KEY_SIZE)

static void check(int rc)
{
	if (rc)
		bench_fail("lmdb: %s", mdb_strerror(rc));
}

void lmdb_plain_open(struct lmdb_plain *db, const char *dir,
		     enum lmdb_layout layout)
{
	MDB_txn *txn;

	*db = (struct lmdb_plain){.layout = layout};
	check(mdb_env_create(&db->env));
	check(mdb_env_set_mapsize(db->env, MAP_BYTES));
	check(mdb_env_set_maxdbs(db->env, 2));
	check(mdb_env_open(db->env, dir, MDB_NOTLS, 0600));
	check(mdb_txn_begin(db->env, NULL, 0, &txn));
	check(mdb_dbi_open(txn, "main", MDB_CREATE, &db->main));
	if (layout == LMDB_INDEXED)
		check(mdb_dbi_open(txn, "index", MDB_CREATE, &db->index));
	check(mdb_txn_commit(txn));
}

void lmdb_plain_close(struct lmdb_plain *db)
{
	mdb_env_close(db->env);
}

/* Returns the length of the key of the main tree. */
static size_t key_of(const struct lmdb_plain *db,
		     const struct archive_item *item,
		     uint8_t key[static KEY_SIZE])
{
	if (db->layout == LMDB_BY_TOPIC) {
		memcpy(key, item->topic.bytes, TOPIC_SIZE);
		envelope_key(item->sent, item->hash, key + TOPIC_SIZE);
		return KEY_SIZE;
	}
	envelope_key(item->sent, item->hash, key);
	memcpy(key + ENVELOPE_KEY_SIZE, item->topic.bytes, TOPIC_SIZE);
	return db->layout == LMDB_ONE_TREE ? KEY_SIZE : ENVELOPE_KEY_SIZE;
}

static void put_one(struct lmdb_plain *db, MDB_txn *txn,
		    const struct archive_item *item)
{
	uint8_t key[KEY_SIZE], index_key[KEY_SIZE];
	MDB_val k = {.mv_data = key, .mv_size = key_of(db, item, key)};
	MDB_val v = {.mv_size = item->size}, none = {0};
	int rc = mdb_put(txn, db->main, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE);

	if (rc == MDB_KEYEXIST)
		return;
	check(rc);
	memcpy(v.mv_data, item->rlp, item->size);
	if (db->layout != LMDB_INDEXED)
		return;
	memcpy(index_key, item->topic.bytes, TOPIC_SIZE);
	memcpy(index_key + TOPIC_SIZE, key, ENVELOPE_KEY_SIZE);
	k = (MDB_val){.mv_data = index_key, .mv_size = KEY_SIZE};
	check(mdb_put(txn, db->index, &k, &none, 0));
}

void lmdb_plain_put(struct lmdb_plain *db, const struct archive_item *items,
		    uint32_t count, uint32_t group)
{
	for (uint32_t at = 0; at < count; at += group) {
		uint32_t end = group < count - at ? at + group : count;
		MDB_txn *txn;

		check(mdb_txn_begin(db->env, NULL, 0, &txn));
		for (uint32_t i = at; i < end; i++)
			put_one(db, txn, &items[i]);
		check(mdb_txn_commit(txn));
	}
}

struct reading {
	MDB_txn *txn;
	MDB_cursor *cursor;
	uint8_t *out;
	size_t max, used;
	uint32_t count;
};

static void copy(struct reading *r, const MDB_val *v)
{
	if (r->used + v->mv_size > r->max)
		r->used = 0;
	memcpy(r->out + r->used, v->mv_data, v->mv_size);
	r->used += v->mv_size;
	r->count++;
}

static void reading_begin(struct reading *r, struct lmdb_plain *db, MDB_dbi dbi)
{
	check(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &r->txn));
	check(mdb_cursor_open(r->txn, dbi, &r->cursor));
}

static uint32_t reading_end(struct reading *r)
{
	mdb_cursor_close(r->cursor);
	mdb_txn_abort(r->txn);
	return r->count;
}

uint32_t lmdb_plain_all(struct lmdb_plain *db, uint8_t *out, size_t max)
{
	struct reading r = {.out = out, .max = max};
	MDB_val k, v;

	reading_begin(&r, db, db->main);
	for (int rc = mdb_cursor_get(r.cursor, &k, &v, MDB_LAST); rc == 0;
	     rc = mdb_cursor_get(r.cursor, &k, &v, MDB_PREV))
		copy(&r, &v);
	return reading_end(&r);
}

/* One tree by time has nothing better than to look at every key. */
static uint32_t scan_topic(struct lmdb_plain *db, struct topic topic,
			   struct reading *r)
{
	MDB_val k, v;

	for (int rc = mdb_cursor_get(r->cursor, &k, &v, MDB_LAST); rc == 0;
	     rc = mdb_cursor_get(r->cursor, &k, &v, MDB_PREV))
		if (memcmp((uint8_t *)k.mv_data + ENVELOPE_KEY_SIZE,
			   topic.bytes, TOPIC_SIZE) == 0)
			copy(r, &v);
	(void)db;
	return reading_end(r);
}

uint32_t lmdb_plain_topic(struct lmdb_plain *db, struct topic topic,
			  uint8_t *out, size_t max)
{
	struct reading r = {.out = out, .max = max};
	bool is_indexed = db->layout == LMDB_INDEXED;
	uint8_t key[KEY_SIZE];
	MDB_val k = {.mv_data = key, .mv_size = KEY_SIZE}, v;
	int rc;

	reading_begin(&r, db, is_indexed ? db->index : db->main);
	if (db->layout == LMDB_ONE_TREE || db->layout == LMDB_BY_TIME)
		return scan_topic(db, topic, &r);
	memcpy(key, topic.bytes, TOPIC_SIZE);
	memset(key + TOPIC_SIZE, 0xff, ENVELOPE_KEY_SIZE);
	rc = mdb_cursor_get(r.cursor, &k, &v, MDB_SET_RANGE);
	rc = mdb_cursor_get(r.cursor, &k, &v, rc ? MDB_LAST : MDB_PREV);
	while (rc == 0 && memcmp(k.mv_data, topic.bytes, TOPIC_SIZE) == 0) {
		if (is_indexed) {
			MDB_val at = {.mv_data =
					      (uint8_t *)k.mv_data + TOPIC_SIZE,
				      .mv_size = ENVELOPE_KEY_SIZE};

			check(mdb_get(r.txn, db->main, &at, &v));
		}
		copy(&r, &v);
		rc = mdb_cursor_get(r.cursor, &k, &v, MDB_PREV);
	}
	return reading_end(&r);
}
