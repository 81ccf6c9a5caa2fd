#include "auth/scheduler.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/follower.h"
#include "auth/quorum.h"
#include "auth/step.h"
#include "auth/tracker.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/pool.h"

#define WORKERS_DEFAULT 4
#define BATCH_DEFAULT   100
#define OPEN_DEFAULT    100000
#define WINDOW          8192 /* claims that wait or fly, in memory */
#define NOTES_MAX       4096 /* pokes; beyond them the due row serves */
#define TICK_MS         200
#define DUE_EVERY_MS    100
#define SCAN_EVERY_MS   2000
#define SWEEP_EVERY_MS  20000
#define RETRY_FIRST_MS  500
#define RETRY_MAX_MS    60000ull
#define SILENT_MAX_MS   600000 /* §15.2: then an alarm */

enum note_kind { NOTE_POKE, NOTE_MOVED, NOTE_JOB };
struct note {
	struct letter letter; /* first */
	enum note_kind kind;
};
struct poke {
	struct note note;
	uint8_t key[CLAIM_KEY_SIZE];
};
struct move {
	struct note note;
	unsigned chain;
	struct follower_news news;
};

struct scheduler;

/* Some claims of one chain on their way through a worker and the ledger. */
struct job {
	struct note note;
	struct pool_job pool;
	struct ledger_task task;
	struct scheduler *s;
	struct job *next; /* idle */
	unsigned chain;
	enum backlog_class kind;
	unsigned turn; /* which endpoint is asked first */
	unsigned count;
	struct tracked **items;
	const struct verify_claim **claims;
	struct finding *findings; /* by item */
	struct finding *told;     /* without those that say nothing */
	int err;                  /* of the ledger */
};

struct followed {
	struct scheduler *s;
	unsigned index;
	struct rpc_chain *chain;
	struct follower *follower;
	uint64_t scanned_ms;
	size_t load; /* claims of it that wait or fly */
	bool is_moved;
	bool is_open; /* usable, and nothing finalized has changed */
	struct follower_view view;
};

struct scheduler_metrics {
	struct metric *jobs, *results, *lag, *first, *active, *settled;
};

struct scheduler {
	struct ledger *ledger;
	uint8_t server[SECP_PUBLIC_SIZE];
	unsigned workers;
	unsigned batch;
	size_t open_max;
	struct offer_option options[OFFER_OPTIONS_MAX];
	unsigned options_count;
	struct followed chains[PAYMENTS_CHAINS_MAX];
	unsigned chains_count;
	struct scheduler_metrics metrics;

	struct mailbox box;
	pthread_t thread;
	bool has_thread;
	atomic_bool is_stopping;
	atomic_uint posted; /* letters that the ledger has */
	struct pool *pool;
	struct verifier **verifiers;
	struct job *jobs;
	struct job *idle;
	unsigned turn;

	struct tracker *tracker;
	struct backlog *backlog;
	struct due_claim *due;
	size_t due_max;
	struct height_claim *heights;
	size_t flying;
	uint64_t due_ms;
	uint64_t swept_ms;
};

/* ---- letters ---- */

