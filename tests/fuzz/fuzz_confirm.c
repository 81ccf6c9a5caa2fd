/* Codes 12 (first byte 12) and 11, and lists of envelopes (first byte 1). */
#include <assert.h>

#include "net/bundle.h"
#include "net/confirm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_response(const uint8_t *data, size_t size)
{
	struct confirm confirm;
	struct confirm_error error;
	volatile char sum = 0;

	if (confirm_decode(data, size, &confirm))
		return;
	while (confirm_next(&confirm, &error) == 0) {
		for (size_t i = 0; i < error.text_size; i++)
			sum = (char)(sum ^ error.text[i]);
	}
}

static void read_bundle(const uint8_t *data, size_t size)
{
	struct bundle bundle;
	struct envelope env;

	if (bundle_open(&bundle, data, size, size & 1))
		return;
	while (bundle_next(&bundle, &env) == 0) {
		assert(env.rlp >= data && env.rlp + env.size <= data + size);
		assert(env.data_offset + env.data_size <= env.size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t hash[CONFIRM_HASH_SIZE];

	if (size < 1)
		return 0;
	if (data[0] == 12)
		read_response(data + 1, size - 1);
	else if (data[0] == 1)
		read_bundle(data + 1, size - 1);
	else
		(void)confirm_ack_decode(data + 1, size - 1, hash);
	return 0;
}
