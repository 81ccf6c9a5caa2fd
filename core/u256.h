#ifndef CORE_U256_H
#define CORE_U256_H
/*
 * Unsigned 256-bit integers for amounts and prices (payments.md §3), with
 * every overflow told, and their three forms: big-endian bytes, decimal text,
 * and the 0x hexadecimal of JSON-RPC.
 *
 * Outputs may be the inputs. On an error they are unchanged.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define U256_SIZE  32
#define U256_LIMBS 8

struct u256 {
	uint32_t limbs[U256_LIMBS]; /* least significant first */
};

struct u256 u256_from_u64(uint64_t value);
/* 0, or ERR_RANGE above 2^64 - 1. */
int u256_to_u64(const struct u256 *value, uint64_t *out);

/* All 32 bytes, big endian. */
struct u256 u256_from_bytes(const uint8_t in[static U256_SIZE]);
void u256_to_bytes(const struct u256 *value, uint8_t out[static U256_SIZE]);
/*
 * The shortest form, as an RLP integer has it: no leading zero, nothing for
 * zero. from: 0, ERR_SYNTAX (leading zero), ERR_RANGE (over 32 bytes);
 * to: how many bytes were written.
 */
int u256_from_integer(const uint8_t *in, size_t len, struct u256 *out);
size_t u256_to_integer(const struct u256 *value, uint8_t out[static U256_SIZE]);

/* < 0, 0 or > 0, as memcmp() has it. */
int u256_compare(const struct u256 *a, const struct u256 *b);
bool u256_is_zero(const struct u256 *value);

/* All four: 0, or ERR_RANGE when the result does not fit or the divisor is 0.
 */
int u256_add(const struct u256 *a, const struct u256 *b, struct u256 *out);
int u256_sub(const struct u256 *a, const struct u256 *b, struct u256 *out);
int u256_mul_u32(const struct u256 *a, uint32_t b, struct u256 *out);
/* Rounded down. Either output may be NULL. */
int u256_div(const struct u256 *a, const struct u256 *b, struct u256 *quotient,
	     struct u256 *remainder);

/* Digits only, no leading zero but in "0". 0, ERR_SYNTAX, ERR_RANGE. */
#define U256_DECIMAL_MAX 78 /* digits of 2^256 - 1 */
int u256_from_decimal(const char *text, struct u256 *out);
/* Writes a NUL behind the digits, whose count is returned. */
size_t u256_to_decimal(const struct u256 *value,
		       char out[static U256_DECIMAL_MAX + 1]);

/*
 * JSON-RPC quantities: 0x and 1 to 64 digits of either case, no leading zero
 * but in "0x0". 0, ERR_SYNTAX, ERR_RANGE. Written in lower case.
 */
#define U256_HEX_MAX 66
int u256_from_quantity(const char *text, struct u256 *out);
size_t u256_to_quantity(const struct u256 *value,
			char out[static U256_HEX_MAX + 1]);
/* JSON-RPC data of 32 bytes: 0x and exactly 64 digits. 0 or ERR_SYNTAX. */
int u256_from_data(const char *text, struct u256 *out);
void u256_to_data(const struct u256 *value, char out[static U256_HEX_MAX + 1]);

#endif
