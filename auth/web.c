#include "auth/web.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

struct growing {
	char *bytes;
	size_t size;
	size_t max;
	int err;
};

static size_t on_bytes(char *in, size_t one, size_t count, void *ctx)
{
	struct growing *g = ctx;
	size_t len = one * count;
	char *bigger;

	if (len > g->max - g->size) {
		g->err = ERR_RANGE;
		return 0;
	}
	bigger = realloc(g->bytes, g->size + len + 1);
	if (!bigger) {
		g->err = ERR_NOMEM;
		return 0;
	}
	memcpy(bigger + g->size, in, len);
	g->bytes = bigger;
	g->size += len;
	bigger[g->size] = '\0';
	return len;
}

/* Called when something moves, and each second when nothing does. */
static int on_progress(void *ctx, curl_off_t down_all, curl_off_t down,
		       curl_off_t up_all, curl_off_t up)
{
	const struct web_request *request = ctx;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return *request->stop != 0;
}

static int err_from_curl(CURLcode code, const struct growing *g)
{
	if (g->err)
		return g->err;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return ERR_CLOSED;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_SYNTAX;
	default:
		return ERR_IO;
	}
}

static struct curl_slist *headers_of(const struct web_request *request)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	if (request->body)
		list = curl_slist_append(list,
					 "Content-Type: application/json");
	if (request->header)
		list = curl_slist_append(list, request->header);
	return list;
}

static void set_stop(CURL *curl, const struct web_request *request)
{
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
}

static void set_options(CURL *curl, const struct web_request *request,
			struct growing *growing)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			       (long)request->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, growing);
	if (request->stop)
		set_stop(curl, request);
	if (request->unix_path)
		(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
				       request->unix_path);
	if (request->body)
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
}

int web_exchange(const struct web_request *request, struct web_answer *out,
		 char *why, size_t why_size)
{
	struct growing growing = {.max = request->answer_max};
	struct curl_slist *headers = headers_of(request);
	CURL *curl = curl_easy_init();
	curl_off_t retry = 0;
	long status = 0;
	CURLcode code;
	int err;

	memset(out, 0, sizeof(*out));
	if (!curl || !headers) {
		curl_slist_free_all(headers);
		curl_easy_cleanup(curl);
		(void)snprintf(why, why_size, "out of memory");
		return ERR_NOMEM;
	}
	set_options(curl, request, &growing);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(curl);
	err = err_from_curl(code, &growing);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	if (err) {
		(void)snprintf(why, why_size, "%s",
			       err == ERR_RANGE    ? "the answer is too long"
			       : err == ERR_CLOSED ? "interrupted"
						   : curl_easy_strerror(code));
		free(growing.bytes);
		return err;
	}
	out->status = (unsigned)status;
	out->body = growing.bytes;
	out->size = growing.size;
	out->retry_after_s = (uint32_t)(retry > 3600 ? 3600 : retry);
	return 0;
}

void web_answer_release(struct web_answer *answer)
{
	free(answer->body);
	memset(answer, 0, sizeof(*answer));
}
