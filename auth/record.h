#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H
/*
 * What the payments environment stores (payments.md §18): fixed offsets, big
 * endian, CRC-32C over the whole value with its own four bytes zero.
 *
 * Decoding returns 0, ERR_CORRUPT (size or checksum) or ERR_UNSUPPORTED (a
 * version we do not know).
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/claim.h"
#include "auth/plan.h"
#include "core/u256.h"

/* ---- §18.1 entitlement ---- */

#define ENTITLEMENT_CREDITS_MAX 32
#define ENTITLEMENT_SIZE_MIN    64
#define ENTITLEMENT_CREDIT_SIZE 60
#define ENTITLEMENT_SIZE_MAX                                                   \
	(ENTITLEMENT_SIZE_MIN +                                                \
	 ENTITLEMENT_CREDITS_MAX * ENTITLEMENT_CREDIT_SIZE)

enum entitlement_flag {
	ENTITLEMENT_GRANTED = 1,
	ENTITLEMENT_SUSPENDED = 2,
	ENTITLEMENT_UNSETTLED = 4,
	ENTITLEMENT_REORG_GRACE = 8,
	ENTITLEMENT_NO_END = 16,
};

/* Unused value of a node in one token. */
struct credit {
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	struct u256 amount;
};

struct entitlement {
	uint8_t kind; /* enum plan_kind */
	uint16_t flags;
	uint64_t created_s;
	uint64_t updated_s;
	uint64_t expiry_s;
	uint64_t quota;
	uint64_t next_seq; /* of the node's next ledger entry; the first is 1 */
	uint64_t reorg_deadline_s; /* 0: none */
	uint32_t unsettled;        /* payments */
	uint16_t credits_count;
	struct credit credits[ENTITLEMENT_CREDITS_MAX];
};

/* Returns the bytes written. */
size_t entitlement_encode(const struct entitlement *ent,
			  uint8_t out[static ENTITLEMENT_SIZE_MAX]);
int entitlement_decode(const uint8_t *in, size_t len, struct entitlement *out);
/* The credit kept for a chain and token; zero if there is none. */
struct u256 entitlement_credit(const struct entitlement *ent, uint64_t chain_id,
			       const uint8_t token[static ADDRESS_SIZE]);
/* Set it (zero removes the row). 0 or ERR_FULL. */
int entitlement_set_credit(struct entitlement *ent, uint64_t chain_id,
			   const uint8_t token[static ADDRESS_SIZE],
			   const struct u256 *amount);

/* ---- §18.2 ledger entry ---- */

#define ENTRY_SIZE 336

enum entry_type {
	ENTRY_CREDIT = 1,
	ENTRY_CONVERT = 2,
	ENTRY_GRANT = 3,
	ENTRY_ADJUST = 4,
};
enum entry_flag { ENTRY_VOID = 1, ENTRY_SETTLED = 2 };

struct entry {
	uint8_t type;
	uint16_t flags;
	uint64_t at_s;
	uint64_t refers_to; /* seq, 0: none */
	uint32_t units;
	uint32_t min_units;
	uint32_t max_units;
	uint64_t unit_s;
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	uint8_t payee[ADDRESS_SIZE];
	uint8_t payer[ADDRESS_SIZE];
	uint16_t index;
	uint16_t option_id;
	uint8_t tx[TX_SIZE];
	uint64_t block;
	uint64_t block_time_s;
	uint8_t block_hash[32];
	uint8_t offer_hash[32];
	struct u256 price;
	struct u256 value;
	struct u256 credit_after;
	uint64_t expiry_after_s;
};

void entry_encode(const struct entry *entry, uint8_t out[static ENTRY_SIZE]);
int entry_decode(const uint8_t *in, size_t len, struct entry *out);

/* ---- §18.3 claim ---- */

#define CLAIM_RECORD_SIZE   352 /* and the proof */
#define CLAIM_RECORD_MAX    (CLAIM_RECORD_SIZE + CLAIM_PROOF_MAX)
#define CLAIM_NONCE_UNKNOWN UINT64_MAX

struct claim_record {
	enum claim_state state;
	enum claim_reason reason;
	uint64_t received_s;
	uint64_t updated_s;
	uint64_t due_ms; /* wall clock; 0 when terminal */
	uint32_t attempts;
	uint32_t rev;
	uint8_t id[CLAIM_ID_SIZE];
	struct claim claim; /* its proof is borrowed from the bytes decoded */
	uint64_t block;
	uint64_t block_time_s;
	uint8_t block_hash[32];
	struct u256 value;
	uint64_t sender_nonce; /* CLAIM_NONCE_UNKNOWN */
	uint64_t source_tag;   /* keyed hash of who sent it */
};

/* Returns the bytes written: CLAIM_RECORD_SIZE and the proof. */
size_t claim_record_encode(const struct claim_record *rec,
			   uint8_t out[static CLAIM_RECORD_MAX]);
int claim_record_decode(const uint8_t *in, size_t len,
			struct claim_record *out);

#endif
