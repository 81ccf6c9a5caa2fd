/*
 * Several givers, several workers: every job runs once, the bound holds, one
 * worker keeps the order, and stopping runs what was given.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/pool.h"

#define GIVERS   3
#define JOBS     20000u
#define JOBS_MAX 100u
#define WORKERS  4

struct job {
	struct pool_job job; /* first, so that a pool_job is a job */
	unsigned giver;
	unsigned number;
};

static struct pool *pool;
static atomic_uint runs;
static atomic_uint refused;
static atomic_bool gate_is_open;
static unsigned next_number[GIVERS]; /* of the single worker */

static struct job *job_new(void (*run)(struct pool_job *, unsigned),
			   unsigned giver, unsigned number)
{
	struct job *job = malloc(sizeof(*job));

	assert(job);
	job->job.run = run;
	job->giver = giver;
	job->number = number;
	return job;
}

static void run_once(struct pool_job *job, unsigned worker)
{
	assert(worker < WORKERS);
	atomic_fetch_add(&runs, 1);
	free(job);
}

static void run_in_order(struct pool_job *pool_job, unsigned worker)
{
	struct job *job = (struct job *)pool_job;

	assert(worker == 0);
	assert(job->number == next_number[job->giver]);
	next_number[job->giver]++;
	run_once(pool_job, worker);
}

/* A job that gives another one: it must run though the pool is stopping. */
static void run_parent(struct pool_job *job, unsigned worker)
{
	assert(pool_put(pool, &job_new(run_once, 0, 0)->job) == 0);
	run_once(job, worker);
}

static void wait_for_gate(struct pool_job *job, unsigned worker)
{
	while (!atomic_load(&gate_is_open))
		(void)sched_yield();
	run_once(job, worker);
}

static void (*giver_run)(struct pool_job *, unsigned);

static void *give(void *arg)
{
	unsigned giver = *(const unsigned *)arg;

	for (unsigned i = 0; i < JOBS; i++) {
		struct job *job = job_new(giver_run, giver, i);

		while (pool_put(pool, &job->job)) {
			atomic_fetch_add(&refused, 1);
			(void)sched_yield();
		}
		assert(pool_waiting(pool) <= JOBS_MAX + GIVERS);
	}
	return NULL;
}

static void many_givers(unsigned workers,
			void (*run)(struct pool_job *, unsigned))
{
	pthread_t givers[GIVERS];
	unsigned numbers[GIVERS];

	atomic_store(&runs, 0);
	giver_run = run;
	assert(pool_start("stress", workers, JOBS_MAX, &pool) == 0);
	for (unsigned i = 0; i < GIVERS; i++) {
		numbers[i] = i;
		assert(pthread_create(&givers[i], NULL, give, &numbers[i]) ==
		       0);
	}
	for (unsigned i = 0; i < GIVERS; i++)
		assert(pthread_join(givers[i], NULL) == 0);
	/* Busy still: what was given runs all the same. */
	pool_stop(pool);
	assert(atomic_load(&runs) == GIVERS * JOBS);
}

static void full_and_stop_while_busy(void)
{
	struct job *extra = job_new(run_once, 0, 0);
	unsigned given = 1;

	atomic_store(&runs, 0);
	atomic_store(&gate_is_open, false);
	assert(pool_start("stress", 1, 8, &pool) == 0);
	assert(pool_put(pool, &job_new(wait_for_gate, 0, 0)->job) == 0);
	while (pool_waiting(pool) > 0)
		(void)sched_yield();
	while (pool_put(pool, &extra->job) == 0) {
		given++;
		extra = job_new(run_once, 0, 0);
	}
	assert(given == 1 + 8 && pool_waiting(pool) == 8);
	free(extra);
	atomic_store(&gate_is_open, true);
	pool_stop(pool);
	assert(atomic_load(&runs) == given);
}

static void stop_with_children(void)
{
	for (unsigned round = 0; round < 200; round++) {
		atomic_store(&runs, 0);
		assert(pool_start("stress", WORKERS, 64, &pool) == 0);
		for (unsigned i = 0; i < 16; i++)
			assert(pool_put(pool,
					&job_new(run_parent, 0, i)->job) == 0);
		pool_stop(pool);
		assert(atomic_load(&runs) == 32);
	}
}

int main(void)
{
	many_givers(1, run_in_order);
	many_givers(WORKERS, run_once);
	full_and_stop_while_busy();
	stop_with_children();
	pool_stop(NULL);
	printf("%u jobs, %u refusals\n", 2 * GIVERS * JOBS,
	       atomic_load(&refused));
	return 0;
}
