#include "core/settings.h"

#include <string.h>

#include "core/settings_store.h"

#define NAME_CHARS 64

/* ---- the nearest name ---- */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits (insert, drop, change) that turn one name into the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_CHARS + 1];
	size_t len = strnlen(b, NAME_CHARS);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 0; i < NAME_CHARS && a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= len; j++) {
			unsigned change = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			row[j] = least(change, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[len];
}

const char *settings_nearest(const struct setting *table, const char *name)
{
	unsigned best = (unsigned)strnlen(name, NAME_CHARS) / 3 + 1;
	const char *nearest = NULL;

	for (; table->name; table++) {
		unsigned by_name = distance(name, table->name);
		unsigned by_flag =
			table->flag ? distance(name, table->flag) : by_name;

		if (least(by_name, by_flag) > best)
			continue;
		best = least(by_name, by_flag);
		nearest = by_flag < by_name ? table->flag : table->name;
	}
	return nearest;
}

/* ---- the table with its values ---- */

static const char *shown(const struct setting_entry *entry)
{
	if (entry->row->kind == SETTING_SECRET && *entry->text)
		return "(secret)";
	return *entry->text ? entry->text : "\"\"";
}

void settings_print(const struct settings *s, FILE *out)
{
	char origin[256];

	for (size_t i = 0; i < s->count; i++) {
		const struct setting_entry *entry = &s->entries[i];

		settings_origin_text(&entry->origin, origin, sizeof(origin));
		(void)fprintf(out, "%-28s %-24s %s\n", entry->path,
			      shown(entry), origin);
	}
}

/* ---- help ---- */

/* What stands for the value of an option: "--jobs CONNECTIONS". */
static void value_name(const struct setting *row, char *out, size_t cap)
{
	size_t len = 0;

	if (row->kind == SETTING_BOOL) {
		*out = '\0';
		return;
	}
	(void)snprintf(out, cap, " ");
	if (row->kind == SETTING_WORD)
		(void)snprintf(out, cap, " %s", row->unit);
	else if (row->kind == SETTING_BYTES)
		(void)snprintf(out, cap, " SIZE");
	else if (row->kind == SETTING_DURATION)
		(void)snprintf(out, cap, " TIME");
	else
		(void)snprintf(out, cap, " %s",
			       row->unit && *row->unit ? row->unit : "VALUE");
	for (len = 0; row->kind != SETTING_WORD && out[len]; len++) {
		if (out[len] >= 'a' && out[len] <= 'z')
			out[len] = (char)(out[len] - 'a' + 'A');
		if (out[len] == ' ' && len > 0)
			out[len] = '-';
	}
}

static bool is_list(const char *name)
{
	size_t len = strlen(name);

	return len > 2 && strcmp(name + len - 2, "[]") == 0;
}

static bool is_in_record(const char *name)
{
	return strchr(name, '*') || strstr(name, "[].");
}

/* Bounds worth telling: the length of a text is not, unless it is exact. */
static bool has_telling_bounds(const struct setting *row)
{
	if (row->kind == SETTING_TEXT || row->kind == SETTING_SECRET)
		return row->min && row->max && strcmp(row->min, row->max) == 0;
	return row->kind != SETTING_BOOL && (row->min || row->max);
}

static void print_row_details(const struct setting *row, FILE *out)
{
	char allowed[160];

	setting_value_allowed(row, allowed, sizeof(allowed));
	(void)fprintf(out, "      %s", row->help);
	if (is_list(row->name))
		(void)fprintf(out, "; several, with commas between or given "
				   "again");
	if (row->kind != SETTING_WORD && has_telling_bounds(row))
		(void)fprintf(out, "; %s", allowed);
	if (!row->value && !is_list(row->name))
		(void)fprintf(out, " (required)");
	else if (row->value && *row->value && row->kind != SETTING_SECRET &&
		 !(row->kind == SETTING_BOOL &&
		   strcmp(row->value, "false") == 0))
		(void)fprintf(out, " (default %s)", row->value);
	(void)fputc('\n', out);
}

void settings_print_help(const struct setting *table, FILE *out)
{
	char value[80];

	for (; table->name; table++) {
		const char *name = table->name;
		int name_len = (int)strlen(name) - (is_list(name) ? 2 : 0);

		value_name(table, value, sizeof(value));
		if (is_in_record(name))
			(void)fprintf(out, "  %s (in the file)\n", name);
		else if (table->flag)
			(void)fprintf(out, "  --%s%s, --%.*s%s\n", table->flag,
				      value, name_len, name, value);
		else
			(void)fprintf(out, "  --%.*s%s\n", name_len, name,
				      value);
		print_row_details(table, out);
	}
}

/* ---- an example file ---- */

/* Open the section of a name unless it is open; returns what follows it. */
static const char *enter_section(const char *name, char section[static 64],
				 FILE *out)
{
	const char *dot = strchr(name, '.');
	char own[64] = "";

	if (dot)
		(void)snprintf(own, sizeof(own), "%.*s", (int)(dot - name),
			       name);
	if (strcmp(own, section) != 0)
		(void)fprintf(out, "\n%s:\n", own);
	memcpy(section, own, sizeof(own));
	return dot ? dot + 1 : name;
}

static void print_example_row(const struct setting *row, const char *name,
			      const char *indent, FILE *out)
{
	const char *quote =
		row->kind == SETTING_TEXT || row->kind == SETTING_SECRET ? "\""
									 : "";
	char allowed[160];

	setting_value_allowed(row, allowed, sizeof(allowed));
	if (row->kind == SETTING_WORD || has_telling_bounds(row))
		(void)fprintf(out, "%s# %s (%s)\n", indent, row->help, allowed);
	else
		(void)fprintf(out, "%s# %s\n", indent, row->help);
	if (is_list(name))
		(void)fprintf(out, "%s#%.*s: []\n", indent,
			      (int)strlen(name) - 2, name);
	else
		(void)fprintf(out, "%s#%s: %s%s%s\n", indent, name, quote,
			      row->value ? row->value : "", quote);
}

void settings_print_example(const struct setting *table, FILE *out)
{
	char section[64] = "";

	for (; table->name; table++) {
		const char *name;

		if (is_in_record(table->name))
			continue;
		name = enter_section(table->name, section, out);
		print_example_row(table, name, *section ? "  " : "", out);
	}
}
