#ifndef CORE_MSGBUF_H
#define CORE_MSGBUF_H
/*
 * A message on its way out: one allocation with room before the payload for
 * frame header, message id, snappy prefix and list header, and room behind it
 * for padding and MAC, so that a payload is written once, encrypted where it
 * stands and sent from there.
 *
 * Thread: passed from hand to hand; whoever holds it owns it alone.
 */
#include <stddef.h>
#include <stdint.h>

#define MSGBUF_HEADROOM 64
#define MSGBUF_TAILROOM 32

struct msgbuf {
	struct msgbuf *next; /* for whoever queues it */
	uint32_t cap;        /* bytes[] in all */
	uint32_t start;      /* first byte of what is written */
	uint32_t size;       /* bytes written from start on */
	uint8_t bytes[];
};

/* Room for `payload_max` bytes between the two rooms; start = headroom. */
struct msgbuf *msgbuf_new(size_t payload_max);
void msgbuf_free(struct msgbuf *buf);
/* Bytes that may still be appended. */
size_t msgbuf_room(const struct msgbuf *buf);
void msgbuf_append(struct msgbuf *buf, const void *in, size_t len);
/* Put `len` bytes before what is written; they must fit the headroom. */
void msgbuf_prepend(struct msgbuf *buf, const void *in, size_t len);

#endif
