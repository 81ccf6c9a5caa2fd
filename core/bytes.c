#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/err.h"

uint16_t be16_load(const uint8_t in[static 2])
{
	return (uint16_t)(in[0] << 8 | in[1]);
}

uint32_t be32_load(const uint8_t in[static 4])
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 |
	       (uint32_t)in[2] << 8 | in[3];
}

uint64_t be64_load(const uint8_t in[static 8])
{
	return (uint64_t)be32_load(in) << 32 | be32_load(in + 4);
}

void be16_store(uint8_t out[static 2], uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

void be32_store(uint8_t out[static 4], uint32_t value)
{
	be16_store(out, (uint16_t)(value >> 16));
	be16_store(out + 2, (uint16_t)value);
}

void be64_store(uint8_t out[static 8], uint64_t value)
{
	be32_store(out, (uint32_t)(value >> 32));
	be32_store(out + 4, (uint32_t)value);
}

void hex_encode(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len)
{
	if (text_len / 2 != len || text_len % 2)
		return ERR_SYNTAX;
	for (size_t i = 0; i < len; i++) {
		int high = digit_value(text[2 * i]);
		int low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_SYNTAX;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

bool bytes_equal_ct(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= a[i] ^ b[i];
	return differs == 0;
}

void bytes_random(uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(out, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		out += got;
		len -= (size_t)got;
	}
}

/*
 * Out of line: inlined by link-time optimisation, gcc 12 takes the first field
 * of what is erased for all of it and warns of an overflow that is none.
 */
__attribute__((noinline)) void bytes_erase(void *mem, size_t len)
{
	explicit_bzero(mem, len);
}
