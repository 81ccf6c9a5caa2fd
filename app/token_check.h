#ifndef APP_TOKEN_CHECK_H
#define APP_TOKEN_CHECK_H
/*
 * What the token's contract says of itself, asked of a node of the chain that
 * the user trusts (payments.md §4.3).
 *
 * Thread: main; waits.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/chain.h"
#include "auth/offer.h"

#define TOKEN_CHECK_WHY_MAX 256

struct token_facts {
	uint64_t chain_id; /* of the node that was asked */
	bool has_code;
	bool has_decimals;
	unsigned decimals;
	bool has_symbol;
	char symbol[CHAIN_SYMBOL_MAX + 1]; /* anything but control characters */
};

/* 0, or an error with a sentence in `why`: nothing is known. */
int token_check(const char *url, const struct offer_option *option,
		unsigned timeout_ms, struct token_facts *out,
		char why[static TOKEN_CHECK_WHY_MAX]);

/*
 * Is it the token of the offer? NULL: yes; else a sentence for a person. Pure.
 */
const char *token_check_judge(const struct token_facts *facts,
			      const struct offer_option *option);

#endif
