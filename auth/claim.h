#ifndef AUTH_CLAIM_H
#define AUTH_CLAIM_H
/*
 * A claim says «credit this payment to this node» and proves the payer's
 * consent (payments.md §6). Pure values: texts, digests, keys and checks.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/secp.h"

#define ADDRESS_SIZE 20
#define TX_SIZE      32

#define PAYMENT_KEY_SIZE 102 /* §6.2 */
#define CLAIM_KEY_SIZE   32
#define CLAIM_ID_SIZE    16
#define CLAIM_TEXT_MAX   1024
#define CLAIM_PROOF_MAX  4096

enum claim_scheme {
	CLAIM_SIGNATURE = 1, /* EIP-191 text, §6.3 */
	CLAIM_CONTRACT = 2,  /* ERC-1271, §6.4 */
	CLAIM_CALLDATA = 3,  /* commitment, §6.5: off, refused */
};

/* §8; the numbers are on the wire and on the disk. */
enum claim_state {
	CLAIM_RECEIVED = 1,
	CLAIM_PENDING = 2,
	CLAIM_CONFIRMING = 3,
	CLAIM_ACTIVE = 4,
	CLAIM_SETTLED = 5,
	CLAIM_REJECTED = 6,
	CLAIM_REORGED = 7,
};
enum claim_reason {
	CLAIM_NO_REASON = 0,
	CLAIM_TX_FAILED = 1,
	CLAIM_NO_TRANSFER = 2,
	CLAIM_WRONG_TOKEN = 3,
	CLAIM_WRONG_PAYEE = 4,
	CLAIM_PAYER_MISMATCH = 5,
	CLAIM_BAD_PROOF = 6,
	CLAIM_ALREADY_CREDITED = 7,
	CLAIM_NOT_FOUND = 8,
	CLAIM_REPLACED = 9,
	CLAIM_TOO_OLD = 10,
	CLAIM_NO_OPTION = 11,
	CLAIM_AMOUNT_OVERFLOW = 12,
	CLAIM_CANCELLED = 13,
};
/* The words of the specification: "received", "tx_failed". "?" otherwise. */
const char *claim_state_str(enum claim_state state);
const char *claim_reason_str(enum claim_reason reason);

struct claim {
	enum claim_scheme scheme;
	uint8_t node[SECP_PUBLIC_SIZE];
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	uint8_t payee[ADDRESS_SIZE];
	uint8_t payer[ADDRESS_SIZE];
	uint8_t tx[TX_SIZE];
	uint16_t index; /* transfer index, §6.2 */
	uint8_t offer_hash[32];
	const uint8_t *proof; /* borrowed */
	size_t proof_size;    /* 1..CLAIM_PROOF_MAX */
};

/* The text of §6.3, without a NUL counted. Returns its length. */
size_t claim_text(const struct claim *claim,
		  const uint8_t server[static SECP_PUBLIC_SIZE],
		  char out[static CLAIM_TEXT_MAX]);
/* What a wallet signs for a text (EIP-191). */
void claim_digest_of(const char *text, size_t len, uint8_t digest[static 32]);
void claim_digest(const struct claim *claim,
		  const uint8_t server[static SECP_PUBLIC_SIZE],
		  uint8_t digest[static 32]);

/*
 * Scheme 1: 65 bytes with v 27, 28, 0 or 1, or 64 bytes of ERC-2098; low s
 * only; recovers to the payer. Returns 0 or ERR_AUTH.
 */
int claim_check_signature(const struct claim *claim,
			  const uint8_t server[static SECP_PUBLIC_SIZE]);
/* Recover the address behind any proof of that form. 0 or ERR_AUTH. */
int claim_recover(const uint8_t digest[static 32], const uint8_t *proof,
		  size_t proof_size, uint8_t address[static ADDRESS_SIZE]);

/* Last 20 bytes of keccak256 of the public key. */
void address_from_public(const uint8_t public[static SECP_PUBLIC_SIZE],
			 uint8_t address[static ADDRESS_SIZE]);

void claim_payment_key(const struct claim *claim,
		       uint8_t out[static PAYMENT_KEY_SIZE]);
void claim_key(const struct claim *claim, uint8_t out[static CLAIM_KEY_SIZE]);

/* Calldata proofs (§6.5): what must stand behind transfer(payee, value). */
void claim_commitment(const uint8_t server[static SECP_PUBLIC_SIZE],
		      const uint8_t node[static SECP_PUBLIC_SIZE],
		      const uint8_t nonce[static 16], uint8_t out[static 32]);

#endif
