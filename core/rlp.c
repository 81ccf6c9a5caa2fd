#include "core/rlp.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"

#define SHORT_MAX 55 /* longest body whose length fits the first byte */

struct header {
	bool is_list;
	size_t size; /* of the header itself: 0 for a byte below 80 */
	uint64_t body;
};

/* `count` length bytes behind the first one: big endian, no shorter form. */
static int long_length_decode(const uint8_t *in, size_t len, unsigned count,
			      struct header *out)
{
	uint64_t body = 0;

	if (len < 1 + (size_t)count)
		return ERR_AGAIN;
	if (in[1] == 0)
		return ERR_SYNTAX;
	for (unsigned i = 1; i <= count; i++)
		body = body << 8 | in[i];
	if (body <= SHORT_MAX)
		return ERR_SYNTAX;
	out->size = 1 + (size_t)count;
	out->body = body;
	return 0;
}

/*
 * The header of the first item: 0, ERR_AGAIN (it is not all there) or
 * ERR_SYNTAX. The body may run past `len`.
 */
static int header_decode(const uint8_t *in, size_t len, struct header *out)
{
	unsigned base;

	if (len == 0)
		return ERR_AGAIN;
	if (in[0] < 0x80) {
		*out = (struct header){.size = 0, .body = 1};
		return 0;
	}
	out->is_list = in[0] >= 0xc0;
	base = out->is_list ? 0xc0 : 0x80;
	if (in[0] - base > SHORT_MAX)
		return long_length_decode(in, len, in[0] - base - SHORT_MAX,
					  out);
	out->size = 1;
	out->body = in[0] - base;
	/* A single byte below 80 stands for itself. */
	if (in[0] == 0x81 && len > 1 && in[1] < 0x80)
		return ERR_SYNTAX;
	return 0;
}

static void fail(struct rlp_reader *r, int err)
{
	if (!r->err)
		r->err = err;
	r->pos = r->end;
}

struct item {
	bool is_list;
	const uint8_t *raw; /* with its header; NULL after an error */
	const uint8_t *body;
	size_t body_len;
};

/* Step over the next item. */
static struct item next_item(struct rlp_reader *r)
{
	size_t left = (size_t)(r->end - r->pos);
	struct item item = {0};
	struct header h;

	if (r->err)
		return item;
	/* The body is compared with what remains and never added first. */
	if (header_decode(r->pos, left, &h) || h.body > left - h.size) {
		fail(r, ERR_SYNTAX);
		return item;
	}
	item.is_list = h.is_list;
	item.raw = r->pos;
	item.body = r->pos + h.size;
	item.body_len = (size_t)h.body;
	r->pos = item.body + item.body_len;
	return item;
}

static struct item next_string(struct rlp_reader *r)
{
	struct item item = next_item(r);

	if (item.raw && item.is_list) {
		fail(r, ERR_SYNTAX);
		item = (struct item){0};
	}
	return item;
}

struct rlp_reader rlp_reader(const uint8_t *in, size_t len)
{
	/* NULL has no neighbours, not even at distance 0. */
	return (struct rlp_reader){.pos = in, .end = len ? in + len : in};
}

struct rlp_reader rlp_list(struct rlp_reader *r)
{
	struct item item = next_item(r);
	struct rlp_reader list;

	if (item.raw && !item.is_list)
		fail(r, ERR_SYNTAX);
	if (!r->err)
		return rlp_reader(item.body, item.body_len);
	list = rlp_reader(NULL, 0);
	list.err = r->err;
	return list;
}

bool rlp_more(const struct rlp_reader *r)
{
	return !r->err && r->pos != r->end;
}

bool rlp_is_list(const struct rlp_reader *r)
{
	return rlp_more(r) && *r->pos >= 0xc0;
}

bool rlp_is_string(const struct rlp_reader *r)
{
	return rlp_more(r) && *r->pos < 0xc0;
}

static uint64_t next_integer(struct rlp_reader *r, size_t width)
{
	struct item item = next_string(r);
	uint64_t value = 0;

	if (item.body_len > 0 && item.body[0] == 0) {
		fail(r, ERR_SYNTAX);
		return 0;
	}
	if (item.body_len > width) {
		fail(r, ERR_RANGE);
		return 0;
	}
	for (size_t i = 0; i < item.body_len; i++)
		value = value << 8 | item.body[i];
	return value;
}

uint8_t rlp_u8(struct rlp_reader *r)
{
	return (uint8_t)next_integer(r, sizeof(uint8_t));
}

uint16_t rlp_u16(struct rlp_reader *r)
{
	return (uint16_t)next_integer(r, sizeof(uint16_t));
}

uint32_t rlp_u32(struct rlp_reader *r)
{
	return (uint32_t)next_integer(r, sizeof(uint32_t));
}

