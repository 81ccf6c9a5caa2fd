#ifndef AUTH_TRACKER_H
#define AUTH_TRACKER_H
/*
 * The claims the scheduler has in mind, by key: waiting, in a job, or watched
 * until a head is reached (payments.md §16.1). A claim is here once, so it is
 * in at most one job.
 *
 * Thread: the scheduler's; a claim's `work` is the worker's while it flies.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/backlog.h"
#include "auth/ledger.h"
#include "auth/verifier.h"

/* A copy of what a job has to know, made when the claim starts to wait. */
struct work {
	struct verify_claim claim;
	enum claim_state state;
	uint8_t proof[]; /* of scheme 2; claim.claim.proof points here */
};

enum tracked_state { TRACKED_WATCHED, TRACKED_WAITING, TRACKED_FLYING };

struct tracked {
	struct backlog_item item; /* first: one is the other */
	struct tracked *next;     /* of its bucket */
	uint8_t key[CLAIM_KEY_SIZE];
	enum tracked_state state;
	enum backlog_class kind;
	unsigned chain;
	bool again;    /* while it flies: look once more */
	bool has_need; /* watched: due when `need` holds for `block` */
	struct policy need;
	uint64_t block;
	uint8_t block_hash[32];
	bool is_linked; /* that block was seen in the chain as followed */
	uint32_t rev;   /* when last looked at */
	unsigned looks; /* in a row that changed nothing */
	uint64_t not_before_ms; /* monotonic */
	uint64_t touched_ms;
	uint64_t silent_ms; /* since when there is no agreement; 0: there is */
	struct work *work;  /* while it waits or flies */
};

struct tracker;

struct tracker *tracker_new(void); /* NULL: no memory */
void tracker_free(struct tracker *tracker);
struct tracked *tracker_find(struct tracker *tracker,
			     const uint8_t key[static CLAIM_KEY_SIZE]);
/* There must be none of that key. NULL: no memory. */
struct tracked *tracker_add(struct tracker *tracker,
			    const uint8_t key[static CLAIM_KEY_SIZE]);
void tracker_remove(struct tracker *tracker, struct tracked *tracked);
size_t tracker_count(const struct tracker *tracker);
/* Forget what is only watched and was not touched since then. */
void tracker_sweep(struct tracker *tracker, uint64_t before_ms);

/* From what the ledger says of it now. NULL: no memory. */
struct work *work_new(const struct claim_view *view);
void work_free(struct work *work);

#endif
