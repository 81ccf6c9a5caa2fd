#ifndef AUTH_FOLLOWER_H
#define AUTH_FOLLOWER_H
/*
 * Follows one chain (payments.md §10, §11): identifies its endpoints, agrees
 * with a quorum of them on the head, links headers, and tells when blocks
 * were replaced or a finalized one has changed.
 *
 * Thread: one of its own, which calls `moved` and `know`. follower_view() and
 *         the other questions from any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/finding.h"
#include "auth/offer.h"
#include "auth/rpc.h"

struct follower;

/* The numbers of `replaced` belong to other blocks now, if first <= last. */
struct follower_news {
	struct chain_position at;
	uint64_t replaced_first;
	uint64_t replaced_last;
};

struct follower_config {
	struct rpc_chain *chain;            /* borrowed */
	const struct offer_option *options; /* borrowed; of any chain */
	unsigned options_count;
	/* Chain id and block 0, before anything is believed; ERR_CONFLICT: we
	 * knew another block 0, and this chain is not used. NULL: any is new.
	 */
	int (*know)(void *ctx, uint64_t id, const uint8_t genesis[static 32]);
	/* The position has changed; follower_view() shows it already. Must be
	 * short. */
	void (*moved)(void *ctx, const struct follower_news *news);
	/* A finalized block has changed. An error: told again next round. */
	int (*alarmed)(void *ctx, uint64_t block,
		       const uint8_t hash[static 32]);
	bool is_alarmed; /* from before: nobody has acknowledged it */
	/* This block is final: now and then, and at the end. An error: told
	 * again. NULL: nobody wants to know. */
	int (*final)(void *ctx, uint64_t block, const uint8_t hash[static 32]);
	/* What was told so before: it is looked at first, and until then the
	 * chain is not usable. */
	bool has_final;
	uint64_t final_number;
	uint8_t final_hash[32];
	void *ctx;
	unsigned interval_ms; /* 0: of §16.1 */
};

int follower_start(const struct follower_config *config, struct follower **out);
/* Aborts what flies and ends the thread. NULL is fine. */
void follower_stop(struct follower *follower);

struct follower_view {
	struct chain_position at; /* as agreed; all 0 before the first */
	uint64_t head_time_s;
	uint64_t head_seen_ms;   /* monotonic, first seen; 0: none yet */
	uint32_t endpoints_good; /* bit i: the i-th may be asked */
	bool is_usable;          /* a quorum is there and has a head */
};
void follower_view(const struct follower *follower, struct follower_view *out);
/*
 * Is that block in the chain as followed (§11)? Who asked an endpoint may have
 * seen a block that was replaced before the next round: nothing is told of it.
 */
enum follower_link {
	FOLLOWER_SAME,
	FOLLOWER_OTHER,  /* another block has that number */
	FOLLOWER_UNKNOWN /* above the head, or too old to remember */
};
enum follower_link follower_has(struct follower *follower, uint64_t number,
				const uint8_t hash[static 32]);
/* Timestamp of the head if it is fresh (§14), else 0. */
uint64_t follower_head_s(const struct follower *follower);

/*
 * A finalized block has changed (§11). Alarms are counted, so that one which
 * comes while another is acknowledged stands.
 */
uint64_t follower_alarms(const struct follower *follower);
bool follower_is_alarmed(const struct follower *follower);
void follower_acknowledge(struct follower *follower, uint64_t alarms);

/* As scheduler_option(), for an option of this chain. */
int follower_option(const struct follower *follower, unsigned i, char *why,
		    size_t why_size);

#endif
