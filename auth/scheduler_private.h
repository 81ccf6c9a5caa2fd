#ifndef AUTH_SCHEDULER_PRIVATE_H
#define AUTH_SCHEDULER_PRIVATE_H
/*
 * What the files of the scheduler share among themselves; nobody else includes
 * this.
 *
 * Thread: the scheduler's, but for what jobs and letters carry.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "auth/follower.h"
#include "auth/scheduler.h"
#include "auth/tracker.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "core/pool.h"

#define SCHEDULER_WINDOW       8192 /* claims that wait or fly, in memory */
#define SCHEDULER_TICK_MS      200
#define SCHEDULER_RETRY_MAX_MS 60000ull

struct scheduler;

enum note_kind { NOTE_POKE, NOTE_MOVED, NOTE_JOB };
struct note {
	struct letter letter; /* first */
	enum note_kind kind;
};
struct poke {
	struct note note;
	uint8_t key[CLAIM_KEY_SIZE];
	uint32_t rev; /* 0: in any case */
};
struct move {
	struct note note;
	unsigned chain;
	struct follower_news news;
};

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

/* ---- scheduler_due.c: which claims are to be looked at ---- */

/* What to wait for, from what the ledger says. */
void due_set_need(struct tracked *t, const struct claim_view *view);
/* Into the backlog, as the ledger has it now. */
void due_enqueue(struct scheduler *s, struct tracked *t,
		 const struct claim_view *view, const unsigned *kind);
/* Look at this one as soon as it is its turn. False: it must wait. */
bool due_want(struct scheduler *s, const uint8_t *key, bool is_urgent,
	      const unsigned *kind, uint64_t now_ms);
/* The rows of the ledger whose time has come. */
void due_poke(struct scheduler *s, const uint8_t *key, uint32_t rev,
	      uint64_t now_ms);
void due_read(struct scheduler *s, uint64_t now_ms);
/* §15.3: confirming and active claims whose number has been reached. */
void due_scan(struct scheduler *s, struct followed *followed, uint64_t now_ms);
/* §11: every active or confirming claim in the replaced numbers, at once. */
void due_recheck(struct scheduler *s, const struct move *move, uint64_t now_ms);

/* ---- scheduler_jobs.c: their way through a worker and the ledger ---- */

/* Also starts the workers. 0, ERR_NOMEM or ERR_IO. */
int jobs_make(struct scheduler *s);
/* The workers are stopped and the ledger has nothing of ours. */
void jobs_release(struct scheduler *s);
/* As many as there are places for, of the chains in `open`. */
void jobs_send(struct scheduler *s, uint32_t open);
void jobs_take_back(struct scheduler *s, struct job *job, uint64_t now_ms);

#endif
