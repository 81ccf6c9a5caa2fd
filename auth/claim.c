#include "auth/claim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"

const char *claim_state_str(enum claim_state state)
{
	switch (state) {
	case CLAIM_RECEIVED:
		return "received";
	case CLAIM_PENDING:
		return "pending";
	case CLAIM_CONFIRMING:
		return "confirming";
	case CLAIM_ACTIVE:
		return "active";
	case CLAIM_SETTLED:
		return "settled";
	case CLAIM_REJECTED:
		return "rejected";
	case CLAIM_REORGED:
		return "reorged";
	}
	return "?";
}

const char *claim_reason_str(enum claim_reason reason)
{
	switch (reason) {
	case CLAIM_NO_REASON:
		return "";
	case CLAIM_TX_FAILED:
		return "tx_failed";
	case CLAIM_NO_TRANSFER:
		return "no_transfer";
	case CLAIM_WRONG_TOKEN:
		return "wrong_token";
	case CLAIM_WRONG_PAYEE:
		return "wrong_payee";
	case CLAIM_PAYER_MISMATCH:
		return "payer_mismatch";
	case CLAIM_BAD_PROOF:
		return "bad_proof";
	case CLAIM_ALREADY_CREDITED:
		return "already_credited";
	case CLAIM_NOT_FOUND:
		return "not_found";
	case CLAIM_REPLACED:
		return "replaced";
	case CLAIM_TOO_OLD:
		return "too_old";
	case CLAIM_NO_OPTION:
		return "no_option";
	case CLAIM_AMOUNT_OVERFLOW:
		return "amount_overflow";
	case CLAIM_CANCELLED:
		return "cancelled";
	}
	return "?";
}

/* §6.3: built from the fields, never parsed. */
size_t claim_text(const struct claim *claim,
		  const uint8_t server[static SECP_PUBLIC_SIZE],
		  char out[static CLAIM_TEXT_MAX])
{
	char server_hex[2 * SECP_PUBLIC_SIZE + 1];
	char node_hex[2 * SECP_PUBLIC_SIZE + 1];
	char token[2 * ADDRESS_SIZE + 1];
	char payee[2 * ADDRESS_SIZE + 1];
	char payer[2 * ADDRESS_SIZE + 1];
	char tx[2 * TX_SIZE + 1];
	char offer[2 * 32 + 1];
	int len;

	hex_encode(server, SECP_PUBLIC_SIZE, server_hex);
	hex_encode(claim->node, SECP_PUBLIC_SIZE, node_hex);
	hex_encode(claim->token, ADDRESS_SIZE, token);
	hex_encode(claim->payee, ADDRESS_SIZE, payee);
	hex_encode(claim->payer, ADDRESS_SIZE, payer);
	hex_encode(claim->tx, TX_SIZE, tx);
	hex_encode(claim->offer_hash, 32, offer);
	len = snprintf(out, CLAIM_TEXT_MAX,
		       "Mail service payment claim, version 1\n"
		       "\n"
		       "I made the token transfer named below to pay for mail "
		       "service.\n"
		       "Credit it to this node on this server, and to no "
		       "other.\n"
		       "\n"
		       "Server: %s\n"
		       "Node: %s\n"
		       "Chain: %" PRIu64 "\n"
		       "Token: 0x%s\n"
		       "Payee: 0x%s\n"
		       "Payer: 0x%s\n"
		       "Transaction: 0x%s\n"
		       "Transfer: %u\n"
		       "Offer: 0x%s",
		       server_hex, node_hex, claim->chain_id, token, payee,
		       payer, tx, (unsigned)claim->index, offer);
	assert(len > 0 && len < CLAIM_TEXT_MAX);
	return (size_t)len;
}

void claim_digest_of(const char *text, size_t len, uint8_t digest[static 32])
{
	struct keccak k;
	char prefix[64];
	int prefix_len;

	/* The leading byte is 0x19; octal, so that no letter joins it. */
	prefix_len = snprintf(prefix, sizeof(prefix),
			      "\031Ethereum Signed Message:\n%zu", len);
	keccak_init(&k);
	keccak_absorb(&k, prefix, (size_t)prefix_len);
	keccak_absorb(&k, text, len);
	keccak_peek(&k, digest);
}

