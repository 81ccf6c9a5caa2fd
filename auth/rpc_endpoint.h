#ifndef AUTH_RPC_ENDPOINT_H
#define AUTH_RPC_ENDPOINT_H
/*
 * What an endpoint is behind auth/rpc.h, for auth/rpc*.c alone.
 *
 * Thread: text and numbers without _Atomic do not change after making.
 */
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
	_Atomic uint64_t budget_us;       /* the next request may leave then */

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
/* When may `count` requests leave? Reserves them, unless that is more than
 * `max_ms` away. Monotonic ms. */
uint64_t endpoint_reserve(struct endpoint *ep, unsigned count, uint64_t now_ms,
			  unsigned max_ms);
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
