#ifndef APP_PAY_PAGE_H
#define APP_PAY_PAGE_H
/*
 * The payment page (design §8): its files, and the QR code of a payment
 * under the offer in force, which holds nothing that the asker wrote.
 *
 * Thread: init by main before the listener starts; the rest on its threads.
 */
#include "auth/payments.h"
#include "net/http.h"

#define PAY_PAGE_ROUTES 5

/* Writes PAY_PAGE_ROUTES routes. `payments` must outlive the listener. */
void pay_page_routes(struct payments *payments,
		     struct http_route out[static PAY_PAGE_ROUTES]);

#endif
