/* Offers in memory, and the price of a payment (payments.md §4.4). */
#include <stdlib.h>
#include <string.h>

#include "auth/ledger_private.h"

#define LIST_FIRST 64
/* Longer than a claim that came at the end of the window can wait (§19). */
#define KEEP_MARGIN_S (60 * 86400ull)

static const char used_name[] = "used";

void offers_mark(struct group *group, const struct offer *offer)
{
	uint8_t key[META_KEY_SIZE];
	MDB_val value;

	meta_key(used_name, offer->sequence, key);
	if (!ledger_tx_get(&group->tx, TABLE_META, key, sizeof(key), &value))
		ledger_tx_put(&group->tx, TABLE_META, key, sizeof(key), "", 0);
}

bool offers_is_kept(struct ledger_tx *tx, const struct offer *offer,
		    uint64_t now_s, uint64_t claim_window_s)
{
	uint64_t keep_s = offer->pay_window_s + claim_window_s + KEEP_MARGIN_S;
	uint8_t key[META_KEY_SIZE];
	MDB_val value;

	if (offer->not_after_s >= now_s || now_s - offer->not_after_s <= keep_s)
		return true;
	meta_key(used_name, offer->sequence, key);
	return ledger_tx_get(tx, TABLE_META, key, sizeof(key), &value) ||
	       tx->err;
}

static void list_free(struct kept_offers *offers)
{
	if (offers && offers->owns_list)
		free(offers->list);
	free(offers);
}

/* Room for one more: behind the newest, or in an array twice as long. */
static struct kept_offers *list_after(const struct kept_offers *offers)
{
	struct kept_offers *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	if (offers && offers->count < offers->max) {
		all->max = offers->max;
		all->list = offers->list;
		return all;
	}
	all->max = offers ? 2 * offers->max : LIST_FIRST;
	all->owns_list = true;
	all->list = calloc(all->max, sizeof(all->list[0]));
	if (!all->list) {
		list_free(all);
		return NULL;
	}
	for (size_t i = 0; offers && i < offers->count; i++)
		all->list[i] = offers->list[i];
	return all;
}

struct kept_offers *offers_with(struct kept_offers *offers,
				const struct offer *offer,
				const uint8_t hash[static 32],
				const uint8_t *bytes, size_t size)
{
	size_t count = offers ? offers->count : 0;
	struct kept_offers *all = list_after(offers);
	struct kept_offer *kept = malloc(sizeof(*kept) + size);

	if (!all || !kept) {
		list_free(all);
		free(kept);
		return NULL;
	}
	memcpy(kept->hash, hash, 32);
	kept->offer = *offer;
	kept->size = size;
	memcpy(kept->bytes, bytes, size);
	all->older = offers;
	all->count = count + 1;
	all->list[count] = kept;
	return all;
}

struct kept_offers *offers_without_newest(struct kept_offers *offers)
{
	struct kept_offers *older = offers->older;

	/* Each list owns the offer that came with it. */
	free(offers->list[offers->count - 1]);
	list_free(offers);
	return older;
}

void offers_free(struct kept_offers *offers)
{
	while (offers)
		offers = offers_without_newest(offers);
}

static const struct kept_offer *find_hash(const struct kept_offers *offers,
					  const uint8_t hash[static 32])
{
	for (size_t i = offers ? offers->count : 0; i-- > 0;)
		if (!memcmp(offers->list[i]->hash, hash, 32))
			return offers->list[i];
	return NULL;
}

const struct kept_offer *offers_in_force(const struct kept_offers *offers,
					 uint64_t now_s)
{
	for (size_t i = offers ? offers->count : 0; i-- > 0;)
		if (offers->list[i]->offer.not_before_s <= now_s)
			return offers->list[i];
	return NULL;
}

static struct priced option_of(const struct kept_offer *kept,
			       const struct claim *claim)
{
	struct priced priced = {.offer = kept};

	if (kept)
		priced.option = offer_find(&kept->offer, claim->chain_id,
					   claim->token, claim->payee);
	return priced;
}

struct priced offers_price(const struct kept_offers *offers,
			   const struct claim *claim, uint64_t block_time_s)
{
	const struct kept_offer *named = find_hash(offers, claim->offer_hash);
	struct priced priced = option_of(named, claim);

	if (priced.option && offer_covers_time(&named->offer, block_time_s))
		return priced;
	return option_of(offers_in_force(offers, block_time_s), claim);
}

struct priced offers_policy(const struct kept_offers *offers,
			    const struct claim_record *rec)
{
	struct priced priced = {0};

	if (rec->block_time_s)
		priced = offers_price(offers, &rec->claim, rec->block_time_s);
	if (!priced.option)
		priced = option_of(find_hash(offers, rec->claim.offer_hash),
				   &rec->claim);
	for (size_t i = offers ? offers->count : 0; i-- > 0 && !priced.option;)
		priced = option_of(offers->list[i], &rec->claim);
	return priced;
}

struct priced offers_convert(const struct kept_offers *offers, uint64_t now_s,
			     uint64_t chain_id,
			     const uint8_t token[static ADDRESS_SIZE])
{
	struct priced priced = {.offer = offers_in_force(offers, now_s)};

	for (unsigned i = 0;
	     priced.offer && i < priced.offer->offer.options_count; i++) {
		const struct offer_option *option =
			&priced.offer->offer.options[i];

		if (option->chain_id == chain_id &&
		    option->kind == PLAN_PERIOD &&
		    !memcmp(option->token, token, ADDRESS_SIZE)) {
			priced.option = option;
			break;
		}
	}
	return priced;
}
