/* Offers: when a new one is made, and the one that is shown (payments.md §4,
 * §19). */
#include <string.h>

#include "auth/payments_private.h"
#include "auth/scheduler.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

/* How long options whose chain does not answer hold a new offer back. */
#define PATIENCE_MS 60000

static bool is_free_at(struct payments *payments, uint64_t at_s)
{
	struct access_rules rules = gate_rules(payments_gate(payments));

	return rules.mode == ACCESS_FREE || at_s < rules.free_until_s;
}

/* All but the options, for a time. */
static struct offer frame(struct payments *payments, uint64_t from_s,
			  uint64_t until_s)
{
	const struct payments_config *config = &payments->config;
	struct offer offer = {
		.not_before_s = from_s,
		.not_after_s = until_s,
		.pay_window_s = config->offer_pay_window_s,
		.grace_s = gate_rules(payments_gate(payments)).grace_s,
	};

	memcpy(offer.server, config->key->public, SECP_PUBLIC_SIZE);
	if (is_free_at(payments, from_s))
		offer.flags |= OFFER_FREE_NOW;
	if (config->contract_proofs)
		offer.flags |= OFFER_CONTRACT_PROOFS;
	return offer;
}

/* Nothing is sold and it is not said that it is free. */
static bool is_empty(const struct offer *offer)
{
	return offer->options_count == 0 && !(offer->flags & OFFER_FREE_NOW);
}

static bool was_offered(const struct offer *last,
			const struct offer_option *option)
{
	const struct offer_option *found =
		last ? offer_find(last, option->chain_id, option->token,
				  option->payee)
		     : NULL;

	return found && found->id == option->id;
}

/*
 * The options that may be offered now. ERR_AGAIN: some chain has not been
 * heard yet, and it is too early to do without it.
 */
static int choose_options(struct payments *payments, const struct offer *last,
			  struct offer *offer)
{
	bool is_early = clock_mono_ms() - payments->started_ms < PATIENCE_MS;
	char why[256] = "";

	for (unsigned i = 0; i < payments->config.options_count; i++) {
		const struct offer_option *option =
			&payments->config.options[i];
		int err = 0;

		if (payments->scheduler)
			err = scheduler_option(payments->scheduler, i, why,
					       sizeof(why));
		if (err == ERR_AGAIN && is_early)
			return ERR_AGAIN;
		/* What was checked before stays while its chain is away. */
		if (err == ERR_AGAIN && was_offered(last, option))
			err = 0;
		if (err && payments->refused[i] != err)
			LOG_UNUSUAL("an option is not offered",
				    log_u64("option", option->id),
				    log_text("why", why));
		payments->refused[i] = err;
		if (!err)
			offer->options[offer->options_count++] = *option;
	}
	return 0;
}

/* Everything but sequence and times. */
static bool has_same_terms(const struct offer *a, const struct offer *b)
{
	if (a->flags != b->flags || a->grace_s != b->grace_s ||
	    a->pay_window_s != b->pay_window_s ||
	    memcmp(a->server, b->server, SECP_PUBLIC_SIZE) != 0 ||
	    a->options_count != b->options_count)
		return false;
	for (unsigned i = 0; i < a->options_count; i++) {
		const struct offer_option *x = &a->options[i];
		const struct offer_option *y = &b->options[i];

		if (x->id != y->id || x->kind != y->kind ||
		    x->chain_id != y->chain_id || x->decimals != y->decimals ||
		    strcmp(x->symbol, y->symbol) != 0 ||
		    memcmp(x->token, y->token, ADDRESS_SIZE) != 0 ||
		    memcmp(x->payee, y->payee, ADDRESS_SIZE) != 0 ||
		    u256_compare(&x->terms.price, &y->terms.price) != 0 ||
		    x->terms.unit_s != y->terms.unit_s ||
		    x->terms.min_units != y->terms.min_units ||
		    x->terms.max_units != y->terms.max_units ||
		    x->activate.mode != y->activate.mode ||
		    x->activate.confirmations != y->activate.confirmations ||
		    x->settle.mode != y->settle.mode ||
		    x->settle.confirmations != y->settle.confirmations)
			return false;
	}
	return true;
}

static uint64_t life(const struct offer *offer)
{
	return offer->not_after_s - offer->not_before_s;
}

/* The last offer made, if any. */
static bool read_last(struct payments *payments, struct offer *last)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	size_t len;

	return ledger_read_offer_hash(payments->ledger, UINT64_MAX, bytes, &len,
				      last, hash) == 0;
}

/* Another node key was used here before: not ours. */
static bool is_ours(const struct payments *payments, const struct offer *offer)
{
	return memcmp(offer->server, payments->config.key->public,
		      SECP_PUBLIC_SIZE) == 0;
}

/* Stored before it is shown (§4.4): the ledger alone says what is in force. */
static int publish(struct payments *payments, struct offer *offer)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	int err;

	offer->sequence = ledger_read_sequence(payments->ledger) + 1;
	err = offer_sign(offer, payments->config.key, bytes, &task.offer_size,
			 hash);
	if (!err)
		err = ledger_run(payments->ledger, &task);
	if (err)
		LOG_BROKEN("no offer could be made", log_err(err));
	else
		LOG_INFO("offer made", log_u64("sequence", offer->sequence),
			 log_hex("hash", hash, 8),
			 log_u64("not_before", offer->not_before_s),
			 log_u64("options", offer->options_count));
	return err;
}

