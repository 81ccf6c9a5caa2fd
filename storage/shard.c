#include "storage/shard.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/clock.h"
#include "core/err.h"

#define IDLE_WAIT_MS    500u
#define BUSY_WAIT_MS    10u /* while something waits for its last reader */
#define PROBE_AFTER_MS  1000u
#define MINUTE_MS       60000u
#define LINGER_NS       50000
#define PART_OVERHEAD   64u /* what an envelope's bookkeeping counts for */
#define NAME_MAX_SIZE   64
#define SLICES_KEPT     16u /* of a shard, at least, below the bound on bytes */
#define SLICE_BYTES_MIN (1u << 20) /* so small a bound is overstepped */

unsigned shard_of(struct topic topic, unsigned shards)
{
	return (unsigned)(XXH3_64bits(topic.bytes, TOPIC_SIZE) % shards);
}

/* ---- failures ---- */

static int failure_class(int err, int code)
{
	if (err == ERR_NOMEM || code == ENOSPC || code == EDQUOT ||
	    code == EFBIG || code == EMFILE || code == ENFILE || code == ENOMEM)
		return SHARD_WAITING;
	return SHARD_BROKEN;
}

/* kind (8) ‖ shard (8) ‖ code (16) ‖ start of the slice (32) */
static uint64_t failure_pack(int state, unsigned shard, int code,
			     uint32_t start_s)
{
	return (uint64_t)state << 56 | (uint64_t)shard << 48 |
	       (uint64_t)(uint16_t)code << 32 | start_s;
}

void shard_note_failure(struct shard *shard, const struct slice *slice, int err,
			int code)
{
	uint32_t start_s = slice ? slice->ident.start_s : 0;
	int state = failure_class(err, code);
	uint64_t none = 0;

	if (atomic_load(&shard->state) != SHARD_BROKEN)
		atomic_store(&shard->state, state);
	shard->probe_ms = clock_mono_ms() + PROBE_AFTER_MS;
	if (code == 0)
		code = err;
	atomic_compare_exchange_strong(
		&shard->common->failure, &none,
		failure_pack(state, shard->index, code, start_s));
}

static void failure_over(struct shard *shard)
{
	uint64_t failure = atomic_load(&shard->common->failure);

	atomic_store(&shard->state, SHARD_OK);
	if ((failure >> 48 & 0xff) == shard->index)
		atomic_compare_exchange_strong(&shard->common->failure,
					       &failure, 0);
}

void shard_failure_text(const struct shard_common *common, char *out,
			size_t size)
{
	uint64_t failure = atomic_load(&common->failure);
	int code = (int16_t)(failure >> 32);
	char reason[96];

	out[0] = '\0';
	if (failure == 0)
		return;
	if (code > 0)
		(void)snprintf(reason, sizeof(reason), "%s",
			       strerrordesc_np(code) ? strerrordesc_np(code)
						     : "unknown error");
	else
		(void)snprintf(reason, sizeof(reason), "%s (%d)",
			       code > -100 ? err_str(code) : "database error",
			       code);
	(void)snprintf(
		out, size, "shard %u cannot write the slice from %u: %s; %s",
		(unsigned)(failure >> 48 & 0xff), (unsigned)failure, reason,
		failure >> 56 == SHARD_WAITING
			? "it takes envelopes again when there is room"
			: "check the device, then restart");
}

/* ---- the list of slices ---- */

struct shard_retired {
	struct shard_retired *next;
	uint64_t stamp;
	struct slice *slice;     /* or NULL */
	struct slice_list *list; /* or NULL */
};

static void retire(struct shard *shard, struct slice *slice,
		   struct slice_list *list)
{
	struct shard_retired *r = malloc(sizeof(*r));

	if (!r) /* it cannot be freed safely, so it stays */
		return;
	r->stamp = readers_stamp(&shard->common->readers);
	r->slice = slice;
	r->list = list;
	r->next = shard->retired;
	shard->retired = r;
}

