#include "storage/archive.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "storage/dir.h"
#include "storage/query.h"
#include "storage/shard.h"

#define EXPIRE_WAIT_MS     5000u
#define DIR_MAX            4096u
#define READERS_CONFIG_MAX 256u
#define MAP_BYTES_MIN      (1u << 20)

struct archive {
	struct shard_common common; /* first: minute() finds us */
	struct shard *shards;
	struct pool *readers;
	int lock;
	atomic_uint putting; /* calls of archive_put() on their way */
};

void archive_config_default(struct archive_config *config)
{
	*config = (struct archive_config){
		.shards = 1,
		.slice_span_s = 86400,
		.retention_s = 30 * 86400,
		.group_bytes_max = 8u << 20,
		.group_wait_us = 200,
		.queue_bytes_max = 64u << 20,
		.map_bytes = (size_t)8 << 30,
		.readers = 2,
		.reads_max = 4096,
	};
}

/* ---- opening ---- */

static int check_config(const struct archive_config *c, char *why,
			size_t why_size)
{
	const char *what = NULL;

	if (!c->dir || strlen(c->dir) == 0 || strlen(c->dir) >= DIR_MAX)
		what = "the archive needs a directory";
	else if (c->shards < 1 || c->shards > SHARDS_MAX)
		what = "shards must be 1 to 256";
	else if (c->slice_span_s == 0)
		what = "the span of a slice must not be 0";
	else if (c->readers < 1 || c->readers > READERS_CONFIG_MAX)
		what = "readers must be 1 to 256";
	else if (c->map_bytes < MAP_BYTES_MIN)
		what = "the map of a slice must have at least 1 MiB";
	else if (c->group_bytes_max == 0 || c->reads_max == 0)
		what = "bounds of groups and reads must not be 0";
	if (!what)
		return 0;
	(void)snprintf(why, why_size, "%s", what);
	return ERR_RANGE;
}

static int check_made_with(const struct archive_config *config, char *why,
			   size_t why_size)
{
	struct dir_made_with made,
		wanted = {.shards = config->shards,
			  .slice_span_s = config->slice_span_s};
	int err = dir_load(config->dir, &made, why, why_size);

	if (err == ERR_NOTFOUND && dir_has_shards(config->dir)) {
		(void)snprintf(
			why, why_size,
			"%s: there are shards but no file ARCHIVE; restore it "
			"or choose another directory",
			config->dir);
		return ERR_UNSUPPORTED;
	}
	if (err == ERR_NOTFOUND)
		return dir_save(config->dir, &wanted, why, why_size);
	if (err)
		return err;
	if (made.shards == wanted.shards &&
	    made.slice_span_s == wanted.slice_span_s)
		return 0;
	(void)snprintf(
		why, why_size,
		"%s: made with %u shards and slices of %u s, not %u and %u; "
		"set these, or export it and import it into a new directory",
		config->dir, made.shards, made.slice_span_s, wanted.shards,
		wanted.slice_span_s);
	return ERR_CONFLICT;
}

