/* Settings: kinds and bounds, layers and origins, every message at once. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/settings.h"

static const struct setting table[] = {
	{"net.rings", "r", SETTING_U64, "0", "0", "256", "threads", "rings"},
	{"net.listen", "listen", SETTING_TEXT, "0.0.0.0:1", "1", "20", NULL,
	 "where"},
	{"net.io", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|uring|epoll",
	 "engine"},
	{"net.peers[]", "peer", SETTING_TEXT, "", "1", "20", "enode", "peers"},
	{"net.on", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, "switch"},
	{"mail.pow", NULL, SETTING_REAL, "0.000002", "0", "10", NULL, "pow"},
	{"mail.size", NULL, SETTING_BYTES, "1M", "1", "4G", NULL, "size"},
	{"mail.age", NULL, SETTING_DURATION, "30d", "5ms", "100d", NULL, "age"},
	{"mail.password", NULL, SETTING_SECRET, "inbox", "1", "30", NULL, "pw"},
	{"chain.*.id", NULL, SETTING_U64, NULL, "1", NULL, NULL, "chain id"},
	{"chain.*.quorum", NULL, SETTING_U64, "1", "1", "9", NULL, "quorum"},
	{"chain.*.endpoints[].url", NULL, SETTING_TEXT, NULL, "1", "99", NULL,
	 "url"},
	{"chain.*.endpoints[].group", NULL, SETTING_TEXT, "a", "1", "9", NULL,
	 "group"},
	{"option[].price", NULL, SETTING_TEXT, NULL, "1", "78", NULL, "price"},
	{"option[].label", NULL, SETTING_TEXT, "", "0", "9", NULL, "label"},
	{0},
};

static struct settings *s;

static void begin(void)
{
	s = settings_new(table);
	cr_assert(s);
}

static void end(void)
{
	settings_free(s);
}

TestSuite(settings, .init = begin, .fini = end);

static void read_text(const char *text)
{
	settings_read_text(s, "f.yaml", text, strlen(text));
	settings_check(s);
}

static void set(enum setting_layer layer, const char *name, const char *value)
{
	struct setting_origin origin = {layer, name, 0};

	settings_set(s, name, value, &origin);
}

static void assert_no_errors(void)
{
	for (size_t i = 0; i < settings_errors_count(s); i++)
		cr_log_error("%s", settings_error(s, i));
	cr_assert_eq(settings_errors_count(s), 0);
}

/* The one error there is. */
static void assert_refused(const char *text, const char *error)
{
	read_text(text);
	cr_assert_eq(settings_errors_count(s), 1, "%s", text);
	cr_assert_str_eq(settings_error(s, 0), error);
}

Test(settings, without_anything_the_defaults_hold)
{
	settings_check(s);
	assert_no_errors();
	cr_assert_eq(settings_u64(s, "net.rings"), 0);
	cr_assert_str_eq(settings_text(s, "net.io"), "auto");
	cr_assert_eq(settings_word(s, "net.io"), 0);
	cr_assert_eq(settings_count(s, "net.peers"), 0);
	cr_assert_not(settings_bool(s, "net.on"));
	cr_assert_eq(settings_real(s, "mail.pow"), 0.000002);
	cr_assert_eq(settings_u64(s, "mail.size"), 1u << 20);
	cr_assert_eq(settings_ms(s, "mail.age"), 2592000000u);
	cr_assert_eq(settings_s(s, "mail.age"), 2592000u);
	cr_assert_not(settings_is_given(s, "mail.age"));
}

Test(settings, a_file_is_read)
{
	read_text("net:\n  rings: 4\n  io: epoll\n  on: yes\n"
		  "  peers: [one, \"two\"]\n"
		  "mail: {pow: 1e-3, size: 4G, age: 5ms, password: a b}\n"
		  "chain:\n  # nothing\n");
	assert_no_errors();
	cr_assert_eq(settings_u64(s, "net.rings"), 4);
	cr_assert_eq(settings_word(s, "net.io"), 2);
	cr_assert(settings_bool(s, "net.on"));
	cr_assert_eq(settings_count(s, "net.peers"), 2);
	cr_assert_str_eq(settings_text(s, "net.peers[%u]", 1u), "two");
	cr_assert_eq(settings_real(s, "mail.pow"), 0.001);
	cr_assert_eq(settings_u64(s, "mail.size"), UINT64_C(1) << 32);
	cr_assert_eq(settings_ms(s, "mail.age"), 5);
	cr_assert_str_eq(settings_text(s, "mail.password"), "a b");
	cr_assert(settings_is_given(s, "mail.age"));
}

