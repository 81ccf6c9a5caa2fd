/*
 * Counts by address that many threads take and give back at once: no bound is
 * ever passed, nothing is lost, and at the end all is free again. And buckets
 * that many threads take from: they get what one would have got.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/limits.h"
#include "net/link_impl.h"

#define THREADS  4u
#define PREFIXES 6u /* few, so that all meet */
#define BOUND    3u
#define TURNS    60000u

static struct link_limits *limits;
static atomic_uint held[PREFIXES]; /* by those who were let in */
static atomic_uint opened;
static atomic_uint let_in, refused;

static void check(bool is_so, const char *what)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "not so: %s\n", what);
	abort();
}

static uint64_t prefix_at(unsigned i)
{
	return 0x0400000000000000u + i;
}

static void *take_and_give(void *arg)
{
	uint32_t random = *(const unsigned *)arg + 1;
	unsigned mine[PREFIXES] = {0};

	for (unsigned turn = 0; turn < TURNS; turn++) {
		unsigned p;

		random = random * 1664525 + 1013904223;
		p = (random >> 8) % PREFIXES;
		if (random >> 31 && mine[p] > 0) {
			mine[p]--;
			/* Before it is given back: after it nobody may count.
			 */
			atomic_fetch_sub(&held[p], 1);
			link_limit_give(limits->by_ip, prefix_at(p));
		} else if (link_limit_take(limits->by_ip, prefix_at(p),
					   BOUND) == 0) {
			check(atomic_fetch_add(&held[p], 1) < BOUND,
			      "a bound holds");
			mine[p]++;
			atomic_fetch_add(&let_in, 1);
		} else {
			atomic_fetch_add(&refused, 1);
		}
		if (link_limits_open(limits)) {
			check(atomic_fetch_add(&opened, 1) < 2,
			      "no more are open");
			atomic_fetch_sub(&opened, 1);
			link_limits_closed(limits);
		}
	}
	for (unsigned p = 0; p < PREFIXES; p++) {
		for (; mine[p] > 0; mine[p]--) {
			atomic_fetch_sub(&held[p], 1);
			link_limit_give(limits->by_ip, prefix_at(p));
		}
	}
	return NULL;
}

/* ---- buckets ---- */

#define KEYS   5u
#define BURST  1000u
#define NOW_MS UINT64_C(5000)

static struct limits *rates;
static atomic_uint tokens[KEYS];

static void *take_tokens(void *arg)
{
	(void)arg;
	for (unsigned turn = 0; turn < KEYS * BURST; turn++) {
		unsigned i = turn % KEYS;
		struct limits_entry *entry =
			limits_get(rates, 1000 + i, NOW_MS);

		if (bucket_take(&entry->requests, 10, BURST, 1, NOW_MS))
			atomic_fetch_add(&tokens[i], 1);
		/* Owed, all together, after the last one. */
		(void)bucket_charge(&entry->bytes, 10, BURST, 1, NOW_MS);
	}
	return NULL;
}

static void test_buckets(void)
{
	pthread_t threads[THREADS];

	rates = limits_new();
	check(rates, "there is memory");
	/* Known before: who meets a new one at once may get one twice. */
	for (unsigned i = 0; i < KEYS; i++)
		(void)limits_get(rates, 1000 + i, NOW_MS);
	for (unsigned i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, take_tokens, NULL) == 0,
		      "a thread");
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < KEYS; i++) {
		struct limits_entry *entry =
			limits_get(rates, 1000 + i, NOW_MS);
		uint64_t wait_ms =
			bucket_charge(&entry->bytes, 10, BURST, 0, NOW_MS);

		check(atomic_load(&tokens[i]) == BURST, "a burst is a burst");
		check(wait_ms == (THREADS - 1) * BURST * 100 + 1,
		      "a debt is that of all");
	}
	limits_free(rates);
}

int main(void)
{
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];

	test_buckets();
	limits = link_limits_new(64, 2);
	check(limits, "there is memory");
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		check(pthread_create(&threads[i], NULL, take_and_give,
				     &numbers[i]) == 0,
		      "a thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check(atomic_load(&let_in) > 1000 && atomic_load(&refused) > 1000,
	      "both happen");
	for (unsigned p = 0; p < PREFIXES; p++) {
		for (unsigned i = 0; i < BOUND; i++)
			check(link_limit_take(limits->by_ip, prefix_at(p),
					      BOUND) == 0,
			      "all is free at the end");
		check(link_limit_take(limits->by_ip, prefix_at(p), BOUND) != 0,
		      "and no more than that");
	}
	link_limits_free(limits);
	return 0;
}
