/* The way of claims through a worker and the ledger, a job at a time, and what
 * becomes of them when it is back. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/scheduler_private.h"
#include "auth/step.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

#define RETRY_FIRST_MS 500
#define SILENT_MAX_MS  600000 /* §15.2: then an alarm */

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

/* ---- jobs out ---- */

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

void jobs_send(struct scheduler *s, uint32_t open)
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

	while (looks-- > 0 && ms < SCHEDULER_RETRY_MAX_MS)
		ms *= 2;
	return ms < SCHEDULER_RETRY_MAX_MS ? ms : SCHEDULER_RETRY_MAX_MS;
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
	due_set_need(t, &view);
	if (t->again) {
		due_enqueue(s, t, &view, &reorg);
		return;
	}
	/* Nothing came of it: not at once again. */
	t->looks = view.record.rev == rev ? t->looks + 1 : 0;
	t->not_before_ms = now_ms + (t->looks ? retry_ms(t->looks - 1) : 0);
}

void jobs_take_back(struct scheduler *s, struct job *job, uint64_t now_ms)
{
	for (unsigned i = 0; i < job->count; i++)
		finish(s, job->items[i],
		       job->err ? FINDING_NOTHING : job->findings[i].kind,
		       now_ms);
	s->flying -= job->count;
	job->next = s->idle;
	s->idle = job;
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

int jobs_make(struct scheduler *s)
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

void jobs_release(struct scheduler *s)
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
