/* A message of wmpay/1: the first byte is its code. */
#include <assert.h>
#include <string.h>

#include "net/wmpay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and then reads and writes the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[WMPAY_SIZE_MAX], second[WMPAY_SIZE_MAX];
	struct wmpay msg, again;
	size_t len;
	int err;

	if (size < 1 || wmpay_decode(data[0], data + 1, size - 1, &msg) != 0)
		return 0;
	len = wmpay_encode(&msg, first);
	assert(len > 0 && len <= size - 1);
	err = wmpay_decode(data[0], first, len, &again);
	assert(err == 0);
	assert(wmpay_encode(&again, second) == len);
	assert(memcmp(first, second, len) == 0);
	return 0;
}