void scheduler_poke(struct scheduler *scheduler,
		    const uint8_t key[static CLAIM_KEY_SIZE])
{
	struct poke *poke = malloc(sizeof(*poke));

	/* Lost pokes cost a moment: the claim is due all the same. */
	if (!poke)
		return;
	poke->note.kind = NOTE_POKE;
	memcpy(poke->key, key, CLAIM_KEY_SIZE);
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

/* Follower's thread: it holds over restarts. */
static int store_alarm(void *ctx, uint64_t block, const uint8_t hash[static 32])
{
	struct followed *followed = ctx;
	struct ledger_task task = {.op = LEDGER_ALARM,
				   .chain_id = followed->chain->id,
				   .block = block,
				   .text = "a finalized block has changed"};

	memcpy(task.hash, hash, 32);
	return ledger_run(followed->s->ledger, &task);
}

/* ---- workers ---- */

static void hand_back(struct job *job)
{
	mailbox_put_always(&job->s->box, &job->note.letter);
}

/* Ledger's thread, after the commit. The job is the scheduler's from the put
 * on, the scheduler may be gone from the count on. */
static void committed(struct ledger_task *task)
{
	struct job *job = task->owner;
	struct scheduler *s = job->s;

	job->err = task->err;
	hand_back(job);
	atomic_fetch_sub(&s->posted, 1);
}

static size_t gather(struct job *job)
{
	size_t count = 0;

	for (unsigned i = 0; i < job->count; i++) {
		if (job->findings[i].kind != FINDING_NOTHING)
			job->told[count++] = job->findings[i];
	}
	return count;
}

/* §16.3: the queue of results is bounded; a worker waits for its place. */
static int post(struct job *job, size_t count)
{
	struct scheduler *s = job->s;
	struct timespec pause = {.tv_nsec = 2000000};
	int err;

	job->task = (struct ledger_task){.op = LEDGER_BATCH,
					 .findings = job->told,
					 .findings_count = count,
					 .done = committed,
					 .owner = job};
	atomic_fetch_add(&s->posted, 1);
	while ((err = ledger_post(s->ledger, &job->task)) == ERR_FULL &&
	       !atomic_load(&s->is_stopping))
		(void)nanosleep(&pause, NULL);
	if (err)
		atomic_fetch_sub(&s->posted, 1);
	return err;
}

static void work_on(struct pool_job *pool_job, unsigned worker)
{
	struct job *job = (struct job *)(void *)((char *)pool_job -
						 offsetof(struct job, pool));
	struct scheduler *s = job->s;
	struct followed *followed = &s->chains[job->chain];
	struct follower_view view;
	struct verify_job asked = {
		.chain = followed->chain,
		.claims = job->claims,
		.count = job->count,
		.first_endpoint = job->turn,
		.now_s = clock_wall_s(),
	};
	size_t count;
	int err;

	follower_view(followed->follower, &view);
	asked.final = view.at.has_final ? view.at.final : 0;
	(void)verifier_check(s->verifiers[worker], &asked, job->findings);
	count = gather(job);
	job->err = 0;
	if (count > 0 && !atomic_load(&s->is_stopping)) {
		err = post(job, count);
		if (!err)
			return; /* it is the ledger's, then the scheduler's */
		job->err = err;
	}
	hand_back(job);
}

/* ---- what the scheduler knows of a claim ---- */

static struct followed *find_chain(struct scheduler *s, uint64_t id)
{
	for (unsigned i = 0; i < s->chains_count; i++) {
		if (s->chains[i].chain->id == id)
			return &s->chains[i];
	}
	return NULL;
}

static enum backlog_class class_of(enum claim_state state)
{
	switch (state) {
	case CLAIM_RECEIVED:
		return BACKLOG_FIRST;
	case CLAIM_CONFIRMING:
	case CLAIM_ACTIVE:
	case CLAIM_SETTLED:
	case CLAIM_REJECTED:
		return BACKLOG_CONFIRM;
	case CLAIM_PENDING:
	case CLAIM_REORGED:
		break;
	}
	return BACKLOG_PENDING;
}

/* What to wait for, from what the ledger says. */
static void set_need(struct tracked *t, const struct claim_view *view)
{
	const struct claim_record *rec = &view->record;

	t->rev = rec->rev;
	if (t->block != rec->block ||
	    memcmp(t->block_hash, rec->block_hash, 32) != 0)
		t->is_linked = false;
	t->block = rec->block;
	memcpy(t->block_hash, rec->block_hash, 32);
	t->item.source = rec->source_tag;
	t->has_need = claim_has_height(rec->state) && view->has_policy;
	t->need = rec->state == CLAIM_ACTIVE ? view->settle : view->activate;
}

/* Into the backlog, as the ledger has it now. */
static void enqueue(struct scheduler *s, struct tracked *t,
		    const struct claim_view *view, const unsigned *kind)
{
	t->kind = kind ? (enum backlog_class) * kind
		       : class_of(view->record.state);
	t->work = work_new(view);
	if (!t->work)
		return;
	if (backlog_put(s->backlog, t->chain, t->kind, &t->item)) {
		work_free(t->work);
		t->work = NULL;
		return;
	}
	t->state = TRACKED_WAITING;
	t->again = false;
	s->chains[t->chain].load++;
}

/*
 * Read the claim and follow it. NULL: it is none of ours (any more). A chain
 * that was taken out of the settings is looked for again in a minute.
 */
static struct tracked *follow(struct scheduler *s, struct tracked *t,
			      const uint8_t *key, struct claim_view *view,
			      uint64_t now_ms)
{
	struct followed *chain;

	if (ledger_read_claim(s->ledger, key, view) ||
	    !claim_is_open(view->record.state)) {
		if (t)
			tracker_remove(s->tracker, t);
		return NULL;
	}
	if (!t)
		t = tracker_add(s->tracker, key);
	if (!t)
		return NULL;
	t->touched_ms = now_ms;
	set_need(t, view);
	chain = find_chain(s, view->record.claim.chain_id);
	if (!chain) {
		t->not_before_ms = now_ms + RETRY_MAX_MS;
		t->has_need = false;
		t->chain = 0;
		return NULL;
	}
	t->chain = chain->index;
	return t;
}

/* A chain that is away must not take the place of the others. */
static bool is_room(const struct scheduler *s, unsigned chain)
{
	assert(chain < s->chains_count);
	return s->chains[chain].load < WINDOW / s->chains_count;
}

/* Look at this one as soon as it is its turn. False: it must wait. */
static bool want(struct scheduler *s, const uint8_t *key, bool is_urgent,
		 const unsigned *kind, uint64_t now_ms)
{
	struct tracked *t = tracker_find(s->tracker, key);
	struct claim_view view;

	if (t) {
		t->touched_ms = now_ms;
		if (t->state == TRACKED_FLYING)
			t->again |= is_urgent;
		if (t->state != TRACKED_WATCHED)
			return false;
		if (!is_urgent && now_ms < t->not_before_ms)
			return false;
	}
	if (t && !is_urgent && !is_room(s, t->chain))
		return false;
	t = follow(s, t, key, &view, now_ms);
	if (!t || (!is_urgent && !is_room(s, t->chain)))
		return false;
	if (!s->chains[t->chain].is_open) {
		t->not_before_ms = now_ms + TICK_MS;
		return false;
	}
	enqueue(s, t, &view, kind);
	return true;
}

/* ---- due, heights, reorganisations ---- */

static void grow_due(struct scheduler *s, size_t count, size_t wanted)
{
	struct due_claim *grown;
	size_t max = s->due_max;

	/* All that we see must wait: what is behind it shall not. */
	if (count == max && wanted == 0 &&
	    backlog_count(s->backlog) + s->flying < WINDOW / 2 &&
	    max < s->open_max)
		max *= 2;
	if (max == s->due_max)
		return;
	grown = realloc(s->due, max * sizeof(*grown));
	if (!grown)
		return;
	s->due = grown;
	s->due_max = max;
}

static void read_due(struct scheduler *s, uint64_t now_ms)
{
	uint64_t wall_ms = clock_wall_ms();
	size_t wanted = 0;
	size_t count;

	if (now_ms - s->due_ms < DUE_EVERY_MS)
		return;
	s->due_ms = now_ms;
	count = ledger_read_due(s->ledger, wall_ms, s->due, s->due_max);
	for (size_t i = 0; i < count; i++)
		wanted += want(s, s->due[i].key, false, NULL, now_ms);
	grow_due(s, count, wanted);
	metric_set(s->metrics.lag,
		   count && s->due[0].due_ms < wall_ms
			   ? (int64_t)((wall_ms - s->due[0].due_ms) / 1000)
			   : 0);
}

/*
 * §11: a claim whose block is not in the chain as followed is due at once. The
 * follower tells of replaced blocks only if it has seen them, and who is told
 * may have been unable to look: so each block is held against its chain once.
 */
static bool is_replaced(struct followed *followed, struct tracked *t)
{
	if (t->is_linked)
		return false;
	switch (follower_has(followed->follower, t->block, t->block_hash)) {
	case FOLLOWER_SAME:
		t->is_linked = true;
		return false;
	case FOLLOWER_OTHER:
		return true;
	case FOLLOWER_UNKNOWN:
		break;
	}
	return false;
}

static void scan_one(struct scheduler *s, struct followed *followed,
		     const struct height_claim *row, uint64_t now_ms)
{
	static const unsigned confirm = BACKLOG_CONFIRM;
	static const unsigned reorg = BACKLOG_REORG;
	struct tracked *t = tracker_find(s->tracker, row->key);
	struct claim_view view;

	if (t && (t->state != TRACKED_WATCHED || t->block == row->block))
		t->touched_ms = now_ms;
	else
		t = follow(s, t, row->key, &view, now_ms);
	if (!t || t->state != TRACKED_WATCHED)
		return;
	if (is_replaced(followed, t))
		(void)want(s, row->key, false, &reorg, now_ms);
	else if (t->has_need &&
		 policy_holds(t->need, &followed->view.at, row->block))
		(void)want(s, row->key, false, &confirm, now_ms);
}

/* §15.3: confirming and active claims whose number has been reached. */
static void scan(struct scheduler *s, struct followed *followed,
		 uint64_t now_ms)
{
	size_t count;

	if (!followed->is_open ||
	    (!followed->is_moved &&
	     now_ms - followed->scanned_ms < SCAN_EVERY_MS))
		return;
	followed->is_moved = false;
	followed->scanned_ms = now_ms;
	count = ledger_read_heights(s->ledger, followed->chain->id, 0,
				    followed->view.at.head, s->heights,
				    s->open_max);
	for (size_t i = 0; i < count; i++)
		scan_one(s, followed, &s->heights[i], now_ms);
}

/* §11: every active or confirming claim in the replaced numbers, at once. */
static void recheck(struct scheduler *s, const struct move *move,
		    uint64_t now_ms)
{
	static const unsigned reorg = BACKLOG_REORG;
	const struct follower_news *news = &move->news;
	size_t count;

	if (news->replaced_first > news->replaced_last)
		return;
	count = ledger_read_heights(s->ledger, s->chains[move->chain].chain->id,
				    news->replaced_first, news->replaced_last,
				    s->heights, s->open_max);
	for (size_t i = 0; i < count; i++) {
		struct tracked *t = tracker_find(s->tracker, s->heights[i].key);

		if (t)
			t->is_linked = false;
		(void)want(s, s->heights[i].key, true, &reorg, now_ms);
	}
}

/* ---- jobs out ---- */

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

static bool send_job(struct scheduler *s, uint32_t open)
{
	struct job *job = s->idle;
	struct backlog_item **items = (struct backlog_item **)job->items;

	job->count = backlog_take(s->backlog, open, items, s->batch,
				  &job->chain, &job->kind);
	if (job->count == 0)
		return false;
	s->idle = job->next;
	job->turn = s->turn++;
	for (unsigned i = 0; i < job->count; i++) {
		job->items[i]->state = TRACKED_FLYING;
		job->claims[i] = &job->items[i]->work->claim;
	}
	s->flying += job->count;
	/* There is room: nobody else gives jobs, and we have counted. */
	while (pool_put(s->pool, &job->pool))
		(void)sched_yield();
	return true;
}

static void send_jobs(struct scheduler *s, uint32_t open)
{
	while (s->idle && pool_waiting(s->pool) < 2 * s->workers &&
	       send_job(s, open))
		;
	metric_set(s->metrics.jobs, pool_waiting(s->pool));
	metric_set(s->metrics.results, atomic_load(&s->posted));
}

/* ---- jobs back ---- */

static void observe(const struct scheduler *s, const struct work *work,
		    enum claim_state after)
{
	uint64_t us =
		((uint64_t)clock_wall_s() - work->claim.received_s) * 1000000;

	if (work->claim.received_s > clock_wall_s())
		return;
	if (work->state == CLAIM_RECEIVED)
		metric_observe_us(s->metrics.first, us);
	if (after == work->state)
		return;
	if (after == CLAIM_ACTIVE || after == CLAIM_SETTLED) {
		if (!work->claim.is_credited)
			metric_observe_us(s->metrics.active, us);
		if (after == CLAIM_SETTLED)
			metric_observe_us(s->metrics.settled, us);
	}
}

static uint64_t retry_ms(unsigned looks)
{
	uint64_t ms = RETRY_FIRST_MS;

	while (looks-- > 0 && ms < RETRY_MAX_MS)
		ms *= 2;
	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void name_endpoints(const struct followed *followed, char *out,
			   size_t size)
{
	size_t at = 0;

	for (unsigned i = 0; i < followed->chain->endpoints_count; i++) {
		int len =
			snprintf(out + at, size - at, "%s%s", i ? " " : "",
				 endpoint_label(followed->chain->endpoints[i]));

		if (len < 0 || (size_t)len >= size - at)
			return;
		at += (size_t)len;
	}
}

static void watch_silence(struct scheduler *s, struct tracked *t,
			  enum finding_kind kind, uint64_t now_ms)
{
	const struct followed *followed = &s->chains[t->chain];
	char names[256];

	if (kind != FINDING_NOTHING) {
		t->silent_ms = 0;
		return;
	}
	if (t->silent_ms == 0)
		t->silent_ms = now_ms;
	if (now_ms - t->silent_ms < SILENT_MAX_MS)
		return;
	name_endpoints(followed, names, sizeof(names));
	LOG_BROKEN("endpoints do not agree on a payment",
		   log_text("chain", followed->chain->name),
		   log_text("endpoints", names), log_hex("claim", t->key, 4));
}

/* A claim has been looked at, and the ledger has committed what was found. */
static void finish(struct scheduler *s, struct tracked *t,
		   enum finding_kind kind, uint64_t now_ms)
{
	static const unsigned reorg = BACKLOG_REORG;
	struct work *work = t->work;
	struct claim_view view;
	uint32_t rev = work->claim.rev;

	t->work = NULL;
	t->state = TRACKED_WATCHED;
	s->chains[t->chain].load--;
	watch_silence(s, t, kind, now_ms);
	if (ledger_read_claim(s->ledger, t->key, &view)) {
		work_free(work);
		tracker_remove(s->tracker, t);
		return;
	}
	if (kind != FINDING_NOTHING)
		observe(s, work, view.record.state);
	work_free(work);
	if (!claim_is_open(view.record.state)) {
		tracker_remove(s->tracker, t);
		return;
	}
	t->touched_ms = now_ms;
	set_need(t, &view);
	if (t->again) {
		enqueue(s, t, &view, &reorg);
		return;
	}
	/* Nothing came of it: not at once again. */
	t->looks = view.record.rev == rev ? t->looks + 1 : 0;
	t->not_before_ms = now_ms + (t->looks ? retry_ms(t->looks - 1) : 0);
}

static void take_back(struct scheduler *s, struct job *job, uint64_t now_ms)
{
	for (unsigned i = 0; i < job->count; i++)
		finish(s, job->items[i],
		       job->err ? FINDING_NOTHING : job->findings[i].kind,
		       now_ms);
	s->flying -= job->count;
	job->next = s->idle;
	s->idle = job;
}

static void take_note(struct scheduler *s, struct note *note, uint64_t now_ms)
{
	struct poke *poke = (struct poke *)(void *)note;
	struct move *move = (struct move *)(void *)note;

	switch (note->kind) {
	case NOTE_POKE:
		(void)want(s, poke->key, true, NULL, now_ms);
		free(poke);
		break;
	case NOTE_MOVED:
		s->chains[move->chain].is_moved = true;
		recheck(s, move, now_ms);
		free(move);
		break;
	case NOTE_JOB:
		take_back(s, (struct job *)(void *)note, now_ms);
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

/* ---- the thread ---- */

static void tick(struct scheduler *s)
{
	uint64_t now_ms = clock_mono_ms();
	/* First: the views are then at least as new as what they tell. */
	struct letter *letters = mailbox_take_all(&s->box);
	uint32_t open = open_chains(s);

	take_notes(s, letters);
	for (unsigned i = 0; i < s->chains_count; i++)
		scan(s, &s->chains[i], now_ms);
	read_due(s, now_ms);
	send_jobs(s, open);
	if (now_ms - s->swept_ms >= SWEEP_EVERY_MS) {
		s->swept_ms = now_ms;
		tracker_sweep(s->tracker, now_ms > 2 * RETRY_MAX_MS
						  ? now_ms - 2 * RETRY_MAX_MS
						  : 0);
	}
}

static void *run(void *arg)
{
	struct scheduler *s = arg;

	while (!atomic_load(&s->is_stopping)) {
		tick(s);
		mailbox_wait(&s->box, TICK_MS);
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

static int make_job(struct scheduler *s, struct job *job)
{
	job->s = s;
	job->note.kind = NOTE_JOB;
	job->pool.run = work_on;
	job->items = calloc(s->batch, sizeof(struct tracked *));
	job->claims = calloc(s->batch, sizeof(*job->claims));
	job->findings = calloc(s->batch, sizeof(*job->findings));
	job->told = calloc(s->batch, sizeof(*job->told));
	if (!job->items || !job->claims || !job->findings || !job->told)
		return ERR_NOMEM;
	job->next = s->idle;
	s->idle = job;
	return 0;
}

/* One for each worker, two waiting for each, one with the ledger. */
#define JOBS_PER_WORKER 4

static int make_jobs(struct scheduler *s)
{
	unsigned count = s->workers * JOBS_PER_WORKER;

	s->jobs = calloc(count, sizeof(*s->jobs));
	s->verifiers = calloc(s->workers, sizeof(struct verifier *));
	if (!s->jobs || !s->verifiers)
		return ERR_NOMEM;
	for (unsigned i = 0; i < count; i++) {
		if (make_job(s, &s->jobs[i]))
			return ERR_NOMEM;
	}
	for (unsigned i = 0; i < s->workers; i++) {
		if (verifier_new(s->server, &s->verifiers[i]))
			return ERR_NOMEM;
	}
	return pool_start("verify", s->workers, 2 * s->workers, &s->pool);
}

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
	struct ledger_alarm alarm;
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
						 .ctx = f};
		int err = read_alarm(s, &config);

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
	s->due_max = (size_t)2 * WINDOW;
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
		err = make_jobs(s);
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

static void release_jobs(struct scheduler *s)
{
	for (unsigned i = 0; s->jobs && i < s->workers * JOBS_PER_WORKER; i++) {
		free(s->jobs[i].items);
		free(s->jobs[i].claims);
		free(s->jobs[i].findings);
		free(s->jobs[i].told);
	}
	for (unsigned i = 0; s->verifiers && i < s->workers; i++)
		verifier_free(s->verifiers[i]);
	free(s->jobs);
	free(s->verifiers);
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
	release_jobs(s);
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
