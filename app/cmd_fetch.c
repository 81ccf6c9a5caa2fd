#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/dump.h"
#include "app/progress.h"
#include "app/when.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define AHEAD_S 60 /* clocks differ; as servers read upper = 0 */

/* clang-format off */
static const struct setting options[] = {
	{"topic[]", NULL, SETTING_TEXT, "", NULL, "8", "hex",
	 "topic to fetch, 8 hex digits; none: every topic"},
	{"bloom", NULL, SETTING_TEXT, "", NULL, "128", "hex",
	 "bloom filter instead of topics, 128 hex digits"},
	{"from", NULL, SETTING_TEXT, "24h", "1", "40", "time",
	 "oldest time: " WHEN_TEXT},
	{"to", NULL, SETTING_TEXT, "", NULL, "40", "time",
	 "newest time; empty: now"},
	{"limit", NULL, SETTING_U64, "0", "0", NULL, "envelopes",
	 "so many of the newest, over one connection; 0: all"},
	{"page", NULL, SETTING_U64, "1000", "1", "1000", "envelopes",
	 "asked for at a time"},
	{"cursor", NULL, SETTING_TEXT, "", NULL, "72", "hex",
	 "begin beyond it, 72 hex digits, over one connection"},
	{"form", NULL, SETTING_WORD, "direct", NULL, NULL,
	 "direct|sealed|sealed-node", "form of the request"},
	{"password", NULL, SETTING_SECRET, "status-offline-inbox", NULL, "256",
	 NULL, "password that seals a request"},
	{"jobs", NULL, SETTING_U64, "1", "1", "64", "connections",
	 "that share the work"},
	{"format", NULL, SETTING_WORD, "json", NULL, NULL, "json|binary",
	 "of the output: a JSON object a line, or RLP behind 4 bytes of length"},
	{"output", NULL, SETTING_TEXT, "-", "1", "4095", "file",
	 "where to; -: standard output"},
	CLIENT_ARGS_OPTIONS,
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "fetch",
	.operands = "ENODE",
	.operands_min = 1,
	.operands_max = 1,
	.summary =
		"Fetches history from a mail server and writes each "
		"envelope once. Ends with 0 when\nall of it came, and with 3 "
		"when the server wants to be paid first.",
	.options = options,
};

struct fetching {
	struct client_args client;
	struct client_fetch fetch;
	struct topic *topics;
	struct dump_writer writer;
	struct progress progress;
};

static int on_envelope(void *ctx, const struct envelope *env,
		       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct fetching *f = ctx;

	return dump_write(&f->writer, env, hash);
}

static void on_tick(void *ctx)
{
	struct fetching *f = ctx;
	char size[PROGRESS_SIZE_MAX], text[96];

	progress_size((double)f->fetch.bytes, size);
	(void)snprintf(text, sizeof(text), "%llu envelopes, %s",
		       (unsigned long long)f->fetch.envelopes, size);
	progress_show(&f->progress, f->fetch.done, text);
}

static int read_time(const char *flag, const char *text, uint32_t *out)
{
	if (when_decode(text, clock_wall_s(), out) == 0)
		return EXIT_OK;
	client_args_complain(&usage, "--%s: '%s' is no time; wanted: %s", flag,
			     text, WHEN_TEXT);
	return EXIT_USAGE;
}

static int read_range(const struct settings *s, struct client_fetch *fetch)
{
	const char *to = settings_text(s, "to");
	int status;

	status = read_time("from", settings_text(s, "from"), &fetch->lower_s);
	fetch->upper_s = clock_wall_s() + AHEAD_S;
	if (status == EXIT_OK && *to)
		status = read_time("to", to, &fetch->upper_s);
	if (status == EXIT_OK && fetch->upper_s < fetch->lower_s) {
		client_args_complain(&usage, "--to lies before --from");
		status = EXIT_USAGE;
	}
	return status;
}

static int read_hex(const char *flag, const char *text, uint8_t *out,
		    size_t len, bool *is_given)
{
	*is_given = *text != '\0';
	if (!*is_given || hex_decode(text, strlen(text), out, len) == 0)
		return EXIT_OK;
	client_args_complain(&usage, "--%s: wanted: %zu hex digits", flag,
			     2 * len);
	return EXIT_USAGE;
}

static int read_selection(const struct args *args, struct fetching *f)
{
	const struct settings *s = args->options;
	struct client_fetch *fetch = &f->fetch;
	int status;

	status = client_args_topics(&usage, args, &f->topics,
				    &fetch->topics_count);
	fetch->topics = f->topics;
	if (status == EXIT_OK)
		status = read_hex("bloom", settings_text(s, "bloom"),
				  fetch->bloom.bits, BLOOM_SIZE,
				  &fetch->has_bloom);
	if (status == EXIT_OK)
		status = read_hex("cursor", settings_text(s, "cursor"),
				  fetch->cursor, ENVELOPE_KEY_SIZE,
				  &fetch->has_cursor);
	if (status == EXIT_OK && fetch->has_bloom && fetch->topics_count > 0) {
		client_args_complain(&usage,
				     "--topic and --bloom do not go together");
		status = EXIT_USAGE;
	}
	return status;
}

