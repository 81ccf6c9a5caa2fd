#include "core/snap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/keccak.h"
#include "tests/support/vectors.h"

#define PLAIN_MAX (1u << 20)

/* Length and contents, as a caller would; *plain is malloc'ed on success. */
static int expand(const uint8_t *in, size_t len, uint8_t **plain, size_t *size)
{
	int err = snap_plain_size(in, len, PLAIN_MAX, size);

	if (err)
		return err;
	*plain = malloc(*size ? *size : 1);
	err = snap_decompress(in, len, *plain, *size);
	if (err)
		free(*plain);
	return err;
}

Test(snap, the_valid_vectors_expand)
{
	json_t *file = vectors_load("snappy.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "valid"), i, v)
	{
		struct hex in = vectors_hex(v, "compressed");
		struct hex want = vectors_hex(v, "plain_keccak256");
		uint8_t got[KECCAK_DIGEST];
		uint8_t *plain;
		size_t size;

		cr_assert_eq(expand(in.bytes, in.len, &plain, &size), 0, "%s",
			     vectors_text(v, "name"));
		cr_assert_eq(size, vectors_u64(v, "plain_length"));
		keccak256(plain, size, got);
		cr_assert_arr_eq(got, want.bytes, sizeof(got));
		free(plain);
		hex_release(&want);
		hex_release(&in);
	}
	cr_assert_geq(i, 10);
	json_decref(file);
}

Test(snap, the_invalid_vectors_are_refused)
{
	json_t *file = vectors_load("snappy.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "must_fail"), i, v)
	{
		struct hex in = vectors_hex(v, "compressed");
		uint8_t *plain;
		size_t size;

		cr_assert_lt(expand(in.bytes, in.len, &plain, &size), 0, "%s",
			     vectors_text(v, "reason"));
		hex_release(&in);
	}
	cr_assert_geq(i, 10);
	json_decref(file);
}

Test(snap, a_length_above_the_limit_is_told_apart)
{
	static const uint8_t sixteen_mb[] = {0x80, 0x80, 0x80, 0x08};
	size_t size = 7;

	cr_assert_eq(snap_plain_size(sixteen_mb, 4, 1 << 20, &size), ERR_RANGE);
	cr_assert_eq(snap_plain_size(sixteen_mb, 3, 1 << 20, &size),
		     ERR_SYNTAX);
	cr_assert_eq(snap_plain_size(NULL, 0, 1 << 20, &size), ERR_SYNTAX);
	cr_assert_eq(size, 7);
	cr_assert_eq(snap_plain_size(sixteen_mb, 4, 1 << 24, &size), 0);
	cr_assert_eq(size, 1 << 24);
}

Test(snap, another_size_than_the_declared_one_is_refused)
{
	static const uint8_t in[] = {0x02, 0x04, 0x61, 0x62};
	uint8_t out[3] = {0, 0, 0xee};

	cr_assert_eq(snap_decompress(in, sizeof(in), out, 1), ERR_RANGE);
	cr_assert_eq(snap_decompress(in, sizeof(in), out, 3), ERR_RANGE);
	cr_assert_eq(snap_decompress(in, sizeof(in), out, 2), 0);
	cr_assert_arr_eq(out, "ab\xee", 3);
}

/* As the wire has it: the prefix, and behind it the plain bytes. */
static void check_literal(size_t size, size_t prefix_size)
{
	uint8_t *in = malloc(size + SNAP_PREFIX_MAX);
	uint8_t prefix[SNAP_PREFIX_MAX];
	uint8_t *plain;
	size_t got;
	size_t len = snap_literal_prefix(size, prefix);

	cr_assert_eq(len, prefix_size, "%zu bytes before %zu", len, size);
	memcpy(in, prefix, len);
	for (size_t i = 0; i < size; i++)
		in[len + i] = (uint8_t)(i * 7);
	cr_assert_eq(snap_plain_size(in, len + size, 1 << 24, &got), 0);
	cr_assert_eq(got, size);
	plain = malloc(size ? size : 1);
	cr_assert_eq(snap_decompress(in, len + size, plain, size), 0);
	cr_assert_eq(memcmp(plain, in + len, size), 0);
	free(plain);
	free(in);
}

Test(snap, a_literal_has_the_smallest_prefix)
{
	check_literal(0, 1);
	check_literal(1, 2);
	check_literal(60, 2);
	check_literal(61, 3);
	check_literal(127, 3);
	check_literal(128, 4);
	check_literal(256, 4);
	check_literal(257, 5);
	check_literal(16384, 6);
	check_literal(65536, 6);
	check_literal(65537, 7);
	check_literal((1 << 21) - 1, 7);
	check_literal(1 << 21, 8);
	check_literal(1 << 24, 8);
}

Test(snap, a_literal_is_the_one_of_the_vectors)
{
	json_t *file = vectors_load("snappy.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "valid"), i, v)
	{
		struct hex in;
		uint8_t prefix[SNAP_PREFIX_MAX];
		size_t len;

		if (!strstr(vectors_text(v, "name"), "bytes literal"))
			continue;
		in = vectors_hex(v, "compressed");
		len = snap_literal_prefix(vectors_u64(v, "plain_length"),
					  prefix);
		cr_assert_arr_eq(prefix, in.bytes, len);
		cr_assert_eq(len + vectors_u64(v, "plain_length"), in.len);
		hex_release(&in);
	}
	json_decref(file);
}
