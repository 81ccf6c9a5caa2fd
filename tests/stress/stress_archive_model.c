/*
 * Random archives and random queries against a naive scan, while envelopes
 * are being put, slices expire, and the archive is closed and opened again.
 * What was confirmed before a query began must be given, once, in order and
 * unchanged; what was never put must not.
 *
 * About 3 000 queries; with LONG=1 in the environment 100 000. SEED=n repeats
 * the same archives and queries.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "storage/archive.h"
#include "tests/support/tempdir.h"

#define ITEMS      3000u
#define SIZE_MAX_  700u
#define THREADS    2
#define ROUNDS     6
#define SPAN_S     100u
#define TIME_S     1000u /* most of what is sent lies in it */
#define AGE_S      (4u << 20)
#define TOPICS_MAX 64u
#define OUT_MAX    65536u

#define REQUIRE(cond, ...)                                                     \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__,     \
				#cond);                                        \
			fprintf(stderr, __VA_ARGS__);                          \
			fprintf(stderr, "\n");                                 \
			abort();                                               \
		}                                                              \
	} while (0)

struct random {
	uint64_t state;
};

static uint64_t next(struct random *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return XXH3_64bits(&r->state, sizeof(r->state));
}

static uint32_t below(struct random *r, uint32_t bound)
{
	return (uint32_t)((next(r) >> 32) * bound >> 32);
}

struct world {
	uint64_t seed;
	uint32_t base_s;
	uint32_t topics;
	uint32_t retention_s;
	char dir[TEMPDIR_MAX];
	struct archive_config config;
	struct archive *archive;
	struct archive_item items[ITEMS];
	uint8_t keys[ITEMS][ENVELOPE_KEY_SIZE];
	uint8_t bytes[ITEMS][SIZE_MAX_];
	atomic_bool confirmed[ITEMS];
	atomic_uint submitted;
	_Atomic uint32_t expired_s; /* the latest `now` of an expiry */
	atomic_bool stop_putting;
};

/* ---- what there is ---- */

static uint32_t random_sent(struct world *w, struct random *r)
{
	switch (below(r, 60)) {
	case 0:
		return below(r, 50);
	case 1:
		return UINT32_MAX - below(r, 50);
	case 2:
		return UINT32_MAX;
	default:
		return w->base_s + below(r, TIME_S);
	}
}

static struct topic topic_of(uint32_t number)
{
	struct topic topic;

	/* Bytes all over, so that blooms have something to overwrite. */
	be32_store(topic.bytes, number * 0x9e3779b1u);
	return topic;
}

static void item_make(struct world *w, struct random *r, uint32_t i)
{
	struct archive_item *item = &w->items[i];

	item->size = 8 + below(r, SIZE_MAX_ - 7);
	item->sent = random_sent(w, r);
	item->topic = topic_of(below(r, w->topics));
	item->rlp = w->bytes[i];
	be32_store(w->bytes[i], i);
	for (uint32_t at = 4; at < item->size; at++)
		w->bytes[i][at] = (uint8_t)(i * 31 + at);
	for (unsigned at = 0; at < ENVELOPE_HASH_SIZE; at += 8) {
		uint64_t word = next(r);

		memcpy(item->hash + at, &word, 8);
	}
	envelope_key(item->sent, item->hash, w->keys[i]);
	atomic_store(&w->confirmed[i], false);
}

static void open_it(struct world *w)
{
	char why[256];
	int err = archive_open(&w->config, &w->archive, why, sizeof(why));

	REQUIRE(err == 0, "%s", why);
}

static void world_make(struct world *w, uint64_t seed)
{
	struct random r = {.state = seed};

	w->seed = seed;
	w->topics = 1 + below(&r, TOPICS_MAX);
	tempdir_make(w->dir);
	archive_config_default(&w->config);
	w->retention_s = below(&r, 2) ? 300 : 0;
	w->base_s = clock_wall_s() + 10 * SPAN_S;
	if (w->retention_s == 0 && below(&r, 2))
		w->base_s -= AGE_S; /* folded while nothing is put */
	w->config.dir = w->dir;
	w->config.shards = 1 + below(&r, 4);
	w->config.slice_span_s =
		below(&r, 3) ? SPAN_S : 1 + below(&r, 1u << 20);
	if (w->config.slice_span_s < SPAN_S)
		w->config.slice_span_s = SPAN_S;
	w->config.retention_s = w->retention_s;
	w->config.group_bytes_max = 1u << (9 + below(&r, 12));
	w->config.map_bytes = (1u << 20) << below(&r, 5);
	w->config.readers = 1 + below(&r, 2);
	for (uint32_t i = 0; i < ITEMS; i++)
		item_make(w, &r, i);
	atomic_store(&w->submitted, 0);
	atomic_store(&w->expired_s, 0);
	open_it(w);
}

