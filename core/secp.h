#ifndef CORE_SECP_H
#define CORE_SECP_H
/*
 * Keys, signatures and shared secrets on secp256k1 (protocol/rlpx.md §1), in
 * the forms devp2p uses: 64-byte public keys X ‖ Y, 65-byte signatures
 * r ‖ s ‖ v, unhashed ECDH.
 *
 * Thread: any. One process-wide context, randomised at first use.
 */
#include <stdbool.h>
#include <stdint.h>

#define SECP_PRIVATE_SIZE   32
#define SECP_PUBLIC_SIZE    64
#define SECP_SIGNATURE_SIZE 65
#define SECP_COMPACT_SIZE   33 /* a public key as 02 or 03 ‖ X */

struct secp_key {
	uint8_t private[SECP_PRIVATE_SIZE];
	uint8_t public[SECP_PUBLIC_SIZE];
};

/* A fresh key from the system's generator. Erase it with bytes_erase(). */
void secp_key_new(struct secp_key *key);
/* From 32 bytes. Returns 0, or ERR_RANGE if they are no private key. */
int secp_key_from_private(const uint8_t private[static SECP_PRIVATE_SIZE],
			  struct secp_key *key);
/* Is this a point of the curve? Ask before anything received is used. */
bool secp_public_is_valid(const uint8_t public[static SECP_PUBLIC_SIZE]);

/* The short form of a public key, and back: 0 or ERR_AUTH (it is no point). */
void secp_public_compact(const uint8_t public[static SECP_PUBLIC_SIZE],
			 uint8_t out[static SECP_COMPACT_SIZE]);
int secp_public_from_compact(const uint8_t in[static SECP_COMPACT_SIZE],
			     uint8_t public[static SECP_PUBLIC_SIZE]);

/* The 32 X bytes, not hashed. Returns 0 or ERR_AUTH (public is no point). */
int secp_ecdh(const uint8_t private[static SECP_PRIVATE_SIZE],
	      const uint8_t public[static SECP_PUBLIC_SIZE],
	      uint8_t out[static 32]);

/* Sign the 32 bytes as they are; v = 0..3, low s. */
void secp_sign(const struct secp_key *key, const uint8_t digest[static 32],
	       uint8_t sig[static SECP_SIGNATURE_SIZE]);
/* v must be 0..3. High s is accepted. Returns 0 or ERR_AUTH. */
int secp_recover(const uint8_t digest[static 32],
		 const uint8_t sig[static SECP_SIGNATURE_SIZE],
		 uint8_t public[static SECP_PUBLIC_SIZE]);
/* Is r ‖ s, without v, the signature of this key? High s is not accepted.
 * Returns 0 or ERR_AUTH. */
int secp_verify(const uint8_t public[static SECP_PUBLIC_SIZE],
		const uint8_t digest[static 32],
		const uint8_t sig[static SECP_SIGNATURE_SIZE - 1]);
/* Is s in the lower half of the range? (payments.md §6.3) */
bool secp_signature_is_low_s(const uint8_t sig[static SECP_SIGNATURE_SIZE]);

#endif
