#include "auth/payments.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "auth/payments_private.h"
#include "auth/scheduler.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/metrics.h"
#include "tests/support/tempdir.h"

/* ---- a scheduler that does as it is told ---- */

static struct scheduler {
	int dummy;
} the_scheduler;
static atomic_int option_answer;
static atomic_uint pokes;
static _Atomic uint64_t head_s; /* 0: no chain is seen */

int scheduler_start(const struct scheduler_config *config,
		    struct scheduler **out, char *why, size_t why_size)
{
	(void)config;
	(void)why;
	(void)why_size;
	*out = &the_scheduler;
	return 0;
}

void scheduler_stop(struct scheduler *scheduler)
{
	(void)scheduler;
}

void scheduler_poke(struct scheduler *scheduler,
		    const uint8_t key[static CLAIM_KEY_SIZE], uint32_t rev)
{
	(void)rev;
	(void)scheduler;
	(void)key;
	atomic_fetch_add(&pokes, 1);
}

uint64_t scheduler_head_s(const struct scheduler *scheduler)
{
	(void)scheduler;
	return atomic_load(&head_s);
}

int scheduler_chain(const struct scheduler *scheduler, unsigned i,
		    struct chain_view *out)
{
	(void)scheduler;
	if (i > 0)
		return ERR_NOTFOUND;
	*out = (struct chain_view){.name = "test", .id = 1, .head = 203};
	return 0;
}

int scheduler_option(const struct scheduler *scheduler, unsigned i, char *why,
		     size_t why_size)
{
	(void)scheduler;
	(void)i;
	(void)snprintf(why, why_size, "told so");
	return atomic_load(&option_answer);
}

int scheduler_acknowledge(struct scheduler *scheduler, uint64_t chain_id,
			  uint64_t alarms)
{
	(void)scheduler;
	(void)chain_id;
	(void)alarms;
	return 0;
}

/* ---- the facade over it ---- */

static struct {
	char dir[TEMPDIR_MAX];
	struct secp_key server, node, payer;
	uint8_t payer_address[ADDRESS_SIZE];
	struct payments_config config;
	struct payments *payments;
} t;

static const struct source source = {
	.kind = SOURCE_ADDRESS, .bytes = {127, 0, 0, 1}, .len = 4};

static void key_of(uint8_t number, struct secp_key *key)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = number};

	cr_assert_eq(secp_key_from_private(private, key), 0);
}

static struct offer_option option_at(uint64_t price)
{
	struct offer_option option = {
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 18,
		.symbol = "SNT",
		.terms = {.price = u256_from_u64(price),
			  .unit_s = 2592000,
			  .min_units = 1,
			  .max_units = 24},
		.activate = {POLICY_CONFIRMATIONS, 6},
		.settle = {POLICY_CONFIRMATIONS, 12},
	};

	memset(option.token, 1, ADDRESS_SIZE);
	memset(option.payee, 0x90, ADDRESS_SIZE);
	return option;
}

static void start(void)
{
	char why[256];

	cr_assert_eq(payments_open(&t.config, &t.payments, why, sizeof(why)), 0,
		     "%s", why);
}

static void begin(void)
{
	tempdir_make(t.dir);
	key_of(7, &t.server);
	key_of(8, &t.node);
	key_of(9, &t.payer);
	address_from_public(t.payer.public, t.payer_address);
	payments_config_default(&t.config);
	t.config.dir = t.dir;
	t.config.key = &t.server;
	t.config.rules.mode = ACCESS_PAID;
	t.config.options[0] = option_at(100);
	t.config.options_count = 1;
	t.config.chains[0] = (struct chain_config){
		.name = "test",
		.id = 1,
		.block_time_s = 12,
		.quorum = 1,
		.endpoints = {{.url = "http://127.0.0.1:1"}},
		.endpoints_count = 1,
	};
	t.config.chains_count = 1;
	start();
}

static void end(void)
{
	payments_close(t.payments);
	cr_assert_eq(ledger_fsck(t.dir, stderr), 0);
	tempdir_remove(t.dir);
}

TestSuite(payments, .init = begin, .fini = end);

static uint64_t offer_now(struct offer *offer)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32], again[32];
	size_t len;

	if (payments_offer(t.payments, bytes, &len, hash))
		return 0;
	cr_assert_eq(offer_open(bytes, len, offer, again), 0);
	cr_assert_arr_eq(hash, again, 32);
	return offer->sequence;
}

