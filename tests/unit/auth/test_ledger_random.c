/* Random histories: the invariants hold at every end. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "auth/gate.h"
#include "tests/unit/auth/ledger_test.h"

struct chance {
	uint64_t state;
};

static uint32_t roll(struct chance *chance, uint32_t sides)
{
	chance->state =
		chance->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(chance->state >> 33) % sides;
}

static void random_step(struct chance *chance, uint64_t *head)
{
	struct claim claim =
		paying_claim(&p, roll(chance, 3), 1 + roll(chance, 40));
	uint8_t key[CLAIM_KEY_SIZE];
	struct ledger_task task;
	struct claim_view view;
	struct finding f;
	uint64_t block = *head - roll(chance, 16);

	claim.token[0] = (uint8_t)(1 + roll(chance, 2));
	claim_key(&claim, key);
	*head += roll(chance, 2);
	paying_pass(&p, roll(chance, 400));
	if (ledger_read_claim(p.ledger, key, &view) || !roll(chance, 8)) {
		(void)paying_file(&p, &claim, &task);
		return;
	}
	switch (roll(chance, 8)) {
	case 0:
		lose(&claim, FINDING_ABSENT, *head);
		return;
	case 1:
		if (!roll(chance, 4))
			lose(&claim, FINDING_REPLACED, *head);
		return;
	case 2:
		paying_pass(&p, 3600ull * roll(chance, 48));
		return;
	case 3:
		task = order(
			(enum ledger_op)(LEDGER_CONVERT + 3 * roll(chance, 2)),
			roll(chance, 3), 1 + roll(chance, 1000000));
		(void)ledger_run(p.ledger, &task);
		return;
	case 4:
		task = order((enum ledger_op)(LEDGER_SUSPEND + roll(chance, 3)),
			     roll(chance, 3), 0);
		(void)ledger_run(p.ledger, &task);
		return;
	default:
		f = paying_mined(&p, &claim, roll(chance, 6) ? 70 : 1500, block,
				 (uint8_t)block, *head);
		if (!roll(chance, 10))
			f.fault = CLAIM_TX_FAILED;
		if (view.record.block && roll(chance, 4))
			f.block = view.record.block;
		cr_assert_eq(paying_find(&p, &f), 0);
		return;
	}
}

/* The record must be the fold after every step; fsck says so at the end and
 * now and then on the way. */
static void random_history(uint64_t seed)
{
	struct chance chance = {seed};
	uint64_t head = 300;

	for (int i = 0; i < 1000; i++) {
		random_step(&chance, &head);
		if (i % 250 == 249) {
			ledger_close(p.ledger);
			cr_assert_eq(ledger_fsck(p.dir, stderr), 0,
				     "seed %llu step %d",
				     (unsigned long long)seed, i);
			paying_open(&p);
		}
	}
}

Test(ledger, random_history_one)
{
	random_history(1);
}

Test(ledger, random_history_two)
{
	random_history(2);
}

Test(ledger, random_history_three)
{
	random_history(3);
}

Test(ledger, random_history_four)
{
	random_history(0x5eed);
}
