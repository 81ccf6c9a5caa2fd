#include "bench/work.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define WINDOW 8 /* packets */

static void span_on(void *ctx)
{
	struct span *span = ctx;

	span_begin(span, span->pid, span->dir);
}

static void span_off(void *ctx)
{
	span_stop(ctx);
}

/* The envelopes are made and packed before the clock starts. */
void work_ingest(const struct bench *bench, const struct daemon *daemon,
		 const struct work_ingest *work, struct meters *meters)
{
	struct span span = {.pid = daemon->pid, .dir = daemon->datadir};
	struct corpus_config config;
	struct corpus corpus;
	struct packed *packed;
	struct load_post load = {
		.crowd = {.server = &daemon->enode,
			  .connections = work->connections,
			  .engine = bench->engine},
		.hooks = {.begin = span_on, .done = span_off, .ctx = &span},
		.window = WINDOW,
		.rate = work->rate};

	corpus_config_default(&config, work->count);
	config.size = work->size;
	config.seed = work->seed;
	config.zipf = work->zipf;
	corpus_make(&corpus, &config);
	load.count = corpus_pack(&corpus, work->per_packet, &packed);
	load.packed = packed;
	if (meters) {
		load.latency = &meters->round;
		load.lateness = &meters->lateness;
	}
	load_post_run(&load);
	span_end(&span);
	if (load.envelopes != work->count)
		bench_fail("%lu envelopes were acknowledged instead of %u",
			   (unsigned long)load.envelopes, work->count);
	if (meters)
		meters_add(meters, &span, work->count);
	free(packed);
	corpus_release(&corpus);
}

struct all {
	unsigned clients;
	struct span span;
};

static void all_begin(void *ctx)
{
	struct all *all = ctx;

	span_begin(&all->span, all->span.pid, NULL);
}

static void all_done(void *ctx)
{
	span_stop(&((struct all *)ctx)->span);
}

static bool next_all(void *ctx, uint64_t number, struct mail_query *query)
{
	const struct all *all = ctx;

	if (number >= all->clients)
		return false;
	query->limit = MAIL_LIMIT_MAX;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
	return true;
}

uint64_t work_fetch_all(const struct bench *bench, const struct daemon *daemon,
			unsigned clients, uint32_t pages, struct meters *meters)
{
	struct all all = {.clients = clients, .span = {.pid = daemon->pid}};
	struct load_pull load = {
		.crowd = {.server = &daemon->enode,
			  .connections = clients,
			  .engine = bench->engine},
		.hooks = {.begin = all_begin, .done = all_done, .ctx = &all},
		.next = next_all,
		.ctx = &all,
		.pages_max = pages};

	if (meters)
		load.pages_time = &meters->round;
	load_pull_run(&load);
	span_end(&all.span);
	if (meters)
		meters_add(meters, &all.span, (double)load.envelopes);
	return load.envelopes;
}

struct asker {
	const struct work_topics *work;
	struct span span;
	struct topic topic;
};

static void asker_begin(void *ctx)
{
	struct asker *asker = ctx;

	span_begin(&asker->span, asker->span.pid, NULL);
}

static void asker_done(void *ctx)
{
	span_stop(&((struct asker *)ctx)->span);
}

static bool next_topic(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;
	const struct work_topics *work = asker->work;
	uint64_t state = work->seed + number;

	if (work->queries ? number >= work->queries : *work->stop)
		return false;
	query->limit = work->limit;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	asker->topic = corpus_topic(
		(uint32_t)((bench_random(&state) >> 33) % work->topics));
	bloom_add_deployed(&query->bloom, asker->topic);
	query->topics = asker->topic.bytes;
	query->topics_count = 1;
	return true;
}

void work_topics(const struct bench *bench, const struct daemon *daemon,
		 const struct work_topics *work, struct meters *meters)
{
	struct asker asker = {.work = work, .span = {.pid = daemon->pid}};
	struct load_pull load = {.crowd = {.server = &daemon->enode,
					   .connections = 1,
					   .engine = bench->engine},
				 .hooks = {.begin = asker_begin,
					   .done = asker_done,
					   .ctx = &asker},
				 .next = next_topic,
				 .ctx = &asker,
				 .pages_max = 1};

	if (meters)
		load.queries_time = &meters->round;
	load_pull_run(&load);
	span_end(&asker.span);
	if (meters)
		meters_add(meters, &asker.span, (double)load.queries);
}
