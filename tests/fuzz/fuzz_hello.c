/* Hello: what is accepted can be encoded and is then read the same. */
#include <stdlib.h>
#include <string.h>

#include "net/p2p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct p2p_hello hello, back;
	uint8_t out[P2P_HELLO_MAX];
	size_t len;

	if (p2p_hello_decode(data, size, &hello))
		return 0;
	for (const char *c = hello.client; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			abort();
	len = p2p_hello_encode(&hello, out);
	if (p2p_hello_decode(out, len, &back) ||
	    memcmp(&hello, &back, sizeof(hello)) != 0)
		abort();
	return 0;
}
