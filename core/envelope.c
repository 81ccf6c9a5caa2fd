#include "core/envelope.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/rlp.h"

/* What §4 and §5 count for an envelope besides its data. */
#define FIELDS_SIZE 20

int envelope_decode(const uint8_t *in, size_t len, struct envelope *out)
{
	struct rlp_reader whole = rlp_reader(in, len);
	struct rlp_reader r = rlp_list(&whole);
	const uint8_t *data;
	size_t data_size;

	if (len > UINT32_MAX)
		return ERR_SYNTAX;
	out->rlp = in;
	out->size = (uint32_t)len;
	out->expiry_s = rlp_u32(&r);
	out->ttl_s = rlp_u32(&r);
	rlp_bytes(&r, out->topic.bytes, TOPIC_SIZE);
	data = rlp_string(&r, &data_size);
	out->nonce = rlp_u64(&r);
	if (rlp_end(&r) || rlp_end(&whole))
		return ERR_SYNTAX;
	out->data_offset = (uint32_t)(data - in);
	out->data_size = (uint32_t)data_size;
	return 0;
}

/* Where an integer that begins at `at` ends; beyond `size` if it is none. */
static uint64_t integer_end(const uint8_t *in, uint64_t at, uint32_t size)
{
	if (at >= size || in[at] > 0x88)
		return UINT64_MAX;
	return at + (in[at] < 0x80 ? 1 : in[at] - 0x7fu);
}

/*
 * The same of a string, or a list, whose first byte is `base` when it is
 * empty; *first is where its content begins.
 */
static uint64_t content_end(const uint8_t *in, uint64_t at, uint32_t size,
			    uint8_t base, uint64_t *first)
{
	unsigned head, bytes;
	uint64_t len = 0;

	if (at >= size || in[at] < base || in[at] - base >= 0x40)
		return UINT64_MAX;
	head = in[at++] - base;
	*first = at;
	if (head < 56)
		return at + head;
	bytes = head - 55;
	if (bytes > sizeof(size) || bytes > size - at)
		return UINT64_MAX;
	*first = at + bytes;
	while (bytes-- > 0)
		len = len << 8 | in[at++];
	return at + len;
}

bool envelope_is_sound(const uint8_t *in, uint32_t size, struct topic topic)
{
	uint64_t at, first;

	if (content_end(in, 0, size, 0xc0, &at) != size)
		return false;
	at = integer_end(in, at, size); /* expiry */
	at = integer_end(in, at, size); /* ttl */
	if (at >= size || size - at <= 1 + TOPIC_SIZE ||
	    in[at] != 0x80 + TOPIC_SIZE ||
	    memcmp(in + at + 1, topic.bytes, TOPIC_SIZE) != 0)
		return false;
	at += 1 + TOPIC_SIZE;
	if (in[at] < 0x80) /* data of one small byte */
		at++;
	else
		at = content_end(in, at, size, 0x80, &first);
	return integer_end(in, at, size) == size; /* nonce */
}

uint32_t envelope_sent(const struct envelope *env)
{
	return env->expiry_s - env->ttl_s;
}

void envelope_hash(const struct envelope *env,
		   uint8_t out[static ENVELOPE_HASH_SIZE])
{
	keccak256(env->rlp, env->size, out);
}

void envelope_key(uint32_t sent, const uint8_t hash[static ENVELOPE_HASH_SIZE],
		  uint8_t key[static ENVELOPE_KEY_SIZE])
{
	be32_store(key, sent);
	memcpy(key + 4, hash, ENVELOPE_HASH_SIZE);
}

/* The bytes of expiry, ttl, topic and data: the list without its last item. */
static const uint8_t *fields_of(const struct envelope *env, size_t *len)
{
	size_t header = 1;

	if (env->rlp[0] > 0xf7)
		header += env->rlp[0] - 0xf7u;
	*len = (size_t)env->data_offset + env->data_size - header;
	return env->rlp + header;
}

size_t envelope_pow_input(const struct envelope *env, uint8_t *scratch)
{
	size_t len;
	const uint8_t *fields = fields_of(env, &len);
	uint8_t header[RLP_HEADER_MAX];
	size_t header_size = rlp_list_header(header, len);

	memcpy(scratch, header, header_size);
	memcpy(scratch + header_size, fields, len);
	return header_size + len;
}

static unsigned leading_zero_bits(const uint8_t hash[static 32])
{
	unsigned bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t word = be64_load(hash + (size_t)8 * i);

		if (word)
			return bits + (unsigned)__builtin_clzll(word);
		bits += 64;
	}
	return bits;
}

double envelope_pow_of(const uint8_t hash[static 32], size_t short_len,
		       uint32_t ttl_s, uint32_t extra_s)
{
	double life_s = (double)ttl_s + (double)extra_s;

	return ldexp(1.0, (int)leading_zero_bits(hash)) / (double)short_len /
	       life_s;
}

