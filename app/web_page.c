#include "app/web_page.h"

#include <stdlib.h>
#include <string.h>

static const struct web_file *file_called(const char *name)
{
	const struct web_file *file = web_files;

	while (file->name && strcmp(file->name, name) != 0)
		file++;
	return file->name ? file : NULL;
}

void web_page_routes(const struct web_page *pages, http_handler_fn handler,
		     struct http_route *out)
{
	for (size_t i = 0; pages[i].path; i++)
		out[i] = (struct http_route){"GET", pages[i].path, handler,
					     NULL};
}

void web_page_answer(const struct web_page *pages, const char *path,
		     struct http_answer *answer)
{
	for (size_t i = 0; pages[i].path; i++) {
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
