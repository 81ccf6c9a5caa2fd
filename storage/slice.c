#include "storage/slice.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"
#include "storage/slice_check.h"

#define IDENT_MAGIC  0x31306c7372747372ull /* "rstrsl01" */
#define PROBE_SIZE   65536
#define ROOM_SHORT   (32u << 20)
#define KEY_SIZE_MAX 6

/*
 * Where chunks lie. A chunk does not move while it lives, so that its address
 * is found here without a descent; ids are not used twice. A slot is its
 * distance from `origin` in pages << 32 | its size; 0 if not known.
 */
#define ADDR_BLOCK  1024u
#define ADDR_BLOCKS 4096u
#define PAGE_HEADER 16u /* before the bytes of a value on its own pages */

struct addr_block {
	_Atomic uint64_t slots[ADDR_BLOCK];
};

struct slice_db {
	MDB_env *env;
	MDB_dbi dbi;
	const uint8_t *origin; /* some page in the map */
	unsigned page_size;
	/* the writer's */
	MDB_txn *txn;
	uint32_t chunk_next, run_next;
	uint32_t chunk_first_new;   /* of this transaction */
	struct slice_run *runs_new; /* as `runs` will be after the commit */
	unsigned runs_new_count, runs_new_max;
	uint64_t envelopes_new;
	uint32_t oldest_new, newest_new;
	int last_errno;
	_Atomic(struct addr_block *) addr[ADDR_BLOCKS];
};

struct ident_value {
	uint64_t magic;
	struct slice_ident ident;
};

/* ---- errors and keys ---- */

static int err_of(struct slice_db *db, int rc)
{
	if (rc == 0)
		return 0;
	db->last_errno = rc;
	switch (rc) {
	case MDB_MAP_FULL:
		return ERR_FULL;
	case MDB_NOTFOUND:
		return ERR_NOTFOUND;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
	case MDB_CURSOR_FULL:
		return ERR_CORRUPT;
	case ENOMEM:
		return ERR_NOMEM;
	default: /* the system's and the rest of LMDB's */
		return ERR_IO;
	}
}

/* LMDB says EIO for a short write, which is how a full disk begins. */
static bool is_room_short(const char *path)
{
	struct statvfs vfs;
	struct rlimit limit;
	struct stat st;

	if (statvfs(path, &vfs) == 0 &&
	    (uint64_t)vfs.f_bavail * vfs.f_frsize < ROOM_SHORT)
		return true;
	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       limit.rlim_cur != RLIM_INFINITY && stat(path, &st) == 0 &&
	       (uint64_t)st.st_size + ROOM_SHORT > limit.rlim_cur;
}

int slice_write_errno(const struct slice *slice)
{
	int code = slice->db->last_errno;

	return code == EIO && is_room_short(slice->path) ? ENOSPC : code;
}

static MDB_val chunk_key(uint8_t out[static KEY_SIZE_MAX], uint32_t id)
{
	out[0] = 'c';
	be32_store(out + 1, id);
	return (MDB_val){.mv_data = out, .mv_size = 5};
}

static MDB_val run_key(uint8_t out[static KEY_SIZE_MAX],
		       const struct slice_run *run)
{
	out[0] = 'r';
	out[1] = run->level;
	be32_store(out + 2, run->id);
	return (MDB_val){.mv_data = out, .mv_size = 6};
}

static MDB_val ident_key(uint8_t out[static KEY_SIZE_MAX])
{
	out[0] = 'i';
	return (MDB_val){.mv_data = out, .mv_size = 1};
}

uint64_t slice_end_s(const struct slice *slice)
{
	return (uint64_t)slice->ident.start_s + slice->ident.span_s;
}

bool slice_covers(const struct slice *slice, uint32_t sent)
{
	return sent >= slice->ident.start_s && sent < slice_end_s(slice);
}

/* ---- addresses of chunks ---- */

