#ifndef AUTH_ADMIN_H
#define AUTH_ADMIN_H
/*
 * What the operator asks of a server and changes in it, as verbs with JSON in
 * and out, for whatever carries them (a unix socket, the private listener).
 * Every change of payments is a ledger entry or event with a reason.
 *
 * Thread: any that may wait for a commit: never a ring.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/enode.h"
#include "storage/archive.h"

struct payments;

#define ADMIN_BODY_MAX   4096
#define ADMIN_REASON_MAX 127

struct admin_answer {
	unsigned status;  /* of HTTP */
	const char *type; /* "application/json" or "text/csv" */
	char *body;       /* malloc'ed; NULL: no memory */
};

/* A connected peer, as the folders above know it. Texts are borrowed. */
struct admin_peer {
	const uint8_t *node; /* 64 bytes */
	const char *address; /* "ADDR:PORT" */
	const char *client;  /* as it calls itself */
	const char *caps;    /* "shh/6 waku/1" */
	uint64_t since_s;    /* wall clock */
	bool is_outgoing;
	bool is_paused; /* not read from now */
	uint64_t read_bytes, sent_bytes, queued_bytes;
	unsigned requests; /* in work */
};

/* What the server itself has to tell, counted since its start. */
#define ADMIN_WHY_MAX 320
struct admin_server {
	const char *version;
	const char *commit;
	char enode[ENODE_TEXT_MAX];
	uint64_t started_s; /* wall clock */
	uint64_t up_ms;
	bool is_ready;
	char readiness[ADMIN_WHY_MAX]; /* as /readyz says it */
	uint64_t peers;
	uint64_t envelopes_in, envelopes_new, envelopes_duplicate;
	uint64_t envelopes_refused, envelopes_out;
	uint64_t requests, requests_denied, requests_failed;
	uint64_t delivered, delivered_bytes;
	struct archive_health archive;
	unsigned shards;
	uint64_t retention_s, retention_bytes; /* 0: no bound */
	uint64_t disk_free_bytes;
};

/* The server that is asked. */
struct admin_host {
	struct payments *payments; /* NULL: nothing is sold */
	void *ctx;
	/*
	 * Tell of every peer; `*silent` gets the number of threads that did
	 * not answer in time. 0, or an error. NULL: no peers are known here.
	 */
	int (*each_peer)(void *ctx,
			 void (*visit)(void *visit_ctx,
				       const struct admin_peer *peer),
			 void *visit_ctx, unsigned *silent);
	/* How it does. NULL: nobody knows here. */
	void (*look)(void *ctx, struct admin_server *out);
};

/*
 * Run `verb` ("entitlements.grant") with `body`, an object of texts or
 * nothing. Where nothing is sold, verbs of payments are answered with 409.
 * Errors are {"error","message"}.
 */
void admin_run(const struct admin_host *host, const char *verb,
	       const char *body, size_t size, struct admin_answer *out);

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
