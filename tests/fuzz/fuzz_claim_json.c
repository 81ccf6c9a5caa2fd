/* JSON of strangers: a claim that is filed, and answers of a server. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claim_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void file_claim(const char *in, size_t len)
{
	static struct claim_body body, again;
	const char *why = NULL;
	enum intake code = claim_json_decode(in, len, &body, &why);
	uint8_t a[CLAIM_KEY_SIZE], b[CLAIM_KEY_SIZE];
	char *text;

	assert((code == INTAKE_OK) == (why == NULL));
	if (code != INTAKE_OK)
		return;
	text = claim_json_encode(&body.claim);
	if (text && strlen(text) <= CLAIM_JSON_MAX) {
		code = claim_json_decode(text, strlen(text), &again, &why);
		assert(code == INTAKE_OK);
		claim_key(&body.claim, a);
		claim_key(&again.claim, b);
		assert(memcmp(a, b, sizeof(a)) == 0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data;
	static uint8_t offer[OFFER_SIZE_MAX];
	struct claim_status status;
	struct answer_error error;
	size_t len;

	file_claim(in, size);
	if (claim_json_read(in, size, &status) == 0)
		free(claim_json_status(&status));
	(void)claim_json_read_error(in, size, &error);
	(void)offer_json_decode(in, size, offer, &len);
	return 0;
}