static int make_quarantine(const char *dir, char *why, size_t why_size)
{
	char path[DIR_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/quarantine", dir);
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	(void)snprintf(why, why_size, "%s: cannot be created", path);
	return ERR_IO;
}

static int open_shards(struct archive *archive, char *why, size_t why_size)
{
	unsigned count = archive->common.config.shards;
	int err = 0;

	archive->shards = calloc(count, sizeof(*archive->shards));
	if (!archive->shards)
		return ERR_NOMEM;
	for (unsigned i = 0; i < count && !err; i++)
		err = shard_open(&archive->shards[i], &archive->common, i, why,
				 why_size);
	for (unsigned i = 0; i < count && !err; i++)
		err = shard_start(&archive->shards[i]);
	return err;
}

static void expire_by_itself(struct shard_common *common);
static void keep_below(struct shard_common *common);

static int open_all(struct archive *archive, char *why, size_t why_size)
{
	const struct archive_config *config = &archive->common.config;
	int err = dir_lock(config->dir, true, &archive->lock, why, why_size);

	if (!err)
		err = check_made_with(config, why, why_size);
	if (!err)
		err = make_quarantine(config->dir, why, why_size);
	if (!err)
		err = open_shards(archive, why, why_size);
	if (!err)
		err = pool_start("reader", config->readers, config->reads_max,
				 &archive->readers);
	return err;
}

int archive_open(const struct archive_config *config, struct archive **out,
		 char *why, size_t why_size)
{
	struct archive *archive;
	int err;

	why[0] = '\0';
	err = check_config(config, why, why_size);
	if (err)
		return err;
	archive = aligned_alloc(_Alignof(struct archive), sizeof(*archive));
	if (!archive)
		return ERR_NOMEM;
	memset(archive, 0, sizeof(*archive));
	archive->lock = -1;
	archive->common.config = *config;
	archive->common.dir = strdup(config->dir);
	archive->common.config.dir = archive->common.dir;
	archive->common.minute = expire_by_itself;
	archive->common.grown = keep_below;
	readers_init(&archive->common.readers);
	err = archive->common.dir ? open_all(archive, why, why_size)
				  : ERR_NOMEM;
	if (err)
		goto out;
	*out = archive;
	archive = NULL;
out:
	if (err && why[0] == '\0')
		(void)snprintf(why, why_size, "%s: cannot open the archive: %s",
			       config->dir, err_str(err));
	archive_close(archive);
	return err;
}

static void close_shards(struct archive *archive)
{
	if (!archive->shards)
		return;
	for (unsigned i = 0; i < archive->common.config.shards; i++)
		shard_stop(&archive->shards[i]);
	for (unsigned i = 0; i < archive->common.config.shards; i++)
		shard_close(&archive->shards[i]);
	free(archive->shards);
}

void archive_close(struct archive *archive)
{
	if (!archive)
		return;
	atomic_store(&archive->common.is_stopping, true);
	while (atomic_load(&archive->putting) > 0)
		sched_yield();
	atomic_store(&archive->common.is_ending, true);
	if (archive->readers)
		pool_stop(archive->readers);
	close_shards(archive);
	for (unsigned i = 0; i < READERS_MAX; i++)
		query_work_free(archive->common.readers.slots[i].work);
	if (archive->lock >= 0)
		close(archive->lock);
	free(archive->common.dir);
	free(archive);
}

/* ---- putting ---- */

struct split {
	uint32_t counts[SHARDS_MAX];
	size_t bytes[SHARDS_MAX];
	uint32_t part_of[SHARDS_MAX]; /* number of the part */
	uint32_t parts;
};

static void split_count(const struct archive_batch *batch, unsigned shards,
			struct split *split)
{
	memset(split->counts, 0, shards * sizeof(split->counts[0]));
	memset(split->bytes, 0, shards * sizeof(split->bytes[0]));
	split->parts = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		unsigned s = shard_of(batch->items[i].topic, shards);

		if (split->counts[s]++ == 0)
			split->part_of[s] = split->parts++;
		split->bytes[s] += batch->items[i].size;
	}
}

static struct archive_batch_state *state_new(struct archive_batch *batch,
					     unsigned shards,
					     const struct split *split)
{
	struct archive_batch_state *state =
		malloc(sizeof(*state) + split->parts * sizeof(state->parts[0]) +
		       batch->count * sizeof(uint32_t));
	uint32_t *index, *at[SHARDS_MAX];

	if (!state)
		return NULL;
	state->batch = batch;
	atomic_init(&state->pending, split->parts);
	atomic_init(&state->err, 0);
	atomic_init(&state->stored, 0);
	index = (void *)&state->parts[split->parts];
	for (unsigned s = 0; s < shards; s++) {
		if (split->counts[s] == 0)
			continue;
		state->parts[split->part_of[s]] =
			(struct batch_part){.state = state,
					    .index = index,
					    .count = split->counts[s],
					    .bytes = split->bytes[s]};
		at[s] = index;
		index += split->counts[s];
	}
	for (uint32_t i = 0; i < batch->count; i++)
		*at[shard_of(batch->items[i].topic, shards)]++ = i;
	return state;
}

static int reserve_all(struct archive *archive, const struct split *split)
{
	unsigned s = 0, shards = archive->common.config.shards;
	int err = 0;

	for (; s < shards && !err; s++)
		if (split->counts[s] > 0)
			err = shard_reserve(&archive->shards[s],
					    split->bytes[s], split->counts[s]);
	if (!err)
		return 0;
	for (s--; s > 0; s--)
		if (split->counts[s - 1] > 0)
			shard_unreserve(&archive->shards[s - 1],
					split->bytes[s - 1],
					split->counts[s - 1]);
	return err;
}

