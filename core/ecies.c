#include "core/ecies.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/err.h"

/* ciphertext = R (65) ‖ iv (16) ‖ c ‖ tag (32) */
#define POINT_FORM 0x04
#define IV_AT      65
#define IV_SIZE    16
#define BODY_AT    (IV_AT + IV_SIZE)
#define TAG_SIZE   32
#define CIPHER_KEY 16

struct keys {
	uint8_t cipher[CIPHER_KEY];
	uint8_t mac[32];
};

static EVP_MAC *hmac;
static pthread_once_t hmac_once = PTHREAD_ONCE_INIT;

static void fetch_hmac(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!hmac)
		abort();
}

/* kE ‖ kM = sha256(00000001 ‖ z); the MAC key is sha256(kM). */
static int derive(const uint8_t private[static SECP_PRIVATE_SIZE],
		  const uint8_t public[static SECP_PUBLIC_SIZE],
		  struct keys *out)
{
	uint8_t block[4 + 32] = {0, 0, 0, 1};
	uint8_t made[32];
	int err = secp_ecdh(private, public, block + 4);

	if (err)
		return err;
	(void)SHA256(block, sizeof(block), made);
	memcpy(out->cipher, made, CIPHER_KEY);
	(void)SHA256(made + CIPHER_KEY, sizeof(made) - CIPHER_KEY, out->mac);
	bytes_erase(block, sizeof(block));
	bytes_erase(made, sizeof(made));
	return 0;
}

/* HMAC over iv ‖ c, which stand together, and s2. */
static int make_tag(const struct keys *keys, const uint8_t *iv_and_body,
		    size_t len, const uint8_t *s2, size_t s2_len,
		    uint8_t tag[static TAG_SIZE])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(
				       OSSL_MAC_PARAM_DIGEST, digest, 0),
			       OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *ctx;
	size_t size;
	int err = ERR_NOMEM;

	(void)pthread_once(&hmac_once, fetch_hmac);
	ctx = EVP_MAC_CTX_new(hmac);
	if (ctx && EVP_MAC_init(ctx, keys->mac, sizeof(keys->mac), params) &&
	    EVP_MAC_update(ctx, iv_and_body, len) &&
	    (s2_len == 0 || EVP_MAC_update(ctx, s2, s2_len)) &&
	    EVP_MAC_final(ctx, tag, &size, TAG_SIZE))
		err = 0;
	EVP_MAC_CTX_free(ctx);
	return err;
}

static int apply_stream(const struct keys *keys, const uint8_t *iv,
			const uint8_t *in, size_t len, uint8_t *out)
{
	struct aes_ctr *ctr = aes_ctr_new(keys->cipher, CIPHER_KEY, iv);

	if (!ctr)
		return ERR_NOMEM;
	aes_ctr_apply(ctr, in, out, len);
	aes_ctr_free(ctr);
	return 0;
}

int ecies_seal_with(const struct secp_key *ephemeral,
		    const uint8_t iv[static 16],
		    const uint8_t to[static SECP_PUBLIC_SIZE],
		    const uint8_t *in, size_t len, const uint8_t *s2,
		    size_t s2_len, uint8_t *out)
{
	struct keys keys;
	int err;

	if (len == 0)
		return ERR_RANGE;
	err = derive(ephemeral->private, to, &keys);
	if (err)
		return err;
	out[0] = POINT_FORM;
	memcpy(out + 1, ephemeral->public, SECP_PUBLIC_SIZE);
	memcpy(out + IV_AT, iv, IV_SIZE);
	err = apply_stream(&keys, iv, in, len, out + BODY_AT);
	if (!err)
		err = make_tag(&keys, out + IV_AT, IV_SIZE + len, s2, s2_len,
			       out + BODY_AT + len);
	bytes_erase(&keys, sizeof(keys));
	return err;
}

int ecies_seal(const uint8_t to[static SECP_PUBLIC_SIZE], const uint8_t *in,
	       size_t len, const uint8_t *s2, size_t s2_len, uint8_t *out)
{
	struct secp_key ephemeral;
	uint8_t iv[IV_SIZE];
	int err;

	secp_key_new(&ephemeral);
	bytes_random(iv, sizeof(iv));
	err = ecies_seal_with(&ephemeral, iv, to, in, len, s2, s2_len, out);
	bytes_erase(&ephemeral, sizeof(ephemeral));
	return err;
}

int ecies_open(const struct secp_key *key, const uint8_t *in, size_t len,
	       const uint8_t *s2, size_t s2_len, uint8_t *out)
{
	uint8_t tag[TAG_SIZE];
	struct keys keys;
	size_t body;
	int err;

	/*
	 * rlpx.md §2: the length comes first. Anybody can make a shorter
	 * ciphertext whose tag is right.
	 */
	if (len <= ECIES_OVERHEAD || in[0] != POINT_FORM)
		return ERR_AUTH;
	body = len - ECIES_OVERHEAD;
	err = derive(key->private, in + 1, &keys);
	if (err)
		return err;
	err = make_tag(&keys, in + IV_AT, IV_SIZE + body, s2, s2_len, tag);
	if (!err && !bytes_equal_ct(tag, in + BODY_AT + body, TAG_SIZE))
		err = ERR_AUTH;
	if (!err)
		err = apply_stream(&keys, in + IV_AT, in + BODY_AT, body, out);
	bytes_erase(&keys, sizeof(keys));
	return err;
}
