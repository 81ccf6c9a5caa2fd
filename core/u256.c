#include "core/u256.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

#define LIMB_SIZE       4
#define LIMB_BITS       32
#define BITS            256
#define HEX_DIGITS      ((size_t)2 * U256_SIZE)
#define DECIMALS        1000000000u /* the most that one limb holds whole */
#define DECIMALS_DIGITS 9

struct u256 u256_from_u64(uint64_t value)
{
	return (struct u256){{(uint32_t)value, (uint32_t)(value >> LIMB_BITS)}};
}

int u256_to_u64(const struct u256 *value, uint64_t *out)
{
	for (size_t i = 2; i < U256_LIMBS; i++) {
		if (value->limbs[i])
			return ERR_RANGE;
	}
	*out = (uint64_t)value->limbs[1] << LIMB_BITS | value->limbs[0];
	return 0;
}

struct u256 u256_from_bytes(const uint8_t in[static U256_SIZE])
{
	struct u256 value;

	for (size_t i = 0; i < U256_LIMBS; i++)
		value.limbs[i] =
			be32_load(in + U256_SIZE - LIMB_SIZE * (i + 1));
	return value;
}

void u256_to_bytes(const struct u256 *value, uint8_t out[static U256_SIZE])
{
	for (size_t i = 0; i < U256_LIMBS; i++)
		be32_store(out + U256_SIZE - LIMB_SIZE * (i + 1),
			   value->limbs[i]);
}

int u256_from_integer(const uint8_t *in, size_t len, struct u256 *out)
{
	uint8_t bytes[U256_SIZE] = {0};

	if (len > 0 && in[0] == 0)
		return ERR_SYNTAX;
	if (len > sizeof(bytes))
		return ERR_RANGE;
	if (len > 0)
		memcpy(bytes + sizeof(bytes) - len, in, len);
	*out = u256_from_bytes(bytes);
	return 0;
}

size_t u256_to_integer(const struct u256 *value, uint8_t out[static U256_SIZE])
{
	uint8_t bytes[U256_SIZE];
	size_t at = 0;

	u256_to_bytes(value, bytes);
	while (at < sizeof(bytes) && bytes[at] == 0)
		at++;
	memcpy(out, bytes + at, sizeof(bytes) - at);
	return sizeof(bytes) - at;
}

int u256_compare(const struct u256 *a, const struct u256 *b)
{
	for (size_t i = U256_LIMBS; i-- > 0;) {
		if (a->limbs[i] != b->limbs[i])
			return a->limbs[i] < b->limbs[i] ? -1 : 1;
	}
	return 0;
}

bool u256_is_zero(const struct u256 *value)
{
	static const struct u256 zero;

	return u256_compare(value, &zero) == 0;
}

int u256_add(const struct u256 *a, const struct u256 *b, struct u256 *out)
{
	struct u256 sum;
	uint64_t carry = 0;

	for (size_t i = 0; i < U256_LIMBS; i++) {
		carry += (uint64_t)a->limbs[i] + b->limbs[i];
		sum.limbs[i] = (uint32_t)carry;
		carry >>= LIMB_BITS;
	}
	if (carry)
		return ERR_RANGE;
	*out = sum;
	return 0;
}

/* a - b modulo 2^256; returns whether something was borrowed for it. */
static bool sub_wrapping(const struct u256 *a, const struct u256 *b,
			 struct u256 *out)
{
	uint32_t borrow = 0;

	for (size_t i = 0; i < U256_LIMBS; i++) {
		uint64_t take = (uint64_t)b->limbs[i] + borrow;

		borrow = a->limbs[i] < take;
		out->limbs[i] = (uint32_t)(a->limbs[i] - take);
	}
	return borrow;
}

int u256_sub(const struct u256 *a, const struct u256 *b, struct u256 *out)
{
	struct u256 difference;

	if (sub_wrapping(a, b, &difference))
		return ERR_RANGE;
	*out = difference;
	return 0;
}

/* value * factor + addend in place; ERR_RANGE leaves it in pieces. */
static int mul_add(struct u256 *value, uint32_t factor, uint32_t addend)
{
	uint64_t carry = addend;

	for (size_t i = 0; i < U256_LIMBS; i++) {
		carry += (uint64_t)value->limbs[i] * factor;
		value->limbs[i] = (uint32_t)carry;
		carry >>= LIMB_BITS;
	}
	return carry ? ERR_RANGE : 0;
}

int u256_mul_u32(const struct u256 *a, uint32_t b, struct u256 *out)
{
	struct u256 product = *a;
	int err = mul_add(&product, b, 0);

	if (!err)
		*out = product;
	return err;
}

/* Twice the value, which has room for it, and one bit more. */
static void shift_in(struct u256 *value, bool bit)
{
	int err = mul_add(value, 2, bit);

	assert(!err);
}

