/*
 * A line of an import file: what decodes lies within the line, and times are
 * read without harm.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/dump.h"
#include "app/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct dump_line line;
	uint32_t when;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (dump_json_decode(text, size, &line) == 0 && line.rlp) {
		assert(line.rlp >= text);
		assert(line.rlp + line.rlp_size < text + size);
	}
	(void)when_decode(text, 1600000000, &when);
	free(text);
	return 0;
}
