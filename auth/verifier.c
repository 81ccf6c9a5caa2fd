#include "auth/verifier.h"

#include <stdlib.h>
#include <string.h>

#include "auth/quorum.h"
#include "auth/step.h"
#include "core/clock.h"
#include "core/err.h"

/* §9: a transaction unknown for so long is looked for in the pools. */
#define POOL_AFTER_S 60

#define NOT_ASKED UINT32_MAX

/* Second questions about one claim: places among the requests. */
struct places {
	unsigned block;
	unsigned tx;
	unsigned nonce;
};

/* What one endpoint was asked and has said. */
struct hearing {
	struct endpoint *endpoint;
	unsigned number; /* among the chain's */
	struct chain_request *requests;
	struct chain_answer *answers;
	unsigned count;
	struct chain_receipt *receipts; /* by claim */
	enum chain_outcome *outcomes;   /* of the receipts */
	struct places *places;
	bool has_head;
	struct chain_position at;
	uint8_t head_hash[32];
};

/* One job on its way. */
struct check {
	struct verifier *verifier;
	const struct verify_job *job;
	struct finding *findings;
	struct voice (*voices)[PAYMENTS_ENDPOINTS_MAX]; /* by claim */
	struct hearing hearings[PAYMENTS_ENDPOINTS_MAX];
	unsigned hearings_count;
	unsigned *open; /* claims not agreed on yet */
	unsigned open_count;
	struct verdict *verdicts;
};

struct verifier {
	struct rpc *rpc;
	uint8_t server[SECP_PUBLIC_SIZE];
};

/* ---- a job's memory ---- */

static void hearing_release(struct hearing *h)
{
	free(h->requests);
	free(h->answers);
	free(h->receipts);
	free(h->outcomes);
	free(h->places);
}

/* At most a block, a transaction and a nonce per claim, and three tags. */
static int hearing_init(struct hearing *h, struct endpoint *ep, unsigned number,
			unsigned claims)
{
	size_t max = 3 + (size_t)claims * 3;

	*h = (struct hearing){.endpoint = ep, .number = number};
	h->requests = calloc(max, sizeof(*h->requests));
	h->answers = calloc(max, sizeof(*h->answers));
	h->receipts = calloc(claims, sizeof(*h->receipts));
	h->outcomes = calloc(claims, sizeof(*h->outcomes));
	h->places = calloc(claims, sizeof(*h->places));
	return h->requests && h->answers && h->receipts && h->outcomes &&
			       h->places
		       ? 0
		       : ERR_NOMEM;
}

static void check_release(struct check *check)
{
	for (unsigned i = 0; i < check->hearings_count; i++)
		hearing_release(&check->hearings[i]);
	free(check->voices);
	free(check->open);
	free(check->verdicts);
}

static int check_init(struct check *check, struct verifier *verifier,
		      const struct verify_job *job, struct finding *findings)
{
	*check = (struct check){
		.verifier = verifier, .job = job, .findings = findings};
	check->voices = calloc(job->count, sizeof(*check->voices));
	check->open = calloc(job->count, sizeof(*check->open));
	check->verdicts = calloc(job->count, sizeof(*check->verdicts));
	if (!check->voices || !check->open || !check->verdicts)
		return ERR_NOMEM;
	for (unsigned i = 0; i < job->count; i++) {
		findings[i] =
			(struct finding){.rev = job->claims[i]->rev,
					 .kind = FINDING_NOTHING,
					 .sender_nonce = CLAIM_NONCE_UNKNOWN};
		memcpy(findings[i].claim_key, job->claims[i]->key,
		       CLAIM_KEY_SIZE);
		check->open[check->open_count++] = i;
	}
	return 0;
}

/* ---- asking several at the same time ---- */

