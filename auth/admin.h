#ifndef AUTH_ADMIN_H
#define AUTH_ADMIN_H
/*
 * What the operator asks of payments and changes in them, as verbs with JSON
 * in and out, for whatever carries them (a unix socket, the private listener).
 * Every change is a ledger entry or event with a reason.
 *
 * Thread: any that may wait for a commit: never a ring.
 */
#include <stddef.h>
#include <stdio.h>

struct payments;

#define ADMIN_BODY_MAX   4096
#define ADMIN_REASON_MAX 127

struct admin_answer {
	unsigned status;  /* of HTTP */
	const char *type; /* "application/json" or "text/csv" */
	char *body;       /* malloc'ed; NULL: no memory */
};

/*
 * Run `verb` ("entitlements.grant") with `body`, an object of texts or
 * nothing. `payments` is NULL where nothing is sold: then every verb is
 * answered with 409. Errors are {"error","message"}.
 */
void admin_run(struct payments *payments, const char *verb, const char *body,
	       size_t size, struct admin_answer *out);

/* One verb for --help. */
struct admin_verb {
	const char *name;
	const char *fields; /* "node seconds reason"; needed ones first */
	const char *help;
};
extern const struct admin_verb admin_verbs[]; /* ended by a NULL name */

/*
 * For the side that asks: an object of texts from pairs "name", "value", ended
 * by NULL; malloc'ed, NULL is out of memory.
 */
char *admin_body(const char *const *pairs);
/* An answer for a person: a table, or a line for each field. */
void admin_print(const char *body, size_t size, FILE *out);

#endif