static uint64_t wait_offer(uint64_t sequence, struct offer *offer)
{
	uint64_t got = 0;

	for (int i = 0; i < 400 && got < sequence; i++) {
		got = offer_now(offer);
		if (got < sequence)
			(void)usleep(10000);
	}
	return got;
}

struct signed_claim {
	struct claim claim;
	uint8_t proof[SECP_SIGNATURE_SIZE];
};

static void sign(struct signed_claim *c, uint8_t tx)
{
	uint8_t digest[32];

	memset(c, 0, sizeof(*c));
	c->claim.scheme = CLAIM_SIGNATURE;
	c->claim.chain_id = 1;
	memcpy(c->claim.node, t.node.public, SECP_PUBLIC_SIZE);
	memset(c->claim.token, 1, ADDRESS_SIZE);
	memset(c->claim.payee, 0x90, ADDRESS_SIZE);
	memcpy(c->claim.payer, t.payer_address, ADDRESS_SIZE);
	memset(c->claim.tx, tx, TX_SIZE);
	claim_digest(&c->claim, t.server.public, digest);
	secp_sign(&t.payer, digest, c->proof);
	c->claim.proof = c->proof;
	c->claim.proof_size = sizeof(c->proof);
}

struct answered {
	struct intake_answer answer;
	sem_t sem;
};

static void note(void *ctx, const struct intake_answer *answer)
{
	struct answered *answered = ctx;

	answered->answer = *answer;
	(void)sem_post(&answered->sem);
}

static struct intake_answer submit(const struct claim *claim)
{
	struct answered answered;

	(void)sem_init(&answered.sem, 0, 0);
	payments_submit(t.payments, claim, &source, note, &answered);
	(void)sem_wait(&answered.sem);
	return answered.answer;
}

static void expect_code(const struct claim *claim, enum intake want)
{
	cr_assert_str_eq(intake_str(submit(claim).code), intake_str(want));
}

/* §19; §21, 24: each costs the endpoints a call that its sender chooses. */
Test(payments, claims_of_contract_wallets_have_a_rate_of_their_own)
{
	struct signed_claim one;
	struct intake_answer answer;
	struct offer offer;

	payments_close(t.payments);
	t.config.contract_proofs = true;
	t.config.submit_contract_per_min = 2;
	t.config.submit_per_min = 1000;
	t.config.submit_burst = 1000;
	start();
	cr_assert_geq(wait_offer(1, &offer), 1);
	for (uint8_t i = 1; i <= 2; i++) {
		sign(&one, i);
		one.claim.scheme = CLAIM_CONTRACT;
		expect_code(&one.claim, INTAKE_OK);
	}
	sign(&one, 3);
	one.claim.scheme = CLAIM_CONTRACT;
	answer = submit(&one.claim);
	cr_assert_eq(answer.code, INTAKE_RATE_LIMITED);
	/* 30 s, but for what has passed. */
	cr_assert_geq(answer.retry_after_s, 15);
	cr_assert_leq(answer.retry_after_s, 30);
	/* Those that are signed are not held up by it. */
	sign(&one, 4);
	expect_code(&one.claim, INTAKE_OK);
}

static int find_mined(const struct signed_claim *c, uint64_t head)
{
	struct finding f = {
		.kind = FINDING_MINED,
		.at = {.head = head},
		.block = 201,
		.block_time_s = clock_wall_s(),
		.value = u256_from_u64(350),
	};
	struct ledger_task task = {
		.op = LEDGER_FINDING, .findings = &f, .findings_count = 1};
	struct claim_view view;

	claim_key(&c->claim, f.claim_key);
	if (ledger_read_claim(payments_ledger(t.payments), f.claim_key, &view))
		return ERR_NOTFOUND;
	f.rev = view.record.rev;
	return ledger_run(payments_ledger(t.payments), &task);
}

Test(payments, an_offer_is_made_at_start_and_kept)
{
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	cr_assert_eq(offer.options_count, 1);
	cr_assert_eq(offer.flags, 0);
	payments_close(t.payments);
	start();
	cr_assert_eq(wait_offer(1, &offer), 1);
	(void)usleep(700000);
	cr_assert_eq(offer_now(&offer), 1);
}

