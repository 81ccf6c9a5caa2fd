#ifndef AUTH_LEDGER_ROWS_H
#define AUTH_LEDGER_ROWS_H
/*
 * How claims, records of nodes, ledger entries, events and counters change
 * within a group's transaction. Everything that belongs to one claim changes
 * through one function, so that the invariants of payments.md §12.3 hold.
 *
 * For the files of the ledger that write. Functions that answer nothing leave
 * what went wrong in group->tx.err.
 *
 * Thread: the ledger's.
 */
#include "auth/ledger_private.h"

/* Kinds of transactions, as payments.md §12.2 numbers them. */
enum { T1 = 1, T2, T3, T4, T5, T6, T7, T8 };

/* A transaction of that kind is in the group. */
void rows_did(struct group *group, unsigned t);
/* One place more in a list of the group; NULL: no memory. */
void *rows_grow(struct group *group, void *list, size_t count, size_t *max,
		size_t size);

/* ---- claims ---- */

/* A claim read from the disk with its proof held beside it. */
struct held_claim {
	uint8_t key[CLAIM_KEY_SIZE];
	uint8_t proof[CLAIM_PROOF_MAX];
	struct claim_record rec;
};

/* Of held->key. 0, ERR_NOTFOUND or ERR_CORRUPT. */
int rows_load_claim(struct group *group, struct held_claim *held);
int rows_load_claim_id(struct group *group, const uint8_t *id,
		       struct held_claim *held);
/* The bounds on open claims (§16.3) leave room for this one. */
bool rows_has_room(const struct group *group, const struct claim_record *rec);
/* The one door through which a claim changes; `old` NULL: it is new. */
void rows_move_claim(struct group *group, const uint8_t *key,
		     const struct claim_record *old,
		     const struct claim_record *next);

/* ---- records and entries of nodes ---- */

/* A node without a record gets an empty one. 0 or ERR_CORRUPT. */
int rows_load_node(struct group *group, const uint8_t *node,
		   struct entitlement *ent);
void rows_store_node(struct group *group, const uint8_t *node,
		     struct entitlement *ent);
/* 0, ERR_NOTFOUND or ERR_CORRUPT. */
int rows_load_entry(struct group *group, const uint8_t *node, uint64_t seq,
		    struct entry *entry);
void rows_store_entry(struct group *group, const uint8_t *node, uint64_t seq,
		      const struct entry *entry, bool is_new);
/* Add an entry and its effect; its seq is ent->next_seq - 1 afterwards. 0 or
 * the errors of fold_apply(), then nothing is written. */
int rows_append_entry(struct group *group, const uint8_t *node,
		      struct entitlement *ent, struct entry *entry);
/* The record anew, from all entries (§12.3). 0, ERR_CORRUPT, or ERR_RANGE: it
 * has no room for what is left. */
int rows_refold(struct group *group, const uint8_t *node,
		struct entitlement *ent);
int rows_refold_and_store(struct group *group, const uint8_t *node);

/* ---- events ---- */

/* Give an event its index and time, and store it. */
void rows_event(struct group *group, struct ledger_event *event);
void rows_claim_event(struct group *group, unsigned kind, const uint8_t *key,
		      const struct claim_record *old,
		      const struct claim_record *next, uint32_t units,
		      const char *text);
void rows_node_event(struct group *group, unsigned kind, const uint8_t *node,
		     uint64_t seq, uint32_t units, const char *text);

/* ---- the parts of the writer ---- */

/* T2 to T7: what a finding does to its claim. 0, ERR_NOTFOUND, ERR_CONFLICT
 * (the claim has changed since the work began) or ERR_CORRUPT. */
int carry_finding(struct group *group, const struct finding *finding);

/* The operator's orders about a node or a claim. */
int operate_grant(struct group *group, const struct ledger_task *task);
int operate_adjust(struct group *group, const struct ledger_task *task,
		   enum adjust_kind kind);
int operate_revoke(struct group *group, const struct ledger_task *task);
int operate_claim(struct group *group, struct ledger_task *task);

#endif