static void release_retired(struct shard *shard, bool is_alone)
{
	struct shard_retired **at = &shard->retired;

	while (*at) {
		struct shard_retired *r = *at;

		if (!is_alone &&
		    !readers_is_past(&shard->common->readers, r->stamp)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		slice_close(r->slice);
		free(r->list);
		free(r);
	}
}

static int compare_idents(const struct slice_ident *a,
			  const struct slice_ident *b)
{
	if (a->start_s != b->start_s)
		return a->start_s < b->start_s ? -1 : 1;
	return (a->part > b->part) - (a->part < b->part);
}

static struct slice_list *list_new(unsigned count)
{
	struct slice_list *list =
		malloc(sizeof(*list) + (size_t)count * sizeof(struct slice *));

	if (list)
		list->count = count;
	return list;
}

static int list_add(struct shard *shard, struct slice *slice)
{
	struct slice_list *old = atomic_load(&shard->list);
	struct slice_list *list = list_new(old->count + 1);
	unsigned at = old->count;

	if (!list)
		return ERR_NOMEM;
	while (at > 0 &&
	       compare_idents(&old->slices[at - 1]->ident, &slice->ident) > 0)
		at--;
	for (unsigned i = 0; i < at; i++)
		list->slices[i] = old->slices[i];
	list->slices[at] = slice;
	for (unsigned i = at; i < old->count; i++)
		list->slices[i + 1] = old->slices[i];
	for (unsigned i = 1; i < list->count; i++)
		if (list->slices[i - 1]->ident.start_s ==
		    list->slices[i]->ident.start_s)
			list->slices[i - 1]->is_full = true;
	atomic_store(&shard->list, list);
	retire(shard, NULL, old);
	return 0;
}

static int list_remove(struct shard *shard, struct slice *slice)
{
	struct slice_list *old = atomic_load(&shard->list);
	struct slice_list *list = list_new(old->count - 1);
	unsigned to = 0;

	if (!list)
		return ERR_NOMEM;
	for (unsigned i = 0; i < old->count; i++)
		if (old->slices[i] != slice)
			list->slices[to++] = old->slices[i];
	assert(to == list->count);
	atomic_store(&shard->list, list);
	retire(shard, slice, old);
	return 0;
}

/* ---- files ---- */

static void slice_name(char out[static NAME_MAX_SIZE], uint32_t start_s,
		       uint32_t part)
{
	if (part == 0)
		(void)snprintf(out, NAME_MAX_SIZE, "slice-%u.mdb", start_s);
	else
		(void)snprintf(out, NAME_MAX_SIZE, "slice-%u-%u.mdb", start_s,
			       part);
}

static bool slice_name_decode(const char *name, struct slice_ident *ident)
{
	char again[NAME_MAX_SIZE];

	ident->part = 0;
	if (sscanf(name, "slice-%u-%u.mdb", &ident->start_s, &ident->part) < 1)
		return false;
	slice_name(again, ident->start_s, ident->part);
	return strcmp(again, name) == 0;
}

static void slice_path(const struct shard *shard, const char *name,
		       char out[static SLICE_PATH_MAX])
{
	(void)snprintf(out, SLICE_PATH_MAX, "%s/%s", shard->dir, name);
}

static void sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static void remove_lock_of(const char *path)
{
	char lock[SLICE_PATH_MAX + 8];

	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	(void)unlink(lock);
}

/* To quarantine/shard-NNN-<name>, or .1, .2 … behind it if that is taken. */
static void quarantine(struct shard *shard, const char *name)
{
	char from[SLICE_PATH_MAX], to[SLICE_PATH_MAX + 64];

	slice_path(shard, name, from);
	/* Whoever cleared up may have taken the folder, too. */
	(void)snprintf(to, sizeof(to), "%s/quarantine", shard->common->dir);
	(void)mkdir(to, 0700);
	for (unsigned i = 0; i < 1000; i++) {
		int len =
			snprintf(to, sizeof(to), "%s/quarantine/shard-%03u-%s",
				 shard->common->dir, shard->index, name);

		if (i > 0)
			(void)snprintf(to + len, sizeof(to) - (size_t)len,
				       ".%u", i);
		if (access(to, F_OK) != 0)
			break;
	}
	(void)rename(from, to);
	remove_lock_of(from);
	if (shard->common->config.set_aside)
		shard->common->config.set_aside(from, to);
}

void shard_mark_damaged(struct shard_common *common, struct slice *slice)
{
	if (!atomic_exchange(&slice->is_damaged, true))
		atomic_fetch_add(&common->quarantined, 1);
}

void shard_set_aside(struct shard *shard, struct slice *slice)
{
	char name[NAME_MAX_SIZE];

	if (list_remove(shard, slice))
		return;
	slice_name(name, slice->ident.start_s, slice->ident.part);
	quarantine(shard, name);
}

static void remove_slice(struct shard *shard, struct slice *slice)
{
	if (list_remove(shard, slice))
		return;
	(void)unlink(slice->path);
	remove_lock_of(slice->path);
	atomic_fetch_add(&shard->common->removed, 1);
}

static struct slice_ident ident_of(const struct shard *shard, uint32_t start_s,
				   uint32_t part)
{
	const struct archive_config *config = &shard->common->config;

	return (struct slice_ident){.shard = shard->index,
				    .shards = config->shards,
				    .start_s = start_s,
				    .span_s = config->slice_span_s,
				    .part = part};
}

static int slice_make(struct shard *shard, uint32_t start_s, uint32_t part,
		      struct slice **out)
{
	struct slice_ident ident = ident_of(shard, start_s, part);
	char name[NAME_MAX_SIZE], path[SLICE_PATH_MAX];
	int err;

	slice_name(name, start_s, part);
	slice_path(shard, name, path);
	err = slice_open(path, &ident, shard->common->config.map_bytes,
			 SLICE_READS, true, out);
	if (err)
		return err;
	sync_dir(shard->dir);
	err = list_add(shard, *out);
	if (err)
		slice_close(*out);
	return err;
}

static bool is_usable(const struct slice *slice)
{
	return !atomic_load(&slice->is_doomed) &&
	       !atomic_load(&slice->is_damaged);
}

/* Take what is past or damaged out of the list; then its name is free. */
static void sweep(struct shard *shard)
{
	const struct slice_list *list = atomic_load(&shard->list);

	for (unsigned i = list->count; i > 0; i--) {
		struct slice *slice = list->slices[i - 1];

		if (is_usable(slice))
			continue;
		if (atomic_load(&slice->is_damaged))
			shard_set_aside(shard, slice);
		else
			remove_slice(shard, slice);
		list = atomic_load(&shard->list);
	}
}

uint64_t shard_slice_bytes_max(const struct archive_config *config)
{
	uint64_t map = config->map_bytes / 4 * 3;
	uint64_t part = config->retention_bytes / config->shards / SLICES_KEPT;

	if (part < SLICE_BYTES_MIN)
		part = SLICE_BYTES_MIN;
	return config->retention_bytes == 0 || part > map ? map : part;
}

int shard_slice_for(struct shard *shard, uint32_t sent, struct slice **out)
{
	uint32_t span_s = shard->common->config.slice_span_s;
	uint32_t start_s = sent - sent % span_s, part = 0;
	const struct slice_list *list;

	sweep(shard);
	list = atomic_load(&shard->list);
	for (unsigned i = 0; i < list->count; i++) {
		struct slice *slice = list->slices[i];

		if (slice->ident.start_s != start_s)
			continue;
		part = slice->ident.part + 1;
		if (!slice->is_full) {
			*out = slice;
			return 0;
		}
	}
	return slice_make(shard, start_s, part, out);
}

static void count_bytes(struct shard *shard)
{
	const struct slice_list *list = atomic_load(&shard->list);
	uint64_t bytes = 0;

	for (unsigned i = 0; i < list->count; i++)
		if (!atomic_load(&list->slices[i]->is_doomed))
			bytes += atomic_load_explicit(&list->slices[i]->bytes,
						      memory_order_relaxed);
	atomic_store_explicit(&shard->bytes, bytes, memory_order_relaxed);
}

/* ---- opening ---- */

static int open_file(struct shard *shard, const char *name)
{
	struct slice_ident ident = ident_of(shard, 0, 0), named;
	char path[SLICE_PATH_MAX];
	struct slice *slice;
	int err;

	if (!slice_name_decode(name, &named))
		return 0;
	ident.start_s = named.start_s;
	ident.part = named.part;
	slice_path(shard, name, path);
	err = slice_open(path, &ident, shard->common->config.map_bytes,
			 SLICE_READS, false, &slice);
	if (err == ERR_NOTFOUND) { /* power failed while it was made */
		(void)unlink(path);
		remove_lock_of(path);
		return 0;
	}
	if (err == ERR_CORRUPT) {
		if (shard->common->damaged)
			shard->common->damaged(shard->common->damaged_ctx,
					       path);
		if (!shard->common->keeps_damaged) {
			atomic_fetch_add(&shard->common->quarantined, 1);
			quarantine(shard, name);
		}
		return 0;
	}
	if (!err) {
		err = list_add(shard, slice);
		if (err)
			slice_close(slice);
	}
	return err;
}

static int open_files(struct shard *shard)
{
	DIR *dir = opendir(shard->dir);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return ERR_IO;
	while (!err && (entry = readdir(dir)) != NULL) /* NOLINT: own DIR */
		err = open_file(shard, entry->d_name);
	closedir(dir);
	return err;
}

int shard_open(struct shard *shard, struct shard_common *common, unsigned index,
	       char *why, size_t why_size)
{
	struct slice_list *empty = list_new(0);
	int err;

	if (!empty)
		return ERR_NOMEM;
	shard->common = common;
	shard->index = index;
	atomic_init(&shard->list, empty);
	mailbox_init(&shard->box, UINT32_MAX / 2, NULL, NULL);
	run_builder_init(&shard->builder);
	shard->waiting_end = &shard->waiting;
	(void)snprintf(shard->dir, sizeof(shard->dir), "%s/shard-%03u",
		       common->dir, index);
	if (mkdir(shard->dir, 0700) == 0)
		sync_dir(common->dir);
	err = open_files(shard);
	release_retired(shard, true);
	count_bytes(shard);
	if (err)
		(void)snprintf(
			why, why_size,
			"%s: cannot open its slices (%s); check access, the "
			"limit of open files and memory",
			shard->dir, err_str(err));
	return err;
}

void shard_close(struct shard *shard)
{
	struct slice_list *list = atomic_load(&shard->list);

	if (!shard->common)
		return;
	release_retired(shard, true);
	for (unsigned i = 0; list && i < list->count; i++)
		slice_close(list->slices[i]);
	free(list);
	free(shard->refs);
	run_builder_release(&shard->builder);
}

/* ---- putting ---- */

int shard_reserve(struct shard *shard, size_t bytes, uint32_t envelopes)
{
	uint64_t more = bytes + (uint64_t)envelopes * PART_OVERHEAD;
	uint64_t before;

	if (atomic_load(&shard->state) != SHARD_OK)
		return ERR_IO;
	before = atomic_fetch_add(&shard->queued_bytes, more);
	if (before > 0 &&
	    before + more > shard->common->config.queue_bytes_max) {
		atomic_fetch_sub(&shard->queued_bytes, more);
		return ERR_FULL;
	}
	atomic_fetch_add_explicit(&shard->queued_envelopes, envelopes,
				  memory_order_relaxed);
	return 0;
}

void shard_unreserve(struct shard *shard, size_t bytes, uint32_t envelopes)
{
	atomic_fetch_sub(&shard->queued_bytes,
			 bytes + (uint64_t)envelopes * PART_OVERHEAD);
	atomic_fetch_sub_explicit(&shard->queued_envelopes, envelopes,
				  memory_order_relaxed);
}

void shard_put(struct shard *shard, struct batch_part *part)
{
	mailbox_put_always(&shard->box, &part->letter);
}

/* ---- the writer ---- */

static void complete(struct archive_batch_state *state)
{
	struct archive_batch *batch = state->batch;

	if (atomic_fetch_sub(&state->pending, 1) != 1)
		return;
	batch->err = atomic_load(&state->err);
	batch->stored = atomic_load(&state->stored);
	batch->state = NULL;
	free(state);
	batch->done(batch);
}

static void complete_parts(struct shard *shard, struct letter *parts, int err)
{
	while (parts) {
		struct batch_part *part = (struct batch_part *)(void *)parts;
		struct archive_batch_state *state = part->state;
		int none = 0;

		parts = parts->next;
		if (err)
			atomic_compare_exchange_strong(&state->err, &none, err);
		atomic_fetch_add(&state->stored, part->stored);
		shard_unreserve(shard, part->bytes, part->count);
		complete(state);
	}
}

static size_t bytes_of_letter(const struct letter *l)
{
	return ((const struct batch_part *)(const void *)l)->bytes;
}

/* Move what has come to the end of what waits. Returns whether there was. */
static bool take_letters(struct shard *shard)
{
	struct letter *letters = mailbox_take_all(&shard->box);

	if (!letters)
		return false;
	*shard->waiting_end = letters;
	while (*shard->waiting_end) {
		shard->waiting_bytes += bytes_of_letter(*shard->waiting_end);
		shard->waiting_parts++;
		shard->waiting_end = &(*shard->waiting_end)->next;
	}
	return true;
}

/* Is there as much as the last time, or enough anyway? */
static bool is_group_full(const struct shard *shard)
{
	return shard->waiting_parts >= shard->company ||
	       shard->waiting_bytes >=
		       shard->common->config.group_bytes_max / 4;
}

static void pause_ns(uint64_t ns)
{
	const struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000),
				       .tv_nsec = (long)(ns % 1000000000)};

	nanosleep(&pause, NULL);
}