/* ---- putting ---- */

struct waiting {
	struct archive_batch batch;
	sem_t sem;
};

static void wake(struct archive_batch *batch)
{
	sem_post(&((struct waiting *)(void *)batch)->sem);
}

static void put_and_wait(struct world *w, const struct archive_item *items,
			 uint32_t count)
{
	struct waiting waiting = {
		.batch = {.items = items, .count = count, .done = wake}};
	int err;

	sem_init(&waiting.sem, 0, 0);
	err = archive_put(w->archive, &waiting.batch);
	REQUIRE(err == 0, "put: %s", err_str(err));
	while (sem_wait(&waiting.sem) != 0)
		;
	sem_destroy(&waiting.sem);
	REQUIRE(waiting.batch.err == 0, "commit: %s",
		err_str(waiting.batch.err));
	REQUIRE(waiting.batch.stored <= count, "%u", waiting.batch.stored);
}

static void put_again(struct world *w, struct random *r, uint32_t have)
{
	struct archive_item again[20];
	uint32_t count = 1 + below(r, 20);

	for (uint32_t i = 0; i < count; i++)
		again[i] = w->items[below(r, have)];
	put_and_wait(w, again, count);
}

static void *putter(void *arg)
{
	struct world *w = arg;
	uint32_t at = atomic_load(&w->submitted);
	struct random r = {.state = w->seed ^ at};

	while (at < ITEMS && !atomic_load(&w->stop_putting)) {
		uint32_t count = 1 + below(&r, below(&r, 4) ? 10 : 200);

		if (count > ITEMS - at)
			count = ITEMS - at;
		atomic_store(&w->submitted, at + count);
		put_and_wait(w, w->items + at, count);
		for (uint32_t i = at; i < at + count; i++)
			atomic_store(&w->confirmed[i], true);
		at += count;
		if (below(&r, 3) == 0)
			put_again(w, &r, at);
	}
	return NULL;
}

/* ---- asking ---- */

struct question {
	struct world *w;
	struct archive_query query;
	struct topic topics[TOPICS_MAX];
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE];
	uint32_t limit, item_max, budget_us, pages_max;
	size_t out_max;
	bool through_pool;
	/* what was there before, and what came */
	bool had[ITEMS], given[ITEMS];
	uint32_t submitted;
	uint8_t last[ENVELOPE_KEY_SIZE]; /* key of the last one that came */
	bool has_last;
	uint8_t reached[ENVELOPE_KEY_SIZE]; /* where the last page ended */
	bool is_at_end;
	uint8_t out[OUT_MAX];
};

static uint32_t random_bound(struct world *w, struct random *r)
{
	switch (below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return UINT32_MAX;
	default:
		return random_sent(w, r);
	}
}

static void choose_filter(struct question *q, struct random *r)
{
	struct world *w = q->w;

	q->query.topics = q->topics;
	switch (below(r, 4)) {
	case 0:
		break;
	case 1:
		q->query.has_bloom = true;
		for (uint32_t n = below(r, 6); n > 0; n--)
			bloom_add_deployed(&q->query.bloom,
					   topic_of(below(r, w->topics)));
		if (below(r, 8) == 0)
			memset(&q->query.bloom, 0xff, sizeof(q->query.bloom));
		break;
	default:
		q->query.topics_count =
			1 + below(r, below(r, 4) ? 3 : TOPICS_MAX);
		for (uint32_t i = 0; i < q->query.topics_count; i++)
			q->topics[i] = topic_of(below(r, w->topics + 1));
		break;
	}
}

static void choose_cursor(struct question *q, struct random *r)
{
	uint32_t kind = below(r, 6);

	q->has_cursor = kind < 4;
	if (kind == 0) {
		for (unsigned i = 0; i < ENVELOPE_KEY_SIZE; i++)
			q->cursor[i] = (uint8_t)next(r);
	} else if (kind == 1) {
		memset(q->cursor, below(r, 2) ? 0xff : 0, sizeof(q->cursor));
		be32_store(q->cursor, random_sent(q->w, r));
	} else {
		memcpy(q->cursor, q->w->keys[below(r, ITEMS)],
		       sizeof(q->cursor));
	}
}

