#ifndef NET_CLIENT_H
#define NET_CLIENT_H
/*
 * The user's side of a mail server: post envelopes and wait for their
 * confirmations, fetch history page by page. One ring in the calling thread,
 * one or several connections to one server; a call returns when the work is
 * done or has failed.
 *
 * Thread: the caller's; the functions given run in it as well.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/enode.h"
#include "core/envelope.h"
#include "core/sealed.h"
#include "core/secp.h"
#include "core/topic.h"
#include "net/p2p.h"
#include "net/ring.h"

#define CLIENT_CONNECTIONS_MAX 256
#define CLIENT_WHY_MAX         256
#define CLIENT_PAGE_MAX        1000

struct client_config {
	/* Of the first connection; the others, and NULL, have fresh keys. */
	const struct secp_key *key;
	uint8_t server[SECP_PUBLIC_SIZE];
	struct sockaddr_storage addr;
	socklen_t addr_len;
	enum cap cap;         /* CAP_SHH or CAP_WAKU; CAP_WMPAY to pay */
	unsigned connections; /* 1..CLIENT_CONNECTIONS_MAX */
	enum ring_engine engine;
	unsigned timeout_ms;  /* longest wait for one answer */
	unsigned retries_max; /* of a page, of a connection */
	/* Looked at now and then: nonzero ends the call with ERR_CLOSED. */
	const volatile sig_atomic_t *stop;
	/* About ten times a second, for showing progress; may be NULL. */
	void (*tick)(void *ctx);
	void *ctx; /* of every function given */
};

/* One connection over waku, 30 s, three retries. */
void client_config_default(struct client_config *config);
/*
 * The address of an enode URL with a host, looked up if it is a name (this
 * waits for the resolver). Sets server, addr and addr_len. 0, ERR_SYNTAX (no
 * host or port), ERR_NOTFOUND.
 */
int client_config_server(struct client_config *config,
			 const struct enode *server);

/* ---- posting ---- */

struct client_refusal {
	uint8_t hash[ENVELOPE_HASH_SIZE];
	uint64_t code;
	const char *text; /* as the server sent it; escape it before showing */
	size_t text_size;
};

struct client_post {
	unsigned per_packet; /* envelopes in one packet */
	unsigned window;     /* packets of one connection not yet confirmed */
	bool no_wait;        /* the server need not confirm */
	/*
	 * The next envelope, RLP bytes that stay until the next call. Returns
	 * 0, > 0 (no more) or an error that ends the call.
	 */
	int (*next)(void *ctx, const uint8_t **rlp, size_t *size);
	/* These were confirmed, `count` hashes in a row; may be NULL. */
	void (*confirmed)(void *ctx, const uint8_t *hashes, size_t count);
	void (*refused)(void *ctx, const struct client_refusal *refusal);

	/* results, true at any time */
	uint64_t sent;            /* envelopes handed to a connection */
	uint64_t confirmed_count; /* of those, archived or known before */
	uint64_t refused_count;
	uint64_t bytes;
	uint64_t packets;
};

/*
 * Returns 0 when every envelope was confirmed or refused, or an error; `why`
 * then has a sentence for a person (CLIENT_WHY_MAX bytes).
 */
int client_post(const struct client_config *config, struct client_post *post,
		char *why);

/* ---- fetching ---- */

enum client_form {
	CLIENT_DIRECT,      /* protocol/mailserver.md §2.1 */
	CLIENT_SEALED,      /* §2.2 with a symmetric key */
	CLIENT_SEALED_NODE, /* §2.2 for the server's node key */
};

struct client_fetch {
	uint32_t lower_s, upper_s; /* of `sent`, both inclusive */
	const struct topic *topics;
	uint32_t topics_count;
	bool has_bloom; /* neither topics nor bloom: everything */
	struct bloom bloom;
	enum client_form form;
	uint8_t key[SEALED_KEY_SIZE]; /* for CLIENT_SEALED */
	uint64_t limit; /* newest envelopes, one connection; 0: all */
	uint32_t page;  /* envelopes asked for at a time */
	bool has_cursor;
	uint8_t cursor[ENVELOPE_KEY_SIZE]; /* begin beyond it; one connection */
	/*
	 * Each envelope that was asked for, once, in the order of delivery of
	 * each part. Returns 0 or an error that ends the call.
	 */
	int (*envelope)(void *ctx, const struct envelope *env,
			const uint8_t hash[static ENVELOPE_HASH_SIZE]);

	/* results, true at any time */
	uint64_t envelopes;
	uint64_t bytes;
	uint64_t pages;
	uint64_t retries;
	uint64_t passed_over; /* delivered twice or not asked for */
	double done;          /* 0..1 of the time range */
	bool wants_payment;   /* why the server refused */
	bool has_more;        /* the limit was reached: go on from `next` */
	uint8_t next[ENVELOPE_KEY_SIZE];
};

/*
 * Several connections share the work: each follows the cursor of a part of
 * the time range to its end, and a part that turns out long is halved for
 * those that are done. Returns 0 when all was fetched (or the limit reached),
 * else an error and a sentence in `why`.
 */
int client_fetch(const struct client_config *config, struct client_fetch *fetch,
		 char *why);

/* ---- paying (wmpay/1) ---- */

struct wmpay;

struct client_pay {
	/* Connected, perhaps again: ask. */
	void (*ready)(void *ctx, struct client_pay *pay);
	/* A message came, borrowed for the call. */
	void (*message)(void *ctx, struct client_pay *pay,
			const struct wmpay *msg);
	/* About twenty times a second; may be NULL. */
	void (*idle)(void *ctx, struct client_pay *pay, uint64_t now_ms);

	/* A connection without an answer is made again; else it is the end. */
	bool is_patient;

	struct client *client;    /* from here on client_pay()'s own */
	struct client_conn *conn; /* NULL: not connected just now */
	uint64_t answer_ms; /* an answer is due by then; 0: none awaited */
};

/*
 * Speak wmpay/1 over one connection until client_pay_end(); config.cap must be
 * CAP_WMPAY. A lost connection is made again. 0, or an error and a sentence in
 * `why`.
 */
int client_pay(const struct client_config *config, struct client_pay *pay,
	       char *why);
/* From the functions above while connected: send, and await an answer in
 * config.timeout_ms. */
void client_pay_send(struct client_pay *pay, const struct wmpay *msg);
/* Why a connection was lost or not made, the last time; borrowed. */
const char *client_pay_why(const struct client_pay *pay);
/* From the functions above; `why` is for err != 0. */
void client_pay_end(struct client_pay *pay, int err, const char *why);

#endif