/*
 * When the last group had several senders they are likely to send again now
 * that they were answered: wait for as many. They take about as long as they
 * did lately, so most of that is slept through in one piece: each look costs
 * two switches of context.
 */
static void linger(struct shard *shard)
{
	uint64_t from_ns = clock_mono_ns(), now_ns = from_ns, spent_ns = 0;
	uint64_t until_ns =
		from_ns + shard->common->config.group_wait_us * UINT64_C(1000);
	uint64_t sleep_ns = shard->gather_ns / 8 * 7;

	if (shard->company <= 1 || is_group_full(shard))
		return;
	while (!is_group_full(shard) && now_ns < until_ns) {
		if (sleep_ns < LINGER_NS)
			sleep_ns = LINGER_NS;
		if (sleep_ns > until_ns - now_ns)
			sleep_ns = until_ns - now_ns;
		pause_ns(sleep_ns);
		(void)take_letters(shard);
		now_ns = clock_mono_ns();
		/* In time at the first look: perhaps long before. */
		spent_ns = spent_ns ? now_ns - from_ns : sleep_ns / 8 * 7;
		sleep_ns = LINGER_NS;
	}
	shard->gather_ns = (shard->gather_ns * 3 + spent_ns) / 4;
}

/* Cut the first letters off, up to the size of a group; at least one. */
static struct letter *take_group(struct shard *shard)
{
	struct letter *group = shard->waiting, **end = &shard->waiting;
	size_t bytes = 0;
	unsigned parts = 0;

