#ifndef NET_DISC_ADDR_H
#define NET_DISC_ADDR_H
/*
 * Addresses in discovery: 16 bytes, those of IPv4 mapped (::ffff:a.b.c.d), and
 * which of them may be passed on to whom (protocol/discovery.md §3).
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/disc4.h"

#define DISC_ADDR_SIZE 16

bool disc_addr_is_v4(const uint8_t ip[static DISC_ADDR_SIZE]);
bool disc_addr_is_loopback(const uint8_t ip[static DISC_ADDR_SIZE]);
/* Of one network alone: loopback, private, link-local. */
bool disc_addr_is_lan(const uint8_t ip[static DISC_ADDR_SIZE]);
/* Of nobody: none at all, multicast, documentation, and the like. */
bool disc_addr_is_special(const uint8_t ip[static DISC_ADDR_SIZE]);
/* May `ip` be told to, or believed from, who is at `other`? */
bool disc_addr_may_relay(const uint8_t other[static DISC_ADDR_SIZE],
			 const uint8_t ip[static DISC_ADDR_SIZE]);
/* One network of an operator: IPv4 /24, IPv6 /32. */
bool disc_addr_is_near(const uint8_t a[static DISC_ADDR_SIZE],
		       const uint8_t b[static DISC_ADDR_SIZE]);

/* The address in digits, as IPv4 or IPv6. False: it is none. */
bool disc_addr_decode(const char *text, uint8_t out[static DISC_ADDR_SIZE]);
/* `out->tcp` becomes 0. */
void disc_addr_from_socket(const struct sockaddr *addr,
			   struct disc4_endpoint *out);
socklen_t disc_addr_to_socket(const struct disc4_endpoint *endpoint,
			      struct sockaddr_storage *out);

#endif
