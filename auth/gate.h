#ifndef AUTH_GATE_H
#define AUTH_GATE_H
/*
 * The check on the path of a history request (payments.md §13): one read by a
 * 64-byte key, no chain, no lock shared with the ledger.
 *
 * Each thread that asks has a reader of its own, which keeps a read
 * transaction ready and renews it for each question.
 *
 * Thread: gate_reader_* on the thread that owns the reader; the rules may be
 * changed from any and hold from the next question on.
 */
#include <stdint.h>

#include "auth/access.h"

struct gate;
struct gate_reader;

/* NULL when memory or reader slots are short. */
struct gate_reader *gate_reader_new(struct gate *gate);
void gate_reader_free(struct gate_reader *reader);
/*
 * May this node read history now? Counts mailpay_requests_total. An
 * unreadable environment answers ACCESS_NO in paid mode and says so loudly.
 */
enum access_answer gate_check(struct gate_reader *reader,
			      const uint8_t node[static SECP_PUBLIC_SIZE]);

#endif
