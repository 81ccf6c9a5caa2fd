#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H
/*
 * Addresses to listen on, as an operator writes them.
 *
 * Thread: any.
 */
#include <sys/socket.h>

/*
 * "ADDR:PORT" or "[ADDR]:PORT", all in digits, with a port up to 65535. 0 or
 * ERR_SYNTAX.
 */
int address_decode(const char *text, struct sockaddr_storage *out,
		   socklen_t *len);

#endif
