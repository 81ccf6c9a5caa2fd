#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "bench/result.h"

static char folder[] = "/tmp/test-report-XXXXXX";

static void make_folder(void)
{
	cr_assert(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
	bench_remove(folder);
}

TestSuite(report, .init = make_folder, .fini = remove_folder);

static FILE *begin(const char *name, char path[static 64])
{
	FILE *out;

	(void)snprintf(path, 64, "%s/%s", folder, name);
	out = fopen(path, "w");
	cr_assert(out != NULL);
	result_open(out, true);
	result_machine(folder);
	return out;
}

static void put(const char *who, const char *metric, const double *values,
		unsigned count)
{
	struct series series = {0};
	const struct result result = {.scenario = "rivals",
				      .work = "durable ingest",
				      .who = who,
				      .metric = metric,
				      .unit = "envelopes/s",
				      .more_is_better = true,
				      .series = &series};

	for (unsigned i = 0; i < count; i++)
		series_add(&series, values[i]);
	result_put(&result);
}

/* Returns what changed from the rounds of one run to those of another. */
static unsigned compare(const double *before, const double *after,
			unsigned count)
{
	char a[64], b[64];
	FILE *out = begin("before.jsonl", a);

	put("restante", "rate", before, count);
	(void)fclose(out);
	out = begin("after.jsonl", b);
	put("restante", "rate", after, count);
	(void)fclose(out);
	return report_compare(a, b);
}

Test(report, rounds_that_meet_are_no_change)
{
	static const double before[] = {100, 110, 120};
	static const double after[] = {119, 130, 140};

	cr_assert(compare(before, after, 3) == 0);
}

Test(report, rounds_that_lie_apart_are_a_change_either_way)
{
	static const double before[] = {100, 110, 120};
	static const double after[] = {121, 130, 140};

	cr_assert(compare(before, after, 3) == 1);
	cr_assert(compare(after, before, 3) == 1);
}

Test(report, apart_by_a_hair_is_no_change)
{
	static const double before[] = {100.0, 100.1, 100.2};
	static const double after[] = {101.0, 101.1, 101.2};

	cr_assert(compare(before, after, 3) == 0);
}

Test(report, one_round_has_no_noise_to_go_by)
{
	static const double before[] = {100};
	static const double after[] = {200};

	cr_assert(compare(before, after, 1) == 0);
}

/* The last line of a file. */
static void last_line(const char *path, char *line, int size)
{
	char next[512];
	FILE *in = fopen(path, "r");

	cr_assert(in != NULL);
	line[0] = '\0';
	while (fgets(next, sizeof(next), in))
		(void)snprintf(line, (size_t)size, "%s", next);
	(void)fclose(in);
}

Test(report, it_ends_with_the_table_of_ours_rival_and_ratio)
{
	static const double ours[] = {300}, redis[] = {150}, pg[] = {100};
	char path[64], line[512];
	FILE *out = begin("results.jsonl", path);

	put("restante", "rate", ours, 1);
	put("redis", "rate", redis, 1);
	put("postgresql", "rate", pg, 1);
	(void)fclose(out);
	report_write(folder);
	(void)snprintf(path, sizeof(path), "%s/report.md", folder);
	last_line(path, line, sizeof(line));
	cr_assert(strstr(line, "| durable ingest") == line);
	cr_assert(strstr(line, " 300 | 150 | redis |") != NULL);
	cr_assert(strstr(line, " 2.00 |") != NULL);
}

Test(report, times_of_a_run_are_listed)
{
	static const double ours[] = {300};
	struct histogram *times = calloc(1, sizeof(*times));
	char path[64], line[512];
	bool is_there = false;
	FILE *out = begin("results.jsonl", path);

	cr_assert(times != NULL);
	for (unsigned i = 1; i <= 1000; i++)
		histogram_add(times, i * 1000);
	put("restante", "rate", ours, 1);
	result_latency("rivals", "durable ingest", "restante", times);
	(void)fclose(out);
	free(times);
	report_write(folder);
	(void)snprintf(path, sizeof(path), "%s/report.md", folder);
	out = fopen(path, "r");
	cr_assert(out != NULL);
	while (fgets(line, sizeof(line), out))
		is_there = is_there ||
			   strstr(line, "| rivals | durable ingest | restante "
					"| 1000 |") == line;
	(void)fclose(out);
	cr_assert(is_there);
}
