#include "core/aes.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes_kernel.h"
#include "core/bytes.h"
#include "core/err.h"

#define CHUNK_MAX ((size_t)1 << 30) /* EVP counts in int */
#define TAG_SIZE  16

/* Of what stands behind `openssl` memory is taken only when that is NULL. */
struct aes_ctr {
	EVP_CIPHER_CTX *openssl;
	struct aes_wide wide;
};

struct aes_block {
	EVP_CIPHER_CTX *openssl;
	struct aes_keys keys;
};

static atomic_bool is_own_unwanted;

static struct {
	EVP_CIPHER *ctr128;
	EVP_CIPHER *ctr256;
	EVP_CIPHER *ecb256;
	EVP_CIPHER *gcm256;
	bool has_ni, has_wide; /* the processor */
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
	ciphers.has_ni = aes_has_ni();
	ciphers.has_wide = aes_has_wide();
	ciphers.ctr128 = fetch("AES-128-CTR");
	ciphers.ctr256 = fetch("AES-256-CTR");
	ciphers.ecb256 = fetch("AES-256-ECB");
	ciphers.gcm256 = fetch("AES-256-GCM");
}

static void prepare(void)
{
	(void)pthread_once(&ciphers_once, fetch_ciphers);
}

static EVP_CIPHER_CTX *context_new(void)
{
	prepare();
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

bool aes_set_own(bool is_wanted)
{
	atomic_store_explicit(&is_own_unwanted, !is_wanted,
			      memory_order_relaxed);
	prepare();
	return is_wanted && ciphers.has_ni && ciphers.has_wide;
}

static bool is_own_wanted(void)
{
	return !atomic_load_explicit(&is_own_unwanted, memory_order_relaxed);
}

static struct aes_ctr *ctr_new_own(const uint8_t *key,
				   const uint8_t iv[static 16])
{
	struct aes_ctr *ctr = malloc(sizeof(*ctr));

	if (!ctr)
		return NULL;
	ctr->openssl = NULL;
	aes_keys_init(&ctr->wide.keys, key);
	ctr->wide.high = be64_load(iv);
	ctr->wide.low = be64_load(iv + 8);
	ctr->wide.left = 0;
	return ctr;
}

struct aes_ctr *aes_ctr_new(const uint8_t *key, size_t key_len,
			    const uint8_t iv[static 16])
{
	const EVP_CIPHER *cipher;
	struct aes_ctr *ctr;

	assert(key_len == 16 || key_len == 32);
	prepare();
	if (key_len == 32 && ciphers.has_wide && is_own_wanted())
		return ctr_new_own(key, iv);
	ctr = malloc(offsetof(struct aes_ctr, wide));
	if (!ctr)
		return NULL;
	ctr->openssl = context_new();
	cipher = key_len == 16 ? ciphers.ctr128 : ciphers.ctr256;
	if (!ctr->openssl ||
	    !EVP_EncryptInit_ex2(ctr->openssl, cipher, key, iv, NULL)) {
		EVP_CIPHER_CTX_free(ctr->openssl);
		free(ctr);
		ctr = NULL;
	}
	return ctr;
}

void aes_ctr_free(struct aes_ctr *ctr)
{
	if (!ctr)
		return;
	if (ctr->openssl)
		EVP_CIPHER_CTX_free(ctr->openssl);
	else
		bytes_erase(&ctr->wide, sizeof(ctr->wide));
	free(ctr);
}

void aes_ctr_apply(struct aes_ctr *ctr, const uint8_t *in, uint8_t *out,
		   size_t len)
{
	if (!ctr->openssl)
		aes_wide_apply(&ctr->wide, in, out, len);
	/* A key stream that stopped half-way can only ever give garbage. */
	else if (!update(ctr->openssl, in, out, len))
		abort();
}

static struct aes_block *block_new_own(const uint8_t key[static 32])
{
	struct aes_block *block = malloc(sizeof(*block));

	if (!block)
		return NULL;
	block->openssl = NULL;
	aes_keys_init(&block->keys, key);
	return block;
}

struct aes_block *aes_block_new(const uint8_t key[static 32])
{
	struct aes_block *block;

	prepare();
	if (ciphers.has_ni && is_own_wanted())
		return block_new_own(key);
	block = malloc(offsetof(struct aes_block, keys));
	if (!block)
		return NULL;
	block->openssl = context_new();
	if (!block->openssl ||
	    !EVP_EncryptInit_ex2(block->openssl, ciphers.ecb256, key, NULL,
				 NULL) ||
	    !EVP_CIPHER_CTX_set_padding(block->openssl, 0)) {
		EVP_CIPHER_CTX_free(block->openssl);
		free(block);
		block = NULL;
	}
	return block;
}

void aes_block_free(struct aes_block *block)
{
	if (!block)
		return;
	if (block->openssl)
		EVP_CIPHER_CTX_free(block->openssl);
	else
		bytes_erase(&block->keys, sizeof(block->keys));
	free(block);
}

void aes_block_encrypt(struct aes_block *block, const uint8_t in[static 16],
		       uint8_t out[static 16])
{
	if (!block->openssl)
		aes_keys_encrypt(&block->keys, in, out);
	else if (!update(block->openssl, in, out, 16))
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
