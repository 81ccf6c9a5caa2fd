#include "auth/step.h"

#include <criterion/criterion.h>

#define NOW_S    1767300000ull
#define NOW_MS   (NOW_S * 1000)
#define HOUR_MS  3600000ull
#define BLOCK    200
#define PENDING  86400
#define GRACE    3600
#define WINDOW   (400 * 86400ull)
#define ACTIVATE 6
#define SETTLE   12

/* What a claim is, what is found, what comes of it. */
struct row {
	const char *what;
	enum claim_state state;
	bool is_credited;
	enum finding_kind kind;
	uint64_t head;           /* the block is BLOCK */
	enum claim_reason fault; /* of the finding */
	uint64_t value;          /* found; the credited one is 100 */
	uint8_t fork;     /* hash of the block found; the record's is 1 */
	uint64_t since_s; /* age of the claim's state */
	enum step_kind want;
	enum claim_state next;
	enum claim_reason reason;
};

#define R CLAIM_RECEIVED
#define P CLAIM_PENDING
#define C CLAIM_CONFIRMING
#define A CLAIM_ACTIVE
#define S CLAIM_SETTLED
#define X CLAIM_REJECTED
#define G CLAIM_REORGED

#define NONE   FINDING_NOTHING
#define ABSENT FINDING_ABSENT
#define MINED  FINDING_MINED
#define SPENT  FINDING_REPLACED

