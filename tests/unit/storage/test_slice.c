#include "storage/slice.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"
#include "storage/slice_check.h"
#include "tests/support/tempdir.h"

#define COMMITS 40u
#define EACH    12u
#define SIZE    200u
#define ROUNDS  3000u

static char dir[TEMPDIR_MAX], path[TEMPDIR_MAX + 16];
static const struct slice_ident ident = {.shards = 1, .span_s = 86400};

static void make_dir(void)
{
	tempdir_make(dir);
	snprintf(path, sizeof(path), "%s/slice", dir);
}

static void remove_dir(void)
{
	tempdir_remove(dir);
}

TestSuite(slice, .init = make_dir, .fini = remove_dir);

static void commit(struct slice *slice, struct run_builder *b, uint32_t from)
{
	uint32_t id;
	uint8_t *at;
	size_t size;

	cr_assert_eq(run_builder_reset(b, EACH), 0);
	cr_assert_eq(slice_write_begin(slice), 0);
	cr_assert_eq(slice_write_chunk(slice, EACH * SIZE, &at, &id), 0);
	for (uint32_t i = 0; i < EACH; i++) {
		struct run_entry *entry = run_builder_add(b);

		memset(entry, 0, sizeof(*entry));
		memset(at + i * SIZE, (int)i, SIZE);
		be32_store(entry->key, from + i);
		be32_store(entry->topic.bytes, i % 5);
		entry->chunk = id;
		entry->offset = i * SIZE;
		entry->size = SIZE;
	}
	cr_assert_eq(run_builder_index(b), 0);
	size = run_builder_seal(b, 1, slice_value_min(slice));
	cr_assert_eq(slice_write_run(slice, 0, b, size), 0);
	cr_assert_eq(slice_write_end(slice), 0);
}

static struct slice *slice_make(void)
{
	struct slice *slice = NULL;
	struct run_builder b;

	run_builder_init(&b);
	cr_assert_eq(slice_open(path, &ident, 8u << 20, 16, true, &slice), 0);
	for (uint32_t i = 0; i < COMMITS; i++)
		commit(slice, &b, i * EACH);
	run_builder_release(&b);
	return slice;
}

static unsigned read_everything(struct slice *slice)
{
	struct slice_read read;
	struct run_view run;
	unsigned count = 0;
	int err = slice_read_begin(slice, &read);

	cr_assert_eq(err, 0);
	err = slice_read_run(&read, true, &run);
	while (!err) {
		for (uint32_t i = 0; i < run.header->count; i++) {
			const struct run_entry *entry = &run.entries[i];
			const uint8_t *at = slice_read_envelope(&read, entry);

			count += at && entry->size == SIZE &&
				 at[0] == at[SIZE - 1];
		}
		err = slice_read_run(&read, false, &run);
	}
	slice_read_end(&read);
	return count;
}

Test(slice, what_was_committed_is_there_after_opening_again)
{
	struct slice *slice = slice_make();

	cr_assert_eq(read_everything(slice), COMMITS * EACH);
	slice_close(slice);
	cr_assert_eq(slice_open(path, &ident, 8u << 20, 16, false, &slice), 0);
	cr_assert_eq(read_everything(slice), COMMITS * EACH);
	cr_assert_eq(slice->runs_count, COMMITS);
	cr_assert_eq(atomic_load(&slice->envelopes), COMMITS * EACH);
	slice_close(slice);
}

Test(slice, one_that_belongs_elsewhere_is_refused)
{
	struct slice_ident other = ident;
	struct slice *slice = slice_make();

	slice_close(slice);
	other.shard = 1;
	cr_assert_eq(slice_open(path, &other, 8u << 20, 16, false, &slice),
		     ERR_CORRUPT);
	other = ident;
	other.start_s = 86400;
	cr_assert_eq(slice_open(path, &other, 8u << 20, 16, false, &slice),
		     ERR_CORRUPT);
}

