#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/dump.h"
#include "app/generate.h"
#include "app/progress.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define REFUSALS_SHOWN 10

/* clang-format off */
static const struct setting options[] = {
	{"count", NULL, SETTING_U64, "100", "1", NULL, "envelopes",
	 "to make when no FILE is given"},
	{"size", NULL, SETTING_BYTES, "400", "1", "1000000", NULL,
	 "of the data of one"},
	{"topic[]", NULL, SETTING_TEXT, "", NULL, "8", "hex",
	 "topics in turn, 8 hex digits each; none: --topics made from the seed"},
	{"topics", NULL, SETTING_U64, "10", "1", "10000000", "topics",
	 "made from the seed"},
	{"seed", NULL, SETTING_U64, "0", "0", NULL, "number",
	 "the same gives the same topics and payloads; 0: by chance"},
	{"ttl", NULL, SETTING_DURATION, "15s", "1s", "365d", NULL,
	 "life time of an envelope"},
	{"spread", NULL, SETTING_DURATION, "0", "0", "365d", NULL,
	 "of the times of creation, back from now (the ttl grows by it)"},
	{"pow", NULL, SETTING_REAL, "0.002", "0", "1000", NULL,
	 "proof of work, found by search"},
	{"sealed", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "seal payloads with the password instead of sending random bytes"},
	{"password", NULL, SETTING_SECRET, "status-offline-inbox", NULL, "256",
	 NULL, "for --sealed"},
	{"key", NULL, SETTING_SECRET, "", NULL, "128", "hex",
	 "seal payloads with this key: 64 hex digits (symmetric) or 128 (a "
	 "public key, as in an enode)"},
	{"connections", NULL, SETTING_U64, "1", "1", "256", "connections",
	 "that share the work"},
	{"per-packet", NULL, SETTING_U64, "50", "1", "10000", "envelopes",
	 "in one packet"},
	{"window", NULL, SETTING_U64, "8", "1", "1024", "packets",
	 "of one connection not yet confirmed"},
	{"no-wait", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "also use a server that does not confirm"},
	{"hashes", NULL, SETTING_TEXT, "", NULL, "4095", "file",
	 "write the hash of each confirmed envelope, a line each; -: standard "
	 "output"},
	CLIENT_ARGS_OPTIONS,
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "post",
	.operands = "ENODE [FILE]",
	.operands_min = 1,
	.operands_max = 2,
	.summary = "Sends envelopes into the network through a node and waits "
		   "until each is confirmed:\nthose of FILE (- for standard "
		   "input; "
		   "JSON lines or binary, as fetch writes them), or\nmade up. "
		   "Ends with 0 when all were confirmed.",
	.options = options,
};

struct posting {
	struct client_args client;
	struct client_post post;
	struct topic *topics;
	bool is_generated;
	FILE *hashes; /* NULL: nobody wants them */
	struct generate generate;
	struct generate_config how;
	struct dump_reader reader;
	struct progress progress;
	uint64_t refusals_shown;
};

static int on_next(void *ctx, const uint8_t **rlp, size_t *size)
{
	struct posting *p = ctx;
	struct envelope env;
	int err;

	if (p->is_generated)
		return generate_next(&p->generate, rlp, size);
	err = dump_read(&p->reader, rlp, size);
	if (err == 0 && envelope_decode(*rlp, *size, &env)) {
		client_args_complain(&usage, "%s: record %llu is no envelope",
				     p->reader.path,
				     (unsigned long long)p->reader.index);
		return ERR_SYNTAX;
	}
	if (err < 0)
		client_args_complain(&usage, "%s", p->reader.why);
	return err;
}

static void on_confirmed(void *ctx, const uint8_t *hashes, size_t count)
{
	struct posting *p = ctx;
	char text[2 * ENVELOPE_HASH_SIZE + 1];

	if (!p->hashes)
		return;
	for (size_t i = 0; i < count; i++) {
		hex_encode(hashes + i * ENVELOPE_HASH_SIZE, ENVELOPE_HASH_SIZE,
			   text);
		(void)fprintf(p->hashes, "%s\n", text);
	}
	/* Whoever reads this keeps a ledger: what was confirmed, at once. */
	(void)fflush(p->hashes);
}

static void on_refused(void *ctx, const struct client_refusal *refusal)
{
	struct posting *p = ctx;
	char hash[2 * ENVELOPE_HASH_SIZE + 1], text[128];

	if (p->refusals_shown++ >= REFUSALS_SHOWN)
		return;
	hex_encode(refusal->hash, sizeof(refusal->hash), hash);
	client_args_escape(refusal->text, refusal->text_size, text,
			   sizeof(text));
	progress_end(&p->progress);
	client_args_complain(&usage, "refused: %s: code %llu: %s", hash,
			     (unsigned long long)refusal->code, text);
}

static void on_tick(void *ctx)
{
	struct posting *p = ctx;
	double done = -1;
	char text[96];

	if (p->is_generated)
		done = (double)(p->post.confirmed_count +
				p->post.refused_count) /
		       (double)p->how.count;
	(void)snprintf(text, sizeof(text), "%llu sent, %llu confirmed",
		       (unsigned long long)p->post.sent,
		       (unsigned long long)p->post.confirmed_count);
	progress_show(&p->progress, done, text);
}

static int read_key(const char *hex, struct generate_config *how)
{
	size_t digits = strlen(hex);
	int err = ERR_SYNTAX;

	if (digits == 2 * sizeof(how->key)) {
		how->seal = GENERATE_SYMMETRIC;
		err = hex_decode(hex, digits, how->key, sizeof(how->key));
	} else if (digits == 2 * sizeof(how->public)) {
		how->seal = GENERATE_ASYMMETRIC;
		err = hex_decode(hex, digits, how->public, sizeof(how->public));
		if (!err && !secp_public_is_valid(how->public))
			err = ERR_SYNTAX;
	}
	if (err)
		client_args_complain(&usage,
				     "--key: this is no key; wanted: 64 hex "
				     "digits, or the 128 of a public key");
	return err ? EXIT_USAGE : EXIT_OK;
}

