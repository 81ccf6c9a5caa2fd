#ifndef BENCH_SHOP_H
#define BENCH_SHOP_H
/*
 * A server that sells, whole and in our process behind auth/payments.h, with
 * the chain's node beside it; and its customers, who pay, sign and file.
 *
 * Thread: main. What is told of claims comes on the shop's threads and is
 * counted in atomics.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/payments.h"
#include "bench/bench.h"
#include "bench/chainnode.h"

#define SHOP_HEAD     100000u /* the first; blocks are of seconds */
#define SHOP_ACTIVATE 6u
#define SHOP_PRICE    100u
#define SHOP_KEYS     1000u

/* A claim as it has gone. Times are monotonic ns, 0: not yet. */
struct shop_claim {
	uint8_t id[CLAIM_ID_SIZE];
	uint32_t block;
	atomic_uint state;           /* enum claim_state */
	_Atomic uint64_t seen_block; /* that the ledger has */
	_Atomic uint64_t filed_ns;
	_Atomic uint64_t looked_ns; /* no longer received */
	_Atomic uint64_t active_ns; /* active or settled */
	_Atomic uint64_t settled_ns;
	_Atomic uint64_t changed_ns; /* lately */
	atomic_uint mark;            /* see shop_mark() */
};

struct shop_place {
	_Atomic uint32_t number; /* of a claim, + 1 */
};

struct shop {
	const struct bench *bench;
	char dir[BENCH_PATH_MAX];
	struct chainnode node;
	struct secp_key key; /* of the server */
	struct secp_key *keys;
	uint8_t (*addresses)[ADDRESS_SIZE];
	unsigned requests_per_s; /* of the endpoint; 0: any number */
	/* Blocks behind the head that are not final, from shop_begin() to
	 * shop_end(): what a ledger has once seen final stays so. 0: few. */
	unsigned final_lag;
	struct payments *payments;
	uint8_t offer_hash[32];
	uint64_t opened_ns;

	struct shop_claim *claims;
	uint32_t count, max;
	struct shop_place *table; /* by id */
	uint32_t mask;
	atomic_uint answered, looked, active, settled, reorged, rejected;
	atomic_uint marked;
	atomic_uint epoch;
};

/* Keys, and the chain's node; once a program, before any thread. */
void shop_init(struct shop *shop, const struct bench *bench);
void shop_release(struct shop *shop);

/* A new ledger with an offer in force, closed; room for `max` claims. */
void shop_begin(struct shop *shop, const char *name, uint32_t max);
/* Close if need be, check the invariants, remove. */
void shop_end(struct shop *shop);
/* With or without the chain; the latter stores claims and looks at none. */
void shop_open(struct shop *shop, bool with_chain);
void shop_close(struct shop *shop);

/*
 * `count` customers have paid in `block` each (of numbers rising from there
 * over `blocks`), sign and file from the address `source`; returns when all
 * are stored. shop_file() does not wait.
 */
void shop_file_many(struct shop *shop, uint32_t count, uint32_t block,
		    uint32_t blocks, uint32_t source);
void shop_file(struct shop *shop, uint32_t block, uint32_t source);

/* From now on `marked` counts claims that change, each once. */
void shop_mark(struct shop *shop);
/* Wait until *counter is `wanted`; tells how far it is. Ends the program
 * after `seconds`. Returns the time it took, s. */
double shop_wait(struct shop *shop, const char *what,
		 const atomic_uint *counter, uint32_t wanted, unsigned seconds);

#endif