Test(slice, an_aborted_transaction_leaves_nothing)
{
	struct slice *slice = slice_make();
	uint32_t id;
	uint8_t *at;

	cr_assert_eq(slice_write_begin(slice), 0);
	cr_assert_eq(slice_write_chunk(slice, 100, &at, &id), 0);
	memset(at, 0, 100);
	slice_write_abort(slice);
	cr_assert_eq(read_everything(slice), COMMITS * EACH);
	slice_close(slice);
}

/* ---- damage ---- */

static uint8_t *load(size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;

	cr_assert_not_null(file);
	cr_assert_eq(fseek(file, 0, SEEK_END), 0);
	*size = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(*size);
	cr_assert_eq(fread(bytes, 1, *size, file), *size);
	(void)fclose(file);
	return bytes;
}

static void save(const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, size, file), size);
	(void)fclose(file);
}

static uint32_t random_below(uint32_t bound)
{
	static uint64_t state = 11;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((state >> 32) * bound >> 32);
}

/* A byte, a page header, a block of zeros, another page, or a short file. */
static void spoil(uint8_t *bytes, size_t *size)
{
	uint32_t pages = (uint32_t)(*size / 4096);
	size_t page = random_below(pages) * (size_t)4096;
	size_t other = random_below(pages) * (size_t)4096;

	switch (random_below(6)) {
	case 0:
		bytes[random_below((uint32_t)*size)] =
			(uint8_t)random_below(256);
		break;
	case 1:
	case 2:
		for (unsigned i = 0; i < 4; i++)
			bytes[page + random_below(64)] =
				(uint8_t)random_below(256);
		break;
	case 3:
		memset(bytes + page + random_below(8) * 512, 0, 512);
		break;
	case 4:
		memcpy(bytes + page, bytes + other, 4096);
		break;
	default:
		*size = random_below((uint32_t)*size);
		break;
	}
}

Test(slice, no_damage_brings_the_process_down, .timeout = 200)
{
	size_t whole, size;
	uint8_t *bytes, *copy;
	unsigned refused = 0;

	slice_close(slice_make());
	bytes = load(&whole);
	copy = malloc(whole);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct slice *slice;
		struct run_builder b;
		int err;

		memcpy(copy, bytes, whole);
		size = whole;
		for (unsigned n = 1 + random_below(3); n > 0 && size > 8192;
		     n--)
			spoil(copy, &size);
		save(copy, size);
		err = slice_open(path, &ident, 8u << 20, 16, false, &slice);
		if (err) {
			cr_assert(err == ERR_CORRUPT || err == ERR_NOTFOUND,
				  "%d", err);
			refused++;
			continue;
		}
		(void)read_everything(slice);
		run_builder_init(&b);
		commit(slice, &b, 5000);
		run_builder_release(&b);
		slice_close(slice);
	}
	cr_assert_gt(refused, ROUNDS / 10);
	cr_assert_lt(refused, ROUNDS);
	free(bytes);
	free(copy);
}

/* As `restante backup` does when it is killed. */
static void read_and_die(void)
{
	struct slice_read read;
	struct slice *slice;

	if (slice_open(path, &ident, 1u << 20, 8, false, &slice) ||
	    slice_read_begin(slice, &read))
		_exit(1);
	_exit(0);
}

Test(slice, a_reader_that_died_is_forgotten)
{
	struct run_builder b;
	struct slice *slice;
	int status;
	pid_t pid;

	run_builder_init(&b);
	cr_assert_eq(slice_open(path, &ident, 1u << 20, 8, true, &slice), 0);
	commit(slice, &b, 0);
	cr_assert_eq(slice_forget_dead(slice), 0);
	for (unsigned i = 0; i < 20; i++) { /* more than there is room for */
		pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0)
			read_and_die();
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
		cr_assert_eq(slice_forget_dead(slice), 1);
	}
	slice_close(slice);
	run_builder_release(&b);
}
