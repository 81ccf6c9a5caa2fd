#include "core/sealed.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/ecies.h"
#include "core/err.h"
#include "core/keccak.h"

#define PASSWORD_ROUNDS 65356 /* as deployed; not 65536 */
#define PAYLOAD_MAX     ((1u << 24) - 1)
#define PADDED_TO       256
#define TAG_SIZE        16
#define NONCE_SIZE      12

#define FLAG_SIZE_MASK 0x03u
#define FLAG_SIGNED    0x04u

int sealed_key_from_password(const char *password,
			     uint8_t key[static SEALED_KEY_SIZE])
{
	static const uint8_t salt[1];

	if (!PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, 0,
			       PASSWORD_ROUNDS, EVP_sha256(), SEALED_KEY_SIZE,
			       key))
		return ERR_NOMEM;
	return 0;
}

/* §2: the signature stands over all that comes before it. */
static int recover_signer(struct sealed_message *msg, size_t end)
{
	uint8_t digest[KECCAK_DIGEST];
	uint8_t sig[SECP_SIGNATURE_SIZE];
	uint8_t *v = &sig[SECP_SIGNATURE_SIZE - 1];

	memcpy(sig, msg->plain + end, sizeof(sig));
	/* The prose says 27 and 28, deployed code sends 0 and 1. */
	if (*v == 27 || *v == 28)
		*v = (uint8_t)(*v - 27);
	if (*v > 1)
		return ERR_PROTOCOL;
	keccak256(msg->plain, end, digest);
	return secp_recover(digest, sig, msg->signer) ? ERR_PROTOCOL : 0;
}

/* §1, receiving. The offsets are compared, never added past `end`. */
static int parse_plain(struct sealed_message *msg, size_t len)
{
	size_t end = len;
	size_t size = 0;
	size_t field;
	int err;

	if (len == 0)
		return ERR_SYNTAX;
	if (msg->plain[0] & FLAG_SIGNED) {
		if (len <= SECP_SIGNATURE_SIZE + 1)
			return ERR_SYNTAX;
		end = len - SECP_SIGNATURE_SIZE;
		err = recover_signer(msg, end);
		if (err)
			return err;
		msg->is_signed = true;
	}
	field = msg->plain[0] & FLAG_SIZE_MASK;
	if (field > end - 1)
		return ERR_SYNTAX;
	for (size_t i = field; i > 0; i--)
		size = size << 8 | msg->plain[i];
	if (size > end - 1 - field)
		return ERR_SYNTAX;
	msg->payload = msg->plain + 1 + field;
	msg->payload_size = size;
	return 0;
}

/* Open one way into fresh memory at msg->plain; *size is what came out. */
static int open_asymmetric(const uint8_t *data, size_t len,
			   const struct secp_key *node,
			   struct sealed_message *msg, size_t *size)
{
	/* Whatever cannot be opened costs neither memory nor a product. */
	if (len <= ECIES_OVERHEAD || data[0] != 0x04)
		return ERR_AUTH;
	*size = len - ECIES_OVERHEAD;
	msg->plain = malloc(*size);
	if (!msg->plain)
		return ERR_NOMEM;
	return ecies_open(node, data, len, NULL, 0, msg->plain);
}

static int open_symmetric(const uint8_t *data, size_t len, const uint8_t *key,
			  struct sealed_message *msg, size_t *size)
{
	const uint8_t *tag;

	if (len < SEALED_SYMMETRIC_EXTRA)
		return ERR_AUTH;
	*size = len - SEALED_SYMMETRIC_EXTRA;
	msg->plain = malloc(*size ? *size : 1);
	if (!msg->plain)
		return ERR_NOMEM;
	tag = data + *size;
	return aes_gcm_open(key, tag + TAG_SIZE, data, *size, tag, msg->plain);
}

int sealed_open(const uint8_t *data, size_t len, const struct secp_key *node,
		const uint8_t *symmetric, struct sealed_message *out)
{
	struct sealed_message msg = {0};
	size_t size = 0;
	int err = ERR_AUTH;

	if (node)
		err = open_asymmetric(data, len, node, &msg, &size);
	if (err == ERR_AUTH && symmetric) {
		sealed_release(&msg);
		err = open_symmetric(data, len, symmetric, &msg, &size);
	}
	if (!err)
		err = parse_plain(&msg, size);
	if (!err) {
		*out = msg;
		msg.plain = NULL;
	}
	sealed_release(&msg);
	return err;
}

void sealed_release(struct sealed_message *msg)
{
	free(msg->plain);
	*msg = (struct sealed_message){0};
}

/* §1, sending: flags ‖ size field ‖ payload ‖ padding ‖ signature. */
static int make_plain(const uint8_t *payload, size_t len,
		      const struct secp_key *signer, uint8_t **out,
		      size_t *out_len)
{
	size_t field = len > 0xffff ? 3 : len > 0xff ? 2 : 1;
	size_t sig_size = signer ? SECP_SIGNATURE_SIZE : 0;
	size_t used = 1 + field + len;
	size_t end; /* where the signature begins */
	uint8_t digest[KECCAK_DIGEST];
	uint8_t *plain;

	if (len > PAYLOAD_MAX)
		return ERR_RANGE;
	end = used + PADDED_TO - (used + sig_size) % PADDED_TO;
	plain = malloc(end + sig_size);
	if (!plain)
		return ERR_NOMEM;
	plain[0] = (uint8_t)(field | (signer ? FLAG_SIGNED : 0));
	for (size_t i = 0; i < field; i++)
		plain[1 + i] = (uint8_t)(len >> 8 * i);
	if (len > 0)
		memcpy(plain + 1 + field, payload, len);
	bytes_random(plain + used, end - used);
	if (signer) {
		keccak256(plain, end, digest);
		secp_sign(signer, digest, plain + end);
	}
	*out = plain;
	*out_len = end + sig_size;
	return 0;
}

int sealed_seal_symmetric(const uint8_t key[static SEALED_KEY_SIZE],
			  const uint8_t *payload, size_t len,
			  const struct secp_key *signer, uint8_t **out,
			  size_t *out_len)
{
	uint8_t *plain = NULL;
	uint8_t *data = NULL;
	uint8_t *tag;
	size_t size;
	int err = make_plain(payload, len, signer, &plain, &size);

	if (err)
		return err;
	data = malloc(size + SEALED_SYMMETRIC_EXTRA);
	if (!data) {
		err = ERR_NOMEM;
		goto out;
	}
	tag = data + size;
	bytes_random(tag + TAG_SIZE, NONCE_SIZE);
	err = aes_gcm_seal(key, tag + TAG_SIZE, plain, size, data, tag);
	if (err)
		goto out;
	*out = data;
	*out_len = size + SEALED_SYMMETRIC_EXTRA;
	data = NULL;
out:
	free(data);
	free(plain);
	return err;
}

int sealed_seal_asymmetric(const uint8_t to[static SECP_PUBLIC_SIZE],
			   const uint8_t *payload, size_t len,
			   const struct secp_key *signer, uint8_t **out,
			   size_t *out_len)
{
	uint8_t *plain = NULL;
	uint8_t *data = NULL;
	size_t size;
	int err = make_plain(payload, len, signer, &plain, &size);

	if (err)
		return err;
	data = malloc(size + ECIES_OVERHEAD);
	if (!data) {
		err = ERR_NOMEM;
		goto out;
	}
	err = ecies_seal(to, plain, size, NULL, 0, data);
	if (err)
		goto out;
	*out = data;
	*out_len = size + ECIES_OVERHEAD;
	data = NULL;
out:
	free(data);
	free(plain);
	return err;
}
