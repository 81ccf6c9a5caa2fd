#include "core/secp.h"

#include <assert.h>
#include <pthread.h>
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

#define POINT_SIZE 65 /* 04 ‖ X ‖ Y */

static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static secp256k1_context *context_made;

static void make_context(void)
{
	uint8_t seed[32];

	context_made = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
	if (!context_made)
		abort();
	bytes_random(seed, sizeof(seed));
	if (!secp256k1_context_randomize(context_made, seed))
		abort();
	bytes_erase(seed, sizeof(seed));
}

/* Read-only from then on, so that any thread may use it. */
static const secp256k1_context *context(void)
{
	(void)pthread_once(&context_once, make_context);
	return context_made;
}

static bool point_decode(const uint8_t public[static SECP_PUBLIC_SIZE],
			 secp256k1_pubkey *out)
{
	uint8_t point[POINT_SIZE] = {0x04};

	memcpy(point + 1, public, SECP_PUBLIC_SIZE);
	return secp256k1_ec_pubkey_parse(context(), out, point, sizeof(point));
}

static void point_encode(const secp256k1_pubkey *in,
			 uint8_t public[static SECP_PUBLIC_SIZE])
{
	uint8_t point[POINT_SIZE];
	size_t size = sizeof(point);

	(void)secp256k1_ec_pubkey_serialize(context(), point, &size, in,
					    SECP256K1_EC_UNCOMPRESSED);
	assert(size == sizeof(point));
	memcpy(public, point + 1, SECP_PUBLIC_SIZE);
}

void secp_key_new(struct secp_key *key)
{
	uint8_t private[SECP_PRIVATE_SIZE];

	/* One in 2^128 draws is no key. */
	do {
		bytes_random(private, sizeof(private));
	} while (secp_key_from_private(private, key));
	bytes_erase(private, sizeof(private));
}

int secp_key_from_private(const uint8_t private[static SECP_PRIVATE_SIZE],
			  struct secp_key *key)
{
	secp256k1_pubkey point;

	if (!secp256k1_ec_pubkey_create(context(), &point, private))
		return ERR_RANGE;
	memmove(key->private, private, SECP_PRIVATE_SIZE);
	point_encode(&point, key->public);
	return 0;
}

bool secp_public_is_valid(const uint8_t public[static SECP_PUBLIC_SIZE])
{
	secp256k1_pubkey point;

	return point_decode(public, &point);
}

void secp_public_compact(const uint8_t public[static SECP_PUBLIC_SIZE],
			 uint8_t out[static SECP_COMPACT_SIZE])
{
	out[0] = (uint8_t)(2 + (public[SECP_PUBLIC_SIZE - 1] & 1));
	memcpy(out + 1, public, SECP_COMPACT_SIZE - 1);
}

int secp_public_from_compact(const uint8_t in[static SECP_COMPACT_SIZE],
			     uint8_t public[static SECP_PUBLIC_SIZE])
{
	secp256k1_pubkey point;

	if (!secp256k1_ec_pubkey_parse(context(), &point, in,
				       SECP_COMPACT_SIZE))
		return ERR_AUTH;
	point_encode(&point, public);
	return 0;
}

static int copy_x(unsigned char *out, const unsigned char *x,
		  const unsigned char *y, void *data)
{
	(void)y;
	(void)data;
	memcpy(out, x, 32);
	return 1;
}

int secp_ecdh(const uint8_t private[static SECP_PRIVATE_SIZE],
	      const uint8_t public[static SECP_PUBLIC_SIZE],
	      uint8_t out[static 32])
{
	secp256k1_pubkey point;

	if (!point_decode(public, &point))
		return ERR_AUTH;
	if (!secp256k1_ecdh(context(), out, &point, private, copy_x, NULL))
		return ERR_AUTH;
	return 0;
}

void secp_sign(const struct secp_key *key, const uint8_t digest[static 32],
	       uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	secp256k1_ecdsa_recoverable_signature made;
	int v;
	int done = secp256k1_ecdsa_sign_recoverable(context(), &made, digest,
						    key->private, NULL, NULL);

	assert(done);
	(void)done;
	(void)secp256k1_ecdsa_recoverable_signature_serialize_compact(
		context(), sig, &v, &made);
	sig[SECP_SIGNATURE_SIZE - 1] = (uint8_t)v;
}

int secp_recover(const uint8_t digest[static 32],
		 const uint8_t sig[static SECP_SIGNATURE_SIZE],
		 uint8_t public[static SECP_PUBLIC_SIZE])
{
	secp256k1_ecdsa_recoverable_signature parsed;
	secp256k1_pubkey point;
	int v = sig[SECP_SIGNATURE_SIZE - 1];

	/* The library takes another v for a bug of ours and aborts. */
	if (v > 3)
		return ERR_AUTH;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(
		    context(), &parsed, sig, v))
		return ERR_AUTH;
	if (!secp256k1_ecdsa_recover(context(), &point, &parsed, digest))
		return ERR_AUTH;
	point_encode(&point, public);
	return 0;
}

int secp_verify(const uint8_t public[static SECP_PUBLIC_SIZE],
		const uint8_t digest[static 32],
		const uint8_t sig[static SECP_SIGNATURE_SIZE - 1])
{
	secp256k1_ecdsa_signature parsed;
	secp256k1_pubkey point;

	if (!point_decode(public, &point) ||
	    !secp256k1_ecdsa_signature_parse_compact(context(), &parsed, sig) ||
	    !secp256k1_ecdsa_verify(context(), &parsed, digest, &point))
		return ERR_AUTH;
	return 0;
}

bool secp_signature_is_low_s(const uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	/* (n - 1) / 2, the largest s of the lower half. */
	static const uint8_t half[32] = {
		0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d,
		0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0};

	return memcmp(sig + 32, half, sizeof(half)) <= 0;
}
