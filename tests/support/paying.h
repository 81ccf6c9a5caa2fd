#ifndef TESTS_SUPPORT_PAYING_H
#define TESTS_SUPPORT_PAYING_H
/*
 * What tests of the ledger share: a server's key, one offer, claims of
 * numbered payers for numbered nodes, findings about them, a clock that moves
 * when told. Inline, so that every program links only what it uses.
 *
 * Thread: as the ledger says; the clock from any.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/ledger.h"
#include "core/bytes.h"
#include "core/err.h"
#include "tests/support/tempdir.h"

#define PAYING_START_S  1767300000ull
#define PAYING_UNIT_S   2592000u
#define PAYING_PRICE    100u
#define PAYING_ACTIVATE 6u
#define PAYING_SETTLE   12u

struct paying {
	char dir[TEMPDIR_MAX];
	struct secp_key server;
	uint8_t offer_hash[32];
	_Atomic uint64_t now_ms;
	struct ledger_config config;
	struct ledger *ledger;
};

static inline uint64_t paying_wall_ms(void *ctx)
{
	struct paying *p = ctx;

	return atomic_load(&p->now_ms);
}

static inline uint64_t paying_deny_now(void *ctx)
{
	return paying_wall_ms(ctx) / 1000;
}

static inline void paying_open(struct paying *p)
{
	char why[512];
	int err = ledger_open(&p->config, &p->ledger, why, sizeof(why));

	if (err) {
		(void)fprintf(stderr, "ledger: %s\n", why);
		abort();
	}
}

static inline struct offer_option paying_option(uint8_t token, uint64_t price)
{
	struct offer_option option = {
		.id = token,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 18,
		.symbol = "SNT",
		.terms = {.price = u256_from_u64(price),
			  .unit_s = PAYING_UNIT_S,
			  .min_units = 1,
			  .max_units = 24},
		.activate = {POLICY_CONFIRMATIONS, PAYING_ACTIVATE},
		.settle = {POLICY_CONFIRMATIONS, PAYING_SETTLE},
	};

	memset(option.token, token, ADDRESS_SIZE);
	memset(option.payee, 0x90, ADDRESS_SIZE);
	return option;
}

/* Publish an offer of `count` tokens from number `first` on at this price.
 * Returns the ledger's answer. */
static inline int paying_offer_of(struct paying *p, uint64_t sequence,
				  uint64_t from_s, uint64_t until_s,
				  uint64_t price, unsigned first,
				  unsigned count, uint8_t hash[static 32])
{
	uint8_t bytes[OFFER_SIZE_MAX];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer = {
		.sequence = sequence,
		.not_before_s = from_s,
		.not_after_s = until_s,
		.pay_window_s = 86400,
		.grace_s = 86400,
		.options_count = count,
	};

	memcpy(offer.server, p->server.public, SECP_PUBLIC_SIZE);
	for (unsigned i = 0; i < count; i++)
		offer.options[i] = paying_option((uint8_t)(first + i), price);
	if (offer_sign(&offer, &p->server, bytes, &task.offer_size, hash))
		abort();
	return ledger_run(p->ledger, &task);
}

/* Of tokens 1 and 2. */
static inline int paying_offer(struct paying *p, uint64_t sequence,
			       uint64_t from_s, uint64_t until_s,
			       uint64_t price, uint8_t hash[static 32])
{
	return paying_offer_of(p, sequence, from_s, until_s, price, 1, 2, hash);
}

static inline void paying_begin(struct paying *p)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 7};

	memset(p, 0, sizeof(*p));
	tempdir_make(p->dir);
	if (secp_key_from_private(private, &p->server))
		abort();
	atomic_store(&p->now_ms, PAYING_START_S * 1000);
	p->config = (struct ledger_config){
		.dir = p->dir,
		.map_bytes = (size_t)256 << 20,
		.chains = {{.id = 1, .start_block = 100}},
		.chains_count = 1,
		.claim_window_s = 400 * 86400,
		.pending_max_s = 86400,
		.reorg_grace_s = 3600,
		.open_max = 100000,
		.open_per_source = 100000,
		.open_per_node = 100000,
		.open_per_payer = 100000,
		.wall_ms = paying_wall_ms,
		.deny_now = paying_deny_now,
		.clock_ctx = p,
	};
	paying_open(p);
	if (paying_offer(p, 1, PAYING_START_S - 86400,
			 PAYING_START_S + 7 * 86400, PAYING_PRICE,
			 p->offer_hash))
		abort();
}

