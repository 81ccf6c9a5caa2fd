#include "core/settings.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/settings_store.h"

#define ENTRIES_MAX 8192
#define ERRORS_MAX  100
#define LIST_MAX    4096

/* ---- paths ---- */

bool settings_path_matches(const char *name, const char *path)
{
	while (*name) {
		if (*name == '*') {
			size_t len = strcspn(path, ".[");

			if (len == 0)
				return false;
			name++;
			path += len;
		} else if (name[0] == '[' && *path == '[') {
			path += 1 + strspn(path + 1, "0123456789");
			name++;
		} else if (*name++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

const struct setting *settings_row_of(const struct setting *table,
				      const char *path)
{
	for (; table->name; table++) {
		if (settings_path_matches(table->name, path))
			return table;
	}
	return NULL;
}

static const struct setting *list_row_of(const struct setting *table,
					 const char *path)
{
	char item[SETTINGS_PATH_MAX + 8];

	(void)snprintf(item, sizeof(item), "%s[0]", path);
	return settings_row_of(table, item);
}

/* Cut a name after the component that holds its n-th '.' or '['. */
static bool is_prefix_row(const char *name, const char *path)
{
	char head[SETTINGS_PATH_MAX];

	for (size_t i = 0; name[i] && i < sizeof(head); i++) {
		head[i] = '\0';
		if ((name[i] == '.' || name[i] == '[') && i > 0 &&
		    settings_path_matches(head, path))
			return true;
		head[i] = name[i];
	}
	return false;
}

bool settings_has_below(const struct setting *table, const char *path)
{
	for (; table->name; table++) {
		if (is_prefix_row(table->name, path))
			return true;
	}
	return false;
}

const struct setting *settings_row(const struct setting *table,
				   const char *name)
{
	const struct setting *row = settings_row_of(table, name);

	if (!row)
		row = list_row_of(table, name);
	for (; !row && table->name; table++) {
		if (table->flag && strcmp(table->flag, name) == 0)
			row = table;
	}
	return row;
}

/* ---- messages ---- */

void settings_origin_text(const struct setting_origin *origin, char *out,
			  size_t cap)
{
	const char *label = origin->label ? origin->label : "";

	switch (origin->layer) {
	case LAYER_DEFAULT:
		(void)snprintf(out, cap, "default");
		break;
	case LAYER_FILE:
		(void)snprintf(out, cap, "%s:%u", label, origin->line);
		break;
	case LAYER_ENV:
	case LAYER_FLAG:
		(void)snprintf(out, cap, "%s", label);
		break;
	}
}

static void add_error(struct settings *s, const char *text)
{
	char **grown;

	if (s->errors_count == s->errors_cap) {
		size_t cap = s->errors_cap ? s->errors_cap * 2 : 8;

		grown = realloc(s->errors, cap * sizeof(*grown));
		if (!grown)
			abort();
		s->errors = grown;
		s->errors_cap = cap;
	}
	s->errors[s->errors_count] = strdup(text);
	if (!s->errors[s->errors_count])
		abort();
	s->errors_count++;
}

void settings_complain(struct settings *s, const struct setting_origin *origin,
		       const char *format, ...)
{
	char text[1024];
	size_t len;
	va_list args;

	if (s->errors_count > ERRORS_MAX)
		return;
	if (s->errors_count == ERRORS_MAX) {
		add_error(s, "and more");
		return;
	}
	text[0] = '\0';
	if (origin->layer != LAYER_DEFAULT) {
		settings_origin_text(origin, text, 512);
		memcpy(text + strlen(text), ": ", 3);
	}
	len = strlen(text);
	va_start(args, format);
	(void)vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
	/* Names and values come from outside: keep the terminal whole. */
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	add_error(s, text);
}

size_t settings_errors_count(const struct settings *s)
{
	return s->errors_count;
}

const char *settings_error(const struct settings *s, size_t index)
{
	assert(index < s->errors_count);
	return s->errors[index];
}

/* ---- entries ---- */

static void entry_release(struct setting_entry *entry)
{
	char *label;

	memcpy(&label, &entry->origin.label, sizeof(label));
	free(entry->path);
	free(entry->text);
	free(label);
}

struct setting_entry *settings_find(const struct settings *s, const char *path)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->entries[i].path, path) == 0)
			return &s->entries[i];
	}
	return NULL;
}

