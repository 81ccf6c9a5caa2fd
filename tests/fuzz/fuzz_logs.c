/* A receipt and the transfers in its logs: the first byte is the index. */
#include <assert.h>
#include <string.h>

#include "auth/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t token[20], payee[20], payer[20];
	struct chain_request req = {.ask = CHAIN_ASK_RECEIPT,
				    .transfer = {token, payee, payer, 0}};
	struct chain_receipt out = {.fault = CLAIM_NO_REASON};

	if (size < 1)
		return 0;
	memset(token, 0x11, sizeof(token));
	memset(payee, 0x22, sizeof(payee));
	memset(payer, 0x33, sizeof(payer));
	memset(req.hash, 0xaa, sizeof(req.hash));
	req.transfer.index = data[0];
	if (chain_read_receipt((const char *)data + 1, size - 1, &req, &out) !=
	    CHAIN_ANSWERED)
		return 0;
	/* A transfer has a value; a fault has none. */
	assert(out.fault <= CLAIM_PAYER_MISMATCH);
	assert((out.fault == CLAIM_NO_REASON) != u256_is_zero(&out.value));
	return 0;
}
