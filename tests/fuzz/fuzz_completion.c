/* Codes 125 (first byte 125) and 124, as a client reads them. */
#include <assert.h>
#include <string.h>

#include "net/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_completion(const uint8_t *data, size_t size)
{
	uint8_t out[MAIL_COMPLETION_SIZE_MAX];
	struct mail_completion got, again;
	size_t len;

	if (mail_completion_decode(data, size, &got) || got.is_failure)
		return;
	len = mail_completion_encode(got.id, got.last,
				     got.has_cursor ? got.cursor : NULL, out);
	assert(len > 0 && mail_completion_decode(out, len, &again) == 0);
	assert(again.has_cursor == got.has_cursor);
	assert(again.is_failure || memcmp(again.last, got.last, 32) == 0);
}

static void read_answer(const uint8_t *data, size_t size)
{
	struct mail_sync_answer got;
	struct envelope env;

	if (mail_sync_answer_decode(data, size, &got))
		return;
	while (bundle_next(&got.envelopes, &env) == 0)
		assert(env.rlp >= data && env.rlp + env.size <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] == 125)
		read_completion(data + 1, size - 1);
	else
		read_answer(data + 1, size - 1);
	return 0;
}