static int ask(struct check *check, unsigned first)
{
	struct rpc_call calls[PAYMENTS_ENDPOINTS_MAX];
	unsigned count = 0;

	for (unsigned i = first; i < check->hearings_count; i++) {
		struct hearing *h = &check->hearings[i];

		if (h->count > 0)
			calls[count++] =
				(struct rpc_call){.endpoint = h->endpoint,
						  .requests = h->requests,
						  .count = h->count,
						  .answers = h->answers};
	}
	return count ? rpc_run(check->verifier->rpc, calls, count) : 0;
}

static unsigned add(struct hearing *h, struct chain_request req)
{
	h->requests[h->count] = req;
	return h->count++;
}

/* ---- first: receipts ---- */

static void ask_receipts(const struct check *check, struct hearing *h)
{
	h->count = 0;
	for (unsigned i = 0; i < check->open_count; i++) {
		const struct claim *claim =
			&check->job->claims[check->open[i]]->claim;
		struct chain_request req = {
			.ask = CHAIN_ASK_RECEIPT,
			.transfer = {.token = claim->token,
				     .payee = claim->payee,
				     .payer = claim->payer,
				     .index = claim->index}};

		memcpy(req.hash, claim->tx, TX_SIZE);
		(void)add(h, req);
	}
}

static void keep_receipts(const struct check *check, struct hearing *h)
{
	for (unsigned i = 0; i < check->open_count; i++) {
		h->outcomes[check->open[i]] = h->answers[i].outcome;
		h->receipts[check->open[i]] = h->answers[i].is.receipt;
	}
}

/* ---- second: headers, position, and what became of the missing ---- */

static bool wants_safe(const struct verify_job *job)
{
	for (unsigned i = 0; i < job->count; i++) {
		if (job->claims[i]->activate.mode == POLICY_SAFE ||
		    job->claims[i]->settle.mode == POLICY_SAFE)
			return true;
	}
	return false;
}

static unsigned ask_block(struct hearing *h, unsigned tags, uint64_t number)
{
	for (unsigned i = tags; i < h->count; i++) {
		if (h->requests[i].ask == CHAIN_ASK_BLOCK &&
		    h->requests[i].number == number)
			return i;
	}
	return add(h, (struct chain_request){.ask = CHAIN_ASK_BLOCK,
					     .number = number});
}

static unsigned ask_tx(struct hearing *h, const struct claim *claim)
{
	struct chain_request req = {.ask = CHAIN_ASK_TX};

	memcpy(req.hash, claim->tx, TX_SIZE);
	return add(h, req);
}

static unsigned ask_nonce(struct hearing *h, const struct claim *claim)
{
	struct chain_request req = {.ask = CHAIN_ASK_NONCE};

	memcpy(req.address, claim->payer, ADDRESS_SIZE);
	return add(h, req);
}

static void ask_about(const struct check *check, struct hearing *h,
		      unsigned tags, unsigned c)
{
	const struct verify_job *job = check->job;
	const struct verify_claim *one = job->claims[c];
	bool is_known = one->sender_nonce != CLAIM_NONCE_UNKNOWN;
	struct places *at = &h->places[c];

	*at = (struct places){NOT_ASKED, NOT_ASKED, NOT_ASKED};
	if (h->outcomes[c] == CHAIN_ANSWERED) {
		at->block = ask_block(h, tags, h->receipts[c].block);
		/* While it can still vanish, know the nonce it has (§11). */
		if (!is_known && h->receipts[c].block > job->final)
			at->tx = ask_tx(h, &one->claim);
	} else if (h->outcomes[c] == CHAIN_NULL) {
		if (job->now_s >= one->received_s + POOL_AFTER_S)
			at->tx = ask_tx(h, &one->claim);
		if (is_known)
			at->nonce = ask_nonce(h, &one->claim);
	}
}

static void ask_position(const struct check *check, struct hearing *h)
{
	unsigned tags;

	h->count = 0;
	(void)add(h, (struct chain_request){.ask = CHAIN_ASK_LATEST});
	(void)add(h, (struct chain_request){.ask = CHAIN_ASK_FINAL});
	if (wants_safe(check->job))
		(void)add(h, (struct chain_request){.ask = CHAIN_ASK_SAFE});
	tags = h->count;
	for (unsigned i = 0; i < check->open_count; i++)
		ask_about(check, h, tags, check->open[i]);
}

