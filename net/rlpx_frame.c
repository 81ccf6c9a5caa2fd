/* Frames of many connections at a time, protocol/rlpx.md §5. */
#include "net/rlpx.h"

#include <assert.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/err.h"

#define BLOCK 16
/* Jobs taken up together: enough to fill the widest lanes several times. */
#define BATCH 64

struct batch {
	size_t count;
	struct rlpx_stream *stream[BATCH];
	uint8_t digest[BATCH][KECCAK_DIGEST];
	uint8_t seed[BATCH][BLOCK];
	struct keccak_peek_job peeks[BATCH];
	struct keccak_absorb_job absorbs[BATCH];
};

static size_t rounded(size_t n)
{
	return (n + BLOCK - 1) & ~(size_t)(BLOCK - 1);
}

size_t rlpx_body_size(size_t n)
{
	return rounded(n) + RLPX_MAC_SIZE;
}

static size_t batch_count(size_t left)
{
	return left < BATCH ? left : BATCH;
}

static void set_absorb(struct batch *b, size_t i, const uint8_t *in, size_t len)
{
	b->absorbs[i] = (struct keccak_absorb_job){
		.state = &b->stream[i]->mac, .in = in, .len = len};
}

static void absorb(struct batch *b)
{
	keccak_absorb_many(b->absorbs, b->count);
}

/* digest = D(S) for all. */
static void peek(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		b->peeks[i] = (struct keccak_peek_job){
			.state = &b->stream[i]->mac, .out = b->digest[i]};
	keccak_peek_many(b->peeks, b->count);
}

/* The same, where the last update() has not left it behind. */
static void recall(struct batch *b)
{
	size_t missing = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct rlpx_stream *stream = b->stream[i];

		if (stream->has_digest)
			memcpy(b->digest[i], stream->digest, BLOCK);
		else
			b->peeks[missing++] = (struct keccak_peek_job){
				.state = &stream->mac, .out = b->digest[i]};
	}
	keccak_peek_many(b->peeks, missing);
}

/*
 * update(S, seed) for all: S absorbs E(D(S)) XOR seed. `digest` holds D(S)
 * before and after.
 */
static void update(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		uint8_t x[BLOCK];

		aes_block_encrypt(b->stream[i]->mac_key, b->digest[i], x);
		for (size_t k = 0; k < BLOCK; k++)
			b->seed[i][k] ^= x[k];
		set_absorb(b, i, b->seed[i], BLOCK);
	}
	absorb(b);
	peek(b);
	for (size_t i = 0; i < b->count; i++) {
		memcpy(b->stream[i]->digest, b->digest[i], BLOCK);
		b->stream[i]->has_digest = true;
	}
}

/* The body's: the seed is the first half of D(S) itself. */
static void update_with_digest(struct batch *b)
{
	peek(b);
	for (size_t i = 0; i < b->count; i++)
		memcpy(b->seed[i], b->digest[i], BLOCK);
	update(b);
}

static void write_header(const struct rlpx_seal_job *job)
{
	uint8_t *header = job->frame;

	assert(job->n > 0 && job->n <= RLPX_FRAME_MAX);
	memset(header, 0, BLOCK);
	header[0] = (uint8_t)(job->n >> 16);
	header[1] = (uint8_t)(job->n >> 8);
	header[2] = (uint8_t)job->n;
	header[3] = 0xc2;
	header[4] = 0x80;
	header[5] = 0x80;
	aes_ctr_apply(job->stream->cipher, header, header, BLOCK);
}

/*
 * Encrypt and absorb in slices, so that what was just written is hashed while
 * it is near: a whole multiple of both the hash's and the cipher's block.
 */
#define SLICE ((size_t)120 * KECCAK_RATE)

