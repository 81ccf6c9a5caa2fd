#ifndef AUTH_LEDGER_H
#define AUTH_LEDGER_H
/*
 * The payments environment (payments.md §12): an LMDB environment of its own,
 * opened with full synchronisation, and the one thread that writes to it. Each
 * of T1..T8 is one transaction there, or a part of a group that commits
 * together; whoever asked hears of it after the commit.
 *
 * Thread: ledger_post_*() from any (a letter, never a wait); ledger_read_*()
 * from any, in a read transaction of its own; open and close from one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "auth/access.h"
#include "auth/claim.h"
#include "auth/finding.h"
#include "auth/offer.h"
#include "auth/record.h"
#include "core/mailbox.h"

struct ledger;

#define LEDGER_CHAINS_MAX 8

struct ledger_chain {
	uint64_t id;
	uint64_t start_block; /* payments mined earlier are too_old */
};

/* A claim that a commit changed: for those who wait, for live peers. */
struct ledger_change {
	uint8_t key[CLAIM_KEY_SIZE];
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint8_t node[SECP_PUBLIC_SIZE];
	uint32_t rev;
	enum claim_state state;
};

struct ledger_config {
	const char *dir;  /* created 0700 when absent */
	size_t map_bytes; /* 0: LEDGER_MAP_BYTES, address space only */
	struct ledger_chain chains[LEDGER_CHAINS_MAX];
	unsigned chains_count;
	uint64_t claim_window_s;
	uint64_t pending_max_s;
	uint64_t reorg_grace_s;
	unsigned open_max; /* open claims in all (§16.3) */
	unsigned open_per_source;
	unsigned open_per_node;
	unsigned open_per_payer;
	/* Clocks, for tests: NULL are the wall clock, and the gate's (§14). */
	uint64_t (*wall_ms)(void *ctx);
	uint64_t (*deny_now)(void *ctx);
	void *clock_ctx;
	/* On the ledger thread after a commit that changed claims; short. */
	void (*changed)(void *ctx, const struct ledger_change *changes,
			size_t count);
	void *changed_ctx;
};
/* More than disks have: a full disk is mended without a new program. */
#define LEDGER_MAP_BYTES ((size_t)256 << 30)
/* Letters and findings that wait, and how many findings a batch may have. */
#define LEDGER_QUEUE_MAX 1024
#define LEDGER_GROUP_MAX 64

/* `why` gets a sentence for a person. 0, ERR_EXISTS (another process), ERR_IO,
 * ERR_CORRUPT, ERR_UNSUPPORTED (schema). */
int ledger_open(const struct ledger_config *config, struct ledger **out,
		char *why, size_t why_size);
/* Commits what is queued first. NULL is fine. */
void ledger_close(struct ledger *ledger);

/* ---- writing: letters to the ledger thread ---- */

enum ledger_op {
	LEDGER_ACCEPT,  /* T1: claim, source_tag → claim_id, is_new, record */
	LEDGER_FINDING, /* T2..T7, by what the finding means */
	LEDGER_CONVERT, /* T8: node */
	LEDGER_OFFER,   /* store a signed offer before it is shown */
	LEDGER_CHAIN,   /* chain id and genesis hash of a name; checked */
	LEDGER_GRANT,   /* operator: node, seconds (0: no end), text; again:
			   it is extended */
	LEDGER_SUSPEND, /* operator: node, text */
	LEDGER_RESUME,
	LEDGER_REVOKE,  /* operator: node, seq (0: all grants), text */
	LEDGER_CANCEL,  /* operator: claim_id, text */
	LEDGER_RECHECK, /* operator: claim_id is due now */
	LEDGER_BATCH,   /* findings[] in one letter */
	/* Numbers stand in stored events: new ones come last. */
	LEDGER_ALARM,       /* chain_id, block, hash: a finalized block has
			       changed (§11) */
	LEDGER_ACKNOWLEDGE, /* operator: chain_id, text */
	LEDGER_MODE,        /* operator: mode, settings_mode, text */
	LEDGER_MODE_NOW,    /* operator: mode, text; until the server ends */
	LEDGER_FINAL,       /* chain_id, block, hash: final by now (§11) */
};

/*
 * A letter and, after `done`, its answer. It belongs to the ledger from post
 * to `done`, which runs on the ledger thread after the commit and must be
 * short. Pointers must stay valid until then.
 */
