#include "auth/step.h"

#include <string.h>

#define SECOND_MS 1000ull
/* Facts of an active claim turned bad: look again soon. */
#define SUSPECT_MS 60000ull
/* The first of the growing intervals of a revoked claim. */
#define WATCH_MS 300000ull

bool claim_is_open(enum claim_state state)
{
	return state != CLAIM_SETTLED && state != CLAIM_REJECTED;
}

bool claim_has_height(enum claim_state state)
{
	return state == CLAIM_CONFIRMING || state == CLAIM_ACTIVE;
}

bool claim_is_reopened(const struct claim_record *rec)
{
	return rec->state == CLAIM_REJECTED &&
	       (rec->reason == CLAIM_NOT_FOUND ||
		rec->reason == CLAIM_REPLACED);
}

bool policy_holds(struct policy policy, const struct chain_position *at,
		  uint64_t block)
{
	switch (policy.mode) {
	case POLICY_CONFIRMATIONS:
		return at->head >= block &&
		       at->head - block + 1 >= policy.confirmations;
	case POLICY_SAFE:
		return at->has_safe && block <= at->safe;
	case POLICY_FINAL:
		return at->has_final && block <= at->final;
	}
	return false;
}

/* ---- times ---- */

static uint64_t add_or_end(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* §15.3: 4, 8, 16, 32, 60, 120, then every 300 s, each ± 20 %. */
static uint64_t back_off_ms(uint32_t attempts, uint32_t random)
{
	static const uint16_t seconds[] = {4, 8, 16, 32, 60, 120, 300};
	const uint32_t last = sizeof(seconds) / sizeof(seconds[0]) - 1;
	uint64_t ms = seconds[attempts < last ? attempts : last] * SECOND_MS;

	return ms * 4 / 5 + random % (ms * 2 / 5 + 1);
}

static uint64_t watch_ms(uint32_t attempts)
{
	uint64_t ms = WATCH_MS << (attempts < 10 ? attempts : 10);

	return ms < STEP_LONGEST_MS ? ms : STEP_LONGEST_MS;
}

/* ---- building the next record ---- */

static void begin(const struct claim_record *rec, struct step *out)
{
	out->kind = STEP_NOTHING;
	out->next = *rec;
	out->next.rev++;
}

static void enter(struct step *out, enum claim_state state, uint64_t now_ms)
{
	out->next.state = state;
	out->next.reason = CLAIM_NO_REASON;
	out->next.updated_s = now_ms / SECOND_MS;
	out->next.attempts = 0;
	out->next.due_ms = claim_is_open(state) ? now_ms + STEP_NET_MS : 0;
}

static void take_block(const struct finding *finding, struct claim_record *next)
{
	next->block = finding->block;
	next->block_time_s = finding->block_time_s;
	memcpy(next->block_hash, finding->block_hash, 32);
}

static void forget_block(struct claim_record *next)
{
	next->block = 0;
	next->block_time_s = 0;
	memset(next->block_hash, 0, 32);
	next->value = (struct u256){0};
}

static void later(struct step *out, uint64_t due_ms)
{
	out->kind = STEP_PROGRESS;
	out->next.due_ms = due_ms;
	if (out->next.attempts < UINT32_MAX)
		out->next.attempts++;
}

void step_reject(const struct claim_record *rec, enum claim_reason reason,
		 uint64_t now_ms, struct step *out)
{
	begin(rec, out);
	enter(out, CLAIM_REJECTED, now_ms);
	out->next.reason = reason;
	out->kind = STEP_REJECT;
}

void step_reopen(const struct claim_record *rec, uint64_t now_ms,
		 struct step *out)
{
	begin(rec, out);
	enter(out, CLAIM_RECEIVED, now_ms);
	forget_block(&out->next);
	out->next.received_s = now_ms / SECOND_MS;
	out->next.due_ms = now_ms;
	out->kind = STEP_PROGRESS;
}

void step_recheck(const struct claim_record *rec, uint64_t now_ms,
		  struct step *out)
{
	begin(rec, out);
	out->next.attempts = 0;
	out->next.due_ms = now_ms;
	out->kind = STEP_PROGRESS;
}

static bool is_same_block(const struct step_input *in)
{
	return in->rec->block == in->finding->block &&
	       !memcmp(in->rec->block_hash, in->finding->block_hash, 32);
}

/* The follower looks after it: write only what changed, or a due time that
 * has come. */
static void keep(const struct step_input *in, bool is_changed, struct step *out)
{
	if (!is_changed && in->rec->due_ms > in->now_ms)
		return;
	out->kind = STEP_PROGRESS;
	out->next.due_ms = in->now_ms + STEP_NET_MS;
	if (is_changed)
		out->next.updated_s = in->now_ms / SECOND_MS;
}

/* ---- before the credit: received, pending, confirming ---- */

static bool is_too_old(const struct step_input *in)
{
	const struct finding *finding = in->finding;

	return finding->block < in->rules.start_block ||
	       add_or_end(finding->block_time_s, in->rules.claim_window_s) <
		       in->rec->received_s;
}

/* The activation policy is reached: good facts credit, bad ones reject. */
static void judge(const struct step_input *in, struct step *out)
{
	const struct finding *finding = in->finding;
	const struct claim_record *rec = in->rec;
	enum claim_reason fault = finding->fault;

	if (!fault && rec->claim.scheme != CLAIM_SIGNATURE &&
	    finding->proof_asked && !finding->proof_good)
		fault = CLAIM_BAD_PROOF;
	if (!fault && is_too_old(in))
		fault = CLAIM_TOO_OLD;
	if (!fault && !in->has_price)
		fault = CLAIM_NO_OPTION;
	if (fault) {
		step_reject(rec, fault, in->now_ms, out);
		take_block(finding, &out->next);
		return;
	}
	enter(out,
	      policy_holds(in->settle, &finding->at, finding->block)
		      ? CLAIM_SETTLED
		      : CLAIM_ACTIVE,
	      in->now_ms);
	take_block(finding, &out->next);
	out->next.value = finding->value;
	out->kind = STEP_CREDIT;
}

static void confirm(const struct step_input *in, struct step *out)
{
	bool is_new = in->rec->state != CLAIM_CONFIRMING;
	bool is_moved = !is_same_block(in) ||
			u256_compare(&in->rec->value, &in->finding->value);

	if (is_new)
		enter(out, CLAIM_CONFIRMING, in->now_ms);
	take_block(in->finding, &out->next);
	out->next.value = in->finding->value;
	keep(in, is_new || is_moved, out);
}

static void mined_uncredited(const struct step_input *in, struct step *out)
{
	const struct finding *finding = in->finding;
	bool is_ripe = policy_holds(in->activate, &finding->at, finding->block);
	/* §6.4: the contract is asked once the transfer is confirmed. */
	bool needs_proof = in->rec->claim.scheme != CLAIM_SIGNATURE &&
			   !finding->fault && !finding->proof_asked;

	if (is_ripe && !needs_proof) {
		judge(in, out);
		return;
	}
	confirm(in, out);
	if (is_ripe && out->kind == STEP_PROGRESS)
		out->next.due_ms = in->now_ms + SUSPECT_MS;
}

static void absent_uncredited(const struct step_input *in, struct step *out)
{
	const struct claim_record *rec = in->rec;

	if (rec->state == CLAIM_PENDING &&
	    in->now_ms / SECOND_MS >=
		    add_or_end(rec->updated_s, in->rules.pending_max_s)) {
		step_reject(rec, CLAIM_NOT_FOUND, in->now_ms, out);
		return;
	}
	if (rec->state != CLAIM_PENDING)
		enter(out, CLAIM_PENDING, in->now_ms);
	forget_block(&out->next);
	if (in->finding->is_waiting)
		out->next.sender_nonce = in->finding->sender_nonce;
	later(out, in->now_ms + back_off_ms(out->next.attempts, in->random));
}

static void step_uncredited(const struct step_input *in, struct step *out)
{
	switch (in->finding->kind) {
	case FINDING_NOTHING:
		return;
	case FINDING_ABSENT:
		absent_uncredited(in, out);
		return;
	case FINDING_MINED:
		mined_uncredited(in, out);
		return;
	case FINDING_REPLACED:
		step_reject(in->rec, CLAIM_REPLACED, in->now_ms, out);
		return;
	}
}

/* ---- credited: active, or reorged with its grace running ---- */

static void revoke(const struct step_input *in, enum claim_reason reason,
		   struct step *out)
{
	enter(out, CLAIM_REORGED, in->now_ms);
	out->next.reason = reason;
	out->next.due_ms = in->now_ms + watch_ms(0);
	out->kind = STEP_REVOKE;
}

static uint64_t deadline_ms(const struct step_input *in)
{
	uint64_t end_s =
		add_or_end(in->rec->updated_s, in->rules.reorg_grace_s);

	return end_s > UINT64_MAX / SECOND_MS ? UINT64_MAX : end_s * SECOND_MS;
}

static void wait_in_grace(const struct step_input *in, uint64_t deadline,
			  struct step *out)
{
	uint64_t due = in->now_ms + back_off_ms(out->next.attempts, in->random);

	later(out, due < deadline ? due : deadline);
}

static void vanished(const struct step_input *in, struct step *out)
{
	/* §15.2: gone, and on a head at or above the height it was at. */
	if (in->finding->at.head < in->rec->block)
		return;
	if (in->rec->state == CLAIM_ACTIVE) {
		enter(out, CLAIM_REORGED, in->now_ms);
		wait_in_grace(in,
			      in->now_ms + in->rules.reorg_grace_s * SECOND_MS,
			      out);
		out->kind = STEP_REORG;
		return;
	}
	if (in->now_ms >= deadline_ms(in))
		revoke(in, CLAIM_NOT_FOUND, out);
	else
		wait_in_grace(in, deadline_ms(in), out);
}

/* Failed, or no matching log: as vanished, without grace, once confirmed. */
static void turned_bad(const struct step_input *in, struct step *out)
{
	const struct finding *finding = in->finding;

	if (policy_holds(in->activate, &finding->at, finding->block)) {
		revoke(in, finding->fault, out);
		take_block(finding, &out->next);
		return;
	}
	if (in->rec->state == CLAIM_REORGED) {
		vanished(in, out);
		return;
	}
	if (is_same_block(in) && in->rec->due_ms > in->now_ms)
		return;
	take_block(finding, &out->next);
	out->kind = STEP_PROGRESS;
	out->next.due_ms = in->now_ms + SUSPECT_MS;
}

static void mined_credited(const struct step_input *in, struct step *out)
{
	const struct finding *finding = in->finding;
	bool was_gone = in->rec->state == CLAIM_REORGED;
	/* Without a price for it another value stays unsettled, as it was. */
	bool is_other = u256_compare(&finding->value, &in->credited_value) != 0;
	bool is_settled = !is_other && policy_holds(in->settle, &finding->at,
						    finding->block);

	if (finding->fault) {
		turned_bad(in, out);
		return;
	}
	take_block(finding, &out->next);
	if (is_other && in->has_price) {
		enter(out, CLAIM_ACTIVE, in->now_ms);
		out->next.value = finding->value;
		out->kind = STEP_REVALUE;
	} else if (was_gone) {
		enter(out, CLAIM_ACTIVE, in->now_ms);
		out->kind = STEP_RESTORE;
	} else if (is_settled) {
		enter(out, CLAIM_SETTLED, in->now_ms);
		out->kind = STEP_SETTLE;
	} else {
		keep(in, !is_same_block(in), out);
	}
}

static void step_credited(const struct step_input *in, struct step *out)
{
	switch (in->finding->kind) {
	case FINDING_NOTHING:
		return;
	case FINDING_ABSENT:
		vanished(in, out);
		return;
	case FINDING_MINED:
		mined_credited(in, out);
		return;
	case FINDING_REPLACED:
		if (in->finding->at.head >= in->rec->block)
			revoke(in, CLAIM_REPLACED, out);
		return;
	}
}

/* ---- revoked: watched for a while ---- */

static void step_revoked(const struct step_input *in, struct step *out)
{
	const struct claim_record *rec = in->rec;
	const struct finding *finding = in->finding;

	if (finding->kind == FINDING_NOTHING)
		return;
	if (finding->kind == FINDING_MINED && !finding->fault) {
		mined_uncredited(in, out);
		return;
	}
	if (finding->kind == FINDING_MINED &&
	    policy_holds(in->settle, &finding->at, finding->block)) {
		step_reject(rec, finding->fault, in->now_ms, out);
		take_block(finding, &out->next);
		return;
	}
	if (in->now_ms / SECOND_MS >= rec->updated_s + STEP_WATCH_S) {
		/* The user may submit it again: a reason that is reopened. */
		step_reject(rec,
			    rec->reason == CLAIM_REPLACED ? CLAIM_REPLACED
							  : CLAIM_NOT_FOUND,
			    in->now_ms, out);
		return;
	}
	if (finding->kind == FINDING_REPLACED)
		out->next.reason = CLAIM_REPLACED;
	later(out, in->now_ms + watch_ms(rec->attempts));
}

void step_decide(const struct step_input *in, struct step *out)
{
	begin(in->rec, out);
	/* Known while it is mined, so that a double spend is seen (§11). */
	if (in->finding->kind == FINDING_MINED &&
	    in->finding->sender_nonce != CLAIM_NONCE_UNKNOWN)
		out->next.sender_nonce = in->finding->sender_nonce;
	switch (in->rec->state) {
	case CLAIM_RECEIVED:
	case CLAIM_PENDING:
	case CLAIM_CONFIRMING:
		step_uncredited(in, out);
		return;
	case CLAIM_ACTIVE:
		step_credited(in, out);
		return;
	case CLAIM_REORGED:
		if (in->is_credited)
			step_credited(in, out);
		else
			step_revoked(in, out);
		return;
	case CLAIM_SETTLED:
	case CLAIM_REJECTED:
		return;
	}
}
