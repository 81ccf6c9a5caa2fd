#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"
#include "storage/archive.h"
#include "storage/dir.h"
#include "storage/shard.h"

#define HASHES_AT_ONCE 256u
#define PROGRESS_EVERY 4096u
#define FINDINGS_MAX   20u /* lines for one slice */

struct fsck {
	FILE *report;
	void (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
	uint64_t done, all; /* envelopes */
	bool is_unsound;
	/* of the slice in hand */
	struct slice *slice;
	unsigned shards;
	unsigned findings;
};

static void find(struct fsck *f, const char *path, const char *what)
{
	f->is_unsound = true;
	f->findings++;
	if (f->findings < FINDINGS_MAX)
		(void)fprintf(f->report, "%s: %s\n", path, what);
	else if (f->findings == FINDINGS_MAX)
		(void)fprintf(f->report, "%s: and more\n", path);
}

static void find_entry(struct fsck *f, const struct run_entry *entry,
		       const char *what)
{
	char hex[2 * ENVELOPE_HASH_SIZE + 1], text[160];

	hex_encode(entry->key + 4, ENVELOPE_HASH_SIZE, hex);
	(void)snprintf(text, sizeof(text), "envelope %s sent %u: %s", hex,
		       be32_load(entry->key), what);
	find(f, f->slice->path, text);
}

/* ---- one run ---- */

struct hashing {
	struct keccak_hash_job jobs[HASHES_AT_ONCE];
	uint8_t hashes[HASHES_AT_ONCE][KECCAK_DIGEST];
	const struct run_entry *entries[HASHES_AT_ONCE];
	uint32_t count;
};

static void check_fields(struct fsck *f, const struct run_entry *entry,
			 const uint8_t *rlp)
{
	struct envelope env;

	if (envelope_decode(rlp, entry->size, &env)) {
		find_entry(f, entry, "does not decode");
		return;
	}
	if (envelope_sent(&env) != be32_load(entry->key))
		find_entry(f, entry, "has another time in its bytes");
	if (memcmp(&env.topic, &entry->topic, TOPIC_SIZE) != 0)
		find_entry(f, entry, "has another topic in its bytes");
	if (shard_of(entry->topic, f->shards) != f->slice->ident.shard)
		find_entry(f, entry, "belongs to another shard");
}

static void check_hashes(struct fsck *f, struct hashing *h)
{
	keccak256_many(h->jobs, h->count);
	for (uint32_t i = 0; i < h->count; i++)
		if (memcmp(h->hashes[i], h->entries[i]->key + 4,
			   ENVELOPE_HASH_SIZE) != 0)
			find_entry(f, h->entries[i], "bytes are damaged");
		else
			check_fields(f, h->entries[i], h->jobs[i].in);
	h->count = 0;
}

static void check_entry(struct fsck *f, struct slice_read *read,
			struct hashing *h, const struct run_entry *entry)
{
	const uint8_t *rlp = slice_read_envelope(read, entry);

