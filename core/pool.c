#include "core/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/futex.h"

#define JOBS_MAX   (1u << 30)
#define CACHE_LINE 64

/*
 * Vyukov's bounded queue: a cell's turn says who may use it next. At `pos` it
 * is free for the giver of position `pos`; at `pos + 1` the job of that
 * position is in it; the taker sets it one lap on.
 */
struct cell {
	_Atomic size_t turn;
	struct pool_job *job;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	unsigned index;
};

struct pool {
	_Alignas(CACHE_LINE) _Atomic size_t give_pos;
	_Alignas(CACHE_LINE) _Atomic size_t take_pos;
	/* A semaphore: a token for each job, and one for each worker to end. */
	_Alignas(CACHE_LINE) atomic_uint tokens;
	atomic_uint sleepers;
	atomic_uint waiting;
	atomic_bool stopping;
	struct cell *cells;
	size_t mask;
	unsigned jobs_max;
	unsigned workers_count;
	struct worker *workers;
};

static int give(struct pool *pool, struct pool_job *job)
{
	size_t pos =
		atomic_load_explicit(&pool->give_pos, memory_order_relaxed);

	for (;;) {
		struct cell *cell = &pool->cells[pos & pool->mask];
		size_t turn =
			atomic_load_explicit(&cell->turn, memory_order_acquire);

		if (turn == pos) {
			if (!atomic_compare_exchange_weak(&pool->give_pos, &pos,
							  pos + 1))
				continue;
			cell->job = job;
			atomic_store_explicit(&cell->turn, pos + 1,
					      memory_order_release);
			return 0;
		}
		/* Still in the hands of the taker one lap behind. */
		if ((ptrdiff_t)(turn - pos) < 0)
			return ERR_FULL;
		pos = atomic_load_explicit(&pool->give_pos,
					   memory_order_relaxed);
	}
}

/* NULL if the next job is not in its cell (yet). */
static struct pool_job *try_take(struct pool *pool)
{
	size_t pos =
		atomic_load_explicit(&pool->take_pos, memory_order_relaxed);

	for (;;) {
		struct cell *cell = &pool->cells[pos & pool->mask];
		size_t turn =
			atomic_load_explicit(&cell->turn, memory_order_acquire);
		struct pool_job *job;

		if (turn == pos + 1) {
			if (!atomic_compare_exchange_weak(&pool->take_pos, &pos,
							  pos + 1))
				continue;
			job = cell->job;
			atomic_store_explicit(&cell->turn, pos + pool->mask + 1,
					      memory_order_release);
			return job;
		}
		if ((ptrdiff_t)(turn - (pos + 1)) < 0)
			return NULL;
		pos = atomic_load_explicit(&pool->take_pos,
					   memory_order_relaxed);
	}
}

static bool is_drained(const struct pool *pool)
{
	return atomic_load(&pool->stopping) &&
	       atomic_load(&pool->take_pos) == atomic_load(&pool->give_pos);
}

/* With a token in hand. NULL: it was one to end by. */
static struct pool_job *take(struct pool *pool)
{
	struct pool_job *job;

	/* Somebody may have claimed the next cell and not filled it yet. */
	while (!(job = try_take(pool))) {
		if (is_drained(pool))
			return NULL;
		(void)sched_yield();
	}
	atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
	return job;
}

static bool try_token(struct pool *pool)
{
	unsigned tokens = atomic_load(&pool->tokens);

	while (tokens > 0) {
		if (atomic_compare_exchange_weak(&pool->tokens, &tokens,
						 tokens - 1))
			return true;
	}
	return false;
}

static void wait_token(struct pool *pool)
{
	while (!try_token(pool)) {
		/* Sequentially consistent against put_tokens(): the kernel
		 * looks at the word after we are counted. */
		atomic_fetch_add(&pool->sleepers, 1);
		futex_sleep(&pool->tokens, 0, FUTEX_FOREVER);
		atomic_fetch_sub(&pool->sleepers, 1);
	}
}

static void put_tokens(struct pool *pool, unsigned count)
{
	atomic_fetch_add(&pool->tokens, count);
	if (atomic_load(&pool->sleepers) > 0)
		futex_rouse(&pool->tokens, count);
}

static void *work(void *arg)
{
	const struct worker *worker = arg;
	struct pool_job *job;

	wait_token(worker->pool);
	while ((job = take(worker->pool))) {
		job->run(job, worker->index);
		wait_token(worker->pool);
	}
	return NULL;
}

static size_t cells_for(unsigned jobs_max)
{
	size_t count = 2;

	/* Twice the jobs, so that one slow taker seldom means ERR_FULL. */
	while (count < (size_t)jobs_max * 2)
		count *= 2;
	return count;
}

static int pool_new(unsigned workers, unsigned jobs_max, struct pool **out)
{
	struct pool *pool = aligned_alloc(CACHE_LINE, sizeof(*pool));
	size_t count = cells_for(jobs_max);

	if (!pool)
		return ERR_NOMEM;
	*pool = (struct pool){
		.mask = count - 1,
		.jobs_max = jobs_max,
		.cells = calloc(count, sizeof(*pool->cells)),
		.workers = calloc(workers, sizeof(*pool->workers)),
	};
	*out = pool;
	if (!pool->cells || !pool->workers)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		atomic_init(&pool->cells[i].turn, i);
	return 0;
}

static int start_worker(struct pool *pool, const char *name)
{
	struct worker *worker = &pool->workers[pool->workers_count];
	char title[16];

	worker->pool = pool;
	worker->index = pool->workers_count;
	if (pthread_create(&worker->thread, NULL, work, worker))
		return ERR_IO;
	pool->workers_count++;
	(void)snprintf(title, sizeof(title), "%.11s-%u", name,
		       worker->index % 1000);
	(void)pthread_setname_np(worker->thread, title);
	return 0;
}

/* Signals are for the main thread: workers are born with all blocked. */
static int start_workers(struct pool *pool, const char *name, unsigned count)
{
	sigset_t all;
	sigset_t before;
	int err = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned i = 0; i < count && !err; i++)
		err = start_worker(pool, name);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int pool_start(const char *name, unsigned workers, unsigned jobs_max,
	       struct pool **out)
{
	struct pool *pool = NULL;
	int err;

	assert(workers > 0 && jobs_max > 0 && jobs_max <= JOBS_MAX);
	err = pool_new(workers, jobs_max, &pool);
	if (err)
		goto out;
	err = start_workers(pool, name, workers);
	if (err)
		goto out;
	*out = pool;
	pool = NULL;
out:
	pool_stop(pool);
	return err;
}

int pool_put(struct pool *pool, struct pool_job *job)
{
	unsigned before = atomic_fetch_add_explicit(&pool->waiting, 1,
						    memory_order_relaxed);

	if (before >= pool->jobs_max || give(pool, job)) {
		atomic_fetch_sub_explicit(&pool->waiting, 1,
					  memory_order_relaxed);
		return ERR_FULL;
	}
	put_tokens(pool, 1);
	return 0;
}

unsigned pool_waiting(const struct pool *pool)
{
	return atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

void pool_stop(struct pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->stopping, true);
	put_tokens(pool, pool->workers_count);
	for (unsigned i = 0; i < pool->workers_count; i++)
		(void)pthread_join(pool->workers[i].thread, NULL);
	free(pool->workers);
	free(pool->cells);
	free(pool);
}
