#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/generate.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/keccak.h"

#define MARGIN_S 60 /* of the time range, for clocks that differ */

/* clang-format off */
static const struct setting options[] = {
	{"count", NULL, SETTING_U64, "3", "1", "1000", "envelopes",
	 "to post and to find again"},
	{"size", NULL, SETTING_BYTES, "400", "1", "1000000", NULL,
	 "of the data of one"},
	{"ttl", NULL, SETTING_DURATION, "15s", "1s", "365d", NULL,
	 "life time of an envelope"},
	{"pow", NULL, SETTING_REAL, "0.002", "0", "1000", NULL,
	 "proof of work, found by search"},
	{"form", NULL, SETTING_WORD, "direct", NULL, NULL,
	 "direct|sealed|sealed-node", "form of the request"},
	{"password", NULL, SETTING_SECRET, "status-offline-inbox", NULL, "256",
	 NULL, "password that seals a request"},
	CLIENT_ARGS_OPTIONS,
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "canary",
	.operands = "ENODE",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "For monitoring: posts a few envelopes under a topic made "
		   "by chance, waits until they\nare confirmed, fetches them "
		   "back and compares. Ends with 0 when all is well,\n1 when "
		   "something is wrong, and 3 when all was confirmed but the "
		   "server wants to be paid\nfor history: then give the "
		   "--nodekey of a node that is entitled to it.",
	.options = options,
};

struct canary {
	struct client_args client;
	struct topic topic;
	struct generate generate;
	uint64_t count;
	uint8_t *hashes; /* of what was posted */
	bool *is_found;
	uint64_t posted, found, foreign;
	bool wants_payment;
	double post_s, fetch_s;
};

static int on_next(void *ctx, const uint8_t **rlp, size_t *size)
{
	struct canary *c = ctx;
	int err = generate_next(&c->generate, rlp, size);

	if (!err)
		keccak256(*rlp, *size,
			  c->hashes + c->posted++ * ENVELOPE_HASH_SIZE);
	return err;
}

static int on_envelope(void *ctx, const struct envelope *env,
		       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct canary *c = ctx;

	(void)env;
	for (uint64_t i = 0; i < c->posted; i++) {
		if (memcmp(c->hashes + i * ENVELOPE_HASH_SIZE, hash,
			   ENVELOPE_HASH_SIZE) != 0)
			continue;
		c->found += !c->is_found[i];
		c->is_found[i] = true;
		return 0;
	}
	c->foreign++;
	return 0;
}

static void on_refused(void *ctx, const struct client_refusal *refusal)
{
	char text[128];

	(void)ctx;
	client_args_escape(refusal->text, refusal->text_size, text,
			   sizeof(text));
	client_args_complain(&usage, "refused: code %llu: %s",
			     (unsigned long long)refusal->code, text);
}

static int post(struct canary *c, char *why)
{
	struct client_post post = {.per_packet = 50,
				   .window = 4,
				   .next = on_next,
				   .refused = on_refused};
	uint64_t start_ms = clock_mono_ms();
	int err = client_post(&c->client.config, &post, why);

	c->post_s = (double)(clock_mono_ms() - start_ms) / 1000.0;
	if (!err && post.refused_count > 0) {
		(void)snprintf(why, CLIENT_WHY_MAX,
			       "%llu of %llu envelopes were refused",
			       (unsigned long long)post.refused_count,
			       (unsigned long long)post.sent);
		err = ERR_DENIED;
	}
	return err;
}

static int fetch(struct canary *c, const struct args *args, char *why)
{
	struct client_fetch fetch = {
		.lower_s = clock_wall_s() - MARGIN_S,
		.upper_s = clock_wall_s() + MARGIN_S,
		.topics = &c->topic,
		.topics_count = 1,
		.form = (enum client_form)settings_word(args->options, "form"),
		.page = 1000,
		.envelope = on_envelope,
	};
	uint64_t start_ms = clock_mono_ms();
	int err = 0;

	if (fetch.form == CLIENT_SEALED &&
	    client_args_password(&usage, args, fetch.key) != EXIT_OK)
		err = ERR_NOMEM;
	if (!err)
		err = client_fetch(&c->client.config, &fetch, why);
	c->wants_payment = fetch.wants_payment;
	c->fetch_s = (double)(clock_mono_ms() - start_ms) / 1000.0;
	if (!err && c->found < c->posted) {
		(void)snprintf(why, CLIENT_WHY_MAX,
			       "%llu of %llu confirmed envelopes did not come "
			       "back",
			       (unsigned long long)(c->posted - c->found),
			       (unsigned long long)c->posted);
		err = ERR_NOTFOUND;
	}
	return err;
}

static int prepare(const struct args *args, struct canary *c)
{
	const struct settings *s = args->options;
	struct generate_config how = {
		.count = settings_u64(s, "count"),
		.size = (uint32_t)settings_u64(s, "size"),
		.topics = &c->topic,
		.topics_count = 1,
		.ttl_s = (uint32_t)settings_s(s, "ttl"),
		.pow = settings_real(s, "pow"),
	};
	int status =
		client_args_read(&usage, args, args->operands[0], &c->client);

	if (status != EXIT_OK)
		return status;
	c->client.config.ctx = c;
	c->count = how.count;
	bytes_random((uint8_t *)&how.seed, sizeof(how.seed));
	bytes_random(c->topic.bytes, sizeof(c->topic.bytes));
	c->hashes = calloc(how.count, ENVELOPE_HASH_SIZE);
	c->is_found = calloc(how.count, sizeof(bool));
	if (!c->hashes || !c->is_found || generate_init(&c->generate, &how)) {
		client_args_complain(&usage, "%s", err_str(ERR_NOMEM));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int run(struct canary *c, const struct args *args)
{
	char why[CLIENT_WHY_MAX] = "";
	const char *stage = "post";
	int err = post(c, why);

	if (!err) {
		stage = "fetch";
		err = fetch(c, args, why);
	}
	if (err)
		client_args_complain(&usage, "%s failed: %s", stage, why);
	if (c->wants_payment)
		client_args_complain(&usage,
				     "this node is not entitled to history: "
				     "give the --nodekey of one that is, or "
				     "pay (restante offer)");
	if (c->client.is_json)
		printf("{\"ok\":%s,\"posted\":%llu,\"found\":%llu,"
		       "\"payment_required\":%s,"
		       "\"post_seconds\":%.3f,\"fetch_seconds\":%.3f}\n",
		       err ? "false" : "true", (unsigned long long)c->posted,
		       (unsigned long long)c->found,
		       c->wants_payment ? "true" : "false", c->post_s,
		       c->fetch_s);
	else if (!err)
		printf("ok: %llu posted in %.3f s, all found again in %.3f s\n",
		       (unsigned long long)c->posted, c->post_s, c->fetch_s);
	if (c->wants_payment)
		return EXIT_PAYMENT;
	return err ? EXIT_FAILED : EXIT_OK;
}

int cmd_canary(int argc, char **argv)
{
	struct canary c = {0};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = prepare(&args, &c);
	if (status == EXIT_OK)
		status = run(&c, &args);
	generate_release(&c.generate);
	free(c.hashes);
	free(c.is_found);
	client_args_release(&c.client);
	args_release(&args);
	return status;
}