static bool bit_of(const struct u256 *value, size_t index)
{
	return value->limbs[index / LIMB_BITS] >> index % LIMB_BITS & 1;
}

/* As on paper, in base 2: this is rare, and the base makes it plain. */
int u256_div(const struct u256 *a, const struct u256 *b, struct u256 *quotient,
	     struct u256 *remainder)
{
	struct u256 q = {{0}};
	struct u256 r = {{0}};

	if (u256_is_zero(b))
		return ERR_RANGE;
	for (size_t i = BITS; i-- > 0;) {
		bool fits;

		/* After n bits of `a` neither r nor q has more than n. */
		shift_in(&r, bit_of(a, i));
		fits = u256_compare(&r, b) >= 0;
		if (fits)
			(void)sub_wrapping(&r, b, &r);
		shift_in(&q, fits);
	}
	if (quotient)
		*quotient = q;
	if (remainder)
		*remainder = r;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int u256_from_decimal(const char *text, struct u256 *out)
{
	struct u256 value = {{0}};
	size_t len = 0;

	while (is_digit(text[len]))
		len++;
	if (text[len] || len == 0 || (text[0] == '0' && len > 1))
		return ERR_SYNTAX;
	for (size_t i = 0; i < len; i++) {
		if (mul_add(&value, 10, (uint32_t)(text[i] - '0')))
			return ERR_RANGE;
	}
	*out = value;
	return 0;
}

/* Divide in place by a divisor of one limb; returns the remainder. */
static uint32_t div_small(struct u256 *value, uint32_t divisor)
{
	uint64_t rest = 0;

	for (size_t i = U256_LIMBS; i-- > 0;) {
		rest = rest << LIMB_BITS | value->limbs[i];
		value->limbs[i] = (uint32_t)(rest / divisor);
		rest %= divisor;
	}
	return (uint32_t)rest;
}

size_t u256_to_decimal(const struct u256 *value,
		       char out[static U256_DECIMAL_MAX + 1])
{
	/* Whole groups of nine, filled from the end. */
	char digits[U256_DECIMAL_MAX + DECIMALS_DIGITS];
	size_t at = sizeof(digits);
	struct u256 left = *value;
	size_t len;

	do {
		uint32_t group = div_small(&left, DECIMALS);

		for (size_t i = 0; i < DECIMALS_DIGITS; i++, group /= 10)
			digits[--at] = (char)('0' + group % 10);
	} while (!u256_is_zero(&left));
	while (at < sizeof(digits) - 1 && digits[at] == '0')
		at++;
	len = sizeof(digits) - at;
	memcpy(out, digits + at, len);
	out[len] = '\0';
	return len;
}

/* The digits behind 0x, or NULL. */
static const char *hex_digits(const char *text)
{
	return text[0] == '0' && text[1] == 'x' ? text + 2 : NULL;
}

int u256_from_quantity(const char *text, struct u256 *out)
{
	static const char set[] = "0123456789abcdefABCDEF";
	const char *digits = hex_digits(text);
	char padded[HEX_DIGITS];
	uint8_t bytes[U256_SIZE];
	size_t len;

	if (!digits)
		return ERR_SYNTAX;
	len = strspn(digits, set);
	if (digits[len] || len == 0 || (digits[0] == '0' && len > 1))
		return ERR_SYNTAX;
	if (len > sizeof(padded))
		return ERR_RANGE;
	memset(padded, '0', sizeof(padded));
	memcpy(padded + sizeof(padded) - len, digits, len);
	if (hex_decode(padded, sizeof(padded), bytes, sizeof(bytes)))
		return ERR_SYNTAX;
	*out = u256_from_bytes(bytes);
	return 0;
}

size_t u256_to_quantity(const struct u256 *value,
			char out[static U256_HEX_MAX + 1])
{
	char data[U256_HEX_MAX + 1];
	size_t at = 2;

	u256_to_data(value, data);
	while (at < U256_HEX_MAX - 1 && data[at] == '0')
		at++;
	out[0] = '0';
	out[1] = 'x';
	memcpy(out + 2, data + at, sizeof(data) - at);
	return 2 + U256_HEX_MAX - at;
}

int u256_from_data(const char *text, struct u256 *out)
{
	const char *digits = hex_digits(text);
	uint8_t bytes[U256_SIZE];

	if (!digits || strnlen(digits, HEX_DIGITS + 1) != HEX_DIGITS ||
	    hex_decode(digits, HEX_DIGITS, bytes, sizeof(bytes)))
		return ERR_SYNTAX;
	*out = u256_from_bytes(bytes);
	return 0;
}

void u256_to_data(const struct u256 *value, char out[static U256_HEX_MAX + 1])
{
	uint8_t bytes[U256_SIZE];

	u256_to_bytes(value, bytes);
	out[0] = '0';
	out[1] = 'x';
	hex_encode(bytes, sizeof(bytes), out + 2);
}
