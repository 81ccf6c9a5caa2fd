#ifndef NET_CLIENT_CONN_H
#define NET_CLIENT_CONN_H
/*
 * The connections behind net/client.h: dialling, Status, retries and the end,
 * whatever they are used for. Private to client*.c.
 *
 * Thread: the client's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/packet.h"
#include "net/client.h"
#include "net/link.h"

struct client;

struct client_conn {
	struct client *client;
	unsigned index;
	struct secp_key key;
	struct link_set *set;
	struct link *link;  /* NULL: not connected */
	bool is_ready;      /* Status has come */
	bool confirms;      /* the server will */
	unsigned failures;  /* since the last success */
	char why[128];      /* it was lost, the last time */
	uint64_t dial_ms;   /* next try; 0: none due */
	uint64_t status_ms; /* Status is due by then; 0: none awaited */
	void *owner;        /* the user's state */
};

/* What posting and fetching do with a connection. */
struct client_use {
	void (*ready)(void *ctx, struct client_conn *conn);
	void (*message)(void *ctx, struct client_conn *conn, unsigned code,
			struct packet *payload);
	/* It is gone; what was asked of it will not be answered. */
	void (*lost)(void *ctx, struct client_conn *conn);
	void (*drained)(void *ctx, struct client_conn *conn);
	void (*tick)(void *ctx, uint64_t now_ms);
};

struct client {
	const struct client_config *config;
	const struct client_use *use;
	void *ctx;
	struct ring *ring;
	struct client_conn *conns;
	struct link_set **sets; /* those of the connections */
	unsigned count;
	bool is_ending;
	uint64_t end_ms; /* ending: what has not closed by then is left */
	int err;
	char *why;
};

/* Connect, run until client_end(), disconnect. Returns client->err. */
int client_run(struct client *client);
/* Begin to end: err 0 for success. The first call decides. */
void client_end(struct client *client, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Give up one connection; it is dialled again as long as retries are left. */
void client_conn_drop(struct client_conn *conn);

#endif
