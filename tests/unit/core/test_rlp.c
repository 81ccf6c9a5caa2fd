#include "core/rlp.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "tests/support/vectors.h"

/* Read everything, lists inside lists too; 0 or the first error. */
static int walk(struct rlp_reader r)
{
	while (rlp_more(&r)) {
		if (rlp_is_list(&r)) {
			int err = walk(rlp_list(&r));

			if (err)
				return err;
		} else {
			rlp_skip(&r);
		}
	}
	return rlp_end(&r);
}

/* Write the first item again from what was read. */
static void copy_item(struct rlp_reader *r, struct rlp_writer *w)
{
	if (rlp_is_list(r)) {
		struct rlp_reader list = rlp_list(r);

		rlp_put_list(w);
		while (rlp_more(&list))
			copy_item(&list, w);
		rlp_put_list_end(w);
	} else {
		size_t len;
		const uint8_t *s = rlp_string(r, &len);

		rlp_put_string(w, s, len);
	}
}

static void check_integer(const char *text, const struct hex *hex)
{
	struct rlp_reader r = rlp_reader(hex->bytes, hex->len);
	uint64_t want = strtoull(text, NULL, 0);
	uint8_t out[9];
	struct rlp_writer w = rlp_writer(out, sizeof(out));
	size_t len;

	cr_assert_eq(rlp_u64(&r), want);
	cr_assert_eq(rlp_end(&r), 0);
	rlp_put_u64(&w, want);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	cr_assert_eq(len, hex->len);
	cr_assert_arr_eq(out, hex->bytes, len);
}

static void check_valid(json_t *v)
{
	struct hex hex = vectors_hex(v, "rlp");
	const char *value = vectors_text(v, "value");
	struct rlp_reader r = rlp_reader(hex.bytes, hex.len);
	uint8_t *out = malloc(hex.len);
	struct rlp_writer w = rlp_writer(out, hex.len);
	size_t size;

	cr_assert_eq(walk(r), 0, "%s", vectors_text(v, "name"));
	cr_assert_eq(rlp_item_size(hex.bytes, hex.len, &size), 0);
	cr_assert_eq(size, hex.len);
	copy_item(&r, &w);
	cr_assert_eq(rlp_end(&r), 0);
	cr_assert_eq(rlp_put_end(&w, &size), 0);
	cr_assert_eq(size, hex.len);
	cr_assert_arr_eq(out, hex.bytes, size);
	if (strncmp(value, "uint:", 5) == 0)
		check_integer(value + 5, &hex);
	if (strncmp(value, "bool:", 5) == 0) {
		r = rlp_reader(hex.bytes, hex.len);
		cr_assert_eq(rlp_bool(&r), strcmp(value, "bool:true") == 0);
		cr_assert_eq(rlp_end(&r), 0);
	}
	free(out);
	hex_release(&hex);
}

Test(rlp, the_valid_vectors_are_read_and_written_alike)
{
	json_t *file = vectors_load("rlp.json");
	size_t i;
	json_t *v;
	size_t seen = 0;

	json_array_foreach(vectors_get(file, "valid"), i, v)
	{
		if (!json_object_get(v, "rlp"))
			continue;
		check_valid(v);
		seen++;
	}
	cr_assert_geq(seen, 20);
	json_decref(file);
}

static int read_as(const char *type, struct rlp_reader r)
{
	if (strcmp(type, "integer") == 0 || strcmp(type, "uint64") == 0)
		(void)rlp_u64(&r);
	else if (strcmp(type, "uint32") == 0)
		(void)rlp_u32(&r);
	else if (strcmp(type, "bool") == 0)
		(void)rlp_bool(&r);
	else if (strcmp(type, "top level, strict") == 0)
		rlp_skip(&r);
	else
		return walk(r);
	return rlp_end(&r);
}

