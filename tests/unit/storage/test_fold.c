#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/bytes.h"
#include "core/err.h"
#include "storage/shard.h"
#include "tests/support/tempdir.h"

/*
 * A shard without its thread: groups are committed and folded here, at times
 * that are made up. All envelopes are of a day that is over.
 */
#define DAY       86400u
#define START     (1700000000u - 1700000000u % DAY)
#define SIZE      500u
#define EACH      100u /* envelopes in a group */
#define TOPICS    50u
#define STEPS     20u
#define GROUPS    10u /* of a step */
#define QUIET_MS  5000u
#define SETTLE_MS 300000u

static char dir[TEMPDIR_MAX];
static struct shard_common common;
static struct shard shard;
static struct archive_item items[EACH];
static uint8_t bytes[EACH][SIZE];

static void make_shard(void)
{
	char why[256];

	tempdir_make(dir);
	archive_config_default(&common.config);
	common.dir = dir;
	common.config.map_bytes = 256u << 20;
	readers_init(&common.readers);
	cr_assert_eq(shard_open(&shard, &common, 0, why, sizeof(why)), 0);
}

static void remove_shard(void)
{
	shard_close(&shard);
	tempdir_remove(dir);
}

TestSuite(fold, .init = make_shard, .fini = remove_shard, .timeout = 120);

static struct slice *the_slice(void)
{
	const struct slice_list *list = atomic_load(&shard.list);

	cr_assert_eq(list->count, 1);
	return list->slices[0];
}

/* Envelopes `from` to from + EACH - 1, one a second. Returns those stored. */
static uint32_t put(uint32_t from)
{
	struct archive_batch batch = {.items = items, .count = EACH};
	struct archive_batch_state *state =
		calloc(1, sizeof(*state) + sizeof(state->parts[0]));
	struct batch_part *part = &state->parts[0];
	uint32_t index[EACH], stored;

	for (uint32_t i = 0; i < EACH; i++) {
		uint32_t number = from + i;

		memset(bytes[i], (int)number, SIZE);
		index[i] = i;
		items[i] = (struct archive_item){
			.rlp = bytes[i], .size = SIZE, .sent = START + number};
		be32_store(items[i].topic.bytes, number % TOPICS);
		for (uint64_t w = 0; w < 4; w++) {
			uint64_t word = XXH3_64bits_withSeed(&number,
							     sizeof(number), w);

			memcpy(items[i].hash + w * 8, &word, sizeof(word));
		}
	}
	state->batch = &batch;
	*part = (struct batch_part){
		.state = state, .index = index, .count = EACH};
	cr_assert_eq(group_commit(&shard, &part->letter), 0);
	stored = part->stored;
	free(state);
	return stored;
}

/* Fold as often as there is something, so long after the last put. */
static unsigned fold_after(uint64_t quiet_ms)
{
	const struct fold_time now = {.wall_s = START + 10 * DAY,
				      .mono_ms =
					      the_slice()->busy_ms + quiet_ms};
	unsigned folds = 0;

	while (fold_one(&shard, true, now))
		folds++;
	return folds;
}

/* Handed to the kernel by this process, which writes nothing else. */
static uint64_t written(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	char line[64];
	uint64_t out = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "wchar: ", 7) == 0)
			out = strtoull(line + 7, NULL, 10);
	cr_assert_eq(fclose(file), 0);
	cr_assert_gt(out, 0);
	return out;
}

/* A put, a pause and so on; what an envelope costs in bytes. */
static uint64_t fill(uint32_t groups, unsigned groups_a_step, uint64_t quiet_ms)
{
	uint64_t before = written();

	for (uint32_t i = 0; i < groups; i++) {
		cr_assert_eq(put(i * EACH), EACH);
		if ((i + 1) % groups_a_step == 0)
			fold_after(quiet_ms);
	}
	return (written() - before) / (groups * EACH);
}

Test(fold, an_idle_moment_between_groups_of_an_older_day_costs_nothing)
{
	uint64_t each = fill(STEPS * GROUPS, 1, 1);

	cr_log_info("%lu bytes each", (unsigned long)each);
	cr_assert_lt(each, 2 * SIZE);
}

Test(fold, steps_of_an_older_day_with_pauses_cost_a_bounded_number_of_bytes)
{
	uint64_t each = fill(STEPS * GROUPS, GROUPS, QUIET_MS);

	cr_log_info("%lu bytes each", (unsigned long)each);
	cr_assert_lt(each, 2 * SIZE + SIZE / 2);
	/* Each of them three times as large as the one before. */
	cr_assert_leq(the_slice()->runs_count, 4);
}

Test(fold, long_pauses_after_each_group_cost_a_bounded_number_of_bytes)
{
	uint64_t each = fill(STEPS * GROUPS, 1, SETTLE_MS);

	cr_log_info("%lu bytes each", (unsigned long)each);
	cr_assert_lt(each, 6 * SIZE);
	cr_assert_leq(the_slice()->runs_count, 3);
}

Test(fold, an_older_day_is_folded_when_it_was_quiet)
{
	for (uint32_t i = 0; i < 7; i++)
		cr_assert_eq(put(i * EACH), EACH);
	cr_assert_eq(fold_after(QUIET_MS - 1), 0);
	cr_assert_eq(the_slice()->runs_count, 7);
	cr_assert_eq(fold_after(QUIET_MS), 1);
	cr_assert_eq(the_slice()->runs_count, 1);
	/* A seventh is not worth writing all again, at first. */
	cr_assert_eq(put(7 * EACH), EACH);
	cr_assert_eq(fold_after(QUIET_MS), 0);
	cr_assert_eq(the_slice()->runs_count, 2);
	cr_assert_eq(fold_after(SETTLE_MS - 1), 0);
	cr_assert_eq(fold_after(SETTLE_MS), 1);
	cr_assert_eq(the_slice()->runs_count, 1);
}

Test(fold, what_an_older_day_knows_is_let_go_of_and_found_again)
{
	cr_assert_eq(put(0), EACH);
	fold_after(SETTLE_MS - 1);
	cr_assert(the_slice()->is_known_loaded);
	fold_after(SETTLE_MS);
	cr_assert_not(the_slice()->is_known_loaded);
	cr_assert(the_slice()->is_settled);
	cr_assert_eq(put(EACH / 2), EACH / 2);
	cr_assert_eq(put(0), 0);
	fold_after(SETTLE_MS);
	cr_assert_not(the_slice()->is_known_loaded);
	/* Also when nothing was new. */
	cr_assert_eq(put(0), 0);
	cr_assert(the_slice()->is_known_loaded);
	fold_after(SETTLE_MS);
	cr_assert_not(the_slice()->is_known_loaded);
}