uint64_t rlp_u64(struct rlp_reader *r)
{
	return next_integer(r, sizeof(uint64_t));
}

bool rlp_bool(struct rlp_reader *r)
{
	uint8_t value = rlp_u8(r);

	if (value > 1) {
		fail(r, ERR_RANGE);
		return false;
	}
	return value == 1;
}

void rlp_bytes(struct rlp_reader *r, uint8_t *out, size_t len)
{
	struct item item = next_string(r);

	if (!r->err && item.body_len != len)
		fail(r, ERR_SYNTAX);
	if (len == 0)
		return;
	if (r->err)
		memset(out, 0, len);
	else
		memcpy(out, item.body, len);
}

const uint8_t *rlp_string(struct rlp_reader *r, size_t *len)
{
	struct item item = next_string(r);

	*len = item.body_len;
	return item.body;
}

const uint8_t *rlp_raw(struct rlp_reader *r, size_t *len)
{
	struct item item = next_item(r);

	*len = item.raw ? (size_t)(r->pos - item.raw) : 0;
	return item.raw;
}

void rlp_skip(struct rlp_reader *r)
{
	(void)next_item(r);
}

int rlp_end(const struct rlp_reader *r)
{
	if (r->err)
		return r->err;
	return r->pos == r->end ? 0 : ERR_SYNTAX;
}

int rlp_item_size(const uint8_t *in, size_t len, size_t *size)
{
	struct header h;
	int err = header_decode(in, len, &h);

	if (err)
		return err;
	if (h.body > SIZE_MAX - h.size)
		return ERR_SYNTAX;
	*size = h.size + (size_t)h.body;
	return 0;
}

struct rlp_writer rlp_writer(uint8_t *out, size_t cap)
{
	return (struct rlp_writer){.out = out, .cap = cap};
}

/* Is there room for so many bytes more? */
static bool has_room(struct rlp_writer *w, size_t size)
{
	if (!w->err && size > w->cap - w->len)
		w->err = ERR_FULL;
	return !w->err;
}

void rlp_put_raw(struct rlp_writer *w, const void *item, size_t len)
{
	if (!has_room(w, len) || len == 0)
		return;
	memcpy(w->out + w->len, item, len);
	w->len += len;
}

void rlp_put_list(struct rlp_writer *w)
{
	assert(w->depth < RLP_DEPTH_MAX);
	w->open[w->depth++] = w->len;
}

void rlp_put_list_end(struct rlp_writer *w)
{
	uint8_t header[RLP_HEADER_MAX];
	size_t start;
	size_t size;
	size_t header_size;

	assert(w->depth > 0);
	start = w->open[--w->depth];
	size = w->len - start;
	header_size = rlp_list_header(header, size);
	if (!has_room(w, header_size))
		return;
	memmove(w->out + start + header_size, w->out + start, size);
	memcpy(w->out + start, header, header_size);
	w->len += header_size;
}

void rlp_put_string(struct rlp_writer *w, const void *in, size_t len)
{
	uint8_t header[RLP_HEADER_MAX];
	const uint8_t *bytes = in;

	if (len != 1 || bytes[0] >= 0x80)
		rlp_put_raw(w, header, rlp_string_header(header, len));
	rlp_put_raw(w, in, len);
}

void rlp_put_u64(struct rlp_writer *w, uint64_t value)
{
	uint8_t bytes[sizeof(value)];
	size_t at = sizeof(bytes);

	for (; value; value >>= 8)
		bytes[--at] = (uint8_t)value;
	rlp_put_string(w, bytes + at, sizeof(bytes) - at);
}

void rlp_put_bool(struct rlp_writer *w, bool value)
{
	rlp_put_u64(w, value);
}

int rlp_put_end(const struct rlp_writer *w, size_t *len)
{
	assert(w->depth == 0);
	if (w->err)
		return w->err;
	*len = w->len;
	return 0;
}

static size_t header_encode(uint8_t *out, unsigned base, size_t size)
{
	size_t count = 0;

	if (size <= SHORT_MAX) {
		out[0] = (uint8_t)(base + size);
		return 1;
	}
	for (size_t rest = size; rest; rest >>= 8)
		count++;
	out[0] = (uint8_t)(base + SHORT_MAX + count);
	for (size_t i = count; i > 0; i--, size >>= 8)
		out[i] = (uint8_t)size;
	return 1 + count;
}

size_t rlp_list_header(uint8_t out[static RLP_HEADER_MAX], size_t size)
{
	return header_encode(out, 0xc0, size);
}

size_t rlp_string_header(uint8_t out[static RLP_HEADER_MAX], size_t size)
{
	return header_encode(out, 0x80, size);
}
