#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client_args.h"
#include "app/command.h"
#include "app/dump.h"
#include "app/progress.h"
#include "app/store.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/mailbox.h"

#define BATCH_ITEMS 512
#define BATCH_BYTES (1u << 20)
#define BATCHES     16
#define BAD_SHOWN   10
#define AHEAD_S     3600 /* later than this from now is nonsense */

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "data folder of the server, which must not be running"},
	{"keep-going", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "pass over records that are no envelopes instead of ending"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "import",
	.operands = "[FILE]",
	.operands_max = 1,
	.summary =
		"Puts the envelopes of FILE (or standard input) into an "
		"archive: JSON lines, of which\n\"rlp\" alone is needed, or "
		"binary, as export and fetch write them. Each is verified; "
		"\nthose that are there already are left alone, so it may be "
		"repeated. The server\nmust not be running.",
	.options = options,
};

struct import_batch {
	struct letter letter;
	struct archive_batch batch;
	struct importing *owner;
	struct import_batch *next_free;
	uint32_t count;
	size_t size;
	struct archive_item items[BATCH_ITEMS];
	uint8_t bytes[BATCH_BYTES];
};

struct importing {
	struct archive *archive;
	struct dump_reader reader;
	struct mailbox done;
	struct import_batch *batches;
	struct import_batch *idle;
	unsigned busy;
	bool keeps_going;
	struct progress progress;
	uint64_t read, taken, stored, bad;
	int err; /* of a batch */
};

/* Writer thread. */
static void on_done(struct archive_batch *batch)
{
	struct import_batch *b = batch->owner;

	mailbox_put_always(&b->owner->done, &b->letter);
}

static void show(struct importing *im)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "%llu read, %llu new",
		       (unsigned long long)im->read,
		       (unsigned long long)im->stored);
	progress_show(&im->progress, -1, text);
}

static void collect(struct importing *im)
{
	struct letter *letter;

	mailbox_wait(&im->done, 100);
	letter = mailbox_take_all(&im->done);
	while (letter) {
		struct import_batch *b = (struct import_batch *)letter;

		letter = letter->next;
		im->stored += b->batch.stored;
		im->taken += b->batch.err ? 0 : b->count;
		if (b->batch.err && !im->err)
			im->err = b->batch.err;
		im->busy--;
		b->next_free = im->idle;
		im->idle = b;
	}
	show(im);
}

static struct import_batch *take_batch(struct importing *im)
{
	struct import_batch *b;

	while (!im->idle)
		collect(im);
	b = im->idle;
	im->idle = b->next_free;
	b->count = 0;
	b->size = 0;
	return b;
}

static int give_batch(struct importing *im, struct import_batch *b)
{
	int err;

	b->batch = (struct archive_batch){.items = b->items,
					  .count = b->count,
					  .done = on_done,
					  .owner = b};
	im->busy++;
	while ((err = archive_put(im->archive, &b->batch)) == ERR_FULL &&
	       im->busy > 1)
		collect(im);
	if (err) {
		im->busy--;
		b->next_free = im->idle;
		im->idle = b;
	}
	return err;
}

/* What is wrong with it, or NULL. */
static const char *check(const struct importing *im, const uint8_t *rlp,
			 size_t size, struct envelope *env, uint8_t *hash)
{
	if (envelope_decode(rlp, size, env))
		return "is no envelope";
	if (size > BATCH_BYTES)
		return "is larger than an envelope may be";
	if (envelope_sent(env) > clock_wall_s() + AHEAD_S)
		return "was sent in the future";
	envelope_hash(env, hash);
	if (im->reader.has_hash &&
	    memcmp(im->reader.hash, hash, ENVELOPE_HASH_SIZE) != 0)
		return "does not have the hash that stands beside it";
	return NULL;
}

static void add_item(struct import_batch *b, const struct envelope *env,
		     const uint8_t *hash)
{
	struct archive_item *item = &b->items[b->count++];

	memcpy(b->bytes + b->size, env->rlp, env->size);
	*item = (struct archive_item){.rlp = b->bytes + b->size,
				      .size = env->size,
				      .sent = envelope_sent(env),
				      .topic = env->topic};
	memcpy(item->hash, hash, sizeof(item->hash));
	b->size += env->size;
}

