#ifndef AUTH_OFFER_H
#define AUTH_OFFER_H
/*
 * Offers: terms that a server signs with its node key (payments.md §4).
 *
 * Thread: any; values belong to their caller.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claim.h"
#include "auth/plan.h"
#include "core/secp.h"

#define OFFER_VERSION     1
#define OFFER_OPTIONS_MAX 16
#define OFFER_SYMBOL_MAX  11
/* rlp(signed-offer) never takes more, so nothing longer is looked at. */
#define OFFER_SIZE_MAX 4096

/* §4.4: how long before not-before a block may lie and still get its price. */
#define OFFER_EARLY_S 900

enum offer_flag {
	OFFER_FREE_NOW = 1,
	OFFER_CONTRACT_PROOFS = 2,
	OFFER_CALLDATA_PROOFS = 4,
	OFFER_STANDING_CLAIMS = 8,
};

enum policy_mode {
	POLICY_CONFIRMATIONS = 1,
	POLICY_SAFE = 2,
	POLICY_FINAL = 3
};
struct policy {
	enum policy_mode mode;
	uint32_t confirmations; /* mode 1: >= 1; otherwise 0 */
};
/* Is `settle` at least as strong as `activate`? (§10, §19) */
bool policy_covers(struct policy settle, struct policy activate);

struct offer_option {
	uint16_t id;
	uint8_t kind; /* enum plan_kind; others are kept and skipped */
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	uint8_t decimals;
	char symbol[OFFER_SYMBOL_MAX + 1];
	uint8_t payee[ADDRESS_SIZE];
	struct plan_terms terms;
	struct policy activate;
	struct policy settle;
};

struct offer {
	uint8_t server[SECP_PUBLIC_SIZE];
	uint64_t sequence;
	uint64_t not_before_s;
	uint64_t not_after_s;
	uint32_t pay_window_s;
	uint32_t flags;
	uint32_t grace_s;
	unsigned options_count;
	struct offer_option options[OFFER_OPTIONS_MAX];
};

/*
 * Sign: writes rlp([content, signature]) and the offer hash. Returns 0 or
 * ERR_RANGE when the offer itself is not one §4.1 allows.
 */
int offer_sign(const struct offer *offer, const struct secp_key *key,
	       uint8_t out[static OFFER_SIZE_MAX], size_t *out_len,
	       uint8_t hash[static 32]);
/*
 * Decode a signed offer and check that `offer->server` signed it. Elements
 * beyond those known are ignored at the end of any list. 0, ERR_SYNTAX,
 * ERR_RANGE (a field outside §4.1), ERR_UNSUPPORTED (version), ERR_AUTH.
 */
int offer_open(const uint8_t *in, size_t len, struct offer *out,
	       uint8_t hash[static 32]);
/* Is this an offer §4.1 allows? 0 or ERR_RANGE with a sentence in *why. */
int offer_check(const struct offer *offer, const char **why);

/* The first option for that chain, token and payee; NULL if none. */
const struct offer_option *offer_find(const struct offer *offer,
				      uint64_t chain_id,
				      const uint8_t token[static ADDRESS_SIZE],
				      const uint8_t payee[static ADDRESS_SIZE]);
/* §4.4: may a payment of this block time have this offer's price? */
bool offer_covers_time(const struct offer *offer, uint64_t block_time_s);

#define OFFER_LINK_MAX 320
/* ERC-681 link for `units` units (§4.3). 0 or ERR_RANGE (amount overflows). */
int offer_link(const struct offer_option *option, uint32_t units,
	       char out[static OFFER_LINK_MAX]);

#endif
