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
