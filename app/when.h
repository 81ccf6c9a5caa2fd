#ifndef APP_WHEN_H
#define APP_WHEN_H
/*
 * Times as people write them: "now", "24h" (so long ago; s m h d w),
 * "1600000000" (Unix seconds), "2020-09-13", "2020-09-13T12:26:40" with or
 * without Z (UTC).
 *
 * Thread: any.
 */
#include <stdint.h>

/* 0, ERR_SYNTAX or ERR_RANGE. */
int when_decode(const char *text, uint32_t now_s, uint32_t *out);
/* "30", "30s", "5m", "2h", "7d", "1w" in seconds. 0, ERR_SYNTAX, ERR_RANGE. */
int when_decode_span(const char *text, uint32_t *out);
#define WHEN_TEXT                                                              \
	"now, 24h (ago), 2020-09-13, 2020-09-13T12:26:40 or Unix seconds"

#endif
