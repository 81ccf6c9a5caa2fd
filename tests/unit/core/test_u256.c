#include "core/u256.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"

/*
 * The reference: numbers as 512 bits, one a byte, least significant first.
 * As slow as can be, and with nothing in common with limbs.
 */
#define REF_BITS 512

struct ref {
	uint8_t bits[REF_BITS];
};

static struct ref ref_of(const struct u256 *value)
{
	struct ref ref = {{0}};
	uint8_t bytes[U256_SIZE];

	u256_to_bytes(value, bytes);
	for (size_t i = 0; i < 256; i++)
		ref.bits[i] = bytes[31 - i / 8] >> i % 8 & 1;
	return ref;
}

static bool ref_fits(const struct ref *ref)
{
	for (size_t i = 256; i < REF_BITS; i++) {
		if (ref->bits[i])
			return false;
	}
	return true;
}

static void ref_add(struct ref *to, const struct ref *value, size_t shift)
{
	unsigned carry = 0;

	for (size_t i = shift; i < REF_BITS; i++) {
		carry += to->bits[i] + value->bits[i - shift];
		to->bits[i] = carry & 1;
		carry >>= 1;
	}
}

static struct ref ref_mul(const struct ref *a, const struct ref *b)
{
	struct ref product = {{0}};

	for (size_t i = 0; i < 256; i++) {
		if (a->bits[i])
			ref_add(&product, b, i);
	}
	return product;
}

static bool ref_equal(const struct ref *ref, const struct u256 *value)
{
	struct ref other = ref_of(value);

	return memcmp(ref, &other, sizeof(other)) == 0;
}

static int ref_compare(const struct ref *a, const struct ref *b)
{
	for (size_t i = REF_BITS; i-- > 0;) {
		if (a->bits[i] != b->bits[i])
			return a->bits[i] - b->bits[i];
	}
	return 0;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Of any size, with long runs of ones and zeroes: where carries go wrong. */
static struct u256 random_value(uint64_t *state)
{
	uint8_t bytes[U256_SIZE];
	size_t zeroes = next_random(state) % 33;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		uint64_t r = next_random(state);

		bytes[i] = r >> 60 < 5    ? 0xff
			   : r >> 60 < 10 ? 0x00
					  : (uint8_t)(r >> 20);
	}
	memset(bytes, 0, zeroes);
	return u256_from_bytes(bytes);
}

#define ROUNDS 3000

Test(u256, sums_are_those_of_the_reference)
{
	uint64_t state = 1;
	unsigned overflows = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct u256 a = random_value(&state);
		struct u256 b = random_value(&state);
		struct u256 sum = {{77}};
		struct ref want = ref_of(&a);
		struct ref addend = ref_of(&b);
		int err = u256_add(&a, &b, &sum);

		ref_add(&want, &addend, 0);
		cr_assert_eq(err, ref_fits(&want) ? 0 : ERR_RANGE);
		if (!err)
			cr_assert(ref_equal(&want, &sum));
		else
			cr_assert_eq(sum.limbs[0], 77);
		overflows += err != 0;
	}
	cr_assert_gt(overflows, 0);
}

Test(u256, differences_undo_sums_and_do_not_go_below_zero)
{
	uint64_t state = 2;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct u256 a = random_value(&state);
		struct u256 b = random_value(&state);
		struct ref ref_a = ref_of(&a);
		struct ref ref_b = ref_of(&b);
		int order = ref_compare(&ref_a, &ref_b);
		struct u256 out = {{77}};
		int err = u256_sub(&a, &b, &out);

		cr_assert_eq(u256_compare(&a, &b) < 0, order < 0);
		cr_assert_eq(u256_compare(&a, &b) > 0, order > 0);
		cr_assert_eq(err, order < 0 ? ERR_RANGE : 0);
		if (err) {
			cr_assert_eq(out.limbs[0], 77);
			continue;
		}
		ref_b = ref_of(&out);
		ref_a = ref_of(&b);
		ref_add(&ref_a, &ref_b, 0);
		cr_assert(ref_equal(&ref_a, &a));
	}
}

