/* Settings of payments: the defaults of payments.md §19, what a whole file
 * becomes, and that wrong values are refused with file, line and reason. */
#include "app/pay_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "core/err.h"

#define TOKEN "0x744d70fdbe2ba4cf95131626614a1763df805b9e"
#define PAYEE "0x90f79bf6eb2c4f870365e785982e1f101e93b906"
#define NODE                                                                   \
	"ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138"     \
	"7574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f"

/* Line numbers matter below: one setting a line. */
static const char good[] =
	"payments:\n"                                 /* 1 */
	"  mode: paid\n"                              /* 2 */
	"  grace: 2d\n"                               /* 3 */
	"  free_until: 2030-01-01\n"                  /* 4 */
	"  allow:\n"                                  /* 5 */
	"    - " NODE "\n"                            /* 6 */
	"chain:\n"                                    /* 7 */
	"  mainnet:\n"                                /* 8 */
	"    id: 1\n"                                 /* 9 */
	"    start_block: 24100000\n"                 /* 10 */
	"    quorum: 2\n"                             /* 11 */
	"    genesis: ''\n"                           /* 12 */
	"    endpoints:\n"                            /* 13 */
	"      - url: https://one.example/KEY\n"      /* 14 */
	"        group: one\n"                        /* 15 */
	"      - url: https://two.example\n"          /* 16 */
	"        header: 'Authorization: Bearer X'\n" /* 17 */
	"      - url: https://three.example\n"        /* 18 */
	"option:\n"                                   /* 19 */
	"  - chain: mainnet\n"                        /* 20 */
	"    token: '" TOKEN "'\n"                    /* 21 */
	"    symbol: SNT\n"                           /* 22 */
	"    payee: '" PAYEE "'\n"                    /* 23 */
	"    price: 2.5\n"                            /* 24 */
	"    unit: 30d\n"                             /* 25 */
	"    decimals: 18\n"                          /* 26 */
	"    min_units: 1\n"                          /* 27 */
	"    max_units: 12\n"                         /* 28 */
	"    activate: 6\n"                           /* 29 */
	"    settle: finalized\n";                    /* 30 */

static struct settings *s;
static struct pay_config config;

static void begin(void)
{
	s = settings_new(config_table);
	cr_assert(s);
	memset(&config, 0, sizeof(config));
}

static void end(void)
{
	pay_config_release(&config);
	settings_free(s);
}

TestSuite(pay_config, .init = begin, .fini = end);

static void read_text(const char *text)
{
	settings_read_text(s, "bobby.yaml", text, strlen(text));
	settings_check(s);
	if (settings_errors_count(s) == 0)
		pay_config_read(s, "data", &config);
}

static void assert_no_errors(void)
{
	cr_assert_eq(settings_errors_count(s), 0, "%s",
		     settings_errors_count(s) ? settings_error(s, 0) : "");
}

Test(pay_config, the_defaults_are_those_of_the_specification)
{
	const struct payments_config *p = &config.payments;

	read_text("");
	assert_no_errors();
	cr_assert_not(config.is_wanted);
	cr_assert_str_eq(p->dir, "data/payments");
	cr_assert_eq(p->rules.mode, ACCESS_FREE);
	cr_assert_eq(p->rules.free_until_s, 0);
	cr_assert_eq(p->rules.grace_s, 86400);
	cr_assert_eq(p->claim_window_s, 400 * 86400);
	cr_assert_eq(p->pending_max_s, 86400);
	cr_assert_eq(p->reorg_grace_s, 3600);
	cr_assert_eq(p->workers, 4);
	cr_assert_eq(p->batch, 100);
	cr_assert_eq(p->open_max, 100000);
	cr_assert_eq(p->open_per_source, 16);
	cr_assert_eq(p->open_per_node, 8);
	cr_assert_eq(p->open_per_payer, 8);
	cr_assert_eq(p->submit_per_min, 10);
	cr_assert_eq(p->submit_burst, 20);
	cr_assert_eq(p->submit_contract_per_min, 2);
	cr_assert_eq(p->status_per_min, 60);
	cr_assert_eq(p->offer_valid_s, 7 * 86400);
	cr_assert_eq(p->offer_pay_window_s, 86400);
	cr_assert_eq(p->allow_count, 0);
}