Test(payments, a_changed_price_makes_the_next_offer)
{
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	payments_close(t.payments);
	t.config.options[0] = option_at(200);
	start();
	cr_assert_eq(wait_offer(2, &offer), 2);
}

Test(payments, a_new_offer_comes_at_half_life)
{
	struct offer first, offer;

	payments_close(t.payments);
	t.config.offer_valid_s = 2;
	start();
	cr_assert_geq(wait_offer(1, &first), 1);
	cr_assert_geq(wait_offer(first.sequence + 1, &offer),
		      first.sequence + 1);
	cr_assert_leq(offer.not_before_s, first.not_after_s);
}

/* Made while the clock was ahead, it must not stop the next one. */
Test(payments, an_offer_of_the_far_future_is_not_waited_for)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer, next;

	t.config.offer_valid_s = 6;
	payments_close(t.payments);
	start();
	cr_assert_geq(wait_offer(1, &offer), 1);
	offer.sequence += 5;
	offer.not_before_s += 86400;
	offer.not_after_s += 86400;
	cr_assert_eq(
		offer_sign(&offer, &t.server, bytes, &task.offer_size, hash),
		0);
	cr_assert_eq(ledger_run(payments_ledger(t.payments), &task), 0);
	cr_assert_geq(wait_offer(offer.sequence + 1, &next),
		      offer.sequence + 1);
	cr_assert_leq(next.not_before_s, clock_wall_s());
	/* Once is enough. */
	(void)usleep(1200000);
	cr_assert_eq(offer_now(&next), offer.sequence + 1);
}

/* ---- a price that is announced (payments.md §4.4) ---- */

static uint64_t next_offer(struct offer *offer)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	if (payments_next_offer(t.payments, bytes, &len, hash))
		return 0;
	cr_assert_eq(offer_open(bytes, len, offer, hash), 0);
	return offer->sequence;
}

static void announce(uint64_t price, uint64_t from_s)
{
	payments_close(t.payments);
	t.config.options[0] = option_at(price);
	t.config.offer_from_s = from_s;
	start();
}

static uint64_t wait_next(uint64_t from_s, struct offer *offer)
{
	for (int i = 0; i < 200; i++) {
		if (next_offer(offer) && offer->not_before_s == from_s)
			return offer->sequence;
		(void)usleep(20000);
	}
	return 0;
}

static uint64_t price_of(const struct offer *offer)
{
	uint64_t price = 0;

	(void)u256_to_u64(&offer->options[0].terms.price, &price);
	return price;
}

Test(payments, an_announced_price_waits_for_its_day)
{
	uint64_t from_s = clock_wall_s() + 30 * 86400;
	struct offer present, next;

	cr_assert_eq(wait_offer(1, &present), 1);
	cr_assert_eq(next_offer(&next), 0);
	announce(200, from_s);
	cr_assert_eq(wait_next(from_s, &next), 3);
	cr_assert_eq(price_of(&next), 200);
	/* The present one would run out before: it is carried on. */
	cr_assert_eq(wait_offer(2, &present), 2);
	cr_assert_eq(price_of(&present), 100);
	cr_assert_eq(present.not_after_s, from_s);
	/* Once is enough, and after a restart, too. */
	(void)usleep(700000);
	cr_assert_eq(next_offer(&next), 3);
	announce(200, from_s);
	(void)usleep(700000);
	cr_assert_eq(next_offer(&next), 3);
	cr_assert_eq(offer_now(&present), 2);
}

Test(payments, a_present_offer_that_lasts_is_left_as_it_is)
{
	uint64_t from_s = clock_wall_s() + 86400;
	struct offer present, next;

	cr_assert_eq(wait_offer(1, &present), 1);
	announce(200, from_s);
	cr_assert_eq(wait_next(from_s, &next), 2);
	cr_assert_eq(offer_now(&present), 1);
}

Test(payments, an_announced_price_comes_into_force)
{
	uint64_t from_s = clock_wall_s() + 2;
	struct offer present, next;

	cr_assert_eq(wait_offer(1, &present), 1);
	announce(200, from_s);
	cr_assert_eq(wait_next(from_s, &next), 2);
	cr_assert_eq(offer_now(&present), 1);
	cr_assert_eq(wait_offer(2, &present), 2);
	cr_assert_geq(clock_wall_s(), from_s);
	cr_assert_eq(price_of(&present), 200);
	cr_assert_eq(next_offer(&next), 0);
	/* It is what the settings say: nothing new is made. */
	(void)usleep(700000);
	cr_assert_eq(offer_now(&present), 2);
}