static int addr_set(struct slice_db *db, uint32_t id, const MDB_val *value)
{
	const uint8_t *page = (const uint8_t *)value->mv_data - PAGE_HEADER;
	ptrdiff_t pages = (page - db->origin) / (ptrdiff_t)db->page_size;
	struct addr_block *block;

	if (id / ADDR_BLOCK >= ADDR_BLOCKS || value->mv_size > UINT32_MAX ||
	    (uintptr_t)page % db->page_size != 0 || pages != (int32_t)pages)
		return ERR_CORRUPT;
	block = atomic_load_explicit(&db->addr[id / ADDR_BLOCK],
				     memory_order_relaxed);
	if (!block) {
		block = calloc(1, sizeof(*block));
		if (!block)
			return ERR_NOMEM;
		atomic_store_explicit(&db->addr[id / ADDR_BLOCK], block,
				      memory_order_release);
	}
	atomic_store_explicit(&block->slots[id % ADDR_BLOCK],
			      (uint64_t)(uint32_t)(int32_t)pages << 32 |
				      (uint32_t)value->mv_size,
			      memory_order_release);
	return 0;
}

static uint64_t addr_get(struct slice_db *db, uint32_t id)
{
	struct addr_block *block;

	if (id / ADDR_BLOCK >= ADDR_BLOCKS)
		return 0;
	block = atomic_load_explicit(&db->addr[id / ADDR_BLOCK],
				     memory_order_acquire);
	if (!block)
		return 0;
	return atomic_load_explicit(&block->slots[id % ADDR_BLOCK],
				    memory_order_acquire);
}

/* The commit has made it readable, and the slot may not be filled yet. */
static bool addr_ask(struct slice_read *read, uint32_t id, MDB_val *value)
{
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = chunk_key(bytes, id);

	return mdb_get(read->txn, read->slice->db->dbi, &key, value) == 0;
}

const uint8_t *slice_read_envelope(struct slice_read *read,
				   const struct run_entry *entry)
{
	struct slice_db *db = read->slice->db;
	uint64_t addr = addr_get(db, entry->chunk);
	uint64_t end = (uint64_t)entry->offset + entry->size;
	MDB_val value;

	if (addr != 0) {
		if (end > (uint32_t)addr)
			return NULL;
		return db->origin +
		       (ptrdiff_t)(int32_t)(addr >> 32) * db->page_size +
		       PAGE_HEADER + entry->offset;
	}
	if (!addr_ask(read, entry->chunk, &value) || end > value.mv_size)
		return NULL;
	return (const uint8_t *)value.mv_data + entry->offset;
}

/* ---- opening ---- */

static int write_ident(struct slice *slice)
{
	struct ident_value value = {.magic = IDENT_MAGIC,
				    .ident = slice->ident};
	MDB_val val = {.mv_data = &value, .mv_size = sizeof(value)};
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = ident_key(bytes);
	int err = slice_write_begin(slice);

	if (err)
		return err;
	err = err_of(slice->db,
		     mdb_put(slice->db->txn, slice->db->dbi, &key, &val, 0));
	if (err) {
		slice_write_abort(slice);
		return err;
	}
	return slice_write_end(slice);
}

static int check_ident(const struct slice *slice, const MDB_val *val)
{
	struct ident_value value;

	if (val->mv_size != sizeof(value))
		return ERR_CORRUPT;
	memcpy(&value, val->mv_data, sizeof(value));
	if (value.magic != IDENT_MAGIC ||
	    memcmp(&value.ident, &slice->ident, sizeof(value.ident)) != 0)
		return ERR_CORRUPT;
	return 0;
}

static int runs_reserve(struct slice_run **runs, unsigned *max, unsigned want)
{
	struct slice_run *more;

	if (want <= *max)
		return 0;
	want = want * 2 + 16;
	more = realloc(*runs, want * sizeof(**runs));
	if (!more)
		return ERR_NOMEM;
	*runs = more;
	*max = want;
	return 0;
}

