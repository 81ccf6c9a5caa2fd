#include "app/pay_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/pay_text.h"
#include "auth/offer.h"
#include "core/err.h"

/* ---- files ---- */

static const struct {
	const char *path;
	const char *name;
	const char *type;
} pages[] = {
	{"/", "pay.html", "text/html; charset=utf-8"},
	{"/pay.css", "pay.css", "text/css; charset=utf-8"},
	{"/pay.mjs", "pay.mjs", "text/javascript; charset=utf-8"},
	{"/claim.mjs", "claim.mjs", "text/javascript; charset=utf-8"},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]))
_Static_assert(PAGES + 1 == PAY_PAGE_ROUTES, "one more for the QR code");

static const struct web_file *file_called(const char *name)
{
	const struct web_file *file = web_files;

	while (file->name && strcmp(file->name, name) != 0)
		file++;
	return file->name ? file : NULL;
}

static void on_page(void *ctx, const struct http_request *request,
		    struct http_answer *answer)
{
	const char *path = http_path(request);

	(void)ctx;
	for (size_t i = 0; i < PAGES; i++) {
		const struct web_file *file;

		if (strcmp(pages[i].path, path) != 0)
			continue;
		file = file_called(pages[i].name);
		answer->body = file ? malloc(file->size) : NULL;
		if (!answer->body)
			break;
		memcpy(answer->body, file->bytes, file->size);
		answer->size = file->size;
		answer->status = 200;
		answer->type = pages[i].type;
		return;
	}
	http_answer_text(answer, 500, "text/plain", "out of memory\n");
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
	for (size_t i = 0; i < PAGES; i++)
		out[i] = (struct http_route){"GET", pages[i].path, on_page,
					     NULL};
	out[PAGES] = (struct http_route){"GET", "/qr.svg", on_qr, payments};
}
