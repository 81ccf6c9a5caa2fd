#ifndef NET_PAY_WMPAY_H
#define NET_PAY_WMPAY_H
/*
 * The server's side of wmpay/1 (payments.md §7.2) over the facade of auth: for
 * node_config.wmpay. A claim is answered after its commit, and connected nodes
 * are told when a claim of theirs changes. Questions about what is stored are
 * answered by a thread of its own, which may wait for the disk.
 *
 * Thread: new, start, stop and free by main; message on rings.
 */
#include "auth/payments.h"
#include "net/node.h"

struct pay_wmpay;

/* `payments` is borrowed until stop, or free without a start. NULL: no memory,
 * or no thread. */
struct pay_wmpay *pay_wmpay_new(struct payments *payments);
/* For node_config.wmpay. */
void pay_wmpay_message(void *ctx, struct node_link from,
		       const uint8_t node[static SECP_PUBLIC_SIZE],
		       unsigned code, const uint8_t *payload, size_t len);
/* Once the node runs: messages before that go unanswered. */
void pay_wmpay_start(struct pay_wmpay *wmpay, struct node *node);
/*
 * Before the node ends: messages go unanswered from here on, claims and
 * questions under way are waited for, and when this returns the node is not
 * touched again. NULL is fine.
 */
void pay_wmpay_stop(struct pay_wmpay *wmpay);
/* After payments_close(), which may still be telling of a change. */
void pay_wmpay_free(struct pay_wmpay *wmpay);

#endif
