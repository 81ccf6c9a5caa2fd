#include "core/crc32c.h"

#include <criterion/criterion.h>

#include "core/bytes.h"

/* As the definition says it, bit by bit. */
static uint32_t by_definition(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

Test(crc32c, the_known_values)
{
	static const uint8_t zeros[32];
	uint8_t ones[32];

	memset(ones, 0xff, sizeof(ones));
	cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720, B.4 */
	cr_assert_eq(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
	cr_assert_eq(crc32c(0, ones, sizeof(ones)), 0x62a8ab43);
	cr_assert_eq(crc32c(0, "", 0), 0);
}

Test(crc32c, all_lengths_and_places_are_as_the_definition_says)
{
	uint8_t bytes[400];

	bytes_random(bytes, sizeof(bytes));
	for (size_t at = 0; at < 9; at++)
		for (size_t len = 0; len <= 380; len++)
			cr_assert_eq(crc32c(0, bytes + at, len),
				     by_definition(bytes + at, len),
				     "%zu bytes at %zu", len, at);
}

Test(crc32c, parts_give_what_the_whole_gives)
{
	uint8_t bytes[100];

	bytes_random(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		cr_assert_eq(crc32c(crc32c(0, bytes, cut), bytes + cut,
				    sizeof(bytes) - cut),
			     crc32c(0, bytes, sizeof(bytes)));
}