static void see_sent(uint32_t *oldest, uint32_t *newest,
		     const struct run_header *h)
{
	uint32_t low = be32_load(h->min_key), high = be32_load(h->max_key);

	if (*newest == 0 || low < *oldest)
		*oldest = low;
	if (high > *newest)
		*newest = high;
}

static int load_run(struct slice *slice, const MDB_val *key, const MDB_val *val)
{
	const uint8_t *name = key->mv_data;
	struct slice_db *db = slice->db;
	struct slice_run run;
	struct run_view view;
	int err;

	if (key->mv_size != 6 ||
	    run_view_init(val->mv_data, val->mv_size, &view) ||
	    !slice_covers(slice, be32_load(view.header->min_key)) ||
	    !slice_covers(slice, be32_load(view.header->max_key)))
		return ERR_CORRUPT;
	err = runs_reserve(&slice->runs, &slice->runs_max,
			   slice->runs_count + 1);
	if (err)
		return err;
	run = (struct slice_run){.level = name[1],
				 .id = be32_load(name + 2),
				 .count = view.header->count,
				 .chunks = view.header->chunks,
				 .envelope_bytes = view.header->envelope_bytes};
	slice->runs[slice->runs_count++] = run;
	if (run.id >= db->run_next)
		db->run_next = run.id + 1;
	db->envelopes_new += run.count;
	see_sent(&db->oldest_new, &db->newest_new, view.header);
	return 0;
}

static int load_chunk(struct slice *slice, const MDB_val *key,
		      const MDB_val *val)
{
	uint32_t id;

	if (key->mv_size != 5)
		return ERR_CORRUPT;
	id = be32_load((const uint8_t *)key->mv_data + 1);
	if (id >= slice->db->chunk_next)
		slice->db->chunk_next = id + 1;
	return addr_set(slice->db, id, val);
}

static int load_item(struct slice *slice, const MDB_val *key,
		     const MDB_val *val, bool *has_ident)
{
	if (key->mv_size == 0)
		return ERR_CORRUPT;
	switch (*(const char *)key->mv_data) {
	case 'c':
		return load_chunk(slice, key, val);
	case 'r':
		return load_run(slice, key, val);
	case 'i':
		*has_ident = true;
		return check_ident(slice, val);
	default: /* 'p': a probe that was not removed */
		return 0;
	}
}

static void publish_counts(struct slice *slice)
{
	const struct slice_db *db = slice->db;
	struct stat st;

	atomic_store_explicit(&slice->envelopes, db->envelopes_new,
			      memory_order_relaxed);
	atomic_store_explicit(&slice->oldest_s, db->oldest_new,
			      memory_order_relaxed);
	atomic_store_explicit(&slice->newest_s, db->newest_new,
			      memory_order_relaxed);
	if (stat(slice->path, &st) == 0)
		atomic_store_explicit(&slice->bytes,
				      (uint64_t)st.st_blocks * 512,
				      memory_order_relaxed);
}

static int load_all(struct slice *slice)
{
	struct slice_read read;
	bool has_ident = false;
	MDB_val key, val;
	int err = slice_read_begin(slice, &read), rc;

	if (err)
		return err;
	rc = mdb_cursor_get(read.cursor, &key, &val, MDB_FIRST);
	while (rc == 0 && !err) {
		err = load_item(slice, &key, &val, &has_ident);
		if (!err)
			rc = mdb_cursor_get(read.cursor, &key, &val, MDB_NEXT);
	}
	if (!err && rc != MDB_NOTFOUND)
		err = err_of(slice->db, rc);
	if (!err && !has_ident)
		err = ERR_CORRUPT;
	slice_read_end(&read);
	if (!err)
		publish_counts(slice);
	return err;
}

static int open_dbi(struct slice_db *db, bool create)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, NULL, create ? 0 : MDB_RDONLY, &txn);

	if (rc)
		return err_of(db, rc);
	rc = mdb_dbi_open(txn, NULL, 0, &db->dbi);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return err_of(db, rc);
}

