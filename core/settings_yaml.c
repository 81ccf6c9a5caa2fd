#include "core/settings.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <yaml.h>

#include "core/settings_store.h"

#define DEPTH_MAX 8

/*
 * YAML as libyaml's events, since only they carry the line of each value.
 * Aliases are refused: they are the one thing that makes a small text large.
 */
struct reader {
	yaml_parser_t parser;
	struct settings *s;
	const char *file;
	bool is_over; /* nothing more can be read */
};

static struct setting_origin origin_at(const struct reader *r,
				       const yaml_mark_t *mark)
{
	return (struct setting_origin){
		.layer = LAYER_FILE,
		.label = r->file,
		.line = (unsigned)mark->line + 1,
	};
}

static void stop_at(struct reader *r, const yaml_mark_t *mark, const char *path,
		    const char *why)
{
	struct setting_origin origin = origin_at(r, mark);

	settings_complain(r->s, &origin, "%s%s%s", path, *path ? ": " : "",
			  why);
	r->is_over = true;
}

/* false when the text is at fault, which was said. */
static bool next_event(struct reader *r, yaml_event_t *event)
{
	if (r->is_over)
		return false;
	if (yaml_parser_parse(&r->parser, event))
		return true;
	stop_at(r,
		r->parser.problem_mark.line ? &r->parser.problem_mark
					    : &r->parser.mark,
		"", r->parser.problem ? r->parser.problem : "is no YAML");
	return false;
}

static void read_node(struct reader *r, const yaml_event_t *event,
		      const char *path, unsigned depth);

/* Write "path.key" or "key"; only characters a name can have. */
static bool child_path(const char *path, const char *key,
		       char out[static SETTINGS_PATH_MAX])
{
	int len = snprintf(out, SETTINGS_PATH_MAX, "%s%s%s", path,
			   *path ? "." : "", key);

	return len > 0 && len < SETTINGS_PATH_MAX && *key &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_-.") ==
		       strlen(key);
}

static void read_pair(struct reader *r, const yaml_event_t *key,
		      const char *path, unsigned depth)
{
	char child[SETTINGS_PATH_MAX];
	yaml_event_t event;

	if (key->type != YAML_SCALAR_EVENT ||
	    strlen((const char *)key->data.scalar.value) !=
		    key->data.scalar.length ||
	    !child_path(path, (const char *)key->data.scalar.value, child)) {
		stop_at(r, &key->start_mark, path,
			"is followed by what is no "
			"name of a setting");
		return;
	}
	if (!next_event(r, &event))
		return;
	read_node(r, &event, child, depth + 1);
	yaml_event_delete(&event);
}

static void read_mapping(struct reader *r, const char *path, unsigned depth)
{
	yaml_event_t event;
	bool is_end = false;

	while (!is_end && next_event(r, &event)) {
		is_end = event.type == YAML_MAPPING_END_EVENT;
		if (!is_end)
			read_pair(r, &event, path, depth);
		yaml_event_delete(&event);
	}
}

static void read_sequence(struct reader *r, const char *path, unsigned depth)
{
	char item[SETTINGS_PATH_MAX + 16];
	yaml_event_t event;
	bool is_end = false;

	settings_clear_list(r->s, path);
	for (unsigned i = 0; !is_end && next_event(r, &event); i++) {
		(void)snprintf(item, sizeof(item), "%s[%u]", path, i);
		is_end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!is_end && strlen(item) >= SETTINGS_PATH_MAX)
			stop_at(r, &event.start_mark, "",
				"the name of a setting is too long");
		else if (!is_end)
			read_node(r, &event, item, depth + 1);
		yaml_event_delete(&event);
	}
}

static void read_scalar(struct reader *r, const yaml_event_t *event,
			const char *path)
{
	const char *text = (const char *)event->data.scalar.value;
	struct setting_origin origin = origin_at(r, &event->start_mark);
	bool is_empty = event->data.scalar.length == 0 &&
			event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen(text) != event->data.scalar.length)
		settings_complain(r->s, &origin, "%s: holds a NUL", path);
	else if (settings_row_of(r->s->table, path) && is_empty)
		settings_complain(r->s, &origin, "%s: has no value", path);
	else if (is_empty && (!*path || settings_has_below(r->s->table, path)))
		return; /* a section whose lines are all comments */
	else if (settings_row_of(r->s->table, path))
		settings_put(r->s, path, text, &origin);
	else if (settings_has_below(r->s->table, path) &&
		 !settings_row(r->s->table, path))
		settings_complain(r->s, &origin,
				  "%s: is a section, not a value", path);
	else if (!*path)
		settings_complain(r->s, &origin, "holds no settings");
	else
		settings_set(r->s, path, text, &origin);
}

static void read_node(struct reader *r, const yaml_event_t *event,
		      const char *path, unsigned depth)
{
	if (depth > DEPTH_MAX)
		stop_at(r, &event->start_mark, path, "is nested too deep");
	else if (event->type == YAML_SCALAR_EVENT)
		read_scalar(r, event, path);
	else if (event->type == YAML_MAPPING_START_EVENT)
		read_mapping(r, path, depth);
	else if (event->type == YAML_SEQUENCE_START_EVENT && *path)
		read_sequence(r, path, depth);
	else
		stop_at(r, &event->start_mark, path,
			event->type == YAML_ALIAS_EVENT
				? "aliases are not allowed"
				: "holds no settings");
}

static void read_stream(struct reader *r)
{
	unsigned documents = 0;
	yaml_event_t event;
	bool is_end = false;

	while (!is_end && next_event(r, &event)) {
		is_end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && documents++ > 0)
			stop_at(r, &event.start_mark, "",
				"a second document begins");
		else if (!is_end && event.type != YAML_STREAM_START_EVENT &&
			 event.type != YAML_DOCUMENT_START_EVENT &&
			 event.type != YAML_DOCUMENT_END_EVENT)
			read_node(r, &event, "", 0);
		yaml_event_delete(&event);
	}
}

void settings_read_text(struct settings *s, const char *file, const char *text,
			size_t len)
{
	struct reader r = {.s = s, .file = file};
	struct setting_origin origin = {LAYER_FILE, file, 1};

	if (len > SETTINGS_FILE_MAX) {
		settings_complain(s, &origin, "is larger than %u bytes",
				  SETTINGS_FILE_MAX);
		return;
	}
	if (!yaml_parser_initialize(&r.parser))
		abort();
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text,
				     len);
	read_stream(&r);
	yaml_parser_delete(&r.parser);
}

void settings_read_file(struct settings *s, const char *path)
{
	struct setting_origin origin = {LAYER_FLAG, path, 0};
	FILE *file = fopen(path, "re");
	char *text;
	size_t len;

	if (!file) {
		settings_complain(s, &origin, "cannot be opened: %s",
				  strerrordesc_np(errno));
		return;
	}
	text = malloc(SETTINGS_FILE_MAX + 1);
	if (!text)
		abort();
	len = fread(text, 1, SETTINGS_FILE_MAX + 1, file);
	if (ferror(file))
		settings_complain(s, &origin, "cannot be read: %s",
				  strerrordesc_np(errno));
	else
		settings_read_text(s, path, text, len);
	(void)fclose(file);
	free(text);
}
