#ifndef AUTH_GATE_H
#define AUTH_GATE_H
/*
 * The check on the path of a history request (payments.md §13): one look by a
 * 64-byte key into memory, no disk, no chain, no lock shared with the ledger.
 *
 * Each thread that asks has a reader of its own. In the first seconds after a
 * start with many records, while they are not all in memory, it reads those
 * that are missing from the table, in a read transaction that it keeps.
 *
 * Thread: gate_reader_* on the thread that owns the reader; the rules may be
 * changed from any and hold from the next question on.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/access.h"

struct gate;
struct gate_reader;
struct ledger;

#define GATE_CHAINS_MAX 8

/* ---- rules ---- */

void gate_set_rules(struct gate *gate, const struct access_rules *rules);
struct access_rules gate_rules(const struct gate *gate);
void gate_set_mode(struct gate *gate, enum access_mode mode);
/* Copied and sorted; once, before there are readers. 0 or ERR_NOMEM. */
int gate_set_allow(struct gate *gate, const uint8_t (*nodes)[SECP_PUBLIC_SIZE],
		   size_t count);

/*
 * §14, told by the follower of chain number `chain` (0..GATE_CHAINS_MAX-1): a
 * head of this timestamp was first seen now; it is fresh for `fresh_ms` (five
 * block times).
 */
void gate_set_head(struct gate *gate, unsigned chain, uint64_t timestamp_s,
		   uint64_t fresh_ms);
/* The clock of expiry and credit time. */
uint64_t gate_deny_now(const struct gate *gate);

/* ---- questions ---- */

/* NULL when memory is short. */
struct gate_reader *gate_reader_new(struct gate *gate);
void gate_reader_free(struct gate_reader *reader);
/*
 * May this node read history now? Counts mailpay_requests_total. A node whose
 * time is over and who has credit left is handed to the ledger (§5). An
 * unreadable environment answers ACCESS_NO in paid mode and says so loudly.
 */
enum access_answer gate_check(struct gate_reader *reader,
			      const uint8_t node[static SECP_PUBLIC_SIZE]);

#endif
