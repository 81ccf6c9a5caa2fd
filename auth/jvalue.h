#ifndef AUTH_JVALUE_H
#define AUTH_JVALUE_H
/*
 * Values of JSON that is written: hex, numbers, amounts. Private to auth.
 *
 * Thread: any.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/u256.h"

/* NULL: no memory. */
json_t *jvalue_hex(const char *prefix, const uint8_t *in, size_t len);
json_t *jvalue_number(uint64_t value); /* at most INT64_MAX is told */
json_t *jvalue_amount(const struct u256 *amount);

/* Takes `value` over. One that is missing sets *is_bad. */
void jvalue_put(json_t *object, const char *key, json_t *value, bool *is_bad);
/* Text of `root`, which is given back; NULL if anything was missing. */
char *jvalue_finish(json_t *root, bool is_bad);

#endif
