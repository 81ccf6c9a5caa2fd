/* The checks of payments.md §19 that need a chain: is an option's token what
 * the settings say, and has the chain the tags that its policies need? */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "auth/follower_private.h"
#include "core/err.h"
#include "core/log.h"

#define CHECK_AGAIN_MS 60000

static void set_check(struct follower *f, unsigned i, int state,
		      const char *why)
{
	const struct offer_option *option = &f->config.options[i];
	struct option_check check;
	struct option_check next = {.state = CHECK_WAITING};

	next.state = state == CHECK_GOOD ? CHECK_GOOD : CHECK_REFUSED;
	if (why)
		(void)snprintf(next.why, sizeof(next.why),
			       "option %u on chain %s: %s", option->id,
			       f->chain->name, why);
	board_read(&f->checks[i], &check, sizeof(check));
	if (check.state != next.state && why)
		LOG_BROKEN("an option cannot be offered",
			   log_text("why", next.why));
	board_write(&f->checks[i], &next, sizeof(next));
}

enum { TOKEN_CODE, TOKEN_DECIMALS, TOKEN_SYMBOL, TOKEN_ASKS };

static bool is_same_answer(const struct chain_answer *a,
			   const struct chain_answer *b, unsigned ask)
{
	if (a->outcome != b->outcome)
		return false;
	if (a->outcome == CHAIN_NULL)
		return true;
	switch (ask) {
	case TOKEN_CODE:
		return a->is.flag == b->is.flag;
	case TOKEN_DECIMALS:
		return a->is.number == b->is.number;
	default:
		return strcmp(a->is.symbol, b->is.symbol) == 0;
	}
}

/* What a quorum says; NULL: no such thing. */
static const struct chain_answer *
agree_token(const struct follower *f, struct chain_answer answers[][TOKEN_ASKS],
	    uint32_t good, unsigned ask)
{
	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		uint32_t same = 0;

		if (!(good & 1u << i) ||
		    (answers[i][ask].outcome != CHAIN_ANSWERED &&
		     answers[i][ask].outcome != CHAIN_NULL))
			continue;
		for (unsigned j = 0; j < f->chain->endpoints_count; j++) {
			if (good & 1u << j &&
			    is_same_answer(&answers[i][ask], &answers[j][ask],
					   ask))
				same |= 1u << j;
		}
		if (follower_is_quorum(f, same))
			return &answers[i][ask];
	}
	return NULL;
}

static int ask_token(struct follower *f, const struct offer_option *option,
		     uint32_t good, struct chain_answer answers[][TOKEN_ASKS])
{
	struct chain_request reqs[TOKEN_ASKS] = {{.ask = CHAIN_ASK_CODE},
						 {.ask = CHAIN_ASK_DECIMALS},
						 {.ask = CHAIN_ASK_SYMBOL}};
	struct rpc_call calls[PAYMENTS_ENDPOINTS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < TOKEN_ASKS; i++)
		memcpy(reqs[i].address, option->token, ADDRESS_SIZE);
	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		if (good & 1u << i)
			calls[count++] = (struct rpc_call){
				.endpoint = f->chain->endpoints[i],
				.requests = reqs,
				.count = TOKEN_ASKS,
				.answers = answers[i]};
	}
	return rpc_run(f->rpc, calls, count);
}

static bool needs(const struct offer_option *option, enum policy_mode mode)
{
	return option->activate.mode == mode || option->settle.mode == mode;
}

/* NULL: as configured. `*known` false: not all has been answered. */
static const char *judge_token(const struct follower *f,
			       const struct offer_option *option,
			       struct chain_answer answers[][TOKEN_ASKS],
			       uint32_t good, bool *known)
{
	const struct chain_answer *code =
		agree_token(f, answers, good, TOKEN_CODE);
	const struct chain_answer *decimals =
		agree_token(f, answers, good, TOKEN_DECIMALS);
	const struct chain_answer *symbol =
		agree_token(f, answers, good, TOKEN_SYMBOL);

	*known = code != NULL;
	if (code && !code->is.flag)
		return "there is no contract at the token's address";
	*known = code && decimals && symbol;
	if (!*known)
		return NULL;
	if (decimals->outcome == CHAIN_NULL ||
	    decimals->is.number != option->decimals)
		return "the token's decimals() are not those configured";
	if (symbol->outcome == CHAIN_NULL ||
	    strcmp(symbol->is.symbol, option->symbol) != 0)
		return "the token's symbol() is not the one configured";
	return NULL;
}

/* A tag may be missing because a chain is young: looked at again later. */
static const char *judge_tags(const struct follower *f,
			      const struct offer_option *option)
{
	if (needs(option, POLICY_SAFE) && !f->now.at.has_safe)
		return "a policy needs the tag safe, which the chain has not";
	if (needs(option, POLICY_FINAL) && !f->now.at.has_final)
		return "a policy needs the tag finalized, which the chain has "
		       "not";
	return NULL;
}

static int check_option(struct follower *f, unsigned i, uint32_t good)
{
	const struct offer_option *option = &f->config.options[i];
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX][TOKEN_ASKS];
	const char *why;
	bool known;
	int err = ask_token(f, option, good, answers);

	if (err)
		return err;
	why = judge_token(f, option, answers, good, &known);
	if (!known)
		return 0;
	if (!why)
		why = judge_tags(f, option);
	set_check(f, i, why ? CHECK_REFUSED : CHECK_GOOD, why);
	return 0;
}

int follower_check_options(struct follower *f, uint32_t good, uint64_t now_ms)
{
	bool again =
		f->checked_ms == 0 || now_ms - f->checked_ms >= CHECK_AGAIN_MS;
	int err = 0;

	for (unsigned i = 0; i < f->config.options_count && !err; i++) {
		struct option_check check;

		board_read(&f->checks[i], &check, sizeof(check));
		if (f->config.options[i].chain_id != f->chain->id ||
		    check.state == CHECK_GOOD ||
		    (check.state == CHECK_REFUSED && !again))
			continue;
		err = check_option(f, i, good);
	}
	if (again)
		f->checked_ms = now_ms;
	return err;
}

int follower_option(const struct follower *follower, unsigned i, char *why,
		    size_t why_size)
{
	struct option_check check;

	assert(i < follower->config.options_count);
	board_read(&follower->checks[i], &check, sizeof(check));
	(void)snprintf(why, why_size, "%s", check.why);
	switch (check.state) {
	case CHECK_WAITING:
		(void)snprintf(why, why_size, "chain %s has not answered yet",
			       follower->chain->name);
		return ERR_AGAIN;
	case CHECK_GOOD:
		return 0;
	case CHECK_REFUSED:
		break;
	}
	return ERR_DENIED;
}
