/*
 * Verification in a bad time: three nodes of which any may fail, lie, lag or be
 * slow, one with a small budget; blocks that are replaced, payments that vanish
 * and come back elsewhere, a server that is stopped and started. When it is
 * over every payment is credited once, with its own value.
 *
 * Ten seconds and what it takes to settle; with LONG=1 in the environment a
 * minute. SEED=n repeats one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "tests/support/check.h"
#include "tests/support/verifying.h"

#define NODES     3
#define CLAIMS    300
#define SHORT_MS  10000
#define LONG_MS   60000
#define HEALED_MS 120000

static struct verifying v;
static struct claim claims[CLAIMS];
static unsigned filed;
static uint64_t head = 100;
static unsigned fork_number;
static uint64_t state = 88172645463325252ull;

static unsigned below(unsigned max)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % max;
}

static void file_one(void)
{
	if (filed == CLAIMS)
		return;
	claims[filed] =
		verifying_claim(&v, filed, head - 10 + below(14), 100 + filed,
				below(30) ? 0 : FAKE_RELAYED);
	verifying_file(&v, &claims[filed], filed % 9);
	filed++;
}

static void break_one(void)
{
	static const int faults[] = {
		FAKE_NONE,     FAKE_NONE,        FAKE_NONE,
		FAKE_ERROR,    FAKE_STATUS,      FAKE_RESET,
		FAKE_NOT_JSON, FAKE_TRUNCATED,   FAKE_WRONG_ID,
		FAKE_ID_TWICE, FAKE_MISSING,     FAKE_REORDERED,
		FAKE_NO_BATCH, FAKE_OTHER_BLOCK, FAKE_NULL_RECEIPTS};
	struct fake_node *node = v.nodes[below(NODES)];

	atomic_store(&node->fault,
		     faults[below(sizeof(faults) / sizeof(faults[0]))]);
	atomic_store(&node->delay_ms, (int)below(40));
}

/* Not all hear of it at once. */
static void mine(void)
{
	head++;
	for (unsigned i = 0; i < NODES; i++)
		if (below(5))
			atomic_store(&v.nodes[i]->head, head);
}

static void replace_blocks(uint64_t from)
{
	fork_number++;
	for (unsigned i = 0; i < NODES; i++) {
		atomic_store(&v.nodes[i]->fork_from, from);
		atomic_store(&v.nodes[i]->fork, fork_number);
	}
}

static void move_payments(void)
{
	uint64_t from = head - below(8);
	uint64_t to = from + below(5);
	uint64_t by = below(2) ? 0 : 1 + below(3);

	for (unsigned i = 0; i < NODES; i++) {
		atomic_store(&v.nodes[i]->moved_by, by);
		atomic_store(&v.nodes[i]->gone_from, from);
		atomic_store(&v.nodes[i]->gone_to, to);
	}
	replace_blocks(from);
}

static void do_something(void)
{
	unsigned what = below(80);

	if (what < 48)
		file_one();
	else if (what < 52)
		break_one();
	else if (what < 60)
		mine();
	else if (what < 61)
		replace_blocks(head - below(7));
	else if (what < 62)
		move_payments();
	else if (what < 63 && below(15) == 0) {
		verifying_stop(&v);
		verifying_start(&v);
	}
}

static void heal(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		atomic_store(&v.nodes[i]->fault, FAKE_NONE);
		atomic_store(&v.nodes[i]->delay_ms, 0);
		atomic_store(&v.nodes[i]->gone_from, UINT64_MAX);
		atomic_store(&v.nodes[i]->gone_to, UINT64_MAX);
	}
	replace_blocks(head - 12);
}

/* Those that are not settled; now and then they are asked for again. */
static unsigned count_open(void)
{
	unsigned open = 0;

	for (unsigned i = 0; i < filed; i++) {
		uint8_t key[CLAIM_KEY_SIZE];

		if (verifying_view(&v, &claims[i]).record.state ==
		    CLAIM_SETTLED)
			continue;
		open++;
		claim_key(&claims[i], key);
		if (below(10) == 0)
			scheduler_poke(v.scheduler, key, 0);
	}
	return open;
}

static void acknowledge(void)
{
	struct chain_view view;

	if (scheduler_chain(v.scheduler, 0, &view) == 0 && view.is_alarmed)
		(void)scheduler_acknowledge(v.scheduler, 1, view.alarms);
}

static void settle_all(void)
{
	uint64_t until_ms = clock_mono_ms() + HEALED_MS;

	while (count_open() > 0) {
		CHECK(clock_mono_ms() < until_ms);
		verifying_head(&v, ++head);
		acknowledge();
		nap_ms(200);
	}
}

static void check_values(void)
{
	for (unsigned i = 0; i < filed; i++) {
		struct claim_view view = verifying_view(&v, &claims[i]);
		struct u256 paid = u256_from_u64(100 + i);

		CHECK(view.is_credited);
		CHECK(u256_compare(&view.record.value, &paid) == 0);
	}
}

static void begin(void)
{
	verifying_begin(&v, NODES, 2);
	v.workers = 3;
	v.batch = 1 + below(40);
	if (below(2))
		v.chain.endpoints[below(NODES)].requests_per_s = 40;
	for (unsigned i = 0; i < NODES; i++) {
		atomic_store(&v.nodes[i]->http_status, 503);
		atomic_store(&v.nodes[i]->error_code, -32000);
		atomic_store(&v.nodes[i]->error_message, "header not found");
	}
	verifying_start(&v);
}

int main(void)
{
	const char *seed = getenv("SEED");
	uint64_t until_ms =
		clock_mono_ms() + (getenv("LONG") ? LONG_MS : SHORT_MS);

	if (seed)
		state ^= (strtoull(seed, NULL, 10) + 1) << 17;
	log_set_level(LOG_LEVEL_BROKEN + 1);
	begin();
	while (clock_mono_ms() < until_ms) {
		do_something();
		nap_ms(below(25));
	}
	heal();
	/* Breakers of half a minute are not what is tried here. */
	verifying_stop(&v);
	verifying_start(&v);
	settle_all();
	check_values();
	CHECK(verifying_end(&v) == 0);
	printf("%u payments, %u times blocks were replaced: each credited "
	       "once\n",
	       filed, fork_number);
	return 0;
}