static int read_seal(const struct args *args, struct generate_config *how)
{
	const struct settings *s = args->options;
	const char *key = settings_text(s, "key");

	if (*key && settings_bool(s, "sealed")) {
		client_args_complain(&usage, "--sealed is with the password, "
					     "--key with the key: give one");
		return EXIT_USAGE;
	}
	if (*key)
		return read_key(key, how);
	if (!settings_bool(s, "sealed"))
		return EXIT_OK;
	how->seal = GENERATE_SYMMETRIC;
	return client_args_password(&usage, args, how->key);
}

static int read_generated(const struct args *args, struct posting *p)
{
	const struct settings *s = args->options;
	struct generate_config *how = &p->how;
	int status;

	how->count = settings_u64(s, "count");
	how->size = (uint32_t)settings_u64(s, "size");
	how->seed = settings_u64(s, "seed");
	how->ttl_s = (uint32_t)settings_s(s, "ttl");
	how->spread_s = (uint32_t)settings_s(s, "spread");
	how->pow = settings_real(s, "pow");
	if (how->seed == 0)
		bytes_random((uint8_t *)&how->seed, sizeof(how->seed));
	status = client_args_topics(&usage, args, &p->topics,
				    &how->topics_count);
	how->topics = p->topics;
	if (!p->topics)
		how->topics_count = (uint32_t)settings_u64(s, "topics");
	if (status == EXIT_OK)
		status = read_seal(args, how);
	if (status == EXIT_OK && generate_init(&p->generate, how))
		status = EXIT_FAILED;
	return status;
}

static int open_hashes(const char *path, struct posting *p)
{
	if (!*path)
		return EXIT_OK;
	p->hashes = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	if (p->hashes)
		return EXIT_OK;
	client_args_complain(&usage, "%s: %s", path, err_system(errno));
	return EXIT_FAILED;
}

static int close_hashes(struct posting *p)
{
	bool is_bad;

	if (!p->hashes)
		return EXIT_OK;
	is_bad = ferror(p->hashes) != 0;
	if (p->hashes != stdout && fclose(p->hashes) != 0)
		is_bad = true;
	if (is_bad)
		client_args_complain(&usage, "--hashes: could not be written");
	return is_bad ? EXIT_FAILED : EXIT_OK;
}

static int read_options(const struct args *args, struct posting *p)
{
	const struct settings *s = args->options;
	int status;

	status = client_args_read(&usage, args, args->operands[0], &p->client);
	if (status != EXIT_OK)
		return status;
	p->client.config.connections = (unsigned)settings_u64(s, "connections");
	p->post.per_packet = (unsigned)settings_u64(s, "per-packet");
	p->post.window = (unsigned)settings_u64(s, "window");
	p->post.no_wait = settings_bool(s, "no-wait");
	status = open_hashes(settings_text(s, "hashes"), p);
	if (status != EXIT_OK)
		return status;
	p->is_generated = args->operands_count < 2;
	if (p->is_generated)
		return read_generated(args, p);
	if (dump_open(&p->reader, args->operands[1])) {
		client_args_complain(&usage, "%s", p->reader.why);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static void print_summary(const struct posting *p)
{
	const struct client_post *post = &p->post;
	double seconds = progress_seconds(&p->progress);
	char size[PROGRESS_SIZE_MAX];

	if (p->client.is_json) {
		(void)fprintf(stderr,
			      "{\"sent\":%llu,\"confirmed\":%llu,"
			      "\"refused\":%llu,\"bytes\":%llu,"
			      "\"packets\":%llu,\"seconds\":%.3f}\n",
			      (unsigned long long)post->sent,
			      (unsigned long long)post->confirmed_count,
			      (unsigned long long)post->refused_count,
			      (unsigned long long)post->bytes,
			      (unsigned long long)post->packets, seconds);
		return;
	}
	progress_size((double)post->bytes, size);
	(void)fprintf(stderr,
		      "%llu sent, %llu confirmed, %llu refused, %s in "
		      "%.2f s (%.0f/s)\n",
		      (unsigned long long)post->sent,
		      (unsigned long long)post->confirmed_count,
		      (unsigned long long)post->refused_count, size, seconds,
		      (double)post->sent / (seconds > 0 ? seconds : 1));
}

static int run(struct posting *p)
{
	char why[CLIENT_WHY_MAX];
	int err;

	p->post.next = on_next;
	p->post.confirmed = on_confirmed;
	p->post.refused = on_refused;
	p->client.config.tick = on_tick;
	p->client.config.ctx = p;
	progress_start(&p->progress, "post");
	err = client_post(&p->client.config, &p->post, why);
	progress_end(&p->progress);
	if (err)
		client_args_complain(&usage, "%s", why);
	if (p->refusals_shown > REFUSALS_SHOWN)
		client_args_complain(&usage, "... and %llu more refused",
				     (unsigned long long)(p->refusals_shown -
							  REFUSALS_SHOWN));
	print_summary(p);
	return err || p->post.refused_count > 0 ? EXIT_FAILED : EXIT_OK;
}

int cmd_post(int argc, char **argv)
{
	struct posting p = {0};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = read_options(&args, &p);
	if (status == EXIT_OK)
		status = run(&p);
	if (close_hashes(&p) != EXIT_OK)
		status = EXIT_FAILED;
	generate_release(&p.generate);
	dump_close(&p.reader);
	free(p.topics);
	client_args_release(&p.client);
	args_release(&args);
	return status;
}
