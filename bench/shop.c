#include "bench/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/keccak.h"

#define UNIT_S        2592000u
#define FLYING_MAX    256u /* claims filed and not answered */
#define OFFER_WAIT_MS 30000u
#define TELL_MS       5000u

/* ---- customers ---- */

static void make_key(uint64_t seed, uint64_t number, struct secp_key *key)
{
	uint8_t bytes[16], private[32];

	be64_store(bytes, seed);
	be64_store(bytes + 8, number);
	keccak256(bytes, sizeof(bytes), private);
	if (secp_key_from_private(private, key))
		bench_fail("a hash is no key");
}

void shop_init(struct shop *shop, const struct bench *bench)
{
	memset(shop, 0, sizeof(*shop));
	shop->bench = bench;
	chainnode_start(&shop->node, SHOP_HEAD);
	shop->keys = calloc(SHOP_KEYS, sizeof(*shop->keys));
	shop->addresses = calloc(SHOP_KEYS, sizeof(*shop->addresses));
	if (!shop->keys || !shop->addresses)
		bench_fail("no memory");
	make_key(bench->seed, UINT64_MAX, &shop->key);
	for (unsigned i = 0; i < SHOP_KEYS; i++) {
		make_key(bench->seed, i, &shop->keys[i]);
		address_from_public(shop->keys[i].public, shop->addresses[i]);
	}
}

void shop_release(struct shop *shop)
{
	chainnode_stop(&shop->node);
	free(shop->keys);
	free(shop->addresses);
}

/* ---- the shop ---- */

static void configure(const struct shop *shop, bool with_chain,
		      struct payments_config *config)
{
	struct offer_option option = {
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = CHAINNODE_ID,
		.decimals = 18,
		.symbol = CHAINNODE_SYMBOL,
		.terms = {.price = u256_from_u64(SHOP_PRICE),
			  .unit_s = UNIT_S,
			  .min_units = 1,
			  .max_units = 1000},
		.activate = {POLICY_CONFIRMATIONS, SHOP_ACTIVATE},
		.settle = {.mode = POLICY_FINAL},
	};

	memcpy(option.token, shop->node.token, ADDRESS_SIZE);
	memcpy(option.payee, shop->node.payee, ADDRESS_SIZE);
	payments_config_default(config);
	config->dir = shop->dir;
	config->key = &shop->key;
	config->rules.mode = ACCESS_PAID;
	config->open_per_source = config->open_per_node =
		config->open_per_payer = config->open_max;
	config->submit_per_min = config->submit_burst = 100000000;
	config->options[0] = option;
	config->options_count = 1;
	config->chains[0] = (struct chain_config){
		.name = "bench",
		.id = CHAINNODE_ID,
		.block_time_s = 1,
		.start_block = 1,
		.quorum = 1,
		.endpoints = {{.url = shop->node.url,
			       .requests_per_s = shop->requests_per_s}},
		.endpoints_count = 1,
	};
	config->chains_count = with_chain ? 1 : 0;
}

static uint32_t place_of(const struct shop *shop, const uint8_t *id)
{
	return be32_load(id) & shop->mask;
}

/* NULL: its answer has not come yet. */
static struct shop_claim *find(struct shop *shop, const uint8_t *id)
{
	uint32_t at = place_of(shop, id), number;

	while ((number = atomic_load(&shop->table[at].number)) > 0) {
		if (memcmp(shop->claims[number - 1].id, id, CLAIM_ID_SIZE) == 0)
			return &shop->claims[number - 1];
		at = (at + 1) & shop->mask;
	}
	return NULL;
}

/* 0 becomes `now_ns`; returns whether it did. */
static bool is_first(_Atomic uint64_t *time_ns, uint64_t now_ns)
{
	uint64_t never = 0;

	return atomic_compare_exchange_strong(time_ns, &never, now_ns);
}