double envelope_pow(const struct envelope *env, uint32_t extra_s)
{
	size_t len;
	const uint8_t *fields = fields_of(env, &len);
	uint8_t header[RLP_HEADER_MAX], nonce[8], hash[KECCAK_DIGEST];
	size_t header_size = rlp_list_header(header, len);
	struct keccak k;

	be64_store(nonce, env->nonce);
	keccak_init(&k);
	keccak_absorb(&k, header, header_size);
	keccak_absorb(&k, fields, len);
	keccak_absorb(&k, nonce, sizeof(nonce));
	keccak_peek(&k, hash);
	return envelope_pow_of(hash, header_size + len, env->ttl_s, extra_s);
}

enum envelope_verdict envelope_check(const struct envelope *env, uint32_t now_s,
				     uint32_t size_max)
{
	uint32_t sent = envelope_sent(env);

	/* The order and the 32-bit arithmetic are those of §5. */
	if (env->ttl_s == 0)
		return ENVELOPE_DROP;
	if (sent > now_s && sent - 10u > now_s)
		return ENVELOPE_FUTURE;
	if (env->expiry_s < now_s && env->expiry_s + 20u < now_s)
		return ENVELOPE_VERY_OLD;
	if (env->expiry_s < now_s)
		return ENVELOPE_DROP;
	if ((uint64_t)FIELDS_SIZE + env->data_size > size_max)
		return ENVELOPE_TOO_BIG;
	return ENVELOPE_OK;
}

/* The four fields before the nonce. */
static void put_fields(struct rlp_writer *w, const struct envelope *env,
		       const uint8_t *data)
{
	rlp_put_list(w);
	rlp_put_u64(w, env->expiry_s);
	rlp_put_u64(w, env->ttl_s);
	rlp_put_string(w, env->topic.bytes, TOPIC_SIZE);
	rlp_put_string(w, data, env->data_size);
}

size_t envelope_encode(const struct envelope *env, const uint8_t *data,
		       uint8_t *out)
{
	struct rlp_writer w = rlp_writer(out, (size_t)env->data_size + 40);
	size_t len = 0;
	int err;

	put_fields(&w, env, data);
	rlp_put_u64(&w, env->nonce);
	rlp_put_list_end(&w);
	err = rlp_put_end(&w, &len);
	assert(!err);
	return len;
}

/* Absorb `short` (§4) of an envelope yet to be encoded; returns its length. */
static size_t absorb_short(struct keccak *k, const struct envelope *env,
			   const uint8_t *data)
{
	uint8_t fields[32], data_header[RLP_HEADER_MAX], header[RLP_HEADER_MAX];
	struct rlp_writer w = rlp_writer(fields, sizeof(fields));
	size_t fields_size = 0, data_header_size = 0, header_size, body_size;
	int err;

	rlp_put_u64(&w, env->expiry_s);
	rlp_put_u64(&w, env->ttl_s);
	rlp_put_string(&w, env->topic.bytes, TOPIC_SIZE);
	err = rlp_put_end(&w, &fields_size);
	assert(!err);
	/* A single byte below 0x80 is its own encoding. */
	if (env->data_size != 1 || data[0] >= 0x80)
		data_header_size =
			rlp_string_header(data_header, env->data_size);
	body_size = fields_size + data_header_size + env->data_size;
	header_size = rlp_list_header(header, body_size);
	keccak_absorb(k, header, header_size);
	keccak_absorb(k, fields, fields_size);
	keccak_absorb(k, data_header, data_header_size);
	keccak_absorb(k, data, env->data_size);
	return header_size + body_size;
}

/* Nonces whose hashes are computed together. */
#define SEAL_BATCH 32

struct seal_batch {
	struct keccak states[SEAL_BATCH];
	uint8_t nonces[SEAL_BATCH][8];
	uint8_t hashes[SEAL_BATCH][KECCAK_DIGEST];
};

/* Hash `prefix` followed by each of `count` nonces from `first` on. */
static void seal_batch_hash(struct seal_batch *batch,
			    const struct keccak *prefix, uint64_t first,
			    size_t count)
{
	struct keccak_absorb_job absorb[SEAL_BATCH];
	struct keccak_peek_job peek[SEAL_BATCH];

	for (size_t i = 0; i < count; i++) {
		batch->states[i] = *prefix;
		be64_store(batch->nonces[i], first + i);
		absorb[i] = (struct keccak_absorb_job){&batch->states[i],
						       batch->nonces[i], 8};
		peek[i] = (struct keccak_peek_job){&batch->states[i],
						   batch->hashes[i]};
	}
	keccak_absorb_many(absorb, count);
	keccak_peek_many(peek, count);
}

int envelope_seal_pow(struct envelope *env, const uint8_t *data, double pow,
		      uint64_t tries_max)
{
	struct seal_batch batch;
	struct keccak prefix;
	size_t short_len, count;

	keccak_init(&prefix);
	short_len = absorb_short(&prefix, env, data);
	for (uint64_t nonce = 0; nonce < tries_max; nonce += count) {
		count = SEAL_BATCH;
		if (tries_max - nonce < count)
			count = (size_t)(tries_max - nonce);
		seal_batch_hash(&batch, &prefix, nonce, count);
		for (size_t i = 0; i < count; i++) {
			if (envelope_pow_of(batch.hashes[i], short_len,
					    env->ttl_s, 0) < pow)
				continue;
			env->nonce = nonce + i;
			return 0;
		}
	}
	return ERR_TIMEOUT;
}
