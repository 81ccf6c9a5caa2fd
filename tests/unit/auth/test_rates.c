#include "auth/rates.h"

#include <criterion/criterion.h>

#include "auth/counts.h"
#include "core/err.h"

Test(rates, a_burst_and_then_so_many_a_minute)
{
	struct rates *rates = rates_new(10, 20);
	uint64_t now_ms = 1000000;
	uint32_t retry_s;

	for (int i = 0; i < 20; i++)
		cr_assert(rates_take(rates, 7, now_ms, &retry_s));
	cr_assert(!rates_take(rates, 7, now_ms, &retry_s));
	cr_assert_eq(retry_s, 6);
	/* Another source is not concerned. */
	cr_assert(rates_take(rates, 8, now_ms, &retry_s));
	now_ms += 6000;
	cr_assert(rates_take(rates, 7, now_ms, &retry_s));
	cr_assert(!rates_take(rates, 7, now_ms, &retry_s));
	now_ms += 120000;
	for (int i = 0; i < 20; i++)
		cr_assert(rates_take(rates, 7, now_ms, &retry_s));
	cr_assert(!rates_take(rates, 7, now_ms, &retry_s));
	rates_free(rates);
}

Test(rates, no_limit_is_no_limit)
{
	struct rates *rates = rates_new(0, 0);
	uint32_t retry_s;

	for (int i = 0; i < 1000; i++)
		cr_assert(rates_take(rates, 1, 5, &retry_s));
	rates_free(rates);
}

Test(rates, a_flood_of_sources_stays_in_its_table)
{
	struct rates *rates = rates_new(1, 1);
	uint32_t retry_s;

	/* Whoever is new owes nothing of those whose place he takes. */
	for (uint64_t source = 1; source <= 200000; source++)
		cr_assert(rates_take(rates, source, 1000, &retry_s));
	cr_assert(!rates_take(rates, 200000, 1000, &retry_s));
	rates_free(rates);
}

/* Against a plain array, with keys that fall on each other. */
Test(counts, counts_as_an_array_does)
{
	uint32_t want[64] = {0};
	struct counts counts;
	uint64_t state = 1;

	cr_assert_eq(counts_init(&counts, 32), 0);
	for (int i = 0; i < 100000; i++) {
		unsigned n;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		n = (unsigned)(state >> 40) % 32;
		if (state >> 63) {
			cr_assert_eq(counts_add(&counts, (uint64_t)n * 21), 0);
			want[n]++;
		} else if (want[n]) {
			counts_sub(&counts, (uint64_t)n * 21);
			want[n]--;
		}
		for (unsigned k = 0; k < 32; k++)
			cr_assert_eq(counts_get(&counts, (uint64_t)k * 21),
				     want[k]);
	}
	counts_release(&counts);
}

Test(counts, full_is_an_answer)
{
	struct counts counts;
	uint64_t key = 0;

	cr_assert_eq(counts_init(&counts, 1), 0);
	while (counts_add(&counts, key) == 0)
		key++;
	cr_assert_eq(counts_add(&counts, 0), 0);
	cr_assert_eq(counts_get(&counts, 0), 2);
	cr_assert_eq(counts_get(&counts, key), 0);
	counts_release(&counts);
}