Test(pay_config, the_defaults_of_the_facade_are_the_same)
{
	struct payments_config usual;

	payments_config_default(&usual);
	read_text("");
	cr_assert_eq(usual.open_max, config.payments.open_max);
	cr_assert_eq(usual.offer_valid_s, config.payments.offer_valid_s);
	cr_assert_eq(usual.claim_window_s, config.payments.claim_window_s);
	cr_assert_eq(usual.rules.grace_s, config.payments.rules.grace_s);
}

Test(pay_config, a_whole_file_becomes_what_is_sold)
{
	const struct payments_config *p = &config.payments;
	const struct chain_config *chain = &p->chains[0];
	const struct offer_option *option = &p->options[0];
	struct u256 price;

	read_text(good);
	assert_no_errors();
	cr_assert(config.is_wanted);
	cr_assert_eq(p->rules.mode, ACCESS_PAID);
	cr_assert_eq(p->rules.grace_s, 2 * 86400);
	cr_assert_eq(p->rules.free_until_s, 1893456000);
	cr_assert_eq(p->allow_count, 1);
	cr_assert_eq(p->allow[0][0], 0xca);
	cr_assert_eq(p->chains_count, 1);
	cr_assert_str_eq(chain->name, "mainnet");
	cr_assert_eq(chain->id, 1);
	cr_assert_eq(chain->start_block, 24100000);
	cr_assert_eq(chain->block_time_s, 12);
	cr_assert_eq(chain->quorum, 2);
	cr_assert_not(chain->has_genesis);
	cr_assert_eq(chain->endpoints_count, 3);
	cr_assert_str_eq(chain->endpoints[0].group, "one");
	cr_assert_str_eq(chain->endpoints[1].header, "Authorization: Bearer X");
	cr_assert_null(chain->endpoints[1].group);
	cr_assert_eq(p->options_count, 1);
	cr_assert_eq(option->id, 1);
	cr_assert_eq(option->chain_id, 1);
	cr_assert_eq(option->token[0], 0x74);
	cr_assert_eq(option->payee[19], 0x06);
	cr_assert_eq(u256_from_decimal("2500000000000000000", &price), 0);
	cr_assert_eq(u256_compare(&option->terms.price, &price), 0);
	cr_assert_eq(option->terms.unit_s, 2592000);
	cr_assert_eq(option->terms.max_units, 12);
	cr_assert_eq(option->activate.mode, POLICY_CONFIRMATIONS);
	cr_assert_eq(option->activate.confirmations, 6);
	cr_assert_eq(option->settle.mode, POLICY_FINAL);
}

/* Free, but with something to sell: claims are taken in every mode (§13). */
Test(pay_config, an_option_alone_opens_payments)
{
	char *text = strdup(good);

	memcpy(strstr(text, "paid"), "free", 4);
	read_text(text);
	free(text);
	assert_no_errors();
	cr_assert(config.is_wanted);
	cr_assert_eq(config.payments.rules.mode, ACCESS_FREE);
}

struct wrong {
	const char *from, *to; /* in the good file */
	const char *expected; /* "bobby.yaml:LINE: setting: reason" begins so */
};

