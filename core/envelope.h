#ifndef CORE_ENVELOPE_H
#define CORE_ENVELOPE_H
/*
 * An envelope: [expiry, ttl, topic, data, nonce] (protocol/whisper-waku.md
 * §3 to §5). Decoding copies nothing: the struct points into the bytes it was
 * read from, which must outlive it and are never changed.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/keccak.h"
#include "core/topic.h"

#define ENVELOPE_HASH_SIZE 32
#define ENVELOPE_KEY_SIZE  36 /* sent (4, big endian) ‖ hash: cursor and key */

struct envelope {
	const uint8_t *rlp; /* the whole envelope as received */
	uint32_t size;
	uint32_t data_offset; /* of the data's first byte within rlp */
	uint32_t data_size;
	uint32_t expiry_s;
	uint32_t ttl_s;
	uint64_t nonce;
	struct topic topic;
};

/* One envelope filling `len` bytes exactly. Returns 0 or ERR_SYNTAX. */
int envelope_decode(const uint8_t *in, size_t len, struct envelope *out);
/*
 * Is there an envelope of this topic, whole? Cheap, for bytes that were
 * decoded once and have lain on a disk since: lengths only, not whether
 * they are canonical.
 */
bool envelope_is_sound(const uint8_t *in, uint32_t size, struct topic topic);

/* (expiry - ttl) mod 2^32 */
uint32_t envelope_sent(const struct envelope *env);
void envelope_hash(const struct envelope *env,
		   uint8_t out[static ENVELOPE_HASH_SIZE]);
void envelope_key(uint32_t sent, const uint8_t hash[static ENVELOPE_HASH_SIZE],
		  uint8_t key[static ENVELOPE_KEY_SIZE]);

/*
 * PoW (§4) in two steps, so that many hashes can be computed at once: write
 * `short` ([expiry, ttl, topic, data]) to scratch of at least env->size + 9
 * bytes and get its length; then the figure from the hash of short ‖ nonce.
 */
size_t envelope_pow_input(const struct envelope *env, uint8_t *scratch);
/* `extra_s` is d of §4: 0, or sent - now + 1 for one from the near future. */
double envelope_pow_of(const uint8_t hash[static 32], size_t short_len,
		       uint32_t ttl_s, uint32_t extra_s);
/* Both steps. */
double envelope_pow(const struct envelope *env, uint32_t extra_s);

/* What §5 says of an envelope before PoW, topic and duplicates. */
enum envelope_verdict {
	ENVELOPE_OK,
	ENVELOPE_DROP,     /* silently: ttl 0, or just expired */
	ENVELOPE_FUTURE,   /* clock error */
	ENVELOPE_VERY_OLD, /* clock error */
	ENVELOPE_TOO_BIG,  /* bad */
};
enum envelope_verdict envelope_check(const struct envelope *env, uint32_t now_s,
				     uint32_t size_max);

/*
 * Encode; `out` needs data_size + 40 bytes. Returns the length. Fields rlp,
 * size and data_offset of `env` are ignored.
 */
size_t envelope_encode(const struct envelope *env, const uint8_t *data,
		       uint8_t *out);

/*
 * Find a nonce that reaches `pow` by search, trying at most `tries_max`
 * hashes (several at a time). Sets env->nonce. 0 or ERR_TIMEOUT.
 */
int envelope_seal_pow(struct envelope *env, const uint8_t *data, double pow,
		      uint64_t tries_max);

#endif
