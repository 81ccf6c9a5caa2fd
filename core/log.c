#include "core/log.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"

#define LINE_MAX_BYTES 4096
#define VALUE_MAX      1024 /* bytes of one value that are shown */
#define TAIL_MAX       48   /* kept free for left_out and the end of a line */
#define BURST          20u  /* lines of one place before the limit bites */
#define INTERVAL_MS    UINT64_C(1000) /* between its lines from then on */

static _Atomic int min_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_LOGFMT;
static _Atomic int line_fd = STDERR_FILENO;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_UNUSUAL] = "unusual",
	[LOG_LEVEL_BROKEN] = "broken",
};

struct line {
	size_t len;
	size_t max; /* what may be filled; raised for the tail */
	bool is_json;
	bool is_cut;
	char text[LINE_MAX_BYTES];
};

static void put(struct line *line, const char *text, size_t len)
{
	if (line->is_cut || len > line->max - line->len) {
		line->is_cut = true;
		return;
	}
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Everything but plain ASCII is spelt out, in both formats byte by byte. */
static void put_escaped(struct line *line, unsigned char c)
{
	char out[8];

	if (is_plain(c))
		(void)snprintf(out, sizeof(out), "%c", c);
	else if (c == '"' || c == '\\')
		(void)snprintf(out, sizeof(out), "\\%c", c);
	else if (c == '\n')
		(void)snprintf(out, sizeof(out), "\\n");
	else if (line->is_json)
		(void)snprintf(out, sizeof(out), "\\u%04x", (unsigned)c);
	else
		(void)snprintf(out, sizeof(out), "\\x%02x", (unsigned)c);
	put_text(line, out);
}

static bool needs_quotes(const char *text, size_t len)
{
	if (len == 0)
		return true;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!is_plain(c) || c == ' ' || c == '=')
			return true;
	}
	return false;
}

static void put_string(struct line *line, const char *text)
{
	size_t len = strnlen(text, VALUE_MAX);
	bool has_more = text[len] != '\0';
	bool quotes = line->is_json || has_more || needs_quotes(text, len);

	if (quotes)
		put_text(line, "\"");
	for (size_t i = 0; i < len; i++)
		put_escaped(line, (unsigned char)text[i]);
	if (has_more)
		put_text(line, "...");
	if (quotes)
		put_text(line, "\"");
}

static void put_hex(struct line *line, const uint8_t *bytes, size_t len)
{
	const char *quote = line->is_json || len == 0 ? "\"" : "";
	char digits[4];

	put_text(line, quote);
	for (size_t i = 0; i < len && i < VALUE_MAX / 2; i++) {
		(void)snprintf(digits, sizeof(digits), "%02x", bytes[i]);
		put_text(line, digits);
	}
	put_text(line, quote);
}

static void put_number(struct line *line, const struct log_field *field)
{
	char text[40];

	if (field->kind == LOG_U64)
		(void)snprintf(text, sizeof(text), "%llu",
			       (unsigned long long)field->value.u64);
	else if (field->kind == LOG_I64)
		(void)snprintf(text, sizeof(text), "%lld",
			       (long long)field->value.i64);
	else if (isfinite(field->value.real))
		(void)snprintf(text, sizeof(text), "%.9g", field->value.real);
	else
		(void)snprintf(text, sizeof(text), "null");
	put_text(line, text);
}

static void put_value(struct line *line, const struct log_field *field)
{
	switch (field->kind) {
	case LOG_TEXT:
		put_string(line, field->value.text ? field->value.text : "");
		break;
	case LOG_HEX:
		put_hex(line, field->value.hex.bytes, field->value.hex.len);
		break;
	case LOG_U64:
	case LOG_I64:
	case LOG_DOUBLE:
		put_number(line, field);
		break;
	case LOG_BOOL:
		put_text(line, field->value.flag ? "true" : "false");
		break;
	}
}

