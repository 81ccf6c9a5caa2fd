#include "net/forwarded.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"

static struct ip_range range_of(const char *text)
{
	struct ip_range range;

	cr_assert_eq(ip_range_decode(text, &range), 0, "%s", text);
	return range;
}

static bool is_in(const char *range, const char *addr)
{
	struct ip_range r = range_of(range);
	uint8_t bytes[FORWARDED_ADDR_SIZE];

	cr_assert(forwarded_addr_decode(addr, strlen(addr), bytes), "%s", addr);
	return ip_range_covers(&r, bytes);
}

Test(ip_range, networks_cover_what_is_in_them)
{
	cr_assert(is_in("192.0.2.7", "192.0.2.7"));
	cr_assert_not(is_in("192.0.2.7", "192.0.2.8"));
	cr_assert(is_in("10.0.0.0/8", "10.255.1.2"));
	cr_assert_not(is_in("10.0.0.0/8", "11.0.0.0"));
	cr_assert(is_in("10.1.2.3/8", "10.9.9.9"), "bits behind it are let go");
	cr_assert(is_in("192.0.2.128/25", "192.0.2.255"));
	cr_assert_not(is_in("192.0.2.128/25", "192.0.2.127"));
	cr_assert(is_in("2001:db8::/32", "2001:db8:ffff::1"));
	cr_assert_not(is_in("2001:db8::/32", "2001:db9::1"));
	cr_assert(is_in("2001:db8::/33", "2001:db8:7fff::"));
	cr_assert_not(is_in("2001:db8::/33", "2001:db8:8000::"));
	cr_assert(is_in("::1", "::1"));
	cr_assert(is_in("128.0.0.0/1", "255.255.255.255"));
	cr_assert_not(is_in("128.0.0.0/1", "127.0.0.1"));
	/* An IPv4 address is itself, however a listener names it. */
	cr_assert(is_in("10.0.0.0/8", "::ffff:10.1.1.1"));
	cr_assert(is_in("::ffff:10.0.0.0/104", "10.1.1.1"));
	cr_assert_not(is_in("10.0.0.0/8", "a01:101::"));
}

Test(ip_range, what_is_none_is_refused)
{
	static const char *const none[] = {
		"",           "10",           "10.0.0",       "10.0.0.0/",
		"10.0.0.0/x", "10.0.0.0/+8",  "10.0.0.0/08",  "10.0.0.0/8 ",
		" 10.0.0.0",  "example.org",  "unix",         "1.2.3.4:80",
		"[::1]",      "fe80::1%eth0", "10.0.0.0/8/8", NULL};
	static const char *const wide[] = {"0.0.0.0/0",   "::/0",
					   "10.0.0.0/33", "2001:db8::/129",
					   "1.2.3.4/999", NULL};
	struct ip_range range;

	for (size_t i = 0; none[i]; i++)
		cr_assert_eq(ip_range_decode(none[i], &range), ERR_SYNTAX, "%s",
			     none[i]);
	for (size_t i = 0; wide[i]; i++)
		cr_assert_eq(ip_range_decode(wide[i], &range), ERR_RANGE, "%s",
			     wide[i]);
}

/* What is believed of lines (the first one of the request first). */
static const char *come_from(const char *peer, const char *const *lines)
{
	static char text[INET6_ADDRSTRLEN];
	const struct ip_range trusted[] = {range_of("10.0.0.0/8"),
					   range_of("127.0.0.1"),
					   range_of("fd00::/8")};
	struct forwarded f = {.trusted = trusted, .trusted_count = 3};
	size_t count = 0;

	cr_assert(forwarded_addr_decode(peer, strlen(peer), f.addr));
	while (lines[count])
		count++;
	while (count > 0)
		forwarded_line(&f, lines[--count]);
	cr_assert(inet_ntop(AF_INET6, f.addr, text, sizeof(text)));
	return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}
#define EXPECT(want, peer, ...)                                                \
	cr_assert_str_eq(                                                      \
		come_from((peer), (const char *const[]){__VA_ARGS__, NULL}),   \
		(want))