static struct setting_entry *entry_new(struct settings *s)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct setting_entry *grown =
			realloc(s->entries, cap * sizeof(*grown));

		if (!grown)
			abort();
		s->entries = grown;
		s->cap = cap;
	}
	return &s->entries[s->count++];
}

static char *copy_text(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

static void entry_store(struct settings *s, const char *path,
			const struct setting *row, const char *text,
			const struct setting_value *value,
			const struct setting_origin *origin)
{
	struct setting_entry *entry = settings_find(s, path);
	struct setting_entry made = {
		.path = copy_text(path),
		.row = row,
		.text = copy_text(text),
		.value = *value,
		.origin = {.layer = origin->layer,
			   .label = origin->label ? copy_text(origin->label)
						  : NULL,
			   .line = origin->line},
	};

	if (entry)
		entry_release(entry);
	else
		entry = entry_new(s);
	*entry = made;
}

static bool is_same_origin(const struct setting_origin *a,
			   const struct setting_origin *b)
{
	return a->layer == b->layer && a->label && b->label &&
	       strcmp(a->label, b->label) == 0;
}

/* Twice in one file is a mistake; twice as a flag, the last one holds. */
static bool is_twice(struct settings *s, const char *path,
		     const struct setting_origin *origin)
{
	const struct setting_entry *entry = settings_find(s, path);

	if (!entry || origin->layer != LAYER_FILE ||
	    !is_same_origin(&entry->origin, origin))
		return false;
	settings_complain(s, origin, "%s: is set already on line %u", path,
			  entry->origin.line);
	return true;
}

/* A flag or a variable is named by its origin already. */
static void blame(struct settings *s, const char *path,
		  const struct setting_origin *origin, const char *why)
{
	bool is_named =
		origin->layer == LAYER_FLAG || origin->layer == LAYER_ENV;

	settings_complain(s, origin, "%s%s%s", is_named ? "" : path,
			  is_named ? "" : ": ", why);
}

static void refuse_unknown(struct settings *s, const char *name,
			   const struct setting_origin *origin)
{
	const char *near = settings_nearest(s->table, name);
	bool is_flag = origin->layer == LAYER_FLAG;
	char why[WHY_MAX];

	(void)snprintf(
		why, sizeof(why), "unknown %s%s%s%s%s",
		is_flag ? "option" : "setting", near ? "; did you mean " : "",
		near && is_flag ? "--" : "", near ? near : "", near ? "?" : "");
	blame(s, name, origin, why);
}

void settings_put(struct settings *s, const char *path, const char *text,
		  const struct setting_origin *origin)
{
	const struct setting *row = settings_row_of(s->table, path);
	struct setting_value value;
	char why[WHY_MAX];

	if (!row) {
		refuse_unknown(s, path, origin);
		return;
	}
	if (s->count >= ENTRIES_MAX) {
		blame(s, path, origin, "too many settings");
		return;
	}
	if (is_twice(s, path, origin))
		return;
	if (setting_value_parse(row, text, &value, why)) {
		blame(s, path, origin, why);
		return;
	}
	entry_store(s, path, row, text, &value, origin);
}

static bool is_item_of(const char *path, const char *list)
{
	size_t len = strlen(list);

	return strncmp(path, list, len) == 0 && path[len] == '[';
}

void settings_clear_list(struct settings *s, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (is_item_of(s->entries[i].path, path))
			entry_release(&s->entries[i]);
		else
			s->entries[kept++] = s->entries[i];
	}
	s->count = kept;
}

