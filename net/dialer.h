#ifndef NET_DIALER_H
#define NET_DIALER_H
/*
 * Static peers: dialled, kept, and dialled again with back-off. Names are
 * resolved on a thread of their own, never on a ring.
 *
 * Thread: a ring's, except where it says so.
 */
#include <stdint.h>

struct dialed;
struct dialer;
struct node;
struct node_ring;
struct resolver;

/* One a node, from node_start() and node_stop(). 0, ERR_NOMEM or ERR_IO. */
int resolver_start(struct resolver **out);
/* Whatever is or will be asked is answered soon. NULL is fine. */
void resolver_give_up(struct resolver *resolver);
void resolver_stop(struct resolver *resolver);

/* The static peers whose turn is this ring. NULL: no memory. */
struct dialer *dialer_new(struct node_ring *ring);
void dialer_free(struct dialer *dialer);
void dialer_tick(struct dialer *dialer, uint64_t now_ms);
/* A link to such a peer stands, or has ended. */
void dialer_opened(struct dialed *peer);
void dialer_closed(struct dialed *peer, uint64_t now_ms);

#endif
