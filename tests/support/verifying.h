#ifndef TESTS_SUPPORT_VERIFYING_H
#define TESTS_SUPPORT_VERIFYING_H
/*
 * Verification whole, in one process: a ledger with one offer, up to three
 * fake nodes, and the scheduler between them. Inline, so that every program
 * links only what it uses.
 *
 * Thread: one, but the fake nodes' fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/ledger.h"
#include "auth/scheduler.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/fake_node.h"
#include "tests/support/tempdir.h"

#define VERIFYING_PRICE 100u

struct verifying {
	char dir[TEMPDIR_MAX];
	struct secp_key server;
	struct ledger *ledger;
	struct scheduler *scheduler;
	struct fake_node *nodes[3];
	struct chain_config chain;
	struct offer_option option;
	uint8_t offer_hash[32];
	unsigned workers;
	unsigned batch;
};

static inline void verifying_offer(struct verifying *v)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer = {
		.sequence = 1,
		.not_before_s = fake_time(0),
		.not_after_s = fake_time(0) + 3650ull * 86400,
		.pay_window_s = 86400,
		.flags = OFFER_CONTRACT_PROOFS,
		.options_count = 1,
	};

	memcpy(offer.server, v->server.public, SECP_PUBLIC_SIZE);
	v->option = (struct offer_option){
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 18,
		.symbol = "SNT",
		.terms = {.price = u256_from_u64(VERIFYING_PRICE),
			  .unit_s = 2592000,
			  .min_units = 1,
			  .max_units = 24},
		.activate = {POLICY_CONFIRMATIONS, 6},
		.settle = {.mode = POLICY_FINAL},
	};
	memcpy(v->option.token, fake_token, ADDRESS_SIZE);
	memcpy(v->option.payee, fake_payee, ADDRESS_SIZE);
	offer.options[0] = v->option;
	if (offer_sign(&offer, &v->server, bytes, &task.offer_size,
		       v->offer_hash) ||
	    ledger_run(v->ledger, &task))
		abort();
}

static inline void verifying_open(struct verifying *v)
{
	struct ledger_config config = {
		.dir = v->dir,
		.map_bytes = (size_t)256 << 20,
		.chains = {{.id = 1, .start_block = 1}},
		.chains_count = 1,
		.claim_window_s = 36500ull * 86400,
		.pending_max_s = 86400,
		.reorg_grace_s = 3600,
		.open_max = 100000,
		.open_per_source = 100000,
		.open_per_node = 100000,
		.open_per_payer = 100000,
	};
	char why[512];

	if (ledger_open(&config, &v->ledger, why, sizeof(why))) {
		(void)fprintf(stderr, "ledger: %s\n", why);
		abort();
	}
}

static inline void verifying_begin(struct verifying *v, unsigned nodes,
				   unsigned quorum)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 7};

	memset(v, 0, sizeof(*v));
	tempdir_make(v->dir);
	if (secp_key_from_private(private, &v->server))
		abort();
	verifying_open(v);
	verifying_offer(v);
	v->chain = (struct chain_config){
		.name = "t", .id = 1, .block_time_s = 1, .quorum = quorum};
	for (unsigned i = 0; i < nodes; i++) {
		v->nodes[i] = fake_node_start();
		v->chain.endpoints[i].url = fake_node_url(v->nodes[i]);
		v->chain.endpoints_count++;
	}
}

static inline void verifying_start(struct verifying *v)
{
	struct scheduler_config config = {.ledger = v->ledger,
					  .chains = &v->chain,
					  .chains_count = 1,
					  .options = &v->option,
					  .options_count = 1,
					  .workers = v->workers,
					  .batch = v->batch};
	char why[256];

	memcpy(config.server, v->server.public, SECP_PUBLIC_SIZE);
	if (scheduler_start(&config, &v->scheduler, why, sizeof(why))) {
		(void)fprintf(stderr, "scheduler: %s\n", why);
		abort();
	}
}

static inline void verifying_stop(struct verifying *v)
{
	scheduler_stop(v->scheduler);
	v->scheduler = NULL;
}

/* Stops, checks the ledger's invariants, removes all. */
static inline int verifying_end(struct verifying *v)
{
	int err;

	verifying_stop(v);
	ledger_close(v->ledger);
	err = ledger_fsck(v->dir, stderr);
	for (unsigned i = 0; i < 3; i++)
		fake_node_stop(v->nodes[i]);
	tempdir_remove(v->dir);
	return err;
}

/* Claim of node `number` for the payment that fake_tx() says. */
static inline struct claim verifying_claim(const struct verifying *v,
					   unsigned number, uint64_t block,
					   uint64_t value, unsigned flags)
{
	static const uint8_t proof[65] = {1};
	struct claim claim = {.scheme = CLAIM_SIGNATURE,
			      .chain_id = 1,
			      .proof = proof,
			      .proof_size = sizeof(proof)};

	be32_store(claim.node, number);
	claim.node[63] = 1;
	memcpy(claim.token, fake_token, ADDRESS_SIZE);
	memcpy(claim.payee, fake_payee, ADDRESS_SIZE);
	memcpy(claim.payer, fake_payer, ADDRESS_SIZE);
	fake_tx(block, value, number, flags, claim.tx);
	memcpy(claim.offer_hash, v->offer_hash, 32);
	return claim;
}

static inline void verifying_file(struct verifying *v,
				  const struct claim *claim, uint64_t source)
{
	struct ledger_task task = {
		.op = LEDGER_ACCEPT, .claim = claim, .source_tag = source};
	uint8_t key[CLAIM_KEY_SIZE];

	if (ledger_run(v->ledger, &task))
		abort();
	claim_key(claim, key);
	if (v->scheduler)
		scheduler_poke(v->scheduler, key, task.record.rev);
}

static inline struct claim_view verifying_view(struct verifying *v,
					       const struct claim *claim)
{
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_view view;

	claim_key(claim, key);
	if (ledger_read_claim(v->ledger, key, &view))
		abort();
	return view;
}

static inline void verifying_nap(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000,
				.tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&time, NULL);
}

/* Wait until the claim is in that state. False: not within `ms`. */
static inline bool verifying_wait(struct verifying *v,
				  const struct claim *claim,
				  enum claim_state state, unsigned ms)
{
	uint64_t until = clock_mono_ms() + ms;

	while (verifying_view(v, claim).record.state != state) {
		if (clock_mono_ms() > until)
			return false;
		verifying_nap(10);
	}
	return true;
}

/* The same for all nodes at once. */
static inline void verifying_head(struct verifying *v, uint64_t head)
{
	for (unsigned i = 0; i < 3 && v->nodes[i]; i++)
		atomic_store(&v->nodes[i]->head, head);
}

#endif