/* Whole or not at all: a line is never cut inside a field. */
static void put_field(struct line *line, const struct log_field *field)
{
	size_t before = line->len;

	if (line->is_json)
		put_text(line, before > 1 ? ",\"" : "\"");
	else if (before > 0)
		put_text(line, " ");
	put_text(line, field->key);
	put_text(line, line->is_json ? "\":" : "=");
	put_value(line, field);
	if (line->is_cut)
		line->len = before;
}

static void put_time(struct line *line)
{
	uint64_t now_ms = clock_wall_ms();
	time_t now_s = (time_t)(now_ms / 1000);
	char day[32];
	char text[48];
	struct tm tm;

	if (!gmtime_r(&now_s, &tm))
		return;
	(void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, sizeof(text), "%s.%03uZ", day,
		       (unsigned)(now_ms % 1000));
	put_field(line, &(struct log_field){.key = "time",
					    .kind = LOG_TEXT,
					    .value.text = text});
}

static void put_tail(struct line *line, uint32_t left_out)
{
	struct log_field cut = log_bool("cut", true);
	struct log_field out = log_u64("left_out", left_out);
	bool was_cut = line->is_cut;

	line->is_cut = false;
	line->max = sizeof(line->text);
	if (was_cut)
		put_field(line, &cut);
	if (left_out > 0)
		put_field(line, &out);
	put_text(line, line->is_json ? "}\n" : "\n");
}

/*
 * A bucket of BURST lines that refills one a second, kept as the time at which
 * it would be full again.
 */
static bool is_admitted(struct log_site *site)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t full_ms = atomic_load(&site->full_ms);

	do {
		uint64_t from_ms = full_ms > now_ms ? full_ms : now_ms;

		if (from_ms - now_ms > (BURST - 1) * INTERVAL_MS) {
			atomic_fetch_add(&site->left_out, 1);
			return false;
		}
		if (atomic_compare_exchange_weak(&site->full_ms, &full_ms,
						 from_ms + INTERVAL_MS))
			return true;
	} while (true);
}

void log_line(struct log_site *site, enum log_level level, const char *event,
	      const struct log_field *fields)
{
	struct log_field head[] = {log_text("level", level_names[level]),
				   log_text("event", event)};
	struct line line;

	if (!is_admitted(site))
		return;
	line.len = 0;
	line.max = sizeof(line.text) - TAIL_MAX;
	line.is_json = atomic_load(&line_format) == LOG_FORMAT_JSON;
	line.is_cut = false;
	if (line.is_json)
		put_text(&line, "{");
	put_time(&line);
	put_field(&line, &head[0]);
	put_field(&line, &head[1]);
	for (; fields->key && !line.is_cut; fields++)
		put_field(&line, fields);
	put_tail(&line, atomic_exchange(&site->left_out, 0));
	/* Nobody can be told that the log is gone. */
	if (write(atomic_load(&line_fd), line.text, line.len) < 0)
		return;
}

struct log_field log_text(const char *key, const char *text)
{
	return (struct log_field){
		.key = key, .kind = LOG_TEXT, .value.text = text};
}

struct log_field log_hex(const char *key, const uint8_t *bytes, size_t len)
{
	return (struct log_field){.key = key,
				  .kind = LOG_HEX,
				  .value.hex = {.bytes = bytes, .len = len}};
}

struct log_field log_u64(const char *key, uint64_t value)
{
	return (struct log_field){
		.key = key, .kind = LOG_U64, .value.u64 = value};
}

struct log_field log_i64(const char *key, int64_t value)
{
	return (struct log_field){
		.key = key, .kind = LOG_I64, .value.i64 = value};
}

struct log_field log_double(const char *key, double value)
{
	return (struct log_field){
		.key = key, .kind = LOG_DOUBLE, .value.real = value};
}

struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){
		.key = key, .kind = LOG_BOOL, .value.flag = value};
}

struct log_field log_err(int err)
{
	return log_text("err", err_str(err));
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&min_level,
						    memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
	atomic_store(&line_format, (int)format);
}

void log_set_fd(int fd)
{
	atomic_store(&line_fd, fd);
}

int log_level_from_text(const char *text, enum log_level *out)
{
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_BROKEN; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return ERR_SYNTAX;
}
