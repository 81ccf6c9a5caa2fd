/* Log lines: what they hold, what cannot be forged, what is left out. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"

static int pipe_fds[2];

static void to_pipe(void)
{
	cr_assert_eq(pipe(pipe_fds), 0);
	log_set_fd(pipe_fds[1]);
}

/* What was logged so far; the pipe is closed. */
static const char *logged(void)
{
	static char text[65536];
	ssize_t len = 0;
	ssize_t got;

	cr_assert_eq(close(pipe_fds[1]), 0);
	while ((got = read(pipe_fds[0], text + len,
			   sizeof(text) - 1 - (size_t)len)) > 0)
		len += got;
	text[len] = '\0';
	return text;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

Test(log, fields_are_written_as_logfmt)
{
	const uint8_t id[] = {0xab, 0xcd};
	const char *text;

	to_pipe();
	LOG_INFO("peer came", log_text("why", "a reason"), log_hex("id", id, 2),
		 log_u64("n", UINT64_MAX), log_i64("d", -5),
		 log_double("r", 0.5), log_bool("ok", true), log_err(ERR_FULL),
		 log_text("short", "x"), log_text("e", ""));
	text = logged();
	cr_assert_eq(strncmp(text, "time=20", 7), 0);
	cr_assert(strstr(text, "Z level=info event=\"peer came\" "
			       "why=\"a reason\" id=abcd "
			       "n=18446744073709551615 d=-5 r=0.5 ok=true "
			       "err=\""),
		  "%s", text);
	cr_assert(strstr(text, " short=x e=\"\"\n"), "%s", text);
}

Test(log, a_value_cannot_forge_a_line_or_a_field)
{
	const char *text;

	to_pipe();
	LOG_INFO("odd", log_text("id", "a\nlevel=broken \"x\"\\\x1b[2J\xff"));
	text = logged();
	cr_assert_eq(count_lines(text), 1);
	cr_assert(strstr(text, "id=\"a\\nlevel=broken "
			       "\\\"x\\\"\\\\\\x1b[2J\\xff\"\n"),
		  "%s", text);
}

Test(log, every_byte_gives_valid_json)
{
	char all[256];
	json_t *line;

	for (unsigned i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	to_pipe();
	log_set_format(LOG_FORMAT_JSON);
	LOG_UNUSUAL("odd", log_text("all", all), log_double("nan", 0.0 / 0.0),
		    log_hex("none", NULL, 0), log_bool("ok", false));
	line = json_loads(logged(), 0, NULL);
	cr_assert(line);
	cr_assert_str_eq(json_string_value(json_object_get(line, "level")),
			 "unusual");
	cr_assert_str_eq(json_string_value(json_object_get(line, "event")),
			 "odd");
	cr_assert_eq(json_string_value(json_object_get(line, "all"))[0], 1);
	cr_assert(json_is_null(json_object_get(line, "nan")));
	cr_assert_str_eq(json_string_value(json_object_get(line, "none")), "");
	cr_assert(json_is_false(json_object_get(line, "ok")));
	json_decref(line);
}

Test(log, a_huge_line_is_cut_between_fields)
{
	char big[3000];
	json_t *line;

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	to_pipe();
	log_set_format(LOG_FORMAT_JSON);
	LOG_INFO("big", log_text("a", big), log_text("b", big),
		 log_text("c", big), log_text("d", big));
	line = json_loads(logged(), 0, NULL);
	cr_assert(line);
	cr_assert(json_object_get(line, "a"));
	cr_assert(!json_object_get(line, "d"));
	cr_assert(json_is_true(json_object_get(line, "cut")));
	json_decref(line);
}

Test(log, levels_below_the_least_are_silent)
{
	enum log_level level;
	const char *text;

	cr_assert_eq(log_level_from_text("unusual", &level), 0);
	cr_assert_eq(level, LOG_LEVEL_UNUSUAL);
	cr_assert_eq(log_level_from_text("loud", &level), ERR_SYNTAX);
	log_set_level(LOG_LEVEL_UNUSUAL);
	to_pipe();
	LOG_DEBUG("one");
	LOG_INFO("two");
	LOG_UNUSUAL("three");
	LOG_BROKEN("four");
	text = logged();
	cr_assert_eq(count_lines(text), 2);
	cr_assert(strstr(text, "event=three\n"));
	cr_assert(strstr(text, "level=broken event=four\n"));
}

static void complain(void)
{
	LOG_UNUSUAL("again");
}

Test(log, repeats_of_one_place_are_limited_and_counted)
{
	const char *text;

	to_pipe();
	for (unsigned i = 0; i < 500; i++)
		complain();
	LOG_INFO("another place");
	usleep(1100 * 1000);
	complain();
	text = logged();
	cr_assert_geq(count_lines(text), 22);
	cr_assert_leq(count_lines(text), 26);
	cr_assert(strstr(text, "\"another place\""));
	cr_assert(strstr(text, " left_out=4"), "%s", text);
}
