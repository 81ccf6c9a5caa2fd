#ifndef NET_CONFIRM_H
#define NET_CONFIRM_H
/*
 * Confirmations of a Messages packet (protocol/whisper-waku.md §9): code 12,
 * the response with its list of errors, and code 11, the bare hash. Pure
 * codecs.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/rlp.h"

#define CONFIRM_HASH_SIZE 32
#define CONFIRM_VERSION   1
#define CONFIRM_TEXT_MAX  64 /* of one error we send */
#define CONFIRM_ACK_SIZE  33 /* of code 11 */
/* Bytes that a response with `errors` errors takes at most. */
#define CONFIRM_SIZE_MAX(errors)                                               \
	(64 + (errors) * (CONFIRM_HASH_SIZE + CONFIRM_TEXT_MAX + 24))

/* The codes that deployed nodes of today send (§9). */
enum confirm_code {
	CONFIRM_SHH_CLOCK = 37,
	CONFIRM_SHH_OTHER = 38,
	CONFIRM_WAKU_CLOCK = 21,
	CONFIRM_WAKU_OTHER = 22,
};

struct confirm_error {
	uint8_t hash[CONFIRM_HASH_SIZE]; /* of the envelope refused */
	uint64_t code;
	const char *text; /* borrowed, text_size bytes, no NUL, as sent */
	size_t text_size;
};

/* A response being read: the errors are taken one by one. */
struct confirm {
	uint8_t hash[CONFIRM_HASH_SIZE]; /* of the packet's payload */
	struct rlp_reader errors;
};

/* 0, ERR_SYNTAX, or ERR_UNSUPPORTED: another version, to be ignored. */
int confirm_decode(const uint8_t *in, size_t len, struct confirm *out);
/* < 0 malformed, 0 an error, > 0 the end. */
int confirm_next(struct confirm *confirm, struct confirm_error *out);
/* Returns the length, or 0 when `cap` is too small. */
size_t confirm_encode(const uint8_t hash[static CONFIRM_HASH_SIZE],
		      const struct confirm_error *errors, size_t count,
		      uint8_t *out, size_t cap);

/* Code 11. Returns 0 or ERR_SYNTAX. */
int confirm_ack_decode(const uint8_t *in, size_t len,
		       uint8_t hash[static CONFIRM_HASH_SIZE]);
void confirm_ack_encode(const uint8_t hash[static CONFIRM_HASH_SIZE],
			uint8_t out[static CONFIRM_ACK_SIZE]);

#endif
