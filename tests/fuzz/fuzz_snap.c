/*
 * Snappy blocks. The library that expands them is built without sanitizers,
 * so input and output each end where a page begins that nobody may touch.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/snap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE      4096u
#define INPUT_MAX (1u << 20)

/* One past the last byte that may be used. */
static uint8_t *fenced_end(void)
{
	uint8_t *mem = mmap(NULL, INPUT_MAX + PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || mprotect(mem + INPUT_MAX, PAGE, PROT_NONE))
		abort();
	return mem + INPUT_MAX;
}

static void check_expand(const uint8_t *data, size_t size)
{
	static uint8_t *in_end;
	static uint8_t *out_end;
	size_t plain;

	if (!in_end) {
		in_end = fenced_end();
		out_end = fenced_end();
	}
	memcpy(in_end - size, data, size);
	if (snap_plain_size(in_end - size, size, INPUT_MAX, &plain))
		return;
	(void)snap_decompress(in_end - size, size, out_end - plain, plain);
	if (plain > 0)
		assert(snap_decompress(in_end - size, size, out_end - plain,
				       plain - 1));
}

static void check_literal(const uint8_t *data, size_t size)
{
	uint8_t *block = malloc(size + SNAP_PREFIX_MAX);
	uint8_t *plain = malloc(size + 1);
	size_t len;
	size_t got;

	if (!block || !plain)
		abort();
	len = snap_literal_prefix(size, block);
	memcpy(block + len, data, size);
	assert(snap_plain_size(block, len + size, size, &got) == 0);
	assert(got == size);
	assert(snap_decompress(block, len + size, plain, size) == 0);
	assert(memcmp(plain, data, size) == 0);
	free(plain);
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > INPUT_MAX)
		return 0;
	check_expand(data, size);
	check_literal(data, size);
	return 0;
}
