#ifndef APP_SERVER_PAYMENTS_H
#define APP_SERVER_PAYMENTS_H
/*
 * Payments within the server: opened from the settings, asked by the node's
 * gate, reached over wmpay/1 and the public listener, let go in the right
 * order. In free mode with nothing to sell nothing of this is there.
 *
 * Thread: main; the gate is asked on rings.
 */
#include <pthread.h>

#include "app/pay_config.h"
#include "net/http.h"
#include "net/node.h"
#include "net/pay_http.h"
#include "net/pay_wmpay.h"

struct server_payments {
	struct payments *payments; /* NULL: nothing is sold */
	struct pay_wmpay *wmpay;
	pthread_key_t reader; /* of the gate, each ring's own */
	bool has_reader;
};

/* 0 (also when nothing is wanted), or an error with a sentence in `why`. */
int server_payments_open(struct server_payments *sp,
			 const struct pay_config *config,
			 const struct secp_key *key, char *why,
			 size_t why_size);
/* Before the node starts: its gate and its capability. */
void server_payments_config(struct server_payments *sp,
			    struct node_config *config);
/* Once it runs. */
void server_payments_started(struct server_payments *sp, struct node *node);
/* Before node_stop(), which is before http_stop(), which is before close. */
void server_payments_stop(struct server_payments *sp);
void server_payments_close(struct server_payments *sp);

#endif
