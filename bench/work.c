#include "bench/work.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define WINDOW 8 /* packets */

static void wait_until(uint64_t start_ms)
{
	uint64_t now_ms = clock_mono_ms();

	if (start_ms > now_ms)
		bench_sleep_ms((unsigned)(start_ms - now_ms));
}

/* The envelopes are made and packed before the clock starts. */
void work_ingest(const struct bench *bench, const struct daemon *daemon,
		 const struct work_ingest *work, struct meters *meters)
{
	struct span span = {.pid = daemon->pid, .dir = daemon->datadir};
	struct corpus_config config;
	struct corpus corpus;
	struct packed *packed;
	struct load_post load = {.crowd = {.server = &daemon->enode,
					   .connections = work->connections,
					   .engine = bench->engine},
				 .hooks = load_hooks_span(&span),
				 .window = WINDOW,
				 .rate = work->rate};

	corpus_config_default(&config, work->count);
	config.size = work->size;
	config.seed = work->seed;
	config.zipf = work->zipf;
	if (work->spread_s)
		config.first_s = config.last_s - work->spread_s;
	corpus_make(&corpus, &config);
	load.count = corpus_pack(&corpus, work->per_packet, &packed);
	load.packed = packed;
	if (meters) {
		load.latency = &meters->round;
		load.lateness = &meters->lateness;
	}
	wait_until(work->start_ms);
	load_post_run(&load);
	if (work->is_over)
		*work->is_over = true;
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

static bool next_all(void *ctx, uint64_t number, struct mail_query *query)
{
	const struct all *all = ctx;

	if (number >= all->clients)
		return false;
	load_ask_all(query);
	return true;
}

uint64_t work_fetch_all(const struct bench *bench, const struct daemon *daemon,
			unsigned clients, uint32_t pages, struct meters *meters)
{
	struct all all = {.clients = clients, .span = {.pid = daemon->pid}};
	struct load_pull load = {.crowd = {.server = &daemon->enode,
					   .connections = clients,
					   .engine = bench->engine},
				 .hooks = load_hooks_span(&all.span),
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

static bool next_topic(void *ctx, uint64_t number, struct mail_query *query)
{
	struct asker *asker = ctx;
	const struct work_topics *work = asker->work;
	uint64_t state = work->seed + number;

	if (work->queries ? number >= work->queries : *work->stop)
		return false;
	asker->topic = corpus_topic(
		(uint32_t)((bench_random(&state) >> 33) % work->topics));
	load_ask_topic(query, &asker->topic);
	query->limit = work->limit;
	return true;
}

void work_topics(const struct bench *bench, const struct daemon *daemon,
		 const struct work_topics *work, struct meters *meters)
{
	struct asker asker = {.work = work, .span = {.pid = daemon->pid}};
	struct load_pull load = {.crowd = {.server = &daemon->enode,
					   .connections = 1,
					   .engine = bench->engine},
				 .hooks = load_hooks_span(&asker.span),
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