static void question_make(struct question *q, struct world *w, struct random *r)
{
	memset(q, 0, offsetof(struct question, out));
	q->w = w;
	q->query.lower_s = random_bound(w, r);
	q->query.upper_s = random_bound(w, r);
	if (below(r, 16) && q->query.lower_s > q->query.upper_s) {
		uint32_t swap = q->query.lower_s;

		q->query.lower_s = q->query.upper_s;
		q->query.upper_s = swap;
	}
	q->query.order =
		below(r, 2) ? ARCHIVE_NEWEST_FIRST : ARCHIVE_OLDEST_FIRST;
	choose_filter(q, r);
	choose_cursor(q, r);
	q->limit = 1 + below(r, below(r, 2) ? 20 : 2000);
	q->out_max = below(r, 4) ? OUT_MAX : 1 + below(r, 2000);
	q->item_max = below(r, 4) ? 0 : 1 + below(r, SIZE_MAX_);
	q->budget_us = below(r, 3) ? 0 : 1;
	q->pages_max = below(r, 3) ? UINT32_MAX : 1 + below(r, 5);
	q->through_pool = below(r, 4) == 0;
}

static bool is_beyond(const struct question *q, const uint8_t *key,
		      const uint8_t *than)
{
	int order = memcmp(key, than, ENVELOPE_KEY_SIZE);

	return q->query.order == ARCHIVE_NEWEST_FIRST ? order < 0 : order > 0;
}

static bool is_topic_wanted(const struct question *q, struct topic topic)
{
	struct bloom sample;

	for (uint32_t i = 0; i < q->query.topics_count; i++)
		if (memcmp(&q->topics[i], &topic, TOPIC_SIZE) == 0)
			return true;
	if (q->query.topics_count > 0)
		return false;
	bloom_from_topic(topic, &sample);
	return !q->query.has_bloom || bloom_covers(&q->query.bloom, &sample);
}

static bool is_wanted(const struct question *q, uint32_t i)
{
	const struct archive_item *item = &q->w->items[i];
	size_t max = q->item_max && q->item_max < q->out_max ? q->item_max
							     : q->out_max;

	return item->sent >= q->query.lower_s &&
	       item->sent <= q->query.upper_s && item->size <= max &&
	       is_topic_wanted(q, item->topic) &&
	       (!q->has_cursor || is_beyond(q, q->w->keys[i], q->cursor));
}

/* Its slice may have been removed. */
static bool may_be_gone(const struct world *w, uint32_t i)
{
	uint32_t span = w->config.slice_span_s, sent = w->items[i].sent;
	uint64_t end_s = (uint64_t)(sent - sent % span) + span;
	uint32_t now_s = atomic_load(&w->expired_s);

	if (clock_wall_s() > now_s)
		now_s = clock_wall_s();
	return w->retention_s > 0 && end_s + w->retention_s < now_s;
}

static void take_one(struct question *q, const uint8_t *at, size_t room,
		     size_t *size)
{
	const struct world *w = q->w;
	uint32_t i;

	REQUIRE(room >= 8, "%zu", room);
	i = be32_load(at);
	REQUIRE(i < atomic_load(&w->submitted), "%u was never put", i);
	*size = w->items[i].size;
	REQUIRE(*size <= room && memcmp(at, w->bytes[i], *size) == 0,
		"%u came back changed", i);
	REQUIRE(!q->given[i], "%u came twice", i);
	REQUIRE(is_wanted(q, i), "%u was not asked for", i);
	REQUIRE(!q->has_last || is_beyond(q, w->keys[i], q->last),
		"%u came out of order", i);
	q->given[i] = true;
	memcpy(q->last, w->keys[i], ENVELOPE_KEY_SIZE);
	q->has_last = true;
}

static void take_page(struct question *q, const struct archive_step *step)
{
	size_t at = 0, size;
	uint32_t count = 0;

	while (at < step->out_size) {
		take_one(q, q->out + at, step->out_size - at, &size);
		at += size;
		count++;
	}
	REQUIRE(count == step->count && count <= q->limit, "%u of %u", count,
		step->count);
	REQUIRE(step->out_size <= q->out_max, "%zu", step->out_size);
	REQUIRE(count == 0 || memcmp(step->last_given, q->last,
				     ENVELOPE_KEY_SIZE) == 0,
		"last_given");
	REQUIRE((step->stop == ARCHIVE_STOP_LIMIT) == (count == q->limit),
		"stop %d after %u of %u", (int)step->stop, count, q->limit);
}

static void post_step(struct archive_step *step)
{
	sem_post(step->owner);
}

static void read_page(struct question *q, struct archive_step *step)
{
	sem_t sem;

	if (!q->through_pool) {
		(void)archive_read_now(q->w->archive, step);
		return;
	}
	sem_init(&sem, 0, 0);
	step->owner = &sem;
	step->done = post_step;
	REQUIRE(archive_read(q->w->archive, step) == 0, "queue");
	while (sem_wait(&sem) != 0)
		;
	sem_destroy(&sem);
}