Test(payments, an_announcement_can_be_changed_and_taken_back)
{
	uint64_t from_s = clock_wall_s() + 86400;
	struct offer present, next;

	cr_assert_eq(wait_offer(1, &present), 1);
	announce(200, from_s);
	cr_assert_eq(wait_next(from_s, &next), 2);
	/* A later day: the former one must not come into force meanwhile. */
	announce(300, from_s + 3600);
	cr_assert_eq(wait_next(from_s + 3600, &next), 4);
	cr_assert_eq(price_of(&next), 300);
	cr_assert_eq(wait_offer(3, &present), 3);
	cr_assert_eq(price_of(&present), 100);
	/* Taken back. */
	announce(100, 0);
	cr_assert_eq(wait_offer(5, &present), 5);
	cr_assert_eq(price_of(&present), 100);
	cr_assert_eq(next_offer(&next), 0);
	/* Announced, then wanted at once. */
	announce(400, from_s);
	cr_assert_eq(wait_next(from_s, &next), 6);
	announce(400, 0);
	cr_assert_eq(wait_offer(7, &present), 7);
	cr_assert_eq(price_of(&present), 400);
	cr_assert_eq(next_offer(&next), 0);
}

static void start_without_offers(void)
{
	payments_close(t.payments);
	tempdir_remove(t.dir);
	tempdir_make(t.dir);
}

/* Nothing was ever offered before: it is no clock that runs behind. */
Test(payments, a_first_announcement_can_be_changed_twice_and_taken_back)
{
	uint64_t from_s = clock_wall_s() + 86400;
	struct offer present, next;

	start_without_offers();
	atomic_store(&head_s, clock_wall_s());
	t.config.offer_from_s = from_s;
	start();
	cr_assert_eq(wait_next(from_s, &next), 1);
	for (uint64_t i = 2; i < 4; i++) {
		announce(100 * i, from_s + 60 * i);
		cr_assert_eq(wait_next(from_s + 60 * i, &next), i);
		cr_assert_eq(price_of(&next), 100 * i);
	}
	announce(300, 0);
	cr_assert_eq(wait_offer(4, &present), 4);
	cr_assert_eq(price_of(&present), 300);
}

Test(payments, a_clock_that_runs_behind_signs_nothing)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer;

	start_without_offers();
	atomic_store(&option_answer, ERR_AGAIN);
	start();
	offer = (struct offer){.not_before_s = clock_wall_s() + 1000,
			       .not_after_s = clock_wall_s() + 2000,
			       .options_count = 1,
			       .options = {option_at(100)}};
	memcpy(offer.server, t.server.public, SECP_PUBLIC_SIZE);
	for (offer.sequence = 1; offer.sequence <= 2; offer.sequence++) {
		cr_assert_eq(offer_sign(&offer, &t.server, bytes,
					&task.offer_size, hash),
			     0);
		cr_assert_eq(ledger_run(payments_ledger(t.payments), &task), 0);
	}
	atomic_store(&option_answer, 0);
	announce(200, 0);
	(void)usleep(1200000);
	cr_assert_eq(ledger_read_sequence(payments_ledger(t.payments)), 2);
	/* The chain is of their time, too. */
	atomic_store(&head_s, clock_wall_s() + 1100);
	(void)usleep(1200000);
	cr_assert_eq(ledger_read_sequence(payments_ledger(t.payments)), 2);
}

Test(payments, an_announcement_does_not_hide_that_service_is_free)
{
	uint64_t from_s = clock_wall_s() + 86400;
	struct offer present, next;

	cr_assert_eq(wait_offer(1, &present), 1);
	announce(200, from_s);
	cr_assert_eq(wait_next(from_s, &next), 2);
	cr_assert_eq(payments_set_mode(t.payments, ACCESS_FREE, "a feast"), 0);
	cr_assert_eq(wait_offer(3, &present), 3);
	cr_assert_eq(present.flags, OFFER_FREE_NOW);
	cr_assert_eq(price_of(&present), 100);
	cr_assert_eq(wait_next(from_s, &next), 4);
	cr_assert_eq(price_of(&next), 200);
}