static int put(struct archive *archive, struct archive_batch *batch)
{
	unsigned shards = archive->common.config.shards;
	struct archive_batch_state *state;
	struct split split;
	int err;

	split_count(batch, shards, &split);
	err = reserve_all(archive, &split);
	if (err)
		return err;
	state = state_new(batch, shards, &split);
	if (!state) {
		for (unsigned s = 0; s < shards; s++)
			if (split.counts[s] > 0)
				shard_unreserve(&archive->shards[s],
						split.bytes[s],
						split.counts[s]);
		return ERR_FULL;
	}
	batch->state = state;
	/* From the last part's putting on the batch may be done and gone. */
	for (unsigned s = 0; s < shards; s++)
		if (split.counts[s] > 0)
			shard_put(&archive->shards[s],
				  &state->parts[split.part_of[s]]);
	return 0;
}

int archive_put(struct archive *archive, struct archive_batch *batch)
{
	int err = ERR_CLOSED;

	batch->err = 0;
	batch->stored = 0;
	batch->state = NULL;
	if (batch->count == 0) {
		batch->done(batch);
		return 0;
	}
	atomic_fetch_add(&archive->putting, 1);
	if (!atomic_load(&archive->common.is_stopping))
		err = put(archive, batch);
	atomic_fetch_sub(&archive->putting, 1);
	return err;
}

/* ---- reading ---- */

int archive_read_now(struct archive *archive, struct archive_step *step)
{
	struct reader *reader = readers_enter(&archive->common.readers);

	assert(step->limit > 0);
	query_step(archive->shards, archive->common.config.shards, reader,
		   step);
	readers_leave(reader);
	return step->err;
}

static void read_job(struct pool_job *job, unsigned worker)
{
	struct archive_step *step =
		(void *)((uint8_t *)job - offsetof(struct archive_step, job));

	(void)worker;
	(void)archive_read_now(step->archive, step);
	step->done(step);
}

int archive_read(struct archive *archive, struct archive_step *step)
{
	step->archive = archive;
	step->job.run = read_job;
	return pool_put(archive->readers, &step->job);
}

/* ---- keeping ---- */

struct kept {
	uint32_t start_s, newest_s;
	uint64_t bytes;
	struct slice *slice;
	bool is_last; /* of its shard */
};

/* By span, and within it by what the slices hold. */
static int compare_kept(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->start_s != y->start_s)
		return x->start_s < y->start_s ? -1 : 1;
	return (x->newest_s > y->newest_s) - (x->newest_s < y->newest_s);
}

static uint32_t list_kept(struct archive *archive, struct kept **out)
{
	uint32_t count = 0, max = 0;

	for (unsigned s = 0; s < archive->common.config.shards; s++)
		max += atomic_load(&archive->shards[s].list)->count;
	*out = calloc(max + 1, sizeof(**out));
	for (unsigned s = 0; *out && s < archive->common.config.shards; s++) {
		const struct slice_list *list =
			atomic_load(&archive->shards[s].list);

		for (unsigned i = 0; i < list->count && count < max; i++) {
			struct slice *slice = list->slices[i];

			if (atomic_load(&slice->is_doomed))
				continue;
			(*out)[count++] = (struct kept){
				.start_s = slice->ident.start_s,
				.newest_s = atomic_load(&slice->newest_s),
				.bytes = atomic_load(&slice->bytes),
				.slice = slice,
				.is_last = i + 1 == list->count};
		}
	}
	if (count > 0)
		qsort(*out, count, sizeof(**out), compare_kept);
	return count;
}

static bool doom(struct slice *slice)
{
	return !atomic_exchange(&slice->is_doomed, true);
}

/*
 * The oldest go first. Of the newest span the slice that a shard is filling
 * stays, since what has just come must not go.
 */
static unsigned mark(const struct archive_config *config, struct kept *kept,
		     uint32_t count, uint32_t now_s)
{
	uint64_t bytes = 0;
	unsigned marked = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += kept[i].bytes;
	for (uint32_t i = 0; i < count; i++) {
		bool is_old = config->retention_s > 0 &&
			      slice_end_s(kept[i].slice) + config->retention_s <
				      now_s;
		bool is_filled = kept[i].is_last &&
				 kept[i].start_s == kept[count - 1].start_s;
		bool is_over = config->retention_bytes > 0 &&
			       bytes > config->retention_bytes && !is_filled;

		if (!is_old && !is_over)
			continue;
		bytes -= kept[i].bytes;
		marked += doom(kept[i].slice);
	}
	return marked;
}

static unsigned expire(struct archive *archive, uint32_t now_s)
{
	struct reader *reader = readers_enter(&archive->common.readers);
	struct kept *kept = NULL;
	uint32_t count = list_kept(archive, &kept);
	unsigned marked =
		kept ? mark(&archive->common.config, kept, count, now_s) : 0;

	free(kept);
	readers_leave(reader);
	if (marked > 0)
		for (unsigned s = 0; s < archive->common.config.shards; s++)
			mailbox_nudge(&archive->shards[s].box);
	return marked;
}

