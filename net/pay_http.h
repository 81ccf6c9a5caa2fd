#ifndef NET_PAY_HTTP_H
#define NET_PAY_HTTP_H
/*
 * Offers and claims over HTTP (payments.md §7.1): routes for net/http's public
 * listener over the facade of auth. A claim is answered after its commit, a
 * question with `wait` when its claim has changed; neither keeps a thread.
 *
 * Thread: init by main before the listener starts; the rest on its threads
 * and those of payments.
 */
#include "auth/payments.h"
#include "net/http.h"

#define PAY_HTTP_ROUTES     4
#define PAY_HTTP_WAIT_MAX_S 30

/* Writes PAY_HTTP_ROUTES routes. `payments` must outlive the listener. */
void pay_http_routes(struct payments *payments,
		     struct http_route out[static PAY_HTTP_ROUTES]);

/* Who asks: IPv4, IPv6 by /64; for tests. `address` is http_peer()'s text. */
void pay_http_source(const char *address, struct source *out);
/* A sentence for a person about a code. */
const char *pay_sentence(enum intake code);

#endif