void claim_digest(const struct claim *claim,
		  const uint8_t server[static SECP_PUBLIC_SIZE],
		  uint8_t digest[static 32])
{
	char text[CLAIM_TEXT_MAX];
	size_t len = claim_text(claim, server, text);

	claim_digest_of(text, len, digest);
}

void address_from_public(const uint8_t public[static SECP_PUBLIC_SIZE],
			 uint8_t address[static ADDRESS_SIZE])
{
	uint8_t hash[KECCAK_DIGEST];

	keccak256(public, SECP_PUBLIC_SIZE, hash);
	memcpy(address, hash + KECCAK_DIGEST - ADDRESS_SIZE, ADDRESS_SIZE);
}

/* Bring either form to r ‖ s ‖ v with v 0 or 1. */
static int normal_signature(const uint8_t *proof, size_t size,
			    uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	if (size == 64) {
		/* ERC-2098: the top bit of s is v. */
		memcpy(sig, proof, 64);
		sig[64] = proof[32] >> 7;
		sig[32] &= 0x7f;
		return 0;
	}
	if (size != SECP_SIGNATURE_SIZE)
		return ERR_AUTH;
	memcpy(sig, proof, SECP_SIGNATURE_SIZE);
	if (sig[64] == 27 || sig[64] == 28)
		sig[64] = (uint8_t)(sig[64] - 27);
	return sig[64] <= 1 ? 0 : ERR_AUTH;
}

int claim_recover(const uint8_t digest[static 32], const uint8_t *proof,
		  size_t proof_size, uint8_t address[static ADDRESS_SIZE])
{
	uint8_t sig[SECP_SIGNATURE_SIZE];
	uint8_t public[SECP_PUBLIC_SIZE];

	if (normal_signature(proof, proof_size, sig))
		return ERR_AUTH;
	/* §6.3: a high s MUST be refused. */
	if (!secp_signature_is_low_s(sig))
		return ERR_AUTH;
	if (secp_recover(digest, sig, public))
		return ERR_AUTH;
	address_from_public(public, address);
	return 0;
}

int claim_check_signature(const struct claim *claim,
			  const uint8_t server[static SECP_PUBLIC_SIZE])
{
	uint8_t digest[32];
	uint8_t address[ADDRESS_SIZE];

	claim_digest(claim, server, digest);
	if (claim_recover(digest, claim->proof, claim->proof_size, address))
		return ERR_AUTH;
	return memcmp(address, claim->payer, ADDRESS_SIZE) ? ERR_AUTH : 0;
}

void claim_payment_key(const struct claim *claim,
		       uint8_t out[static PAYMENT_KEY_SIZE])
{
	be64_store(out, claim->chain_id);
	memcpy(out + 8, claim->tx, TX_SIZE);
	memcpy(out + 40, claim->token, ADDRESS_SIZE);
	memcpy(out + 60, claim->payee, ADDRESS_SIZE);
	memcpy(out + 80, claim->payer, ADDRESS_SIZE);
	be16_store(out + 100, claim->index);
}

void claim_key(const struct claim *claim, uint8_t out[static CLAIM_KEY_SIZE])
{
	static const char prefix[] = "mail-service-claim:1:";
	uint8_t payment[PAYMENT_KEY_SIZE];
	struct keccak k;

	claim_payment_key(claim, payment);
	keccak_init(&k);
	keccak_absorb(&k, prefix, sizeof(prefix) - 1);
	keccak_absorb(&k, claim->node, SECP_PUBLIC_SIZE);
	keccak_absorb(&k, payment, sizeof(payment));
	keccak_peek(&k, out);
}

void claim_commitment(const uint8_t server[static SECP_PUBLIC_SIZE],
		      const uint8_t node[static SECP_PUBLIC_SIZE],
		      const uint8_t nonce[static 16], uint8_t out[static 32])
{
	static const char prefix[] = "mail-service-bind:1:";
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, prefix, sizeof(prefix) - 1);
	keccak_absorb(&k, server, SECP_PUBLIC_SIZE);
	keccak_absorb(&k, node, SECP_PUBLIC_SIZE);
	keccak_absorb(&k, nonce, 16);
	keccak_peek(&k, out);
}
