#ifndef NET_SYNC_H
#define NET_SYNC_H
/*
 * Sync between mail servers (protocol/mailserver.md §7): answering code 123 of
 * configured peers with codes 124, on shh only.
 *
 * Thread: a ring's.
 */
#include <stdint.h>

#include "core/msgbuf.h"
#include "core/packet.h"

struct session;

void sync_message(struct session *session, struct packet *payload);
/* Takes the page: envelopes one behind the other, MAIL_SYNC_TAIL bytes free. */
int sync_send_page(struct session *session, struct msgbuf *page);
void sync_send_final(struct session *session, const uint8_t *cursor);
void sync_send_failure(struct session *session, const char *text);

#endif