static void keep_position(struct hearing *h)
{
	h->at = (struct chain_position){0};
	h->has_head = h->answers[0].outcome == CHAIN_ANSWERED;
	if (!h->has_head)
		return;
	h->at.head = h->answers[0].is.header.number;
	memcpy(h->head_hash, h->answers[0].is.header.hash, 32);
	h->at.has_final = h->answers[1].outcome == CHAIN_ANSWERED;
	if (h->at.has_final)
		h->at.final = h->answers[1].is.header.number;
	h->at.has_safe = h->count > 2 && h->requests[2].ask == CHAIN_ASK_SAFE &&
			 h->answers[2].outcome == CHAIN_ANSWERED;
	if (h->at.has_safe)
		h->at.safe = h->answers[2].is.header.number;
}

/* ---- what an endpoint says, taken together ---- */

static void hear_mined(const struct hearing *h, unsigned c, struct voice *voice)
{
	const struct chain_receipt *receipt = &h->receipts[c];
	const struct chain_answer *block = &h->answers[h->places[c].block];

	/* §9, 3: from two forks or two machines is no answer. */
	if (block->outcome != CHAIN_ANSWERED ||
	    memcmp(block->is.header.hash, receipt->block_hash, 32) != 0)
		return;
	voice->kind = VOICE_MINED;
	voice->block = receipt->block;
	voice->block_time_s = block->is.header.time_s;
	memcpy(voice->block_hash, receipt->block_hash, 32);
	voice->fault = receipt->fault;
	voice->value = receipt->value;
}

static void hear_tx(const struct hearing *h, unsigned c,
		    const struct claim *claim, struct voice *voice)
{
	const struct chain_answer *answer;

	if (h->places[c].tx == NOT_ASKED)
		return;
	answer = &h->answers[h->places[c].tx];
	if (answer->outcome != CHAIN_ANSWERED)
		return;
	if (voice->kind == VOICE_ABSENT) {
		voice->is_waiting = !answer->is.tx.is_mined;
		/* Mined between two questions: ask again. */
		if (answer->is.tx.is_mined)
			voice->kind = VOICE_SILENT;
	}
	/* The count of another sender would tell nothing about the payer. */
	if (memcmp(answer->is.tx.from, claim->payer, ADDRESS_SIZE) == 0)
		voice->nonce = answer->is.tx.nonce;
}

static void hear_nonce(const struct hearing *h, unsigned c,
		       const struct verify_claim *one, struct voice *voice)
{
	const struct chain_answer *answer;

	if (voice->kind != VOICE_ABSENT || h->places[c].nonce == NOT_ASKED)
		return;
	answer = &h->answers[h->places[c].nonce];
	voice->nonce = one->sender_nonce;
	voice->is_nonce_used = answer->outcome == CHAIN_ANSWERED &&
			       answer->is.number > one->sender_nonce;
}

static void hear(const struct check *check, const struct hearing *h, unsigned c)
{
	const struct verify_claim *one = check->job->claims[c];
	struct voice *voice = &check->voices[c][h->number];

	*voice = (struct voice){.group = endpoint_group(h->endpoint),
				.kind = VOICE_SILENT,
				.at = h->at,
				.nonce = CLAIM_NONCE_UNKNOWN};
	if (!h->has_head)
		return;
	if (h->outcomes[c] == CHAIN_NULL)
		voice->kind = VOICE_ABSENT;
	else if (h->outcomes[c] == CHAIN_ANSWERED)
		hear_mined(h, c, voice);
	hear_tx(h, c, &one->claim, voice);
	hear_nonce(h, c, one, voice);
}

/* ---- agreement ---- */

static bool is_settled(const struct verify_claim *one,
		       const struct finding *finding)
{
	struct policy policy = {.mode = POLICY_FINAL};

	if (one->has_policy)
		policy = one->settle;
	return finding->kind == FINDING_MINED &&
	       policy_holds(policy, &finding->at, finding->block);
}

