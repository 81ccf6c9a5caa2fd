/*
 * Told to the dynamic linker by LD_PRELOAD, tells which thread works in LMDB: a
 * line «THREAD: FUNCTION» in the file that LMDB_SEEN names for each call that
 * begins a transaction or reads in one.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_MAX_ 16 /* of a thread */

static int out = -1;

__attribute__((constructor)) static void begin(void)
{
	/* No other thread has been started. */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *path = getenv("LMDB_SEEN");

	if (path)
		out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			   0600);
}

/* Write it down, and answer where LMDB has it. */
static void *tell(const char *function)
{
	char name[NAME_MAX_], line[64];
	int len;

	(void)pthread_getname_np(pthread_self(), name, sizeof(name));
	len = snprintf(line, sizeof(line), "%s: %s\n", name, function);
	if (write(out, line, (size_t)len) != len)
		abort();
	return dlsym(RTLD_NEXT, function);
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	int (*next)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);

	*(void **)&next = tell("mdb_txn_begin");
	return next(env, parent, flags, txn);
}

int mdb_txn_renew(MDB_txn *txn)
{
	int (*next)(MDB_txn *);

	*(void **)&next = tell("mdb_txn_renew");
	return next(txn);
}

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	int (*next)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *);

	*(void **)&next = tell("mdb_get");
	return next(txn, dbi, key, data);
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
		   MDB_cursor_op op)
{
	int (*next)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op);

	*(void **)&next = tell("mdb_cursor_get");
	return next(cursor, key, data, op);
}
