#ifndef APP_DASHBOARD_H
#define APP_DASHBOARD_H
/*
 * The operator's dashboard (design §8): a page of the private listener that
 * shows and changes what the admin API tells and takes. It holds nothing that
 * is secret: the person who reads it types the token.
 *
 * Thread: init by main before the listener starts; the rest on its threads.
 */
#include "net/http.h"

#define DASHBOARD_ROUTES 5

/* Writes DASHBOARD_ROUTES routes. */
void dashboard_routes(struct http_route out[static DASHBOARD_ROUTES]);

#endif