/* clang-format off */
static const struct row rows[] = {
	/* what                           state cr kind   head fault v  fork since      step           next reason */
	{"no answer changes nothing",        R, 0, NONE,  900, 0,   0, 1, 0,           STEP_NOTHING,  R, 0},
	{"nor for a pending one",            P, 0, NONE,  900, 0,   0, 1, PENDING + 9, STEP_NOTHING,  P, 0},
	{"nor for an active one",            A, 1, NONE,  900, 0,   0, 1, 0,           STEP_NOTHING,  A, 0},
	{"nor for one in grace",             G, 1, NONE,  900, 0,   0, 1, GRACE + 9,   STEP_NOTHING,  G, 0},
	{"nor for a revoked one",            G, 0, NONE,  900, 0,   0, 1, 0,           STEP_NOTHING,  G, 0},

	{"first look, not there",            R, 0, ABSENT, 205, 0,   0, 0, 0,           STEP_PROGRESS, P, 0},
	{"first look after a long outage",   R, 0, ABSENT, 205, 0,   0, 0, PENDING + 9, STEP_PROGRESS, P, 0},
	{"still not there",                  P, 0, ABSENT, 205, 0,   0, 0, PENDING - 1, STEP_PROGRESS, P, 0},
	{"never came",                       P, 0, ABSENT, 205, 0,   0, 0, PENDING,     STEP_REJECT,   X, CLAIM_NOT_FOUND},
	{"vanished before activation",       C, 0, ABSENT, 205, 0,   0, 1, PENDING + 9, STEP_PROGRESS, P, 0},
	{"replaced before it was seen",      R, 0, SPENT,  205, 0,   0, 0, 0,           STEP_REJECT,   X, CLAIM_REPLACED},
	{"replaced while pending",           P, 0, SPENT,  205, 0,   0, 0, 0,           STEP_REJECT,   X, CLAIM_REPLACED},
	{"replaced while confirming",        C, 0, SPENT,  205, 0,   0, 0, 0,           STEP_REJECT,   X, CLAIM_REPLACED},

	{"first look, one confirmation",     R, 0, MINED, 200, 0, 100, 1, 0,           STEP_PROGRESS, C, 0},
	{"pending, five of six",             P, 0, MINED, 204, 0, 100, 1, 0,           STEP_PROGRESS, C, 0},
	{"head below the block",             P, 0, MINED, 199, 0, 100, 1, 0,           STEP_PROGRESS, C, 0},
	{"still five, nothing new",          C, 0, MINED, 204, 0, 100, 1, 0,           STEP_NOTHING,  C, 0},
	{"five, in another block",           C, 0, MINED, 204, 0, 100, 2, 0,           STEP_PROGRESS, C, 0},
	{"six of six",                       C, 0, MINED, 205, 0, 100, 1, 0,           STEP_CREDIT,   A, 0},
	{"six of six in another block",      C, 0, MINED, 205, 0, 100, 2, 0,           STEP_CREDIT,   A, 0},
	{"eleven",                           R, 0, MINED, 210, 0, 100, 1, 0,           STEP_CREDIT,   A, 0},
	{"old: straight to settled",         R, 0, MINED, 211, 0, 100, 1, 0,           STEP_CREDIT,   S, 0},
	{"pending, old",                     P, 0, MINED, 211, 0, 100, 1, 0,           STEP_CREDIT,   S, 0},

	{"failed, five of six",              R, 0, MINED, 204, CLAIM_TX_FAILED, 0, 1, 0, STEP_PROGRESS, C, 0},
	{"failed, six of six",               C, 0, MINED, 205, CLAIM_TX_FAILED, 0, 1, 0, STEP_REJECT, X, CLAIM_TX_FAILED},
	{"no transfer, confirmed",           R, 0, MINED, 205, CLAIM_NO_TRANSFER, 0, 1, 0, STEP_REJECT, X, CLAIM_NO_TRANSFER},
	{"wrong token, confirmed",           P, 0, MINED, 205, CLAIM_WRONG_TOKEN, 0, 1, 0, STEP_REJECT, X, CLAIM_WRONG_TOKEN},
	{"wrong payee, confirmed",           P, 0, MINED, 205, CLAIM_WRONG_PAYEE, 0, 1, 0, STEP_REJECT, X, CLAIM_WRONG_PAYEE},
	{"other payer, confirmed",           P, 0, MINED, 205, CLAIM_PAYER_MISMATCH, 0, 1, 0, STEP_REJECT, X, CLAIM_PAYER_MISMATCH},
	{"other payer, not confirmed",       P, 0, MINED, 204, CLAIM_PAYER_MISMATCH, 0, 1, 0, STEP_PROGRESS, C, 0},

	/* §11, row by row */
	{"active, nothing new",              A, 1, MINED, 210, 0, 100, 1, 0,           STEP_NOTHING,  A, 0},
	{"same transfer in another block",   A, 1, MINED, 204, 0, 100, 2, 0,           STEP_PROGRESS, A, 0},
	{"settle policy reached",            A, 1, MINED, 211, 0, 100, 1, 0,           STEP_SETTLE,   S, 0},
	{"settled in another block",         A, 1, MINED, 211, 0, 100, 2, 0,           STEP_SETTLE,   S, 0},
	{"other value",                      A, 1, MINED, 204, 0, 120, 2, 0,           STEP_REVALUE,  A, 0},
	{"other value, old already",         A, 1, MINED, 250, 0, 120, 2, 0,           STEP_REVALUE,  A, 0},
	{"now failed, not confirmed",        A, 1, MINED, 204, CLAIM_TX_FAILED, 0, 2, 0, STEP_PROGRESS, A, 0},
	{"now failed, confirmed",            A, 1, MINED, 205, CLAIM_TX_FAILED, 0, 2, 0, STEP_REVOKE, G, CLAIM_TX_FAILED},
	{"now without log, confirmed",       A, 1, MINED, 205, CLAIM_NO_TRANSFER, 0, 2, 0, STEP_REVOKE, G, CLAIM_NO_TRANSFER},
	{"vanished",                         A, 1, ABSENT, 205, 0,   0, 0, 0,           STEP_REORG,    G, 0},
	{"vanished, says a low head",        A, 1, ABSENT, 199, 0,   0, 0, 0,           STEP_NOTHING,  A, 0},
	{"double spent",                     A, 1, SPENT,  205, 0,   0, 0, 0,           STEP_REVOKE,   G, CLAIM_REPLACED},
	{"double spent, says a low head",    A, 1, SPENT,  199, 0,   0, 0, 0,           STEP_NOTHING,  A, 0},
	{"gone, grace runs",                 G, 1, ABSENT, 205, 0,   0, 0, GRACE - 1,   STEP_PROGRESS, G, 0},
	{"gone, deadline passed",            G, 1, ABSENT, 205, 0,   0, 0, GRACE,       STEP_REVOKE,   G, CLAIM_NOT_FOUND},
	{"deadline passed, low head",        G, 1, ABSENT, 199, 0,   0, 0, GRACE,       STEP_NOTHING,  G, 0},
	{"gone, then double spent",          G, 1, SPENT,  205, 0,   0, 0, 0,           STEP_REVOKE,   G, CLAIM_REPLACED},
	{"mined again in time",              G, 1, MINED, 200, 0, 100, 2, GRACE - 1,   STEP_RESTORE,  A, 0},
	{"mined again, nobody had looked",   G, 1, MINED, 200, 0, 100, 2, GRACE + 9,   STEP_RESTORE,  A, 0},
	{"mined again, other value",         G, 1, MINED, 200, 0, 120, 2, 0,           STEP_REVALUE,  A, 0},
	{"mined again and failed",           G, 1, MINED, 205, CLAIM_TX_FAILED, 0, 2, 0, STEP_REVOKE, G, CLAIM_TX_FAILED},
	{"mined again, failed, fresh",       G, 1, MINED, 204, CLAIM_TX_FAILED, 0, 2, 0, STEP_PROGRESS, G, 0},

	{"revoked, mined again",             G, 0, MINED, 203, 0, 100, 2, 0,           STEP_PROGRESS, C, 0},
	{"revoked, mined and confirmed",     G, 0, MINED, 205, 0, 100, 2, 0,           STEP_CREDIT,   A, 0},
	{"revoked, still gone",              G, 0, ABSENT, 205, 0,   0, 0, 3600,        STEP_PROGRESS, G, CLAIM_NOT_FOUND},
	{"revoked, gone for a week",         G, 0, ABSENT, 205, 0,   0, 0, STEP_WATCH_S, STEP_REJECT,  X, CLAIM_NOT_FOUND},
	{"revoked, then double spent",       G, 0, SPENT,  205, 0,   0, 0, 3600,        STEP_PROGRESS, G, CLAIM_REPLACED},
	{"revoked, failed for good",         G, 0, MINED, 211, CLAIM_TX_FAILED, 0, 2, 0, STEP_REJECT, X, CLAIM_TX_FAILED},
	{"revoked, failed lately",           G, 0, MINED, 205, CLAIM_TX_FAILED, 0, 2, 0, STEP_PROGRESS, G, CLAIM_NOT_FOUND},

	{"settled stays",                    S, 1, ABSENT, 900, 0,   0, 0, 0,           STEP_NOTHING,  S, 0},
	{"settled stays, whatever is said",  S, 1, SPENT,  900, 0,   0, 0, 0,           STEP_NOTHING,  S, 0},
	{"settled stays, other value",       S, 1, MINED, 900, 0, 120, 2, 0,           STEP_NOTHING,  S, 0},
	{"settled stays, failed",            S, 1, MINED, 900, CLAIM_TX_FAILED, 0, 2, 0, STEP_NOTHING, S, 0},
	{"rejected stays",                   X, 0, MINED, 900, 0, 100, 1, 0,           STEP_NOTHING,  X, 0},
};
/* clang-format on */

