#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H
/*
 * Settings and command line options. One table says what there is; it feeds
 * the parser of files, environment and flags, the defaults, `--help`,
 * `check-config` and the manual. Values, defaults and bounds are all written
 * as text, the way a person writes them in the file.
 *
 * A name is a path: "net.rings". Two marks make a row stand for many values:
 * "net.peers[]" is a list, "option[].price" a field of a list of records, and
 * "chain.*.quorum" a field of records that the file names.
 *
 * What is wrong is collected, not returned one by one: give it all, then look
 * at settings_errors_count(). Layers are given lowest first (file, environment,
 * flags): a later one replaces an earlier one, a list as a whole.
 *
 * Thread: filling by one; reading by any once that is done.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum setting_kind {
	SETTING_BOOL,     /* true false yes no on off */
	SETTING_U64,      /* 4096 */
	SETTING_REAL,     /* 0.000002 */
	SETTING_BYTES,    /* 512, 64K, 256M, 16G, 1T: powers of 1024 */
	SETTING_DURATION, /* 5ms 10s 30m 12h 30d; a bare 0; held in ms */
	SETTING_TEXT,
	SETTING_SECRET, /* text that is never shown */
	SETTING_WORD,   /* one of the words in `unit`: "auto|uring|epoll" */
};

struct setting {
	const char *name; /* NULL ends a table */
	const char *flag; /* a short flag beside --NAME, or NULL */
	enum setting_kind kind;
	const char *value; /* default; NULL: must be given where it applies */
	const char *min;   /* NULL: no bound; for text the bounds of length */
	const char *max;
	const char *unit; /* shown in help; the words of a SETTING_WORD */
	const char *help; /* a phrase in lower case without a full stop */
};

#define SETTINGS_PATH_MAX 160
#define SETTINGS_FILE_MAX (1u << 20) /* bytes of a file */

enum setting_layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ENV, LAYER_FLAG };

struct setting_origin {
	enum setting_layer layer;
	const char *label; /* file, variable, or flag with its dashes */
	unsigned line;     /* in the file, from 1 */
};

struct settings;

/* All values at their defaults. `table` must outlive it. NULL: no memory. */
struct settings *settings_new(const struct setting *table);
void settings_free(struct settings *s);

/* YAML text. `file` is what messages call it. */
void settings_read_text(struct settings *s, const char *file, const char *text,
			size_t len);
void settings_read_file(struct settings *s, const char *path);
/*
 * Variables PREFIX_NET_RINGS of `variables`. An unknown one is refused unless
 * it begins with one of `others` (ended by NULL).
 */
void settings_read_env(struct settings *s, const char *prefix,
		       char *const *variables, const char *const *others);
/*
 * Set by name or, on LAYER_FLAG, short flag. A list takes several values
 * separated by commas or blanks, and grows when set again from one origin.
 */
void settings_set(struct settings *s, const char *name, const char *value,
		  const struct setting_origin *origin);
/* Say that a value is wrong for a reason that its kind does not know. */
void settings_refuse(struct settings *s, const char *path, const char *why);
void settings_refuse_at(struct settings *s, const struct setting_origin *origin,
			const char *why);
/* Find what is required and missing. Once, after the last layer. */
void settings_check(struct settings *s);

size_t settings_errors_count(const struct settings *s);
/* "restante.yaml:3: net.rings: 999 is out of range; allowed: 0 to 256" */
const char *settings_error(const struct settings *s, size_t index);

/*
 * Values. The path is a format: settings_u64(s, "chain.%s.id", name). Asking
 * for a name that is not in the table, or by the wrong kind, is a bug.
 */
#define SETTINGS_PATH __attribute__((format(printf, 2, 3)))
SETTINGS_PATH bool settings_bool(const struct settings *s, const char *path,
				 ...);
/* SETTING_U64 and SETTING_BYTES */
SETTINGS_PATH uint64_t settings_u64(const struct settings *s, const char *path,
				    ...);
SETTINGS_PATH double settings_real(const struct settings *s, const char *path,
				   ...);
SETTINGS_PATH uint64_t settings_ms(const struct settings *s, const char *path,
				   ...);
/* A duration in whole seconds, rounded down. */
SETTINGS_PATH uint64_t settings_s(const struct settings *s, const char *path,
				  ...);
/* SETTING_TEXT, SETTING_SECRET and SETTING_WORD; borrowed, never NULL. */
SETTINGS_PATH const char *settings_text(const struct settings *s,
					const char *path, ...);
/* Which of the words, from 0. */
SETTINGS_PATH unsigned settings_word(const struct settings *s, const char *path,
				     ...);
/* Does the value come from elsewhere than the table? */
SETTINGS_PATH bool settings_is_given(const struct settings *s, const char *path,
				     ...);
/* Items of the list "net.peers" or "option". */
SETTINGS_PATH size_t settings_count(const struct settings *s, const char *path,
				    ...);
/* The index-th name under "chain"; false past the last. */
#define SETTINGS_KEY_MAX 64
bool settings_key(const struct settings *s, const char *path, size_t index,
		  char out[static SETTINGS_KEY_MAX]);

/* The row a name, list name or short flag stands for; NULL if none. */
const struct setting *settings_row(const struct setting *table,
				   const char *name);

/* Every value and where it comes from, a line each. */
void settings_print(const struct settings *s, FILE *out);
/* The options of a table for --help. */
void settings_print_help(const struct setting *table, FILE *out);
/* A commented YAML file with all defaults. */
void settings_print_example(const struct setting *table, FILE *out);

#endif
