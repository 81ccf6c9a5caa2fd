/* The side that asks: what it sends, and answers as people read them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/admin.h"
#include "auth/jvalue.h"

#define COLUMNS_MAX 24
#define CELL_MAX    160

char *admin_body(const char *const *pairs)
{
	json_t *root = json_object();
	bool is_bad = !root;

	for (; pairs[0]; pairs += 2) {
		if (pairs[1] && *pairs[1])
			jvalue_put(root, pairs[0], json_string(pairs[1]),
				   &is_bad);
	}
	return jvalue_finish(root, is_bad);
}

static const char *const time_keys[] = {
	"expiry", "created", "updated", "received", "expiry_after",
	"at",     "since",   "oldest",  "newest",   NULL};

static bool is_time(const char *key)
{
	for (size_t i = 0; time_keys[i]; i++) {
		if (strcmp(time_keys[i], key) == 0)
			return true;
	}
	return false;
}

static void time_text(json_int_t at_s, char out[static CELL_MAX])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (at_s == 0)
		(void)snprintf(out, CELL_MAX, "-");
	else if (!gmtime_r(&at, &tm) ||
		 strftime(out, CELL_MAX, "%Y-%m-%d %H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, CELL_MAX, "?");
}

/* Nothing that a terminal would obey. */
static void tame(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || (unsigned char)*text == 0x7f)
			*text = '?';
	}
}

static void cell_text(const char *key, const json_t *value,
		      char out[static CELL_MAX])
{
	char *text;

	if (json_is_string(value)) {
		(void)snprintf(out, CELL_MAX, "%s", json_string_value(value));
	} else if (json_is_integer(value) && is_time(key)) {
		time_text(json_integer_value(value), out);
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		(void)snprintf(out, CELL_MAX, "%s", text ? text : "");
		free(text);
	}
	tame(out);
}

struct table {
	const char *keys[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX];
	size_t count;
};

/* The columns are those of the first row. */
static void measure(const json_t *rows, struct table *table)
{
	char cell[CELL_MAX];
	const char *key;
	json_t *value;
	json_t *row = json_array_get(rows, 0);
	size_t at;

	json_object_foreach(row, key, value)
	{
		if (table->count == COLUMNS_MAX)
			break;
		table->widths[table->count] = strlen(key);
		table->keys[table->count++] = key;
	}
	json_array_foreach(rows, at, row)
	{
		for (size_t i = 0; i < table->count; i++) {
			cell_text(table->keys[i],
				  json_object_get(row, table->keys[i]), cell);
			if (strlen(cell) > table->widths[i])
				table->widths[i] = strlen(cell);
		}
	}
}

static void print_table(const json_t *rows, const char *indent, FILE *out)
{
	struct table table = {.count = 0};
	char cell[CELL_MAX];
	json_t *row;
	size_t at;

	measure(rows, &table);
	(void)fputs(indent, out);
	for (size_t i = 0; i < table.count; i++)
		(void)fprintf(out, "%-*s  ", (int)table.widths[i],
			      table.keys[i]);
	(void)fputc('\n', out);
	json_array_foreach(rows, at, row)
	{
		(void)fputs(indent, out);
		for (size_t i = 0; i < table.count; i++) {
			cell_text(table.keys[i],
				  json_object_get(row, table.keys[i]), cell);
			(void)fprintf(out, "%-*s  ", (int)table.widths[i],
				      cell);
		}
		(void)fputc('\n', out);
	}
}

static bool is_rows(const json_t *value)
{
	return json_is_object(json_array_get(value, 0));
}

/* A line for each field; objects and tables in it come a step further in. */
static void print_object(json_t *root, const char *indent, FILE *out)
{
	char cell[CELL_MAX];
	const char *key;
	json_t *value;

	json_object_foreach(root, key, value)
	{
		if (is_rows(value)) {
			(void)fprintf(out, "%s%s:\n", indent, key);
			print_table(value, *indent ? "    " : "  ", out);
			continue;
		}
		if (json_is_object(value) && !*indent) {
			(void)fprintf(out, "%s:\n", key);
			print_object(value, "  ", out);
			continue;
		}
		cell_text(key, value, cell);
		(void)fprintf(out, "%s%-14s %s\n", indent, key, cell);
	}
}

void admin_print(const char *body, size_t size, FILE *out)
{
	json_t *root = json_loadb(body, size, JSON_DECODE_ANY, NULL);

	if (is_rows(root))
		print_table(root, "", out);
	else if (json_is_array(root))
		(void)fputs("none\n", out);
	else if (json_is_object(root))
		print_object(root, "", out);
	else
		(void)fwrite(body, 1, size, out);
	json_decref(root);
}