static void expire_by_itself(struct shard_common *common)
{
	(void)expire((struct archive *)(void *)common, clock_wall_s());
}

static void keep_below(struct shard_common *common)
{
	struct archive *archive = (struct archive *)(void *)common;
	uint64_t bytes = 0;

	if (common->config.retention_bytes == 0)
		return;
	for (unsigned s = 0; s < common->config.shards; s++)
		bytes += atomic_load_explicit(&archive->shards[s].bytes,
					      memory_order_relaxed);
	if (bytes > common->config.retention_bytes)
		expire_by_itself(common);
}

static uint32_t slices_doomed(struct archive *archive)
{
	struct reader *reader = readers_enter(&archive->common.readers);
	uint32_t count = 0;

	for (unsigned s = 0; s < archive->common.config.shards; s++) {
		const struct slice_list *list =
			atomic_load(&archive->shards[s].list);

		for (unsigned i = 0; i < list->count; i++)
			count += atomic_load(&list->slices[i]->is_doomed);
	}
	readers_leave(reader);
	return count;
}

unsigned archive_expire(struct archive *archive, uint32_t now_s)
{
	unsigned removed = expire(archive, now_s);
	uint64_t until_ms = clock_mono_ms() + EXPIRE_WAIT_MS;

	/* Until their files are gone; readers of them may go on meanwhile. */
	while (slices_doomed(archive) > 0 && clock_mono_ms() < until_ms)
		nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	return removed;
}

#define MARK_PREFIX "mark-"

static void mark_name(const char *name,
		      char out[static ARCHIVE_MARK_NAME_MAX + 8])
{
	assert(strlen(name) <= ARCHIVE_MARK_NAME_MAX);
	assert(!strpbrk(name, "/."));
	(void)snprintf(out, ARCHIVE_MARK_NAME_MAX + 8, MARK_PREFIX "%s", name);
}

int archive_mark_save(struct archive *archive, const char *name,
		      const char *text)
{
	char file[ARCHIVE_MARK_NAME_MAX + 8];

	mark_name(name, file);
	return dir_mark_save(archive->common.dir, file, text);
}

int archive_mark_load(struct archive *archive, const char *name, char *out,
		      size_t size)
{
	char file[ARCHIVE_MARK_NAME_MAX + 8];

	mark_name(name, file);
	return dir_mark_load(archive->common.dir, file, out, size);
}

static void health_of_slice(const struct slice *slice,
			    struct archive_health *out)
{
	uint64_t envelopes = atomic_load(&slice->envelopes);
	uint32_t oldest = atomic_load(&slice->oldest_s);
	uint32_t newest = atomic_load(&slice->newest_s);

	out->slices++;
	out->envelopes += envelopes;
	out->bytes_on_disk += atomic_load(&slice->bytes);
	if (envelopes == 0)
		return;
	if (out->newest_sent == 0 || oldest < out->oldest_sent)
		out->oldest_sent = oldest;
	if (newest > out->newest_sent)
		out->newest_sent = newest;
}

void archive_health(struct archive *archive, struct archive_health *out)
{
	struct reader *reader = readers_enter(&archive->common.readers);

	memset(out, 0, sizeof(*out));
	for (unsigned s = 0; s < archive->common.config.shards; s++) {
		struct shard *shard = &archive->shards[s];
		const struct slice_list *list = atomic_load(&shard->list);

		out->shards_broken += atomic_load(&shard->state) != SHARD_OK;
		out->commits += atomic_load(&shard->commits);
		out->put_envelopes += atomic_load(&shard->put_envelopes);
		out->queued_envelopes += atomic_load(&shard->queued_envelopes);
		for (unsigned i = 0; i < list->count; i++) {
			struct slice *slice = list->slices[i];

			/* A damaged one is counted, and about to be moved. */
			if (!atomic_load(&slice->is_damaged) &&
			    !atomic_load(&slice->is_doomed))
				health_of_slice(slice, out);
		}
	}
	readers_leave(reader);
	out->is_healthy = out->shards_broken == 0;
	out->slices_quarantined = atomic_load(&archive->common.quarantined);
	shard_failure_text(&archive->common, out->why, sizeof(out->why));
	if (out->why[0] == '\0' && out->slices_quarantined > 0)
		(void)snprintf(out->why, sizeof(out->why),
			       "%u damaged slices were moved to %s/quarantine",
			       out->slices_quarantined, archive->common.dir);
}
