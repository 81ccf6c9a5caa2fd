#ifndef NET_STATUS_H
#define NET_STATUS_H
/*
 * How peers describe themselves on shh/6 and waku/1 (protocol/
 * whisper-waku.md §2): the Status message in its list and its option form, and
 * the later changes (codes 2, 3, 20, 22). Pure codecs.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/topic.h"

#define STATUS_SHH_VERSION 6
#define STATUS_TOPICS_MAX  10000
#define STATUS_POW_DEFAULT 0.001 /* waku, when the option is absent */
/* Bytes that an encoded Status without topics takes at most. */
#define STATUS_SIZE_MAX 256

/* Message codes of both capabilities (§1). */
enum shh_code {
	CODE_STATUS = 0,
	CODE_MESSAGES = 1,
	CODE_POW = 2,
	CODE_BLOOM = 3,
	CODE_BATCH_ACK = 11,
	CODE_RESPONSE = 12,
	CODE_RATE_LIMITS = 20,
	CODE_STATUS_UPDATE = 22,
	CODE_SYNC_REQUEST = 123,
	CODE_SYNC_RESPONSE = 124,
	CODE_REQUEST_COMPLETE = 125,
	CODE_REQUEST = 126,
	CODE_P2P_MESSAGE = 127,
};

/* What a message said; the bits are 1 << key of §2.2. */
enum status_has {
	STATUS_HAS_POW = 1u << 0,
	STATUS_HAS_BLOOM = 1u << 1,
	STATUS_HAS_LIGHT = 1u << 2,
	STATUS_HAS_CONFIRMS = 1u << 3,
	STATUS_HAS_PACKETS = 1u << 4,
	STATUS_HAS_TOPICS = 1u << 5,
	STATUS_HAS_BYTES = 1u << 6,
};

/* A second; 0 is no limit. */
struct status_limits {
	uint64_t ip;
	uint64_t peer;
	uint64_t topic;
};

struct status {
	unsigned has; /* enum status_has */
	double pow;
	struct bloom bloom; /* one of 0 bytes is read as all ones */
	bool is_light;
	bool confirms;
	struct status_limits packets;
	struct status_limits bytes;
	/*
	 * Topic interest, borrowed: topics_stride is 5 for those just decoded
	 * (they stand in the message) and 4 for an array of struct topic.
	 */
	const uint8_t *topics;
	uint32_t topics_count;
	uint32_t topics_stride;
};

struct topic status_topic(const struct status *status, uint32_t index);

/*
 * Decode. Fields that were absent have the default of §2 and no bit in `has`.
 * Returns 0, ERR_SYNTAX, ERR_RANGE (PoW, sizes, too many topics) or
 * ERR_UNSUPPORTED (another version).
 */
int status_decode_shh(const uint8_t *in, size_t len, struct status *out);
int status_decode_waku(const uint8_t *in, size_t len, struct status *out);

/* Codes 2, 3, 20 and 22: only what was present is in `has`. The same errors. */
int status_decode_pow(const uint8_t *in, size_t len, struct status *out);
int status_decode_bloom(const uint8_t *in, size_t len, struct status *out);
int status_decode_limits(const uint8_t *in, size_t len, struct status *out);
int status_decode_update(const uint8_t *in, size_t len, struct status *out);

/*
 * Encode. The list form always has its six elements; the option form (Status
 * and update alike) what is in `has`, in the order of the keys. Returns the
 * length, or 0 when `cap` is too small (STATUS_SIZE_MAX + 5 a topic do).
 */
size_t status_encode_shh(const struct status *status, uint8_t *out, size_t cap);
size_t status_encode_waku(const struct status *status, uint8_t *out,
			  size_t cap);

/* The double of these bits: 0, or ERR_RANGE (infinite, no number, negative). */
int status_pow_from_bits(uint64_t bits, double *pow);
uint64_t status_pow_to_bits(double pow);

#endif
