#include "app/token_check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct offer_option option = {
	.chain_id = 1, .decimals = 18, .symbol = "SNT"};
static const struct token_facts good = {.chain_id = 1,
					.has_code = true,
					.has_decimals = true,
					.decimals = 18,
					.has_symbol = true,
					.symbol = "SNT"};

static void expect(const struct token_facts *facts, const char *word)
{
	const char *got = token_check_judge(facts, &option);

	if (word)
		cr_assert(got && strstr(got, word), "%s", got ? got : "none");
	else
		cr_assert_null(got, "%s", got);
}

Test(token_check, the_token_of_the_offer_is_fine)
{
	expect(&good, NULL);
}

Test(token_check, each_difference_is_named)
{
	struct token_facts facts = good;

	facts.chain_id = 5;
	expect(&facts, "another chain");
	facts = good;
	facts.has_code = false;
	expect(&facts, "no contract");
	facts = good;
	facts.has_decimals = false;
	expect(&facts, "no decimals");
	facts = good;
	facts.decimals = 6;
	expect(&facts, "other decimals");
	facts = good;
	(void)snprintf(facts.symbol, sizeof(facts.symbol), "SNT2");
	expect(&facts, "another symbol");
	facts = good;
	facts.has_symbol = false;
	expect(&facts, "another symbol");
	expect(&good, NULL);
}
