#ifndef AUTH_STEP_H
#define AUTH_STEP_H
/*
 * What a finding means for a claim (payments.md §8 to §11): the state diagram
 * as one pure function. No clock, no disk; the ledger carries the step out.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/finding.h"
#include "auth/offer.h"
#include "auth/record.h"

struct step_rules {
	uint64_t pending_max_s;
	uint64_t reorg_grace_s;
	uint64_t claim_window_s;
	uint64_t start_block; /* of the claim's chain */
};

struct step_input {
	const struct claim_record *rec;
	const struct finding *finding;
	/* Is there a non-void ledger entry of this claim, and of what value? */
	bool is_credited;
	struct u256 credited_value;
	/* The option of §4.4 exists at the finding's block time. */
	bool has_price;
	struct policy activate;
	struct policy settle;
	struct step_rules rules;
	uint64_t now_ms; /* wall clock */
	uint32_t random; /* spreads the back-off by 20 % either way */
};

enum step_kind {
	STEP_NOTHING,  /* nothing is written */
	STEP_PROGRESS, /* T2: state, block fields or due time */
	STEP_CREDIT,   /* T3: next.state says active or settled */
	STEP_SETTLE,   /* T4 */
	STEP_REORG,    /* T5: active → reorged, service goes on */
	STEP_RESTORE,  /* T5 back: mined again in time */
	STEP_REVALUE,  /* T6 and T3: same transaction, other value */
	STEP_REVOKE,   /* T6: the entry is void, the claim reorged */
	STEP_REJECT,   /* T7 */
};

struct step {
	enum step_kind kind;
	/* The record as it is to be written; its rev is one higher. The proof
	 * is borrowed from the input. */
	struct claim_record next;
};

void step_decide(const struct step_input *in, struct step *out);

/* The claim ends as rejected(reason). */
void step_reject(const struct claim_record *rec, enum claim_reason reason,
		 uint64_t now_ms, struct step *out);
/* A rejected claim begins anew. */
void step_reopen(const struct claim_record *rec, uint64_t now_ms,
		 struct step *out);
/* Due now, whatever was planned. */
void step_recheck(const struct claim_record *rec, uint64_t now_ms,
		  struct step *out);

/* Has the policy been reached by a block? (§10) */
bool policy_holds(struct policy policy, const struct chain_position *at,
		  uint64_t block);

/* Settled and rejected claims are looked at no more. */
bool claim_is_open(enum claim_state state);
/* Confirming and active claims are found by their block. */
bool claim_has_height(enum claim_state state);
/* §8: rejected for a reason that submitting again undoes. */
bool claim_is_reopened(const struct claim_record *rec);

/* No due time lies further ahead than this. */
#define STEP_LONGEST_MS (6ull * 3600 * 1000)
/* §15.3: the safety net of claims that the follower looks after. */
#define STEP_NET_MS (3600ull * 1000)
/* §11: how long a revoked claim is watched. */
#define STEP_WATCH_S (7 * 86400ull)

#endif
