#include "bench/listeners.h"

#include "net/bundle.h"
#include "net/status.h"

static void on_begin(void *ctx, struct crowd *crowd)
{
	struct listeners *l = ctx;

	for (unsigned i = 0; l->are_stuck && i < LISTENERS; i++)
		link_pause(crowd->members[i].link, true);
	l->are_there = true;
}

static void on_message(void *ctx, struct crowd_member *member, unsigned code,
		       struct packet *payload)
{
	struct listeners *l = ctx;
	struct bundle bundle;
	struct envelope env;

	(void)member;
	if (code != CODE_MESSAGES ||
	    bundle_open(&bundle, payload->bytes, payload->size, false))
		return;
	while (bundle_next(&bundle, &env) == 0)
		l->got++;
}

static void on_tick(void *ctx, struct crowd *crowd)
{
	if (((struct listeners *)ctx)->are_to_end)
		crowd_end(crowd);
}

static const struct crowd_use use = {
	.begin = on_begin, .message = on_message, .tick = on_tick};

static void *listen_all(void *arg)
{
	struct listeners *l = arg;
	const struct crowd_config config = {.server = &l->daemon->enode,
					    .connections = LISTENERS,
					    .wants_all = l->want_all,
					    .engine = l->bench->engine};

	crowd_run(&l->crowd, &config, &use, l);
	return NULL;
}

void listeners_start(struct listeners *listeners)
{
	if (pthread_create(&listeners->thread, NULL, listen_all, listeners))
		bench_fail("no thread");
	while (!listeners->are_there)
		bench_sleep_ms(5);
}

void listeners_stop(struct listeners *listeners)
{
	listeners->are_to_end = true;
	(void)pthread_join(listeners->thread, NULL);
}
