/* What the operator orders about a node or a claim: grants, their end, who is
 * shut out, claims that are cancelled or looked at again. */
#include <string.h>

#include "auth/ledger_rows.h"
#include "core/bytes.h"
#include "core/err.h"

/* Grants of one node that one order can revoke. */
#define REVOKE_MAX 256

static int add_operator_entry(struct group *group,
			      const struct ledger_task *task,
			      struct entry *entry)
{
	struct entitlement ent;
	int err = rows_load_node(group, task->node, &ent);

	entry->at_s = group->deny_s;
	if (!err)
		err = rows_append_entry(group, task->node, &ent, entry);
	if (!err)
		rows_node_event(group, LEDGER_KIND_ORDER + (unsigned)task->op,
				task->node, ent.next_seq - 1, 0, task->text);
	return err;
}

int operate_grant(struct group *group, const struct ledger_task *task)
{
	struct entry entry = {.type = ENTRY_GRANT, .unit_s = task->seconds};

	return add_operator_entry(group, task, &entry);
}

int operate_adjust(struct group *group, const struct ledger_task *task,
		   enum adjust_kind kind)
{
	struct entry entry = {.type = ENTRY_ADJUST,
			      .option_id = (uint16_t)kind};
	struct entitlement ent;
	bool is_suspended;
	int err = rows_load_node(group, task->node, &ent);

	if (err)
		return err;
	is_suspended = ent.flags & ENTITLEMENT_SUSPENDED;
	if (kind == ADJUST_RESUME && !is_suspended)
		return ERR_NOTFOUND;
	if (kind == ADJUST_SUSPEND && is_suspended)
		return ERR_EXISTS;
	return add_operator_entry(group, task, &entry);
}

/* The seqs of the node's grants that count, or the one asked for. */
static int find_grants(struct group *group, const struct ledger_task *task,
		       uint64_t seqs[static REVOKE_MAX], size_t *count)
{
	uint8_t from[ENTRY_KEY_SIZE];
	struct ledger_walk walk;
	struct entry entry;
	int err = 0;

	entry_key(task->node, task->seq, from);
	ledger_walk_init(&walk, &group->tx, TABLE_LEDGER, from, sizeof(from));
	while (!err && *count < REVOKE_MAX && ledger_walk_next(&walk) &&
	       !memcmp(walk.key.mv_data, task->node, SECP_PUBLIC_SIZE)) {
		const uint8_t *key = walk.key.mv_data;
		uint64_t seq = be64_load(key + SECP_PUBLIC_SIZE);

		if (task->seq && seq != task->seq)
			break;
		err = entry_decode(walk.value.mv_data, walk.value.mv_size,
				   &entry);
		if (!err && entry.type == ENTRY_GRANT &&
		    !(entry.flags & ENTRY_VOID))
			seqs[(*count)++] = seq;
		else if (!err && task->seq)
			err = ERR_DENIED; /* what was paid for stays */
	}
	ledger_walk_release(&walk);
	if (!err && *count == 0)
		err = ERR_NOTFOUND;
	return err;
}

int operate_revoke(struct group *group, const struct ledger_task *task)
{
	struct entry order = {.type = ENTRY_ADJUST, .option_id = ADJUST_REVOKE};
	uint64_t seqs[REVOKE_MAX];
	struct entry entry;
	size_t count = 0;
	int err = find_grants(group, task, seqs, &count);

	for (size_t i = 0; i < count && !err; i++) {
		err = rows_load_entry(group, task->node, seqs[i], &entry);
		if (err)
			break;
		entry.flags |= ENTRY_VOID;
		rows_store_entry(group, task->node, seqs[i], &entry, false);
	}
	if (!err)
		err = rows_refold_and_store(group, task->node);
	order.refers_to = count ? seqs[0] : 0;
	return err ? err : add_operator_entry(group, task, &order);
}

int operate_claim(struct group *group, struct ledger_task *task)
{
	bool is_cancel = task->op == LEDGER_CANCEL;
	struct credited credited;
	struct held_claim held;
	struct step step;
	bool is_open;
	int err = rows_load_claim_id(group, task->claim_id, &held);

	if (err)
		return err;
	read_credited(&group->tx, &held.rec.claim, held.key, &credited);
	is_open = claim_is_open(held.rec.state);
	/* §16.4: only what is not active can be cancelled. */
	if (is_cancel ? !is_open || credited.is_credited
		      : held.rec.state == CLAIM_SETTLED)
		return ERR_DENIED;
	if (is_cancel)
		step_reject(&held.rec, CLAIM_CANCELLED, group->now_ms, &step);
	else if (is_open)
		step_recheck(&held.rec, group->now_ms, &step);
	else
		step_reopen(&held.rec, group->now_ms, &step);
	rows_move_claim(group, held.key, &held.rec, &step.next);
	rows_claim_event(group, LEDGER_KIND_ORDER + (unsigned)task->op,
			 held.key, &held.rec, &step.next, 0, task->text);
	rows_did(group, is_cancel ? T7 : T2);
	return 0;
}
