/* Offers in memory, and the price of a payment (payments.md §4.4). */
#include <stdlib.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"

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

/* Out of force, and nobody may pay by it any more: another one has come. */
static uint64_t end_of(const struct kept_offers *offers, size_t i)
{
	const struct offer *offer = &offers->list[i]->offer;
	const struct offer *next = &offers->list[i + 1]->offer;
	uint64_t end_s = offer->not_after_s + offer->pay_window_s;

	return end_s > next->not_before_s ? end_s : next->not_before_s;
}

static bool has_row(struct group *group, enum ledger_table table,
		    const uint8_t *key, size_t size)
{
	MDB_val value;

	return ledger_tx_get(&group->tx, table, key, size, &value);
}

/* Removes it, unless it is in use or gone by now. */
static bool drop_one(struct group *group, const struct kept_offer *kept)
{
	uint8_t sequence[8], used[META_KEY_SIZE];

	be64_store(sequence, kept->offer.sequence);
	meta_key(used_name, kept->offer.sequence, used);
	if (has_row(group, TABLE_META, used, sizeof(used)) ||
	    !has_row(group, TABLE_OFFERS, sequence, sizeof(sequence)))
		return false;
	ledger_tx_del(&group->tx, TABLE_OFFERS, sequence, sizeof(sequence));
	ledger_tx_del(&group->tx, TABLE_OFFER_IDS, kept->hash, 32);
	return true;
}

size_t offers_drop(struct group *group, size_t max)
{
	const struct kept_offers *offers = group->offers;
	uint64_t keep_s = group->ledger->config.claim_window_s + KEEP_MARGIN_S;
	uint64_t now_s = group->deny_s;
	size_t count = 0;

	if (!offers)
		return 0;
	/* §14: a clock that runs ahead destroys nothing. It is no later than a
	 * chain that is seen says, nor, if there is none, than the end of the
	 * newest: a server at work makes two in that time. */
	if (now_s > offers->list[offers->count - 1]->offer.not_after_s)
		now_s = offers->list[offers->count - 1]->offer.not_after_s;
	for (size_t i = 0; i + 1 < offers->count && count < max; i++) {
		uint64_t end_s = end_of(offers, i);

		if (end_s < now_s && now_s - end_s > keep_s)
			count += drop_one(group, offers->list[i]);
	}
	return count;
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
