#include "auth/rpc.h"

#include <string.h>

#include "auth/rpc_endpoint.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

enum { ASK_ID, ASK_GENESIS, ASK_SYNCING, ASKS };

static const struct chain_request identity[ASKS] = {
	[ASK_ID] = {.ask = CHAIN_ASK_ID},
	[ASK_GENESIS] = {.ask = CHAIN_ASK_BLOCK, .number = 0},
	[ASK_SYNCING] = {.ask = CHAIN_ASK_SYNCING},
};

/* Everything but the genesis hash, which may still be unknown. */
static bool is_sound(const struct rpc_chain *chain, const struct endpoint *ep,
		     const struct chain_answer *answers)
{
	if (answers[ASK_ID].outcome != CHAIN_ANSWERED ||
	    answers[ASK_GENESIS].outcome != CHAIN_ANSWERED)
		return false;
	if (answers[ASK_ID].is.number != chain->id) {
		LOG_BROKEN("endpoint is on another chain",
			   log_text("endpoint", endpoint_label(ep)),
			   log_u64("expected", chain->id),
			   log_u64("found", answers[ASK_ID].is.number));
		return false;
	}
	/* Not all nodes know the method: then there is nothing to hold
	 * against them. */
	if (answers[ASK_SYNCING].outcome == CHAIN_ANSWERED &&
	    answers[ASK_SYNCING].is.flag) {
		LOG_UNUSUAL("endpoint is still syncing",
			    log_text("endpoint", endpoint_label(ep)));
		return false;
	}
	return answers[ASK_SYNCING].outcome == CHAIN_ANSWERED ||
	       answers[ASK_SYNCING].outcome == CHAIN_NO_METHOD;
}

static bool is_same_genesis(const struct chain_answer *answers,
			    const uint8_t hash[static 32])
{
	return memcmp(answers[ASK_GENESIS].is.header.hash, hash, 32) == 0;
}

/* The first block 0 that `quorum` groups agree on becomes ours. */
static void learn_genesis(struct rpc_chain *chain, unsigned sound,
			  struct chain_answer answers[][ASKS])
{
	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		const uint8_t *hash = answers[i][ASK_GENESIS].is.header.hash;
		unsigned groups = 0;

		if (!(sound & 1u << i))
			continue;
		for (unsigned j = 0; j < chain->endpoints_count; j++) {
			if (sound & 1u << j &&
			    is_same_genesis(answers[j], hash))
				groups |= 1u << chain->endpoints[j]->group;
		}
		if ((unsigned)__builtin_popcount(groups) < chain->quorum)
			continue;
		memcpy(chain->genesis, hash, 32);
		chain->has_genesis = true;
		return;
	}
}

static bool has_outcome(const struct chain_answer *answers,
			enum chain_outcome outcome)
{
	return answers[ASK_ID].outcome == outcome ||
	       answers[ASK_GENESIS].outcome == outcome ||
	       answers[ASK_SYNCING].outcome == outcome;
}

/* It said nothing against itself: the breaker counts, we ask again. */
static bool is_silent(bool was_open, const struct chain_answer *answers)
{
	return has_outcome(answers, CHAIN_THROTTLED) ||
	       (has_outcome(answers, CHAIN_UNANSWERED) && !was_open);
}

static void tell(struct rpc_chain *chain, unsigned i, bool sound, bool was_open,
		 const struct chain_answer *answers)
{
	struct endpoint *ep = chain->endpoints[i];
	bool good = sound && chain->has_genesis &&
		    is_same_genesis(answers, chain->genesis);

	if (!sound && is_silent(was_open, answers))
		return;
	if (sound && chain->has_genesis && !good)
		LOG_BROKEN("endpoint has another block 0",
			   log_text("endpoint", endpoint_label(ep)));
	endpoint_identified(ep, good, clock_mono_ms());
}

int rpc_identify(struct rpc *rpc, struct rpc_chain *chain, unsigned mask)
{
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX][ASKS];
	struct rpc_call calls[PAYMENTS_ENDPOINTS_MAX];
	unsigned count = 0;
	unsigned sound = 0;
	unsigned open = 0;
	int err;

	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		if (atomic_load(&chain->endpoints[i]->is_open))
			open |= 1u << i;
		if (mask & 1u << i)
			calls[count++] = (struct rpc_call){
				.endpoint = chain->endpoints[i],
				.requests = identity,
				.count = ASKS,
				.answers = answers[i]};
	}
	if (count == 0)
		return 0;
	err = rpc_run(rpc, calls, count);
	if (err)
		return err;
	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		if (mask & 1u << i &&
		    is_sound(chain, chain->endpoints[i], answers[i]))
			sound |= 1u << i;
	}
	if (!chain->has_genesis)
		learn_genesis(chain, sound, answers);
	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		if (mask & 1u << i)
			tell(chain, i, sound & 1u << i, open & 1u << i,
			     answers[i]);
	}
	return 0;
}