static void seal_bodies(struct batch *b, const struct rlpx_seal_job *jobs)
{
	size_t active = b->count;

	for (size_t at = 0; active > 0; at += SLICE) {
		active = 0;
		for (size_t i = 0; i < b->count; i++) {
			uint8_t *in = jobs[i].frame + RLPX_HEADER_SIZE + at;
			size_t size = rounded(jobs[i].n);

			if (size <= at)
				continue;
			size = size - at < SLICE ? size - at : SLICE;
			aes_ctr_apply(jobs[i].stream->cipher, in, in, size);
			b->absorbs[active++] = (struct keccak_absorb_job){
				.state = &b->stream[i]->mac,
				.in = in,
				.len = size};
		}
		keccak_absorb_many(b->absorbs, active);
	}
}

static void pad_body(const struct rlpx_seal_job *job)
{
	memset(job->frame + RLPX_HEADER_SIZE + job->n, 0,
	       rounded(job->n) - job->n);
}

static void seal_batch(const struct rlpx_seal_job *jobs, size_t count)
{
	struct batch b;

	assert(count > 0 && count <= BATCH);
	b.count = count;
	for (size_t i = 0; i < count; i++) {
		b.stream[i] = jobs[i].stream;
		write_header(&jobs[i]);
		memcpy(b.seed[i], jobs[i].frame, BLOCK);
	}
	recall(&b);
	update(&b);
	for (size_t i = 0; i < count; i++) {
		memcpy(jobs[i].frame + BLOCK, b.digest[i], RLPX_MAC_SIZE);
		pad_body(&jobs[i]);
	}
	seal_bodies(&b, jobs);
	update_with_digest(&b);
	for (size_t i = 0; i < count; i++)
		memcpy(jobs[i].frame + RLPX_HEADER_SIZE + rounded(jobs[i].n),
		       b.digest[i], RLPX_MAC_SIZE);
}

void rlpx_seal_many(const struct rlpx_seal_job *jobs, size_t count)
{
	for (size_t n; count > 0; jobs += n, count -= n) {
		n = batch_count(count);
		seal_batch(jobs, n);
	}
}

/* §5: bytes 3 to 15 are not looked at; n = 0 is a breach. */
static void read_header(struct rlpx_header_job *job)
{
	uint8_t header[BLOCK];

	aes_ctr_apply(job->stream->cipher, job->header, header, BLOCK);
	job->n = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
	job->err = job->n > 0 ? 0 : ERR_PROTOCOL;
}

static void open_header_batch(struct rlpx_header_job *jobs, size_t count)
{
	struct batch b;

	assert(count > 0 && count <= BATCH);
	b.count = count;
	for (size_t i = 0; i < count; i++) {
		b.stream[i] = jobs[i].stream;
		memcpy(b.seed[i], jobs[i].header, BLOCK);
	}
	recall(&b);
	update(&b);
	for (size_t i = 0; i < count; i++) {
		jobs[i].n = 0;
		jobs[i].err = ERR_AUTH;
		if (bytes_equal_ct(b.digest[i], jobs[i].header + BLOCK,
				   RLPX_MAC_SIZE))
			read_header(&jobs[i]);
	}
}

void rlpx_open_headers(struct rlpx_header_job *jobs, size_t count)
{
	for (size_t n; count > 0; jobs += n, count -= n) {
		n = batch_count(count);
		open_header_batch(jobs, n);
	}
}

static void open_body_batch(struct rlpx_body_job *jobs, size_t count)
{
	struct batch b;

	assert(count > 0 && count <= BATCH);
	b.count = count;
	for (size_t i = 0; i < count; i++) {
		b.stream[i] = jobs[i].stream;
		set_absorb(&b, i, jobs[i].body, rounded(jobs[i].n));
	}
	absorb(&b);
	update_with_digest(&b);
	for (size_t i = 0; i < count; i++) {
		size_t size = rounded(jobs[i].n);

		jobs[i].err = ERR_AUTH;
		if (!bytes_equal_ct(b.digest[i], jobs[i].body + size,
				    RLPX_MAC_SIZE))
			continue;
		aes_ctr_apply(jobs[i].stream->cipher, jobs[i].body,
			      jobs[i].body, size);
		jobs[i].err = 0;
	}
}

void rlpx_open_bodies(struct rlpx_body_job *jobs, size_t count)
{
	for (size_t n; count > 0; jobs += n, count -= n) {
		n = batch_count(count);
		open_body_batch(jobs, n);
	}
}