/* Keeper's thread: a claim has changed. */
static void changed(void *ctx, const struct claim_status *status)
{
	struct shop *shop = ctx;
	struct shop_claim *claim = find(shop, status->claim_id);
	uint64_t now_ns = clock_mono_ns();
	unsigned epoch = atomic_load(&shop->epoch);

	if (!claim || status->state == CLAIM_RECEIVED)
		return;
	atomic_store(&claim->changed_ns, now_ns);
	atomic_store(&claim->seen_block, status->block);
	if (atomic_exchange(&claim->state, status->state) != status->state) {
		if (status->state == CLAIM_REORGED)
			atomic_fetch_add(&shop->reorged, 1);
		if (status->state == CLAIM_REJECTED)
			atomic_fetch_add(&shop->rejected, 1);
	}
	if (is_first(&claim->looked_ns, now_ns))
		atomic_fetch_add(&shop->looked, 1);
	if (status->is_credited && is_first(&claim->active_ns, now_ns))
		atomic_fetch_add(&shop->active, 1);
	if (status->state == CLAIM_SETTLED &&
	    is_first(&claim->settled_ns, now_ns))
		atomic_fetch_add(&shop->settled, 1);
	if (epoch && atomic_exchange(&claim->mark, epoch) != epoch)
		atomic_fetch_add(&shop->marked, 1);
}

static void wait_for_offer(struct shop *shop)
{
	uint64_t until_ms = clock_mono_ms() + OFFER_WAIT_MS;
	uint8_t bytes[OFFER_SIZE_MAX];
	size_t len;

	while (payments_offer(shop->payments, bytes, &len, shop->offer_hash)) {
		if (clock_mono_ms() > until_ms)
			bench_fail("no offer is made");
		bench_sleep_ms(5);
	}
}

void shop_open(struct shop *shop, bool with_chain)
{
	struct payments_config config;
	char why[512];

	configure(shop, with_chain, &config);
	shop->opened_ns = clock_mono_ns();
	if (payments_open(&config, &shop->payments, why, sizeof(why)))
		bench_fail("%s", why);
	payments_set_notify(shop->payments, changed, shop);
}

void shop_close(struct shop *shop)
{
	payments_close(shop->payments);
	shop->payments = NULL;
}

void shop_begin(struct shop *shop, const char *name, uint32_t max)
{
	uint32_t places = 64;

	while (places < 2 * max)
		places *= 2;
	(void)bench_folder(shop->bench, name, shop->dir);
	chainnode_reset(&shop->node);
	if (shop->final_lag)
		atomic_store(&shop->node.knobs->final_lag, shop->final_lag);
	shop->claims = calloc(max, sizeof(*shop->claims));
	shop->table = calloc(places, sizeof(*shop->table));
	if (!shop->claims || !shop->table)
		bench_fail("no memory");
	shop->mask = places - 1;
	shop->max = max;
	shop->count = 0;
	shop->requests_per_s = 0;
	atomic_store(&shop->answered, 0);
	atomic_store(&shop->looked, 0);
	atomic_store(&shop->active, 0);
	atomic_store(&shop->settled, 0);
	atomic_store(&shop->reorged, 0);
	atomic_store(&shop->rejected, 0);
	atomic_store(&shop->marked, 0);
	atomic_store(&shop->epoch, 0);
	shop_open(shop, true);
	wait_for_offer(shop);
	shop_close(shop);
}

void shop_end(struct shop *shop)
{
	if (shop->payments)
		shop_close(shop);
	if (ledger_fsck(shop->dir, stderr))
		bench_fail("the ledger's invariants do not hold");
	bench_remove(shop->dir);
	free(shop->claims);
	free(shop->table);
	shop->claims = NULL;
	shop->table = NULL;
	shop->final_lag = 0;
}

/* ---- filing ---- */

struct filing {
	struct shop *shop;
	uint32_t number;
};