Test(rlp, the_invalid_vectors_are_refused)
{
	json_t *file = vectors_load("rlp.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "invalid"), i, v)
	{
		struct hex hex = vectors_hex(v, "rlp");
		const char *type = vectors_text(v, "decoded_as");

		cr_assert_lt(read_as(type, rlp_reader(hex.bytes, hex.len)), 0,
			     "%s", vectors_text(v, "reason"));
		hex_release(&hex);
	}
	cr_assert_geq(i, 17);
	json_decref(file);
}

Test(rlp, a_long_string_has_the_header_of_the_vector)
{
	uint8_t *body = malloc(65536);
	uint8_t *out = malloc(65540);
	struct rlp_writer w = rlp_writer(out, 65540);
	struct rlp_reader r;
	size_t len;

	memset(body, 0xff, 65536);
	rlp_put_string(&w, body, 65536);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	cr_assert_eq(len, 65540);
	cr_assert_arr_eq(out, "\xba\x01\x00\x00\xff", 5);
	r = rlp_reader(out, len);
	cr_assert_arr_eq(rlp_string(&r, &len), body, 65536);
	cr_assert_eq(len, 65536);
	free(body);
	free(out);
}

Test(rlp, widths_are_kept)
{
	/* 256, 65536 and 2^32, each one too wide for the type before. */
	static const uint8_t wide8[] = {0x82, 1, 0};
	static const uint8_t wide16[] = {0x83, 1, 0, 0};
	static const uint8_t wide32[] = {0x85, 1, 0, 0, 0, 0};
	struct rlp_reader r = rlp_reader(wide8, sizeof(wide8));

	cr_assert_eq(rlp_u8(&r), 0);
	cr_assert_eq(rlp_end(&r), ERR_RANGE);
	r = rlp_reader(wide8, sizeof(wide8));
	cr_assert_eq(rlp_u16(&r), 256);
	r = rlp_reader(wide16, sizeof(wide16));
	cr_assert_eq(rlp_u16(&r), 0);
	cr_assert_eq(rlp_end(&r), ERR_RANGE);
	r = rlp_reader(wide16, sizeof(wide16));
	cr_assert_eq(rlp_u32(&r), 65536);
	r = rlp_reader(wide32, sizeof(wide32));
	cr_assert_eq(rlp_u32(&r), 0);
	cr_assert_eq(rlp_end(&r), ERR_RANGE);
	r = rlp_reader(wide32, sizeof(wide32));
	cr_assert_eq(rlp_u64(&r), 1ull << 32);
	cr_assert_eq(rlp_end(&r), 0);
}

Test(rlp, after_an_error_there_are_only_zeroes)
{
	static const uint8_t in[] = {0x05, 0x81, 0x05, 0x06, 0xc1, 0x07};
	struct rlp_reader r = rlp_reader(in, sizeof(in));
	struct rlp_reader list;
	uint8_t bytes[2] = {9, 9};
	size_t len = 9;

	cr_assert_eq(rlp_u8(&r), 5);
	cr_assert_eq(rlp_u8(&r), 0);
	cr_assert_not(rlp_more(&r));
	cr_assert_not(rlp_is_list(&r));
	cr_assert_not(rlp_is_string(&r));
	cr_assert_eq(rlp_u64(&r), 0);
	cr_assert_null(rlp_string(&r, &len));
	cr_assert_eq(len, 0);
	cr_assert_null(rlp_raw(&r, &len));
	cr_assert_eq(len, 0);
	rlp_bytes(&r, bytes, sizeof(bytes));
	cr_assert_eq(bytes[0] | bytes[1], 0);
	list = rlp_list(&r);
	cr_assert_not(rlp_more(&list));
	cr_assert_eq(rlp_end(&list), ERR_SYNTAX);
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
}

Test(rlp, a_kind_is_not_taken_for_the_other)
{
	static const uint8_t list[] = {0xc1, 0x01};
	static const uint8_t string[] = {0x82, 0xc0, 0xc0};
	struct rlp_reader r = rlp_reader(list, sizeof(list));
	struct rlp_reader inner;
	size_t len;

	cr_assert(rlp_is_list(&r));
	cr_assert_null(rlp_string(&r, &len));
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
	r = rlp_reader(string, sizeof(string));
	cr_assert(rlp_is_string(&r));
	inner = rlp_list(&r);
	cr_assert_eq(rlp_end(&inner), ERR_SYNTAX);
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
}

Test(rlp, bytes_have_their_exact_length)
{
	static const uint8_t in[] = {0x84, 0, 0, 0, 0};
	struct rlp_reader r = rlp_reader(in, sizeof(in));
	uint8_t out[5] = {1, 1, 1, 1, 1};

	rlp_bytes(&r, out, 4);
	cr_assert_eq(rlp_end(&r), 0);
	cr_assert_eq(out[0], 0);
	cr_assert_eq(out[4], 1);
	r = rlp_reader(in, sizeof(in));
	rlp_bytes(&r, out, 5);
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
	/* Topic 00000000 is never 80. */
	r = rlp_reader((const uint8_t[]){0x80}, 1);
	rlp_bytes(&r, out, 4);
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
}

Test(rlp, raw_gives_the_bytes_as_they_were_sent)
{
	static const uint8_t in[] = {0xc3, 0x82, 0xaa, 0xbb, 0x7f};
	struct rlp_reader r = rlp_reader(in, sizeof(in));
	size_t len;

	cr_assert_eq(rlp_raw(&r, &len), in);
	cr_assert_eq(len, 4);
	cr_assert_eq(rlp_raw(&r, &len), in + 4);
	cr_assert_eq(len, 1);
	cr_assert_eq(rlp_end(&r), 0);
}

Test(rlp, nothing_at_all_is_a_sequence_of_no_items)
{
	struct rlp_reader r = rlp_reader(NULL, 0);

	cr_assert_not(rlp_more(&r));
	cr_assert_eq(rlp_end(&r), 0);
	rlp_skip(&r);
	cr_assert_eq(rlp_end(&r), ERR_SYNTAX);
}

Test(rlp, an_item_tells_its_size_from_its_header)
{
	static const uint8_t header[] = {0xb9, 0x01, 0x00};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff,
				       0xff, 0xff, 0xff, 0xff};
	static const uint8_t padded[] = {0xf9, 0x00, 0xff};
	size_t size = 0;

	cr_assert_eq(rlp_item_size(header, 0, &size), ERR_AGAIN);
	cr_assert_eq(rlp_item_size(header, 2, &size), ERR_AGAIN);
	cr_assert_eq(rlp_item_size(header, 3, &size), 0);
	cr_assert_eq(size, 259);
	cr_assert_eq(rlp_item_size(huge, 9, &size), ERR_SYNTAX);
	cr_assert_eq(rlp_item_size(padded, 3, &size), ERR_SYNTAX);
	cr_assert_eq(rlp_item_size((const uint8_t[]){0x81}, 1, &size), 0);
	cr_assert_eq(size, 2);
}

