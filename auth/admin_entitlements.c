/* The operator: nodes, until when, and their ledger. */
#include "auth/admin_private.h"

#include <string.h>

#include "core/clock.h"

const char *entitlement_standing(const struct entitlement *ent,
				 uint64_t grace_s, uint64_t now_s)
{
	if (ent->flags & ENTITLEMENT_SUSPENDED)
		return "suspended";
	if (ent->flags & ENTITLEMENT_NO_END)
		return "without_end";
	if (now_s < ent->expiry_s)
		return "active";
	if (ent->expiry_s && now_s < ent->expiry_s + grace_s)
		return "in_grace";
	return "expired";
}

static json_t *credits_value(struct admin_call *call,
			     const struct entitlement *ent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ent->credits_count; i++) {
		json_t *row = json_object();

		call_put_number(call, row, "chain_id",
				ent->credits[i].chain_id);
		call_put_hex(call, row, "token", "0x", ent->credits[i].token,
			     ADDRESS_SIZE);
		call_put_amount(call, row, "credit", &ent->credits[i].amount);
		call_append(call, list, row);
	}
	return list;
}

uint64_t entitlement_grace(const struct admin_call *call)
{
	return gate_rules(payments_gate(call->payments)).grace_s;
}

static json_t *node_value(struct admin_call *call, const uint8_t *node,
			  const struct entitlement *ent, uint64_t grace_s)
{
	json_t *row = json_object();

	call_put_hex(call, row, "node", "", node, SECP_PUBLIC_SIZE);
	call_put_text(call, row, "standing",
		      entitlement_standing(ent, grace_s, clock_wall_s()));
	call_put_number(call, row, "expiry", ent->expiry_s);
	call_put_number(call, row, "created", ent->created_s);
	call_put_number(call, row, "updated", ent->updated_s);
	call_put_number(call, row, "flags", ent->flags);
	call_put_number(call, row, "unsettled", ent->unsettled);
	call_put(call, row, "credits", credits_value(call, ent));
	return row;
}

static bool on_node(void *ctx, const uint8_t *node,
		    const struct entitlement *ent)
{
	struct listing *l = ctx;
	uint64_t grace_s = entitlement_grace(l->call);

	if (l->wanted &&
	    strcmp(l->wanted,
		   entitlement_standing(ent, grace_s, clock_wall_s())) != 0)
		return true;
	call_append(l->call, l->list, node_value(l->call, node, ent, grace_s));
	return !listing_is_full(l);
}

