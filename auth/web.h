#ifndef AUTH_WEB_H
#define AUTH_WEB_H
/*
 * One HTTP exchange at a time, for commands that speak to a server's public or
 * admin listener: no redirects, http and https only, certificates checked,
 * answers bounded.
 *
 * Thread: any; a call waits.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct web_request {
	const char *method;
	const char *url;
	const char *unix_path; /* a socket to speak over; NULL: none */
	const char *header;    /* one more, "Name: value"; NULL: none */
	const char *body;      /* JSON; NULL: none */
	size_t answer_max;
	unsigned timeout_ms;
	/* Looked at each second: nonzero ends it with ERR_CLOSED. Or NULL. */
	const volatile sig_atomic_t *stop;
};
struct web_answer {
	unsigned status;
	char *body; /* malloc'ed, with a NUL behind it; web_answer_release() */
	size_t size;
	uint32_t retry_after_s; /* 0: not told */
};

/*
 * 0 with whatever status came, or ERR_SYNTAX (the URL), ERR_TIMEOUT,
 * ERR_RANGE (too long an answer), ERR_CLOSED (stopped), ERR_IO, ERR_NOMEM with
 * a sentence in `why`.
 */
int web_exchange(const struct web_request *request, struct web_answer *out,
		 char *why, size_t why_size);
void web_answer_release(struct web_answer *answer);

#endif
