#include "app/token_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "auth/web.h"
#include "core/err.h"

#define ANSWER_MAX (64u << 10)

/* One question in a body of its own: some endpoints know no batches. */
static int ask(const char *url, enum chain_ask what,
	       const struct offer_option *option, unsigned timeout_ms,
	       struct chain_answer *out, char why[static TOKEN_CHECK_WHY_MAX])
{
	struct chain_request request = {.ask = what};
	struct web_request web = {.method = "POST",
				  .url = url,
				  .answer_max = ANSWER_MAX,
				  .timeout_ms = timeout_ms};
	const unsigned index = 0;
	struct web_answer answer;
	char *body;
	size_t len;
	int err;

	memcpy(request.address, option->token, ADDRESS_SIZE);
	*out = (struct chain_answer){.outcome = CHAIN_UNANSWERED};
	if (chain_write(&request, &index, 1, 1, false, &body, &len))
		return ERR_NOMEM;
	web.body = body;
	err = web_exchange(&web, &answer, why, TOKEN_CHECK_WHY_MAX);
	free(body);
	if (err)
		return err;
	(void)snprintf(why, TOKEN_CHECK_WHY_MAX,
		       answer.status == 200
			       ? "its answer (status %u) is none of JSON-RPC"
			       : "it answered with status %u",
		       answer.status);
	if (answer.status == 200 && answer.body)
		(void)chain_read(answer.body, answer.size, &request, &index, 1,
				 1, false, out);
	web_answer_release(&answer);
	/* LATER is some other error: the contract has no such function. */
	return out->outcome == CHAIN_ANSWERED || out->outcome == CHAIN_NULL ||
			       out->outcome == CHAIN_LATER
		       ? 0
		       : ERR_IO;
}

int token_check(const char *url, const struct offer_option *option,
		unsigned timeout_ms, struct token_facts *out,
		char why[static TOKEN_CHECK_WHY_MAX])
{
	struct chain_answer id, code, decimals, symbol;
	int err;

	memset(out, 0, sizeof(*out));
	why[0] = '\0';
	err = ask(url, CHAIN_ASK_ID, option, timeout_ms, &id, why);
	if (!err)
		err = ask(url, CHAIN_ASK_CODE, option, timeout_ms, &code, why);
	if (!err)
		err = ask(url, CHAIN_ASK_DECIMALS, option, timeout_ms,
			  &decimals, why);
	if (!err)
		err = ask(url, CHAIN_ASK_SYMBOL, option, timeout_ms, &symbol,
			  why);
	if (!err &&
	    (id.outcome != CHAIN_ANSWERED || code.outcome != CHAIN_ANSWERED)) {
		(void)snprintf(why, TOKEN_CHECK_WHY_MAX,
			       "it does not tell its chain");
		err = ERR_IO;
	}
	if (err)
		return err;
	out->chain_id = id.is.number;
	out->has_code = code.is.flag;
	out->has_decimals = decimals.outcome == CHAIN_ANSWERED;
	if (out->has_decimals)
		out->decimals = (unsigned)decimals.is.number;
	out->has_symbol = symbol.outcome == CHAIN_ANSWERED;
	if (out->has_symbol)
		client_args_escape(symbol.is.symbol, strlen(symbol.is.symbol),
				   out->symbol, sizeof(out->symbol));
	return 0;
}

const char *token_check_judge(const struct token_facts *facts,
			      const struct offer_option *option)
{
	if (facts->chain_id != option->chain_id)
		return "the endpoint is a node of another chain: the token "
		       "could not be checked";
	if (!facts->has_code)
		return "there is no contract at the token's address: do not "
		       "pay";
	if (!facts->has_decimals)
		return "the contract tells no decimals: it is no usual token";
	if (facts->decimals != option->decimals)
		return "the contract has other decimals than the offer says: "
		       "the amount is shown by the contract's";
	if (!facts->has_symbol || strcmp(facts->symbol, option->symbol) != 0)
		return "the contract has another symbol than the offer says";
	return NULL;
}
