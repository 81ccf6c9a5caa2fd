#include "app/dashboard.h"

#include "app/web_page.h"

static const struct web_page pages[] = {
	{"/", "dashboard.html", "text/html; charset=utf-8"},
	{"/pay.css", "pay.css", "text/css; charset=utf-8"},
	{"/dashboard.css", "dashboard.css", "text/css; charset=utf-8"},
	{"/dashboard.mjs", "dashboard.mjs", "text/javascript; charset=utf-8"},
	{"/claim.mjs", "claim.mjs", "text/javascript; charset=utf-8"},
	{0},
};
_Static_assert(sizeof(pages) / sizeof(pages[0]) == DASHBOARD_ROUTES + 1,
	       "each page has its route");

static void on_page(void *ctx, const struct http_request *request,
		    struct http_answer *answer)
{
	(void)ctx;
	web_page_answer(pages, http_path(request), answer);
}

void dashboard_routes(struct http_route out[static DASHBOARD_ROUTES])
{
	web_page_routes(pages, on_page, out);
}
