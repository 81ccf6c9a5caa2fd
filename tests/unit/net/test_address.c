#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

#include "core/err.h"
#include "net/address.h"

Test(address, both_families_are_read)
{
	struct sockaddr_storage addr;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr;
	socklen_t len;

	cr_assert_eq(address_decode("127.0.0.1:30303", &addr, &len), 0);
	cr_assert_eq(len, sizeof(*v4));
	cr_assert_eq(v4->sin_family, AF_INET);
	cr_assert_eq(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	cr_assert_eq(ntohs(v4->sin_port), 30303);
	cr_assert_eq(address_decode("[::1]:0", &addr, &len), 0);
	cr_assert_eq(len, sizeof(*v6));
	cr_assert(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	cr_assert_eq(v6->sin6_port, 0);
	cr_assert_eq(address_decode("0.0.0.0:65535", &addr, &len), 0);
}

Test(address, what_is_none_is_refused)
{
	static const char *const wrong[] = {
		"",
		":",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:99999",
		"127.0.0.1:4294967376",
		"127.0.0.1:-1",
		"127.0.0.1:+80",
		"127.0.0.1: 80",
		"127.0.0.1:80x",
		"127.0.0.1:http",
		"localhost:80",
		"127.0.0.256:80",
		"[::1:80",
		"[]:80",
		"[::1]80",
		"unix:/run/x",
	};
	struct sockaddr_storage addr;
	socklen_t len;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(address_decode(wrong[i], &addr, &len), ERR_SYNTAX,
			     "%s", wrong[i]);
}
