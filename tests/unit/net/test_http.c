#include <criterion/criterion.h>

#include "net/http.h"

Test(http_host, addresses_and_localhost_are_known)
{
	cr_assert(http_is_host_known("127.0.0.1:8080", NULL));
	cr_assert(http_is_host_known("127.0.0.1", NULL));
	cr_assert(http_is_host_known("[::1]:80", NULL));
	cr_assert(http_is_host_known("LocalHost:9", NULL));
}

Test(http_host, other_names_must_be_listed)
{
	cr_assert_not(http_is_host_known("evil.example", NULL));
	cr_assert_not(http_is_host_known("127.0.0.1.evil.example", NULL));
	cr_assert_not(http_is_host_known("localhost.evil.example", NULL));
	cr_assert_not(http_is_host_known("", NULL));
	cr_assert_not(http_is_host_known(NULL, NULL));
	cr_assert_not(http_is_host_known("[::1", NULL));
	cr_assert(http_is_host_known("Mail.example:443",
				     "a.example, mail.example"));
	cr_assert_not(http_is_host_known("mail.example", "a.example"));
	cr_assert_not(http_is_host_known("a.exampl", "a.example"));
	cr_assert(http_is_host_known("whatever", "*"));
}

static void expect_caller(const char *header, const char *wanted)
{
	char caller[46];

	cr_assert_eq(http_read_forwarded(header, caller, sizeof(caller)),
		     wanted != NULL, "%s", header);
	if (wanted)
		cr_assert_str_eq(caller, wanted);
}

Test(http_caller, the_last_address_is_the_proxys_word)
{
	expect_caller("192.0.2.7", "192.0.2.7");
	expect_caller("10.9.9.9, 192.0.2.7", "192.0.2.7");
	expect_caller("junk,2001:db8::1 ", "2001:db8::1");
	expect_caller("192.0.2.7,", NULL);
	expect_caller("", NULL);
	expect_caller("192.0.2.7 192.0.2.8", NULL);
	expect_caller("unknown", NULL);
	expect_caller("192.0.2.7, "
		      "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111",
		      NULL);
}
