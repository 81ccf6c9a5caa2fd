#ifndef APP_WEB_PAGE_H
#define APP_WEB_PAGE_H
/*
 * The files of web/, which are part of the program, as answers.
 *
 * Thread: any.
 */
#include <stddef.h>

#include "net/http.h"

struct web_file {
	const char *name; /* NULL ends the table */
	const unsigned char *bytes;
	size_t size;
};
extern const struct web_file web_files[];

/* Where a file is served; a table of them ends with a NULL path. */
struct web_page {
	const char *path;
	const char *name; /* of the file */
	const char *type;
};

/* A route of GET for each page, to the handler. */
void web_page_routes(const struct web_page *pages, http_handler_fn handler,
		     struct http_route *out);
/* The page of this path; 500 when it cannot be answered. */
void web_page_answer(const struct web_page *pages, const char *path,
		     struct http_answer *answer);

#endif