Test(forwarded, the_rightmost_untrusted_address_is_believed)
{
	EXPECT("203.0.113.9", "127.0.0.1", "203.0.113.9");
	EXPECT("203.0.113.9", "127.0.0.1", "6.6.6.6, 203.0.113.9");
	EXPECT("203.0.113.9", "127.0.0.1", "6.6.6.6,203.0.113.9, 10.2.3.4");
	EXPECT("203.0.113.9", "10.0.0.1",
	       "127.0.0.1, 203.0.113.9 ,\t10.2.3.4 , 127.0.0.1");
	EXPECT("2001:db8::7", "fd00::1", "6.6.6.6, 2001:db8::7");
	EXPECT("2001:db8::7", "127.0.0.1", "[2001:db8::7]:1234, fd12::1");
	EXPECT("203.0.113.9", "127.0.0.1", "6.6.6.6, 203.0.113.9:4711");
	EXPECT("203.0.113.9", "::ffff:127.0.0.1", "::ffff:203.0.113.9");
	/* All of them are proxies: the one farthest away asks by itself. */
	EXPECT("10.0.0.7", "127.0.0.1", "10.0.0.7, 10.0.0.8");
}

Test(forwarded, who_is_no_proxy_can_say_what_he_likes)
{
	EXPECT("198.51.100.1", "198.51.100.1", "203.0.113.9");
	EXPECT("198.51.100.1", "198.51.100.1", "127.0.0.1, 10.0.0.1");
	EXPECT("198.51.100.1", "127.0.0.1", "127.0.0.1, 198.51.100.1");
	EXPECT("2001:db8::1", "2001:db8::1", "10.0.0.1");
}

Test(forwarded, several_lines_are_one_list)
{
	EXPECT("203.0.113.9", "127.0.0.1", "6.6.6.6", "203.0.113.9");
	EXPECT("203.0.113.9", "127.0.0.1", "6.6.6.6, 203.0.113.9",
	       "10.0.0.1, 10.0.0.2");
	EXPECT("203.0.113.9", "127.0.0.1", "203.0.113.9", "10.0.0.1");
}

Test(forwarded, behind_what_cannot_be_read_nothing_is_believed)
{
	static const char *const bad[] = {
		"unknown",     "",          "203.0.113.999",  "203.0.113",
		"_hidden",     "[2001::7",  "2001:db8::7]",   "[1.2.3.4]",
		"1.2.3.4:",    "1.2.3.4:x", "1.2.3.4:123456", "\"1.2.3.4\"",
		"for=1.2.3.4", "1.2.3.4 5", "[::1]x",         "fe80::1%1",
		"1.2.3.4;",    NULL};
	char line[128];

	for (size_t i = 0; bad[i]; i++) {
		(void)snprintf(line, sizeof(line), "203.0.113.9, %s, 10.0.0.3",
			       bad[i]);
		EXPECT("10.0.0.3", "127.0.0.1", line);
		(void)snprintf(line, sizeof(line), "203.0.113.9, %s", bad[i]);
		EXPECT("127.0.0.1", "127.0.0.1", line);
	}
	/* A good one after a bad one is as good as ever. */
	EXPECT("203.0.113.9", "127.0.0.1", "unknown, 203.0.113.9");
	EXPECT("127.0.0.1", "127.0.0.1", ",");
}

Test(forwarded, a_chain_of_proxies_has_an_end)
{
	static const char proxy[] = ", 10.0.0.1";
	char line[4096] = "203.0.113.9";
	size_t at = strlen(line);

	for (int i = 0; i < 100; i++, at += sizeof(proxy) - 1)
		memcpy(line + at, proxy, sizeof(proxy));
	EXPECT("10.0.0.1", "127.0.0.1", line);
}

Test(forwarded, a_socket_has_no_address_and_can_be_trusted)
{
	struct forwarded f = {.is_peer_trusted = true};
	char text[INET6_ADDRSTRLEN];

	forwarded_line(&f, "6.6.6.6, 2001:db8::9");
	cr_assert_eq(f.hops, 1);
	cr_assert(inet_ntop(AF_INET6, f.addr, text, sizeof(text)));
	cr_assert_str_eq(text, "2001:db8::9");
}
