/*
 * The ledger under whatever may come in any order: claims of right and wrong
 * proof by several senders, findings that contradict each other, orders of the
 * operator, clocks that jump, new offers, restarts. After each restart the
 * invariants of payments.md §12.3 must hold, and nothing may be refused as
 * damaged.
 *
 * Some seconds; with LONG=1 in the environment two minutes. SEED=n repeats one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "tests/support/check.h"
#include "tests/support/paying.h"

#define NODES    4
#define SHORT_MS 4000
#define LONG_MS  120000

static struct paying p;
static uint64_t state = 88172645463325252ull;
static uint64_t sequence = 1;
static unsigned payments = 12; /* more and more of them */

static unsigned below(unsigned max)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % max;
}

static bool one_in(unsigned n)
{
	return below(n) == 0;
}

static struct claim some_claim(void)
{
	struct claim claim =
		paying_claim(&p, 1 + below(NODES), 1 + below(payments));

	if (one_in(3))
		memset(claim.token, 2, ADDRESS_SIZE);
	return claim;
}

static int file_one(void)
{
	static const uint8_t other[65] = {9};
	struct claim claim = some_claim();
	struct ledger_task task = {
		.op = LEDGER_ACCEPT, .claim = &claim, .source_tag = below(4)};

	if (one_in(3))
		claim.scheme = CLAIM_CONTRACT;
	if (one_in(4))
		claim.proof = other;
	return ledger_run(p.ledger, &task);
}

static struct finding some_finding(void)
{
	static const enum finding_kind kinds[] = {FINDING_ABSENT, FINDING_MINED,
						  FINDING_MINED, FINDING_MINED,
						  FINDING_REPLACED};
	struct claim claim = some_claim();
	uint64_t block = 195 + below(10);
	struct finding f = paying_mined(&p, &claim, 1 + below(400), block,
					(uint8_t)below(3), block + below(13));

	f.kind = kinds[below(5)];
	f.block_time_s = paying_now_s(&p) - 1000 + below(2000);
	f.proof_asked = !one_in(4);
	f.proof_good = !one_in(3);
	if (one_in(8))
		f.fault = (enum claim_reason)(1 + below(5));
	if (one_in(20))
		memset(&f.value, 0xff, sizeof(f.value));
	if (one_in(10))
		f.block = 50; /* before the service began */
	if (one_in(4))
		f.sender_nonce = below(3);
	return f;
}

static int find_some(void)
{
	struct finding found[4];
	struct ledger_task task = {.op = LEDGER_BATCH,
				   .findings = found,
				   .findings_count = 1 + below(4)};

	for (size_t i = 0; i < task.findings_count; i++)
		found[i] = some_finding();
	return ledger_run(p.ledger, &task);
}

static int order_something(void)
{
	static const enum ledger_op ops[] = {
		LEDGER_CANCEL, LEDGER_RECHECK, LEDGER_GRANT,  LEDGER_SUSPEND,
		LEDGER_RESUME, LEDGER_REVOKE,  LEDGER_CONVERT};
	struct claim claim = some_claim();
	struct ledger_task task = {
		.op = ops[below(7)], .text = "soak", .seconds = below(100000)};
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_view view;

	if (one_in(20))
		task.seconds = UINT64_MAX - below(10);
	if (task.op == LEDGER_REVOKE && one_in(2))
		task.seq = 1 + below(20);
	memcpy(task.node, claim.node, sizeof(task.node));
	claim_key(&claim, key);
	if (ledger_read_claim(p.ledger, key, &view) == 0)
		memcpy(task.claim_id, view.record.id, CLAIM_ID_SIZE);
	return ledger_run(p.ledger, &task);
}

static int jump(void)
{
	uint64_t ms = below(10000) * (one_in(10) ? 400000ull : 1000ull);

	if (one_in(5))
		atomic_fetch_sub(&p.now_ms, ms);
	else
		atomic_fetch_add(&p.now_ms, ms);
	return 0;
}

static int offer_anew(void)
{
	uint64_t now_s = paying_now_s(&p);
	uint8_t hash[32];
	int err = paying_offer(&p, ++sequence, now_s - below(100),
			       now_s + 86400, 50 + below(100), hash);

	if (!err && one_in(2))
		memcpy(p.offer_hash, hash, sizeof(hash));
	return err;
}

static int start_again(void)
{
	ledger_close(p.ledger);
	CHECK(ledger_fsck(p.dir, stderr) == 0);
	paying_open(&p);
	return 0;
}

static int do_something(void)
{
	unsigned what = below(1000);

	if (what < 250)
		return file_one();
	if (what < 850)
		return find_some();
	if (what < 930)
		return order_something();
	if (what < 960)
		return jump();
	if (what < 970)
		return offer_anew();
	return what < 972 ? start_again() : 0;
}

int main(void)
{
	const char *seed = getenv("SEED");
	uint64_t until_ms =
		clock_mono_ms() + (getenv("LONG") ? LONG_MS : SHORT_MS);
	unsigned long done = 0;

	if (seed)
		state ^= (strtoull(seed, NULL, 10) + 1) << 17;
	log_set_level(LOG_LEVEL_BROKEN);
	paying_begin(&p);
	p.config.open_per_node = 4;
	p.config.open_per_payer = 3;
	p.config.open_per_source = 20;
	paying_reopen(&p);
	while (clock_mono_ms() < until_ms) {
		int err = do_something();

		CHECK_SAY(err != ERR_CORRUPT && err != ERR_IO, err_str(err));
		if (++done % 100 == 0)
			payments++;
	}
	CHECK(paying_end(&p) == 0);
	printf("%lu steps, %u payments: the invariants hold\n", done, payments);
	return 0;
}
