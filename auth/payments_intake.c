/* Intake of claims and what is told about them (payments.md §7). */
#include <stdlib.h>
#include <string.h>

#include "auth/payments_private.h"
#include "auth/step.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/metrics.h"

#define RETRY_NEW_S      4
#define RETRY_BUSY_S     10
#define RETRY_STOPPING_S 30

/* ---- the checks of §7, in their order ---- */

static enum intake check_form(const struct claim *claim)
{
	if (claim->proof_size < 1 || claim->proof_size > CLAIM_PROOF_MAX)
		return INTAKE_BAD_FORMAT;
	return secp_public_is_valid(claim->node) ? INTAKE_OK
						 : INTAKE_BAD_FORMAT;
}

static enum intake check_offered(struct payments *payments,
				 const struct claim *claim)
{
	switch (ledger_read_offered(payments->ledger, claim, clock_wall_s())) {
	case OFFERED_YES:
		return INTAKE_OK;
	case OFFERED_NO_CHAIN:
		return INTAKE_UNSUPPORTED_CHAIN;
	case OFFERED_NO_TOKEN:
		return INTAKE_UNSUPPORTED_TOKEN;
	case OFFERED_NO_PAYEE:
		return INTAKE_UNSUPPORTED_PAYEE;
	case OFFERED_TOO_OLD:
		return INTAKE_TOO_OLD;
	}
	return INTAKE_UNSUPPORTED_CHAIN;
}

static uint64_t source_tag(const struct payments *payments,
			   const struct source *source)
{
	uint8_t bytes[1 + SECP_PUBLIC_SIZE];
	size_t len =
		source->len < SECP_PUBLIC_SIZE ? source->len : SECP_PUBLIC_SIZE;

	bytes[0] = (uint8_t)source->kind;
	memcpy(bytes + 1, source->bytes, len);
	return ledger_source_tag(payments->ledger, bytes, 1 + len);
}

static enum intake check_rate(struct payments *payments,
			      const struct claim *claim, uint64_t tag,
			      uint32_t *retry_s)
{
	uint64_t now_ms = clock_mono_ms();

	if (!rates_take(payments->submits, tag, now_ms, retry_s))
		return INTAKE_RATE_LIMITED;
	if (claim->scheme != CLAIM_SIGNATURE &&
	    !rates_take(payments->contract_submits, tag, now_ms, retry_s))
		return INTAKE_RATE_LIMITED;
	return INTAKE_OK;
}

static enum intake check_proof(const struct payments *payments,
			       const struct claim *claim)
{
	switch (claim->scheme) {
	case CLAIM_SIGNATURE:
		return claim_check_signature(claim,
					     payments->config.key->public)
			       ? INTAKE_BAD_PROOF
			       : INTAKE_OK;
	case CLAIM_CONTRACT:
		/* Proved at crediting (§6.4). */
		return payments->config.contract_proofs
			       ? INTAKE_OK
			       : INTAKE_UNSUPPORTED_SCHEME;
	case CLAIM_CALLDATA:
		return INTAKE_UNSUPPORTED_SCHEME;
	}
	return INTAKE_UNSUPPORTED_SCHEME;
}

static enum intake check(struct payments *payments, const struct claim *claim,
			 uint64_t tag, uint32_t *retry_s)
{
	enum intake code = INTAKE_OK;

	*retry_s = 0;
	if (atomic_load(&payments->is_stopping)) {
		*retry_s = RETRY_STOPPING_S;
		return INTAKE_STOPPING;
	}
	code = check_form(claim);
	if (!code)
		code = check_offered(payments, claim);
	if (!code)
		code = check_rate(payments, claim, tag, retry_s);
	if (!code)
		code = check_proof(payments, claim);
	return code;
}

