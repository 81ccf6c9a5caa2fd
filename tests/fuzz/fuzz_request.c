/*
 * History requests as they come off the wire (first byte 126), the payload
 * inside a sealed one (0), and sync requests (123). A sealed one is opened
 * with the keys of the vectors, of which one is public anyway.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/sealed.h"
#include "net/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char password_key[] = "765df27c0765526f920ba742ff4b9452bb0064e016"
				   "435ffccd81186aa6feaae8";
static const char node_key[] = "a981c95a1e79857008854ef0640053838eecad1609b435"
			       "3eecf62616ad01a51a";

/* What was read can be written as form B and read again. */
static void use(struct mail_query *query)
{
	size_t cap = MAIL_QUERY_SIZE_MAX(query->topics_count);
	uint8_t *out = malloc(cap);
	struct mail_query again;
	size_t len;
	int err;

	if (!out)
		return;
	(void)mail_query_check(query, false, 1600000000);
	len = mail_payload_encode(query, out, cap);
	assert(len > 0);
	err = mail_sealed_decode(out, len, &again);
	assert(err == 0 && again.topics_count == query->topics_count);
	assert(again.limit == query->limit && again.batch == query->batch);
	free(out);
}

static void open_sealed(const uint8_t *data, size_t size)
{
	static struct secp_key node;
	static uint8_t symmetric[SEALED_KEY_SIZE];
	static bool is_ready;
	struct sealed_message msg;
	struct mail_query query;
	struct envelope env;
	uint8_t private[SECP_PRIVATE_SIZE];

	if (!is_ready) {
		(void)hex_decode(password_key, 64, symmetric, 32);
		(void)hex_decode(node_key, 64, private, 32);
		(void)secp_key_from_private(private, &node);
		is_ready = true;
	}
	if (envelope_decode(data, size, &env) ||
	    sealed_open(env.rlp + env.data_offset, env.data_size, &node,
			symmetric, &msg))
		return;
	if (mail_sealed_decode(msg.payload, msg.payload_size, &query) == 0)
		use(&query);
	sealed_release(&msg);
}

static void read_request(const uint8_t *data, size_t size)
{
	uint8_t id[MAIL_ID_SIZE];
	struct mail_query query;

	switch (mail_request_form(data, size, id)) {
	case MAIL_FORM_NONE:
		break;
	case MAIL_FORM_SEALED:
		open_sealed(data, size);
		break;
	case MAIL_FORM_DIRECT:
		if (mail_direct_decode(data, size, id, &query) == 0)
			use(&query);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_query query;

	if (size < 1)
		return 0;
	if (data[0] == 126)
		read_request(data + 1, size - 1);
	else if (data[0] == 123)
		(void)mail_sync_decode(data + 1, size - 1, &query);
	else if (mail_sealed_decode(data + 1, size - 1, &query) == 0)
		use(&query);
	return 0;
}
