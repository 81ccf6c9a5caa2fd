/*
 * The facade whole, with its scheduler and an endpoint that is away: threads
 * submit claims, ask, and wait for changes while everything is closed under
 * those who wait. Everyone is answered once, and what was answered is stored.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/payments.h"
#include "core/err.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

#define THREADS 4
#define CLAIMS  40 /* a thread */

static struct payments *payments;
static struct secp_key server, node;
static atomic_uint answered, taken, waited, woken;

static void key_of(unsigned number, struct secp_key *key)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[29] = 1,
					      [30] = (uint8_t)(number >> 8),
					      [31] = (uint8_t)number};

	CHECK_SAY(secp_key_from_private(private, key) == 0, "no key");
}

static void was_woken(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&woken, 1);
}

static void was_answered(void *ctx, const struct intake_answer *answer)
{
	(void)ctx;
	atomic_fetch_add(&answered, 1);
	CHECK_SAY(answer->code == INTAKE_OK || answer->code == INTAKE_BUSY,
		  intake_str(answer->code));
	if (answer->code)
		return;
	CHECK_SAY(answer->is_new, "a claim is known that was never sent");
	atomic_fetch_add(&taken, 1);
	if (payments_wait(payments, answer->claim_id, answer->rev, 60,
			  was_woken, NULL) == 0)
		atomic_fetch_add(&waited, 1);
}

static void submit(unsigned number)
{
	uint8_t proof[SECP_SIGNATURE_SIZE], digest[32];
	struct secp_key payer;
	struct source source = {
		.kind = SOURCE_ADDRESS,
		.bytes = {10, 0, (uint8_t)(number >> 8), (uint8_t)number},
		.len = 4};
	struct claim claim = {
		.scheme = CLAIM_SIGNATURE,
		.chain_id = 1,
		.proof = proof,
		.proof_size = sizeof(proof),
	};

	key_of(number, &payer);
	memcpy(claim.node, node.public, SECP_PUBLIC_SIZE);
	memset(claim.token, 1, ADDRESS_SIZE);
	memset(claim.payee, 2, ADDRESS_SIZE);
	memcpy(claim.tx, &number, sizeof(number));
	address_from_public(payer.public, claim.payer);
	claim_digest(&claim, server.public, digest);
	secp_sign(&payer, digest, proof);
	payments_submit(payments, &claim, &source, was_answered, NULL);
}

static void *submitter(void *arg)
{
	unsigned first = *(const unsigned *)arg;

	for (unsigned i = 0; i < CLAIMS; i++)
		submit(first + i);
	return NULL;
}

static void configure(struct payments_config *config, const char *dir)
{
	struct offer_option option = {
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 18,
		.symbol = "SNT",
		.terms = {.price = u256_from_u64(100),
			  .unit_s = 2592000,
			  .min_units = 1,
			  .max_units = 24},
		.activate = {POLICY_CONFIRMATIONS, 6},
		.settle = {POLICY_CONFIRMATIONS, 12},
	};

	payments_config_default(config);
	memset(option.token, 1, ADDRESS_SIZE);
	memset(option.payee, 2, ADDRESS_SIZE);
	config->dir = dir;
	config->key = &server;
	config->rules.mode = ACCESS_PAID;
	config->open_per_node = 100000;
	config->options[0] = option;
	config->options_count = 1;
	config->chains[0] = (struct chain_config){
		.name = "away",
		.id = 1,
		.block_time_s = 1,
		.quorum = 1,
		.endpoints = {{.url = "http://127.0.0.1:9"}},
		.endpoints_count = 1,
	};
	config->chains_count = 1;
}

/* An offer of before, as if its chain had been there then. */
static void offer_before(const struct payments_config *config)
{
	struct payments_config alone = *config;
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	char why[256];
	size_t len;

	alone.chains_count = 0;
	CHECK_SAY(payments_open(&alone, &payments, why, sizeof(why)) == 0, why);
	CHECK_SAY(payments_offer(payments, bytes, &len, hash) == 0, "no offer");
	payments_close(payments);
}

int main(void)
{
	struct payments_config config;
	unsigned firsts[THREADS];
	pthread_t threads[THREADS];
	struct ledger_stats stats;
	char dir[TEMPDIR_MAX];
	char why[256];

	tempdir_make(dir);
	key_of(60000, &server);
	key_of(60001, &node);
	configure(&config, dir);
	offer_before(&config);
	CHECK_SAY(payments_open(&config, &payments, why, sizeof(why)) == 0,
		  why);
	for (unsigned i = 0; i < THREADS; i++) {
		firsts[i] = 1 + i * CLAIMS;
		CHECK_SAY(!pthread_create(&threads[i], NULL, submitter,
					  &firsts[i]),
			  "no thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	/* Whoever was not answered yet is answered by the closing. */
	payments_close(payments);
	CHECK_SAY(atomic_load(&answered) == THREADS * CLAIMS,
		  "not all answered");
	CHECK_SAY(atomic_load(&woken) == atomic_load(&waited), "not all woken");
	CHECK_SAY(ledger_fsck(dir, stderr) == 0, "the invariants do not hold");
	config.chains_count = 0;
	CHECK_SAY(payments_open(&config, &payments, why, sizeof(why)) == 0,
		  why);
	ledger_read_stats(payments_ledger(payments), &stats);
	CHECK_SAY(stats.claims_all == atomic_load(&taken), "a claim was lost");
	payments_close(payments);
	tempdir_remove(dir);
	return 0;
}