Test(settings, records_are_named_and_counted)
{
	char key[SETTINGS_KEY_MAX];

	read_text("chain:\n"
		  "  mainnet:\n    id: 1\n    quorum: 2\n    endpoints:\n"
		  "      - url: http://a\n      - {url: http://b, group: z}\n"
		  "  sepolia:\n    id: 11155111\n"
		  "option:\n  - price: \"10\"\n  - {price: 20, label: x}\n");
	assert_no_errors();
	cr_assert(settings_key(s, "chain", 0, key));
	cr_assert_str_eq(key, "mainnet");
	cr_assert(settings_key(s, "chain", 1, key));
	cr_assert_str_eq(key, "sepolia");
	cr_assert_eq(settings_u64(s, "chain.%s.id", key), 11155111);
	cr_assert_eq(settings_u64(s, "chain.%s.quorum", key), 1);
	cr_assert_not(settings_key(s, "chain", 2, key));
	cr_assert_eq(settings_count(s, "chain.%s.endpoints", "mainnet"), 2);
	cr_assert_str_eq(settings_text(s, "chain.mainnet.endpoints[1].url"),
			 "http://b");
	cr_assert_str_eq(settings_text(s, "chain.mainnet.endpoints[0].group"),
			 "a");
	cr_assert_eq(settings_count(s, "option"), 2);
	cr_assert_str_eq(settings_text(s, "option[%d].price", 1), "20");
	cr_assert_str_eq(settings_text(s, "option[0].label"), "");
}

Test(settings, what_a_record_requires_is_missed_once)
{
	read_text("chain:\n  m:\n    quorum: 2\n    endpoints:\n"
		  "      - group: x\noption:\n  - price: 1\n  - label: y\n");
	cr_assert_eq(settings_errors_count(s), 3);
	cr_assert_str_eq(settings_error(s, 0),
			 "f.yaml:3: chain.m.id: is required and missing "
			 "(chain id)");
	cr_assert_str_eq(settings_error(s, 1),
			 "f.yaml:5: chain.m.endpoints[0].url: is required and "
			 "missing (url)");
	cr_assert_str_eq(settings_error(s, 2),
			 "f.yaml:8: option[1].price: is required and missing "
			 "(price)");
}

Test(settings, everything_wrong_is_said_with_its_line)
{
	read_text(
		"net:\n  rings: 257\n  ring: 1\n  io: fast\n"
		"  listen: a234567890123456789012345\n  on: 1\n"
		"mail:\n  size: 5G\n  age: 30\n  pow: -1\n  password: \"\"\n");
	cr_assert_eq(settings_errors_count(s), 9);
	cr_assert_str_eq(settings_error(s, 0),
			 "f.yaml:2: net.rings: 257 is out of range; allowed: "
			 "0 to 256 threads");
	cr_assert_str_eq(settings_error(s, 1),
			 "f.yaml:3: net.ring: unknown setting; did you mean "
			 "net.rings?");
	cr_assert_str_eq(settings_error(s, 2),
			 "f.yaml:4: net.io: fast is not one of auto, uring, "
			 "epoll");
	cr_assert_str_eq(settings_error(s, 3),
			 "f.yaml:5: net.listen: a234567890123456789012345 is "
			 "out of range; allowed: 1 to 20 characters");
	cr_assert_str_eq(settings_error(s, 4),
			 "f.yaml:6: net.on: 1 is not true or false");
	cr_assert_str_eq(settings_error(s, 6),
			 "f.yaml:9: mail.age: 30 is not a duration such as "
			 "5ms, 10s, 30m, 12h or 30d; allowed: 5ms to 100d");
	cr_assert_str_eq(settings_error(s, 8),
			 "f.yaml:11: mail.password: the value is out of range; "
			 "allowed: 1 to 30 characters");
	cr_assert_eq(settings_u64(s, "net.rings"), 0);
}

