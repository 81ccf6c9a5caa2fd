#include "auth/offer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"
#include "core/rlp.h"

bool policy_covers(struct policy settle, struct policy activate)
{
	if (settle.mode != activate.mode)
		return settle.mode > activate.mode;
	return settle.confirmations >= activate.confirmations;
}

/* ---- checking ---- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool policy_is_sound(struct policy policy)
{
	switch (policy.mode) {
	case POLICY_CONFIRMATIONS:
		return policy.confirmations >= 1;
	case POLICY_SAFE:
	case POLICY_FINAL:
		return policy.confirmations == 0;
	}
	return false;
}

static const char *symbol_fault(const char *symbol)
{
	size_t len = strnlen(symbol, OFFER_SYMBOL_MAX + 1);

	if (len < 1 || len > OFFER_SYMBOL_MAX)
		return "symbol must have 1 to 11 characters";
	for (size_t i = 0; i < len; i++)
		if (symbol[i] < 0x20 || symbol[i] > 0x7e)
			return "symbol must be printable ASCII";
	return NULL;
}

static const char *option_fault(const struct offer_option *option)
{
	if (option->id == 0)
		return "option-id must be 1 or more";
	if (u256_is_zero(&option->terms.price))
		return "price must be above 0";
	if (option->terms.unit_s == 0)
		return "unit must be above 0";
	if (option->terms.min_units < 1)
		return "min-units must be 1 or more";
	if (option->terms.max_units < option->terms.min_units)
		return "max-units must not be below min-units";
	if (is_zero(option->payee, ADDRESS_SIZE))
		return "payee must not be the zero address";
	if (!memcmp(option->payee, option->token, ADDRESS_SIZE))
		return "payee must not be the token";
	if (!policy_is_sound(option->activate) ||
	    !policy_is_sound(option->settle))
		return "policy must be k >= 1 confirmations, safe or finalized";
	if (!policy_covers(option->settle, option->activate))
		return "settle must not be weaker than activate";
	return symbol_fault(option->symbol);
}

int offer_check(const struct offer *offer, const char **why)
{
	*why = NULL;
	if (offer->not_after_s <= offer->not_before_s)
		*why = "not-after must be later than not-before";
	else if (offer->options_count > OFFER_OPTIONS_MAX)
		*why = "at most 16 options";
	else if (offer->options_count == 0 && !(offer->flags & OFFER_FREE_NOW))
		*why = "no option, and service is not free";
	for (unsigned i = 0; i < offer->options_count && !*why; i++) {
		*why = option_fault(&offer->options[i]);
		for (unsigned j = 0; j < i && !*why; j++)
			if (offer->options[i].id == offer->options[j].id)
				*why = "option-id is used twice";
	}
	return *why ? ERR_RANGE : 0;
}

/* ---- encoding (§4.1) ---- */

static void put_u256(struct rlp_writer *w, const struct u256 *value)
{
	uint8_t bytes[U256_SIZE];

	rlp_put_string(w, bytes, u256_to_integer(value, bytes));
}

static void put_policy(struct rlp_writer *w, struct policy policy)
{
	rlp_put_list(w);
	rlp_put_u64(w, policy.mode);
	if (policy.mode == POLICY_CONFIRMATIONS)
		rlp_put_u64(w, policy.confirmations);
	rlp_put_list_end(w);
}

static void put_option(struct rlp_writer *w, const struct offer_option *option)
{
	rlp_put_list(w);
	rlp_put_u64(w, option->id);
	rlp_put_u64(w, option->kind);
	rlp_put_u64(w, option->chain_id);
	rlp_put_string(w, option->token, ADDRESS_SIZE);
	rlp_put_u64(w, option->decimals);
	rlp_put_string(w, option->symbol, strlen(option->symbol));
	rlp_put_string(w, option->payee, ADDRESS_SIZE);
	put_u256(w, &option->terms.price);
	rlp_put_u64(w, option->terms.unit_s);
	rlp_put_u64(w, option->terms.min_units);
	rlp_put_u64(w, option->terms.max_units);
	put_policy(w, option->activate);
	put_policy(w, option->settle);
	rlp_put_list_end(w);
}

