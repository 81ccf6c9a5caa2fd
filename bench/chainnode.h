#ifndef BENCH_CHAINNODE_H
#define BENCH_CHAINNODE_H
/*
 * A chain's node of our own: JSON-RPC over HTTP on loopback, in a process of
 * its own, with blocks and receipts computed from their numbers, so that it
 * answers as fast as anything can and costs us little of the machine.
 *
 * A transaction's hash says what it is, see chainnode_tx(). There is a block
 * each second of the wall clock's time; blocks 0..head exist.
 *
 * Thread: start and stop from main; the knobs from any, while it runs.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth/claim.h"

#define CHAINNODE_ID     1u
#define CHAINNODE_SYMBOL "SNT"

/* Shared with the process. */
struct chainnode_knobs {
	_Atomic uint64_t head;
	_Atomic uint64_t final_lag;
	_Atomic uint64_t time0_s; /* of block 0 */
	atomic_uint block_ms;     /* the head moves by itself; 0: not */
	atomic_uint delay_ms;     /* before each answer */
	atomic_bool is_away;      /* connections are cut */
	atomic_bool is_blind;     /* knows no transaction */
	/* From here on blocks are others, and the transactions in them, up to
	 * `moved_to`, are one block later. UINT64_MAX: not. */
	_Atomic uint64_t fork_from;
	_Atomic uint64_t moved_to;

	_Atomic uint64_t bodies;
	_Atomic uint64_t items;
	_Atomic uint64_t peak_items; /* most that came within any second */
};

struct chainnode {
	struct chainnode_knobs *knobs;
	pid_t pid;
	char url[48];
	uint8_t token[ADDRESS_SIZE];
	uint8_t payee[ADDRESS_SIZE];
};

/* At `head`, which is of now. No thread may have been started yet. */
void chainnode_start(struct chainnode *node, uint64_t head);
void chainnode_stop(struct chainnode *node);
/* As at the start, but for its head: what was measured before is over. */
void chainnode_reset(struct chainnode *node);

/* The transaction in which `payer` paid `value` in `block`. */
void chainnode_tx(const uint8_t payer[static ADDRESS_SIZE], uint32_t block,
		  uint32_t value, uint32_t number, uint8_t out[static TX_SIZE]);

#endif
