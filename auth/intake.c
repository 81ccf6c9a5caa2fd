#include <assert.h>

#include "auth/payments.h"

/* §7.1, row by row. */
static const struct {
	const char *word;
	unsigned status;
} codes[] = {
	[INTAKE_OK] = {"ok", 200},
	[INTAKE_BAD_FORMAT] = {"bad_format", 400},
	[INTAKE_UNSUPPORTED_VERSION] = {"unsupported_version", 400},
	[INTAKE_UNSUPPORTED_SCHEME] = {"unsupported_scheme", 400},
	[INTAKE_BAD_PROOF] = {"bad_proof", 403},
	[INTAKE_UNKNOWN_CLAIM] = {"unknown_claim", 404},
	[INTAKE_ALREADY_CREDITED] = {"already_credited", 409},
	[INTAKE_TOO_LARGE] = {"too_large", 413},
	[INTAKE_UNSUPPORTED_CHAIN] = {"unsupported_chain", 422},
	[INTAKE_UNSUPPORTED_TOKEN] = {"unsupported_token", 422},
	[INTAKE_UNSUPPORTED_PAYEE] = {"unsupported_payee", 422},
	[INTAKE_TOO_OLD] = {"too_old", 422},
	[INTAKE_RATE_LIMITED] = {"rate_limited", 429},
	[INTAKE_BUSY] = {"busy", 503},
	[INTAKE_STOPPING] = {"stopping", 503},
};

const char *intake_str(enum intake code)
{
	assert(code <= INTAKE_STOPPING);
	return codes[code].word;
}

unsigned intake_http(enum intake code)
{
	assert(code <= INTAKE_STOPPING);
	return codes[code].status;
}
