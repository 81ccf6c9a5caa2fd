#ifndef AUTH_SCHEDULER_H
#define AUTH_SCHEDULER_H
/*
 * Verification as a whole (payments.md §16): reads what is due from the
 * ledger, follows the heads of the chains, has claims checked by a pool of
 * workers, and posts what they find back to the ledger.
 *
 * Truth is the ledger's `due` and `heights`; nothing here is stored. A claim
 * is in at most one job. Before the ledger is closed the scheduler is stopped.
 *
 * Thread: start and stop from one; everything else from any, without a wait.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/payments.h"

struct scheduler;

struct scheduler_config {
	struct ledger *ledger;
	const struct chain_config *chains; /* copied, with their strings */
	unsigned chains_count;
	const struct offer_option *options; /* copied: the checks of §19 */
	unsigned options_count;
	uint8_t server[SECP_PUBLIC_SIZE]; /* our node key: claims of scheme 2 */
	unsigned workers;                 /* 0: 4 */
	unsigned batch;    /* claims in a job, items in a batch; 0: 100 */
	unsigned open_max; /* open claims there can be; 0: 100 000 */
};

/*
 * Opens no connection before it returns: endpoints that are away are no
 * reason not to start. 0, or ERR_RANGE (settings), ERR_NOMEM, ERR_IO with a
 * sentence in `why`.
 */
int scheduler_start(const struct scheduler_config *config,
		    struct scheduler **out, char *why, size_t why_size);
/*
 * §16.4: transfers in progress are aborted, what was found is committed.
 * Returns within 200 ms and the ledger's commit. NULL is fine.
 */
void scheduler_stop(struct scheduler *scheduler);

/*
 * This claim was just accepted or made due, and is at `rev` since: look at it
 * now, unless that has been done by now. Twice in a row would make a pending
 * claim wait twice as long (§15.3). `rev` 0: in any case.
 */
void scheduler_poke(struct scheduler *scheduler,
		    const uint8_t key[static CLAIM_KEY_SIZE], uint32_t rev);

/* Timestamp of the newest fresh head of any chain; 0: none is fresh (§14). */
uint64_t scheduler_head_s(const struct scheduler *scheduler);

/* 0 or ERR_NOTFOUND: there is no i-th chain. */
int scheduler_chain(const struct scheduler *scheduler, unsigned i,
		    struct chain_view *out);

/*
 * May the i-th option be offered? (§19: the token has code, its decimals and
 * symbol are those configured, the chain has the tags the policies need.)
 * 0; ERR_AGAIN: no endpoint has answered yet; ERR_DENIED: no, `why` says it.
 */
int scheduler_option(const struct scheduler *scheduler, unsigned i, char *why,
		     size_t why_size);

/*
 * A finalized block has changed (§11): nothing is credited on that chain
 * until the operator says so here, of the alarms that its view counts. That
 * there is an alarm is stored; that it is over, the caller stores first.
 * 0, or ERR_NOTFOUND: no such chain.
 */
int scheduler_acknowledge(struct scheduler *scheduler, uint64_t chain_id,
			  uint64_t alarms);

#endif
