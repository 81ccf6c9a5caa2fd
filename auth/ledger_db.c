#include "auth/ledger_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"

#define SCHEMA_VERSION 1
#define READERS_MAX    256
#define PATH_SIZE      4096

static const char *const table_names[TABLES_COUNT] = {
	[TABLE_META] = "meta",           [TABLE_OFFERS] = "offers",
	[TABLE_OFFER_IDS] = "offer_ids", [TABLE_CLAIMS] = "claims",
	[TABLE_CLAIM_IDS] = "claim_ids", [TABLE_DUE] = "due",
	[TABLE_PAYMENTS] = "payments",   [TABLE_HEIGHTS] = "heights",
	[TABLE_LEDGER] = "ledger",       [TABLE_NODES] = "nodes",
	[TABLE_EVENTS] = "events",
};
static const char schema_key[] = "schema";

/* LMDB's codes become ours here and nowhere else. */
static int err_of(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case MDB_KEYEXIST:
		return ERR_EXISTS;
	case MDB_NOTFOUND:
		return ERR_NOTFOUND;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return ERR_CORRUPT;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_IO;
	}
}

/* ---- opening ---- */

static int take_lock(struct ledger_db *db, const char *dir, char *why,
		     size_t why_size)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/daemon.lock", dir);
	db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (db->lock_fd < 0) {
		(void)snprintf(why, why_size, "cannot open %s: %s", path,
			       strerrordesc_np(errno));
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	(void)snprintf(why, why_size, "%s is in use by another process", dir);
	return ERR_EXISTS;
}

static int open_env(struct ledger_db *db, const char *dir, size_t map_bytes,
		    bool is_read_only)
{
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
	int rc = mdb_env_create(&db->env);

	if (!rc)
		rc = mdb_env_set_mapsize(db->env, map_bytes);
	if (!rc)
		rc = mdb_env_set_maxdbs(db->env, TABLES_COUNT);
	if (!rc)
		rc = mdb_env_set_maxreaders(db->env, READERS_MAX);
	/* Full synchronisation: no flag that weakens it is ever set (§12.1). */
	if (!rc)
		rc = mdb_env_open(db->env, dir,
				  flags | (is_read_only ? MDB_RDONLY : 0),
				  0600);
	return err_of(rc);
}

static int check_schema(struct ledger_tx *tx, bool is_read_only, char *why,
			size_t why_size)
{
	uint8_t bytes[4];
	MDB_val value;

	if (ledger_tx_get(tx, TABLE_META, schema_key, sizeof(schema_key),
			  &value)) {
		if (value.mv_size == 4 &&
		    be32_load(value.mv_data) == SCHEMA_VERSION)
			return 0;
		(void)snprintf(why, why_size,
			       "the payments database has another schema");
		return ERR_UNSUPPORTED;
	}
	if (is_read_only)
		return ERR_CORRUPT;
	be32_store(bytes, SCHEMA_VERSION);
	ledger_tx_put(tx, TABLE_META, schema_key, sizeof(schema_key), bytes,
		      sizeof(bytes));
	return tx->err;
}

static int open_tables(struct ledger_db *db, bool is_read_only, char *why,
		       size_t why_size)
{
	struct ledger_tx tx;
	int err = ledger_tx_begin(&tx, db, is_read_only);

	if (err)
		return err;
	for (int i = 0; i < TABLES_COUNT && !err; i++)
		err = err_of(mdb_dbi_open(tx.txn, table_names[i],
					  is_read_only ? 0 : MDB_CREATE,
					  &db->dbi[i]));
	if (!err)
		err = check_schema(&tx, is_read_only, why, why_size);
	if (err) {
		ledger_tx_abort(&tx);
		return err;
	}
	return ledger_tx_commit(&tx);
}

int ledger_db_open(struct ledger_db *db, const char *dir, size_t map_bytes,
		   bool is_read_only, char *why, size_t why_size)
{
	int err;

	*db = (struct ledger_db){.lock_fd = -1};
	if (why_size)
		why[0] = '\0';
	if (!is_read_only && mkdir(dir, 0700) && errno != EEXIST) {
		(void)snprintf(why, why_size, "cannot make %s: %s", dir,
			       strerrordesc_np(errno));
		return ERR_IO;
	}
	err = take_lock(db, dir, why, why_size);
	if (!err)
		err = open_env(db, dir, map_bytes, is_read_only);
	if (!err)
		err = open_tables(db, is_read_only, why, why_size);
	if (!err)
		return 0;
	if (why_size && !why[0])
		(void)snprintf(why, why_size,
			       "cannot open the payments database in %s: %s",
			       dir, err_str(err));
	ledger_db_close(db);
	return err;
}

