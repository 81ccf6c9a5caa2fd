#ifndef AUTH_FINDING_H
#define AUTH_FINDING_H
/*
 * What the chain says of one claim's payment, as agreed by a quorum of
 * endpoints (payments.md §9, §15.2). A verifier makes findings; the ledger
 * thread alone turns them into changes.
 *
 * Thread: a value, handed over whole.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/claim.h"
#include "core/u256.h"

enum finding_kind {
	FINDING_NOTHING,  /* no agreement or no answer: nothing changes, ask
			     again */
	FINDING_ABSENT,   /* the quorum says: not in a block */
	FINDING_MINED,    /* in a canonical block */
	FINDING_REPLACED, /* absent, and a final transaction used its nonce */
};

/* The chain's position: the lowest among the endpoints that agreed. */
struct chain_position {
	uint64_t head;
	uint64_t safe;  /* valid if has_safe */
	uint64_t final; /* valid if has_final */
	bool has_safe;
	bool has_final;
};

struct finding {
	uint8_t claim_key[CLAIM_KEY_SIZE];
	uint32_t rev; /* of the claim the work began from (§12.2) */
	enum finding_kind kind;
	struct chain_position at;

	/* FINDING_MINED */
	uint64_t block;
	uint64_t block_time_s; /* from the header */
	uint8_t block_hash[32];
	/* CLAIM_NO_REASON: a transfer of `value`; otherwise §8's reasons 1..5.
	 */
	enum claim_reason fault;
	struct u256 value;

	bool is_waiting; /* ABSENT: known and waiting in a pool */
	/* ABSENT or MINED: the nonce, if the payer is the sender as well; else
	 * CLAIM_NONCE_UNKNOWN. */
	uint64_t sender_nonce;

	/* Scheme 2 (§6.4): was the contract asked, and what did it say? */
	bool proof_asked;
	bool proof_good;
};

#endif
