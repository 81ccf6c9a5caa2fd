#include "auth/scheduler.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/scheduler_private.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

#define WORKERS_DEFAULT 4
#define BATCH_DEFAULT   100
#define OPEN_DEFAULT    100000
#define NOTES_MAX       4096 /* pokes; beyond them the due row serves */
#define SWEEP_EVERY_MS  20000

/* ---- letters ---- */

void scheduler_poke(struct scheduler *scheduler,
		    const uint8_t key[static CLAIM_KEY_SIZE], uint32_t rev)
{
	struct poke *poke = malloc(sizeof(*poke));

	/* Lost pokes cost a moment: the claim is due all the same. */
	if (!poke)
		return;
	poke->note.kind = NOTE_POKE;
	memcpy(poke->key, key, CLAIM_KEY_SIZE);
	poke->rev = rev;
	if (mailbox_put(&scheduler->box, &poke->note.letter))
		free(poke);
}

/* Follower's thread. */
static void head_moved(void *ctx, const struct follower_news *news)
{
	struct followed *followed = ctx;
	struct move *move = malloc(sizeof(*move));

	if (!move)
		return;
	move->note.kind = NOTE_MOVED;
	move->chain = followed->index;
	move->news = *news;
	mailbox_put_always(&followed->s->box, &move->note.letter);
}

/* Follower's thread: the ledger remembers what chain its payments are of. */
static int know_chain(void *ctx, uint64_t id, const uint8_t genesis[static 32])
{
	struct followed *followed = ctx;
	struct ledger_task task = {.op = LEDGER_CHAIN, .chain_id = id};

	memcpy(task.hash, genesis, 32);
	return ledger_run(followed->s->ledger, &task);
}

static int store_block(struct followed *followed, enum ledger_op op,
		       uint64_t block, const uint8_t hash[static 32])
{
	struct ledger_task task = {
		.op = op, .chain_id = followed->chain->id, .block = block};

	if (op == LEDGER_ALARM)
		task.text = "a finalized block has changed";
	memcpy(task.hash, hash, 32);
	return ledger_run(followed->s->ledger, &task);
}

/* Follower's thread: both hold over restarts. */
static int store_alarm(void *ctx, uint64_t block, const uint8_t hash[static 32])
{
	return store_block(ctx, LEDGER_ALARM, block, hash);
}
static int store_final(void *ctx, uint64_t block, const uint8_t hash[static 32])
{
	return store_block(ctx, LEDGER_FINAL, block, hash);
}

/* ---- the thread ---- */

static uint32_t open_chains(struct scheduler *s)
{
	uint32_t open = 0;

	for (unsigned i = 0; i < s->chains_count; i++) {
		struct followed *f = &s->chains[i];

		follower_view(f->follower, &f->view);
		f->is_open =
			f->view.is_usable && !follower_is_alarmed(f->follower);
		if (f->is_open)
			open |= 1u << i;
	}
	return open;
}

static void take_note(struct scheduler *s, struct note *note, uint64_t now_ms)
{
	struct poke *poke = (struct poke *)(void *)note;
	struct move *move = (struct move *)(void *)note;

	switch (note->kind) {
	case NOTE_POKE:
		due_poke(s, poke->key, poke->rev, now_ms);
		free(poke);
		break;
	case NOTE_MOVED:
		s->chains[move->chain].is_moved = true;
		due_recheck(s, move, now_ms);
		free(move);
		break;
	case NOTE_JOB:
		jobs_take_back(s, (struct job *)(void *)note, now_ms);
		break;
	}
}

static void take_notes(struct scheduler *s, struct letter *letter)
{
	while (letter) {
		struct letter *next = letter->next;

		take_note(s, (struct note *)(void *)letter, clock_mono_ms());
		letter = next;
	}
}

static void tick(struct scheduler *s)
{
	uint64_t now_ms = clock_mono_ms();
	/* First: the views are then at least as new as what they tell. */
	struct letter *letters = mailbox_take_all(&s->box);
	uint32_t open = open_chains(s);

	take_notes(s, letters);
	for (unsigned i = 0; i < s->chains_count; i++)
		due_scan(s, &s->chains[i], now_ms);
	due_read(s, now_ms);
	jobs_send(s, open);
	if (now_ms - s->swept_ms >= SWEEP_EVERY_MS) {
		s->swept_ms = now_ms;
		tracker_sweep(s->tracker,
			      now_ms > 2 * SCHEDULER_RETRY_MAX_MS
				      ? now_ms - 2 * SCHEDULER_RETRY_MAX_MS
				      : 0);
	}
}

static void *run(void *arg)
{
	struct scheduler *s = arg;

	while (!atomic_load(&s->is_stopping)) {
		tick(s);
		mailbox_wait(&s->box, SCHEDULER_TICK_MS);
	}
	return NULL;
}

