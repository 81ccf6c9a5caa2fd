/*
 * Verification with all its threads: three nodes of which one lies, workers,
 * follower, scheduler and ledger, claims that come in while heads move and
 * blocks are replaced, and stops in the midst of it. At the end every payment
 * is credited once, as the ledger's own check says.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "tests/support/verifying.h"

#define CLAIMS  400
#define FILERS  2
#define ROUNDS  3
#define PATIENT 60000

static struct verifying v;
static struct claim claims[CLAIMS];

static void *file_some(void *arg)
{
	unsigned first = *(unsigned *)arg;

	for (unsigned i = first; i < CLAIMS; i += FILERS) {
		verifying_file(&v, &claims[i], i % 7);
		if (i % 16 == 0)
			verifying_nap(1);
	}
	return NULL;
}

static void move_heads(void)
{
	for (uint64_t head = 101; head <= 130; head++) {
		verifying_head(&v, head);
		if (head == 110) {
			for (unsigned i = 0; i < 3; i++) {
				atomic_store(&v.nodes[i]->fork, 1);
				atomic_store(&v.nodes[i]->fork_from, 105);
			}
		}
		verifying_nap(40);
	}
}

static bool wait_all(void)
{
	for (unsigned i = 0; i < CLAIMS; i++) {
		if (!verifying_wait(&v, &claims[i], CLAIM_SETTLED, PATIENT)) {
			(void)fprintf(
				stderr, "claim %u is in state %d\n", i,
				verifying_view(&v, &claims[i]).record.state);
			return false;
		}
	}
	return true;
}

/* Everything must be asked again; nothing may be credited again. */
static void stop_and_start(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		verifying_nap(150);
		verifying_stop(&v);
		verifying_start(&v);
	}
}

int main(void)
{
	pthread_t threads[FILERS];
	unsigned first[FILERS];
	bool good;

	log_set_level(LOG_LEVEL_BROKEN);
	verifying_begin(&v, 3, 2);
	atomic_store(&v.nodes[2]->fault, FAKE_LIE_VALUE);
	v.workers = 3;
	v.batch = 20;
	for (unsigned i = 0; i < CLAIMS; i++)
		claims[i] = verifying_claim(&v, i, 50 + i % 58, 100 + i, 0);
	verifying_start(&v);
	for (unsigned i = 0; i < FILERS; i++) {
		first[i] = i;
		if (pthread_create(&threads[i], NULL, file_some, &first[i]))
			return 1;
	}
	move_heads();
	for (unsigned i = 0; i < FILERS; i++)
		(void)pthread_join(threads[i], NULL);
	stop_and_start();
	good = wait_all();
	return verifying_end(&v) == 0 && good ? 0 : 1;
}
