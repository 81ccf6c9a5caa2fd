#ifndef AUTH_PLAN_H
#define AUTH_PLAN_H
/*
 * What a payment buys: the arithmetic of payments.md §5 as pure functions.
 * Amounts are base units, times are Unix seconds.
 *
 * Thread: any.
 */
#include <stdint.h>

#include "core/u256.h"

enum plan_kind {
	PLAN_NONE = 0,
	PLAN_PERIOD = 1,  /* `unit_s` seconds of service for `price` */
	PLAN_METERED = 2, /* reserved */
	PLAN_BUNDLE = 3,  /* reserved */
	PLAN_GRANT = 4,   /* by the operator's hand */
};

struct plan_terms {
	struct u256 price; /* of one unit, > 0 */
	uint64_t unit_s;   /* > 0 */
	uint32_t min_units;
	uint32_t max_units;
};

enum plan_outcome {
	PLAN_EXACT,
	PLAN_OVERPAID,
	PLAN_UNDERPAID,
	PLAN_CAPPED,
};
const char *plan_outcome_str(enum plan_outcome outcome);

struct plan_result {
	uint32_t units;
	struct u256 credit; /* what is left over */
	uint64_t expiry_s;
	enum plan_outcome outcome;
};

/*
 * Kind 1. `at_s` is the credit time (§14), `expiry_s` the node's expiry or 0.
 * Returns 0, or ERR_RANGE when value + credit overflows 256 bits or a time 64:
 * `out` is then untouched.
 */
int plan_apply(const struct plan_terms *terms, const struct u256 *value,
	       const struct u256 *credit, uint64_t at_s, uint64_t expiry_s,
	       struct plan_result *out);

#endif
