#ifndef CORE_SETTINGS_STORE_H
#define CORE_SETTINGS_STORE_H
/*
 * What settings are made of, shared by the files core/settings*.c alone.
 *
 * Thread: as core/settings.h.
 */
#include "core/settings.h"
#include "core/settings_value.h"

struct setting_entry {
	char *path;
	const struct setting *row;
	char *text;
	struct setting_value value;
	struct setting_origin origin; /* label owned */
};

struct settings {
	const struct setting *table;
	struct setting_entry *entries;
	size_t count;
	size_t cap;
	char **errors;
	size_t errors_count;
	size_t errors_cap;
};

/* Does a concrete path ("option[3].price") belong to a row's name? */
bool settings_path_matches(const char *name, const char *path);
/* The row of a concrete path, NULL if none. */
const struct setting *settings_row_of(const struct setting *table,
				      const char *path);
struct setting_entry *settings_find(const struct settings *s, const char *path);
/* Is there a row below this path ("net", "option[0]")? */
bool settings_has_below(const struct setting *table, const char *path);
/* The name nearest to a wrong one, NULL if none is near. */
const char *settings_nearest(const struct setting *table, const char *name);

/* One value of a concrete path, checked. Twice in one file is refused. */
void settings_put(struct settings *s, const char *path, const char *text,
		  const struct setting_origin *origin);
/* Drop the items of a list that other origins gave. */
void settings_clear_list(struct settings *s, const char *path);
__attribute__((format(printf, 3, 4))) void
settings_complain(struct settings *s, const struct setting_origin *origin,
		  const char *format, ...);
/* "default", "restante.yaml:12", "RESTANTE_NET_RINGS", "--net.rings" */
void settings_origin_text(const struct setting_origin *origin, char *out,
			  size_t cap);

#endif
