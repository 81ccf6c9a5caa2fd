#ifndef AUTH_LEDGER_PRIVATE_H
#define AUTH_LEDGER_PRIVATE_H
/*
 * What the files of the ledger share among themselves; nobody else includes
 * this but auth/gate.c.
 *
 * Thread: the ledger's, but where a field or a comment says otherwise; keys,
 *         coding and the fold: any.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "auth/counts.h"
#include "auth/gate.h"
#include "auth/ledger.h"
#include "auth/ledger_db.h"
#include "auth/roster.h"
#include "auth/step.h"

/* ---- keys (§12.1) ---- */

#define DUE_KEY_SIZE    (8 + CLAIM_KEY_SIZE)
#define HEIGHT_KEY_SIZE (16 + CLAIM_KEY_SIZE)
#define ENTRY_KEY_SIZE  (SECP_PUBLIC_SIZE + 8)
#define SOURCE_KEY_SIZE 32

void due_key(uint64_t due_ms, const uint8_t key[static CLAIM_KEY_SIZE],
	     uint8_t out[static DUE_KEY_SIZE]);
void height_key(uint64_t chain_id, uint64_t block,
		const uint8_t key[static CLAIM_KEY_SIZE],
		uint8_t out[static HEIGHT_KEY_SIZE]);
void entry_key(const uint8_t node[static SECP_PUBLIC_SIZE], uint64_t seq,
	       uint8_t out[static ENTRY_KEY_SIZE]);

/* ---- payments rows ---- */

enum payment_state { PAYMENT_CREDITED = 1, PAYMENT_VOID = 2 };
#define PAYMENT_SIZE (1 + CLAIM_KEY_SIZE + SECP_PUBLIC_SIZE + 8)
struct payment {
	enum payment_state state;
	uint8_t claim_key[CLAIM_KEY_SIZE];
	uint8_t node[SECP_PUBLIC_SIZE];
	uint64_t seq;
};
void payment_encode(const struct payment *payment,
		    uint8_t out[static PAYMENT_SIZE]);
int payment_decode(const uint8_t *in, size_t len, struct payment *out);

/* ---- counters kept in meta ---- */

struct tally {
	uint64_t next_event; /* the first is 1 */
	uint64_t by_state[CLAIM_REORGED + 1];
};
#define TALLY_SIZE ((size_t)8 * (2 + CLAIM_REORGED))
extern const char tally_meta_key[8];
extern const char source_meta_key[8];
void tally_encode(const struct tally *tally, uint8_t out[static TALLY_SIZE]);
int tally_decode(const uint8_t *in, size_t len, struct tally *out);

/* ---- events ---- */

#define EVENT_FIXED_SIZE 160
#define EVENT_SIZE_MAX   (EVENT_FIXED_SIZE + 128)
size_t event_encode(const struct ledger_event *event,
		    uint8_t out[static EVENT_SIZE_MAX]);
int event_decode(const uint8_t *in, size_t len, struct ledger_event *out);

/* ---- offers in memory: a list that is replaced, never changed ---- */

struct kept_offer {
	uint8_t hash[32];
	struct offer offer;
	size_t size;
	uint8_t bytes[]; /* as signed */
};
/* Lists share one array for as long as it has room: a reader of an older one
 * looks at the first `count` only, and these never change. */
struct kept_offers {
	struct kept_offers *older; /* freed at the end: readers may hold it */
	size_t count;
	size_t max; /* of the array */
	bool owns_list;
	struct kept_offer **list; /* by rising sequence */
};

struct group;

struct priced {
	const struct kept_offer *offer;
	const struct offer_option *option; /* NULL: none */
};
/* §4.4. */
struct priced offers_price(const struct kept_offers *offers,
			   const struct claim *claim, uint64_t block_time_s);
/* The option whose policies hold for a claim, priced or not. */
struct priced offers_policy(const struct kept_offers *offers,
			    const struct claim_record *rec);
/* In force for a credit of this token. */
struct priced offers_convert(const struct kept_offers *offers, uint64_t now_s,
			     uint64_t chain_id,
			     const uint8_t token[static ADDRESS_SIZE]);
const struct kept_offer *offers_in_force(const struct kept_offers *offers,
					 uint64_t now_s);
/* NULL: no memory. `offers` may be NULL; it hangs below the new list. */
struct kept_offers *offers_with(struct kept_offers *offers,
				const struct offer *offer,
				const uint8_t hash[static 32],
				const uint8_t *bytes, size_t size);
/* An entry of the ledger has this offer's price: it is kept for ever. */
void offers_mark(struct group *group, const struct offer *offer);
/*
 * Remove up to `max` offers from the disk that nobody can claim for any more
 * and that no entry has its price from (§4.4), but never the newest: sequences
 * only rise. In memory they stay until the end, as readers may hold them.
 * Returns how many.
 */
size_t offers_drop(struct group *group, size_t max);
/* Undo offers_with(): nobody has seen the list. */
struct kept_offers *offers_without_newest(struct kept_offers *offers);
void offers_free(struct kept_offers *offers);

/* ---- the fold (§12.3) ---- */

/* What the operator's entries of type 4 say, in their option id. */
enum adjust_kind { ADJUST_SUSPEND = 1, ADJUST_RESUME = 2, ADJUST_REVOKE = 3 };

/*
 * Add an entry to a record. Void entries change nothing. `out` (or NULL) gets
 * what a credit or a conversion gave. 0, ERR_RANGE (an amount or a time
 * overflows), ERR_FULL (too many tokens), ERR_CORRUPT (no such type): the
 * record is then unchanged.
 */
