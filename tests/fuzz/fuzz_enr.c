/* Node records: what is read keeps its bytes as text, and its fields. */
#include <assert.h>
#include <string.h>

#include "net/enr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Signed by ourselves it says the same of where the node is. */
static void check_again(const struct enr *enr)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 1}, out[ENR_SIZE_MAX];
	struct secp_key key;
	struct enr again;
	int err = secp_key_from_private(private, &key);

	assert(!err);
	err = enr_decode(out, enr_encode(enr, &key, out), &again);
	assert(!err);
	assert(again.seq == enr->seq && again.has_ip == enr->has_ip &&
	       again.has_ip6 == enr->has_ip6);
	assert(memcmp(again.ip, enr->ip, sizeof(again.ip)) == 0);
	assert(memcmp(again.ip6, enr->ip6, sizeof(again.ip6)) == 0);
	assert(again.tcp == enr->tcp && again.udp == enr->udp &&
	       again.tcp6 == enr->tcp6 && again.udp6 == enr->udp6);
}

/* As text, when it can be one. */
static void check_text(const uint8_t *data, size_t size)
{
	uint8_t out[ENR_SIZE_MAX];
	char text[ENR_TEXT_MAX], again[ENR_TEXT_MAX];
	size_t len;
	int err;

	if (size < sizeof(text)) {
		memcpy(text, data, size);
		text[size] = '\0';
		if (enr_text_decode(text, out, &len) == 0) {
			(void)enr_text_encode(out, len, again);
			assert(strcmp(text, again) == 0);
		}
	}
	if (size <= ENR_SIZE_MAX) {
		(void)enr_text_encode(data, size, text);
		err = enr_text_decode(text, out, &len);
		assert(!err && len == size && memcmp(out, data, size) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct enr enr;

	if (size > 0)
		check_text(data, size);
	if (enr_decode(data, size, &enr) == 0)
		check_again(&enr);
	return 0;
}