	while (*end) {
		size_t more = bytes_of_letter(*end);

		if (parts > 0 &&
		    bytes + more > shard->common->config.group_bytes_max)
			break;
		bytes += more;
		end = &(*end)->next;
		parts++;
	}
	shard->waiting = *end;
	*end = NULL;
	if (!shard->waiting)
		shard->waiting_end = &shard->waiting;
	shard->waiting_bytes -= bytes;
	shard->waiting_parts -= parts;
	shard->company = parts;
	return group;
}

static void commit_waiting(struct shard *shard)
{
	struct letter *group;
	int err = ERR_IO;

	linger(shard);
	group = take_group(shard);
	if (atomic_load(&shard->state) == SHARD_OK)
		err = group_commit(shard, group);
	complete_parts(shard, group, err);
}

static void try_again(struct shard *shard)
{
	const struct slice_list *list = atomic_load(&shard->list);
	struct slice *newest = NULL;
	uint64_t now_ms = clock_mono_ms();

	if (atomic_load(&shard->state) != SHARD_WAITING ||
	    now_ms < shard->probe_ms)
		return;
	shard->probe_ms = now_ms + PROBE_AFTER_MS;
	for (unsigned i = 0; i < list->count; i++)
		if (is_usable(list->slices[i]))
			newest = list->slices[i];
	if (!newest || slice_probe(newest) == 0)
		failure_over(shard);
}

