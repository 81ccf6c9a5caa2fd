#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/dump.h"
#include "app/progress.h"
#include "app/store.h"
#include "app/when.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/rlp.h"

#define STEP_BYTES (4u << 20)

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "data folder of the server, which must not be running"},
	{"topic[]", NULL, SETTING_TEXT, "", NULL, "8", "hex",
	 "topic to export, 8 hex digits; none: every topic"},
	{"from", NULL, SETTING_TEXT, "0", "1", "40", "time",
	 "oldest time: " WHEN_TEXT},
	{"to", NULL, SETTING_TEXT, "", NULL, "40", "time",
	 "newest time; empty: no bound"},
	{"format", NULL, SETTING_WORD, "json", NULL, NULL, "json|binary",
	 "of the output: a JSON object a line, or RLP behind 4 bytes of length"},
	{"output", NULL, SETTING_TEXT, "-", "1", "4095", "file",
	 "where to; -: standard output"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "export",
	.summary = "Writes the envelopes of an archive, oldest first. The "
		   "server must not be running;\nfrom one that runs `restante "
		   "fetch` takes them.",
	.options = options,
};

struct exporting {
	struct archive *archive;
	struct archive_query query;
	struct topic *topics;
	uint8_t *buffer;
	struct dump_writer writer;
	struct progress progress;
	uint64_t total;
	char why[STORE_WHY_MAX];
};

static int write_step(struct exporting *e, const struct archive_step *step)
{
	size_t at = 0;
	int err = 0;

	while (at < step->out_size && !err) {
		uint8_t hash[ENVELOPE_HASH_SIZE];
		struct envelope env;
		size_t size;

		err = rlp_item_size(step->out + at, step->out_size - at, &size);
		if (!err)
			err = envelope_decode(step->out + at, size, &env);
		if (err)
			return ERR_CORRUPT;
		envelope_hash(&env, hash);
		err = dump_write(&e->writer, &env, hash);
		at += size;
	}
	return err;
}

static void show(struct exporting *e)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%llu of %llu envelopes",
		       (unsigned long long)e->writer.count,
		       (unsigned long long)e->total);
	progress_show(&e->progress,
		      e->total ? (double)e->writer.count / (double)e->total : 1,
		      text);
}

static int copy_all(struct exporting *e)
{
	struct archive_step step = {.query = &e->query};

	do {
		int err;

		step.limit = UINT32_MAX;
		step.out = e->buffer;
		step.out_max = STEP_BYTES;
		err = archive_read_now(e->archive, &step);
		if (!err)
			err = write_step(e, &step);
		if (err)
			return err;
		if (step.has_last) {
			step.has_cursor = true;
			memcpy(step.cursor, step.last, sizeof(step.cursor));
		}
		show(e);
	} while (step.stop != ARCHIVE_STOP_END && !client_args_stop);
	return client_args_stop ? ERR_CLOSED : 0;
}

static int read_options(const struct args *args, struct exporting *e)
{
	const struct settings *s = args->options;
	const char *to = settings_text(s, "to");
	int status = client_args_topics(&usage, args, &e->topics,
					&e->query.topics_count);

	e->query.topics = e->topics;
	e->query.order = ARCHIVE_OLDEST_FIRST;
	e->query.upper_s = UINT32_MAX;
	if (status != EXIT_OK)
		return status;
	if (when_decode(settings_text(s, "from"), clock_wall_s(),
			&e->query.lower_s) ||
	    (*to && when_decode(to, clock_wall_s(), &e->query.upper_s))) {
		client_args_complain(&usage, "--from, --to: wanted: %s",
				     WHEN_TEXT);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int open_all(const struct args *args, struct exporting *e)
{
	const struct settings *s = args->options;
	const char *output = settings_text(s, "output");
	struct archive_health health;

	e->buffer = malloc(STEP_BYTES);
	if (!e->buffer)
		return EXIT_FAILED;
	if (store_open(settings_text(s, "datadir"), false, &e->archive,
		       e->why)) {
		client_args_complain(&usage, "%s", e->why);
		return EXIT_FAILED;
	}
	if (dump_create(&e->writer, output,
			(enum dump_format)settings_word(s, "format"))) {
		client_args_complain(&usage, "%s: %s", output,
				     err_system(errno));
		return EXIT_FAILED;
	}
	archive_health(e->archive, &health);
	e->total = health.envelopes;
	return EXIT_OK;
}

static int run(struct exporting *e)
{
	char note[DUMP_WHY_MAX];
	uint64_t count;
	int err, write_err;

	struct archive_health health;

	client_args_signals();
	progress_start(&e->progress, "export");
	err = copy_all(e);
	progress_end(&e->progress);
	archive_health(e->archive, &health);
	/* The rest is kept, and is all there is the next time. */
	if (!err && health.slices_quarantined > 0)
		err = ERR_CORRUPT;
	count = e->writer.count;
	write_err = dump_finish(&e->writer, err == 0, note);
	if (err || write_err)
		client_args_complain(&usage, "%s",
				     err_str(err ? err : write_err));
	if (*note)
		client_args_complain(&usage, "%s", note);
	(void)fprintf(stderr, "%s: %llu envelopes in %.2f s\n",
		      err || write_err ? "incomplete" : "complete",
		      (unsigned long long)count,
		      progress_seconds(&e->progress));
	return err || write_err ? EXIT_FAILED : EXIT_OK;
}

int cmd_export(int argc, char **argv)
{
	struct exporting e = {0};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = read_options(&args, &e);
	if (status == EXIT_OK)
		status = open_all(&args, &e);
	if (status == EXIT_OK)
		status = run(&e);
	archive_close(e.archive);
	free(e.buffer);
	free(e.topics);
	args_release(&args);
	return status;
}