struct ledger_task {
	struct letter letter;
	enum ledger_op op;
	const struct claim *claim;      /* ACCEPT; checked by the caller */
	uint64_t source_tag;            /* ACCEPT */
	const struct finding *findings; /* FINDING (1), BATCH */
	size_t findings_count;
	uint8_t node[SECP_PUBLIC_SIZE];
	uint8_t claim_id[CLAIM_ID_SIZE]; /* in or out */
	uint64_t seconds;
	uint64_t seq;
	const char *text;     /* the operator's reason */
	const uint8_t *offer; /* OFFER: signed bytes */
	size_t offer_size;
	uint64_t chain_id;     /* CHAIN, ALARM, ACKNOWLEDGE, FINAL */
	uint64_t block;        /* ALARM, FINAL */
	uint8_t hash[32];      /* CHAIN: genesis; else of the block now */
	enum access_mode mode; /* MODE: from now on */
	enum access_mode settings_mode; /* MODE: what the settings say */
	void (*done)(struct ledger_task *task);
	void *owner;

	/*
	 * Answer. ERR_FULL: a bound (§16.3) or the disk; nothing was written.
	 * ERR_EXISTS: ACCEPT of a payment that another claim was credited for.
	 * ERR_CONFLICT: the claim's rev has moved on, the finding is dropped
	 * (not told of a BATCH); or a chain with another genesis; or an offer
	 * whose sequence does not rise. ERR_NOTFOUND, ERR_DENIED: an
	 * operator's change that has no object or is not allowed there.
	 * ERR_IO, ERR_CORRUPT.
	 */
	int err;
	bool is_new;
	struct claim_record record; /* ACCEPT; its proof is not kept */
	size_t results_;            /* the ledger's own */
};

/* 0, or ERR_FULL / ERR_CLOSED: nothing was taken and `done` will not run. */
int ledger_post(struct ledger *ledger, struct ledger_task *task);
/* Post and wait: for commands and tests, never on a ring. Returns task->err. */
int ledger_run(struct ledger *ledger, struct ledger_task *task);

/* ---- reading ---- */

/* A claim with what a client is shown of it (§7.1). The policies are those of
 * the option that prices it: once it is mined that of §4.4, before that the
 * named offer's, or the newest one's with such an option. */
struct claim_view {
	struct claim_record record;
	uint8_t proof[CLAIM_PROOF_MAX]; /* record.claim.proof points here */
	uint8_t key[CLAIM_KEY_SIZE];
	struct policy activate;
	struct policy settle;
	bool has_policy;
	/* Once credited: */
	bool is_credited;
	uint32_t units;
	struct u256 credit; /* after it */
	uint64_t expiry_s;  /* after it */
	enum plan_outcome outcome;
	uint64_t seq;
};
/* What the ledger knows of a claim: 0, ERR_NOTFOUND, ERR_CORRUPT or ERR_IO. */
int ledger_read_claim(struct ledger *ledger,
		      const uint8_t key[static CLAIM_KEY_SIZE],
		      struct claim_view *out);
int ledger_read_claim_id(struct ledger *ledger,
			 const uint8_t id[static CLAIM_ID_SIZE],
			 struct claim_view *out);

/* Claims due at or before `until_ms`, earliest first. Returns how many. */
struct due_claim {
	uint64_t due_ms;
	uint8_t key[CLAIM_KEY_SIZE];
};
size_t ledger_read_due(struct ledger *ledger, uint64_t until_ms,
		       struct due_claim *out, size_t max);
/* Confirming and active claims of blocks first..last of a chain. */
struct height_claim {
	uint64_t block;
	uint8_t key[CLAIM_KEY_SIZE];
};
size_t ledger_read_heights(struct ledger *ledger, uint64_t chain_id,
			   uint64_t first, uint64_t last,
			   struct height_claim *out, size_t max);
/* 0 or ERR_NOTFOUND. */
int ledger_read_node(struct ledger *ledger,
		     const uint8_t node[static SECP_PUBLIC_SIZE],
		     struct entitlement *out);
/* The newest offer whose not-before has passed; its signed bytes. 0 or
 * ERR_NOTFOUND. */
int ledger_read_offer(struct ledger *ledger, uint64_t now_s,
		      uint8_t out[static OFFER_SIZE_MAX], size_t *len);
/* The same with its content and hash, not checked again. */
int ledger_read_offer_hash(struct ledger *ledger, uint64_t now_s,
			   uint8_t out[static OFFER_SIZE_MAX], size_t *len,
			   struct offer *offer, uint8_t hash[static 32]);
/* The newest sequence, 0 if there is none. */
uint64_t ledger_read_sequence(struct ledger *ledger);
/* The option that is in force at `now_s` for a credit in this token; false if
 * there is none. */
bool ledger_read_option(struct ledger *ledger, uint64_t now_s,
			uint64_t chain_id,
			const uint8_t token[static ADDRESS_SIZE],
			struct offer_option *out);
/* The option that an entry has its price from; its offer is kept as long as the
 * entry. False: the entry has none. */
bool ledger_read_entry_option(struct ledger *ledger, const struct entry *entry,
			      struct offer_option *out);
