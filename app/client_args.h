#ifndef APP_CLIENT_ARGS_H
#define APP_CLIENT_ARGS_H
/*
 * What the commands that talk to a server have in common: options, the
 * server's address, the key, being interrupted, the way a summary looks.
 *
 * Thread: main.
 */
#include <signal.h>
#include <stdbool.h>

#include "app/args.h"
#include "core/topic.h"
#include "net/client.h"

/* clang-format off */
#define CLIENT_ARGS_OPTIONS \
	{"cap", NULL, SETTING_WORD, "waku", NULL, NULL, "waku|shh", \
	 "capability to speak"}, \
	{"nodekey", NULL, SETTING_TEXT, "", NULL, "1024", "file", \
	 "file of the private key to connect with; empty: a fresh one"}, \
	{"timeout", NULL, SETTING_DURATION, "30s", "100ms", "1h", NULL, \
	 "longest wait for an answer"}, \
	{"io", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|uring|epoll", \
	 "engine of the sockets"}, \
	{"json", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, \
	 "write the summary as JSON"}
/* clang-format on */

/* Set by SIGINT and SIGTERM once client_args_signals() has been called. */
extern volatile sig_atomic_t client_args_stop;
void client_args_signals(void);

struct client_args {
	struct client_config config;
	struct secp_key key;
	bool is_json;
};

/*
 * Fill `out` from the options above and the enode URL. `out` must stay where
 * it is while its config is used. Returns EXIT_OK, or the exit status after a
 * message.
 */
int client_args_read(const struct usage *usage, const struct args *args,
		     const char *enode, struct client_args *out);
void client_args_release(struct client_args *client);

/* Errors: "restante fetch: ...", the same way everywhere. */
void client_args_complain(const struct usage *usage, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The list option "topic" as topics, malloc'ed; *count 0 and NULL if none was
 * given. Returns EXIT_OK, or the exit status after a message.
 */
int client_args_topics(const struct usage *usage, const struct args *args,
		       struct topic **out, uint32_t *count);

/*
 * The key that a password seals with: reads the option "password", derives it
 * (tens of milliseconds). Returns EXIT_OK or EXIT_FAILED after a message.
 */
int client_args_password(const struct usage *usage, const struct args *args,
			 uint8_t key[static SEALED_KEY_SIZE]);

/* Text of a stranger with what is not printable ASCII as '?'. */
void client_args_escape(const char *text, size_t len, char *out, size_t max);

#endif