Test(u256, products_are_those_of_the_reference)
{
	uint64_t state = 3;
	unsigned overflows = 0;

	for (unsigned i = 0; i < ROUNDS / 3; i++) {
		struct u256 a = random_value(&state);
		uint32_t b = (uint32_t)next_random(&state) >> i % 32;
		struct u256 wide = u256_from_u64(b);
		struct ref ref_a = ref_of(&a);
		struct ref ref_b = ref_of(&wide);
		struct ref want = ref_mul(&ref_b, &ref_a);
		struct u256 out = {{77}};
		int err = u256_mul_u32(&a, b, &out);

		cr_assert_eq(err, ref_fits(&want) ? 0 : ERR_RANGE);
		if (!err)
			cr_assert(ref_equal(&want, &out));
		else
			cr_assert_eq(out.limbs[0], 77);
		overflows += err != 0;
	}
	cr_assert_gt(overflows, 0);
}

/* a = q * b + r with r < b: there is one such pair. */
static void check_division(const struct u256 *a, const struct u256 *b)
{
	struct u256 q;
	struct u256 r;
	struct ref ref_q;
	struct ref ref_b = ref_of(b);
	struct ref ref_r;
	struct ref product;

	cr_assert_eq(u256_div(a, b, &q, &r), 0);
	ref_q = ref_of(&q);
	ref_r = ref_of(&r);
	cr_assert_lt(ref_compare(&ref_r, &ref_b), 0);
	product = ref_mul(&ref_q, &ref_b);
	ref_add(&product, &ref_r, 0);
	cr_assert(ref_equal(&product, a));
}

Test(u256, quotients_and_remainders_make_up_the_whole)
{
	uint64_t state = 4;

	for (unsigned i = 0; i < ROUNDS / 3; i++) {
		struct u256 a = random_value(&state);
		struct u256 b = random_value(&state);

		if (!u256_is_zero(&b))
			check_division(&a, &b);
		if (!u256_is_zero(&a))
			check_division(&b, &a);
	}
}

static struct u256 all_ones(void)
{
	uint8_t bytes[U256_SIZE];

	memset(bytes, 0xff, sizeof(bytes));
	return u256_from_bytes(bytes);
}

Test(u256, division_holds_at_the_edges)
{
	struct u256 max = all_ones();
	struct u256 one = u256_from_u64(1);
	struct u256 zero = u256_from_u64(0);
	struct u256 almost;
	struct u256 out = {{77}};

	cr_assert_eq(u256_sub(&max, &one, &almost), 0);
	check_division(&max, &max);
	check_division(&max, &one);
	check_division(&max, &almost);
	check_division(&almost, &max);
	check_division(&zero, &max);
	cr_assert_eq(u256_div(&max, &zero, &out, &out), ERR_RANGE);
	cr_assert_eq(out.limbs[0], 77);
	cr_assert_eq(u256_div(&max, &almost, NULL, &out), 0);
	cr_assert_eq(u256_compare(&out, &one), 0);
	cr_assert_eq(u256_div(&max, &almost, &out, NULL), 0);
	cr_assert_eq(u256_compare(&out, &one), 0);
	cr_assert_eq(u256_div(&max, &max, &max, NULL), 0);
	cr_assert_eq(u256_compare(&max, &one), 0);
}

static const char max_decimal[] = "115792089237316195423570985008687907853"
				  "269984665640564039457584007913129639935";

Test(u256, decimal_text_goes_there_and_back)
{
	uint64_t state = 5;
	char text[U256_DECIMAL_MAX + 1];
	struct u256 max = all_ones();
	struct u256 out;

	cr_assert_eq(u256_to_decimal(&max, text), U256_DECIMAL_MAX);
	cr_assert_str_eq(text, max_decimal);
	cr_assert_eq(u256_from_decimal(max_decimal, &out), 0);
	cr_assert_eq(u256_compare(&out, &max), 0);
	out = u256_from_u64(0);
	cr_assert_eq(u256_to_decimal(&out, text), 1);
	cr_assert_str_eq(text, "0");
	out = u256_from_u64(1000000000000000000u);
	(void)u256_to_decimal(&out, text);
	cr_assert_str_eq(text, "1000000000000000000");
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct u256 value = random_value(&state);

		cr_assert_eq(u256_to_decimal(&value, text), strlen(text));
		cr_assert_eq(u256_from_decimal(text, &out), 0);
		cr_assert_eq(u256_compare(&out, &value), 0);
	}
}

