#include <criterion/criterion.h>

#include "app/when.h"
#include "core/err.h"

#define NOW 1600000000u

static uint32_t at(const char *text)
{
	uint32_t out = 1;

	cr_assert_eq(when_decode(text, NOW, &out), 0, "%s", text);
	return out;
}

Test(when, people_write_times_in_many_ways)
{
	cr_assert_eq(at("now"), NOW);
	cr_assert_eq(at("24h"), NOW - 86400);
	cr_assert_eq(at("0s"), NOW);
	cr_assert_eq(at("2w"), NOW - 14 * 86400);
	cr_assert_eq(at("1600000123"), 1600000123);
	cr_assert_eq(at("0"), 0);
	cr_assert_eq(at("2020-09-13T12:26:40Z"), NOW);
	cr_assert_eq(at("2020-09-13T12:26:40"), NOW);
	cr_assert_eq(at("2020-09-13"), 1599955200);
	cr_assert_eq(at("40000d"), 0);
}

Test(when, nonsense_is_refused)
{
	uint32_t out;

	cr_assert_eq(when_decode("", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("h", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("5x", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("5hh", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("-5h", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("2020-13-13", NOW, &out), ERR_SYNTAX);
	cr_assert_eq(when_decode("99999999999", NOW, &out), ERR_RANGE);
	cr_assert_eq(when_decode("99999999w", NOW, &out), ERR_RANGE);
	cr_assert_eq(when_decode("2200-01-01", NOW, &out), ERR_RANGE);
}
