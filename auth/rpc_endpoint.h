#ifndef AUTH_RPC_ENDPOINT_H
#define AUTH_RPC_ENDPOINT_H
/*
 * What an endpoint is behind auth/rpc.h, for auth/rpc*.c alone.
 *
 * Thread: text and numbers without _Atomic do not change after making.
 */
#include <pthread.h>

#include "auth/rpc.h"
#include "core/metrics.h"

/* What became of a request, as it is counted. */
enum rpc_outcome {
	RPC_OK,
	RPC_ERROR,
	RPC_THROTTLED,
	RPC_MALFORMED,
	RPC_DOWN,
	RPC_OUTCOMES
};

/* Label texts live for ever: metrics keep pointers to them. */
struct endpoint_labels {
	struct endpoint_labels *next;
	char label[48];
	char endpoint[80];
	char request[CHAIN_METHODS][RPC_OUTCOMES][160];
};

#define BUDGET_SLOTS 64

/* What may arrive at an endpoint within the present second. */
struct endpoint_budget {
	pthread_mutex_t lock;
	unsigned flying; /* requests not yet answered */
	struct {
		uint64_t number; /* of a slot of time */
		unsigned count;  /* requests answered in it */
	} slots[BUDGET_SLOTS];
};

struct endpoint {
	struct endpoint_labels *labels;
	struct rpc_limits limits;
	char *url;
	char *header; /* NULL: none */
	bool is_loopback;
	unsigned group;
	unsigned batch_max;
	unsigned requests_per_s;

	atomic_uint batch_now;
	atomic_uint missing;  /* bits: enum chain_method */
	atomic_uint failures; /* in a row */
	atomic_uint opens;    /* in a row */
	atomic_uint quiets;   /* in a row */
	/* When it contradicted settled facts, the newest last; 0: not yet. */
	_Atomic uint64_t dissents_ms[RPC_DISSENTS_MAX];
	atomic_bool is_open; /* the breaker */
	atomic_bool is_good; /* identified */
	atomic_bool is_stale;
	_Atomic uint64_t probe_ms; /* monotonic, as all of these */
	_Atomic uint64_t early_ms; /* the same as if it had not doubled */
	_Atomic uint64_t quiet_until_ms;
	_Atomic uint64_t aside_until_ms;
	_Atomic uint64_t single_until_ms; /* it took no batch; 0: it does */
	_Atomic uint64_t budget_us;       /* what is promised has left then */
	struct endpoint_budget budget;

	struct metric *seconds;
	struct metric *dissent_total;
	struct metric *breaker;
	_Atomic(struct metric *) requests[CHAIN_METHODS][RPC_OUTCOMES];
};

/* A request was answered as it should be. */
void endpoint_ok(struct endpoint *ep);
/* §15.3: it is down, or what it says cannot be read. */
void endpoint_failed(struct endpoint *ep, const char *what, uint64_t now_ms);
/* `retry_after_s` 0: it did not say. Halves the batch. */
void endpoint_throttled(struct endpoint *ep, uint64_t retry_after_s,
			uint64_t now_ms);
/* 401, 403: out until somebody has looked. */
void endpoint_refused(struct endpoint *ep, long status, uint64_t now_ms);
void endpoint_halve(struct endpoint *ep);
/* It has refused a batch, and is offered none for a while; it took one. */
void endpoint_no_batch(struct endpoint *ep, uint64_t now_ms);
void endpoint_took_batch(struct endpoint *ep);
bool endpoint_is_single(const struct endpoint *ep, uint64_t now_ms);
void endpoint_set_missing(struct endpoint *ep, enum chain_method method);

/*
 * The budget of `requests_per_s`: what is asked for in one batch, when that is
 * to leave, and whether it may. Within any second no more requests arrive
 * there, however long they are on their way; so a little less than that leave.
 * It is counted from the making of the endpoint on. Times are monotonic ms.
 */
unsigned endpoint_batch(const struct endpoint *ep);
/* When are `count` requests to leave? Reserves them, unless that is more than
 * `max_ms` away. */
uint64_t endpoint_reserve(struct endpoint *ep, unsigned count, uint64_t now_ms,
			  unsigned max_ms);
/* `now_ms`: they leave now, and endpoint_return() follows when they are
 * answered or given up. Later: they do not, ask again then. */
uint64_t endpoint_leave(struct endpoint *ep, unsigned count, uint64_t now_ms);
void endpoint_return(struct endpoint *ep, unsigned count, uint64_t now_ms);

void endpoint_count(struct endpoint *ep, enum chain_method method,
		    enum rpc_outcome outcome);

/* The message of an error from libcurl names no URL; ours neither. */
int endpoint_new(const char *chain, unsigned i,
		 const struct endpoint_config *config, unsigned batch,
		 bool allow_plain_http, const struct rpc_limits *limits,
		 struct endpoint **out, char *why, size_t why_size);
void endpoint_free(struct endpoint *ep);

/* libcurl's global state, once. 0 or ERR_NOMEM. */
int rpc_prepare(void);

#endif
