#include "auth/plan.h"

#include <assert.h>

#include "core/err.h"

const char *plan_outcome_str(enum plan_outcome outcome)
{
	switch (outcome) {
	case PLAN_EXACT:
		return "exact";
	case PLAN_OVERPAID:
		return "overpaid";
	case PLAN_UNDERPAID:
		return "underpaid";
	case PLAN_CAPPED:
		return "capped";
	}
	return "?";
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How many units fit between `base` and the furthest a node may be paid up. */
static int room_units(const struct plan_terms *terms, uint64_t at_s,
		      uint64_t base_s, uint64_t *room)
{
	uint64_t span_s;
	uint64_t limit_s;

	if (__builtin_mul_overflow((uint64_t)terms->max_units, terms->unit_s,
				   &span_s) ||
	    __builtin_add_overflow(at_s, span_s, &limit_s))
		return ERR_RANGE;
	*room = base_s >= limit_s ? 0 : (limit_s - base_s) / terms->unit_s;
	return 0;
}

int plan_apply(const struct plan_terms *terms, const struct u256 *value,
	       const struct u256 *credit, uint64_t at_s, uint64_t expiry_s,
	       struct plan_result *out)
{
	const uint64_t base_s = max_u64(at_s, expiry_s);
	struct u256 total;
	struct u256 quotient;
	struct u256 spent;
	uint64_t bought;
	uint64_t room;
	uint32_t units;
	int err;

	assert(!u256_is_zero(&terms->price) && terms->unit_s > 0);
	if (u256_add(value, credit, &total))
		return ERR_RANGE;
	err = room_units(terms, at_s, base_s, &room);
	if (err)
		return err;
	err = u256_div(&total, &terms->price, &quotient, NULL);
	assert(!err);
	/* More units than 64 bits hold are as good as that: room is less. */
	if (u256_to_u64(&quotient, &bought))
		bought = UINT64_MAX;
	if (bought < terms->min_units)
		bought = 0;
	units = (uint32_t)(bought < room ? bought : room);

	err = u256_mul_u32(&terms->price, units, &spent);
	assert(!err);
	err = u256_sub(&total, &spent, &out->credit);
	assert(!err);
	out->units = units;
	out->expiry_s = units ? base_s + units * terms->unit_s : expiry_s;
	if (bought == 0)
		out->outcome = PLAN_UNDERPAID;
	else if (units < bought)
		out->outcome = PLAN_CAPPED;
	else
		out->outcome =
			u256_is_zero(&out->credit) ? PLAN_EXACT : PLAN_OVERPAID;
	return 0;
}
