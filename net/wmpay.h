#ifndef NET_WMPAY_H
#define NET_WMPAY_H
/*
 * The messages of wmpay/1, by which a node asks for offers, files claims and
 * learns what it is entitled to (payments.md §7.2). Pure codecs.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/claim.h"
#include "auth/record.h"
#include "core/u256.h"

#define WMPAY_SIZE_MAX 8192
#define WMPAY_TEXT_MAX 256

enum wmpay_code {
	WMPAY_GET_OFFER = 0,
	WMPAY_OFFER = 1,
	WMPAY_CLAIM = 2,
	WMPAY_CLAIM_STATUS = 3,
	WMPAY_GET_CLAIM = 4,
	WMPAY_GET_ENTITLEMENT = 5,
	WMPAY_ENTITLEMENT = 6,
	WMPAY_ERROR = 7,
};

struct wmpay_status {
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint8_t state;  /* enum claim_state; others are shown as they are */
	uint8_t reason; /* enum claim_reason */
	uint64_t confirmations;
	uint64_t needed; /* 0: waiting for a tag */
	uint32_t units;
	struct u256 credit;
	uint64_t expiry_s;
	uint32_t retry_after_s;
};

struct wmpay_entitlement {
	uint64_t server_time_s;
	uint8_t mode; /* enum access_mode: 0 free, 1 paid, 2 audit */
	uint64_t expiry_s;
	uint64_t grace_end_s;
	uint64_t quota;
	uint32_t flags; /* enum entitlement_flag */
	uint16_t credits_count;
	struct credit credits[ENTITLEMENT_CREDITS_MAX];
};

struct wmpay_error {
	uint32_t code;                 /* enum intake */
	char text[WMPAY_TEXT_MAX + 1]; /* printable ASCII; the rest as '?' */
	uint32_t retry_after_s;
};

struct wmpay {
	enum wmpay_code code;
	uint64_t request_id; /* 1.. from an asker; 0 in what is unasked */
	union {
		/* OFFER: rlp(signed-offer), borrowed. */
		struct {
			const uint8_t *bytes;
			size_t size;
		} offer;
		/* CLAIM: without a node; its proof is borrowed. */
		struct claim claim;
		struct wmpay_status status;
		uint8_t claim_id[CLAIM_ID_SIZE]; /* GET_CLAIM */
		struct wmpay_entitlement entitlement;
		struct wmpay_error error;
	} u;
};

/*
 * Further elements at the end of a list are ignored. 0; ERR_SYNTAX; ERR_RANGE
 * (a field or the message is too large, or nothing where one must be);
 * ERR_UNSUPPORTED (no such code). The request id is set if it could be read,
 * else 0, so that an Error can name it.
 */
int wmpay_decode(unsigned code, const uint8_t *in, size_t len,
		 struct wmpay *out);
/* Returns the length; 0 if it does not fit WMPAY_SIZE_MAX. */
size_t wmpay_encode(const struct wmpay *message,
		    uint8_t out[static WMPAY_SIZE_MAX]);

#endif
