/*
 * Amounts as text, in the three forms: each has one spelling but for the case
 * of hexadecimal digits. Then the division of one input by the other.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/u256.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_decimal(const char *text)
{
	char out[U256_DECIMAL_MAX + 1];
	struct u256 value;

	if (u256_from_decimal(text, &value))
		return;
	assert(u256_to_decimal(&value, out) == strlen(text));
	assert(strcmp(out, text) == 0);
}

static void check_hex(const char *text)
{
	char out[U256_HEX_MAX + 1];
	struct u256 value;
	struct u256 again;

	if (u256_from_quantity(text, &value) == 0) {
		assert(u256_to_quantity(&value, out) == strlen(text));
		assert(u256_from_quantity(out, &again) == 0);
		assert(u256_compare(&value, &again) == 0);
	}
	if (u256_from_data(text, &value) == 0) {
		u256_to_data(&value, out);
		assert(u256_from_data(out, &again) == 0);
		assert(u256_compare(&value, &again) == 0);
	}
}

static void check_division(const uint8_t *data)
{
	struct u256 a = u256_from_bytes(data);
	struct u256 b = u256_from_bytes(data + U256_SIZE);
	struct u256 q, r;

	if (u256_div(&a, &b, &q, &r)) {
		assert(u256_is_zero(&b));
		return;
	}
	assert(u256_compare(&r, &b) < 0);
	assert(u256_sub(&a, &r, &a) == 0);
	assert(u256_div(&a, &b, &a, &r) == 0);
	assert(u256_compare(&a, &q) == 0 && u256_is_zero(&r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	check_decimal(text);
	check_hex(text);
	if (size >= 2 * U256_SIZE)
		check_division(data);
	free(text);
	return 0;
}
