#include "app/client_args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/nodekey.h"
#include "core/bytes.h"
#include "core/err.h"

volatile sig_atomic_t client_args_stop;

static void on_signal(int signal)
{
	(void)signal;
	client_args_stop = 1;
}

void client_args_signals(void)
{
	/* The second signal ends the program at once. */
	struct sigaction action = {.sa_handler = on_signal,
				   .sa_flags = (int)SA_RESETHAND};

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	(void)sigaction(SIGPIPE, &action, NULL);
}

void client_args_complain(const struct usage *usage, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "restante %s: ", usage->command);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

static int read_server(const struct usage *usage, const char *text,
		       struct client_config *config)
{
	struct enode server;

	if (enode_decode(text, &server) || server.host[0] == '\0' ||
	    server.tcp == 0) {
		client_args_complain(
			usage,
			"'%s' is no enode URL; wanted: "
			"enode://KEY@HOST:PORT, as `restante serve` prints it",
			text);
		return EXIT_USAGE;
	}
	if (client_config_server(config, &server)) {
		client_args_complain(usage,
				     "%s: no address is known for this name",
				     server.host);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int client_args_read(const struct usage *usage, const struct args *args,
		     const char *enode, struct client_args *out)
{
	const struct settings *s = args->options;
	const char *nodekey = settings_text(s, "nodekey");
	char why[NODEKEY_WHY_MAX];

	memset(out, 0, sizeof(*out));
	client_config_default(&out->config);
	out->config.cap = settings_word(s, "cap") == 0 ? CAP_WAKU : CAP_SHH;
	out->config.engine = (enum ring_engine)settings_word(s, "io");
	out->config.timeout_ms = (unsigned)settings_ms(s, "timeout");
	out->config.stop = &client_args_stop;
	out->is_json = settings_bool(s, "json");
	if (*nodekey) {
		if (nodekey_read(nodekey, &out->key, why)) {
			client_args_complain(usage, "%s", why);
			return EXIT_FAILED;
		}
		out->config.key = &out->key;
	}
	client_args_signals();
	return read_server(usage, enode, &out->config);
}

void client_args_release(struct client_args *client)
{
	bytes_erase(&client->key, sizeof(client->key));
}

int client_args_topics(const struct usage *usage, const struct args *args,
		       struct topic **out, uint32_t *count)
{
	size_t n = settings_count(args->options, "topic");
	struct topic *topics;

	*out = NULL;
	*count = 0;
	if (n == 0)
		return EXIT_OK;
	topics = calloc(n, sizeof(*topics));
	if (!topics)
		return EXIT_FAILED;
	for (size_t i = 0; i < n; i++) {
		const char *text =
			settings_text(args->options, "topic[%zu]", i);

		if (hex_decode(text, strlen(text), topics[i].bytes,
			       TOPIC_SIZE)) {
			client_args_complain(usage,
					     "--topic: '%s' is no topic; "
					     "wanted: 8 hex digits",
					     text);
			free(topics);
			return EXIT_USAGE;
		}
	}
	*out = topics;
	*count = (uint32_t)n;
	return EXIT_OK;
}

int client_args_password(const struct usage *usage, const struct args *args,
			 uint8_t key[static SEALED_KEY_SIZE])
{
	int err = sealed_key_from_password(
		settings_text(args->options, "password"), key);

	if (err)
		client_args_complain(usage, "--password: %s", err_str(err));
	return err ? EXIT_FAILED : EXIT_OK;
}

void client_args_escape(const char *text, size_t len, char *out, size_t max)
{
	size_t n = len < max - 1 ? len : max - 1;

	for (size_t i = 0; i < n; i++)
		out[i] =
			(char)(isprint((unsigned char)text[i]) ? text[i] : '?');
	out[n] = '\0';
}
