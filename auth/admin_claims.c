/* The operator: claims. */
#include "auth/admin_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/* A claim is looked at within seconds; a transaction that was sent with enough
 * for its fee is mined within the hour. */
#define RECEIVED_LONG_S ((uint64_t)10 * 60)
#define PENDING_LONG_S  ((uint64_t)60 * 60)
#define REJECTED_LOOK_S ((uint64_t)7 * 24 * 60 * 60)
#define LOOK_MAX        50

static json_t *claim_value(struct admin_call *call,
			   const struct claim_view *view)
{
	const struct claim_record *rec = &view->record;
	json_t *row = json_object();

	call_put_hex(call, row, "claim", "", rec->id, CLAIM_ID_SIZE);
	call_put_text(call, row, "state", claim_state_str(rec->state));
	call_put_text(call, row, "reason",
		      rec->reason ? claim_reason_str(rec->reason) : "");
	call_put_number(call, row, "received", rec->received_s);
	call_put_number(call, row, "updated", rec->updated_s);
	call_put_number(call, row, "block", rec->block);
	call_put_number(call, row, "attempts", rec->attempts);
	call_put_amount(call, row, "value", &rec->value);
	call_put_number(call, row, "units", view->units);
	call_put_hex(call, row, "node", "", rec->claim.node, SECP_PUBLIC_SIZE);
	return row;
}

/* ---- those that a person should look at ---- */

static bool is_paid_for_nothing(enum claim_reason reason)
{
	return reason == CLAIM_TOO_OLD || reason == CLAIM_NO_OPTION ||
	       reason == CLAIM_AMOUNT_OVERFLOW;
}

bool claim_needs_look(const struct claim_record *rec, uint64_t now_s)
{
	switch (rec->state) {
	case CLAIM_RECEIVED:
		return now_s >= rec->received_s + RECEIVED_LONG_S;
	case CLAIM_PENDING:
		return now_s >= rec->received_s + PENDING_LONG_S;
	case CLAIM_REJECTED:
		return is_paid_for_nothing(rec->reason) &&
		       now_s < rec->updated_s + REJECTED_LOOK_S;
	case CLAIM_REORGED:
		return true;
	case CLAIM_CONFIRMING:
	case CLAIM_ACTIVE:
	case CLAIM_SETTLED:
		return false;
	}
	return false;
}

/* ---- lists ---- */

static bool is_listed(const struct listing *l, const struct claim_record *rec)
{
	if (l->needs_look)
		return claim_needs_look(rec, clock_wall_s());
	return !l->wanted ||
	       strcmp(l->wanted, claim_state_str(rec->state)) == 0;
}

static bool on_claim(void *ctx, const struct claim_view *view)
{
	struct listing *l = ctx;

	if (!is_listed(l, &view->record))
		return true;
	call_append(l->call, l->list, claim_value(l->call, view));
	return !listing_is_full(l);
}

static void list_claims(struct admin_call *call, struct listing *l)
{
	if (!call_number_arg(call, "limit", &l->max))
		return;
	l->list = json_array();
	if (ledger_each_claim(call->ledger, on_claim, l))
		call->is_bad = true;
	call_answer(call, l->list);
}

static bool is_state(const char *word)
{
	for (int s = CLAIM_RECEIVED; s <= CLAIM_REORGED; s++)
		if (strcmp(word, claim_state_str((enum claim_state)s)) == 0)
			return true;
	return false;
}

void claims_list(struct admin_call *call)
{
	struct listing l = {.call = call,
			    .max = ADMIN_LIST_MAX,
			    .wanted = call_arg(call, "state")};

	if (l.wanted && !is_state(l.wanted))
		call_error(call, 400, "bad_format",
			   "state: received, pending, confirming, active, "
			   "settled, rejected or reorged");
	else
		list_claims(call, &l);
}

void claims_look(struct admin_call *call)
{
	struct listing l = {.call = call, .max = LOOK_MAX, .needs_look = true};

	list_claims(call, &l);
}

/* ---- one ---- */

static void show_claim(struct admin_call *call,
		       const uint8_t id[static CLAIM_ID_SIZE])
{
	struct claim_view *view = malloc(sizeof(*view));
	const struct claim *claim;
	json_t *root;

	if (!view || ledger_read_claim_id(call->ledger, id, view)) {
		free(view);
		call_error(call, 404, "unknown_claim", "no claim has this id");
		return;
	}
	claim = &view->record.claim;
	root = claim_value(call, view);
	call_put_number(call, root, "scheme", claim->scheme);
	call_put_number(call, root, "chain_id", claim->chain_id);
	call_put_hex(call, root, "token", "0x", claim->token, ADDRESS_SIZE);
	call_put_hex(call, root, "payee", "0x", claim->payee, ADDRESS_SIZE);
	call_put_hex(call, root, "payer", "0x", claim->payer, ADDRESS_SIZE);
	call_put_hex(call, root, "tx", "0x", claim->tx, TX_SIZE);
	call_put_number(call, root, "transfer", claim->index);
	call_put_hex(call, root, "offer", "0x", claim->offer_hash, 32);
	call_put_number(call, root, "due_ms", view->record.due_ms);
	call_put(call, root, "orders", orders_of(call, NULL, id));
	call_answer(call, root);
	free(view);
}

void claims_show(struct admin_call *call)
{
	uint8_t id[CLAIM_ID_SIZE];

	if (call_claim_arg(call, id))
		show_claim(call, id);
}

static void change_claim(struct admin_call *call, enum ledger_op op)
{
	struct ledger_task task = {.op = op};

	if (call_claim_arg(call, task.claim_id) &&
	    call_reason_arg(call, &task.text) &&
	    call_is_done(call, ledger_run(call->ledger, &task)))
		show_claim(call, task.claim_id);
}

void claims_cancel(struct admin_call *call)
{
	change_claim(call, LEDGER_CANCEL);
}
void claims_recheck(struct admin_call *call)
{
	change_claim(call, LEDGER_RECHECK);
}
