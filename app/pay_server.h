#ifndef APP_PAY_SERVER_H
#define APP_PAY_SERVER_H
/*
 * The server that is paid, for the commands `offer`, `claim` and
 * `entitlement`: reached by its enode over devp2p, or by a URL over HTTP.
 *
 * Thread: main. Messages for people go to standard error.
 */
#include <stdbool.h>

#include "app/client_args.h"
#include "auth/offer.h"
#include "auth/payments.h"

#define PAY_SERVER_WHY_MAX 320

/* clang-format off */
#define PAY_SERVER_OPTIONS \
	{"nodekey", NULL, SETTING_TEXT, "", NULL, "1024", "file", \
	 "file of your node's private key; over devp2p it is the node"}, \
	{"server", NULL, SETTING_TEXT, "", NULL, "511", "enode", \
	 "with a URL: the server's enode or key, which must have signed"}, \
	{"timeout", NULL, SETTING_DURATION, "30s", "100ms", "1h", NULL, \
	 "longest wait for an answer"}, \
	{"io", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|uring|epoll", \
	 "engine of the sockets"}, \
	{"json", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, \
	 "write JSON"}
/* clang-format on */

struct pay_server {
	const struct usage *usage;
	bool is_http;
	char url[512]; /* without a slash at its end */
	struct client_config client;
	struct secp_key key;
	bool has_key;
	bool has_public; /* of the server: from its enode or --server */
	uint8_t public[SECP_PUBLIC_SIZE];
	bool is_json;
	unsigned timeout_ms;
};

/* `server` must stay where it is. EXIT_OK, or the status after a message. */
int pay_server_open(const struct usage *usage, const struct args *args,
		    const char *where, struct pay_server *server);
void pay_server_release(struct pay_server *server);

/* The offer in force, its signature checked. EXIT_OK, or the status after a
 * message. */
struct pay_offer {
	uint8_t bytes[OFFER_SIZE_MAX];
	size_t size;
	uint8_t hash[32];
	struct offer offer;
};
int pay_server_offer(struct pay_server *server, struct pay_offer *out);
/* The offer that the same server has announced, checked. False, without a
 * message: there is none, or it cannot be asked for (over devp2p). */
bool pay_server_next_offer(struct pay_server *server,
			   const struct pay_offer *present,
			   struct pay_offer *out);

/*
 * File a claim and follow it. `changed` is called with what the server says,
 * the first time and whenever it is asked or tells; it returns false when that
 * is enough. `delayed` is called once when there is no answer, or one that says
 * «later», and again only after the next change; it goes on by itself. Files
 * the claim again after a loss: that is always safe. EXIT_OK, or the status
 * after a message, which says whether it is filed.
 */
struct pay_follow {
	bool (*changed)(void *ctx, const struct claim_status *status);
	void (*delayed)(void *ctx, const char *why);
	void *ctx;
	unsigned wait_ms; /* in all; then EXIT_FAILED */
};
int pay_server_claim(struct pay_server *server, const struct claim *claim,
		     const struct pay_follow *follow);

struct wmpay_entitlement;
/* devp2p only. */
int pay_server_entitlement(struct pay_server *server,
			   struct wmpay_entitlement *out);

#endif