Test(payments, time_chooses_between_present_and_announced)
{
	uint64_t from_s = clock_wall_s() + 86400;
	const struct offer_option sold = option_at(100);
	struct offer_option option;
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	announce(200, from_s);
	cr_assert(wait_next(from_s, &offer));
	for (unsigned i = 0; i < 2; i++) {
		offer.options_count = 1;
		cr_assert(ledger_read_option(payments_ledger(t.payments),
					     from_s - 1 + i, 1, sold.token,
					     &option));
		offer.options[0] = option;
		cr_assert_eq(price_of(&offer), i ? 200 : 100);
	}
}

static bool is_denying_before(uint64_t limit_s)
{
	for (int i = 0; i < 300; i++) {
		if (gate_deny_now(payments_gate(t.payments)) <= limit_s)
			return true;
		(void)usleep(10000);
	}
	return false;
}

/* §14: the head that the chain is followed to holds the clock of denial. */
Test(payments, a_head_that_is_followed_holds_the_clock)
{
	uint64_t now_s = clock_wall_s();
	const struct metric *skew =
		metric_gauge("mailpay_clock_skew_seconds", NULL, "");

	cr_assert_geq(gate_deny_now(payments_gate(t.payments)), now_s);
	atomic_store(&head_s, now_s - 1000);
	cr_assert(is_denying_before(now_s - 1000 + ACCESS_HEAD_SLACK_S));
	/* How much they differ is measured. */
	for (int i = 0; i < 300 && metric_value(skew) < 1000; i++)
		(void)usleep(10000);
	cr_assert_geq(metric_value(skew), 1000);
	cr_assert_leq(metric_value(skew), 1010);
	/* It is gone, or no longer fresh: our own clock alone. */
	atomic_store(&head_s, 0);
	for (int i = 0; i < 300; i++) {
		if (gate_deny_now(payments_gate(t.payments)) >= now_s)
			break;
		(void)usleep(10000);
	}
	cr_assert_geq(gate_deny_now(payments_gate(t.payments)), now_s);
}

Test(payments, free_service_says_so)
{
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	cr_assert_eq(payments_set_mode(t.payments, ACCESS_FREE, "a feast"), 0);
	cr_assert_eq(wait_offer(2, &offer), 2);
	cr_assert_eq(offer.flags, OFFER_FREE_NOW);
}

static void restart(enum access_mode settings)
{
	payments_close(t.payments);
	t.config.rules.mode = settings;
	start();
}

Test(payments, the_last_word_about_the_mode_counts)
{
	cr_assert_eq(payments_mode(t.payments), ACCESS_PAID);
	cr_assert_eq(payments_set_mode(t.payments, ACCESS_AUDIT, "a trial"), 0);
	restart(ACCESS_PAID);
	cr_assert_eq(payments_mode(t.payments), ACCESS_AUDIT);
	cr_assert_eq(payments_settings_mode(t.payments), ACCESS_PAID);
	restart(ACCESS_PAID);
	cr_assert_eq(payments_mode(t.payments), ACCESS_AUDIT);
	/* The settings have another word than when the command was given. */
	restart(ACCESS_FREE);
	cr_assert_eq(payments_mode(t.payments), ACCESS_FREE);
	restart(ACCESS_PAID);
	cr_assert_eq(payments_mode(t.payments), ACCESS_PAID);
	/* As the settings have it: nothing is left to hold. */
	cr_assert_eq(payments_set_mode(t.payments, ACCESS_FREE, "a feast"), 0);
	cr_assert_eq(payments_set_mode(t.payments, ACCESS_PAID, "is over"), 0);
	restart(ACCESS_AUDIT);
	cr_assert_eq(payments_mode(t.payments), ACCESS_AUDIT);
}

Test(payments, an_option_that_fails_its_checks_is_not_offered)
{
	struct offer offer;

	payments_close(t.payments);
	tempdir_remove(t.dir);
	atomic_store(&option_answer, ERR_AGAIN);
	start();
	(void)usleep(700000);
	cr_assert_eq(offer_now(&offer), 0);
	atomic_store(&option_answer, ERR_DENIED);
	(void)usleep(700000);
	cr_assert_eq(offer_now(&offer), 0);
	atomic_store(&option_answer, 0);
	cr_assert_eq(wait_offer(1, &offer), 1);
}

