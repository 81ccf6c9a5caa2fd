#include "app/pay_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/pay_text.h"
#include "app/web_page.h"
#include "auth/offer.h"
#include "core/err.h"

static const struct web_page pages[] = {
	{"/", "pay.html", "text/html; charset=utf-8"},
	{"/pay.css", "pay.css", "text/css; charset=utf-8"},
	{"/pay.mjs", "pay.mjs", "text/javascript; charset=utf-8"},
	{"/claim.mjs", "claim.mjs", "text/javascript; charset=utf-8"},
	{0},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]) - 1)
_Static_assert(PAGES + 1 == PAY_PAGE_ROUTES, "one more for the QR code");

static void on_page(void *ctx, const struct http_request *request,
		    struct http_answer *answer)
{
	(void)ctx;
	web_page_answer(pages, http_path(request), answer);
}

/* ---- GET /qr.svg?option=&units= ---- */

static const struct offer_option *option_called(const struct offer *offer,
						const char *id)
{
	for (unsigned i = 0; i < offer->options_count; i++) {
		char text[8];

		(void)snprintf(text, sizeof(text), "%u", offer->options[i].id);
		if (id && strcmp(text, id) == 0)
			return &offer->options[i];
	}
	return NULL;
}

/* 1 to 10 digits; 0: not a number of units. */
static uint32_t units_of(const char *text)
{
	uint64_t units = 0;

	if (!text || strlen(text) > 10 ||
	    strspn(text, "0123456789") != strlen(text))
		return 0;
	for (; *text; text++)
		units = units * 10 + (uint64_t)(*text - '0');
	return units <= UINT32_MAX ? (uint32_t)units : 0;
}

static int link_of(struct payments *payments,
		   const struct http_request *request,
		   char link[static OFFER_LINK_MAX])
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	const struct offer_option *option;
	struct offer offer;
	uint32_t units;
	size_t len;

	if (payments_offer(payments, bytes, &len, hash) ||
	    offer_open(bytes, len, &offer, hash))
		return ERR_NOTFOUND;
	option = option_called(&offer, http_query(request, "option"));
	units = units_of(http_query(request, "units"));
	if (!option || units < option->terms.min_units ||
	    units > option->terms.max_units)
		return ERR_RANGE;
	return offer_link(option, units, link);
}

static void on_qr(void *ctx, const struct http_request *request,
		  struct http_answer *answer)
{
	char link[OFFER_LINK_MAX];

	if (link_of(ctx, request, link)) {
		http_answer_text(answer, 404, "text/plain",
				 "no such payment is offered now\n");
		return;
	}
	answer->body = pay_text_qr_svg(link);
	if (!answer->body) {
		http_answer_text(answer, 500, "text/plain", "out of memory\n");
		return;
	}
	answer->size = strlen(answer->body);
	answer->status = 200;
	answer->type = "image/svg+xml";
}

void pay_page_routes(struct payments *payments,
		     struct http_route out[static PAY_PAGE_ROUTES])
{
	web_page_routes(pages, on_page, out);
	out[PAGES] = (struct http_route){"GET", "/qr.svg", on_qr, payments};
}
