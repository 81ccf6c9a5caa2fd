#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/pay_server.h"
#include "app/pay_text.h"
#include "auth/claim_json.h"
#include "core/bytes.h"
#include "core/clock.h"

/* clang-format off */
static const struct setting options[] = {
	{"option", NULL, SETTING_U64, "0", "0", "65535", "number",
	 "show only this option; 0: all"},
	{"units", NULL, SETTING_U64, "1", "1", "4294967295", NULL,
	 "how many units the payment link is for"},
	{"qr", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|yes|no",
	 "show payment links as QR codes; auto: on a terminal"},
	PAY_SERVER_OPTIONS,
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "offer",
	.operands = "ENODE|URL",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Asks a server what it sells, checks that the server has "
		   "signed the offer, and shows\nprice, token, payee and a "
		   "payment link (ERC-681) for each way to pay.",
	.options = options,
};

static void row(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void row(const char *name, const char *format, ...)
{
	va_list args;

	printf("  %-10s", name);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void show_token(const struct offer_option *option)
{
	const struct known_token *known = pay_text_token(option);
	const char *chain = pay_text_chain(option->chain_id);
	char address[2 * ADDRESS_SIZE + 1];

	hex_encode(option->token, ADDRESS_SIZE, address);
	row("token", "0x%s%s", address,
	    known ? " (SNT)" : " (not known to this program: check it)");
	row("chain", "%" PRIu64 "%s%s%s", option->chain_id, chain ? " (" : "",
	    chain ? chain : "", chain ? ")" : "");
	if (known && known->decimals != option->decimals)
		row("WARNING",
		    "the token has %u decimals, not %u: the amounts "
		    "shown are wrong",
		    known->decimals, option->decimals);
	hex_encode(option->payee, ADDRESS_SIZE, address);
	row("payee", "0x%s", address);
}

static void show_link(const struct offer_option *option, uint32_t units,
		      bool has_qr)
{
	char link[OFFER_LINK_MAX];

	if (units < option->terms.min_units || units > option->terms.max_units)
		row("WARNING", "%" PRIu32 " units are outside of what is sold",
		    units);
	if (offer_link(option, units, link)) {
		row("WARNING", "the amount is too large for a link");
		return;
	}
	row("pay", "%s", link);
	if (has_qr)
		(void)pay_text_qr(link, stdout);
}

static void show_option(const struct offer_option *option, uint32_t units,
			bool has_qr)
{
	char amount[PAY_TEXT_MAX], span[PAY_TEXT_MAX];
	char activate[PAY_TEXT_MAX], settle[PAY_TEXT_MAX];

	if (option->kind != PLAN_PERIOD) {
		printf("option %u is of a kind not known here\n", option->id);
		return;
	}
	pay_text_amount(&option->terms.price, option->decimals, option->symbol,
			amount);
	pay_text_span(option->terms.unit_s, span);
	printf("option %u: %s for %s\n", option->id, amount, span);
	if (option->terms.min_units > 1 || option->terms.max_units > 1)
		row("units", "%" PRIu32 " to %" PRIu32 " at a time",
		    option->terms.min_units, option->terms.max_units);
	show_token(option);
	pay_text_policy(option->activate, activate);
	pay_text_policy(option->settle, settle);
	row("served", "%s; settled %s", activate, settle);
	show_link(option, units, has_qr);
}

static void show(const struct pay_server *server, const struct pay_offer *got,
		 const struct settings *s)
{
	static const bool words[] = {false, true, false};
	const struct offer *offer = &got->offer;
	unsigned qr = settings_word(s, "qr");
	bool has_qr = qr == 0 ? isatty(STDOUT_FILENO) : words[qr];
	char text[2 * SECP_PUBLIC_SIZE + 1];
	char when[PAY_TEXT_MAX];
	uint64_t now_s = clock_wall_s();

	hex_encode(offer->server, SECP_PUBLIC_SIZE, text);
	printf("server %s\n", text);
	if (!server->has_public)
		printf("  that key has signed the offer: compare it with the "
		       "enode you use, or give --server\n");
	hex_encode(got->hash, sizeof(got->hash), text);
	printf("offer %" PRIu64 " 0x%s\n", offer->sequence, text);
	pay_text_time(offer->not_after_s, when);
	row("until", "%s", when);
	if (now_s < offer->not_before_s || now_s > offer->not_after_s)
		row("WARNING", "the offer is not in force now");
	if (offer->flags & OFFER_FREE_NOW)
		row("free", "the service is free now");
	for (unsigned i = 0; i < offer->options_count; i++) {
		const struct offer_option *option = &offer->options[i];
		uint64_t wanted = settings_u64(s, "option");

		if (wanted == 0 || wanted == option->id)
			show_option(option, (uint32_t)settings_u64(s, "units"),
				    has_qr);
	}
}

int cmd_offer(int argc, char **argv)
{
	struct pay_server server;
	struct pay_offer got;
	struct args args;
	char *json;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = pay_server_open(&usage, &args, args.operands[0], &server);
	if (status == EXIT_OK)
		status = pay_server_offer(&server, &got);
	if (status == EXIT_OK && server.is_json) {
		json = offer_json_encode(got.bytes, got.size, got.hash,
					 &got.offer);
		printf("%s\n", json ? json : "{}");
		free(json);
	} else if (status == EXIT_OK) {
		show(&server, &got, args.options);
	}
	pay_server_release(&server);
	args_release(&args);
	return status;
}
