#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H
/*
 * Where a request comes from when it came through proxies: of the addresses
 * in X-Forwarded-For only the right-most one is believed that is not a
 * trusted proxy's. Whatever stands to the left of it anybody may have
 * written. Pure.
 *
 * Addresses are 16 bytes; those of IPv4 are mapped (::ffff:a.b.c.d).
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORWARDED_ADDR_SIZE   16
#define FORWARDED_RANGES_MAX  64
#define FORWARDED_HOPS_MAX    32 /* proxies in a row that are looked through */
#define FORWARDED_ELEMENT_MAX 64

struct ip_range {
	uint8_t bytes[FORWARDED_ADDR_SIZE]; /* zero behind the prefix */
	uint8_t bits;                       /* 1..128; of IPv4: 97..128 */
};

/*
 * "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". 0, ERR_SYNTAX, or ERR_RANGE: a
 * prefix that is too long, or of no bits at all, which would be everybody.
 */
int ip_range_decode(const char *text, struct ip_range *out);
bool ip_range_covers(const struct ip_range *range,
		     const uint8_t addr[static FORWARDED_ADDR_SIZE]);

/* An address in digits, as IPv4 or IPv6. False: it is none. */
bool forwarded_addr_decode(const char *text, size_t len,
			   uint8_t out[static FORWARDED_ADDR_SIZE]);

struct forwarded {
	const struct ip_range *trusted;
	size_t trusted_count;
	bool is_peer_trusted; /* who is connected is a proxy, whatever `addr` */
	/* In: who is connected. Out: where the request comes from. */
	uint8_t addr[FORWARDED_ADDR_SIZE];
	unsigned hops; /* proxies looked through so far; 0 at first */
	bool is_over;  /* nothing further to the left is of use */
};
/*
 * One header line, the last one of a request first. What cannot be read ends
 * it: then the proxy that passed it on is where the request comes from. A
 * port behind an address ("192.0.2.7:80", "[2001:db8::1]:80") is let pass.
 */
void forwarded_line(struct forwarded *f, const char *line);

#endif
