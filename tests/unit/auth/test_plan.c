#include "auth/plan.h"

#include <criterion/criterion.h>

#include "core/err.h"
#include "tests/support/vectors.h"

static struct u256 amount(const char *text)
{
	struct u256 value;

	cr_assert_eq(u256_from_decimal(text, &value), 0, "%s", text);
	return value;
}

static const char *cell(json_t *row, size_t i)
{
	return json_string_value(json_array_get(row, i));
}

Test(plan, the_table_of_the_specification_holds)
{
	json_t *root = vectors_load("payments.json");
	json_t *rows = vectors_get(root, "plan.rows");
	uint64_t at = vectors_u64(root, "plan.at");
	struct plan_terms terms = {
		.price = amount(vectors_text(root, "plan.price")),
		.unit_s = vectors_u64(root, "plan.unit"),
		.min_units = 1,
		.max_units = 24,
	};
	size_t i;
	json_t *row;

	cr_assert_eq(json_array_size(rows), 8);
	json_array_foreach(rows, i, row)
	{
		struct u256 value = amount(cell(row, 0));
		struct u256 credit = amount(cell(row, 1));
		uint64_t expiry =
			(uint64_t)json_integer_value(json_array_get(row, 2));
		struct plan_result got = {0};
		int err = plan_apply(&terms, &value, &credit, at, expiry, &got);

		if (json_is_null(json_array_get(row, 3))) {
			cr_assert_eq(err, ERR_RANGE, "row %zu", i);
			continue;
		}
		struct u256 want = amount(cell(row, 4));

		cr_assert_eq(err, 0, "row %zu", i);
		cr_assert_eq(got.units,
			     json_integer_value(json_array_get(row, 3)),
			     "row %zu", i);
		cr_assert_eq(u256_compare(&got.credit, &want), 0, "row %zu", i);
		cr_assert_eq(
			got.expiry_s,
			(uint64_t)json_integer_value(json_array_get(row, 5)),
			"row %zu", i);
	}
	json_decref(root);
}

Test(plan, outcomes_have_their_names)
{
	struct plan_terms terms = {amount("100"), 10, 2, 3};
	struct plan_result got;
	struct u256 zero = {0};
	static const struct {
		const char *value;
		enum plan_outcome outcome;
		uint32_t units;
	} rows[] = {
		{"200", PLAN_EXACT, 2},     {"250", PLAN_OVERPAID, 2},
		{"199", PLAN_UNDERPAID, 0}, {"900", PLAN_CAPPED, 3},
		{"0", PLAN_UNDERPAID, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct u256 value = amount(rows[i].value);

		cr_assert_eq(plan_apply(&terms, &value, &zero, 1000, 0, &got),
			     0);
		cr_assert_eq(got.outcome, rows[i].outcome, "%s", rows[i].value);
		cr_assert_eq(got.units, rows[i].units, "%s", rows[i].value);
	}
}

/* By hand, or by an offer that let it be further ahead than this one does. */
Test(plan, who_is_paid_up_beyond_the_limit_keeps_the_money_as_credit)
{
	struct plan_terms terms = {amount("100"), 10, 1, 24};
	struct plan_result got;
	struct u256 value = amount("500");
	struct u256 zero = {0};

	for (uint64_t expiry = 1231; expiry <= 1260; expiry++) {
		cr_assert_eq(
			plan_apply(&terms, &value, &zero, 1000, expiry, &got),
			0);
		cr_assert_eq(got.units, 0, "%u", (unsigned)expiry);
		cr_assert_eq(got.outcome, PLAN_CAPPED);
		cr_assert_eq(got.expiry_s, expiry);
		cr_assert_eq(u256_compare(&got.credit, &value), 0);
	}
	cr_assert_eq(plan_apply(&terms, &value, &zero, 1000, 1230, &got), 0);
	cr_assert_eq(got.units, 1);
}

/* What is left of a number of units when its upper bits are lost. */
Test(plan, more_units_than_64_bits_hold_are_capped)
{
	static const char *const values[] = {
		"18446744073709551615", /* 2^64 - 1 */
		"18446744073709551616",
		"18446744073709551617",
		"340282366920938463463374607431768211456", /* 2^128 */
		/* 2^192 */
		"6277101735386680763835789423207666416102355444464034512896",
	};
	struct plan_terms terms = {amount("1"), 10, 1, 24};
	struct plan_result got;
	struct u256 zero = {0};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct u256 value = amount(values[i]);
		struct u256 spent = u256_from_u64(24);
		struct u256 left;

		cr_assert_eq(plan_apply(&terms, &value, &zero, 1000, 0, &got),
			     0);
		cr_assert_eq(got.units, 24, "%s", values[i]);
		cr_assert_eq(got.outcome, PLAN_CAPPED);
		cr_assert_eq(got.expiry_s, 1240);
		cr_assert_eq(u256_sub(&value, &spent, &left), 0);
		cr_assert_eq(u256_compare(&got.credit, &left), 0);
	}
}

Test(plan, times_that_overflow_are_refused_and_change_nothing)
{
	struct plan_terms terms = {amount("1"), UINT64_MAX, 1, 2};
	struct plan_result got = {.units = 77};
	struct u256 value = amount("5");
	struct u256 zero = {0};

	cr_assert_eq(plan_apply(&terms, &value, &zero, 1, 0, &got), ERR_RANGE);
	cr_assert_eq(got.units, 77);
	/* One unit ends with the last second there is, or after it. */
	terms.unit_s = UINT64_MAX - 1000;
	terms.max_units = 1;
	cr_assert_eq(plan_apply(&terms, &value, &zero, 1001, 0, &got),
		     ERR_RANGE);
	cr_assert_eq(got.units, 77);
	cr_assert_eq(plan_apply(&terms, &value, &zero, 1000, 0, &got), 0);
	cr_assert_eq(got.units, 1);
	cr_assert_eq(got.expiry_s, UINT64_MAX);
}

/* Invariant 4 of §12.3, over many values. */
Test(plan, value_and_credit_are_never_lost)
{
	struct plan_terms terms = {amount("97"), 60, 1, 24};
	struct u256 credit = {0};
	uint64_t expiry = 0;
	uint64_t seed = 12345;

	for (unsigned i = 0; i < 5000; i++) {
		struct plan_result got;
		struct u256 value, spent, sum, total;
		char text[32];

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		(void)snprintf(text, sizeof(text), "%u",
			       (unsigned)(seed >> 40) % 700);
		value = amount(text);
		cr_assert_eq(plan_apply(&terms, &value, &credit, 1000 + i * 90,
					expiry, &got),
			     0);
		cr_assert_eq(u256_mul_u32(&terms.price, got.units, &spent), 0);
		cr_assert_eq(u256_add(&spent, &got.credit, &sum), 0);
		cr_assert_eq(u256_add(&value, &credit, &total), 0);
		cr_assert_eq(u256_compare(&sum, &total), 0);
		cr_assert_geq(got.expiry_s, expiry);
		credit = got.credit;
		expiry = got.expiry_s;
	}
}