	if (!rlp) {
		find_entry(f, entry, "is not where the index says");
		return;
	}
	h->entries[h->count] = entry;
	h->jobs[h->count] = (struct keccak_hash_job){
		.in = rlp, .len = entry->size, .out = h->hashes[h->count]};
	if (++h->count == HASHES_AT_ONCE)
		check_hashes(f, h);
}

static void check_run(struct fsck *f, struct slice_read *read,
		      const struct run_view *run, struct hashing *h)
{
	if (run_view_check(run)) {
		find(f, f->slice->path, "a run's index is damaged");
		return;
	}
	for (uint32_t i = 0; i < run->header->count; i++) {
		if (!slice_covers(f->slice, be32_load(run->entries[i].key)))
			find_entry(f, &run->entries[i],
				   "belongs to another slice");
		check_entry(f, read, h, &run->entries[i]);
		f->done++;
		if (f->progress && f->done % PROGRESS_EVERY == 0)
			f->progress(f->ctx, f->done, f->all);
	}
	check_hashes(f, h);
}

/* ---- one slice ---- */

/* Is any envelope in two runs? Runs are small in number. */
static void check_duplicates(struct fsck *f, struct slice_read *read)
{
	struct slice *slice = f->slice;

	for (unsigned a = 0; a < slice->runs_count; a++)
		for (unsigned b = a + 1; b < slice->runs_count; b++) {
			struct run_view x, y;

			if (slice_read_one(read, &slice->runs[a], &x) ||
			    slice_read_one(read, &slice->runs[b], &y))
				return; /* found before */
			for (uint32_t i = 0; i < x.header->count; i++)
				if (run_find_key(&y, x.entries[i].key))
					find_entry(f, &x.entries[i],
						   "is stored twice");
		}
}

static int check_slice(struct fsck *f)
{
	struct hashing *h = malloc(sizeof(*h));
	struct slice_read read;
	struct run_view run;
	int err = h ? slice_read_begin(f->slice, &read) : ERR_NOMEM;

	if (err) {
		free(h);
		return err;
	}
	h->count = 0;
	err = slice_read_run(&read, true, &run);
	while (!err) {
		check_run(f, &read, &run, h);
		err = slice_read_run(&read, false, &run);
	}
	if (err != ERR_NOTFOUND)
		find(f, f->slice->path, "a run is damaged");
	check_duplicates(f, &read);
	slice_read_end(&read);
	free(h);
	return 0;
}

static int check_shard(struct fsck *f, struct shard *shard, bool repair)
{
	const struct slice_list *list = atomic_load(&shard->list);
	int err = 0;

	for (unsigned i = list->count; i > 0 && !err; i--) {
		f->slice = list->slices[i - 1];
		f->findings = 0;
		err = check_slice(f);
		if (!err && f->findings > 0 && repair) {
			(void)fprintf(f->report, "%s: moved to quarantine/\n",
				      f->slice->path);
			shard_set_aside(shard, f->slice);
			list = atomic_load(&shard->list);
		}
	}
	return err;
}

/* ---- the whole ---- */

struct tools {
	struct shard_common common;
	struct shard shards[SHARDS_MAX];
};

static void note_damaged_file(void *ctx, const char *path)
{
	struct fsck *f = ctx;

	f->findings = 0;
	find(f, path, "not a sound slice file");
}

static uint64_t count_all(const struct tools *t)
{
	uint64_t all = 0;

	for (unsigned s = 0; s < t->common.config.shards; s++) {
		const struct slice_list *list = atomic_load(&t->shards[s].list);

		for (unsigned i = 0; i < list->count; i++)
			all += atomic_load(&list->slices[i]->envelopes);
	}
	return all;
}

static int check_all(struct fsck *f, struct tools *t, bool repair)
{
	unsigned count = t->common.config.shards;
	char why[256] = "";
	int err = 0;

	for (unsigned s = 0; s < count && !err; s++)
		err = shard_open(&t->shards[s], &t->common, s, why,
				 sizeof(why));
	if (why[0])
		(void)fprintf(f->report, "%s\n", why);
	f->all = err ? 0 : count_all(t);
	for (unsigned s = 0; s < count && !err; s++)
		err = check_shard(f, &t->shards[s], repair);
	if (!err && f->progress)
		f->progress(f->ctx, f->all, f->all);
	for (unsigned s = 0; s < count; s++)
		shard_close(&t->shards[s]);
	return err;
}

static struct tools *tools_new(const char *dir,
			       const struct dir_made_with *made)
{
	struct tools *t = aligned_alloc(_Alignof(struct tools), sizeof(*t));

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	archive_config_default(&t->common.config);
	t->common.config.shards = made->shards;
	t->common.config.slice_span_s = made->slice_span_s;
	t->common.dir = strdup(dir);
	readers_init(&t->common.readers);
	if (t->common.dir)
		return t;
	free(t);
	return NULL;
}

int archive_fsck(const char *dir, bool repair, FILE *report,
		 void (*progress)(void *ctx, uint64_t done, uint64_t all),
		 void *ctx)
{
	struct fsck f = {.report = report, .progress = progress, .ctx = ctx};
	struct dir_made_with made;
	struct tools *t = NULL;
	char why[512] = "";
	int lock = -1, err = dir_lock(dir, false, &lock, why, sizeof(why));

	if (!err)
		err = dir_load(dir, &made, why, sizeof(why));
	if (!err && made.shards > SHARDS_MAX)
		err = ERR_UNSUPPORTED;
	if (err)
		goto out;
	err = ERR_NOMEM;
	t = tools_new(dir, &made);
	if (!t)
		goto out;
	t->common.keeps_damaged = !repair;
	t->common.damaged = note_damaged_file;
	t->common.damaged_ctx = &f;
	f.shards = made.shards;
	err = check_all(&f, t, repair);
	if (!err && f.is_unsound)
		err = ERR_CORRUPT;
	free(t->common.dir);
out:
	if (why[0])
		(void)fprintf(report, "%s\n", why);
	free(t);
	if (lock >= 0)
		close(lock);
	if (err == ERR_NOTFOUND || err == ERR_UNSUPPORTED)
		err = ERR_IO;
	return err;
}
