#include "core/msgbuf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct msgbuf *msgbuf_new(size_t payload_max)
{
	const size_t rooms = MSGBUF_HEADROOM + MSGBUF_TAILROOM;
	struct msgbuf *buf;

	assert(payload_max <= UINT32_MAX - rooms);
	buf = malloc(sizeof(*buf) + payload_max + rooms);
	if (!buf)
		return NULL;
	buf->next = NULL;
	buf->cap = (uint32_t)(payload_max + rooms);
	buf->start = MSGBUF_HEADROOM;
	buf->size = 0;
	return buf;
}

void msgbuf_free(struct msgbuf *buf)
{
	free(buf);
}

size_t msgbuf_room(const struct msgbuf *buf)
{
	size_t used = (size_t)buf->start + buf->size + MSGBUF_TAILROOM;

	return buf->cap > used ? buf->cap - used : 0;
}

void msgbuf_append(struct msgbuf *buf, const void *in, size_t len)
{
	assert(len <= msgbuf_room(buf));
	if (len > 0)
		memcpy(buf->bytes + buf->start + buf->size, in, len);
	buf->size += (uint32_t)len;
}

void msgbuf_prepend(struct msgbuf *buf, const void *in, size_t len)
{
	assert(len <= buf->start);
	buf->start -= (uint32_t)len;
	buf->size += (uint32_t)len;
	if (len > 0)
		memcpy(buf->bytes + buf->start, in, len);
}
