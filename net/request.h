#ifndef NET_REQUEST_H
#define NET_REQUEST_H
/*
 * History requests of a peer (protocol/mailserver.md §2 to §5): who may ask is
 * looked at before anything is opened or searched, then they are served one by
 * one, in order, page by page as the peer reads.
 *
 * Thread: a ring's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/packet.h"
#include "net/mail.h"
#include "net/p2p.h"

struct node_ring;
struct request;
struct session;

/* Code 126. */
void request_message(struct session *session, enum cap cap,
		     struct packet *payload);
/*
 * Put one into the peer's queue; `id` is NULL for a sync request. 0, ERR_FULL
 * or ERR_NOMEM.
 */
int request_queue(struct session *session, enum cap cap, const uint8_t *id,
		  const struct mail_query *query);
/*
 * The rate of this peer and its address, of which one request takes so many;
 * false: too fast.
 */
bool request_rate_ok(struct session *session, uint32_t tokens);

/* The link's queue has drained. */
void request_drained(struct session *session);
/* The peer has gone. */
void request_cancel_all(struct session *session);
/* Steps that found the archive busy. */
void request_retry(struct node_ring *ring);

#endif