/* Returns false when the import ends here. */
static bool complain(struct importing *im, const char *what)
{
	im->bad++;
	if (im->bad <= BAD_SHOWN) {
		progress_end(&im->progress);
		client_args_complain(
			&usage, "%s: %s %llu %s", im->reader.path,
			im->reader.format == DUMP_JSON ? "line" : "record",
			(unsigned long long)im->reader.index, what);
	}
	return im->keeps_going;
}

static int copy_all(struct importing *im)
{
	struct import_batch *b = take_batch(im);
	int err = 0;

	while (!err && !im->err && !client_args_stop) {
		uint8_t hash[ENVELOPE_HASH_SIZE];
		struct envelope env;
		const uint8_t *rlp;
		const char *wrong;
		size_t size;

		err = dump_read(&im->reader, &rlp, &size);
		im->read += err <= 0;
		if (err == ERR_SYNTAX && im->reader.format == DUMP_JSON &&
		    complain(im, "is not understood")) {
			err = 0;
			continue;
		}
		if (err)
			break;
		wrong = check(im, rlp, size, &env, hash);
		if (wrong) {
			err = complain(im, wrong) ? 0 : ERR_SYNTAX;
			continue;
		}
		if (b->count == BATCH_ITEMS || b->size + size > BATCH_BYTES) {
			err = give_batch(im, b);
			b = take_batch(im);
		}
		if (!err)
			add_item(b, &env, hash);
	}
	/* What stands before a bad record is kept. */
	if (b->count > 0) {
		int put_err = give_batch(im, b);

		if (err >= 0)
			err = put_err;
	}
	return err > 0 ? 0 : err;
}

static int run(struct importing *im)
{
	int err;

	client_args_signals();
	progress_start(&im->progress, "import");
	err = copy_all(im);
	while (im->busy > 0)
		collect(im);
	if (!err)
		err = im->err;
	if (!err && client_args_stop)
		err = ERR_CLOSED;
	progress_end(&im->progress);
	if (err && *im->reader.why)
		client_args_complain(&usage, "%s", im->reader.why);
	else if (err)
		client_args_complain(&usage,
				     "%s; what was stored stays, the "
				     "import may be repeated",
				     err_str(err));
	(void)fprintf(
		stderr,
		"%llu read, %llu stored, %llu known before, %llu bad in "
		"%.2f s\n",
		(unsigned long long)im->read, (unsigned long long)im->stored,
		(unsigned long long)(im->taken - im->stored),
		(unsigned long long)im->bad, progress_seconds(&im->progress));
	return err || im->bad > 0 ? EXIT_FAILED : EXIT_OK;
}

static int prepare(const struct args *args, struct importing *im)
{
	char why[STORE_WHY_MAX];

	im->keeps_going = settings_bool(args->options, "keep-going");
	mailbox_init(&im->done, 0, NULL, NULL);
	im->batches = calloc(BATCHES, sizeof(*im->batches));
	if (!im->batches)
		return EXIT_FAILED;
	for (unsigned i = 0; i < BATCHES; i++) {
		im->batches[i].owner = im;
		im->batches[i].next_free = im->idle;
		im->idle = &im->batches[i];
	}
	if (dump_open(&im->reader,
		      args->operands_count ? args->operands[0] : "-")) {
		client_args_complain(&usage, "%s", im->reader.why);
		return EXIT_FAILED;
	}
	if (store_open(settings_text(args->options, "datadir"), true,
		       &im->archive, why)) {
		client_args_complain(&usage, "%s", why);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int cmd_import(int argc, char **argv)
{
	struct importing im = {0};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = prepare(&args, &im);
	if (status == EXIT_OK)
		status = run(&im);
	archive_close(im.archive);
	dump_close(&im.reader);
	free(im.batches);
	args_release(&args);
	return status;
}