static const struct wrong wrongs[] = {
	{"mode: paid", "mode: dear", "bobby.yaml:2: payments.mode: "},
	{"grace: 2d", "grace: 2 weeks", "bobby.yaml:3: payments.grace: "},
	{"grace: 2d", "grace: 366d", "bobby.yaml:3: payments.grace: "},
	{"2030-01-01", "someday",
	 "bobby.yaml:4: payments.free_until: is no time"},
	{"settle: finalized\n", "settle: finalized\noffer:\n  from: soon\n",
	 "bobby.yaml:32: offer.from: is no time"},
	{"settle: finalized\n",
	 "settle: finalized\noffer:\n  from: 2090-01-01\n",
	 "bobby.yaml:32: offer.from: is more than a year ahead"},
	{"- " NODE, "- 1234",
	 "bobby.yaml:6: payments.allow[0]: is no enode URL or key"},
	{"id: 1", "id: 0", "bobby.yaml:9: chain.mainnet.id: "},
	{"id: 1\n", "id: one\n", "bobby.yaml:9: chain.mainnet.id: "},
	{"start_block: 24100000", "start_block: -1",
	 "bobby.yaml:10: chain.mainnet.start_block: "},
	{"quorum: 2", "quorum: 1",
	 "bobby.yaml:11: chain.mainnet.quorum: must be more than half"},
	{"quorum: 2", "quorum: 9", "bobby.yaml:11: chain.mainnet.quorum: "},
	{"quorum: 2", "quorum: 4",
	 "bobby.yaml:11: chain.mainnet.quorum: is more than there are"},
	{"genesis: ''", "genesis: '0x12'",
	 "bobby.yaml:12: chain.mainnet.genesis: is no hash"},
	{"https://one.example/KEY", "x",
	 "bobby.yaml:14: chain.mainnet."
	 "endpoints[0].url: "},
	{"https://one.example/KEY", "ftp://one.example",
	 "bobby.yaml:14: chain.mainnet.endpoints[0].url: "},
	{"https://one.example/KEY", "http://one.example/KEY",
	 "bobby.yaml:14: chain.mainnet.endpoints[0].url: "},
	{"Authorization: Bearer X", "no colon",
	 "bobby.yaml:17: chain.mainnet.endpoints[1].header: "},
	{"- chain: mainnet", "- chain: testnet",
	 "bobby.yaml:20: option[0].chain: no chain has this name"},
	{TOKEN, "0x744d70fdbe2ba4cf95131626614a1763df805bzz",
	 "bobby.yaml:21: option[0].token: is no address"},
	{"symbol: SNT", "symbol: SNTSNTSNTSNT",
	 "bobby.yaml:22: option[0].symbol: "},
	{PAYEE, "0x0000000000000000000000000000000000000000",
	 "bobby.yaml:23: option[0].payee: is the zero address"},
	{"symbol: SNT", "symbol: 'S\xc3\x9cT'",
	 "bobby.yaml:22: option[0].symbol: is more than printable"},
	{PAYEE, TOKEN, "bobby.yaml:23: option[0].payee: is the token"},
	{PAYEE, "0x90f79bf6", "bobby.yaml:23: option[0].payee: "},
	{"price: 2.5", "price: 0",
	 "bobby.yaml:24: option[0].price: is no price"},
	{"price: 2.5", "price: -1",
	 "bobby.yaml:24: option[0].price: is no price"},
	{"price: 2.5", "price: 1e3",
	 "bobby.yaml:24: option[0].price: is no price"},
	{"price: 2.5", "price: 0.0000000000000000001",
	 "bobby.yaml:24: option[0].price: is no price"},
	{"unit: 30d", "unit: 0s", "bobby.yaml:25: option[0].unit: "},
	{"decimals: 18", "decimals: 78", "bobby.yaml:26: option[0].decimals: "},
	{"min_units: 1", "min_units: 0",
	 "bobby.yaml:27: option[0].min_units: "},
	{"min_units: 1", "min_units: 13",
	 "bobby.yaml:28: option[0].max_units: is less than min_units"},
	{"activate: 6", "activate: 0",
	 "bobby.yaml:29: option[0].activate: wanted"},
	{"activate: 6", "activate: soon",
	 "bobby.yaml:29: option[0].activate: wanted"},
	{"activate: 6", "activate: finalized", NULL},
	{"settle: finalized", "settle: 5",
	 "bobby.yaml:30: option[0].settle: is weaker than activate"},
	{"settle: finalized", "settle: never",
	 "bobby.yaml:30: option[0].settle: wanted"},
	{"mode: paid", "moode: paid", "bobby.yaml:2: payments.moode: unknown"},
	{"    payee: '" PAYEE "'\n", "", "bobby.yaml:20: option[0].payee: "},
	{"    id: 1\n", "", "bobby.yaml:"},
};

static char *replaced(const struct wrong *wrong)
{
	const char *at = strstr(good, wrong->from);
	char *text;

	cr_assert(at, "%s", wrong->from);
	cr_assert(asprintf(&text, "%.*s%s%s", (int)(at - good), good, wrong->to,
			   at + strlen(wrong->from)) > 0);
	return text;
}

