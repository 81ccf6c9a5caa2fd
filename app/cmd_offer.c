#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/pay_server.h"
#include "app/pay_text.h"
#include "app/payees.h"
#include "app/token_check.h"
#include "auth/claim_json.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

enum qr_when { QR_AUTO, QR_YES, QR_NO };

/* clang-format off */
static const struct setting options[] = {
	{"option", NULL, SETTING_U64, "0", "0", "65535", "number",
	 "show only this option; 0: all"},
	{"units", NULL, SETTING_U64, "1", "1", "4294967295", NULL,
	 "how many units the payment link is for"},
	{"qr", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|yes|no",
	 "show payment links as QR codes; auto: on a terminal"},
	{"rpc", NULL, SETTING_TEXT, "", NULL, "2048", "url",
	 "JSON-RPC of a node you trust: ask the token's contract itself"},
	{"payees", NULL, SETTING_TEXT, "", NULL, "4095", "file",
	 "payees seen and paid; empty: in your data folder"},
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
		   "payment link (ERC-681) for each way to pay. Warns when\n"
		   "the payee is not the one you saw or paid before, and with "
		   "--rpc when the token's\ncontract says other things than "
		   "the offer.",
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

/* ---- what a client checks (payments.md §4.3) ---- */

#define WARNINGS_MAX 8
#define WARNING_SIZE (PAY_TEXT_MAX + 128)

struct checked {
	const struct offer_option *option;
	unsigned decimals; /* to show amounts with */
	bool is_contract;  /* these are the contract's own */
	char warnings[WARNINGS_MAX][WARNING_SIZE];
	unsigned warnings_count;
};

static void warn(struct checked *checked, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void warn(struct checked *checked, const char *format, ...)
{
	va_list args;

	if (checked->warnings_count == WARNINGS_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(checked->warnings[checked->warnings_count++],
			WARNING_SIZE, format, args);
	va_end(args);
}

static void check_known(struct checked *checked)
{
	const struct offer_option *option = checked->option;
	const struct known_token *known = pay_text_token(option);

	if (!known)
		return;
	checked->is_contract = true;
	checked->decimals = known->decimals;
	if (known->decimals != option->decimals)
		warn(checked,
		     "the token has %u decimals, not %u as the offer says: "
		     "the amount is shown by the token's",
		     known->decimals, option->decimals);
	if (strcmp(known->symbol, option->symbol) != 0)
		warn(checked, "the token is %s, not %s as the offer says",
		     known->symbol, option->symbol);
}

static void check_contract(struct checked *checked, const struct settings *s)
{
	const char *url = settings_text(s, "rpc");
	struct token_facts facts;
	char why[TOKEN_CHECK_WHY_MAX];
	const char *fault;

	if (!*url)
		return;
	if (token_check(url, checked->option,
			(unsigned)settings_ms(s, "timeout"), &facts, why)) {
		warn(checked, "the token was not checked, --rpc: %s", why);
		return;
	}
	fault = token_check_judge(&facts, checked->option);
	if (facts.chain_id == checked->option->chain_id && facts.has_decimals) {
		checked->decimals = facts.decimals;
		checked->is_contract = true;
	}
	if (fault)
		warn(checked,
		     "%s (contract: chain %" PRIu64 ", %u decimals, %s)", fault,
		     facts.chain_id, facts.decimals,
		     facts.has_symbol ? facts.symbol : "no symbol");
}

static void warn_payee(struct checked *checked, const struct payee *before)
{
	char address[2 * ADDRESS_SIZE + 1];
	char when[PAY_TEXT_MAX];

	hex_encode(before->address, ADDRESS_SIZE, address);
	pay_text_time(before->at_s, when);
	warn(checked,
	     "the payee is another one than you %s on %s, 0x%s: ask the "
	     "operator before you pay",
	     before->is_paid ? "paid" : "saw", when, address);
}

/* Seen for the first time it is remembered; another one is not, until it has
 * been paid (by `restante claim`). */
static void check_payee(struct checked *checked, const struct offer *offer,
			const char *path)
{
	const struct offer_option *option = checked->option;
	struct payee now = {.chain_id = option->chain_id,
			    .at_s = clock_wall_s()};
	struct payee before;
	int err;

	memcpy(now.server, offer->server, SECP_PUBLIC_SIZE);
	memcpy(now.token, option->token, ADDRESS_SIZE);
	memcpy(now.address, option->payee, ADDRESS_SIZE);
	err = payees_find(path, &now, &before);
	if (err == ERR_NOTFOUND)
		err = payees_keep(path, &now);
	else if (!err && memcmp(now.address, before.address, ADDRESS_SIZE) != 0)
		warn_payee(checked, &before);
	if (err)
		client_args_complain(&usage,
				     "%s: payees are not remembered: %s", path,
				     err_str(err));
}

static void check_option(struct checked *checked, const struct offer *offer,
			 const struct settings *s)
{
	const char *given = settings_text(s, "payees");
	char path[PAYEES_PATH_MAX];

	checked->decimals = checked->option->decimals;
	check_known(checked);
	check_contract(checked, s);
	if (*given)
		check_payee(checked, offer, given);
	else if (payees_path(path))
		check_payee(checked, offer, path);
}

/* ---- for people ---- */

static void show_token(const struct checked *checked)
{
	const struct offer_option *option = checked->option;
	const struct known_token *known = pay_text_token(option);
	const char *chain = pay_text_chain(option->chain_id);
	char address[2 * ADDRESS_SIZE + 1];

	hex_encode(option->token, ADDRESS_SIZE, address);
	row("token", "0x%s (%s)", address,
	    known                  ? known->symbol
	    : checked->is_contract ? "not known to this program"
				   : "not known to this program: check it, for "
				     "example with --rpc");
	row("chain", "%" PRIu64 " (%s)", option->chain_id,
	    chain ? chain : "not known to this program");
	row("decimals", "%u, as %s", checked->decimals,
	    checked->is_contract ? "the token has" : "the offer says");
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
	if (has_qr && pay_text_qr(link, stdout) == ERR_FULL)
		row("code", "the terminal is too narrow for the QR code");
}

static void show_price(const struct offer_option *option, unsigned decimals)
{
	char amount[PAY_TEXT_MAX], span[PAY_TEXT_MAX];

	pay_text_amount(&option->terms.price, decimals, option->symbol, amount);
	pay_text_span(option->terms.unit_s, span);
	printf("option %u: %s for %s\n", option->id, amount, span);
}

static void show_option(const struct checked *checked, uint32_t units,
			bool has_qr)
{
	const struct offer_option *option = checked->option;
	char activate[PAY_TEXT_MAX], settle[PAY_TEXT_MAX];

	show_price(option, checked->decimals);
	for (unsigned i = 0; i < checked->warnings_count; i++)
		row("WARNING", "%s", checked->warnings[i]);
	if (option->terms.min_units > 1 || option->terms.max_units > 1)
		row("units", "%" PRIu32 " to %" PRIu32 " at a time",
		    option->terms.min_units, option->terms.max_units);
	show_token(checked);
	pay_text_policy(option->activate, activate);
	pay_text_policy(option->settle, settle);
	row("served", "%s; settled %s", activate, settle);
	show_link(option, units, has_qr);
}

static void show_offer(const struct pay_server *server,
		       const struct pay_offer *got)
{
	const struct offer *offer = &got->offer;
	char text[2 * SECP_PUBLIC_SIZE + 1];
	char when[PAY_TEXT_MAX];

	hex_encode(offer->server, SECP_PUBLIC_SIZE, text);
	printf("server %s\n", text);
	if (!server->has_public)
		printf("  that key has signed the offer: compare it with the "
		       "enode you use, or give --server\n");
	hex_encode(got->hash, sizeof(got->hash), text);
	printf("offer %" PRIu64 " 0x%s\n", offer->sequence, text);
	pay_text_time(offer->not_after_s, when);
	row("until", "%s", when);
	if (offer->flags & OFFER_FREE_NOW)
		row("free", "the service is free now");
}

/* What is announced (payments.md §4.4), in short. */
static void show_next(struct pay_server *server, const struct pay_offer *got)
{
	struct pay_offer next;
	char when[PAY_TEXT_MAX];

	if (!pay_server_next_offer(server, got, &next))
		return;
	pay_text_time(next.offer.not_before_s, when);
	printf("announced: from %s\n", when);
	for (unsigned i = 0; i < next.offer.options_count; i++) {
		printf("  ");
		show_price(&next.offer.options[i],
			   next.offer.options[i].decimals);
	}
}

static bool is_in_force(const struct offer *offer)
{
	uint64_t now_s = clock_wall_s();

	return now_s >= offer->not_before_s && now_s <= offer->not_after_s;
}

/* Each option with its checks, on the terminal or, of JSON, its warnings. */
static void show(const struct pay_server *server, const struct pay_offer *got,
		 const struct settings *s)
{
	const struct offer *offer = &got->offer;
	uint64_t wanted = settings_u64(s, "option");
	uint32_t units = (uint32_t)settings_u64(s, "units");
	enum qr_when qr = (enum qr_when)settings_word(s, "qr");
	bool has_qr = qr == QR_YES || (qr == QR_AUTO && pay_text_can_qr());

	if (!server->is_json)
		show_offer(server, got);
	if (!is_in_force(offer))
		client_args_complain(&usage, "WARNING: the offer is not in "
					     "force now");
	for (unsigned i = 0; i < offer->options_count; i++) {
		struct checked checked = {.option = &offer->options[i]};

		if (wanted != 0 && wanted != offer->options[i].id)
			continue;
		if (checked.option->kind != PLAN_PERIOD) {
			if (!server->is_json)
				printf("option %u is of a kind not known "
				       "here\n",
				       checked.option->id);
			continue;
		}
		check_option(&checked, offer, s);
		if (!server->is_json)
			show_option(&checked, units, has_qr);
		for (unsigned w = 0;
		     server->is_json && w < checked.warnings_count; w++)
			client_args_complain(&usage, "WARNING: option %u: %s",
					     checked.option->id,
					     checked.warnings[w]);
	}
}

static void print_json(const struct pay_offer *got)
{
	char *json = offer_json_encode(got->bytes, got->size, got->hash,
				       &got->offer);

	printf("%s\n", json ? json : "{}");
	free(json);
}

int cmd_offer(int argc, char **argv)
{
	struct pay_server server;
	struct pay_offer got;
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = pay_server_open(&usage, &args, args.operands[0], &server);
	if (status == EXIT_OK)
		status = pay_server_offer(&server, &got);
	if (status == EXIT_OK && server.is_json)
		print_json(&got);
	if (status == EXIT_OK)
		show(&server, &got, args.options);
	if (status == EXIT_OK && !server.is_json)
		show_next(&server, &got);
	pay_server_release(&server);
	args_release(&args);
	return status;
}