/* Was this chain, token and payee ever offered within the claim window? */
enum offered {
	OFFERED_YES,
	OFFERED_NO_CHAIN,
	OFFERED_NO_TOKEN,
	OFFERED_NO_PAYEE,
	OFFERED_TOO_OLD, /* longer ago than the claim window */
};
enum offered ledger_read_offered(struct ledger *ledger,
				 const struct claim *claim, uint64_t now_s);

/* Walks, each in one read transaction; `visit` returns false to stop. 0, or
 * ERR_CORRUPT or ERR_IO at the row that cannot be read. */
int ledger_each_node(struct ledger *ledger,
		     bool (*visit)(void *ctx, const uint8_t *node,
				   const struct entitlement *ent),
		     void *ctx);
int ledger_each_claim(struct ledger *ledger,
		      bool (*visit)(void *ctx, const struct claim_view *view),
		      void *ctx);
int ledger_each_entry(struct ledger *ledger,
		      bool (*visit)(void *ctx, const uint8_t *node,
				    uint64_t seq, const struct entry *entry),
		      void *ctx);

/* A block of a chain, and since when it is noted. */
struct ledger_block {
	uint64_t chain_id;
	uint64_t at_s;
	uint64_t block;
	uint8_t hash[32];
};
/* A finalized block that has changed, as it is now, when nobody has
 * acknowledged it. 0, ERR_NOTFOUND, ERR_CORRUPT or ERR_IO. */
int ledger_read_alarm(struct ledger *ledger, uint64_t chain_id,
		      struct ledger_block *out);
/* The newest that was told to be final. As above. */
int ledger_read_final(struct ledger *ledger, uint64_t chain_id,
		      struct ledger_block *out);

/* The mode as the operator set it last, and what the settings said then; not
 * there when that was the same. 0, ERR_NOTFOUND or ERR_CORRUPT. */
#define LEDGER_REASON_SIZE 128
struct ledger_mode {
	enum access_mode mode;
	enum access_mode settings_mode;
	uint64_t at_s;
	char reason[LEDGER_REASON_SIZE];
};
/* 0, ERR_NOTFOUND (never set), ERR_CORRUPT or ERR_IO. */
int ledger_read_mode(struct ledger *ledger, struct ledger_mode *out);

/* What changed, for notifications and the audit trail (§12.1 `events`). */
struct ledger_event {
	uint64_t index;
	uint64_t at_s;
	uint8_t kind; /* the T number, or LEDGER_KIND_ORDER + enum ledger_op
			 for what is none, first of all the operator's */
	uint8_t claim_key[CLAIM_KEY_SIZE]; /* zero if none */
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint8_t node[SECP_PUBLIC_SIZE];
	enum claim_state from, to;
	enum claim_reason reason;
	uint64_t chain_id;
	uint64_t block; /* of an order about a node: its seq in the ledger */
	uint32_t units; /* of LEDGER_MODE and LEDGER_MODE_NOW: the mode */
	char text[LEDGER_REASON_SIZE]; /* an order's reason */
};
#define LEDGER_KIND_ORDER 100
/* "grant", "mode paid": of an event whose kind is an order's. */
const char *ledger_order_str(const struct ledger_event *event);
/* Events above `after`, oldest first. Returns how many. */
size_t ledger_read_events(struct ledger *ledger, uint64_t after,
			  struct ledger_event *out, size_t max);
/* Only the orders, found without a look at the others; as other walks. */
int ledger_each_order(struct ledger *ledger,
		      bool (*visit)(void *ctx,
				    const struct ledger_event *event),
		      void *ctx);

/* ---- keeping ---- */

struct ledger_stats {
	uint64_t claims_open, claims_all, nodes, entries, events;
	uint64_t by_state[CLAIM_REORGED + 1];
	uint64_t commits, results;
};
void ledger_read_stats(struct ledger *ledger, struct ledger_stats *out);
/* Why the newest group that had something to store could not: ERR_FULL, ERR_IO,
 * ERR_NOMEM; 0: it could, or there was none. */
int ledger_store_err(const struct ledger *ledger);

/*
 * Check a closed environment: the six invariants of §12.3. Findings are lines
 * for a person. 0, ERR_CORRUPT, ERR_IO, ERR_EXISTS (in use).
 */
int ledger_fsck(const char *dir, FILE *report);
/*
 * Copy the environment at `from` into the folder `to`, made when absent, while
 * another process (not this one) may be writing it: all as it was committed at
 * one moment, and on the disk when this returns 0. ERR_NOTFOUND (there is
 * none), ERR_EXISTS (`to` has one) or ERR_IO, with a sentence in `why`.
 */
int ledger_backup(const char *from, const char *to, char *why, size_t why_size);

/* The keyed hash that stands for a source in records: per database. */
uint64_t ledger_source_tag(const struct ledger *ledger, const uint8_t *source,
			   size_t len);

struct gate; /* auth/gate.h */
/* The gate over this environment; lives as long as it. */
struct gate *ledger_gate(struct ledger *ledger);

#endif