Test(payments, each_refusal_has_its_code_and_the_honest_claim_goes_on)
{
	struct signed_claim good, bad;
	struct intake_answer first, again;
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	sign(&good, 1);
	bad = good;
	bad.claim.proof_size = 0;
	expect_code(&bad.claim, INTAKE_BAD_FORMAT);
	bad = good;
	bad.claim.node[0] ^= 1;
	expect_code(&bad.claim, INTAKE_BAD_FORMAT);
	bad = good;
	bad.claim.chain_id = 2;
	expect_code(&bad.claim, INTAKE_UNSUPPORTED_CHAIN);
	bad = good;
	bad.claim.token[0] = 9;
	expect_code(&bad.claim, INTAKE_UNSUPPORTED_TOKEN);
	bad = good;
	bad.claim.payee[0] = 9;
	expect_code(&bad.claim, INTAKE_UNSUPPORTED_PAYEE);
	bad = good;
	bad.claim.scheme = CLAIM_CONTRACT;
	expect_code(&bad.claim, INTAKE_UNSUPPORTED_SCHEME);
	bad.claim.scheme = CLAIM_CALLDATA;
	expect_code(&bad.claim, INTAKE_UNSUPPORTED_SCHEME);
	/* Another's signature, and ours under another node. */
	sign(&bad, 1);
	bad.proof[5] ^= 1;
	bad.claim.proof = bad.proof;
	expect_code(&bad.claim, INTAKE_BAD_PROOF);
	sign(&bad, 1);
	bad.claim.proof = bad.proof;
	memcpy(bad.claim.node, t.payer.public, SECP_PUBLIC_SIZE);
	expect_code(&bad.claim, INTAKE_BAD_PROOF);

	good.claim.proof = good.proof;
	first = submit(&good.claim);
	cr_assert_eq(first.code, INTAKE_OK);
	cr_assert(first.is_new);
	cr_assert_eq(first.retry_after_s, 4);
	again = submit(&good.claim);
	cr_assert_eq(again.code, INTAKE_OK);
	cr_assert(!again.is_new);
	cr_assert_arr_eq(first.claim_id, again.claim_id, CLAIM_ID_SIZE);
}

Test(payments, a_source_may_submit_so_often)
{
	struct signed_claim c;
	struct intake_answer answer = {.code = INTAKE_OK};
	struct offer offer;
	unsigned taken = 0;

	cr_assert_eq(wait_offer(1, &offer), 1);
	sign(&c, 1);
	c.proof[1] ^= 1;
	while (taken < 100) {
		answer = submit(&c.claim);
		if (answer.code == INTAKE_RATE_LIMITED)
			break;
		cr_assert_eq(answer.code, INTAKE_BAD_PROOF);
		taken++;
	}
	cr_assert_eq(taken, 20);
	/* 10 a minute: 6 s, but for what has passed. */
	cr_assert_geq(answer.retry_after_s, 3);
	cr_assert_leq(answer.retry_after_s, 6);
	/* What is cheaper is told first, and needs no place in it. */
	c.claim.chain_id = 2;
	expect_code(&c.claim, INTAKE_UNSUPPORTED_CHAIN);
	c.claim.node[0] ^= 1;
	expect_code(&c.claim, INTAKE_BAD_FORMAT);
}

/* §16.3: each bound by itself, as the settings have it. */
Test(payments, at_a_bound_of_open_claims_intake_is_busy)
{
	unsigned *const bounds[] = {
		&t.config.open_max, &t.config.open_per_source,
		&t.config.open_per_node, &t.config.open_per_payer};
	const struct payments_config usual = t.config;
	struct signed_claim claims[3];
	struct intake_answer answer;
	struct offer offer;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		payments_close(t.payments);
		tempdir_remove(t.dir);
		tempdir_make(t.dir);
		t.config = usual;
		*bounds[i] = 2;
		start();
		cr_assert_eq(wait_offer(1, &offer), 1);
		for (uint8_t tx = 0; tx < 3; tx++)
			sign(&claims[tx], 1 + tx);
		expect_code(&claims[0].claim, INTAKE_OK);
		expect_code(&claims[1].claim, INTAKE_OK);
		answer = submit(&claims[2].claim);
		cr_assert_eq(answer.code, INTAKE_BUSY, "bound %zu", i);
		cr_assert_gt(answer.retry_after_s, 0);
		/* What was accepted is not dropped. */
		expect_code(&claims[0].claim, INTAKE_OK);
	}
}

