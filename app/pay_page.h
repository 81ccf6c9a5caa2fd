#ifndef APP_PAY_PAGE_H
#define APP_PAY_PAGE_H
/*
 * The payment page (design §8): the files of web/, which are part of the
 * program, and the QR code of a payment under the offer in force, which holds
 * nothing that the asker wrote.
 *
 * Thread: init by main before the listener starts; the rest on its threads.
 */
#include <stddef.h>

#include "auth/payments.h"
#include "net/http.h"

struct web_file {
	const char *name; /* NULL ends the table */
	const unsigned char *bytes;
	size_t size;
};
extern const struct web_file web_files[];

#define PAY_PAGE_ROUTES 5

/* Writes PAY_PAGE_ROUTES routes. `payments` must outlive the listener. */
void pay_page_routes(struct payments *payments,
		     struct http_route out[static PAY_PAGE_ROUTES]);

#endif