static inline void paying_reopen(struct paying *p)
{
	ledger_close(p->ledger);
	paying_open(p);
}

/* Close, check the invariants, remove. */
static inline int paying_end(struct paying *p)
{
	int err;

	ledger_close(p->ledger);
	err = ledger_fsck(p->dir, stderr);
	tempdir_remove(p->dir);
	return err;
}

static inline void paying_pass(struct paying *p, uint64_t seconds)
{
	atomic_fetch_add(&p->now_ms, seconds * 1000);
}

static inline uint64_t paying_now_s(struct paying *p)
{
	return atomic_load(&p->now_ms) / 1000;
}

static inline void paying_node(unsigned number, uint8_t node[static 64])
{
	memset(node, 0, SECP_PUBLIC_SIZE);
	be32_store(node, number);
	node[63] = 1;
}

static inline struct claim paying_claim(const struct paying *p, unsigned node,
					unsigned tx)
{
	static const uint8_t proof[65] = {1};
	struct claim claim = {
		.scheme = CLAIM_SIGNATURE,
		.chain_id = 1,
		.proof = proof,
		.proof_size = sizeof(proof),
	};

	paying_node(node, claim.node);
	memset(claim.token, 1, ADDRESS_SIZE);
	memset(claim.payee, 0x90, ADDRESS_SIZE);
	be32_store(claim.payer, tx);
	be32_store(claim.tx, tx);
	memcpy(claim.offer_hash, p->offer_hash, 32);
	return claim;
}

/* File it; the answer is in *task. Returns task->err. */
static inline int paying_file(struct paying *p, const struct claim *claim,
			      struct ledger_task *task)
{
	*task = (struct ledger_task){
		.op = LEDGER_ACCEPT, .claim = claim, .source_tag = 5};
	return ledger_run(p->ledger, task);
}

static inline uint32_t paying_rev(struct paying *p, const uint8_t *key)
{
	struct claim_view view;

	return ledger_read_claim(p->ledger, key, &view) ? 0 : view.record.rev;
}

/* Mined in block `block` (its hash is `fork`), seen from head `head`. */
static inline struct finding paying_mined(struct paying *p,
					  const struct claim *claim,
					  uint64_t value, uint64_t block,
					  uint8_t fork, uint64_t head)
{
	struct finding finding = {
		.kind = FINDING_MINED,
		.at = {.head = head},
		.block = block,
		.block_time_s = PAYING_START_S,
		.value = u256_from_u64(value),
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};

	claim_key(claim, finding.claim_key);
	memset(finding.block_hash, fork, 32);
	finding.rev = paying_rev(p, finding.claim_key);
	return finding;
}

static inline struct finding paying_gone(struct paying *p,
					 const struct claim *claim,
					 enum finding_kind kind, uint64_t head)
{
	struct finding finding = {
		.kind = kind,
		.at = {.head = head},
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};

	claim_key(claim, finding.claim_key);
	finding.rev = paying_rev(p, finding.claim_key);
	return finding;
}

static inline int paying_find(struct paying *p, const struct finding *finding)
{
	struct ledger_task task = {
		.op = LEDGER_FINDING,
		.findings = finding,
		.findings_count = 1,
	};

	return ledger_run(p->ledger, &task);
}

static inline struct claim_view paying_view(struct paying *p,
					    const struct claim *claim)
{
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_view view;

	claim_key(claim, key);
	if (ledger_read_claim(p->ledger, key, &view))
		abort();
	return view;
}

static inline struct entitlement paying_record(struct paying *p, unsigned node)
{
	uint8_t key[SECP_PUBLIC_SIZE];
	struct entitlement ent;

	paying_node(node, key);
	if (ledger_read_node(p->ledger, key, &ent))
		return (struct entitlement){0};
	return ent;
}

/* File a claim and credit it, in block `block` with six confirmations. */
static inline void paying_pay(struct paying *p, const struct claim *claim,
			      uint64_t value, uint64_t block)
{
	struct ledger_task task;
	struct finding finding;

	if (paying_file(p, claim, &task))
		abort();
	finding = paying_mined(p, claim, value, block, 1, block + 5);
	if (paying_find(p, &finding))
		abort();
}

#endif