int fold_apply(struct entitlement *ent, const struct entry *entry,
	       struct plan_result *out);
/* The outcome of an entry as it was written. */
enum plan_outcome fold_outcome(const struct entry *entry);
/* The claim an entry of type 1 was made for. */
void fold_claim_key(const uint8_t node[static SECP_PUBLIC_SIZE],
		    const struct entry *entry,
		    uint8_t out[static CLAIM_KEY_SIZE]);

/* ---- the ledger ---- */

struct ledger {
	struct ledger_config config;
	struct ledger_db db;
	struct gate *gate;
	_Atomic(struct kept_offers *) offers;
	uint8_t source_key[SOURCE_KEY_SIZE];
	/* The table `nodes` for the gate. While it is not whole, who is not in
	 * it may be in the table. */
	struct roster *roster;
	atomic_bool is_roster_whole;

	pthread_t thread;
	bool has_thread;
	struct mailbox box;
	atomic_bool is_closing;
	atomic_uint posting;
	atomic_uint findings_waiting;
	atomic_int store_err; /* of the newest that wrote */
	_Atomic uint64_t commits;
	_Atomic uint64_t results;

	/* Ledger thread. */
	struct counts counts;
	struct tally tally;
	uint64_t kept_ms; /* monotonic: when housekeeping was last begun */
	uint8_t keep_from[CLAIM_KEY_SIZE];
	uint64_t keep_event; /* index where the next pass begins */
	bool keeps_offers;   /* old ones are still to be removed */
	bool is_keeping;
	uint8_t roster_from[SECP_PUBLIC_SIZE]; /* read up to here */
	bool is_roster_read;
	int64_t ahead_ms; /* wall clock minus monotonic, as last seen */
	bool has_ahead;
	/* RESTANTE_KILL: a T, and whether after the commit; 0: none. */
	unsigned kill_t;
	bool kill_after;
};

uint64_t ledger_wall_ms(const struct ledger *ledger);
uint64_t ledger_deny_now(const struct ledger *ledger);

/* A part of a group that stands or falls alone. */
struct result {
	struct ledger_task *task;
	const struct finding *finding; /* FINDING, BATCH */
	int err;
	bool is_out; /* failed when it had written: not tried again */
};

/* What a group credited, for the counters of §20. */
struct income {
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	uint8_t decimals;
	uint32_t units;
	struct u256 value;
};

/* One LMDB transaction with the changes of memory that go with it. */
struct undo {
	uint64_t key;
	bool was_added;
};
struct node_change {
	uint8_t node[SECP_PUBLIC_SIZE];
	uint64_t standing;
};
struct group {
	struct ledger *ledger;
	struct ledger_tx tx;
	unsigned did; /* bit T: a transaction of that kind is in it */
	uint64_t now_ms;
	uint64_t now_s;
	uint64_t deny_s;
	struct tally tally;
	struct kept_offers *offers; /* with those of this group */
	struct undo *undo;
	size_t undo_count, undo_max;
	struct ledger_change *changes;
	size_t changes_count, changes_max;
	struct ledger_event *events; /* for the log, after the commit */
	size_t events_count, events_max;
	struct income *income;
	size_t income_count, income_max;
	struct node_change *nodes; /* for the roster, after the commit */
	size_t nodes_count, nodes_max;
};

/* Count and log what was committed, in `us` microseconds. */
void meter_commit(const struct group *group, uint64_t us, size_t results);

/* Carry one result out in the group's transaction; sets result->err. An error
 * in group->tx.err means that the transaction is of no more use. */
void write_result(struct group *group, struct result *result);
/* Remove or shorten one old claim (§18.3), if it is time. */
void write_keep(struct group *group, const uint8_t key[static CLAIM_KEY_SIZE]);
bool write_is_kept(const struct claim_record *rec, uint64_t now_s);
/* Remove old events from `*from` on, some at a time, but never an order or the
 * newest one. True: there are more. */
bool write_keep_events(struct group *group, uint64_t *from);
/* How a claim counts: its source, node and payer. */
void rows_count_keys(const struct ledger *ledger,
		     const struct claim_record *rec, uint64_t out[static 3]);

/* Find what stands behind a claim; used by readers and the writer. */
struct credited {
	bool is_credited; /* a non-void entry of this very claim */
	bool has_payment;
	struct payment payment;
	struct entry entry;
};
void read_credited(struct ledger_tx *tx, const struct claim *claim,
		   const uint8_t key[static CLAIM_KEY_SIZE],
		   struct credited *out);

/* ---- orders that concern neither a claim nor a node ---- */

/* Rows of meta: a name, and a number behind it. */
#define META_KEY_SIZE 16
void meta_key(const char *name, uint64_t number,
	      uint8_t out[static META_KEY_SIZE]);
/* Remember that this event is an order's. */
void orders_index(struct group *group, uint64_t event_index);
int orders_alarm(struct group *group, const struct ledger_task *task);
int orders_acknowledge(struct group *group, const struct ledger_task *task);
int orders_mode(struct group *group, const struct ledger_task *task);
int orders_mode_now(struct group *group, const struct ledger_task *task);
/* No order, but it lies beside the alarms. */
int orders_final(struct group *group, const struct ledger_task *task);

/* ---- gate ---- */

/* NULL: no memory. */
struct gate *gate_new(struct ledger *ledger);
void gate_free(struct gate *gate);

#endif
