#ifndef AUTH_PAYMENTS_H
#define AUTH_PAYMENTS_H
/*
 * Paid access in one object: offers, intake of claims, ledger, verification
 * and the gate (payments.md). The folders above see this and the values of
 * claim.h, offer.h and access.h.
 *
 * Thread: open and close from main; everything else from any. Completions run
 * on threads of this object and must be short.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/access.h"
#include "auth/gate.h"
#include "auth/ledger.h"
#include "auth/offer.h"

struct payments;

#define PAYMENTS_CHAINS_MAX    8
#define PAYMENTS_ENDPOINTS_MAX 8

struct endpoint_config {
	const char *url;
	const char *header;      /* "Name: value" with credentials, or NULL */
	const char *group;       /* one voice a group; NULL: its own */
	unsigned batch_max;      /* 1..1000; 0: payments.batch */
	unsigned requests_per_s; /* 0: no bound */
};
struct chain_config {
	const char *name;
	uint64_t id;
	uint8_t genesis[32];
	bool has_genesis; /* false: learnt from the endpoints at first start,
			     then kept */
	uint32_t block_time_s;
	/* Of its endpoints (§15.3, §15.4); 0: as there. */
	unsigned timeout_ms; /* for a whole request */
	unsigned rest_ms;    /* after failures in a row; it doubles */
	uint64_t start_block;
	unsigned quorum;
	bool allow_plain_http; /* to other than loopback */
	struct endpoint_config endpoints[PAYMENTS_ENDPOINTS_MAX];
	unsigned endpoints_count;
};

struct payments_config {
	const char *dir;
	const struct secp_key *key; /* the server's node key; borrowed */
	struct access_rules rules;
	uint64_t claim_window_s, pending_max_s, reorg_grace_s;
	unsigned workers, batch;
	unsigned open_max, open_per_source, open_per_node, open_per_payer;
	unsigned submit_per_min, submit_burst, submit_contract_per_min;
	unsigned status_per_min;
	uint64_t offer_valid_s;
	uint32_t offer_pay_window_s;
	/* §4.4: the options hold from then on; before that those that were
	 * offered last. 0, or passed: at once. */
	uint64_t offer_from_s;
	bool contract_proofs;
	const uint8_t (*allow)[SECP_PUBLIC_SIZE]; /* sorted or not; borrowed */
	size_t allow_count;
	struct offer_option options[OFFER_OPTIONS_MAX];
	unsigned options_count;
	struct chain_config chains[PAYMENTS_CHAINS_MAX];
	unsigned chains_count;
};
void payments_config_default(struct payments_config *config); /* §19 */

/*
 * Start everything. The checks of §19 that need a chain run in the background
 * and hold back offers, not the start of the server; those that need none
 * refuse here with a sentence in `why`.
 */
int payments_open(const struct payments_config *config, struct payments **out,
		  char *why, size_t why_size);
void payments_close(struct payments *payments); /* §16.4; NULL is fine */

struct gate *payments_gate(struct payments *payments);
struct ledger *payments_ledger(struct payments *payments);
enum access_mode payments_mode(struct payments *payments);
/*
 * Whoever spoke last is obeyed. A mode that is set here is stored with its
 * reason and holds over restarts, until the settings say another mode than
 * they did when it was set: then they hold again. 0, ERR_FULL or ERR_IO:
 * the mode is what it was.
 */
int payments_set_mode(struct payments *payments, enum access_mode mode,
		      const char *reason);
/* The same until the server ends; then what held before holds again. */
int payments_set_mode_now(struct payments *payments, enum access_mode mode,
			  const char *reason);
/* What the settings say. */
enum access_mode payments_settings_mode(const struct payments *payments);

/* The signed offer in force. ERR_NOTFOUND: none can be made yet. */
int payments_offer(struct payments *payments,
		   uint8_t out[static OFFER_SIZE_MAX], size_t *len,
		   uint8_t hash[static 32]);
/* The one that is to come (§4.4). ERR_NOTFOUND: none is announced. */
int payments_next_offer(struct payments *payments,
			uint8_t out[static OFFER_SIZE_MAX], size_t *len,
			uint8_t hash[static 32]);

/* ---- intake (§7) ---- */

