#include "core/snap.h"

#include <assert.h>
#include <snappy-c.h>

#include "core/err.h"

#define LITERAL_SHORT_MAX 60         /* the tag alone tells the length */
#define LITERAL_MAX       (1u << 24) /* three length bytes behind the tag */

int snap_plain_size(const uint8_t *in, size_t len, size_t max, size_t *size)
{
	size_t declared;

	/* Not even the length is there. */
	if (len == 0)
		return ERR_SYNTAX;
	if (snappy_uncompressed_length((const char *)in, len, &declared) !=
	    SNAPPY_OK)
		return ERR_SYNTAX;
	if (declared > max)
		return ERR_RANGE;
	*size = declared;
	return 0;
}

int snap_decompress(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	uint8_t nothing;
	size_t declared;
	size_t made = size;
	int err = snap_plain_size(in, len, size, &declared);

	if (err)
		return err;
	if (declared != size)
		return ERR_RANGE;
	if (size == 0)
		out = &nothing;
	if (snappy_uncompress((const char *)in, len, (char *)out, &made) !=
	    SNAPPY_OK)
		return ERR_SYNTAX;
	return made == size ? 0 : ERR_SYNTAX;
}

size_t snap_literal_prefix(size_t size, uint8_t out[static SNAP_PREFIX_MAX])
{
	size_t len = 0;
	size_t tag_at;
	size_t rest = size;

	assert(size <= LITERAL_MAX);
	for (; rest >= 0x80; rest >>= 7)
		out[len++] = (uint8_t)(rest | 0x80);
	out[len++] = (uint8_t)rest;
	if (size == 0)
		return len;
	if (size <= LITERAL_SHORT_MAX) {
		out[len++] = (uint8_t)((size - 1) << 2);
		return len;
	}
	/* f0, f4 and f8: one, two and three length bytes, little endian. */
	tag_at = len++;
	for (rest = size - 1; rest; rest >>= 8)
		out[len++] = (uint8_t)rest;
	out[tag_at] = (uint8_t)(0xf0 + ((len - tag_at - 2) << 2));
	return len;
}
