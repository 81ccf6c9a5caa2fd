#ifndef AUTH_RPC_H
#define AUTH_RPC_H
/*
 * Endpoints of a chain and the way to them (payments.md §15.3 to §15.5):
 * HTTP POST through libcurl, batches, budgets, and one door for everything
 * that can go wrong with an endpoint.
 *
 * An endpoint is shared by all threads; what is known of it is in atomics. A
 * `struct rpc` holds the connections of one thread.
 *
 * Thread: rpc_* on the one that owns it, but rpc_abort() from any;
 *         endpoint_* from any; rpc_chain_new/free from one.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/chain.h"
#include "auth/payments.h"

/* ---- endpoints ---- */

/* Times that tests make short. */
struct rpc_limits {
	unsigned connect_ms;
	unsigned total_ms;
	unsigned breaker_ms; /* first time open; doubles ... */
	unsigned breaker_max_ms;
	unsigned quiet_ms; /* throttled without Retry-After; doubles ... */
	unsigned quiet_max_ms;
	unsigned aside_ms;    /* after three dissents (§15.2) ... */
	unsigned forget_ms;   /* of which each is forgotten after so long */
	unsigned single_ms;   /* after a refused batch (§15.3) */
	unsigned identity_ms; /* chain id, block 0, syncing are asked again */
	size_t body_max;
};
extern const struct rpc_limits rpc_limits_default;

#define RPC_FAILURES_MAX 5
#define RPC_DISSENTS_MAX 3

struct endpoint;

/* Copies of the operator's words, and what is known by now. */
struct rpc_chain {
	char name[32];
	uint64_t id;
	unsigned quorum;
	unsigned block_time_ms;
	bool has_genesis; /* follower's thread only */
	uint8_t genesis[32];
	struct rpc_limits limits;
	struct endpoint *endpoints[PAYMENTS_ENDPOINTS_MAX];
	unsigned endpoints_count;
};

/*
 * `batch` is for endpoints that set none of their own. 0, or ERR_RANGE with a
 * sentence in `why` (an URL, a quorum of not more than half), ERR_NOMEM.
 */
int rpc_chain_new(const struct chain_config *config, unsigned batch,
		  const struct rpc_limits *limits, struct rpc_chain **out,
		  char *why, size_t why_size);
void rpc_chain_free(struct rpc_chain *chain);

/* A copy that lives for ever, the same for the same text: for metrics. */
const char *rpc_label(const char *text);

/* "mainnet/0": never the URL, which may hold credentials. */
const char *endpoint_label(const struct endpoint *ep);
/* Equal for endpoints that are one voice. */
unsigned endpoint_group(const struct endpoint *ep);
/* Known to be the chain we mean, not stale, not aside, breaker closed. */
bool endpoint_is_usable(const struct endpoint *ep, uint64_t now_ms);
/* It would be, if its head moved. */
bool endpoint_is_only_stale(const struct endpoint *ep, uint64_t now_ms);
/* The breaker has been open long enough, or it is time to identify it. */
bool endpoint_wants_probe(const struct endpoint *ep, uint64_t now_ms);
/* For a chain that has no quorum without it: its rest does not double. */
bool endpoint_wants_early_probe(const struct endpoint *ep, uint64_t now_ms);
/* The answer to that: is it the chain we mean? */
void endpoint_identified(struct endpoint *ep, bool good, uint64_t now_ms);
void endpoint_set_stale(struct endpoint *ep, bool stale);
/* It contradicted the quorum; three times in a day about settled facts: aside
 * for an hour, and then its slate is clean. */
void endpoint_dissent(struct endpoint *ep, bool about_settled, uint64_t now_ms);
bool endpoint_lacks(const struct endpoint *ep, enum chain_method method);

/* ---- transport ---- */

struct rpc;

int rpc_new(struct rpc **out); /* 0 or ERR_NOMEM */
void rpc_free(struct rpc *rpc);
/* All calls, present and later, end at once with ERR_CLOSED. */
void rpc_abort(struct rpc *rpc);
bool rpc_is_aborted(const struct rpc *rpc);
/* Wait, or less when aborted. */
void rpc_sleep(struct rpc *rpc, unsigned ms);

/* Questions for one endpoint; `answers` has as many places. */
struct rpc_call {
	struct endpoint *endpoint;
	const struct chain_request *requests;
	unsigned count;
	struct chain_answer *answers;
	bool failed; /* out: the endpoint was away for some of it */

	/* rpc_run's */
	unsigned *todo;
	unsigned todo_next, todo_count, flying;
	uint64_t wait_until_ms;
	bool is_paid;
	bool is_single; /* what is left goes one by one */
};

/*
 * Ask all endpoints at the same time, each in batches as it takes them, and
 * return when all have answered or failed. Every item has its outcome then.
 * 0, ERR_CLOSED (aborted) or ERR_NOMEM.
 */
int rpc_run(struct rpc *rpc, struct rpc_call *calls, unsigned count);

/*
 * Identify those of `mask` (bit i: endpoints[i]): chain id, hash of block 0,
 * not syncing. Tells endpoint_identified(). A chain without a genesis hash
 * takes the one that `quorum` groups agree on. 0 or ERR_CLOSED, ERR_NOMEM.
 */
int rpc_identify(struct rpc *rpc, struct rpc_chain *chain, unsigned mask);

/* May this be an endpoint's URL (§15.4)? NULL: yes; else what it is instead, as
 * in "is plain http to another machine; ...". Any thread. */
const char *rpc_url_fault(const char *url, bool allow_plain_http);

#endif
