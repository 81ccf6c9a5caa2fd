#include "core/crc32c.h"

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */

uint32_t crc32c(uint32_t crc, const void *in, size_t len)
{
	const uint8_t *bytes = in;

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (CRC32C_POLYNOMIAL & -(crc & 1));
	}
	return ~crc;
}