static void count_dissents(const struct check *check, unsigned c)
{
	const struct rpc_chain *chain = check->job->chain;
	bool settled = is_settled(check->job->claims[c], &check->findings[c]);

	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		if (check->verdicts[c].against & 1u << i)
			endpoint_dissent(chain->endpoints[i], settled,
					 clock_mono_ms());
	}
}

/* Drops from `open` what is agreed on. */
static void decide(struct check *check)
{
	const struct rpc_chain *chain = check->job->chain;
	unsigned left = 0;

	for (unsigned i = 0; i < check->open_count; i++) {
		unsigned c = check->open[i];

		check->verdicts[c] = quorum_facts(
			check->voices[c], chain->endpoints_count, chain->quorum,
			check->job->claims[c]->block, &check->findings[c]);
		if (check->verdicts[c].is_agreed)
			count_dissents(check, c);
		else
			check->open[left++] = c;
	}
	check->open_count = left;
}

/* Ask those that joined from `first` on about what is still open. */
static int round_of(struct check *check, unsigned first)
{
	int err;

	for (unsigned i = first; i < check->hearings_count; i++)
		ask_receipts(check, &check->hearings[i]);
	err = ask(check, first);
	if (err)
		return err;
	for (unsigned i = first; i < check->hearings_count; i++) {
		keep_receipts(check, &check->hearings[i]);
		ask_position(check, &check->hearings[i]);
	}
	err = ask(check, first);
	if (err)
		return err;
	for (unsigned i = first; i < check->hearings_count; i++) {
		keep_position(&check->hearings[i]);
		for (unsigned j = 0; j < check->open_count; j++)
			hear(check, &check->hearings[i], check->open[j]);
	}
	decide(check);
	return 0;
}

/* ---- contract proofs (§6.4) ---- */

static bool wants_proof(const struct check *check, unsigned c)
{
	const struct verify_claim *one = check->job->claims[c];
	const struct finding *finding = &check->findings[c];

	return one->claim.scheme == CLAIM_CONTRACT && !one->is_credited &&
	       one->has_policy && finding->kind == FINDING_MINED &&
	       finding->fault == CLAIM_NO_REASON &&
	       policy_holds(one->activate, &finding->at, finding->block);
}

/* The lowest head among those that agreed: they all know that block. */
static const uint8_t *working_head(const struct check *check, unsigned c)
{
	const struct hearing *lowest = NULL;

	for (unsigned i = 0; i < check->hearings_count; i++) {
		const struct hearing *h = &check->hearings[i];

		if (check->verdicts[c].with & 1u << h->number &&
		    (!lowest || h->at.head < lowest->at.head))
			lowest = h;
	}
	return lowest ? lowest->head_hash : NULL;
}

static void ask_proof(const struct check *check, struct hearing *h, unsigned c)
{
	const struct claim *claim = &check->job->claims[c]->claim;
	struct chain_request req = {.ask = CHAIN_ASK_PROOF,
				    .proof = claim->proof,
				    .proof_size = claim->proof_size};

	if (!(check->verdicts[c].with & 1u << h->number))
		return;
	memcpy(req.address, claim->payer, ADDRESS_SIZE);
	memcpy(req.hash, working_head(check, c), 32);
	claim_digest(claim, check->verifier->server, req.digest);
	h->places[c].block = add(h, req);
}

static void hear_proof(struct check *check, unsigned c)
{
	unsigned groups[PAYMENTS_ENDPOINTS_MAX];
	unsigned needed = check->job->chain->quorum;
	uint32_t good = 0;
	uint32_t bad = 0;

	for (unsigned i = 0; i < check->hearings_count; i++) {
		const struct hearing *h = &check->hearings[i];
		const struct chain_answer *answer;

		groups[i] = endpoint_group(h->endpoint);
		if (h->places[c].block == NOT_ASKED)
			continue;
		answer = &h->answers[h->places[c].block];
		if (answer->outcome == CHAIN_ANSWERED)
			*(answer->is.flag ? &good : &bad) |= 1u << i;
	}
	check->findings[c].proof_good =
		quorum_groups(groups, check->hearings_count, good) >= needed;
	check->findings[c].proof_asked =
		check->findings[c].proof_good ||
		quorum_groups(groups, check->hearings_count, bad) >= needed;
}

