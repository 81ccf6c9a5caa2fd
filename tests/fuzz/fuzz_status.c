/* Status in both forms and its changes: the first byte says which. */
#include <assert.h>
#include <stdlib.h>

#include "net/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct status *a, const struct status *b)
{
	assert(a->has == b->has && a->topics_count == b->topics_count);
	assert(a->is_light == b->is_light && a->confirms == b->confirms);
}

/* What was read can be written and read again. */
static void round_trip(const struct status *status)
{
	size_t cap = STATUS_SIZE_MAX + 5 * (size_t)status->topics_count;
	uint8_t *out = malloc(cap);
	struct status again;
	size_t len;
	int err;

	if (!out)
		return;
	len = status_encode_waku(status, out, cap);
	assert(len > 0);
	err = status_decode_waku(out, len, &again);
	assert(err == 0);
	expect_same(status, &again);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* clang-format off */
	static int (*const decoders[])(const uint8_t *, size_t,
				       struct status *) = {
		status_decode_shh, status_decode_waku, status_decode_pow,
		status_decode_bloom, status_decode_limits,
		status_decode_update};
	/* clang-format on */
	struct status status;

	if (size < 1 || data[0] >= sizeof(decoders) / sizeof(decoders[0]))
		return 0;
	if (decoders[data[0]](data + 1, size - 1, &status) == 0)
		round_trip(&status);
	return 0;
}
