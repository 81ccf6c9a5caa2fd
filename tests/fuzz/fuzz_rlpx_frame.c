/*
 * Frames over one fixed session: the bytes as a header and a body that hardly
 * ever pass, and the bytes as a body that must come back as it was sealed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "net/rlpx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void streams_make(struct rlpx_streams *out, bool is_initiator)
{
	static const uint8_t bytes[32] = {1, 2, 3};
	struct rlpx_agreement agreed = {.secret = bytes,
					.initiator_nonce = bytes,
					.recipient_nonce = bytes,
					.auth = bytes,
					.auth_len = 7,
					.ack = bytes,
					.ack_len = 9};

	if (rlpx_streams_init(out, &agreed, is_initiator))
		abort();
}

static void open_raw(struct rlpx_stream *in, const uint8_t *data, size_t size)
{
	struct rlpx_header_job header = {.stream = in, .header = data};
	struct rlpx_body_job body = {.stream = in};

	if (size < RLPX_HEADER_SIZE)
		return;
	rlpx_open_headers(&header, 1);
	if ((header.n == 0) != (header.err != 0))
		abort();
	size -= RLPX_HEADER_SIZE;
	if (size <= RLPX_MAC_SIZE)
		return;
	/* Whatever the header said: the longest body that is here. */
	body.n = (size - RLPX_MAC_SIZE) & ~(size_t)15;
	if (body.n == 0)
		return;
	body.body = malloc(rlpx_body_size(body.n));
	if (!body.body)
		abort();
	memcpy(body.body, data + RLPX_HEADER_SIZE, rlpx_body_size(body.n));
	rlpx_open_bodies(&body, 1);
	free(body.body);
}

static void seal_and_open(struct rlpx_stream *out, struct rlpx_stream *in,
			  const uint8_t *data, size_t size)
{
	uint8_t *frame = malloc(RLPX_HEADER_SIZE + rlpx_body_size(size));
	struct rlpx_seal_job seal = {.stream = out, .frame = frame, .n = size};
	struct rlpx_header_job header = {.stream = in, .header = frame};
	struct rlpx_body_job body = {.stream = in, .n = size};

	if (!frame)
		abort();
	memcpy(frame + RLPX_HEADER_SIZE, data, size);
	rlpx_seal_many(&seal, 1);
	rlpx_open_headers(&header, 1);
	body.body = frame + RLPX_HEADER_SIZE;
	rlpx_open_bodies(&body, 1);
	if (header.err || header.n != size || body.err ||
	    memcmp(body.body, data, size) != 0)
		abort();
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rlpx_streams i, r;

	streams_make(&i, true);
	streams_make(&r, false);
	if (size > 0) {
		seal_and_open(&i.egress, &r.ingress, data, size);
		seal_and_open(&r.egress, &i.ingress, data, size);
	}
	open_raw(&r.ingress, data, size);
	rlpx_streams_release(&i);
	rlpx_streams_release(&r);
	return 0;
}