/* Ledger's thread, after the commit. */
static void was_answered(void *ctx, const struct intake_answer *answer)
{
	struct filing *filing = ctx;
	struct shop *shop = filing->shop;
	struct shop_claim *claim = &shop->claims[filing->number];
	uint32_t at, none = 0;

	if (answer->code || !answer->is_new)
		bench_fail("a claim was not taken: %s",
			   intake_str(answer->code));
	memcpy(claim->id, answer->claim_id, CLAIM_ID_SIZE);
	atomic_store(&claim->filed_ns, clock_mono_ns());
	at = place_of(shop, claim->id);
	while (!atomic_compare_exchange_strong(&shop->table[at].number, &none,
					       filing->number + 1)) {
		none = 0;
		at = (at + 1) & shop->mask;
	}
	atomic_fetch_add(&shop->answered, 1);
	free(filing);
}

void shop_file(struct shop *shop, uint32_t block, uint32_t source)
{
	uint32_t number = shop->count++;
	const struct secp_key *payer = &shop->keys[number % SHOP_KEYS];
	struct filing *filing = malloc(sizeof(*filing));
	uint8_t proof[SECP_SIGNATURE_SIZE], digest[32];
	struct source from = {.kind = SOURCE_ADDRESS, .len = 4};
	struct claim claim = {.scheme = CLAIM_SIGNATURE,
			      .chain_id = CHAINNODE_ID,
			      .proof = proof,
			      .proof_size = sizeof(proof)};

	if (!filing || number >= shop->max)
		bench_fail("no memory for a claim");
	*filing = (struct filing){.shop = shop, .number = number};
	shop->claims[number].block = block;
	be32_store(from.bytes, source);
	memcpy(claim.node, payer->public, SECP_PUBLIC_SIZE);
	memcpy(claim.token, shop->node.token, ADDRESS_SIZE);
	memcpy(claim.payee, shop->node.payee, ADDRESS_SIZE);
	memcpy(claim.payer, shop->addresses[number % SHOP_KEYS], ADDRESS_SIZE);
	chainnode_tx(claim.payer, block, SHOP_PRICE, number, claim.tx);
	memcpy(claim.offer_hash, shop->offer_hash, 32);
	claim_digest(&claim, shop->key.public, digest);
	secp_sign(payer, digest, proof);
	payments_submit(shop->payments, &claim, &from, was_answered, filing);
}

void shop_file_many(struct shop *shop, uint32_t count, uint32_t block,
		    uint32_t blocks, uint32_t source)
{
	uint64_t begin_ns = clock_mono_ns();

	for (uint32_t i = 0; i < count; i++) {
		while (shop->count - atomic_load(&shop->answered) >= FLYING_MAX)
			bench_sleep_ms(1);
		shop_file(shop, block + i % blocks, source);
	}
	while (atomic_load(&shop->answered) < shop->count)
		bench_sleep_ms(1);
	(void)fprintf(stderr,
		      "%u claims signed, checked and stored in %.2f s\n", count,
		      (double)(clock_mono_ns() - begin_ns) / 1e9);
}

/* ---- waiting ---- */

void shop_mark(struct shop *shop)
{
	atomic_store(&shop->marked, 0);
	atomic_fetch_add(&shop->epoch, 1);
}

double shop_wait(struct shop *shop, const char *what,
		 const atomic_uint *counter, uint32_t wanted, unsigned seconds)
{
	uint64_t begin_ns = clock_mono_ns(), told_ms = clock_mono_ms();
	uint64_t until_ms = told_ms + 1000ull * seconds;

	while (atomic_load(counter) < wanted) {
		uint64_t now_ms = clock_mono_ms();

		if (now_ms > until_ms)
			bench_fail("%s: %u of %u after %u s", what,
				   atomic_load(counter), wanted, seconds);
		if (atomic_load(&shop->rejected) > 0)
			bench_fail("%s: a claim was rejected", what);
		if (now_ms - told_ms >= TELL_MS) {
			told_ms = now_ms;
			(void)fprintf(stderr, "%s: %u of %u\n", what,
				      atomic_load(counter), wanted);
		}
		bench_sleep_ms(1);
	}
	return (double)(clock_mono_ns() - begin_ns) / 1e9;
}
