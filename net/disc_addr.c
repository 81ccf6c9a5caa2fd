#include "net/disc_addr.h"

#include <netinet/in.h>
#include <string.h>

#include "net/forwarded.h"

#define V4_AT 12 /* where an address of IPv4 stands */

/* clang-format off */
#define V4(a, b, c, d, len) \
	{.bytes = {[10] = 0xff, [11] = 0xff, a, b, c, d}, .bits = 96 + (len)}
#define V6(len, ...) {.bytes = {__VA_ARGS__}, .bits = (len)}

static const struct ip_range loopback[] = {
	V4(127, 0, 0, 0, 8),
	V6(128, [15] = 1),
};

static const struct ip_range lan[] = {
	V4(0, 0, 0, 0, 8), V4(10, 0, 0, 0, 8), V4(100, 64, 0, 0, 10),
	V4(127, 0, 0, 0, 8), V4(169, 254, 0, 0, 16), V4(172, 16, 0, 0, 12),
	V4(192, 168, 0, 0, 16),
	V6(128, [15] = 1), V6(10, 0xfe, 0x80), V6(7, 0xfc),
};

/* As deployed (RFC 5735, RFC 5156, IANA), and multicast and class E. */
static const struct ip_range special[] = {
	V4(0, 0, 0, 0, 32), V4(192, 0, 0, 0, 29), V4(192, 0, 0, 9, 32),
	V4(192, 0, 0, 170, 31), V4(192, 0, 2, 0, 24),
	V4(192, 31, 196, 0, 24), V4(192, 52, 193, 0, 24),
	V4(192, 88, 99, 0, 24), V4(192, 175, 48, 0, 24),
	V4(198, 18, 0, 0, 15), V4(198, 51, 100, 0, 24),
	V4(203, 0, 113, 0, 24), V4(224, 0, 0, 0, 3),
	V6(128, 0),
	V6(64, 0x01, 0x00),
	V6(32, 0x20, 0x01, 0x00, 0x00), V6(128, 0x20, 0x01, 0x00, 0x01, [15] = 1),
	V6(48, 0x20, 0x01, 0x00, 0x02), V6(32, 0x20, 0x01, 0x00, 0x03),
	V6(48, 0x20, 0x01, 0x00, 0x04, 0x01, 0x12),
	V6(32, 0x20, 0x01, 0x00, 0x05), V6(28, 0x20, 0x01, 0x00, 0x10),
	V6(28, 0x20, 0x01, 0x00, 0x20), V6(32, 0x20, 0x01, 0x0d, 0xb8),
	V6(16, 0x20, 0x02), V6(8, 0xff),
};
/* clang-format on */

#define COVERS(ranges, ip)                                                     \
	covers(ranges, sizeof(ranges) / sizeof((ranges)[0]), ip)

static bool covers(const struct ip_range *ranges, size_t count,
		   const uint8_t *ip)
{
	for (size_t i = 0; i < count; i++)
		if (ip_range_covers(&ranges[i], ip))
			return true;
	return false;
}

bool disc_addr_is_v4(const uint8_t ip[static DISC_ADDR_SIZE])
{
	static const struct ip_range v4 = V4(0, 0, 0, 0, 0);

	return ip_range_covers(&v4, ip);
}

bool disc_addr_is_loopback(const uint8_t ip[static DISC_ADDR_SIZE])
{
	return COVERS(loopback, ip);
}

bool disc_addr_is_lan(const uint8_t ip[static DISC_ADDR_SIZE])
{
	return COVERS(lan, ip);
}

bool disc_addr_is_special(const uint8_t ip[static DISC_ADDR_SIZE])
{
	return COVERS(special, ip);
}

bool disc_addr_may_relay(const uint8_t other[static DISC_ADDR_SIZE],
			 const uint8_t ip[static DISC_ADDR_SIZE])
{
	if (disc_addr_is_special(ip))
		return false;
	if (disc_addr_is_loopback(ip))
		return disc_addr_is_loopback(other);
	return !disc_addr_is_lan(ip) || disc_addr_is_lan(other);
}

bool disc_addr_is_near(const uint8_t a[static DISC_ADDR_SIZE],
		       const uint8_t b[static DISC_ADDR_SIZE])
{
	return memcmp(a, b, disc_addr_is_v4(a) ? V4_AT + 3 : 4) == 0;
}

bool disc_addr_decode(const char *text, uint8_t out[static DISC_ADDR_SIZE])
{
	return forwarded_addr_decode(text, strlen(text), out);
}

void disc_addr_from_socket(const struct sockaddr *addr,
			   struct disc4_endpoint *out)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	memset(out, 0, sizeof(*out));
	if (addr->sa_family == AF_INET) {
		memcpy(&in, addr, sizeof(in));
		out->ip[10] = out->ip[11] = 0xff;
		memcpy(out->ip + V4_AT, &in.sin_addr, 4);
		out->udp = ntohs(in.sin_port);
	} else {
		memcpy(&in6, addr, sizeof(in6));
		memcpy(out->ip, &in6.sin6_addr, DISC_ADDR_SIZE);
		out->udp = ntohs(in6.sin6_port);
	}
}

socklen_t disc_addr_to_socket(const struct disc4_endpoint *endpoint,
			      struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (disc_addr_is_v4(endpoint->ip)) {
		in->sin_family = AF_INET;
		in->sin_port = htons(endpoint->udp);
		memcpy(&in->sin_addr, endpoint->ip + V4_AT, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(endpoint->udp);
	memcpy(&in6->sin6_addr, endpoint->ip, DISC_ADDR_SIZE);
	return sizeof(*in6);
}