static void put_content(struct rlp_writer *w, const struct offer *offer)
{
	rlp_put_list(w);
	rlp_put_u64(w, OFFER_VERSION);
	rlp_put_string(w, offer->server, SECP_PUBLIC_SIZE);
	rlp_put_u64(w, offer->sequence);
	rlp_put_u64(w, offer->not_before_s);
	rlp_put_u64(w, offer->not_after_s);
	rlp_put_u64(w, offer->pay_window_s);
	rlp_put_u64(w, offer->flags);
	rlp_put_u64(w, offer->grace_s);
	rlp_put_list(w);
	for (unsigned i = 0; i < offer->options_count; i++)
		put_option(w, &offer->options[i]);
	rlp_put_list_end(w);
	rlp_put_list_end(w);
}

static void hash_content(const uint8_t *content, size_t len,
			 uint8_t hash[static 32])
{
	static const char prefix[] = "mail-service-offer:1:";
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, prefix, sizeof(prefix) - 1);
	keccak_absorb(&k, content, len);
	keccak_peek(&k, hash);
}

int offer_sign(const struct offer *offer, const struct secp_key *key,
	       uint8_t out[static OFFER_SIZE_MAX], size_t *out_len,
	       uint8_t hash[static 32])
{
	uint8_t content[OFFER_SIZE_MAX];
	uint8_t sig[SECP_SIGNATURE_SIZE];
	struct rlp_writer w = rlp_writer(content, sizeof(content));
	const char *why;
	size_t len;
	int err = offer_check(offer, &why);

	if (err)
		return err;
	put_content(&w, offer);
	err = rlp_put_end(&w, &len);
	if (err)
		return ERR_RANGE;
	hash_content(content, len, hash);
	secp_sign(key, hash, sig);
	w = rlp_writer(out, OFFER_SIZE_MAX);
	rlp_put_list(&w);
	rlp_put_raw(&w, content, len);
	rlp_put_string(&w, sig, sizeof(sig));
	rlp_put_list_end(&w);
	return rlp_put_end(&w, out_len) ? ERR_RANGE : 0;
}

/* ---- decoding ---- */

static void read_u256(struct rlp_reader *r, struct u256 *out)
{
	size_t len;
	const uint8_t *in = rlp_string(r, &len);

	*out = (struct u256){0};
	if (!r->err)
		r->err = u256_from_integer(in, len, out);
}

static struct policy read_policy(struct rlp_reader *r)
{
	struct rlp_reader list = rlp_list(r);
	struct policy policy = {.mode = (enum policy_mode)rlp_u8(&list)};

	if (policy.mode == POLICY_CONFIRMATIONS)
		policy.confirmations = rlp_u32(&list);
	if (list.err && !r->err)
		r->err = list.err;
	return policy;
}

static void read_option(struct rlp_reader *r, struct offer_option *option)
{
	struct rlp_reader list = rlp_list(r);
	const uint8_t *symbol;
	size_t len;

	option->id = rlp_u16(&list);
	option->kind = rlp_u8(&list);
	option->chain_id = rlp_u64(&list);
	rlp_bytes(&list, option->token, ADDRESS_SIZE);
	option->decimals = rlp_u8(&list);
	symbol = rlp_string(&list, &len);
	if (!list.err && len > OFFER_SYMBOL_MAX)
		list.err = ERR_RANGE;
	if (!list.err && len > 0)
		memcpy(option->symbol, symbol, len);
	rlp_bytes(&list, option->payee, ADDRESS_SIZE);
	read_u256(&list, &option->terms.price);
	option->terms.unit_s = rlp_u64(&list);
	option->terms.min_units = rlp_u32(&list);
	option->terms.max_units = rlp_u32(&list);
	option->activate = read_policy(&list);
	option->settle = read_policy(&list);
	if (list.err && !r->err)
		r->err = list.err;
}

