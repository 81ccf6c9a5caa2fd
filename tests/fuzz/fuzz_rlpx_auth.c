/* The auth packet, as the recipient reads it. */
#include "tests/fuzz/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char private_hex[] =
	"b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	handshake_fuzz(private_hex, false, data, size);
	return 0;
}