Test(u256, decimal_text_is_strict)
{
	static const char *const bad[] = {"",   "00",  "01",      "-1",  "+1",
					  " 1", "1 ",  "1.",      "1e3", "0x1",
					  "a",  "1,0", "\xd9\xa1"};
	struct u256 out = {{77}};
	char text[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(u256_from_decimal(bad[i], &out), ERR_SYNTAX, "%s",
			     bad[i]);
	/* 2^256, and one digit more than the largest. */
	memcpy(text, max_decimal, sizeof(max_decimal));
	text[U256_DECIMAL_MAX - 1] = '6';
	cr_assert_eq(u256_from_decimal(text, &out), ERR_RANGE);
	memset(text, '9', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(u256_from_decimal(text, &out), ERR_RANGE);
	cr_assert_eq(out.limbs[0], 77);
}

Test(u256, quantities_go_there_and_back)
{
	uint64_t state = 6;
	char text[U256_HEX_MAX + 1];
	struct u256 out = u256_from_u64(0);

	cr_assert_eq(u256_to_quantity(&out, text), 3);
	cr_assert_str_eq(text, "0x0");
	out = u256_from_u64(1024);
	cr_assert_eq(u256_to_quantity(&out, text), 5);
	cr_assert_str_eq(text, "0x400");
	cr_assert_eq(u256_from_quantity("0xAbC", &out), 0);
	(void)u256_to_quantity(&out, text);
	cr_assert_str_eq(text, "0xabc");
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct u256 value = random_value(&state);

		cr_assert_eq(u256_to_quantity(&value, text), strlen(text));
		cr_assert_eq(u256_from_quantity(text, &out), 0);
		cr_assert_eq(u256_compare(&out, &value), 0);
		u256_to_data(&value, text);
		cr_assert_eq(strlen(text), U256_HEX_MAX);
		out = (struct u256){{0}};
		cr_assert_eq(u256_from_data(text, &out), 0);
		cr_assert_eq(u256_compare(&out, &value), 0);
	}
}

Test(u256, hexadecimal_text_is_strict)
{
	static const char *const bad[] = {
		"",    "0",    "0x",   "0x00", "0x01", "0X1",  "1",    "x1",
		"0xg", "0x1 ", " 0x1", "-0x1", "0x-1", "0x1.", "0x0x1"};
	struct u256 out = {{77}};
	char text[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(u256_from_quantity(bad[i], &out), ERR_SYNTAX, "%s",
			     bad[i]);
		cr_assert_eq(u256_from_data(bad[i], &out), ERR_SYNTAX, "%s",
			     bad[i]);
	}
	memset(text, 'f', sizeof(text));
	memcpy(text, "0x", 2);
	text[2 + 65] = '\0';
	cr_assert_eq(u256_from_quantity(text, &out), ERR_RANGE);
	cr_assert_eq(u256_from_data(text, &out), ERR_SYNTAX);
	text[2 + 63] = '\0';
	cr_assert_eq(u256_from_data(text, &out), ERR_SYNTAX);
	cr_assert_eq(out.limbs[0], 77);
	text[2 + 63] = 'f';
	text[2 + 64] = '\0';
	cr_assert_eq(u256_from_quantity(text, &out), 0);
	cr_assert_eq(u256_from_data(text, &out), 0);
}

Test(u256, integers_are_short_and_have_no_leading_zero)
{
	uint64_t state = 7;
	uint8_t bytes[33] = {1};
	struct u256 out = {{77}};

	cr_assert_eq(u256_from_integer(bytes, 33, &out), ERR_RANGE);
	bytes[0] = 0;
	cr_assert_eq(u256_from_integer(bytes, 1, &out), ERR_SYNTAX);
	cr_assert_eq(out.limbs[0], 77);
	cr_assert_eq(u256_from_integer(NULL, 0, &out), 0);
	cr_assert(u256_is_zero(&out));
	cr_assert_eq(u256_to_integer(&out, bytes), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct u256 value = random_value(&state);
		size_t len = u256_to_integer(&value, bytes);

		cr_assert(len == 0 || bytes[0] != 0);
		cr_assert_eq(u256_from_integer(bytes, len, &out), 0);
		cr_assert_eq(u256_compare(&out, &value), 0);
	}
}

Test(u256, small_numbers_fit_into_64_bits_and_others_do_not)
{
	struct u256 value = u256_from_u64(UINT64_MAX);
	struct u256 one = u256_from_u64(1);
	uint64_t out = 0;

	cr_assert_eq(u256_to_u64(&value, &out), 0);
	cr_assert_eq(out, UINT64_MAX);
	cr_assert_eq(u256_add(&value, &one, &value), 0);
	cr_assert_eq(u256_to_u64(&value, &out), ERR_RANGE);
	cr_assert_eq(out, UINT64_MAX);
}