static bool is_standing(const char *word)
{
	static const char *const words[] = {"active",      "in_grace",
					    "expired",     "suspended",
					    "without_end", NULL};

	for (size_t i = 0; words[i]; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

void entitlements_list(struct admin_call *call)
{
	struct listing l = {.call = call, .max = ADMIN_LIST_MAX};

	if (!call_number_arg(call, "limit", &l.max))
		return;
	l.wanted = call_arg(call, "standing");
	if (l.wanted && !is_standing(l.wanted)) {
		call_error(call, 400, "bad_format",
			   "standing: active, in_grace, expired, suspended or "
			   "without_end");
		return;
	}
	l.list = json_array();
	if (ledger_each_node(call->ledger, on_node, &l))
		call->is_bad = true;
	call_answer(call, l.list);
}

const char *entry_type_text(uint8_t type)
{
	static const char *const texts[] = {
		[ENTRY_CREDIT] = "credit",
		[ENTRY_CONVERT] = "convert",
		[ENTRY_GRANT] = "grant",
		[ENTRY_ADJUST] = "adjust",
	};

	return type >= ENTRY_CREDIT && type <= ENTRY_ADJUST ? texts[type] : "?";
}

static json_t *entry_value(struct admin_call *call, uint64_t seq,
			   const struct entry *entry, const char *reason)
{
	json_t *row = json_object();

	call_put_number(call, row, "seq", seq);
	call_put_text(call, row, "type", entry_type_text(entry->type));
	call_put_text(call, row, "reason", reason ? reason : "");
	call_put_bool(call, row, "void", entry->flags & ENTRY_VOID);
	call_put_bool(call, row, "settled", entry->flags & ENTRY_SETTLED);
	call_put_number(call, row, "at", entry->at_s);
	call_put_number(call, row, "units", entry->units);
	call_put_number(call, row, "unit", entry->unit_s);
	call_put_number(call, row, "expiry_after", entry->expiry_after_s);
	if (entry->type == ENTRY_CREDIT || entry->type == ENTRY_CONVERT) {
		call_put_number(call, row, "chain_id", entry->chain_id);
		call_put_hex(call, row, "token", "0x", entry->token,
			     ADDRESS_SIZE);
		call_put_amount(call, row, "value", &entry->value);
		call_put_amount(call, row, "credit_after",
				&entry->credit_after);
	}
	if (entry->type == ENTRY_CREDIT) {
		call_put_hex(call, row, "tx", "0x", entry->tx, TX_SIZE);
		call_put_number(call, row, "block", entry->block);
	}
	return row;
}

struct node_entries {
	struct admin_call *call;
	json_t *list;
	struct reasons *reasons;
	uint8_t node[SECP_PUBLIC_SIZE];
};

static bool on_entry(void *ctx, const uint8_t *node, uint64_t seq,
		     const struct entry *entry)
{
	struct node_entries *n = ctx;

	if (memcmp(node, n->node, SECP_PUBLIC_SIZE) == 0)
		call_append(n->call, n->list,
			    entry_value(n->call, seq, entry,
					reasons_find(n->reasons, node, seq)));
	return memcmp(node, n->node, SECP_PUBLIC_SIZE) <= 0;
}

static void show_node(struct admin_call *call,
		      const uint8_t node[static SECP_PUBLIC_SIZE])
{
	struct node_entries n = {.call = call};
	struct entitlement ent;
	json_t *root;

	if (ledger_read_node(call->ledger, node, &ent)) {
		call_error(call, 404, "unknown_node",
			   "this node has no record");
		return;
	}
	n.reasons = reasons_new(call->ledger);
	if (!n.reasons) {
		call_error(call, 500, "failed", "the ledger cannot be read");
		return;
	}
	memcpy(n.node, node, SECP_PUBLIC_SIZE);
	n.list = json_array();
	root = node_value(call, node, &ent, entitlement_grace(call));
	if (ledger_each_entry(call->ledger, on_entry, &n))
		call->is_bad = true;
	call_put(call, root, "ledger", n.list);
	call_put(call, root, "orders", orders_of(call, node, NULL));
	call_answer(call, root);
	reasons_free(n.reasons);
}

void entitlements_show(struct admin_call *call)
{
	uint8_t node[SECP_PUBLIC_SIZE];

	if (call_node_arg(call, node))
		show_node(call, node);
}

static void change_node(struct admin_call *call, enum ledger_op op)
{
	struct ledger_task task = {.op = op};

	if (!call_node_arg(call, task.node) ||
	    !call_reason_arg(call, &task.text) ||
	    !call_number_arg(call, "seconds", &task.seconds) ||
	    !call_number_arg(call, "seq", &task.seq))
		return;
	if (op == LEDGER_GRANT && !call_arg(call, "seconds")) {
		call_error(call, 400, "bad_format",
			   "seconds: how long; 0 is without end");
		return;
	}
	if (call_is_done(call, ledger_run(call->ledger, &task)))
		show_node(call, task.node);
}

void entitlements_grant(struct admin_call *call)
{
	change_node(call, LEDGER_GRANT);
}
void entitlements_extend(struct admin_call *call)
{
	uint64_t seconds = 0;

	if (!call_number_arg(call, "seconds", &seconds))
		return;
	if (seconds == 0)
		call_error(call, 400, "bad_format",
			   "seconds: by how long, more than 0");
	else
		change_node(call, LEDGER_GRANT);
}
void entitlements_suspend(struct admin_call *call)
{
	change_node(call, LEDGER_SUSPEND);
}
void entitlements_resume(struct admin_call *call)
{
	change_node(call, LEDGER_RESUME);
}
void entitlements_revoke(struct admin_call *call)
{
	change_node(call, LEDGER_REVOKE);
}
