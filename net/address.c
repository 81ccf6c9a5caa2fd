#include "net/address.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

#define HOST_MAX 64

/* The library takes signs, spaces and what is left of 99999 in 16 bits. */
static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && len <= 5 && !text[len] &&
	       strtoul(text, NULL, 10) <= 65535;
}

int address_decode(const char *text, struct sockaddr_storage *out,
		   socklen_t *len)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	const char *colon = strrchr(text, ':');
	char host[HOST_MAX];
	size_t n;

	if (!colon || !is_port(colon + 1))
		return ERR_SYNTAX;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(host))
		return ERR_SYNTAX;
	memcpy(host, text, n);
	host[n] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return ERR_SYNTAX;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