static void count_intake(const struct source *source, enum intake code)
{
	/* Sources by kind, results by code: every label a literal. */
#define ROW(word)                                                              \
	{                                                                      \
		"source=\"peer\",result=\"" word "\"",                         \
			"source=\"address\",result=\"" word "\""               \
	}
	static const char *const labels[][2] = {
		[INTAKE_OK] = ROW("ok"),
		[INTAKE_BAD_FORMAT] = ROW("bad_format"),
		[INTAKE_UNSUPPORTED_VERSION] = ROW("unsupported_version"),
		[INTAKE_UNSUPPORTED_SCHEME] = ROW("unsupported_scheme"),
		[INTAKE_BAD_PROOF] = ROW("bad_proof"),
		[INTAKE_UNKNOWN_CLAIM] = ROW("unknown_claim"),
		[INTAKE_ALREADY_CREDITED] = ROW("already_credited"),
		[INTAKE_TOO_LARGE] = ROW("too_large"),
		[INTAKE_UNSUPPORTED_CHAIN] = ROW("unsupported_chain"),
		[INTAKE_UNSUPPORTED_TOKEN] = ROW("unsupported_token"),
		[INTAKE_UNSUPPORTED_PAYEE] = ROW("unsupported_payee"),
		[INTAKE_TOO_OLD] = ROW("too_old"),
		[INTAKE_RATE_LIMITED] = ROW("rate_limited"),
		[INTAKE_BUSY] = ROW("busy"),
		[INTAKE_STOPPING] = ROW("stopping"),
	};
#undef ROW

	metric_add(metric_counter("mailpay_claims_total",
				  labels[code][source->kind == SOURCE_ADDRESS],
				  "Claims by what intake said"),
		   1);
}

/* ---- the way through the ledger ---- */

struct submission {
	struct ledger_task task;
	struct claim claim;
	struct payments *payments;
	struct source source;
	intake_done_fn done;
	void *ctx;
	uint8_t proof[];
};

static enum intake intake_of(int err)
{
	switch (err) {
	case 0:
		return INTAKE_OK;
	case ERR_EXISTS:
		return INTAKE_ALREADY_CREDITED;
	case ERR_CLOSED:
		return INTAKE_STOPPING;
	default:
		/* Bounds, the disk: a later try may do (§16.3). */
		return INTAKE_BUSY;
	}
}

static uint32_t retry_of(enum intake code)
{
	if (code == INTAKE_BUSY)
		return RETRY_BUSY_S;
	if (code == INTAKE_STOPPING)
		return RETRY_STOPPING_S;
	return 0;
}

/* Ledger thread, after the commit. */
static void submitted(struct ledger_task *task)
{
	struct submission *submission = task->owner;
	struct payments *payments = submission->payments;
	const struct claim_record *rec = &task->record;
	struct intake_answer answer = {.code = intake_of(task->err)};

	answer.retry_after_s = retry_of(answer.code);
	if (!answer.code) {
		answer.retry_after_s =
			!claim_is_open(rec->state) ? 0 : RETRY_NEW_S;
		answer.is_new = task->is_new;
		answer.rev = rec->rev;
		answer.state = rec->state;
		memcpy(answer.claim_id, rec->id, CLAIM_ID_SIZE);
	}
	count_intake(&submission->source, answer.code);
	submission->done(submission->ctx, &answer);
	free(submission);
	atomic_fetch_sub(&payments->submitting, 1);
}

static struct submission *submission_new(struct payments *payments,
					 const struct claim *claim,
					 const struct source *source)
{
	struct submission *submission =
		calloc(1, sizeof(*submission) + claim->proof_size);

	if (!submission)
		return NULL;
	memcpy(submission->proof, claim->proof, claim->proof_size);
	submission->claim = *claim;
	submission->claim.proof = submission->proof;
	submission->payments = payments;
	submission->source = *source;
	submission->task = (struct ledger_task){
		.op = LEDGER_ACCEPT,
		.claim = &submission->claim,
		.source_tag = source_tag(payments, source),
		.done = submitted,
		.owner = submission,
	};
	return submission;
}

static enum intake submit(struct payments *payments, const struct claim *claim,
			  const struct source *source, intake_done_fn done,
			  void *ctx, uint32_t *retry_s)
{
	struct submission *submission;
	enum intake code =
		check(payments, claim, source_tag(payments, source), retry_s);

	if (code)
		return code;
	submission = submission_new(payments, claim, source);
	if (!submission)
		return INTAKE_BUSY;
	submission->done = done;
	submission->ctx = ctx;
	atomic_fetch_add(&payments->submitting, 1);
	code = intake_of(ledger_post(payments->ledger, &submission->task));
	if (code) {
		atomic_fetch_sub(&payments->submitting, 1);
		free(submission);
	}
	return code;
}