static int read_jobs(const struct args *args, struct fetching *f)
{
	struct client_config *config = &f->client.config;

	config->connections = (unsigned)settings_u64(args->options, "jobs");
	if (config->connections == 1)
		return EXIT_OK;
	if (config->key || f->fetch.limit > 0 || f->fetch.has_cursor) {
		client_args_complain(&usage,
				     "--jobs means connections with keys of "
				     "their own and all of a range: leave out "
				     "--nodekey, --limit and --cursor");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int read_options(const struct args *args, struct fetching *f)
{
	const struct settings *s = args->options;
	struct client_fetch *fetch = &f->fetch;
	int status;

	status = client_args_read(&usage, args, args->operands[0], &f->client);
	if (status == EXIT_OK)
		status = read_range(s, fetch);
	if (status == EXIT_OK)
		status = read_selection(args, f);
	fetch->limit = settings_u64(s, "limit");
	fetch->page = (uint32_t)settings_u64(s, "page");
	fetch->form = (enum client_form)settings_word(s, "form");
	if (status == EXIT_OK)
		status = read_jobs(args, f);
	if (status == EXIT_OK && fetch->form == CLIENT_SEALED)
		status = client_args_password(&usage, args, fetch->key);
	return status;
}

static void print_json(const struct fetching *f, bool is_complete)
{
	const struct client_fetch *fetch = &f->fetch;
	char next[2 * ENVELOPE_KEY_SIZE + 1] = "";

	if (fetch->has_more)
		hex_encode(fetch->next, sizeof(fetch->next), next);
	(void)fprintf(stderr,
		      "{\"complete\":%s,\"envelopes\":%llu,\"bytes\":%llu,"
		      "\"pages\":%llu,\"retries\":%llu,\"passed_over\":%llu,"
		      "\"seconds\":%.3f,\"cursor\":\"%s\"}\n",
		      is_complete ? "true" : "false",
		      (unsigned long long)fetch->envelopes,
		      (unsigned long long)fetch->bytes,
		      (unsigned long long)fetch->pages,
		      (unsigned long long)fetch->retries,
		      (unsigned long long)fetch->passed_over,
		      progress_seconds(&f->progress), next);
}

static void print_summary(const struct fetching *f, bool is_complete)
{
	const struct client_fetch *fetch = &f->fetch;
	double seconds = progress_seconds(&f->progress);
	char size[PROGRESS_SIZE_MAX], next[2 * ENVELOPE_KEY_SIZE + 1];

	progress_size((double)fetch->bytes, size);
	(void)fprintf(stderr,
		      "%s: %llu envelopes, %s, %llu pages in %.2f s (%.0f/s)\n",
		      is_complete ? "complete" : "incomplete",
		      (unsigned long long)fetch->envelopes, size,
		      (unsigned long long)fetch->pages, seconds,
		      (double)fetch->envelopes / (seconds > 0 ? seconds : 1));
	if (fetch->passed_over > 0)
		(void)fprintf(stderr,
			      "%llu envelopes nobody had asked for were passed "
			      "over\n",
			      (unsigned long long)fetch->passed_over);
	if (fetch->has_more) {
		hex_encode(fetch->next, sizeof(fetch->next), next);
		(void)fprintf(stderr,
			      "the limit was reached; go on with "
			      "--cursor %s\n",
			      next);
	}
}

static int run(struct fetching *f)
{
	char why[CLIENT_WHY_MAX], note[DUMP_WHY_MAX];
	int err, write_err;

	f->fetch.envelope = on_envelope;
	f->client.config.tick = on_tick;
	f->client.config.ctx = f;
	progress_start(&f->progress, "fetch");
	err = client_fetch(&f->client.config, &f->fetch, why);
	progress_end(&f->progress);
	write_err = dump_finish(&f->writer, err == 0, note);
	if (err)
		client_args_complain(&usage, "%s", why);
	else if (write_err)
		client_args_complain(&usage, "writing failed: %s",
				     err_system(errno));
	if (*note)
		client_args_complain(&usage, "%s", note);
	if (f->client.is_json)
		print_json(f, !err && !write_err);
	else
		print_summary(f, !err && !write_err);
	if (f->fetch.wants_payment && !write_err)
		return EXIT_PAYMENT;
	return err || write_err ? EXIT_FAILED : EXIT_OK;
}

int cmd_fetch(int argc, char **argv)
{
	struct fetching f = {0};
	struct args args;
	const char *output;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	output = settings_text(args.options, "output");
	status = read_options(&args, &f);
	if (status == EXIT_OK && dump_create(&f.writer, output,
					     (enum dump_format)settings_word(
						     args.options, "format"))) {
		client_args_complain(&usage, "%s: %s", output,
				     err_system(errno));
		status = EXIT_FAILED;
	}
	if (status == EXIT_OK)
		status = run(&f);
	free(f.topics);
	client_args_release(&f.client);
	args_release(&args);
	return status;
}