struct scene {
	struct claim_record rec;
	struct finding finding;
	struct step_input in;
	struct step out;
};

static void set(struct scene *s, const struct row *row)
{
	memset(s, 0, sizeof(*s));
	s->rec = (struct claim_record){
		.state = row->state,
		.reason = row->state == G && !row->is_credited ? CLAIM_NOT_FOUND
							       : 0,
		.received_s = NOW_S - row->since_s,
		.updated_s = NOW_S - row->since_s,
		.due_ms = NOW_MS + HOUR_MS,
		.rev = 5,
		.value = u256_from_u64(100),
		.claim = {.scheme = CLAIM_SIGNATURE},
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};
	if (row->state != R && row->state != P) {
		s->rec.block = BLOCK;
		memset(s->rec.block_hash, 1, 32);
	}
	s->finding = (struct finding){
		.rev = 5,
		.kind = row->kind,
		.at = {.head = row->head},
		.block = BLOCK,
		.block_time_s = NOW_S - 60,
		.fault = row->fault,
		.value = u256_from_u64(row->value),
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};
	memset(s->finding.block_hash, row->fork, 32);
	s->in = (struct step_input){
		.rec = &s->rec,
		.finding = &s->finding,
		.is_credited = row->is_credited,
		.credited_value = u256_from_u64(100),
		.has_price = true,
		.activate = {POLICY_CONFIRMATIONS, ACTIVATE},
		.settle = {POLICY_CONFIRMATIONS, SETTLE},
		.rules = {.pending_max_s = PENDING,
			  .reorg_grace_s = GRACE,
			  .claim_window_s = WINDOW,
			  .start_block = 100},
		.now_ms = NOW_MS,
	};
}