void ledger_db_close(struct ledger_db *db)
{
	if (db->env)
		mdb_env_close(db->env);
	if (db->lock_fd >= 0)
		(void)close(db->lock_fd);
	*db = (struct ledger_db){.lock_fd = -1};
}

void ledger_db_forget_dead(struct ledger_db *db)
{
	int dead;

	(void)mdb_reader_check(db->env, &dead);
}

/* ---- transactions ---- */

int ledger_tx_begin(struct ledger_tx *tx, struct ledger_db *db,
		    bool is_read_only)
{
	*tx = (struct ledger_tx){.db = db};
	tx->err = err_of(mdb_txn_begin(
		db->env, NULL, is_read_only ? MDB_RDONLY : 0, &tx->txn));
	return tx->err;
}

int ledger_tx_commit(struct ledger_tx *tx)
{
	if (tx->err) {
		ledger_tx_abort(tx);
		return tx->err;
	}
	tx->err = err_of(mdb_txn_commit(tx->txn));
	tx->txn = NULL;
	return tx->err;
}

void ledger_tx_abort(struct ledger_tx *tx)
{
	if (tx->txn)
		mdb_txn_abort(tx->txn);
	tx->txn = NULL;
}

static MDB_val val_of(const void *bytes, size_t size)
{
	MDB_val val = {.mv_size = size};

	/* LMDB only reads keys and values; its type has no const. */
	memcpy(&val.mv_data, &bytes, sizeof(val.mv_data));
	return val;
}

bool ledger_tx_get(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, MDB_val *value)
{
	MDB_val k = val_of(key, key_size);
	int rc;

	if (tx->err)
		return false;
	rc = mdb_get(tx->txn, tx->db->dbi[table], &k, value);
	if (rc && rc != MDB_NOTFOUND)
		tx->err = err_of(rc);
	return rc == 0;
}

static void put(struct ledger_tx *tx, enum ledger_table table, MDB_val key,
		MDB_val value, unsigned flags)
{
	if (tx->err)
		return;
	tx->has_written = true;
	tx->err = err_of(
		mdb_put(tx->txn, tx->db->dbi[table], &key, &value, flags));
}

void ledger_tx_put(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, const void *value,
		   size_t size)
{
	put(tx, table, val_of(key, key_size), val_of(value, size), 0);
}

void ledger_tx_add(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, const void *value,
		   size_t size)
{
	put(tx, table, val_of(key, key_size), val_of(value, size),
	    MDB_NOOVERWRITE);
}

void ledger_tx_del(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size)
{
	MDB_val k = val_of(key, key_size);
	int rc;

	if (tx->err)
		return;
	tx->has_written = true;
	rc = mdb_del(tx->txn, tx->db->dbi[table], &k, NULL);
	tx->err = rc == MDB_NOTFOUND ? ERR_CORRUPT : err_of(rc);
}

size_t ledger_tx_count(struct ledger_tx *tx, enum ledger_table table)
{
	MDB_stat stat;

	if (tx->err || mdb_stat(tx->txn, tx->db->dbi[table], &stat))
		return 0;
	return stat.ms_entries;
}

/* ---- walks ---- */

void ledger_walk_init(struct ledger_walk *walk, struct ledger_tx *tx,
		      enum ledger_table table, const void *from, size_t size)
{
	*walk = (struct ledger_walk){.tx = tx, .key = val_of(from, size)};
	if (!tx->err)
		tx->err = err_of(mdb_cursor_open(tx->txn, tx->db->dbi[table],
						 &walk->cursor));
}

bool ledger_walk_next(struct ledger_walk *walk)
{
	MDB_cursor_op op = MDB_NEXT;
	int rc;

	if (walk->tx->err || !walk->cursor)
		return false;
	if (!walk->has_begun)
		op = walk->key.mv_size ? MDB_SET_RANGE : MDB_FIRST;
	walk->has_begun = true;
	rc = mdb_cursor_get(walk->cursor, &walk->key, &walk->value, op);
	if (rc && rc != MDB_NOTFOUND)
		walk->tx->err = err_of(rc);
	return rc == 0;
}

void ledger_walk_release(struct ledger_walk *walk)
{
	if (walk->cursor)
		mdb_cursor_close(walk->cursor);
	walk->cursor = NULL;
}

bool ledger_tx_last(struct ledger_tx *tx, enum ledger_table table, MDB_val *key,
		    MDB_val *value)
{
	MDB_cursor *cursor;
	int rc;

	if (tx->err)
		return false;
	rc = mdb_cursor_open(tx->txn, tx->db->dbi[table], &cursor);
	if (rc) {
		tx->err = err_of(rc);
		return false;
	}
	rc = mdb_cursor_get(cursor, key, value, MDB_LAST);
	mdb_cursor_close(cursor);
	if (rc && rc != MDB_NOTFOUND)
		tx->err = err_of(rc);
	return rc == 0;
}