/* Is a chain seen that is not ahead of it? */
static bool is_clock_right(const struct payments *payments, uint64_t now_s)
{
	uint64_t head_s =
		payments->scheduler ? scheduler_head_s(payments->scheduler) : 0;

	return head_s && head_s <= now_s + ACCESS_HEAD_SLACK_S;
}

/*
 * All is to come: the clock runs behind, and what it signed now would stand
 * above all of that. But if it is the very first, the clock then ran ahead; and
 * if the clock is right, all was announced.
 */
static bool is_clock_behind(struct payments *payments, const struct offer *last,
			    uint64_t now_s)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	size_t len;

	return last->not_before_s > now_s && last->sequence > 1 &&
	       !is_clock_right(payments, now_s) &&
	       ledger_read_offer(payments->ledger, now_s, bytes, &len) != 0;
}

/*
 * The settings hold now, over whatever is to come: what was announced and is
 * so no more, or what a clock made that ran ahead.
 */
static int renew(struct payments *payments, const struct offer *last,
		 uint64_t now_s)
{
	uint64_t valid_s = payments->config.offer_valid_s;
	struct offer offer = frame(payments, now_s, now_s + valid_s);
	int err = choose_options(payments, last, &offer);

	if (err)
		return err;
	if (is_empty(&offer))
		return ERR_NOTFOUND;
	if (last && last->not_before_s <= now_s &&
	    now_s < last->not_before_s + valid_s / 2 && life(last) == valid_s &&
	    has_same_terms(last, &offer))
		return 0;
	return publish(payments, &offer);
}

/* ---- a price that is announced (§4.4) ---- */

/* What is offered until then is what was offered last, to the very moment.
 * Leaves out what cannot be looked at any more. */
static struct offer carry_on(struct payments *payments,
			     const struct offer *present, uint64_t now_s,
			     uint64_t from_s)
{
	struct offer offer = frame(payments, now_s, from_s);

	for (unsigned i = 0; i < present->options_count; i++) {
		const struct offer_option *option = &present->options[i];

		if (payments_has_chain(&payments->config, option->chain_id))
			offer.options[offer.options_count++] = *option;
	}
	return offer;
}

/*
 * The present offer and the announced one are the last two, in this order: the
 * highest sequence whose time has come is in force, so one between them would
 * be, too, and the present one cannot be made anew without the other.
 */
static int announce(struct payments *payments, const struct offer *last,
		    uint64_t now_s, uint64_t from_s)
{
	struct offer present, carried;
	struct offer next = frame(payments, from_s,
				  from_s + payments->config.offer_valid_s);
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	bool is_announced;
	size_t len;
	int err = choose_options(payments, last, &next);

	if (err)
		return err;
	is_announced = last && last->not_before_s == from_s &&
		       has_same_terms(last, &next);
	if (last &&
	    ledger_read_offer_hash(payments->ledger, now_s, bytes, &len,
				   &present, hash) == 0 &&
	    is_ours(payments, &present)) {
		carried = carry_on(payments, &present, now_s, from_s);
		if (!is_empty(&carried) &&
		    (present.sequence + is_announced != last->sequence ||
		     present.not_after_s < from_s ||
		     !has_same_terms(&present, &carried))) {
			err = publish(payments, &carried);
			is_announced = false;
		}
	}
	if (err || is_announced)
		return err;
	return is_empty(&next) ? ERR_NOTFOUND : publish(payments, &next);
}

int offers_refresh(struct payments *payments)
{
	uint64_t now_s = clock_wall_s();
	uint64_t from_s = payments->config.offer_from_s;
	struct offer newest;
	const struct offer *last =
		read_last(payments, &newest) ? &newest : NULL;

	if (last && is_clock_behind(payments, last, now_s))
		return 0;
	return from_s > now_s ? announce(payments, last, now_s, from_s)
			      : renew(payments, last, now_s);
}

/* ---- what is shown ---- */

int payments_offer(struct payments *payments,
		   uint8_t out[static OFFER_SIZE_MAX], size_t *len,
		   uint8_t hash[static 32])
{
	uint64_t now_s = clock_wall_s();
	struct offer offer;
	int err = ledger_read_offer_hash(payments->ledger, now_s, out, len,
					 &offer, hash);

	if (err)
		return err;
	return is_ours(payments, &offer) && now_s <= offer.not_after_s
		       ? 0
		       : ERR_NOTFOUND;
}

int payments_next_offer(struct payments *payments,
			uint8_t out[static OFFER_SIZE_MAX], size_t *len,
			uint8_t hash[static 32])
{
	struct offer offer;
	int err = ledger_read_offer_hash(payments->ledger, UINT64_MAX, out, len,
					 &offer, hash);

	if (err)
		return err;
	return is_ours(payments, &offer) && offer.not_before_s > clock_wall_s()
		       ? 0
		       : ERR_NOTFOUND;
}
