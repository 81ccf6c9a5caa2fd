#ifndef CORE_RLP_H
#define CORE_RLP_H
/*
 * RLP, strict (protocol/rlp.md): canonical lengths and integers only.
 *
 * A reader remembers its first error and yields zeroes from then on, so a
 * decoder is a plain list with one check, rlp_end(). It borrows the bytes it
 * reads. Nothing recurses; depth is what the caller's code says.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rlp_reader {
	const uint8_t *pos;
	const uint8_t *end;
	int err; /* 0, ERR_SYNTAX or ERR_RANGE (an integer wider than its type)
		  */
};

/* Read the `len` bytes at `in`, a sequence of items. */
struct rlp_reader rlp_reader(const uint8_t *in, size_t len);

/* Enter the list that is next; the parent stands behind it at once. */
struct rlp_reader rlp_list(struct rlp_reader *r);

/* Is there a further item, and no error yet? */
bool rlp_more(const struct rlp_reader *r);
/* Kind of the next item; false when there is none. */
bool rlp_is_list(const struct rlp_reader *r);
bool rlp_is_string(const struct rlp_reader *r);

/* Integers: big endian, no leading zero, at most the width named. */
uint8_t rlp_u8(struct rlp_reader *r);
uint16_t rlp_u16(struct rlp_reader *r);
uint32_t rlp_u32(struct rlp_reader *r);
uint64_t rlp_u64(struct rlp_reader *r);
bool rlp_bool(struct rlp_reader *r);

/* A string of exactly `len` bytes, copied. */
void rlp_bytes(struct rlp_reader *r, uint8_t *out, size_t len);
/* A string of any length, borrowed. NULL and 0 after an error. */
const uint8_t *rlp_string(struct rlp_reader *r, size_t *len);
/* Any item with its header, borrowed: the bytes as they were sent. */
const uint8_t *rlp_raw(struct rlp_reader *r, size_t *len);
void rlp_skip(struct rlp_reader *r);

/* The error so far, or ERR_SYNTAX if items are left over. */
int rlp_end(const struct rlp_reader *r);

/*
 * Whole bytes that the first item in `in` will take, header included, seen
 * from its header alone. Returns 0, ERR_AGAIN (header incomplete) or
 * ERR_SYNTAX. `*size` may exceed `len`.
 */
int rlp_item_size(const uint8_t *in, size_t len, size_t *size);

/*
 * A writer appends to memory of the caller's and remembers its first error
 * (ERR_FULL). Lists are opened and closed; their headers are put in place
 * when they close, so contents move by up to 8 bytes.
 */
#define RLP_DEPTH_MAX 8

struct rlp_writer {
	uint8_t *out;
	size_t cap;
	size_t len; /* bytes written so far */
	size_t open[RLP_DEPTH_MAX];
	unsigned depth;
	int err;
};

struct rlp_writer rlp_writer(uint8_t *out, size_t cap);
void rlp_put_list(struct rlp_writer *w);     /* open a list */
void rlp_put_list_end(struct rlp_writer *w); /* close the innermost */
void rlp_put_u64(struct rlp_writer *w, uint64_t value);
void rlp_put_bool(struct rlp_writer *w, bool value);
void rlp_put_string(struct rlp_writer *w, const void *in, size_t len);
void rlp_put_raw(struct rlp_writer *w, const void *item, size_t len);
/* 0 with *len set, or the first error. All lists must be closed. */
int rlp_put_end(const struct rlp_writer *w, size_t *len);

/* Header of a list or string with `size` bytes of body; returns 1..9. */
#define RLP_HEADER_MAX 9
size_t rlp_list_header(uint8_t out[static RLP_HEADER_MAX], size_t size);
size_t rlp_string_header(uint8_t out[static RLP_HEADER_MAX], size_t size);

#endif
