#ifndef AUTH_FOLLOWER_PRIVATE_H
#define AUTH_FOLLOWER_PRIVATE_H
/*
 * What the files of the follower share among themselves; nobody else includes
 * this.
 *
 * Thread: the follower's, but for boards and atomics.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "auth/board.h"
#include "auth/follower.h"
#include "auth/headers.h"
#include "core/metrics.h"

#define FOLLOWER_CHUNK_MAX 100
#define FOLLOWER_WHY_MAX   160

/* What an endpoint said in this round, and when its head last changed. */
struct outlook {
	bool has_head;
	struct chain_header head;
	bool has_final, has_safe;
	uint64_t final, safe;
	uint8_t seen_hash[32];
	uint64_t changed_ms; /* 0: never */
};

struct option_check {
	enum { CHECK_WAITING, CHECK_GOOD, CHECK_REFUSED } state;
	char why[FOLLOWER_WHY_MAX];
};

struct follower_metrics {
	struct metric *head, *safe, *final, *age, *reorgs, *depth;
	struct metric *alarm, *alarms;
};

struct follower {
	struct follower_config config;
	struct rpc_chain *chain;
	struct rpc *rpc;
	pthread_t thread;
	unsigned interval_ms;

	struct outlook outlooks[PAYMENTS_ENDPOINTS_MAX];
	pthread_mutex_t lock; /* of `headers`, for who reads them elsewhere */
	struct headers headers;
	struct chain_header links[HEADERS_MAX]; /* a new part, from its end */
	struct chain_header chunk[FOLLOWER_CHUNK_MAX];
	unsigned chunk_count;
	struct follower_view now;
	uint8_t head_hash[32];
	bool has_final_hash;
	bool is_final_old; /* from before the start, not looked at yet */
	bool has_waited;   /* for it, and has said so */
	uint64_t final_number;
	uint8_t final_hash[32];
	uint64_t told_number; /* by `final`; 0: none yet */
	uint64_t told_ms;
	uint64_t agreed_ms;
	uint64_t checked_ms;
	bool is_known; /* `know` has said yes */
	bool is_foreign;
	struct follower_metrics metrics;

	struct board view;
	bool must_tell; /* an alarm that is not stored yet */
	_Atomic uint64_t alarms;
	_Atomic uint64_t acknowledged;
	_Atomic uint64_t head_time_s;
	_Atomic uint64_t head_seen_ms;
	struct board checks[OFFER_OPTIONS_MAX];
};

/* Do these endpoints (bits) make a quorum? */
bool follower_is_quorum(const struct follower *f, uint32_t mask);

/* follower_links.c: a head that the quorum has agreed on joins the ring. 0, or
 * ERR_AGAIN (it was replaced while we were asking) or those of rpc_run(). */
int follower_extend(struct follower *f, struct endpoint *ep,
		    const struct chain_header *head,
		    struct follower_news *news);

/* follower_options.c: the checks of §19, as far as they are not done. `good`:
 * endpoints to be asked. 0, or the errors of rpc_run(). */
int follower_check_options(struct follower *f, uint32_t good, uint64_t now_ms);

#endif
