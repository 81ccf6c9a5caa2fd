/* Signed offers, as clients and the ledger's own start read them. */
#include <assert.h>
#include <string.h>

#include "auth/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct offer offer;
	uint8_t hash[32];
	char link[OFFER_LINK_MAX];
	const char *why;

	if (offer_open(data, size, &offer, hash))
		return 0;
	/* What was taken is an offer of §4.1. */
	assert(offer_check(&offer, &why) == 0);
	assert(offer.options_count <= OFFER_OPTIONS_MAX);
	for (unsigned i = 0; i < offer.options_count; i++) {
		const struct offer_option *option = &offer.options[i];

		assert(strnlen(option->symbol, sizeof(option->symbol)) <=
		       OFFER_SYMBOL_MAX);
		(void)offer_link(option, option->terms.max_units, link);
		(void)offer_find(&offer, option->chain_id, option->token,
				 option->payee);
	}
	(void)offer_covers_time(&offer, offer.not_after_s);
	return 0;
}