/* The codes of §7.1, in the order of their table; 0 is no error. */
enum intake {
	INTAKE_OK,
	INTAKE_BAD_FORMAT,
	INTAKE_UNSUPPORTED_VERSION,
	INTAKE_UNSUPPORTED_SCHEME,
	INTAKE_BAD_PROOF,
	INTAKE_UNKNOWN_CLAIM,
	INTAKE_ALREADY_CREDITED,
	INTAKE_TOO_LARGE,
	INTAKE_UNSUPPORTED_CHAIN,
	INTAKE_UNSUPPORTED_TOKEN,
	INTAKE_UNSUPPORTED_PAYEE,
	INTAKE_TOO_OLD,
	INTAKE_RATE_LIMITED,
	INTAKE_BUSY,
	INTAKE_STOPPING,
};
const char *intake_str(enum intake code); /* "bad_format" */
unsigned intake_http(enum intake code);   /* 400 */

/* Who asks: a devp2p peer, or an address over HTTP (IPv4, or IPv6 /64). */
struct source {
	enum { SOURCE_PEER, SOURCE_ADDRESS } kind;
	uint8_t bytes[SECP_PUBLIC_SIZE]; /* node key, or 4 or 8 bytes */
	size_t len;
};

/*
 * Runs all local checks at once and answers with a code, or takes the claim
 * (copied), commits it, and then calls `done` with INTAKE_OK or BUSY, the id,
 * and whether it is new. `done` may run before this returns only for refusals.
 */
struct intake_answer {
	enum intake code;
	uint32_t retry_after_s;
	bool is_new;
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint32_t rev;
	enum claim_state state;
};
typedef void (*intake_done_fn)(void *ctx, const struct intake_answer *answer);
void payments_submit(struct payments *payments, const struct claim *claim,
		     const struct source *source, intake_done_fn done,
		     void *ctx);

/* What a client is shown. INTAKE_OK, UNKNOWN_CLAIM or RATE_LIMITED. */
struct claim_status {
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint8_t node[SECP_PUBLIC_SIZE];
	uint32_t rev;
	enum claim_state state;
	enum claim_reason reason;
	uint64_t confirmations, needed; /* needed 0: waiting for a tag (§10) */
	bool has_block;
	uint64_t block, block_time_s;
	uint8_t block_hash[32];
	bool is_credited;
	enum plan_outcome outcome;
	struct u256 value, credit;
	uint32_t units;
	uint64_t expiry_s, updated_s;
	uint32_t retry_after_s;
};
/* One question of this source: INTAKE_OK, or INTAKE_RATE_LIMITED (§19,
 * status_rate) and when to come again. */
enum intake payments_may_ask(struct payments *payments,
			     const struct source *source, uint32_t *retry_s);
/* Counts as one, unless `source` is NULL. */
enum intake payments_status(struct payments *payments,
			    const uint8_t id[static CLAIM_ID_SIZE],
			    const struct source *source,
			    struct claim_status *out);

/*
 * Call `changed` once, when the claim's rev is no longer `rev`, the wait is
 * over (timed out: still called), or the object closes. Returns 0, or ERR_FULL:
 * too many waiters, not called.
 */
int payments_wait(struct payments *payments,
		  const uint8_t id[static CLAIM_ID_SIZE], uint32_t rev,
		  unsigned wait_s, void (*changed)(void *ctx), void *ctx);

/* Told of every claim that changed, by node: for ClaimStatus to live peers. */
typedef void (*payments_notify_fn)(void *ctx,
				   const struct claim_status *status);
void payments_set_notify(struct payments *payments, payments_notify_fn fn,
			 void *ctx);

/* What a node is told about itself (§7.2 Entitlement). 0 or ERR_NOTFOUND. */
int payments_entitlement(struct payments *payments,
			 const uint8_t node[static SECP_PUBLIC_SIZE],
			 struct entitlement *out, uint64_t *grace_end_s);

/* Head of a chain as the operator is shown it; 0 or ERR_NOTFOUND. */
struct chain_view {
	char name[32];
	uint64_t id, head, safe, final, head_age_s;
	unsigned endpoints;
	uint32_t endpoints_good; /* bit i: the i-th may be asked */
	bool is_usable;
	bool is_alarmed; /* a finalized block has changed: nothing is credited
			    here until payments_acknowledge() */
	uint64_t alarms; /* since the start */
};
/* Chains count from 0: 0, or ERR_NOTFOUND behind the last. */
int payments_chain(struct payments *payments, unsigned i,
		   struct chain_view *out);
/*
 * The operator has seen that a finalized block of this chain has changed, and
 * crediting goes on. Stored with the reason. 0, ERR_NOTFOUND (no such alarm),
 * ERR_FULL, ERR_IO.
 */
int payments_acknowledge(struct payments *payments, uint64_t chain_id,
			 const char *reason);
/* Chains whose alarm nobody has acknowledged. */
unsigned payments_alarms(struct payments *payments);
/* Can nothing be stored, as far as the last try tells? */
bool payments_is_failing(struct payments *payments);

#endif
