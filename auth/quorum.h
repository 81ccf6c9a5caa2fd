#ifndef AUTH_QUORUM_H
#define AUTH_QUORUM_H
/*
 * What several endpoints together are believed (payments.md §15.2), as pure
 * functions of what each of them said. Endpoints of one group are one voice.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/finding.h"
#include "auth/offer.h"
#include "auth/record.h" /* CLAIM_NONCE_UNKNOWN */

#define QUORUM_VOICES_MAX 32

enum voice_kind {
	VOICE_SILENT, /* no answer, or one that contradicts itself */
	VOICE_ABSENT, /* not in a block */
	VOICE_MINED,
};

/* What one endpoint says of one claim's payment. */
struct voice {
	unsigned group;
	enum voice_kind kind;
	struct chain_position at;
	/* MINED: the facts (§9, 4) */
	uint64_t block;
	uint64_t block_time_s;
	uint8_t block_hash[32];
	enum claim_reason fault;
	struct u256 value;
	/* The payer's own transaction, so that its nonce is the payer's. */
	uint64_t nonce; /* CLAIM_NONCE_UNKNOWN */
	bool is_waiting;
	bool is_nonce_used; /* ABSENT: by a final transaction */
};

/* Voices that decided, and that spoke against it; bit i is voices[i]. */
struct verdict {
	bool is_agreed;
	uint32_t with;
	uint32_t against;
};

/*
 * Do `needed` groups say the same? Then `out` has kind, facts and position,
 * the lowest of those that agreed; else kind is FINDING_NOTHING. `floor` is
 * the block the payment was in, 0 if in none: a voice whose head is below it
 * cannot say that it is gone. claim_key, rev and proof are not touched.
 */
struct verdict quorum_facts(const struct voice *voices, unsigned count,
			    unsigned needed, uint64_t floor,
			    struct finding *out);

/*
 * The greatest number that at least `needed` groups have reached: one that
 * exaggerates cannot raise it, one that stands still cannot hold it back
 * while there are enough others. False: fewer groups than needed.
 */
bool quorum_height(const uint64_t *numbers, const unsigned *groups,
		   unsigned count, unsigned needed, uint64_t *out);
/* The lower one of the two in the middle. `count` > 0. */
uint64_t quorum_median(const uint64_t *numbers, unsigned count);

/* Groups among the voices of `mask`. */
unsigned quorum_groups(const unsigned *groups, unsigned count, uint32_t mask);

#endif
