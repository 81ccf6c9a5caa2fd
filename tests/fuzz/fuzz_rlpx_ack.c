/* The ack packet, as the initiator reads it. */
#include "tests/fuzz/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char private_hex[] =
	"49a7b37aa6f6645917e7b807e9d1c00d4fa71f18343b0d4122a4d2df64dd6fee";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	handshake_fuzz(private_hex, true, data, size);
	return 0;
}
