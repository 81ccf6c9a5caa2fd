/*
 * Any bytes as an envelope. One that decodes must come back byte for byte
 * from its fields, and both ways to its PoW must agree.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_encoding(const struct envelope *env)
{
	uint8_t *out = malloc((size_t)env->data_size + 40);
	size_t len;

	assert(out);
	len = envelope_encode(env, env->rlp + env->data_offset, out);
	assert(len == env->size);
	assert(!memcmp(out, env->rlp, len));
	free(out);
}

static void check_pow(const struct envelope *env)
{
	uint8_t *scratch = malloc((size_t)env->size + 9);
	uint8_t hash[KECCAK_DIGEST];
	struct keccak_hash_job job = {.in = scratch, .tail_len = 8};
	double pow;

	assert(scratch);
	job.len = envelope_pow_input(env, scratch);
	job.out = hash;
	be64_store(job.tail, env->nonce);
	keccak256_many(&job, 1);
	pow = envelope_pow_of(hash, job.len, env->ttl_s, 1);
	assert(pow > 0);
	assert(!(pow < envelope_pow(env, 1)) && !(pow > envelope_pow(env, 1)));
	free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope env = {0};

	if (envelope_decode(data, size, &env)) {
		/* Whatever it says, it stays within these bytes. */
		(void)envelope_is_sound(data, (uint32_t)size, env.topic);
		return 0;
	}
	assert(envelope_is_sound(data, (uint32_t)size, env.topic));
	assert((size_t)env.data_offset + env.data_size <= size);
	check_encoding(&env);
	check_pow(&env);
	(void)envelope_check(&env, env.expiry_s, 1u << 20);
	return 0;
}
