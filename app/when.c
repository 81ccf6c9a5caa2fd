#include "app/when.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/err.h"

static int decode_number(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*at))
		return ERR_SYNTAX;
	for (; isdigit((unsigned char)*at); at++) {
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > UINT32_MAX)
			return ERR_RANGE;
	}
	*text = at;
	*out = value;
	return 0;
}

static uint32_t unit_of(char c)
{
	switch (c) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 7 * 86400;
	default:
		return 0;
	}
}

int when_decode_span(const char *text, uint32_t *out)
{
	uint64_t value;
	uint32_t unit = 1;
	int err = decode_number(&text, &value);

	if (err)
		return err;
	if (*text) {
		unit = unit_of(*text++);
		if (unit == 0 || *text)
			return ERR_SYNTAX;
	}
	if (value * unit > UINT32_MAX)
		return ERR_RANGE;
	*out = (uint32_t)(value * unit);
	return 0;
}

static int decode_date(const char *text, uint32_t *out)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S",
					    "%Y-%m-%dT%H:%M",
					    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"};

	for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || (*end && strcmp(end, "Z") != 0))
			continue;
		t = timegm(&tm);
		if (t < 0 || t > (time_t)UINT32_MAX)
			return ERR_RANGE;
		*out = (uint32_t)t;
		return 0;
	}
	return ERR_SYNTAX;
}

int when_decode(const char *text, uint32_t now_s, uint32_t *out)
{
	size_t len = strlen(text);
	bool is_plain = len > 0 && strspn(text, "0123456789") == len;
	uint32_t span;
	int err;

	if (strcmp(text, "now") == 0) {
		*out = now_s;
		return 0;
	}
	if (strchr(text, '-'))
		return decode_date(text, out);
	err = when_decode_span(text, &span);
	if (err)
		return err;
	if (is_plain)
		*out = span;
	else
		*out = span > now_s ? 0 : now_s - span;
	return 0;
}
