#ifndef CORE_LOG_H
#define CORE_LOG_H
/*
 * Log lines for people (logfmt) or programs (JSON) on standard error.
 *
 * Levels name who should care: debug; info; unusual: a peer or the world is
 * odd; broken: we are. A line is an event in a few plain words and fields.
 * Lines of one `LOG_*` place that repeat are limited to a burst and then one
 * a second, with the number of those left out. Values are escaped: what a
 * peer sent cannot forge a line. `core/` and `storage/` return; they do not
 * log.
 *
 *	LOG_UNUSUAL("request refused", log_text("why", text),
 *		    log_hex("peer", id, 8), log_u64("limit", limit));
 *
 * Thread: any. A line is one write.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_UNUSUAL,
	LOG_LEVEL_BROKEN
};
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
	const char *key; /* NULL ends the list */
	enum { LOG_TEXT, LOG_HEX, LOG_U64, LOG_I64, LOG_DOUBLE, LOG_BOOL } kind;
	union {
		const char *text;
		struct {
			const uint8_t *bytes;
			size_t len;
		} hex;
		uint64_t u64;
		int64_t i64;
		double real;
		bool flag;
	} value;
};

struct log_field log_text(const char *key, const char *text);
struct log_field log_hex(const char *key, const uint8_t *bytes, size_t len);
struct log_field log_u64(const char *key, uint64_t value);
struct log_field log_i64(const char *key, int64_t value);
struct log_field log_double(const char *key, double value);
struct log_field log_bool(const char *key, bool value);
/* err=<err_str> */
struct log_field log_err(int err);

void log_set_level(enum log_level level); /* may change while running */
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
void log_set_fd(int fd); /* 2 unless told */
/* "debug" and so on: 0 or ERR_SYNTAX. */
int log_level_from_text(const char *text, enum log_level *out);

/* One per LOG_* place: what its rate limit remembers. */
struct log_site {
	_Atomic uint64_t
		full_ms; /* monotonic: when a whole burst may come again */
	_Atomic uint32_t left_out;
};
void log_line(struct log_site *site, enum log_level level, const char *event,
	      const struct log_field *fields);

/* The list of fields always ends with {0}: the macros below add it. */
#define LOG_AT(level, event, ...)                                              \
	do {                                                                   \
		static struct log_site log_site_;                              \
		if ((level) >= log_get_level())                                \
			log_line(&log_site_, (level), (event),                 \
				 (const struct log_field[]){__VA_ARGS__});     \
	} while (0)
#define LOG_DEBUG(...)   LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, {0})
#define LOG_INFO(...)    LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, {0})
#define LOG_UNUSUAL(...) LOG_AT(LOG_LEVEL_UNUSUAL, __VA_ARGS__, {0})
#define LOG_BROKEN(...)  LOG_AT(LOG_LEVEL_BROKEN, __VA_ARGS__, {0})

#endif
