#include "net/disc_addr.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

struct address {
	uint8_t ip[DISC_ADDR_SIZE];
};

static struct address of(const char *text)
{
	struct address a;

	cr_assert(disc_addr_decode(text, a.ip), "%s", text);
	return a;
}

static bool may(const char *other, const char *ip)
{
	return disc_addr_may_relay(of(other).ip, of(ip).ip);
}

Test(disc_addr, nobody_is_told_of_addresses_that_he_cannot_use)
{
	cr_assert(may("8.8.8.8", "9.9.9.9"));
	cr_assert(may("10.0.0.1", "9.9.9.9"));
	cr_assert(may("127.0.0.1", "127.0.0.2"));
	cr_assert(may("127.0.0.1", "192.168.7.1"));
	cr_assert(may("172.31.0.1", "10.9.8.7"));
	cr_assert_not(may("8.8.8.8", "127.0.0.1"));
	cr_assert_not(may("10.0.0.1", "127.0.0.1"));
	cr_assert_not(may("8.8.8.8", "10.0.0.1"));
	cr_assert_not(may("8.8.8.8", "100.64.3.2"));
	cr_assert_not(may("8.8.8.8", "169.254.0.1"));
	cr_assert_not(may("172.32.0.1", "172.16.0.1"));
	cr_assert(may("2a00::1", "2a00::2"));
	cr_assert(may("fe80::1", "fd00::1"));
	cr_assert(may("::1", "::1"));
	cr_assert_not(may("2a00::1", "fd00::1"));
	cr_assert_not(may("2a00::1", "::1"));
}

Test(disc_addr, special_addresses_are_told_to_nobody)
{
	/* clang-format off */
	static const char *const special[] = {
		"0.0.0.0", "192.0.0.9", "192.0.0.170", "192.0.0.171",
		"192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.2.3",
		"240.0.0.1", "255.255.255.255", "::", "100::1", "2001::1",
		"2001:db8::1", "2002:1::1", "ff02::1"};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		cr_assert(disc_addr_is_special(of(special[i]).ip), "%s",
			  special[i]);
		cr_assert_not(may("127.0.0.1", special[i]));
	}
	cr_assert_not(disc_addr_is_special(of("198.20.0.1").ip));
	cr_assert_not(disc_addr_is_special(of("223.255.255.255").ip));
	cr_assert_not(disc_addr_is_special(of("2a00:1450::1").ip));
}

Test(disc_addr, networks_are_those_of_an_operator)
{
	cr_assert(disc_addr_is_near(of("1.2.3.4").ip, of("1.2.3.255").ip));
	cr_assert_not(disc_addr_is_near(of("1.2.3.4").ip, of("1.2.4.4").ip));
	cr_assert(disc_addr_is_near(of("2a00:1450::1").ip,
				    of("2a00:1450:ffff::2").ip));
	cr_assert_not(
		disc_addr_is_near(of("2a00:1450::1").ip, of("2a00:1451::").ip));
}

static void there_and_back(const char *text, int family)
{
	struct disc4_endpoint endpoint = {.udp = 30301, .tcp = 7}, back;
	struct sockaddr_storage addr;

	memcpy(endpoint.ip, of(text).ip, DISC_ADDR_SIZE);
	cr_assert_eq(disc_addr_to_socket(&endpoint, &addr),
		     family == AF_INET ? sizeof(struct sockaddr_in)
				       : sizeof(struct sockaddr_in6));
	cr_assert_eq(addr.ss_family, family);
	disc_addr_from_socket((const struct sockaddr *)&addr, &back);
	cr_assert_arr_eq(back.ip, endpoint.ip, DISC_ADDR_SIZE);
	cr_assert_eq(back.udp, 30301);
	cr_assert_eq(back.tcp, 0);
}

Test(disc_addr, an_endpoint_becomes_a_socket_address_and_back)
{
	there_and_back("1.2.3.4", AF_INET);
	there_and_back("2a00::1", AF_INET6);
}
