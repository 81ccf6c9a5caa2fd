#ifndef NET_SYNC_ASK_H
#define NET_SYNC_ASK_H
/*
 * Copying another mail server's archive (protocol/mailserver.md §7): while a
 * configured server is connected it is asked with code 123 for what was sent
 * since we had everything, page after page, again now and then. What its codes
 * 124 bring is hashed, held against what was asked for, and stored; it is not
 * told to peers. After each page that is on the disk the position is kept, so
 * that a restart goes on where it was.
 *
 * A range is asked for to its end before the next one begins, so that it does
 * not matter in which order the other one delivers.
 *
 * Threads: sync_asker_start() and sync_asker_stop() the node's owner, the rest
 * the ring's that has the session. A node is connected once at a time, so its
 * sync_ask has one ring at a time.
 */
#include <stdint.h>

#include "core/packet.h"
#include "net/node.h"

struct session;
struct sync_asker;

/* 0, ERR_NOMEM or ERR_IO. */
int sync_asker_start(const struct node_config *config, struct sync_asker **out);
/* After all rings have ended. NULL is fine. */
void sync_asker_stop(struct sync_asker *asker);

/* Of any session; those with others than sync_from pass. */
void sync_ask_opened(struct session *session);
void sync_ask_closed(struct session *session);
void sync_ask_second(struct session *session, uint64_t now_ms);
/* Code 124; ignored unless we asked. */
void sync_ask_answer(struct session *session, struct packet *payload);
/* So many envelopes of a page were committed, some of them new; or not. */
void sync_ask_stored(struct session *session, uint32_t page, uint32_t count,
		     uint32_t stored, int err);

#endif
