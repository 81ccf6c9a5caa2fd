#ifndef AUTH_LEDGER_DB_H
#define AUTH_LEDGER_DB_H
/*
 * The LMDB environment of payments and its named databases (payments.md
 * §12.1). Transactions remember their first error and do nothing from then
 * on, so a writer is a plain list with one check.
 *
 * Thread: a transaction belongs to the thread that began it.
 */
#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ledger_table {
	TABLE_META,
	TABLE_OFFERS,
	TABLE_OFFER_IDS,
	TABLE_CLAIMS,
	TABLE_CLAIM_IDS,
	TABLE_DUE,
	TABLE_PAYMENTS,
	TABLE_HEIGHTS,
	TABLE_LEDGER,
	TABLE_NODES,
	TABLE_EVENTS,
	TABLES_COUNT,
};

struct ledger_db {
	MDB_env *env;
	MDB_dbi dbi[TABLES_COUNT];
	int lock_fd; /* -1: not held */
};

/*
 * Open, creating folder and tables when absent unless `is_read_only`. `why`
 * gets a sentence. 0, ERR_EXISTS (in use), ERR_IO, ERR_CORRUPT,
 * ERR_UNSUPPORTED (another schema), ERR_NOTFOUND (read only, nothing there).
 */
int ledger_db_open(struct ledger_db *db, const char *dir, size_t map_bytes,
		   bool is_read_only, char *why, size_t why_size);
void ledger_db_close(struct ledger_db *db);
/*
 * Let go of what processes held that read the environment and died: their
 * snapshot would keep it from using its free pages.
 */
void ledger_db_forget_dead(struct ledger_db *db);

struct ledger_tx {
	struct ledger_db *db;
	MDB_txn *txn;
	int err; /* the first one */
	bool has_written;
};

/* 0, ERR_NOMEM or ERR_IO; on failure there is nothing to end. */
int ledger_tx_begin(struct ledger_tx *tx, struct ledger_db *db,
		    bool is_read_only);
/* 0 or what was wrong, before or at the commit; ended in either case. */
int ledger_tx_commit(struct ledger_tx *tx);
void ledger_tx_abort(struct ledger_tx *tx);

/* False: not there, or an error. The value is valid until the next write. */
bool ledger_tx_get(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, MDB_val *value);
void ledger_tx_put(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, const void *value,
		   size_t size);
/* The same; that it exists already is an error, ERR_EXISTS. */
void ledger_tx_add(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size, const void *value,
		   size_t size);
/* That it is not there is an error, ERR_CORRUPT. */
void ledger_tx_del(struct ledger_tx *tx, enum ledger_table table,
		   const void *key, size_t key_size);
size_t ledger_tx_count(struct ledger_tx *tx, enum ledger_table table);

/* A walk upwards from the first key not below `from`. */
struct ledger_walk {
	struct ledger_tx *tx;
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val value;
	bool has_begun;
};
void ledger_walk_init(struct ledger_walk *walk, struct ledger_tx *tx,
		      enum ledger_table table, const void *from, size_t size);
/* False at the end or on an error of the transaction. */
bool ledger_walk_next(struct ledger_walk *walk);
void ledger_walk_release(struct ledger_walk *walk);
/* The last key of a table. */
bool ledger_tx_last(struct ledger_tx *tx, enum ledger_table table, MDB_val *key,
		    MDB_val *value);

#endif