Test(pay_config, each_wrong_value_is_refused_with_file_line_and_reason)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const struct wrong *wrong = &wrongs[i];
		char *text = replaced(wrong);
		size_t count;

		end();
		begin();
		read_text(text);
		free(text);
		count = settings_errors_count(s);
		if (!wrong->expected) {
			assert_no_errors();
			continue;
		}
		cr_expect_gt(count, 0, "%s is taken", wrong->to);
		if (count > 0)
			cr_expect(strncmp(settings_error(s, 0), wrong->expected,
					  strlen(wrong->expected)) == 0,
				  "%s: %s", wrong->to, settings_error(s, 0));
	}
}

Test(pay_config, what_is_wrong_is_said_at_once)
{
	const struct wrong wrong = {"price: 2.5", "price: 0", NULL};
	char *text = replaced(&wrong);

	memcpy(strstr(text, "quorum: 2"), "quorum: 1", 9);
	memcpy(strstr(text, "activate: 6"), "activate: x", 11);
	read_text(text);
	free(text);
	cr_assert_eq(settings_errors_count(s), 3);
}

Test(pay_config, a_chain_is_not_to_be_named_twice)
{
	const struct wrong wrong = {
		"option:\n",
		"  again:\n    id: 1\n    start_block: 0\n    endpoints:\n"
		"      - url: http://127.0.0.1:8545\noption:\n",
		NULL};
	char *text = replaced(&wrong);

	read_text(text);
	free(text);
	cr_assert_eq(settings_errors_count(s), 1);
	cr_assert(strstr(settings_error(s, 0), "another chain has this id"),
		  "%s", settings_error(s, 0));
}

/* What a claim is priced by names one option (§4.4). */
Test(pay_config, an_option_is_not_to_be_listed_twice)
{
	char *text;

	cr_assert(asprintf(&text,
			   "%s  - chain: mainnet\n    token: '" TOKEN "'\n"
			   "    symbol: SNT\n    payee: '" PAYEE "'\n"
			   "    price: 9\n    id: 1\n",
			   good) > 0);
	read_text(text);
	free(text);
	cr_assert_gt(settings_errors_count(s), 0);
	cr_assert(strncmp(settings_error(s, 0),
			  "bobby.yaml:36: option[1].id: ", 29) == 0,
		  "%s", settings_error(s, 0));
	cr_assert_eq(settings_errors_count(s), 2);
	cr_assert(strncmp(settings_error(s, 1),
			  "bobby.yaml:32: option[1].token: ", 32) == 0,
		  "%s", settings_error(s, 1));
}

Test(pay_config, prices_are_whole_and_broken_tokens)
{
	struct u256 price, want;

	cr_assert_eq(pay_config_price("100", 18, &price), 0);
	cr_assert_eq(u256_from_decimal("100000000000000000000", &want), 0);
	cr_assert_eq(u256_compare(&price, &want), 0);
	cr_assert_eq(pay_config_price("0.000001", 6, &price), 0);
	want = u256_from_u64(1);
	cr_assert_eq(u256_compare(&price, &want), 0);
	cr_assert_eq(pay_config_price("007", 0, &price), 0);
	want = u256_from_u64(7);
	cr_assert_eq(u256_compare(&price, &want), 0);
	cr_assert_eq(pay_config_price("0.0000001", 6, &price), ERR_RANGE);
	cr_assert_eq(pay_config_price("", 18, &price), ERR_SYNTAX);
	cr_assert_eq(pay_config_price(".5", 18, &price), ERR_SYNTAX);
	cr_assert_eq(pay_config_price("5.", 18, &price), ERR_SYNTAX);
	cr_assert_eq(pay_config_price("1,5", 18, &price), ERR_SYNTAX);
	cr_assert_eq(pay_config_price("0x10", 18, &price), ERR_SYNTAX);
	cr_assert_neq(pay_config_price("99999999999999999999999999999999999999"
				       "999999999999999999999999999999999999",
				       18, &price),
		      0);
}