static void each_minute(struct shard *shard)
{
	const struct slice_list *list = atomic_load(&shard->list);

	for (unsigned i = 0; i < list->count; i++)
		(void)slice_forget_dead(list->slices[i]);
	if (shard->common->minute && shard->index == 0)
		shard->common->minute(shard->common);
}

static void keep_house(struct shard *shard)
{
	uint64_t now_ms = clock_mono_ms();

	if (now_ms >= shard->minute_ms) {
		shard->minute_ms = now_ms + MINUTE_MS;
		each_minute(shard);
	}
	count_bytes(shard);
	if (shard->common->grown)
		shard->common->grown(shard->common);
	sweep(shard);
	release_retired(shard, false);
	try_again(shard);
}

static bool fold(struct shard *shard, bool is_idle)
{
	const struct fold_time now = {.wall_s = clock_wall_s(),
				      .mono_ms = clock_mono_ms()};

	return atomic_load(&shard->state) == SHARD_OK &&
	       fold_one(shard, is_idle, now);
}

static void *writer_main(void *arg)
{
	struct shard *shard = arg;

	for (;;) {
		bool is_ending = atomic_load(&shard->common->is_ending);

		take_letters(shard);
		if (shard->waiting) {
			commit_waiting(shard);
			keep_house(shard);
			(void)fold(shard, false);
			continue;
		}
		if (is_ending)
			return NULL;
		keep_house(shard);
		if (!fold(shard, true))
			mailbox_wait(&shard->box, shard->retired
							  ? BUSY_WAIT_MS
							  : IDLE_WAIT_MS);
	}
}

int shard_start(struct shard *shard)
{
	sigset_t all, before;
	char name[16];
	int rc;

	shard->minute_ms = clock_mono_ms() + MINUTE_MS;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&shard->thread, NULL, writer_main, shard);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return ERR_NOMEM;
	(void)snprintf(name, sizeof(name), "writer-%u", shard->index % 1000);
	pthread_setname_np(shard->thread, name);
	shard->is_started = true;
	return 0;
}

void shard_stop(struct shard *shard)
{
	if (!shard->is_started)
		return;
	mailbox_nudge(&shard->box);
	pthread_join(shard->thread, NULL);
	shard->is_started = false;
}
