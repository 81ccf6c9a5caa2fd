#include "net/mail_seal.h"

#include <stdlib.h>

#include "core/err.h"
#include "core/sealed.h"

#define REQUEST_TTL_S 50
#define POW_TRIES_MAX (UINT64_C(1) << 28)

static int seal(const struct mail_seal *how, const uint8_t *payload, size_t len,
		uint8_t **data, size_t *data_len)
{
	if (how->symmetric)
		return sealed_seal_symmetric(how->symmetric, payload, len,
					     how->signer, data, data_len);
	if (!how->to)
		return ERR_UNSUPPORTED;
	return sealed_seal_asymmetric(how->to, payload, len, how->signer, data,
				      data_len);
}

/* Put sealed data into a request envelope. */
static int wrap(const struct mail_seal *how, const uint8_t *data, size_t len,
		uint32_t now_s, uint8_t **out, size_t *out_len)
{
	struct envelope env = {.data_size = (uint32_t)len,
			       .expiry_s = now_s + REQUEST_TTL_S,
			       .ttl_s = REQUEST_TTL_S};
	int err = 0;

	if (how->pow > 0.0)
		err = envelope_seal_pow(&env, data, how->pow, POW_TRIES_MAX);
	if (err)
		return err;
	*out = malloc(len + 40);
	if (!*out)
		return ERR_NOMEM;
	*out_len = envelope_encode(&env, data, *out);
	return 0;
}

int mail_seal_new(const struct mail_query *query, const struct mail_seal *how,
		  uint32_t now_s, uint8_t **out, size_t *out_len,
		  uint8_t id[static MAIL_ID_SIZE])
{
	size_t cap = MAIL_QUERY_SIZE_MAX(query->topics_count);
	uint8_t *payload = malloc(cap);
	uint8_t *data = NULL;
	size_t data_len = 0;
	size_t len;
	int err = ERR_NOMEM;

	if (!payload)
		goto out;
	len = mail_payload_encode(query, payload, cap);
	err = seal(how, payload, len, &data, &data_len);
	if (err)
		goto out;
	err = wrap(how, data, data_len, now_s, out, out_len);
	if (!err)
		keccak256(*out, *out_len, id);
out:
	free(payload);
	free(data);
	return err;
}
