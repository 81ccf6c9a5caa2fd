/*
 * A slice file from a damaged disk: whatever passes the check can be opened,
 * read to the end and written to.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/slice.h"

#define MAP_BYTES (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_everything(struct slice *slice)
{
	volatile uint8_t sink = 0;
	struct slice_read read;
	struct run_view run;
	int err = slice_read_begin(slice, &read);

	if (err)
		return;
	err = slice_read_run(&read, true, &run);
	while (!err) {
		for (uint32_t i = 0; i < run.header->count; i++) {
			const struct run_entry *entry = &run.entries[i];
			const uint8_t *at = slice_read_envelope(&read, entry);

			if (at && entry->size > 0)
				sink ^= at[entry->size - 1];
		}
		err = slice_read_run(&read, false, &run);
	}
	slice_read_end(&read);
	(void)sink; /* reading was all */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice_ident ident = {.shards = 1, .span_s = 86400};
	char path[64], lock[80];
	struct slice *slice;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/tmp/restante-fuzz-slice-%d",
		       (int)getpid());
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		abort();
	if (slice_open(path, &ident, MAP_BYTES, 8, false, &slice) == 0) {
		read_everything(slice);
		(void)slice_probe(slice);
		slice_close(slice);
	}
	(void)unlink(path);
	(void)unlink(lock);
	return 0;
}