static int check_proofs(struct check *check)
{
	int err;

	for (unsigned i = 0; i < check->hearings_count; i++) {
		struct hearing *h = &check->hearings[i];

		h->count = 0;
		for (unsigned c = 0; c < check->job->count; c++) {
			h->places[c].block = NOT_ASKED;
			if (wants_proof(check, c))
				ask_proof(check, h, c);
		}
	}
	err = ask(check, 0);
	if (err)
		return err;
	for (unsigned c = 0; c < check->job->count; c++) {
		if (wants_proof(check, c))
			hear_proof(check, c);
	}
	return 0;
}

/* ---- whom to ask ---- */

static bool is_asked(const struct check *check, unsigned number)
{
	for (unsigned i = 0; i < check->hearings_count; i++) {
		if (check->hearings[i].number == number)
			return true;
	}
	return false;
}

static bool is_group_asked(const struct check *check, unsigned group)
{
	for (unsigned i = 0; i < check->hearings_count; i++) {
		if (endpoint_group(check->hearings[i].endpoint) == group)
			return true;
	}
	return false;
}

/* One more voice. ERR_NOTFOUND: there is none. */
static int invite(struct check *check, bool other_group)
{
	struct rpc_chain *chain = check->job->chain;
	uint64_t now_ms = clock_mono_ms();

	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		unsigned n = (check->job->first_endpoint + i) %
			     chain->endpoints_count;
		struct endpoint *ep = chain->endpoints[n];

		if (!endpoint_is_usable(ep, now_ms) || is_asked(check, n) ||
		    (other_group && is_group_asked(check, endpoint_group(ep))))
			continue;
		/* Counted first: what it holds is released in any case. */
		return hearing_init(&check->hearings[check->hearings_count++],
				    ep, n, check->job->count);
	}
	return ERR_NOTFOUND;
}

static int invite_quorum(struct check *check)
{
	for (unsigned i = 0; i < check->job->chain->quorum; i++) {
		int err = invite(check, true);

		if (err)
			return err == ERR_NOTFOUND ? ERR_AGAIN : err;
	}
	return 0;
}

static int run(struct check *check)
{
	unsigned first = 0;
	int err = invite_quorum(check);

	while (!err) {
		err = round_of(check, first);
		if (err)
			return err;
		if (check->open_count == 0)
			break;
		first = check->hearings_count;
		err = invite(check, false);
	}
	if (err && err != ERR_NOTFOUND)
		return err;
	return check_proofs(check);
}

int verifier_check(struct verifier *verifier, const struct verify_job *job,
		   struct finding *findings)
{
	struct check check;
	int err = check_init(&check, verifier, job, findings);

	if (!err)
		err = run(&check);
	if (err) {
		for (unsigned i = 0; i < job->count; i++)
			findings[i].kind = FINDING_NOTHING;
	}
	check_release(&check);
	return err;
}

/* ---- the worker's handle ---- */

int verifier_new(const uint8_t server[static SECP_PUBLIC_SIZE],
		 struct verifier **out)
{
	struct verifier *verifier = calloc(1, sizeof(*verifier));

	if (!verifier || rpc_new(&verifier->rpc)) {
		free(verifier);
		return ERR_NOMEM;
	}
	memcpy(verifier->server, server, SECP_PUBLIC_SIZE);
	*out = verifier;
	return 0;
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	rpc_free(verifier->rpc);
	free(verifier);
}

void verifier_abort(struct verifier *verifier)
{
	rpc_abort(verifier->rpc);
}