Test(rlp, a_full_writer_stays_full_and_writes_no_further)
{
	uint8_t out[4] = {0, 0, 0, 0xee};
	struct rlp_writer w = rlp_writer(out, 3);
	size_t len = 77;

	rlp_put_list(&w);
	rlp_put_u64(&w, 1);
	rlp_put_string(&w, "abc", 3);
	rlp_put_bool(&w, true);
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), ERR_FULL);
	cr_assert_eq(len, 77);
	cr_assert_eq(out[3], 0xee);
	/* The contents fit, the header of the list does not. */
	w = rlp_writer(out, 3);
	rlp_put_list(&w);
	rlp_put_raw(&w, "\x01\x02\x03", 3);
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), ERR_FULL);
	cr_assert_eq(out[3], 0xee);
}

Test(rlp, headers_grow_with_what_they_head)
{
	static const size_t sizes[] = {
		0,          55,         56,          255,        256,
		65535,      65536,      1ull << 24,  1ull << 32, 1ull << 40,
		1ull << 48, 1ull << 56, SIZE_MAX - 9};
	static const size_t lengths[] = {1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 9};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t out[RLP_HEADER_MAX];
		size_t whole;

		cr_assert_eq(rlp_string_header(out, sizes[i]), lengths[i]);
		cr_assert_eq(rlp_item_size(out, lengths[i], &whole), 0);
		cr_assert_eq(whole, sizes[i] + lengths[i]);
		cr_assert_eq(rlp_list_header(out, sizes[i]), lengths[i]);
		cr_assert_geq(out[0], 0xc0);
		cr_assert_eq(rlp_item_size(out, lengths[i], &whole), 0);
		cr_assert_eq(whole, sizes[i] + lengths[i]);
	}
}