Test(settings, numbers_do_not_wrap)
{
	read_text(
		"net:\n  rings: 18446744073709551616\n"
		"mail:\n  size: 17592186044416T\n  age: 99999999999999999d\n");
	cr_assert_eq(settings_errors_count(s), 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert(strstr(settings_error(s, i), "out of range"));
}

Test(settings, setting_twice_in_a_file_is_refused)
{
	assert_refused("net:\n  rings: 1\n  rings: 2\n",
		       "f.yaml:3: net.rings: is set already on line 2");
}

Test(settings, shapes_that_do_not_fit_are_refused)
{
	assert_refused("net: 5\n", "f.yaml:1: net: is a section, not a value");
}

Test(settings, a_value_left_out_is_refused)
{
	assert_refused("net:\n  rings:\n", "f.yaml:2: net.rings: has no value");
}

Test(settings, aliases_are_refused)
{
	assert_refused("net: &a\n  rings: 1\nmail: *a\n",
		       "f.yaml:3: mail: aliases are not allowed");
}

Test(settings, broken_yaml_is_named_by_line)
{
	read_text("net:\n  peers: [a\nmail:\n");
	cr_assert_geq(settings_errors_count(s), 1);
	cr_assert_eq(strncmp(settings_error(s, 0), "f.yaml:3: ", 10), 0, "%s",
		     settings_error(s, 0));
}

Test(settings, deep_nesting_ends)
{
	read_text("a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}\n");
	cr_assert_eq(settings_errors_count(s), 1);
	cr_assert(strstr(settings_error(s, 0), "nested too deep"));
}

Test(settings, messages_are_bounded_and_plain)
{
	static char text[64 * 400];
	char *at = text;

	for (unsigned i = 0; i < 400; i++)
		at += sprintf(at, "name%u: \"\\e[2J\"\n", i);
	read_text(text);
	cr_assert_eq(settings_errors_count(s), 101);
	cr_assert_str_eq(settings_error(s, 100), "and more");
	settings_refuse(s, "net.rings", "with \x1b[2J in it");
	cr_assert_eq(settings_errors_count(s), 101);
}

Test(settings, higher_layers_replace_lower_ones)
{
	char a[] = "RESTANTE_NET_RINGS=5";
	char b[] = "RESTANTE_MAIL_AGE=1h";
	char c[] = "RESTANTE_NET_PEERS=x,y";
	char d[] = "OTHER=1";
	char e[] = "RESTANTE_TEST_A=1";
	char *variables[] = {a, b, c, d, e, NULL};
	const char *others[] = {"RESTANTE_TEST_", NULL};

	read_text("net:\n  rings: 4\n  io: epoll\n  peers: [a, b, c]\n");
	settings_read_env(s, "RESTANTE_", variables, others);
	set(LAYER_FLAG, "r", "6");
	assert_no_errors();
	cr_assert_eq(settings_u64(s, "net.rings"), 6);
	cr_assert_eq(settings_s(s, "mail.age"), 3600);
	cr_assert_str_eq(settings_text(s, "net.io"), "epoll");
	cr_assert_eq(settings_count(s, "net.peers"), 2);
	cr_assert_str_eq(settings_text(s, "net.peers[0]"), "x");
	set(LAYER_FLAG, "peer", "p");
	set(LAYER_FLAG, "peer", "q");
	cr_assert_eq(settings_count(s, "net.peers"), 2);
	cr_assert_str_eq(settings_text(s, "net.peers[1]"), "q");
}

Test(settings, an_unknown_variable_is_refused)
{
	char a[] = "RESTANTE_NET_RING=5";
	char b[] = "RESTANTE_NET_RINGS=x";
	char *variables[] = {a, b, NULL};
	const char *others[] = {NULL};

	settings_read_env(s, "RESTANTE_", variables, others);
	cr_assert_eq(settings_errors_count(s), 2);
	cr_assert_str_eq(settings_error(s, 0),
			 "RESTANTE_NET_RING: names no setting");
	cr_assert_str_eq(settings_error(s, 1),
			 "RESTANTE_NET_RINGS: x is not a whole number; "
			 "allowed: 0 to 256 threads");
}

static char *printed(void (*print)(FILE *))
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert(out);
	print(out);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static void print_values(FILE *out)
{
	settings_print(s, out);
}

static void print_example(FILE *out)
{
	settings_print_example(table, out);
}

Test(settings, values_are_shown_with_their_origin_but_no_secret)
{
	char *text;

	read_text("mail:\n  password: geheim\n  age: 7d\n");
	set(LAYER_FLAG, "--listen", "x");
	text = printed(print_values);
	cr_assert(strstr(text, " 7d "));
	cr_assert(strstr(text, " f.yaml:3\n"));
	cr_assert(strstr(text, "(secret)"));
	cr_assert_null(strstr(text, "geheim"));
	free(text);
}

/* Take the marks of comment from before the names. */
static void uncomment(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] != '#' || from[1] == ' ')
			*to++ = *from;
	}
	*to = '\0';
}

Test(settings, the_example_file_is_a_file_of_settings)
{
	char *text = printed(print_example);

	read_text(text);
	assert_no_errors();
	cr_assert_not(settings_is_given(s, "mail.age"));
	uncomment(text);
	read_text(text);
	assert_no_errors();
	cr_assert(settings_is_given(s, "mail.age"));
	free(text);
}
