#ifndef APP_PAY_TEXT_H
#define APP_PAY_TEXT_H
/*
 * Amounts, spans, times, policies and codes, the way people read them.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "auth/offer.h"

#define PAY_TEXT_MAX 160

/* 1234500000000000000 with 18 decimals: "1.2345 SNT". */
void pay_text_amount(const struct u256 *amount, unsigned decimals,
		     const char *symbol, char out[static PAY_TEXT_MAX]);
/* "30 days", "2 hours", "90 seconds": whole units only. */
void pay_text_span(uint64_t seconds, char out[static PAY_TEXT_MAX]);
/* "2026-01-01 00:00:00 UTC"; "never" for 0. */
void pay_text_time(uint64_t at_s, char out[static PAY_TEXT_MAX]);
/* "after 6 confirmations", "when safe", "when finalized" */
void pay_text_policy(struct policy policy, char out[static PAY_TEXT_MAX]);
/*
 * A QR code of half blocks, light on dark, with its quiet zone; on a terminal
 * in colours of its own. 0, ERR_RANGE (too long a text), or ERR_FULL: the
 * terminal is narrower than the code.
 */
int pay_text_qr(const char *text, FILE *out);
/* The same as an SVG image; malloc'ed, NULL: too long or no memory. */
char *pay_text_qr_svg(const char *text);
/* Is standard output a terminal that shows half blocks? */
bool pay_text_can_qr(void);

/* Is it SNT, by the addresses of payments.md §19? */
struct known_token {
	uint64_t chain_id;
	const char *address; /* 40 hex digits */
	const char *symbol;
	uint8_t decimals;
};
const struct known_token *pay_text_token(const struct offer_option *option);
const char *pay_text_chain(uint64_t chain_id); /* "Ethereum"; NULL: unknown */

#endif