static void read_pages(struct question *q)
{
	struct archive_step step = {.query = &q->query,
				    .has_cursor = q->has_cursor,
				    .limit = q->limit,
				    .out = q->out,
				    .out_max = q->out_max,
				    .item_max = q->item_max,
				    .budget_us = q->budget_us};

	memcpy(step.cursor, q->cursor, ENVELOPE_KEY_SIZE);
	for (uint32_t page = 0; page < q->pages_max; page++) {
		read_page(q, &step);
		REQUIRE(step.err == 0, "%s", err_str(step.err));
		take_page(q, &step);
		if (step.stop == ARCHIVE_STOP_END) {
			q->is_at_end = true;
			return;
		}
		REQUIRE(step.has_last, "no way to go on");
		REQUIRE(!step.has_cursor ||
				is_beyond(q, step.last, step.cursor),
			"no progress");
		step.has_cursor = true;
		memcpy(step.cursor, step.last, ENVELOPE_KEY_SIZE);
		memcpy(q->reached, step.last, ENVELOPE_KEY_SIZE);
	}
}

static void ask(struct question *q)
{
	struct world *w = q->w;

	for (uint32_t i = 0; i < ITEMS; i++)
		q->had[i] = atomic_load(&w->confirmed[i]);
	read_pages(q);
	for (uint32_t i = 0; i < ITEMS; i++) {
		if (!q->had[i] || q->given[i] || !is_wanted(q, i))
			continue;
		if (!q->is_at_end && is_beyond(q, w->keys[i], q->reached))
			continue;
		REQUIRE(may_be_gone(w, i), "%u is missing", i);
	}
}

/* ---- all together ---- */

struct asker {
	struct world *w;
	pthread_t thread;
	uint32_t queries;
	uint64_t seed;
};

static void expire(struct world *w, struct random *r)
{
	uint32_t now_s = w->base_s + w->retention_s + below(r, TIME_S / 2);
	uint32_t before = atomic_load(&w->expired_s);

	while (before < now_s &&
	       !atomic_compare_exchange_weak(&w->expired_s, &before, now_s))
		;
	(void)archive_expire(w->archive, now_s);
}

static void *asker_main(void *arg)
{
	struct asker *a = arg;
	struct random r = {.state = a->seed};
	struct question *q = malloc(sizeof(*q));
	struct archive_health health;

	REQUIRE(q != NULL, "memory");
	for (uint32_t i = 0; i < a->queries; i++) {
		question_make(q, a->w, &r);
		ask(q);
		if (below(&r, 100) == 0 && a->w->retention_s > 0)
			expire(a->w, &r);
		if (below(&r, 20) == 0)
			archive_health(a->w->archive, &health);
	}
	free(q);
	return NULL;
}

static void ask_from_threads(struct world *w, uint32_t queries, uint64_t seed)
{
	struct asker askers[THREADS];

	for (unsigned t = 0; t < THREADS; t++) {
		askers[t] = (struct asker){.w = w,
					   .queries = queries / THREADS,
					   .seed = seed + t + 1};
		REQUIRE(pthread_create(&askers[t].thread, NULL, asker_main,
				       &askers[t]) == 0,
			"thread");
	}
	for (unsigned t = 0; t < THREADS; t++)
		pthread_join(askers[t].thread, NULL);
}

static void check_health(struct world *w)
{
	struct archive_health health;

	archive_health(w->archive, &health);
	REQUIRE(health.is_healthy && health.slices_quarantined == 0, "%s",
		health.why);
	REQUIRE(health.envelopes <= atomic_load(&w->submitted),
		"stored more than was put");
}

/* Asked while it is filled, closed and opened, and asked again. */
static void run_round(struct world *w, uint64_t seed, uint32_t queries)
{
	world_make(w, seed);
	for (unsigned part = 0; part < 3; part++) {
		pthread_t thread;

		atomic_store(&w->stop_putting, false);
		REQUIRE(pthread_create(&thread, NULL, putter, w) == 0,
			"thread");
		ask_from_threads(w, queries / 4, seed * 16 + part * 4);
		atomic_store(&w->stop_putting, true);
		pthread_join(thread, NULL);
		archive_close(w->archive);
		open_it(w);
		check_health(w);
	}
	ask_from_threads(w, queries / 4, seed * 16 + 12);
	archive_close(w->archive);
	tempdir_remove(w->dir);
}

int main(void)
{
	const char *seed_text = getenv("SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	uint32_t queries = getenv("LONG") ? 100000 : 3000;
	unsigned rounds = getenv("LONG") ? 50 : ROUNDS;
	struct world *w = malloc(sizeof(*w));

	REQUIRE(w != NULL, "memory");
	for (unsigned i = 0; i < rounds; i++)
		run_round(w, seed * 1000 + i, queries / rounds);
	free(w);
	printf("%u queries over %u archives agree with the scan\n", queries,
	       rounds);
	return 0;
}