void payments_submit(struct payments *payments, const struct claim *claim,
		     const struct source *source, intake_done_fn done,
		     void *ctx)
{
	uint32_t retry_s = 0;
	enum intake code = submit(payments, claim, source, done, ctx, &retry_s);
	struct intake_answer answer = {.code = code};

	if (!code)
		return; /* answered after the commit, or already */
	answer.retry_after_s = retry_s ? retry_s : retry_of(code);
	count_intake(source, code);
	done(ctx, &answer);
}

/* ---- status ---- */

static uint64_t head_of(struct payments *payments, uint64_t chain_id)
{
	struct chain_view view;

	for (unsigned i = 0; payments_chain(payments, i, &view) == 0; i++)
		if (view.id == chain_id)
			return view.head;
	return 0;
}

static void show_confirmations(struct payments *payments,
			       const struct claim_view *view,
			       struct claim_status *out)
{
	uint64_t head = head_of(payments, view->record.claim.chain_id);
	bool is_past = view->is_credited || out->state == CLAIM_SETTLED;

	/* §10: 0 while a tag is waited for. */
	if (view->has_policy && view->activate.mode == POLICY_CONFIRMATIONS)
		out->needed = view->activate.confirmations;
	if (!out->has_block)
		return;
	if (head >= out->block)
		out->confirmations = head - out->block + 1;
	if (is_past && out->confirmations < out->needed)
		out->confirmations = out->needed;
}

static uint32_t retry_after(const struct claim_record *rec)
{
	uint64_t now_ms = clock_wall_ms();
	uint64_t wait_s;

	if (!claim_is_open(rec->state))
		return 0;
	if (rec->state == CLAIM_CONFIRMING || rec->due_ms <= now_ms)
		return RETRY_NEW_S;
	wait_s = (rec->due_ms - now_ms) / 1000 + 1;
	return wait_s < 60 ? (uint32_t)wait_s : 60;
}

static void show(struct payments *payments, const struct claim_view *view,
		 struct claim_status *out)
{
	const struct claim_record *rec = &view->record;

	*out = (struct claim_status){
		.rev = rec->rev,
		.state = rec->state,
		.reason = rec->reason,
		.has_block = rec->block != 0,
		.block = rec->block,
		.block_time_s = rec->block_time_s,
		.is_credited = view->is_credited,
		.outcome = view->outcome,
		.value = rec->value,
		.credit = view->credit,
		.units = view->units,
		.expiry_s = view->expiry_s,
		.updated_s = rec->updated_s,
		.retry_after_s = retry_after(rec),
	};
	memcpy(out->claim_id, rec->id, CLAIM_ID_SIZE);
	memcpy(out->node, rec->claim.node, SECP_PUBLIC_SIZE);
	memcpy(out->block_hash, rec->block_hash, 32);
	show_confirmations(payments, view, out);
}

int status_read(struct payments *payments,
		const uint8_t id[static CLAIM_ID_SIZE],
		struct claim_status *out)
{
	struct claim_view view;
	int err = ledger_read_claim_id(payments->ledger, id, &view);

	if (!err)
		show(payments, &view, out);
	return err;
}

enum intake payments_may_ask(struct payments *payments,
			     const struct source *source, uint32_t *retry_s)
{
	*retry_s = 0;
	return rates_take(payments->asks, source_tag(payments, source),
			  clock_mono_ms(), retry_s)
		       ? INTAKE_OK
		       : INTAKE_RATE_LIMITED;
}

enum intake payments_status(struct payments *payments,
			    const uint8_t id[static CLAIM_ID_SIZE],
			    const struct source *source,
			    struct claim_status *out)
{
	memset(out, 0, sizeof(*out));
	if (source && payments_may_ask(payments, source, &out->retry_after_s))
		return INTAKE_RATE_LIMITED;
	return status_read(payments, id, out) ? INTAKE_UNKNOWN_CLAIM
					      : INTAKE_OK;
}

int payments_entitlement(struct payments *payments,
			 const uint8_t node[static SECP_PUBLIC_SIZE],
			 struct entitlement *out, uint64_t *grace_end_s)
{
	struct access_rules rules = gate_rules(payments_gate(payments));
	int err = ledger_read_node(payments->ledger, node, out);

	if (err)
		return err;
	*grace_end_s = out->expiry_s ? out->expiry_s + rules.grace_s : 0;
	return 0;
}
