#include "bench/fill.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "core/clock.h"
#include "core/err.h"

#define AT_ONCE   100000u /* envelopes made in one go */
#define IN_BATCH  2000u
#define IN_FLIGHT 8u
#define SPREAD_S  86400u

struct flight {
	struct archive_batch batch;
	sem_t *sem;
	_Atomic bool is_free;
};

struct filler {
	struct archive *archive;
	struct flight flights[IN_FLIGHT];
	sem_t sem;
};

static void landed(struct archive_batch *batch)
{
	struct flight *flight = (struct flight *)(void *)batch;

	if (batch->err)
		bench_fail("filling the archive failed: %s",
			   err_str(batch->err));
	flight->is_free = true;
	(void)sem_post(flight->sem);
}

static void wait_one(struct filler *f)
{
	while (sem_wait(&f->sem) != 0)
		;
}

static struct flight *take(struct filler *f)
{
	wait_one(f);
	for (unsigned i = 0;; i = (i + 1) % IN_FLIGHT)
		if (f->flights[i].is_free)
			return &f->flights[i];
}

static void put(struct filler *f, const struct archive_item *items,
		uint32_t count)
{
	for (uint32_t at = 0; at < count; at += IN_BATCH) {
		struct flight *flight = take(f);

		flight->is_free = false;
		flight->batch = (struct archive_batch){
			.items = items + at,
			.count = count - at < IN_BATCH ? count - at : IN_BATCH,
			.done = landed};
		if (archive_put(f->archive, &flight->batch))
			bench_fail("the archive takes no envelopes");
	}
	/* All are on the disk, so that the bytes may go. */
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		wait_one(f);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		(void)sem_post(&f->sem);
}

static void open_filler(struct filler *f, const char *datadir)
{
	struct archive_config config;
	char why[256], dir[BENCH_PATH_MAX];

	archive_config_default(&config);
	(void)snprintf(dir, sizeof(dir), "%s/archive", datadir);
	config.dir = dir;
	config.retention_s = 0;
	if (archive_open(&config, &f->archive, why, sizeof(why)))
		bench_fail("%s", why);
	(void)sem_init(&f->sem, 0, IN_FLIGHT);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		f->flights[i].sem = &f->sem;
		f->flights[i].is_free = true;
	}
}

void fill_archive_from(const char *datadir, const struct corpus *corpus)
{
	struct archive_item *items = corpus_items(corpus);
	struct filler f = {0};

	open_filler(&f, datadir);
	put(&f, items, corpus->config.count);
	archive_close(f.archive);
	free(items);
}

void fill_archive(const char *datadir, uint32_t count, uint64_t seed)
{
	uint32_t end_s = clock_wall_s() - 1, begin_s = end_s - SPREAD_S;
	struct filler f = {0};

	open_filler(&f, datadir);
	for (uint64_t at = 0; at < count; at += AT_ONCE) {
		uint32_t n =
			count - at < AT_ONCE ? (uint32_t)(count - at) : AT_ONCE;
		struct corpus_config config;
		struct archive_item *items;
		struct corpus corpus;

		corpus_config_default(&config, n);
		config.seed = seed * 100003u + at;
		config.first_s = begin_s + (uint32_t)(SPREAD_S * at / count);
		config.last_s =
			begin_s + (uint32_t)(SPREAD_S * (at + n) / count);
		corpus_make(&corpus, &config);
		items = corpus_items(&corpus);
		put(&f, items, n);
		free(items);
		corpus_release(&corpus);
	}
	archive_close(f.archive);
}