static int start_thread(struct scheduler *s)
{
	sigset_t all;
	sigset_t before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&s->thread, NULL, run, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return ERR_IO;
	s->has_thread = true;
	(void)pthread_setname_np(s->thread, "scheduler");
	return 0;
}

/* ---- making ---- */

/* The longest rest is as many times the first as by default. */
static struct rpc_limits limits_of(const struct chain_config *config)
{
	struct rpc_limits limits = rpc_limits_default;
	unsigned times = limits.breaker_max_ms / limits.breaker_ms;

	if (config->rest_ms) {
		limits.breaker_ms = config->rest_ms;
		limits.breaker_max_ms = config->rest_ms * times;
	}
	if (config->timeout_ms) {
		limits.total_ms = config->timeout_ms;
		if (limits.connect_ms > limits.total_ms)
			limits.connect_ms = limits.total_ms;
	}
	return limits;
}

static int make_chains(struct scheduler *s,
		       const struct scheduler_config *config, char *why,
		       size_t why_size)
{
	for (unsigned i = 0; i < config->chains_count; i++) {
		struct followed *f = &s->chains[i];
		struct rpc_limits limits = limits_of(&config->chains[i]);
		int err = rpc_chain_new(&config->chains[i], s->batch, &limits,
					&f->chain, why, why_size);

		if (err)
			return err;
		f->s = s;
		f->index = i;
		s->chains_count++;
	}
	return 0;
}

/* One from before, that the operator has not acknowledged. */
static int read_alarm(struct scheduler *s, struct follower_config *config)
{
	struct ledger_block alarm;
	int err = ledger_read_alarm(s->ledger, config->chain->id, &alarm);

	if (err == ERR_NOTFOUND)
		return 0;
	if (err)
		return err;
	config->is_alarmed = true;
	LOG_BROKEN("a finalized block had changed before the start: nothing "
		   "is credited until this is acknowledged",
		   log_text("chain", config->chain->name),
		   log_u64("block", alarm.block), log_u64("since", alarm.at_s));
	return 0;
}

/* It may have changed while nobody looked. */
static int read_final(struct scheduler *s, struct follower_config *config)
{
	struct ledger_block final;
	int err = ledger_read_final(s->ledger, config->chain->id, &final);

	if (err)
		return err == ERR_NOTFOUND ? 0 : err;
	config->has_final = true;
	config->final_number = final.block;
	memcpy(config->final_hash, final.hash, sizeof(final.hash));
	return 0;
}

static int start_followers(struct scheduler *s)
{
	for (unsigned i = 0; i < s->chains_count; i++) {
		struct followed *f = &s->chains[i];
		struct follower_config config = {.chain = f->chain,
						 .options = s->options,
						 .options_count =
							 s->options_count,
						 .know = know_chain,
						 .moved = head_moved,
						 .alarmed = store_alarm,
						 .final = store_final,
						 .ctx = f};
		int err = read_alarm(s, &config);

		if (!err)
			err = read_final(s, &config);
		if (!err)
			err = follower_start(&config, &f->follower);
		if (err)
			return err;
	}
	return 0;
}

static void make_metrics(struct scheduler *s)
{
	const char *queue = "mailpay_queue";
	const char *queue_help = "jobs, results, and seconds of due lag";
	const char *seconds = "mailpay_claim_seconds";
	const char *seconds_help = "from received to a step";

	s->metrics = (struct scheduler_metrics){
		.jobs = metric_gauge(queue, "what=\"jobs\"", queue_help),
		.results = metric_gauge(queue, "what=\"results\"", queue_help),
		.lag = metric_gauge(queue, "what=\"due_lag_seconds\"",
				    queue_help),
		.first = metric_histogram(seconds, "step=\"first_look\"",
					  seconds_help),
		.active = metric_histogram(seconds, "step=\"active\"",
					   seconds_help),
		.settled = metric_histogram(seconds, "step=\"settled\"",
					    seconds_help),
	};
}

static int make_memory(struct scheduler *s)
{
	s->tracker = tracker_new();
	s->backlog = backlog_new(PAYMENTS_CHAINS_MAX);
	s->due_max = (size_t)2 * SCHEDULER_WINDOW;
	s->due = calloc(s->due_max, sizeof(*s->due));
	s->heights = calloc(s->open_max, sizeof(*s->heights));
	return s->tracker && s->backlog && s->due && s->heights ? 0 : ERR_NOMEM;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

static void take_config(struct scheduler *s,
			const struct scheduler_config *config)
{
	assert(config->chains_count <= PAYMENTS_CHAINS_MAX);
	assert(config->options_count <= OFFER_OPTIONS_MAX);
	s->ledger = config->ledger;
	memcpy(s->server, config->server, SECP_PUBLIC_SIZE);
	s->workers = or_default(config->workers, WORKERS_DEFAULT);
	s->batch = or_default(config->batch, BATCH_DEFAULT);
	if (s->batch > CHAIN_ITEMS_MAX)
		s->batch = CHAIN_ITEMS_MAX;
	s->open_max = or_default(config->open_max, OPEN_DEFAULT);
	s->options_count = config->options_count;
	for (unsigned i = 0; i < config->options_count; i++)
		s->options[i] = config->options[i];
	mailbox_init(&s->box, NOTES_MAX, NULL, NULL);
	make_metrics(s);
}

int scheduler_start(const struct scheduler_config *config,
		    struct scheduler **out, char *why, size_t why_size)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	int err = ERR_NOMEM;

	(void)snprintf(why, why_size, "no memory for verification");
	if (!s)
		return ERR_NOMEM;
	take_config(s, config);
	err = make_memory(s);
	if (!err)
		err = make_chains(s, config, why, why_size);
	if (!err)
		err = jobs_make(s);
	if (!err)
		err = start_followers(s);
	if (!err)
		err = start_thread(s);
	if (err) {
		scheduler_stop(s);
		return err;
	}
	*out = s;
	return 0;
}

