#include "net/confirm.h"

#include <string.h>

#include "core/err.h"

int confirm_decode(const uint8_t *in, size_t len, struct confirm *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);
	uint64_t version = rlp_u64(&list);
	struct rlp_reader body;

	if (r.err || list.err)
		return ERR_SYNTAX;
	if (version != CONFIRM_VERSION)
		return ERR_UNSUPPORTED;
	body = rlp_list(&list);
	rlp_bytes(&body, out->hash, CONFIRM_HASH_SIZE);
	out->errors = rlp_list(&body);
	if (list.err || rlp_end(&body) || rlp_end(&list) || rlp_end(&r))
		return ERR_SYNTAX;
	return 0;
}

int confirm_next(struct confirm *confirm, struct confirm_error *out)
{
	struct rlp_reader *errors = &confirm->errors;
	struct rlp_reader item;

	if (!rlp_more(errors))
		return errors->err ? ERR_SYNTAX : 1;
	item = rlp_list(errors);
	rlp_bytes(&item, out->hash, CONFIRM_HASH_SIZE);
	out->code = rlp_u64(&item);
	out->text = (const char *)rlp_string(&item, &out->text_size);
	if (errors->err || rlp_end(&item)) {
		errors->err = ERR_SYNTAX;
		return ERR_SYNTAX;
	}
	return 0;
}

size_t confirm_encode(const uint8_t hash[static CONFIRM_HASH_SIZE],
		      const struct confirm_error *errors, size_t count,
		      uint8_t *out, size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);
	size_t len;

	rlp_put_list(&w);
	rlp_put_u64(&w, CONFIRM_VERSION);
	rlp_put_list(&w);
	rlp_put_string(&w, hash, CONFIRM_HASH_SIZE);
	rlp_put_list(&w);
	for (size_t i = 0; i < count; i++) {
		rlp_put_list(&w);
		rlp_put_string(&w, errors[i].hash, CONFIRM_HASH_SIZE);
		rlp_put_u64(&w, errors[i].code);
		rlp_put_string(&w, errors[i].text, errors[i].text_size);
		rlp_put_list_end(&w);
	}
	rlp_put_list_end(&w);
	rlp_put_list_end(&w);
	rlp_put_list_end(&w);
	return rlp_put_end(&w, &len) ? 0 : len;
}

int confirm_ack_decode(const uint8_t *in, size_t len,
		       uint8_t hash[static CONFIRM_HASH_SIZE])
{
	struct rlp_reader r = rlp_reader(in, len);

	rlp_bytes(&r, hash, CONFIRM_HASH_SIZE);
	return rlp_end(&r) ? ERR_SYNTAX : 0;
}

void confirm_ack_encode(const uint8_t hash[static CONFIRM_HASH_SIZE],
			uint8_t out[static CONFIRM_ACK_SIZE])
{
	out[0] = 0x80 + CONFIRM_HASH_SIZE;
	memcpy(out + 1, hash, CONFIRM_HASH_SIZE);
}