Test(payments, a_source_may_ask_so_often)
{
	static const struct source other = {
		.kind = SOURCE_ADDRESS, .bytes = {127, 0, 0, 2}, .len = 4};
	const uint8_t id[CLAIM_ID_SIZE] = {1};
	struct claim_status status;
	enum intake code = INTAKE_UNKNOWN_CLAIM;
	uint32_t retry_s;
	unsigned asked = 0;

	payments_close(t.payments);
	t.config.status_per_min = 4;
	start();
	while (asked < 100) {
		code = payments_status(t.payments, id, &source, &status);
		if (code != INTAKE_UNKNOWN_CLAIM)
			break;
		asked++;
	}
	cr_assert_eq(code, INTAKE_RATE_LIMITED);
	cr_assert_eq(asked, 4);
	/* 15 s, but for what has passed. */
	cr_assert_geq(status.retry_after_s, 8);
	cr_assert_leq(status.retry_after_s, 15);
	/* The same budget, by whatever way it comes. */
	cr_assert_eq(payments_may_ask(t.payments, &source, &retry_s),
		     INTAKE_RATE_LIMITED);
	cr_assert_geq(retry_s, 8);
	/* It is the source's own. */
	cr_assert_eq(payments_status(t.payments, id, &other, &status),
		     INTAKE_UNKNOWN_CLAIM);
	cr_assert_eq(payments_may_ask(t.payments, &other, &retry_s), INTAKE_OK);
}

Test(payments, status_tells_the_way_to_active)
{
	struct claim_status status;
	struct intake_answer answer;
	struct entitlement ent;
	uint64_t grace_end_s;
	struct signed_claim c;
	struct offer offer;

	cr_assert_eq(wait_offer(1, &offer), 1);
	sign(&c, 1);
	answer = submit(&c.claim);
	cr_assert_eq(find_mined(&c, 203), 0);
	cr_assert_eq(
		payments_status(t.payments, answer.claim_id, &source, &status),
		INTAKE_OK);
	cr_assert_eq(status.state, CLAIM_CONFIRMING);
	cr_assert_eq(status.confirmations, 3);
	cr_assert_eq(status.needed, 6);
	cr_assert(!status.is_credited);
	cr_assert_eq(find_mined(&c, 206), 0);
	cr_assert_eq(
		payments_status(t.payments, answer.claim_id, NULL, &status),
		INTAKE_OK);
	cr_assert_eq(status.state, CLAIM_ACTIVE);
	cr_assert_eq(status.units, 3);
	cr_assert_eq(status.outcome, PLAN_OVERPAID);
	cr_assert_eq(payments_entitlement(t.payments, t.node.public, &ent,
					  &grace_end_s),
		     0);
	cr_assert_eq(ent.expiry_s, status.expiry_s);
	cr_assert_eq(grace_end_s, ent.expiry_s + 86400);
	answer.claim_id[0] ^= 1;
	cr_assert_eq(
		payments_status(t.payments, answer.claim_id, NULL, &status),
		INTAKE_UNKNOWN_CLAIM);
	cr_assert_geq(atomic_load(&pokes), 1);
}

static void woken(void *ctx)
{
	(void)sem_post(ctx);
}

static bool is_woken_within(sem_t *sem, unsigned ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000l;
	if (until.tv_nsec >= 1000000000l) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000l;
	}
	return sem_timedwait(sem, &until) == 0;
}

static atomic_uint notified;

static void count_notified(void *ctx, const struct claim_status *status)
{
	(void)ctx;
	cr_assert_arr_eq(status->node, t.node.public, SECP_PUBLIC_SIZE);
	atomic_fetch_add(&notified, 1);
}

