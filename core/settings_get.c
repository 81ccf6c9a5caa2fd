#include "core/settings.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/settings_store.h"

/* A value found, or made from the row's default. */
struct found {
	const struct setting *row;
	const char *text;
	struct setting_value value;
	bool is_given;
};

static struct found find(const struct settings *s, const char *path)
{
	const struct setting_entry *entry = settings_find(s, path);
	struct found found = {.row = settings_row_of(s->table, path)};
	char why[WHY_MAX];

	assert(found.row);
	if (entry) {
		found.text = entry->text;
		found.value = entry->value;
		found.is_given = entry->origin.layer != LAYER_DEFAULT;
		return found;
	}
	/* Without a default: settings_check() has refused it. */
	found.text = found.row->value ? found.row->value : "";
	if (found.row->value) {
		int err = setting_value_parse(found.row, found.text,
					      &found.value, why);

		assert(!err);
	}
	return found;
}

#define PATH_FROM_ARGS(path, format)                                           \
	do {                                                                   \
		va_list args_;                                                 \
		va_start(args_, format);                                       \
		(void)vsnprintf(path, sizeof(path), format, args_);            \
		va_end(args_);                                                 \
	} while (0)

bool settings_bool(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_BOOL);
	return found.value.flag;
}

uint64_t settings_u64(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_U64 ||
	       found.row->kind == SETTING_BYTES);
	return found.value.u64;
}

double settings_real(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_REAL);
	return found.value.real;
}

uint64_t settings_ms(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_DURATION);
	return found.value.u64;
}

uint64_t settings_s(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];

	PATH_FROM_ARGS(full, path);
	return settings_ms(s, "%s", full) / 1000;
}

const char *settings_text(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_TEXT ||
	       found.row->kind == SETTING_SECRET ||
	       found.row->kind == SETTING_WORD);
	return found.text;
}

unsigned settings_word(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	struct found found;

	PATH_FROM_ARGS(full, path);
	found = find(s, full);
	assert(found.row->kind == SETTING_WORD);
	return (unsigned)found.value.u64;
}

bool settings_is_given(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];

	PATH_FROM_ARGS(full, path);
	return find(s, full).is_given;
}

size_t settings_count(const struct settings *s, const char *path, ...)
{
	char full[SETTINGS_PATH_MAX];
	size_t count = 0;
	size_t len;

	PATH_FROM_ARGS(full, path);
	len = strlen(full);
	for (size_t i = 0; i < s->count; i++) {
		const char *entry = s->entries[i].path;
		size_t index;

		if (strncmp(entry, full, len) != 0 || entry[len] != '[')
			continue;
		index = strtoul(entry + len + 1, NULL, 10);
		if (index >= count)
			count = index + 1;
	}
	return count;
}

/* The part of an entry's path between "chain." and the next dot, or NULL. */
static const char *key_of(const struct setting_entry *entry, const char *path,
			  size_t *key_len)
{
	size_t len = strlen(path);

	if (strncmp(entry->path, path, len) != 0 || entry->path[len] != '.')
		return NULL;
	*key_len = strcspn(entry->path + len + 1, ".[");
	return entry->path + len + 1;
}

static bool is_key_before(const struct settings *s, const char *path,
			  size_t before, const char *key, size_t key_len)
{
	for (size_t i = 0; i < before; i++) {
		size_t len;
		const char *other = key_of(&s->entries[i], path, &len);

		if (other && len == key_len && memcmp(other, key, len) == 0)
			return true;
	}
	return false;
}

bool settings_key(const struct settings *s, const char *path, size_t index,
		  char out[static SETTINGS_KEY_MAX])
{
	for (size_t i = 0; i < s->count; i++) {
		size_t len;
		const char *key = key_of(&s->entries[i], path, &len);

		if (!key || is_key_before(s, path, i, key, len))
			continue;
		if (index-- > 0)
			continue;
		(void)snprintf(out, SETTINGS_KEY_MAX, "%.*s", (int)len, key);
		return true;
	}
	return false;
}