static int open_env(struct slice *slice, size_t map_bytes, unsigned reads_max,
		    bool create)
{
	struct slice_db *db = slice->db;
	MDB_stat stat;
	int rc = mdb_env_create(&db->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(db->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(db->env, reads_max);
	if (rc == 0)
		rc = mdb_env_open(db->env, slice->path,
				  MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD,
				  0600);
	if (rc == 0)
		rc = mdb_env_stat(db->env, &stat);
	if (rc)
		return err_of(db, rc);
	db->page_size = stat.ms_psize;
	return open_dbi(db, create);
}

static bool is_empty(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat stat;

	return mdb_stat(txn, dbi, &stat) == 0 && stat.ms_entries == 0;
}

/* The page on which the ident lies, for distances. */
static int find_origin(struct slice_db *db)
{
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = ident_key(bytes), val;
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return err_of(db, rc);
	rc = mdb_get(txn, db->dbi, &key, &val);
	if (rc == 0)
		db->origin = (const uint8_t *)val.mv_data -
			     (uintptr_t)val.mv_data % db->page_size;
	if (rc == MDB_NOTFOUND && !is_empty(txn, db->dbi))
		rc = MDB_CORRUPTED;
	mdb_txn_abort(txn);
	return err_of(db, rc);
}

static struct slice *slice_new(const char *path,
			       const struct slice_ident *ident)
{
	struct slice *slice = calloc(1, sizeof(*slice));

	if (!slice || strlen(path) >= sizeof(slice->path))
		goto fail;
	slice->db = calloc(1, sizeof(*slice->db));
	if (!slice->db)
		goto fail;
	slice->ident = *ident;
	memcpy(slice->path, path, strlen(path) + 1);
	known_init(&slice->known);
	return slice;
fail:
	free(slice);
	return NULL;
}

int slice_open(const char *path, const struct slice_ident *ident,
	       size_t map_bytes, unsigned reads_max, bool create,
	       struct slice **out)
{
	struct slice *slice;
	int err;

	if (!create) {
		err = slice_check_file(path);
		if (err)
			return err;
	}
	slice = slice_new(path, ident);
	if (!slice)
		return ERR_NOMEM;
	err = open_env(slice, map_bytes, reads_max, create);
	if (!err && create)
		err = write_ident(slice);
	if (!err)
		err = find_origin(slice->db);
	if (!err)
		err = load_all(slice);
	if (err)
		goto out;
	slice->is_known_loaded = create;
	*out = slice;
	slice = NULL;
out:
	slice_close(slice);
	return err;
}

void slice_close(struct slice *slice)
{
	if (!slice)
		return;
	slice_write_abort(slice);
	if (slice->db->env)
		mdb_env_close(slice->db->env);
	for (unsigned i = 0; i < ADDR_BLOCKS; i++)
		free(atomic_load_explicit(&slice->db->addr[i],
					  memory_order_relaxed));
	free(slice->db->runs_new);
	free(slice->db);
	free(slice->runs);
	known_release(&slice->known);
	free(slice);
}

/* ---- writing ---- */

/* A larger node than this has pages of its own (me_nodemax in mdb.c). */
size_t slice_value_min(const struct slice *slice)
{
	return slice->db->page_size / 2;
}

int slice_write_begin(struct slice *slice)
{
	struct slice_db *db = slice->db;
	int err;

	assert(!db->txn);
	err = runs_reserve(&db->runs_new, &db->runs_new_max,
			   slice->runs_count + 1);
	if (err)
		return err;
	if (slice->runs_count > 0)
		memcpy(db->runs_new, slice->runs,
		       slice->runs_count * sizeof(*slice->runs));
	db->runs_new_count = slice->runs_count;
	db->chunk_first_new = db->chunk_next;
	db->envelopes_new =
		atomic_load_explicit(&slice->envelopes, memory_order_relaxed);
	db->oldest_new =
		atomic_load_explicit(&slice->oldest_s, memory_order_relaxed);
	db->newest_new =
		atomic_load_explicit(&slice->newest_s, memory_order_relaxed);
	db->last_errno = 0;
	return err_of(db, mdb_txn_begin(db->env, NULL, 0, &db->txn));
}

void slice_write_abort(struct slice *slice)
{
	if (slice->db->txn)
		mdb_txn_abort(slice->db->txn);
	slice->db->txn = NULL;
}

static int abort_on(struct slice *slice, int rc)
{
	int err = err_of(slice->db, rc);

	if (err)
		slice_write_abort(slice);
	return err;
}

int slice_write_chunk(struct slice *slice, size_t size, uint8_t **at,
		      uint32_t *id)
{
	struct slice_db *db = slice->db;
	size_t min = slice_value_min(slice);
	size_t room = size < min ? min : size;
	MDB_val val = {.mv_size = room};
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key;
	int err;

	if (db->chunk_next >= ADDR_BLOCK * ADDR_BLOCKS) {
		slice_write_abort(slice);
		return ERR_FULL;
	}
	*id = db->chunk_next++;
	key = chunk_key(bytes, *id);
	err = abort_on(slice, mdb_put(db->txn, db->dbi, &key, &val,
				      MDB_RESERVE | MDB_NOOVERWRITE));
	if (err)
		return err;
	*at = val.mv_data;
	memset(*at + size, 0, room - size);
	return 0;
}

static int insert_run(struct slice_db *db, const struct slice_run *run)
{
	unsigned at = db->runs_new_count;
	int err = runs_reserve(&db->runs_new, &db->runs_new_max, at + 1);

	if (err)
		return err;
	while (at > 0 && db->runs_new[at - 1].level > run->level) {
		db->runs_new[at] = db->runs_new[at - 1];
		at--;
	}
	db->runs_new[at] = *run;
	db->runs_new_count++;
	return 0;
}

int slice_write_run(struct slice *slice, uint8_t level,
		    const struct run_builder *b, size_t size)
{
	const struct run_header *header = (const void *)b->blob;
	struct slice_db *db = slice->db;
	struct slice_run run = {.level = level,
				.id = db->run_next++,
				.count = header->count,
				.chunks = header->chunks,
				.envelope_bytes = header->envelope_bytes};
	MDB_val val = {.mv_size = size, .mv_data = b->blob};
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = run_key(bytes, &run);
	int err = insert_run(db, &run);

	if (err) {
		slice_write_abort(slice);
		return err;
	}
	db->envelopes_new += run.count;
	see_sent(&db->oldest_new, &db->newest_new, header);
	return abort_on(slice,
			mdb_put(db->txn, db->dbi, &key, &val, MDB_NOOVERWRITE));
}

int slice_drop_run(struct slice *slice, const struct slice_run *run)
{
	struct slice_db *db = slice->db;
	struct slice_run gone = *run;
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = run_key(bytes, &gone);
	unsigned to = 0;

	for (unsigned i = 0; i < db->runs_new_count; i++)
		if (db->runs_new[i].id != gone.id)
			db->runs_new[to++] = db->runs_new[i];
	assert(to + 1 == db->runs_new_count);
	db->runs_new_count = to;
	db->envelopes_new -= gone.count;
	return abort_on(slice, mdb_del(db->txn, db->dbi, &key, NULL));
}

int slice_drop_chunk(struct slice *slice, uint32_t id)
{
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = chunk_key(bytes, id);

	return abort_on(slice,
			mdb_del(slice->db->txn, slice->db->dbi, &key, NULL));
}

/* Best effort: a reader that finds no address asks LMDB. */
static void publish_chunks(struct slice *slice)
{
	struct slice_db *db = slice->db;
	struct slice_read read;

	if (db->chunk_first_new == db->chunk_next ||
	    slice_read_begin(slice, &read))
		return;
	for (uint32_t id = db->chunk_first_new; id < db->chunk_next; id++) {
		MDB_val value;

		if (addr_ask(&read, id, &value))
			(void)addr_set(db, id, &value);
	}
	slice_read_end(&read);
}

int slice_write_end(struct slice *slice)
{
	struct slice_db *db = slice->db;
	struct slice_run *runs = slice->runs;
	unsigned max = slice->runs_max;
	int err;

	assert(db->txn);
	err = err_of(db, mdb_txn_commit(db->txn));
	db->txn = NULL; /* also when it failed */
	if (err)
		return err;
	slice->runs = db->runs_new;
	slice->runs_max = db->runs_new_max;
	slice->runs_count = db->runs_new_count;
	db->runs_new = runs;
	db->runs_new_max = max;
	if (db->origin)
		publish_chunks(slice);
	publish_counts(slice);
	return 0;
}

int slice_probe(struct slice *slice)
{
	uint8_t name = 'p';
	MDB_val key = {.mv_size = 1, .mv_data = &name};
	MDB_val val = {.mv_size = PROBE_SIZE};
	int err = slice_write_begin(slice);

	if (!err)
		err = abort_on(slice, mdb_put(slice->db->txn, slice->db->dbi,
					      &key, &val, MDB_RESERVE));
	if (err)
		return err;
	memset(val.mv_data, 0, PROBE_SIZE);
	err = slice_write_end(slice);
	if (!err)
		err = slice_write_begin(slice);
	if (!err)
		err = abort_on(slice, mdb_del(slice->db->txn, slice->db->dbi,
					      &key, NULL));
	if (!err)
		err = slice_write_end(slice);
	return err;
}

unsigned slice_forget_dead(struct slice *slice)
{
	int dead;

	return mdb_reader_check(slice->db->env, &dead) ? 0 : (unsigned)dead;
}

/* ---- reading ---- */

int slice_read_begin(struct slice *slice, struct slice_read *read)
{
	struct slice_db *db = slice->db;
	int rc;

	read->slice = slice;
	read->cursor = NULL;
	rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &read->txn);
	if (rc)
		return rc == ENOMEM ? ERR_NOMEM : ERR_IO;
	rc = mdb_cursor_open(read->txn, db->dbi, &read->cursor);
	if (rc) {
		mdb_txn_abort(read->txn);
		return rc == ENOMEM ? ERR_NOMEM : ERR_IO;
	}
	return 0;
}

void slice_read_end(struct slice_read *read)
{
	mdb_cursor_close(read->cursor);
	mdb_txn_abort(read->txn);
}

int slice_read_run(struct slice_read *read, bool is_first, struct run_view *out)
{
	uint8_t first = 'r';
	MDB_val key = {.mv_size = 1, .mv_data = &first}, val;
	int rc = mdb_cursor_get(read->cursor, &key, &val,
				is_first ? MDB_SET_RANGE : MDB_NEXT);

	if (rc == MDB_NOTFOUND)
		return ERR_NOTFOUND;
	if (rc || key.mv_size != 6 || *(const char *)key.mv_data != 'r')
		return ERR_CORRUPT;
	return run_view_init(val.mv_data, val.mv_size, out);
}

int slice_read_one(struct slice_read *read, const struct slice_run *run,
		   struct run_view *out)
{
	uint8_t bytes[KEY_SIZE_MAX];
	MDB_val key = run_key(bytes, run), val;

	if (mdb_get(read->txn, read->slice->db->dbi, &key, &val))
		return ERR_CORRUPT;
	return run_view_init(val.mv_data, val.mv_size, out);
}

int slice_read_has(struct slice_read *read, const uint8_t *key)
{
	struct run_view run;
	int err = slice_read_run(read, true, &run);

	while (!err) {
		if (run_find_key(&run, key))
			return 1;
		err = slice_read_run(read, false, &run);
	}
	return err == ERR_NOTFOUND ? 0 : err;
}