static int read_content(const uint8_t *in, size_t len, struct offer *out)
{
	struct rlp_reader whole = rlp_reader(in, len);
	struct rlp_reader r = rlp_list(&whole);
	struct rlp_reader options;
	uint64_t version = rlp_u64(&r);

	if (!r.err && version != OFFER_VERSION)
		return ERR_UNSUPPORTED;
	rlp_bytes(&r, out->server, SECP_PUBLIC_SIZE);
	out->sequence = rlp_u64(&r);
	out->not_before_s = rlp_u64(&r);
	out->not_after_s = rlp_u64(&r);
	out->pay_window_s = rlp_u32(&r);
	out->flags = rlp_u32(&r);
	out->grace_s = rlp_u32(&r);
	options = rlp_list(&r);
	while (rlp_more(&options)) {
		if (out->options_count == OFFER_OPTIONS_MAX)
			return ERR_RANGE;
		read_option(&options, &out->options[out->options_count++]);
	}
	if (r.err)
		return r.err;
	return options.err ? options.err : whole.err;
}

int offer_open(const uint8_t *in, size_t len, struct offer *out,
	       uint8_t hash[static 32])
{
	struct rlp_reader whole = rlp_reader(in, len);
	struct rlp_reader r = rlp_list(&whole);
	uint8_t sig[SECP_SIGNATURE_SIZE];
	uint8_t public[SECP_PUBLIC_SIZE];
	struct offer offer = {0};
	const uint8_t *content;
	const char *why;
	size_t content_len;
	int err;

	if (len > OFFER_SIZE_MAX)
		return ERR_RANGE;
	content = rlp_raw(&r, &content_len);
	rlp_bytes(&r, sig, sizeof(sig));
	if (r.err)
		return r.err;
	err = rlp_end(&whole);
	if (err)
		return err;
	err = read_content(content, content_len, &offer);
	if (err)
		return err;
	hash_content(content, content_len, hash);
	/* §4.1: v in {0,1}, low s. */
	if (sig[64] > 1 || !secp_signature_is_low_s(sig) ||
	    secp_recover(hash, sig, public) ||
	    memcmp(public, offer.server, SECP_PUBLIC_SIZE) != 0)
		return ERR_AUTH;
	err = offer_check(&offer, &why);
	if (err)
		return err;
	*out = offer;
	return 0;
}

/* ---- questions ---- */

const struct offer_option *offer_find(const struct offer *offer,
				      uint64_t chain_id,
				      const uint8_t token[static ADDRESS_SIZE],
				      const uint8_t payee[static ADDRESS_SIZE])
{
	for (unsigned i = 0; i < offer->options_count; i++) {
		const struct offer_option *option = &offer->options[i];

		if (option->chain_id == chain_id &&
		    option->kind == PLAN_PERIOD &&
		    !memcmp(option->token, token, ADDRESS_SIZE) &&
		    !memcmp(option->payee, payee, ADDRESS_SIZE))
			return option;
	}
	return NULL;
}

bool offer_covers_time(const struct offer *offer, uint64_t block_time_s)
{
	uint64_t first = offer->not_before_s > OFFER_EARLY_S
				 ? offer->not_before_s - OFFER_EARLY_S
				 : 0;
	uint64_t last = offer->not_after_s + offer->pay_window_s;

	if (last < offer->not_after_s)
		last = UINT64_MAX;
	return block_time_s >= first && block_time_s <= last;
}

int offer_link(const struct offer_option *option, uint32_t units,
	       char out[static OFFER_LINK_MAX])
{
	char token[2 * ADDRESS_SIZE + 1];
	char payee[2 * ADDRESS_SIZE + 1];
	char amount_text[U256_DECIMAL_MAX + 1];
	struct u256 amount;

	if (u256_mul_u32(&option->terms.price, units, &amount))
		return ERR_RANGE;
	hex_encode(option->token, ADDRESS_SIZE, token);
	hex_encode(option->payee, ADDRESS_SIZE, payee);
	u256_to_decimal(&amount, amount_text);
	(void)snprintf(out, OFFER_LINK_MAX,
		       "ethereum:0x%s@%" PRIu64
		       "/transfer?address=0x%s&uint256=%s",
		       token, option->chain_id, payee, amount_text);
	return 0;
}
