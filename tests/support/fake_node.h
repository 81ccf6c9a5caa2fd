#ifndef TESTS_SUPPORT_FAKE_NODE_H
#define TESTS_SUPPORT_FAKE_NODE_H
/*
 * A chain's node on loopback that says what a test wants: JSON-RPC over HTTP,
 * blocks and receipts computed from their numbers, and every fault of
 * payments.md §15.3 on demand.
 *
 * A transaction's hash says what it is, see fake_tx(). Blocks 0..head exist;
 * from `fork_from` to `fork_to` their hashes depend on `fork`.
 *
 * Thread: the fields may be changed while it runs.
 */
#include <stdatomic.h>
#include <stdint.h>

enum fake_fault {
	FAKE_NONE,
	FAKE_NULL_RECEIPTS,
	FAKE_ERROR,     /* each item: error_code, error_message */
	FAKE_STATUS,    /* HTTP http_status, Retry-After retry_after */
	FAKE_RESET,     /* closed without an answer */
	FAKE_TRUNCATED, /* less than Content-Length says */
	FAKE_NOT_JSON,
	FAKE_WRONG_ID,
	FAKE_ID_TWICE,
	FAKE_MISSING,   /* the last item of a batch */
	FAKE_REORDERED, /* not a fault at all */
	FAKE_LIE_VALUE,
	FAKE_LIE_STATUS,
	FAKE_GIANT, /* 9 MiB */
	FAKE_DEEP,
	FAKE_REDIRECT,    /* 302 to redirect_port */
	FAKE_NO_BATCH,    /* an array is answered by one error object */
	FAKE_OTHER_BLOCK, /* the header's hash is not the receipt's */
};

#define FAKE_FAILED  1 /* flags of a transaction */
#define FAKE_NO_LOG  2
#define FAKE_RELAYED 4 /* its sender is not the payer */
#define FAKE_LONG    8 /* its receipt is longer than an answer may be */

struct fake_node {
	atomic_int fault;
	atomic_int fault_left; /* bodies it is for; < 0: all */
	atomic_int error_code;
	_Atomic(const char *) error_message;
	atomic_int http_status;
	atomic_int retry_after;
	atomic_int redirect_port;
	atomic_int delay_ms;
	_Atomic uint64_t chain_id;
	_Atomic uint64_t head;
	_Atomic uint64_t extra_head; /* exaggeration: said, not had */
	_Atomic uint64_t final_lag;  /* UINT64_MAX: no such tag */
	_Atomic uint64_t fork_from;
	_Atomic uint64_t fork_to; /* first that does not */
	_Atomic uint64_t fork;
	_Atomic uint64_t gone_from; /* transactions of later blocks vanished */
	_Atomic uint64_t gone_to;
	_Atomic uint64_t moved_by; /* and are that much later instead; 0: not */
	_Atomic uint64_t nonce;    /* finalized count of everybody */
	atomic_bool syncing;
	atomic_bool no_receipts; /* -32000 to who asks for one */
	atomic_bool in_pool;     /* transactions above the head are waiting */
	atomic_int proof; /* eth_call: 1 good, 0 other answer, -1 revert */
	atomic_uint connections; /* accepted */
	atomic_uint bodies;      /* received */
	atomic_uint items;
	atomic_uint worst_second; /* most of them that came within one second */
	atomic_int way_ms;        /* of a question to here, beside delay_ms */
	atomic_uint receipts;
	atomic_uint proofs; /* questions to contract wallets */
	int port;
	struct fake_server *server;
};

extern const uint8_t fake_token[20], fake_payee[20], fake_payer[20];

/* A server on a free port of 127.0.0.1, with chain 1 at head 100. Aborts on
 * failure: it is for tests. */
struct fake_node *fake_node_start(void);
void fake_node_stop(struct fake_node *node);
/* "http://127.0.0.1:port" */
const char *fake_node_url(const struct fake_node *node);

/* The transaction that pays `value` in `block`; `seq` tells equals apart. */
void fake_tx(uint64_t block, uint64_t value, uint64_t seq, unsigned flags,
	     uint8_t out[static 32]);
void fake_block_hash(const struct fake_node *node, uint64_t number,
		     uint8_t out[static 32]);
/* Of block `number`. */
uint64_t fake_time(uint64_t number);

#endif
