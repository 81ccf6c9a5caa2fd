#ifndef CORE_POOL_H
#define CORE_POOL_H
/*
 * A worker pool: n threads take jobs from one bounded queue, in order. Giving
 * a job never waits and takes no lock (a ring thread does it).
 *
 * A job is embedded in the caller's object and belongs to the pool until its
 * function has returned; the function hands the result on, as a letter.
 *
 * Thread: pool_put from any; start and stop from one.
 */
#include <stddef.h>

struct pool;
struct pool_job {
	void (*run)(struct pool_job *job, unsigned worker); /* worker 0..n-1 */
};

/* `name` shows in thread lists (at most 11 characters). 0, ERR_NOMEM, ERR_IO.
 */
int pool_start(const char *name, unsigned workers, unsigned jobs_max,
	       struct pool **out);
/* 0 or ERR_FULL. */
int pool_put(struct pool *pool, struct pool_job *job);
/* Jobs given and not yet taken up. */
unsigned pool_waiting(const struct pool *pool);
/* Runs what was given, then ends the threads. NULL is fine. */
void pool_stop(struct pool *pool);

#endif