/* ---- stopping ---- */

static void wait_for_ledger(struct scheduler *s)
{
	struct timespec pause = {.tv_nsec = 1000000};

	while (atomic_load(&s->posted) > 0)
		(void)nanosleep(&pause, NULL);
}

static void release_notes(struct scheduler *s)
{
	struct letter *letter = mailbox_take_all(&s->box);

	while (letter) {
		struct note *note = (struct note *)(void *)letter;

		letter = letter->next;
		if (note->kind != NOTE_JOB)
			free(note);
	}
}

void scheduler_stop(struct scheduler *scheduler)
{
	struct scheduler *s = scheduler;

	if (!s)
		return;
	atomic_store(&s->is_stopping, true);
	mailbox_nudge(&s->box);
	for (unsigned i = 0; s->verifiers && i < s->workers; i++) {
		if (s->verifiers[i])
			verifier_abort(s->verifiers[i]);
	}
	if (s->has_thread)
		(void)pthread_join(s->thread, NULL);
	pool_stop(s->pool);
	for (unsigned i = 0; i < s->chains_count; i++)
		follower_stop(s->chains[i].follower);
	wait_for_ledger(s);
	release_notes(s);
	jobs_release(s);
	backlog_free(s->backlog);
	tracker_free(s->tracker);
	for (unsigned i = 0; i < s->chains_count; i++)
		rpc_chain_free(s->chains[i].chain);
	free(s->due);
	free(s->heights);
	free(s);
}

/* ---- questions ---- */

uint64_t scheduler_head_s(const struct scheduler *scheduler)
{
	uint64_t newest = 0;

	for (unsigned i = 0; i < scheduler->chains_count; i++) {
		uint64_t head = follower_head_s(scheduler->chains[i].follower);

		if (head > newest)
			newest = head;
	}
	return newest;
}

int scheduler_chain(const struct scheduler *scheduler, unsigned i,
		    struct chain_view *out)
{
	const struct followed *followed;
	struct follower_view view;

	if (i >= scheduler->chains_count)
		return ERR_NOTFOUND;
	followed = &scheduler->chains[i];
	follower_view(followed->follower, &view);
	*out = (struct chain_view){
		.id = followed->chain->id,
		.head = view.at.head,
		.safe = view.at.has_safe ? view.at.safe : 0,
		.final = view.at.has_final ? view.at.final : 0,
		.head_age_s =
			view.head_seen_ms
				? (clock_mono_ms() - view.head_seen_ms) / 1000
				: 0,
		.endpoints = followed->chain->endpoints_count,
		.endpoints_good = view.endpoints_good,
		.is_usable = view.is_usable,
		.is_alarmed = follower_is_alarmed(followed->follower),
		.alarms = follower_alarms(followed->follower),
	};
	(void)snprintf(out->name, sizeof(out->name), "%s",
		       followed->chain->name);
	return 0;
}

int scheduler_option(const struct scheduler *scheduler, unsigned i, char *why,
		     size_t why_size)
{
	if (i >= scheduler->options_count)
		return ERR_NOTFOUND;
	for (unsigned c = 0; c < scheduler->chains_count; c++) {
		if (scheduler->chains[c].chain->id ==
		    scheduler->options[i].chain_id)
			return follower_option(scheduler->chains[c].follower, i,
					       why, why_size);
	}
	(void)snprintf(why, why_size,
		       "option %u is on chain %llu, which is "
		       "not configured",
		       scheduler->options[i].id,
		       (unsigned long long)scheduler->options[i].chain_id);
	return ERR_DENIED;
}

int scheduler_acknowledge(struct scheduler *scheduler, uint64_t chain_id,
			  uint64_t alarms)
{
	for (unsigned i = 0; i < scheduler->chains_count; i++) {
		if (scheduler->chains[i].chain->id != chain_id)
			continue;
		follower_acknowledge(scheduler->chains[i].follower, alarms);
		return 0;
	}
	return ERR_NOTFOUND;
}
