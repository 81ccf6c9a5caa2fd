#ifndef CORE_KECCAK_H
#define CORE_KECCAK_H
/*
 * Keccak-256 as Ethereum uses it (padding byte 0x01, not SHA3's 0x06), with a
 * state that can be copied and read without ending it, and a form that runs
 * several independent states at once.
 *
 * Thread: any; a state belongs to its caller.
 */
#include <stddef.h>
#include <stdint.h>

#define KECCAK_RATE   136
#define KECCAK_DIGEST 32

struct keccak {
	uint64_t lanes[25];
	uint32_t pos; /* bytes absorbed into the present block, 0..135 */
};

void keccak_init(struct keccak *k);
void keccak_absorb(struct keccak *k, const void *in, size_t len);
/* The digest of what was absorbed so far; the state goes on unchanged. */
void keccak_peek(const struct keccak *k, uint8_t out[static KECCAK_DIGEST]);
void keccak256(const void *in, size_t len, uint8_t out[static KECCAK_DIGEST]);

/*
 * Many at a time. Jobs may differ in length and in position within a block;
 * lanes are refilled as jobs end, so order the calls by work, not the jobs.
 * States and outputs must be distinct. Any count, including 0.
 */
struct keccak_absorb_job {
	struct keccak *state;
	const uint8_t *in;
	size_t len;
};
struct keccak_peek_job {
	const struct keccak *state;
	uint8_t *out; /* KECCAK_DIGEST bytes */
};
struct keccak_hash_job {
	const uint8_t *in;
	size_t len;
	/* A few more bytes hashed after `in`, as the PoW nonce is; may be 0. */
	uint8_t tail[8];
	uint32_t tail_len;
	uint8_t *out; /* KECCAK_DIGEST bytes */
};

void keccak_absorb_many(const struct keccak_absorb_job *jobs, size_t count);
void keccak_peek_many(const struct keccak_peek_job *jobs, size_t count);
void keccak256_many(const struct keccak_hash_job *jobs, size_t count);

/*
 * How many streams go at once: 8 (AVX-512), 4 (AVX2) or 1, from what the
 * processor has; keccak_set_width() narrows it for tests and benchmarks and
 * returns what is in force (never more than the processor can).
 */
unsigned keccak_width(void);
unsigned keccak_set_width(unsigned width);

#endif
