#include "bench/loaded.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/bench.h"

#define LINE_MAX_BYTES 8192

static void text(const json_t *line, const char *key, char *out, size_t size)
{
	const char *value = json_string_value(json_object_get(line, key));

	(void)snprintf(out, size, "%s", value ? value : "");
}
#define TEXT(line, key, array) text(line, key, array, sizeof(array))

static double number(const json_t *line, const char *key)
{
	return json_number_value(json_object_get(line, key));
}

static void *grow(void *list, size_t count, size_t size)
{
	/* Doubled whenever the count is a power of two. */
	if ((count & (count - 1)) != 0)
		return list;
	list = realloc(list, (count ? count * 2 : 1) * size);
	if (!list)
		bench_fail("no memory");
	return list;
}

static void take_result(struct loaded_file *file, const json_t *line)
{
	struct loaded *r;

	file->results =
		grow(file->results, file->count, sizeof(*file->results));
	r = &file->results[file->count++];
	TEXT(line, "scenario", r->scenario);
	TEXT(line, "work", r->work);
	TEXT(line, "who", r->who);
	TEXT(line, "metric", r->metric);
	TEXT(line, "unit", r->unit);
	TEXT(line, "curve", r->curve);
	TEXT(line, "axis", r->axis);
	r->more_is_better = json_is_true(json_object_get(line, "more_is_"
							       "better"));
	r->median = number(line, "median");
	r->min = number(line, "min");
	r->max = number(line, "max");
	r->x = number(line, "x");
	r->rounds = (unsigned)json_array_size(json_object_get(line, "rounds"));
}

static void take_latency(struct loaded_file *file, const json_t *line)
{
	struct loaded_latency *l;

	file->latencies = grow(file->latencies, file->latencies_count,
			       sizeof(*file->latencies));
	l = &file->latencies[file->latencies_count++];
	TEXT(line, "scenario", l->scenario);
	TEXT(line, "work", l->work);
	TEXT(line, "who", l->who);
	l->count = number(line, "count");
	l->p50 = number(line, "p50_us");
	l->p90 = number(line, "p90_us");
	l->p99 = number(line, "p99_us");
	l->p999 = number(line, "p99.9_us");
	l->max = number(line, "max_us");
}

static void take_note(struct loaded_file *file, const json_t *line)
{
	struct loaded_note *note;

	file->notes =
		grow(file->notes, file->notes_count, sizeof(*file->notes));
	note = &file->notes[file->notes_count++];
	TEXT(line, "scenario", note->scenario);
	TEXT(line, "who", note->who);
	TEXT(line, "text", note->text);
}

static void take_machine(struct loaded_machine *machine, const json_t *line)
{
	if (machine->when[0])
		return;
	TEXT(line, "when", machine->when);
	TEXT(line, "processor", machine->processor);
	TEXT(line, "kernel", machine->kernel);
	TEXT(line, "commit", machine->commit);
	machine->cores = number(line, "cores");
	machine->memory_bytes = number(line, "memory_bytes");
	machine->keccak_width = number(line, "keccak_width");
}

static void take_line(struct loaded_file *file, const char *line)
{
	json_t *json = json_loads(line, 0, NULL);
	char kind[LOADED_TEXT];

	TEXT(json, "kind", kind);
	if (strcmp(kind, "result") == 0)
		take_result(file, json);
	else if (strcmp(kind, "latency") == 0)
		take_latency(file, json);
	else if (strcmp(kind, "note") == 0)
		take_note(file, json);
	else if (strcmp(kind, "machine") == 0)
		take_machine(&file->machine, json);
	json_decref(json);
}

void loaded_read(struct loaded_file *file, const char *path)
{
	char whole[BENCH_PATH_MAX], line[LINE_MAX_BYTES];
	struct stat st;
	FILE *in;

	memset(file, 0, sizeof(*file));
	(void)snprintf(whole, sizeof(whole), "%s%s", path,
		       stat(path, &st) == 0 && S_ISDIR(st.st_mode)
			       ? "/results.jsonl"
			       : "");
	in = fopen(whole, "r");
	if (!in)
		bench_fail("%s: %s", whole, strerror(errno));
	while (fgets(line, sizeof(line), in))
		take_line(file, line);
	(void)fclose(in);
	if (file->count == 0)
		bench_fail("%s: there are no results in it", whole);
}

void loaded_free(struct loaded_file *file)
{
	free(file->results);
	free(file->notes);
	free(file->latencies);
}

/* Servers, as we are; not what is called in our own process. */
static bool is_rival(const char *who)
{
	return strcmp(who, "restante") != 0 && strcmp(who, "limit") != 0 &&
	       strcmp(who, "target") != 0 && strncmp(who, "lmdb", 4) != 0;
}

static bool is_better(const struct loaded *a, const struct loaded *b)
{
	return !b || (a->more_is_better ? a->median > b->median
					: a->median < b->median);
}

const struct loaded *loaded_find(const struct loaded_file *file,
				 const char *scenario, const char *work,
				 const char *who, const char *metric)
{
	const struct loaded *found = NULL;

	for (size_t i = 0; i < file->count; i++) {
		const struct loaded *r = &file->results[i];

		if (strcmp(r->scenario, scenario) != 0 ||
		    strcmp(r->work, work) != 0 ||
		    strcmp(r->metric, metric) != 0)
			continue;
		if (who ? strcmp(r->who, who) == 0
			: is_rival(r->who) && is_better(r, found))
			found = r;
	}
	return found;
}
