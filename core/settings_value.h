#ifndef CORE_SETTINGS_VALUE_H
#define CORE_SETTINGS_VALUE_H
/*
 * One value of a setting: from text and its bounds, for core/settings alone.
 *
 * Thread: any.
 */
#include "core/settings.h"

#define WHY_MAX 320

struct setting_value {
	bool flag;
	uint64_t u64; /* number, bytes, milliseconds, index of a word */
	double real;
};

/* 0, ERR_SYNTAX or ERR_RANGE with a reason that says what is allowed. */
int setting_value_parse(const struct setting *row, const char *text,
			struct setting_value *out, char why[static WHY_MAX]);
/* "0 to 256 threads", "one of auto, uring, epoll"; "" if anything is. */
void setting_value_allowed(const struct setting *row, char *out, size_t cap);

#endif
