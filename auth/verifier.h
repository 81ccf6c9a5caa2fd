#ifndef AUTH_VERIFIER_H
#define AUTH_VERIFIER_H
/*
 * Checks the payments of a job's claims on their chain (payments.md §9): asks
 * the endpoints of the quorum at the same time, one more where they do not
 * agree, and gives one finding per claim. Knows no ledger.
 *
 * Thread: a verifier belongs to one worker; verifier_abort() from any.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/finding.h"
#include "auth/record.h"
#include "auth/rpc.h"

struct verifier;

/* What has to be known of a claim. Its proof is borrowed for the job. */
struct verify_claim {
	uint8_t key[CLAIM_KEY_SIZE];
	uint32_t rev;
	struct claim claim;
	uint64_t received_s;
	uint64_t block; /* it was in, 0: none */
	uint64_t sender_nonce;
	bool is_credited;
	bool has_policy;
	struct policy activate;
	struct policy settle;
};

struct verify_job {
	struct rpc_chain *chain;
	const struct verify_claim *const *claims; /* all of that chain */
	unsigned count;
	unsigned first_endpoint; /* where to begin: spreads the load */
	uint64_t final;          /* as the follower knows it, 0: not */
	uint64_t now_s;
};

/* `server` is our node key: it stands in the texts of contract proofs. 0 or
 * ERR_NOMEM. */
int verifier_new(const uint8_t server[static SECP_PUBLIC_SIZE],
		 struct verifier **out);
void verifier_free(struct verifier *verifier);
void verifier_abort(struct verifier *verifier);

/*
 * findings[i] is about claims[i]; without an agreement its kind is
 * FINDING_NOTHING. 0; ERR_AGAIN: too few endpoints are usable; ERR_CLOSED:
 * aborted; ERR_NOMEM. All findings are nothing then.
 */
int verifier_check(struct verifier *verifier, const struct verify_job *job,
		   struct finding *findings);

#endif
