#ifndef NET_BUNDLE_H
#define NET_BUNDLE_H
/*
 * A list of envelopes as the payloads of codes 1, 124 and 127 carry it, read
 * without copying.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/rlp.h"

/*
 * What a receiver takes, list header included (protocol/whisper-waku.md §6):
 * a payload we send is never larger.
 */
#define BUNDLE_SIZE_MAX (1u << 20)
/* Envelopes in it: room for the list header is left. */
#define BUNDLE_ROOM_MAX (BUNDLE_SIZE_MAX - 16)

struct bundle {
	struct rlp_reader items;
};

/*
 * `bare_ok`: an envelope without a list round it counts as a list of one
 * (shh's code 127). Returns 0 or ERR_SYNTAX.
 */
int bundle_open(struct bundle *bundle, const uint8_t *in, size_t len,
		bool bare_ok);
/* < 0 malformed, 0 an envelope, > 0 the end. */
int bundle_next(struct bundle *bundle, struct envelope *out);

#endif
