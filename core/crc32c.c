#include "core/crc32c.h"

#include <string.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t add_byte(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (unsigned bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (CRC32C_POLYNOMIAL & -(crc & 1));
	return crc;
}

#if defined(__x86_64__)
/* The processor's own instruction: the same bits, eight bytes at a time. */
__attribute__((target("sse4.2"))) static uint32_t
add_fast(uint32_t crc, const uint8_t *bytes, size_t len)
{
	uint64_t wide = crc;

	for (; len >= 8; len -= 8, bytes += 8) {
		uint64_t word;

		memcpy(&word, bytes, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *bytes++);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *in, size_t len)
{
	const uint8_t *bytes = in;

	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~add_fast(crc, bytes, len);
#endif
	for (size_t i = 0; i < len; i++)
		crc = add_byte(crc, bytes[i]);
	return ~crc;
}
