#include "bench/series.h"

#include <criterion/criterion.h>

Test(series, median_min_and_max)
{
	struct series series = {0};

	cr_assert_eq(series_median(&series), 0);
	series_add(&series, 3);
	series_add(&series, 1);
	series_add(&series, 2);
	cr_assert_eq(series_median(&series), 2);
	series_add(&series, 10);
	cr_assert_eq(series_median(&series), 2.5);
	cr_assert_eq(series_min(&series), 1);
	cr_assert_eq(series_max(&series), 10);
}

Test(histogram, quantiles_are_right_to_a_sixty_fourth)
{
	static struct histogram histogram;

	for (uint64_t i = 1; i <= 1000000; i++)
		histogram_add(&histogram, i);
	for (double share = 0.01; share < 1; share += 0.01) {
		double got = (double)histogram_quantile(&histogram, share);

		cr_assert(got >= share * 1e6 * 0.999, "%f: %f", share, got);
		cr_assert(got <= share * 1e6 * 65 / 64 + 2, "%f: %f", share,
			  got);
	}
	cr_assert_eq(histogram_quantile(&histogram, 1.0), 1000000);
}

Test(histogram, huge_values_have_a_place)
{
	static struct histogram histogram;

	histogram_add(&histogram, UINT64_MAX);
	histogram_add(&histogram, 0);
	cr_assert_eq(histogram_quantile(&histogram, 0.25), 0);
	cr_assert_gt(histogram_quantile(&histogram, 1.0), 1ull << 39);
}
