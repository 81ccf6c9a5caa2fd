/*
 * RLP: what is read whole is written again as the same bytes, since there is
 * one encoding of each value; typed reads stay inside what they were given.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/rlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_list(struct rlp_reader *r, struct rlp_writer *w);

static void copy_item(struct rlp_reader *r, struct rlp_writer *w)
{
	const uint8_t *bytes;
	size_t len;

	if (rlp_is_list(r) && w->depth < RLP_DEPTH_MAX) {
		copy_list(r, w);
	} else if (rlp_is_list(r)) {
		bytes = rlp_raw(r, &len);
		rlp_put_raw(w, bytes, len);
	} else {
		bytes = rlp_string(r, &len);
		rlp_put_string(w, bytes, len);
	}
}

static void copy_list(struct rlp_reader *r, struct rlp_writer *w)
{
	struct rlp_reader list = rlp_list(r);

	rlp_put_list(w);
	while (rlp_more(&list))
		copy_item(&list, w);
	rlp_put_list_end(w);
	if (rlp_end(&list))
		r->err = rlp_end(&list);
}

static void check_copy(const uint8_t *data, size_t size)
{
	struct rlp_reader r = rlp_reader(data, size);
	uint8_t *out = malloc(size ? size : 1);
	struct rlp_writer w = rlp_writer(out, size);
	size_t len;

	if (!out)
		abort();
	while (rlp_more(&r))
		copy_item(&r, &w);
	if (rlp_end(&r) == 0) {
		assert(rlp_put_end(&w, &len) == 0);
		assert(len == size && memcmp(out, data, size) == 0);
	}
	free(out);
}

static void check_size(const uint8_t *data, size_t size)
{
	struct rlp_reader r = rlp_reader(data, size);
	size_t whole;
	size_t len;
	const uint8_t *raw = rlp_raw(&r, &len);

	if (rlp_item_size(data, size, &whole) == 0 && whole <= size)
		assert(raw == data && len == whole);
	else
		assert(!raw && len == 0);
}

/* The types in turn, whatever stands there. */
static void check_types(const uint8_t *data, size_t size)
{
	struct rlp_reader r = rlp_reader(data, size);
	uint8_t fixed[4];
	size_t len;

	for (unsigned i = 0; rlp_more(&r); i++) {
		switch (i % 6) {
		case 0:
			(void)rlp_u8(&r);
			break;
		case 1:
			(void)rlp_u16(&r);
			break;
		case 2:
			(void)rlp_u32(&r);
			break;
		case 3:
			(void)rlp_u64(&r);
			break;
		case 4:
			(void)rlp_bool(&r);
			break;
		case 5:
			rlp_bytes(&r, fixed, sizeof(fixed));
			break;
		}
	}
	if (rlp_end(&r)) {
		assert(rlp_u64(&r) == 0 && !rlp_string(&r, &len) && len == 0);
		assert(!rlp_more(&r));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_copy(data, size);
	check_size(data, size);
	check_types(data, size);
	return 0;
}