static void decide(struct scene *s)
{
	step_decide(&s->in, &s->out);
}

Test(step, each_finding_in_each_state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct scene s;

		set(&s, row);
		decide(&s);
		cr_assert_eq(s.out.kind, row->want, "%s: step %d", row->what,
			     s.out.kind);
		if (row->want == STEP_NOTHING)
			continue;
		cr_assert_eq(s.out.next.state, row->next, "%s: %s", row->what,
			     claim_state_str(s.out.next.state));
		cr_assert_eq(s.out.next.reason, row->reason, "%s: %s",
			     row->what, claim_reason_str(s.out.next.reason));
		cr_assert_eq(s.out.next.rev, 6, "%s", row->what);
		cr_assert_eq(claim_is_open(s.out.next.state),
			     s.out.next.due_ms != 0, "%s", row->what);
		cr_assert_leq(s.out.next.due_ms, NOW_MS + STEP_LONGEST_MS, "%s",
			      row->what);
	}
}

/* Whatever the order of findings, no state has a due time in the past and no
 * decision depends on what is not in its input. */
Test(step, every_combination_gives_a_sound_record)
{
	static const enum claim_reason faults[] = {0, CLAIM_TX_FAILED,
						   CLAIM_BAD_PROOF};

	for (int state = R; state <= G; state++)
		for (int kind = NONE; kind <= SPENT; kind++)
			for (uint64_t head = 190; head < 220; head++)
				for (int bits = 0; bits < 24; bits++) {
					struct row row = {
						.state =
							(enum claim_state)state,
						.is_credited = bits & 1,
						.kind = (enum finding_kind)kind,
						.head = head,
						.fault = faults[bits >> 3],
						.value = bits & 2 ? 100 : 7,
						.fork = bits & 4 ? 1 : 2,
					};
					struct scene s;

					if (state == A || state == S)
						row.is_credited = true;
					set(&s, &row);
					decide(&s);
					if (s.out.kind == STEP_NOTHING)
						continue;
					cr_assert_neq(state, S);
					cr_assert_neq(state, X);
					cr_assert_neq(kind, NONE);
					cr_assert_eq(
						claim_is_open(s.out.next.state),
						s.out.next.due_ms != 0);
					/* Money moves for confirmed facts. */
					if (s.out.kind == STEP_CREDIT)
						cr_assert(head >= 205 &&
							  !row.fault &&
							  kind == MINED);
				}
}

Test(step, pending_backs_off_and_nothing_else_does)
{
	static const unsigned want[] = {4, 8, 16, 32, 60, 120, 300, 300, 300};
	const struct row row = {
		.state = P, .kind = ABSENT, .head = 205, .since_s = 10};
	struct scene s;

	set(&s, &row);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint64_t low, high;

		s.in.random = 0;
		decide(&s);
		low = s.out.next.due_ms - NOW_MS;
		s.in.random = want[i] * 400;
		decide(&s);
		high = s.out.next.due_ms - NOW_MS;
		cr_assert_eq(low, want[i] * 800);
		cr_assert_eq(high, want[i] * 1200);
		s.rec = s.out.next;
	}
	s.rec.state = C;
	s.finding.kind = MINED;
	s.finding.at.head = 201;
	decide(&s);
	cr_assert_eq(s.out.next.due_ms, NOW_MS + STEP_NET_MS);
}

Test(step, a_waiting_transaction_leaves_its_nonce)
{
	const struct row row = {.state = P, .kind = ABSENT, .head = 205};
	struct scene s;

	set(&s, &row);
	s.finding.is_waiting = true;
	s.finding.sender_nonce = 9;
	decide(&s);
	cr_assert_eq(s.out.next.sender_nonce, 9);
	s.rec = s.out.next;
	s.finding.is_waiting = false;
	s.finding.sender_nonce = CLAIM_NONCE_UNKNOWN;
	decide(&s);
	cr_assert_eq(s.out.next.sender_nonce, 9);
}

