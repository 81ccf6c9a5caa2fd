#include "core/settings_value.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

struct suffix {
	const char *text;
	uint64_t factor;
};

static const struct suffix no_suffixes[] = {{"", 1}, {NULL, 0}};
static const struct suffix byte_suffixes[] = {
	{"", 1},
	{"K", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"T", UINT64_C(1) << 40},
	{NULL, 0},
};
static const struct suffix time_suffixes[] = {
	{"ms", 1},      {"s", 1000},     {"m", 60000},
	{"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

/* Digits and one of the suffixes, nothing else. */
static int read_scaled(const char *text, const struct suffix *suffixes,
		       uint64_t *out)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'),
					   &value))
			return ERR_RANGE;
	}
	if (at == text)
		return ERR_SYNTAX;
	for (; suffixes->text; suffixes++) {
		if (strcmp(at, suffixes->text) == 0)
			return __builtin_mul_overflow(value, suffixes->factor,
						      out)
				       ? ERR_RANGE
				       : 0;
	}
	return ERR_SYNTAX;
}

static int read_duration(const char *text, uint64_t *out)
{
	*out = 0;
	return strcmp(text, "0") == 0 ? 0
				      : read_scaled(text, time_suffixes, out);
}

static int read_real(const char *text, double *out)
{
	char *end;

	if (strspn(text, "0123456789.eE-+") != strlen(text))
		return ERR_SYNTAX;
	*out = strtod(text, &end);
	if (end == text || *end)
		return ERR_SYNTAX;
	return isfinite(*out) ? 0 : ERR_RANGE;
}

static int read_bool(const char *text, bool *out)
{
	static const char *const words[] = {"false", "true", "no",
					    "yes",   "off",  "on"};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static int read_word(const char *words, const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	for (*out = 0; len > 0; ++*out) {
		size_t word_len = strcspn(words, "|");

		if (word_len == len && memcmp(words, text, len) == 0)
			return 0;
		if (!words[word_len])
			break;
		words += word_len + 1;
	}
	return ERR_SYNTAX;
}

static int read_text(const char *text, uint64_t *len)
{
	*len = strlen(text);
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return ERR_SYNTAX;
	}
	return 0;
}

static int read_value(const struct setting *row, const char *text,
		      struct setting_value *out)
{
	*out = (struct setting_value){0};
	switch (row->kind) {
	case SETTING_BOOL:
		return read_bool(text, &out->flag);
	case SETTING_U64:
		return read_scaled(text, no_suffixes, &out->u64);
	case SETTING_REAL:
		return read_real(text, &out->real);
	case SETTING_BYTES:
		return read_scaled(text, byte_suffixes, &out->u64);
	case SETTING_DURATION:
		return read_duration(text, &out->u64);
	case SETTING_TEXT:
	case SETTING_SECRET:
		return read_text(text, &out->u64);
	case SETTING_WORD:
		return read_word(row->unit, text, &out->u64);
	}
	return ERR_SYNTAX;
}

static bool is_text(const struct setting *row)
{
	return row->kind == SETTING_TEXT || row->kind == SETTING_SECRET;
}

/* Bounds are written like values; for text they are lengths. */
static struct setting_value read_bound(const struct setting *row,
				       const char *text)
{
	struct setting_value bound = {0};
	int err = is_text(row) ? read_scaled(text, no_suffixes, &bound.u64)
			       : read_value(row, text, &bound);

	assert(!err);
	return bound;
}

static int compare(const struct setting_value *a, const struct setting_value *b)
{
	if (a->u64 != b->u64)
		return a->u64 < b->u64 ? -1 : 1;
	return (a->real > b->real) - (a->real < b->real);
}

static bool is_in_range(const struct setting *row,
			const struct setting_value *value)
{
	struct setting_value bound;

	if (row->kind == SETTING_BOOL || row->kind == SETTING_WORD)
		return true;
	if (row->min) {
		bound = read_bound(row, row->min);
		if (compare(value, &bound) < 0)
			return false;
	}
	if (row->max) {
		bound = read_bound(row, row->max);
		if (compare(value, &bound) > 0)
			return false;
	}
	return true;
}

static const char *kind_words(const struct setting *row)
{
	switch (row->kind) {
	case SETTING_BOOL:
		return "true or false";
	case SETTING_U64:
		return "a whole number";
	case SETTING_REAL:
		return "a number";
	case SETTING_BYTES:
		return "a size such as 4096, 64K, 256M or 16G";
	case SETTING_DURATION:
		return "a duration such as 5ms, 10s, 30m, 12h or 30d";
	case SETTING_TEXT:
	case SETTING_SECRET:
		return "text in one line";
	case SETTING_WORD:
		return "one of";
	}
	return "";
}

static void allowed_words(const char *words, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "one of ");

	for (; *words && len + 3 < cap; words++) {
		out[len++] = *words;
		if (*words != '|')
			continue;
		out[len - 1] = ',';
		out[len++] = ' ';
	}
	out[len] = '\0';
}

void setting_value_allowed(const struct setting *row, char *out, size_t cap)
{
	const char *unit = row->unit ? row->unit : "";
	const char *more = is_text(row) ? "characters" : unit;

	if (row->kind == SETTING_WORD)
		allowed_words(unit, out, cap);
	else if (row->kind == SETTING_BOOL || (!row->min && !row->max))
		(void)snprintf(out, cap, "%s", kind_words(row));
	else if (!row->max)
		(void)snprintf(out, cap, "%s or more%s%s", row->min,
			       *more ? " " : "", more);
	else if (row->min && strcmp(row->min, row->max) == 0)
		(void)snprintf(out, cap, "%s%s%s", row->min, *more ? " " : "",
			       more);
	else
		(void)snprintf(out, cap, "%s to %s%s%s",
			       row->min ? row->min : "0", row->max,
			       *more ? " " : "", more);
}

int setting_value_parse(const struct setting *row, const char *text,
			struct setting_value *out, char why[static WHY_MAX])
{
	const char *shown = row->kind == SETTING_SECRET ? "the value" : text;
	int err = read_value(row, text, out);
	char allowed[160];

	if (!err && !is_in_range(row, out))
		err = ERR_RANGE;
	if (!err)
		return 0;
	setting_value_allowed(row, allowed, sizeof(allowed));
	if (err == ERR_RANGE)
		(void)snprintf(why, WHY_MAX,
			       "%.80s is out of range; allowed: %s", shown,
			       allowed);
	else if (row->kind == SETTING_WORD ||
		 strcmp(allowed, kind_words(row)) == 0)
		(void)snprintf(why, WHY_MAX, "%.80s is not %s", shown, allowed);
	else
		(void)snprintf(why, WHY_MAX, "%.80s is not %s; allowed: %s",
			       shown, kind_words(row), allowed);
	return err;
}
