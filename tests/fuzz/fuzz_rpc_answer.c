/*
 * What an endpoint answers: the first byte says how many requests were sent,
 * and whether as a batch; each further one what a request asked.
 */
#include <assert.h>
#include <string.h>

#include "auth/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEMS 12

static const uint8_t token[20] = {0x11}, payee[20] = {0x22}, payer[20] = {0x33};

static void set_request(struct chain_request *req, uint8_t kind)
{
	*req = (struct chain_request){
		.ask = (enum chain_ask)(kind % (CHAIN_ASK_SYMBOL + 1)),
		.number = 16,
		.transfer = {token, payee, payer, 0}};
	memset(req->hash, 0xaa, sizeof(req->hash));
}

/* Everything asked has an outcome, and text ends where it should. */
static void expect_sane(const struct chain_request *req,
			const struct chain_answer *answer)
{
	assert(answer->outcome <= CHAIN_LATER);
	if (answer->outcome != CHAIN_ANSWERED)
		return;
	if (req->ask == CHAIN_ASK_SYMBOL)
		assert(strnlen(answer->is.symbol, CHAIN_SYMBOL_MAX + 1) <=
		       CHAIN_SYMBOL_MAX);
	if (req->ask == CHAIN_ASK_BLOCK)
		assert(answer->is.header.number == req->number);
	if (req->ask == CHAIN_ASK_RECEIPT && answer->is.receipt.fault)
		assert(u256_is_zero(&answer->is.receipt.value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chain_request requests[ITEMS];
	struct chain_answer answers[ITEMS];
	unsigned index[ITEMS];
	unsigned count = size ? 1 + data[0] % ITEMS : 0;
	bool is_batch = size && (data[0] & 0x80 || count > 1);

	if (size < 1 + (size_t)count)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		set_request(&requests[i], data[1 + i]);
		index[i] = i;
	}
	(void)chain_read((const char *)data + 1 + count, size - 1 - count,
			 requests, index, count, 1, is_batch, answers);
	for (unsigned i = 0; i < count; i++)
		expect_sane(&requests[i], &answers[i]);
	return 0;
}