Test(step, the_net_is_renewed_when_it_comes_due)
{
	const struct row row = {.state = A,
				.is_credited = true,
				.kind = MINED,
				.head = 206,
				.value = 100,
				.fork = 1};
	struct scene s;

	set(&s, &row);
	s.rec.due_ms = NOW_MS;
	decide(&s);
	cr_assert_eq(s.out.kind, STEP_PROGRESS);
	cr_assert_eq(s.out.next.due_ms, NOW_MS + STEP_NET_MS);
	cr_assert_eq(s.out.next.updated_s, s.rec.updated_s);
}

Test(step, old_payments_and_unpriced_ones_are_rejected_when_confirmed)
{
	const struct row row = {.state = C,
				.kind = MINED,
				.head = 205,
				.value = 100,
				.fork = 1};
	struct scene s;

	set(&s, &row);
	s.in.rules.start_block = BLOCK;
	decide(&s);
	cr_assert_eq(s.out.kind, STEP_CREDIT);
	s.in.rules.start_block = BLOCK + 1;
	decide(&s);
	cr_assert_eq(s.out.next.reason, CLAIM_TOO_OLD);
	s.in.rules.start_block = 0;
	s.finding.block_time_s = NOW_S - WINDOW;
	decide(&s);
	cr_assert_eq(s.out.kind, STEP_CREDIT);
	s.finding.block_time_s--;
	decide(&s);
	cr_assert_eq(s.out.next.reason, CLAIM_TOO_OLD);
	s.finding.block_time_s = NOW_S;
	s.in.has_price = false;
	decide(&s);
	cr_assert_eq(s.out.next.reason, CLAIM_NO_OPTION);
	s.finding.at.head = 204;
	decide(&s);
	cr_assert_neq(s.out.kind, STEP_REJECT);
}

Test(step, a_contract_is_asked_when_the_transfer_is_confirmed)
{
	const struct row row = {.state = C,
				.kind = MINED,
				.head = 205,
				.value = 100,
				.fork = 1};
	struct scene s;

	set(&s, &row);
	s.rec.claim.scheme = CLAIM_CONTRACT;
	decide(&s);
	cr_assert(s.out.kind == STEP_NOTHING || s.out.kind == STEP_PROGRESS);
	s.finding.proof_asked = true;
	decide(&s);
	cr_assert_eq(s.out.next.reason, CLAIM_BAD_PROOF);
	s.finding.proof_good = true;
	decide(&s);
	cr_assert_eq(s.out.kind, STEP_CREDIT);
	s.finding.proof_good = false;
	s.finding.at.head = 204;
	decide(&s);
	cr_assert_neq(s.out.kind, STEP_REJECT);
}

Test(step, policies_hold_by_number_or_by_tag)
{
	struct chain_position at = {.head = 205};
	struct policy six = {POLICY_CONFIRMATIONS, 6};
	struct policy safe = {POLICY_SAFE, 0};
	struct policy final = {POLICY_FINAL, 0};

	cr_assert(policy_holds(six, &at, 200));
	cr_assert(!policy_holds(six, &at, 201));
	cr_assert(!policy_holds(six, &at, 206));
	cr_assert(!policy_holds(safe, &at, 1));
	cr_assert(!policy_holds(final, &at, 1));
	at.has_safe = at.has_final = true;
	at.safe = 150;
	at.final = 100;
	cr_assert(policy_holds(safe, &at, 150));
	cr_assert(!policy_holds(safe, &at, 151));
	cr_assert(policy_holds(final, &at, 100));
	cr_assert(!policy_holds(final, &at, 101));
}

Test(step, only_two_reasons_are_reopened)
{
	for (int reason = 0; reason <= CLAIM_CANCELLED; reason++) {
		struct claim_record rec = {.state = X,
					   .reason = (enum claim_reason)reason};

		cr_assert_eq(claim_is_reopened(&rec),
			     reason == CLAIM_NOT_FOUND ||
				     reason == CLAIM_REPLACED);
	}
}