static const struct setting_entry *first_item(const struct settings *s,
					      const char *list)
{
	for (size_t i = 0; i < s->count; i++) {
		if (is_item_of(s->entries[i].path, list))
			return &s->entries[i];
	}
	return NULL;
}

static void set_list(struct settings *s, const char *list, const char *text,
		     const struct setting_origin *origin)
{
	const struct setting_entry *first = first_item(s, list);
	char *copy = copy_text(text);
	char *rest = copy;
	char *item;
	char path[SETTINGS_PATH_MAX + 16];

	if (first && !is_same_origin(&first->origin, origin))
		settings_clear_list(s, list);
	while ((item = strtok_r(rest, ", \t", &rest))) {
		size_t index = settings_count(s, "%s", list);

		if (index >= LIST_MAX) {
			blame(s, list, origin, "too many items");
			break;
		}
		(void)snprintf(path, sizeof(path), "%s[%zu]", list, index);
		settings_put(s, path, item, origin);
	}
	free(copy);
}

/* "net.peers[]" stands for the list "net.peers". */
static void list_name(const char *row_name, char out[static SETTINGS_PATH_MAX])
{
	(void)snprintf(out, SETTINGS_PATH_MAX, "%s", row_name);
	if (strlen(out) >= 2 && strcmp(out + strlen(out) - 2, "[]") == 0)
		out[strlen(out) - 2] = '\0';
}

void settings_set(struct settings *s, const char *name, const char *value,
		  const struct setting_origin *origin)
{
	const struct setting *row = settings_row(s->table, name);
	char path[SETTINGS_PATH_MAX];

	if (!row || strlen(name) >= SETTINGS_PATH_MAX) {
		refuse_unknown(s, name, origin);
		return;
	}
	if (row->flag && strcmp(row->flag, name) == 0)
		list_name(row->name, path);
	else
		(void)snprintf(path, sizeof(path), "%s", name);
	if (settings_row_of(s->table, path))
		settings_put(s, path, value, origin);
	else
		set_list(s, path, value, origin);
}

void settings_refuse(struct settings *s, const char *path, const char *why)
{
	const struct setting_entry *entry = settings_find(s, path);
	struct setting_origin origin = {LAYER_DEFAULT, NULL, 0};

	blame(s, path, entry ? &entry->origin : &origin, why);
}

void settings_refuse_at(struct settings *s, const struct setting_origin *origin,
			const char *why)
{
	settings_complain(s, origin, "%s", why);
}

/* ---- what is required ---- */

/*
 * `row` belongs to records ("option[].price"). If `entry` is a field of one,
 * write the path that the row's value has in that record ("option[3].price").
 */
static bool sibling_path(const struct setting *row,
			 const struct setting_entry *entry,
			 char out[static SETTINGS_PATH_MAX])
{
	const char *last = strrchr(row->name, '.');
	size_t record_len = last ? (size_t)(last - row->name) : 0;
	const char *path = entry->path;
	const char *name = row->name;

	/* Walk both as far as the record's name goes. */
	while (name < row->name + record_len) {
		if (*name == '*') {
			path += strcspn(path, ".[");
			name++;
		} else if (name[0] == '[' && *path == '[') {
			path += 1 + strspn(path + 1, "0123456789");
			name++;
		} else if (*name++ != *path++) {
			return false;
		}
	}
	if (*path != '.')
		return false;
	(void)snprintf(out, SETTINGS_PATH_MAX, "%.*s%s",
		       (int)(path - entry->path), entry->path, last);
	return true;
}

/* Once for each record: where its first field is met. */
static bool is_first_of_record(const struct settings *s,
			       const struct setting *row, size_t index,
			       const char *path)
{
	char other[SETTINGS_PATH_MAX];

	for (size_t i = 0; i < index; i++) {
		if (sibling_path(row, &s->entries[i], other) &&
		    strcmp(other, path) == 0)
			return false;
	}
	return true;
}