Test(payments, who_waits_is_woken_by_change_or_time)
{
	struct intake_answer answer;
	struct signed_claim c;
	struct offer offer;
	sem_t sem;

	(void)sem_init(&sem, 0, 0);
	cr_assert_eq(wait_offer(1, &offer), 1);
	payments_set_notify(t.payments, count_notified, NULL);
	sign(&c, 1);
	answer = submit(&c.claim);
	cr_assert_eq(payments_wait(t.payments, answer.claim_id, answer.rev, 30,
				   woken, &sem),
		     0);
	cr_assert(!is_woken_within(&sem, 200));
	cr_assert_eq(find_mined(&c, 203), 0);
	cr_assert(is_woken_within(&sem, 2000));
	/* A rev that is past already, and a time that is over. */
	cr_assert_eq(payments_wait(t.payments, answer.claim_id, answer.rev, 30,
				   woken, &sem),
		     0);
	cr_assert(is_woken_within(&sem, 2000));
	cr_assert_eq(payments_wait(t.payments, answer.claim_id, answer.rev + 1,
				   0, woken, &sem),
		     0);
	cr_assert(is_woken_within(&sem, 2000));
	for (int i = 0; i < 200 && atomic_load(&notified) < 2; i++)
		(void)usleep(10000);
	cr_assert_geq(atomic_load(&notified), 2);
	payments_set_notify(t.payments, NULL, NULL);
	/* One that still waits when all ends. */
	cr_assert_eq(payments_wait(t.payments, answer.claim_id, answer.rev + 1,
				   30, woken, &sem),
		     0);
	payments_close(t.payments);
	cr_assert(is_woken_within(&sem, 0));
	start();
}

static void count_woken(void *ctx)
{
	atomic_fetch_add((atomic_uint *)ctx, 1);
}

/* A question that waits costs memory: so many, and each is answered. */
Test(payments, so_many_may_wait)
{
	static atomic_uint count;
	struct intake_answer answer;
	struct signed_claim c;
	struct offer offer;
	unsigned waiting = 0;

	cr_assert_eq(wait_offer(1, &offer), 1);
	sign(&c, 1);
	answer = submit(&c.claim);
	while (waiting < 2 * PAYMENTS_WAITERS_MAX &&
	       !payments_wait(t.payments, answer.claim_id, answer.rev, 30,
			      count_woken, &count))
		waiting++;
	cr_assert_eq(waiting, PAYMENTS_WAITERS_MAX);
	cr_assert_eq(find_mined(&c, 203), 0);
	for (int i = 0; i < 1000 && atomic_load(&count) < waiting; i++)
		(void)usleep(10000);
	cr_assert_eq(atomic_load(&count), waiting);
	/* Their places are free again. */
	cr_assert_eq(payments_wait(t.payments, answer.claim_id, answer.rev, 30,
				   count_woken, &count),
		     0);
}

Test(payments, a_payment_has_one_price)
{
	struct payments *other;
	char why[256];

	payments_close(t.payments);
	t.config.options[1] = option_at(200);
	t.config.options[1].id = 2;
	t.config.options_count = 2;
	cr_assert_eq(payments_open(&t.config, &other, why, sizeof(why)),
		     ERR_RANGE);
	cr_assert_not_null(strstr(why, "two options"), "%s", why);
	t.config.options[1].token[0]++;
	start();
}

Test(payments, settings_that_cannot_work_are_refused)
{
	struct payments_config config = t.config;
	struct payments *other = NULL;
	char why[256];

	config.options[0].settle.confirmations = 1;
	cr_assert_eq(payments_open(&config, &other, why, sizeof(why)),
		     ERR_RANGE);
	cr_assert_not_null(strstr(why, "settle"));
	config = t.config;
	memset(config.options[0].payee, 0, ADDRESS_SIZE);
	cr_assert_eq(payments_open(&config, &other, why, sizeof(why)),
		     ERR_RANGE);
	config = t.config;
	config.chains[0].endpoints_count = 3;
	config.chains[0].quorum = 1;
	cr_assert_eq(payments_open(&config, &other, why, sizeof(why)),
		     ERR_RANGE);
	cr_assert_not_null(strstr(why, "quorum"));
	config = t.config;
	config.options[0].chain_id = 5;
	cr_assert_eq(payments_open(&config, &other, why, sizeof(why)),
		     ERR_RANGE);
	/* Two in one directory. */
	cr_assert_eq(payments_open(&t.config, &other, why, sizeof(why)),
		     ERR_EXISTS);
	cr_assert_null(other);
}
