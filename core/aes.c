#include "core/aes.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"

#define CHUNK_MAX ((size_t)1 << 30) /* EVP counts in int */
#define TAG_SIZE  16

/*
 * struct aes_ctr and struct aes_block have no definition: they are the
 * EVP_CIPHER_CTX itself under a name of ours, with no memory around it.
 */

static struct {
	EVP_CIPHER *ctr128;
	EVP_CIPHER *ctr256;
	EVP_CIPHER *ecb256;
	EVP_CIPHER *gcm256;
} ciphers;
static pthread_once_t ciphers_once = PTHREAD_ONCE_INIT;

static EVP_CIPHER *fetch(const char *name)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

	if (!cipher)
		abort();
	return cipher;
}

/* Looking a cipher up costs more than a short message does: once will do. */
static void fetch_ciphers(void)
{
	ciphers.ctr128 = fetch("AES-128-CTR");
	ciphers.ctr256 = fetch("AES-256-CTR");
	ciphers.ecb256 = fetch("AES-256-ECB");
	ciphers.gcm256 = fetch("AES-256-GCM");
}

static EVP_CIPHER_CTX *context_new(void)
{
	(void)pthread_once(&ciphers_once, fetch_ciphers);
	return EVP_CIPHER_CTX_new();
}

/* Either direction; false only when OpenSSL refuses. */
static bool update(EVP_CIPHER_CTX *ctx, const uint8_t *in, uint8_t *out,
		   size_t len)
{
	while (len > 0) {
		size_t chunk = len < CHUNK_MAX ? len : CHUNK_MAX;
		int made;

		if (!EVP_CipherUpdate(ctx, out, &made, in, (int)chunk))
			return false;
		assert((size_t)made == chunk);
		in += chunk;
		out += chunk;
		len -= chunk;
	}
	return true;
}

static EVP_CIPHER_CTX *ctr_context(struct aes_ctr *ctr)
{
	return (EVP_CIPHER_CTX *)ctr;
}

struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_len,
			    const uint8_t iv[static 16])
{
	EVP_CIPHER_CTX *ctx = context_new();
	const EVP_CIPHER *cipher;

	assert(key_len == 16 || key_len == 32);
	cipher = key_len == 16 ? ciphers.ctr128 : ciphers.ctr256;
	if (ctx && !EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL)) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	return (struct aes_ctr *)ctx;
}

void aes_ctr_free(struct aes_ctr *ctr)
{
	EVP_CIPHER_CTX_free(ctr_context(ctr));
}

void aes_ctr_apply(struct aes_ctr *ctr, const uint8_t *in, uint8_t *out,
		   size_t len)
{
	/* A key stream that stopped half-way can only ever give garbage. */
	if (!update(ctr_context(ctr), in, out, len))
		abort();
}

static EVP_CIPHER_CTX *block_context(struct aes_block *block)
{
	return (EVP_CIPHER_CTX *)block;
}

struct aes_block *aes_block_new(const uint8_t key[static 32])
{
	EVP_CIPHER_CTX *ctx = context_new();

	if (ctx &&
	    (!EVP_EncryptInit_ex2(ctx, ciphers.ecb256, key, NULL, NULL) ||
	     !EVP_CIPHER_CTX_set_padding(ctx, 0))) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	return (struct aes_block *)ctx;
}

void aes_block_free(struct aes_block *block)
{
	EVP_CIPHER_CTX_free(block_context(block));
}

void aes_block_encrypt(struct aes_block *block, const uint8_t in[static 16],
		       uint8_t out[static 16])
{
	if (!update(block_context(block), in, out, 16))
		abort();
}

int aes_gcm_seal(const uint8_t key[static 32], const uint8_t nonce[static 12],
		 const uint8_t *in, size_t len, uint8_t *ct,
		 uint8_t tag[static 16])
{
	EVP_CIPHER_CTX *ctx = context_new();
	int err = ERR_NOMEM;
	int rest;

	if (ctx && EVP_EncryptInit_ex2(ctx, ciphers.gcm256, key, nonce, NULL) &&
	    update(ctx, in, ct, len) && EVP_CipherFinal_ex(ctx, tag, &rest) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag))
		err = 0;
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

int aes_gcm_open(const uint8_t key[static 32], const uint8_t nonce[static 12],
		 const uint8_t *ct, size_t len, const uint8_t tag[static 16],
		 uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = context_new();
	uint8_t want[TAG_SIZE];
	int err = ERR_NOMEM;
	int rest;

	memcpy(want, tag, sizeof(want));
	if (!ctx ||
	    !EVP_DecryptInit_ex2(ctx, ciphers.gcm256, key, nonce, NULL) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, want) ||
	    !update(ctx, ct, out, len))
		goto out;
	/* The tag is compared here, in constant time. */
	err = EVP_CipherFinal_ex(ctx, want, &rest) ? 0 : ERR_AUTH;
out:
	if (err && len > 0)
		bytes_erase(out, len);
	EVP_CIPHER_CTX_free(ctx);
	return err;
}