static void check_required(struct settings *s, const struct setting *row)
{
	char path[SETTINGS_PATH_MAX];

	for (size_t i = 0; i < s->count; i++) {
		if (!sibling_path(row, &s->entries[i], path) ||
		    settings_find(s, path) ||
		    !is_first_of_record(s, row, i, path))
			continue;
		settings_complain(s, &s->entries[i].origin,
				  "%s: is required and missing (%s)", path,
				  row->help);
	}
}

static bool is_record_row(const struct setting *row)
{
	return strpbrk(row->name, "*[") != NULL;
}

void settings_check(struct settings *s)
{
	struct setting_origin origin = {LAYER_DEFAULT, NULL, 0};

	for (const struct setting *row = s->table; row->name; row++) {
		if (row->value)
			continue;
		if (is_record_row(row))
			check_required(s, row);
		else if (!settings_find(s, row->name))
			settings_complain(s, &origin,
					  "%s: is required and missing (%s)",
					  row->name, row->help);
	}
}

/* ---- life ---- */

struct settings *settings_new(const struct setting *table)
{
	struct settings *s = calloc(1, sizeof(*s));
	struct setting_origin origin = {LAYER_DEFAULT, NULL, 0};

	if (!s)
		return NULL;
	s->table = table;
	for (; table->name; table++) {
		if (table->value && !is_record_row(table))
			settings_put(s, table->name, table->value, &origin);
	}
	assert(s->errors_count == 0);
	return s;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		entry_release(&s->entries[i]);
	for (size_t i = 0; i < s->errors_count; i++)
		free(s->errors[i]);
	free(s->entries);
	free(s->errors);
	free(s);
}

/* ---- environment ---- */

/* NET_RINGS for net.rings; lists go by their name without the brackets. */
static bool is_variable_of(const char *row_name, const char *variable,
			   size_t len)
{
	char name[SETTINGS_PATH_MAX];

	list_name(row_name, name);
	if (strlen(name) != len || strpbrk(name, "*["))
		return false;
	for (size_t i = 0; i < len; i++) {
		int c = name[i] == '.' ? '_' : toupper((unsigned char)name[i]);

		if (c != variable[i])
			return false;
	}
	return true;
}

static const struct setting *row_of_variable(const struct setting *table,
					     const char *variable, size_t len)
{
	for (; table->name; table++) {
		if (is_variable_of(table->name, variable, len))
			return table;
	}
	return NULL;
}

static bool is_other(const char *variable, const char *const *others)
{
	for (; *others; others++) {
		if (strncmp(variable, *others, strlen(*others)) == 0)
			return true;
	}
	return false;
}

static void read_variable(struct settings *s, const char *variable,
			  size_t prefix_len)
{
	const char *value = strchr(variable, '=');
	size_t len = value ? (size_t)(value - variable) : 0;
	const struct setting *row;
	char label[SETTINGS_PATH_MAX];
	char path[SETTINGS_PATH_MAX];
	struct setting_origin origin = {LAYER_ENV, label, 0};

	if (len <= prefix_len)
		return;
	(void)snprintf(label, sizeof(label), "%.*s", (int)len, variable);
	row = row_of_variable(s->table, variable + prefix_len,
			      len - prefix_len);
	if (!row) {
		settings_complain(s, &origin, "names no setting");
		return;
	}
	list_name(row->name, path);
	settings_set(s, path, value + 1, &origin);
}

void settings_read_env(struct settings *s, const char *prefix,
		       char *const *variables, const char *const *others)
{
	size_t len = strlen(prefix);

	for (; *variables; variables++) {
		if (strncmp(*variables, prefix, len) == 0 &&
		    !is_other(*variables, others))
			read_variable(s, *variables, len);
	}
}
