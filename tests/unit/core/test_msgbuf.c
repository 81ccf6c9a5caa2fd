#include "core/msgbuf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(msgbuf, keeps_its_two_rooms_around_the_payload)
{
	struct msgbuf *buf = msgbuf_new(10);

	cr_assert(buf);
	cr_assert_eq(buf->start, MSGBUF_HEADROOM);
	cr_assert_eq(buf->cap, MSGBUF_HEADROOM + 10 + MSGBUF_TAILROOM);
	cr_assert_eq(msgbuf_room(buf), 10);
	msgbuf_append(buf, "0123456789", 10);
	cr_assert_eq(msgbuf_room(buf), 0);
	memset(buf->bytes + buf->start + buf->size, 0, MSGBUF_TAILROOM);
	msgbuf_free(buf);
}

Test(msgbuf, what_is_prepended_stands_before_what_was_appended)
{
	struct msgbuf *buf = msgbuf_new(8);
	uint8_t head[MSGBUF_HEADROOM - 3] = {0};

	msgbuf_append(buf, "load", 4);
	msgbuf_prepend(buf, "pay", 3);
	cr_assert_eq(buf->size, 7);
	cr_assert_arr_eq(buf->bytes + buf->start, "payload", 7);
	cr_assert_eq(msgbuf_room(buf), 4);
	msgbuf_prepend(buf, head, sizeof(head));
	cr_assert_eq(buf->start, 0);
	cr_assert_eq(msgbuf_room(buf), 4);
	msgbuf_append(buf, NULL, 0);
	msgbuf_free(buf);
	msgbuf_free(NULL);
}
