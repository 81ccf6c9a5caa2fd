#ifndef AUTH_PAYMENTS_PRIVATE_H
#define AUTH_PAYMENTS_PRIVATE_H
/*
 * What the files of the facade share. The keeper is its one thread: it makes
 * offers, wakes those who wait for a claim, converts credit, and passes the
 * heads on to the gate.
 *
 * Thread: the keeper's, but for letters and atomics.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "auth/payments.h"
#include "auth/rates.h"
#include "core/mailbox.h"

struct scheduler;

#define PAYMENTS_WAITERS_MAX 4096

/* A letter to the keeper. */
struct keeper_letter {
	struct letter letter; /* first: letters are these */
	enum { KEEPER_WAITER, KEEPER_CHANGES } kind;
};

struct waiter {
	struct keeper_letter head;
	struct waiter *next;
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint32_t rev;
	uint64_t until_ms; /* monotonic */
	void (*changed)(void *ctx);
	void *ctx;
};

struct changes {
	struct keeper_letter head;
	size_t count;
	struct ledger_change list[];
};

struct payments {
	struct payments_config config; /* its strings are not ours */
	struct ledger *ledger;
	struct scheduler *scheduler; /* NULL: no chain is configured */
	struct rates *submits;
	struct rates *contract_submits;
	struct rates *asks;
	atomic_bool is_stopping;
	atomic_uint submitting; /* letters at the ledger */

	pthread_t keeper;
	bool has_keeper;
	struct mailbox box;
	atomic_uint waiters_count;
	atomic_bool wants_offer; /* the settings have changed */
	_Atomic(payments_notify_fn) notify;
	_Atomic(void *) notify_ctx;
	atomic_bool is_notifying;

	/* Keeper's. */
	struct waiter *waiters;
	uint64_t started_ms;
	uint64_t converted_ms;
	int refused[OFFER_OPTIONS_MAX]; /* why an option is not offered */
};

/* The keeper's loop, for pthread_create(). */
void *keeper_main(void *arg);
/* Call back whoever still waits; after the thread has ended. */
void keeper_release(struct payments *payments);
/* The same once there is no ledger to look at. */
void keeper_drop(struct payments *payments);
/* Ledger thread: what a commit changed. */
void keeper_changed(void *ctx, const struct ledger_change *changes,
		    size_t count);

/* Is this chain configured? */
bool payments_has_chain(const struct payments_config *config, uint64_t id);

/* Make a new offer if one is needed (§4, §19). Returns 0 if none is, or the
 * error that kept it from being made. */
int offers_refresh(struct payments *payments);

/* As payments_status(), without a source. */
int status_read(struct payments *payments,
		const uint8_t id[static CLAIM_ID_SIZE],
		struct claim_status *out);

#endif
