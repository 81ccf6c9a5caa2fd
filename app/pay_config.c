#include "app/pay_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/when.h"
#include "auth/rpc.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/enode.h"
#include "core/err.h"

/* An offer that is announced for longer is a slip of the pen. */
#define FROM_MAX_S (366 * 86400ull)

/* ---- texts ---- */

static bool is_digits(const char *text, size_t len)
{
	return len > 0 && strspn(text, "0123456789") >= len;
}

int pay_config_price(const char *text, unsigned decimals, struct u256 *out)
{
	size_t whole = strcspn(text, ".");
	size_t rest = text[whole] ? strlen(text + whole + 1) : 0;
	char digits[2 * U256_DECIMAL_MAX + 1];
	size_t len = 0, skip = 0;

	if (!is_digits(text, whole) ||
	    (text[whole] && !is_digits(text + whole + 1, rest)))
		return ERR_SYNTAX;
	if (rest > decimals || whole + decimals >= sizeof(digits))
		return ERR_RANGE;
	memcpy(digits, text, whole);
	len = whole;
	memcpy(digits + len, text + whole + (rest ? 1 : 0), rest);
	memset(digits + len + rest, '0', decimals - rest);
	digits[len + decimals] = '\0';
	while (digits[skip] == '0' && digits[skip + 1])
		skip++;
	return u256_from_decimal(digits + skip, out);
}

int pay_config_policy(const char *text, struct policy *out)
{
	*out = (struct policy){0};
	if (strcmp(text, "safe") == 0) {
		out->mode = POLICY_SAFE;
	} else if (strcmp(text, "finalized") == 0) {
		out->mode = POLICY_FINAL;
	} else if (is_digits(text, strlen(text)) && strlen(text) < 7 &&
		   strtoul(text, NULL, 10) > 0) {
		out->mode = POLICY_CONFIRMATIONS;
		out->confirmations = (uint32_t)strtoul(text, NULL, 10);
	} else {
		return ERR_SYNTAX;
	}
	return 0;
}

#define REFUSE(s, why, ...)                                                    \
	do {                                                                   \
		char path_[SETTINGS_PATH_MAX];                                 \
		(void)snprintf(path_, sizeof(path_), __VA_ARGS__);             \
		settings_refuse((s), path_, (why));                            \
	} while (0)

static bool read_hex(const char *text, uint8_t *out, size_t len)
{
	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	return hex_decode(text, strlen(text), out, len) == 0;
}

/* ---- chains ---- */

/* "Name: value", and nothing that would be a second one. */
static bool is_header(const char *text)
{
	size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return name > 0 && text[name] == ':' && !strpbrk(text, "\r\n");
}

static void read_endpoint(struct settings *s, const char *name, size_t i,
			  struct endpoint_config *out)
{
	const char *header =
		settings_text(s, "chain.%s.endpoints[%zu].header", name, i);
	const char *group =
		settings_text(s, "chain.%s.endpoints[%zu].group", name, i);

	const char *fault;

	out->url = settings_text(s, "chain.%s.endpoints[%zu].url", name, i);
	fault = rpc_url_fault(out->url,
			      settings_bool(s, "chain.%s.plain_http", name));
	if (fault)
		REFUSE(s, fault, "chain.%s.endpoints[%zu].url", name, i);
	if (*header && !is_header(header))
		REFUSE(s, "is no header; wanted: Name: value",
		       "chain.%s.endpoints[%zu].header", name, i);
	out->header = *header ? header : NULL;
	out->group = *group ? group : NULL;
	out->batch_max = (unsigned)settings_u64(
		s, "chain.%s.endpoints[%zu].batch_max", name, i);
	out->requests_per_s = (unsigned)settings_u64(
		s, "chain.%s.endpoints[%zu].requests_per_s", name, i);
}

static void read_chain(struct settings *s, const char *name,
		       struct chain_config *out)
{
	const char *genesis = settings_text(s, "chain.%s.genesis", name);
	size_t count = settings_count(s, "chain.%s.endpoints", name);

	out->name = name;
	out->id = settings_u64(s, "chain.%s.id", name);
	out->block_time_s =
		(uint32_t)settings_s(s, "chain.%s.block_time", name);
	out->timeout_ms = (unsigned)settings_ms(s, "chain.%s.timeout", name);
	out->rest_ms = (unsigned)settings_ms(s, "chain.%s.rest", name);
	out->start_block = settings_u64(s, "chain.%s.start_block", name);
	out->quorum = (unsigned)settings_u64(s, "chain.%s.quorum", name);
	out->allow_plain_http = settings_bool(s, "chain.%s.plain_http", name);
	out->has_genesis = *genesis != '\0';
	if (out->has_genesis && !read_hex(genesis, out->genesis, 32))
		REFUSE(s, "is no hash; wanted: 64 hex digits",
		       "chain.%s.genesis", name);
	if (count == 0 || count > PAYMENTS_ENDPOINTS_MAX) {
		REFUSE(s, "1 to 8 are wanted", "chain.%s.endpoints", name);
		return;
	}
	for (size_t i = 0; i < count; i++)
		read_endpoint(s, name, i, &out->endpoints[i]);
	out->endpoints_count = (unsigned)count;
	if ((size_t)out->quorum > count)
		REFUSE(s, "is more than there are endpoints", "chain.%s.quorum",
		       name);
	if ((size_t)out->quorum * 2 <= count)
		REFUSE(s,
		       "must be more than half of the endpoints: fewer could "
		       "be outvoted by liars",
		       "chain.%s.quorum", name);
}

/* Is the chain being read one that has been named already? */
static void refuse_same_chain(struct settings *s,
			      const struct payments_config *payments)
{
	const struct chain_config *chain =
		&payments->chains[payments->chains_count];

	for (unsigned i = 0; i < payments->chains_count; i++)
		if (payments->chains[i].id == chain->id)
			REFUSE(s, "another chain has this id too",
			       "chain.%s.id", chain->name);
}

static void read_chains(struct settings *s, struct pay_config *out)
{
	struct payments_config *payments = &out->payments;

	out->names = calloc(PAYMENTS_CHAINS_MAX + 1, sizeof(*out->names));
	if (!out->names)
		abort();
	while (settings_key(s, "chain", payments->chains_count,
			    out->names[payments->chains_count])) {
		if (payments->chains_count == PAYMENTS_CHAINS_MAX) {
			settings_refuse(s, "chain", "at most 8 are wanted");
			return;
		}
		read_chain(s, out->names[payments->chains_count],
			   &payments->chains[payments->chains_count]);
		refuse_same_chain(s, payments);
		payments->chains_count++;
	}
}

/* ---- options ---- */

/* §19, as far as it needs no chain: the zero address is nobody's. */
static void read_address(struct settings *s, const char *field, size_t i,
			 uint8_t out[static ADDRESS_SIZE])
{
	static const uint8_t zero[ADDRESS_SIZE];
	const char *text = settings_text(s, "option[%zu].%s", i, field);

	if (!read_hex(text, out, ADDRESS_SIZE))
		REFUSE(s, "is no address; wanted: 0x and 40 hex digits",
		       "option[%zu].%s", i, field);
	else if (memcmp(out, zero, ADDRESS_SIZE) == 0)
		REFUSE(s, "is the zero address", "option[%zu].%s", i, field);
}

static void read_symbol(struct settings *s, size_t i, char *out, size_t size)
{
	const char *text = settings_text(s, "option[%zu].symbol", i);

	for (const char *c = text; *c; c++) {
		if (*c >= ' ' && *c <= '~')
			continue;
		REFUSE(s, "is more than printable ASCII", "option[%zu].symbol",
		       i);
		break;
	}
	(void)snprintf(out, size, "%s", text);
}

static void read_policy(struct settings *s, const char *field, size_t i,
			struct policy *out)
{
	const char *text = settings_text(s, "option[%zu].%s", i, field);

	if (pay_config_policy(text, out))
		REFUSE(s, "wanted: a number of blocks, safe or finalized",
		       "option[%zu].%s", i, field);
}

static uint64_t chain_id_of(const struct payments_config *payments,
			    const char *name)
{
	for (unsigned i = 0; i < payments->chains_count; i++) {
		if (strcmp(payments->chains[i].name, name) == 0)
			return payments->chains[i].id;
	}
	return 0;
}

static void read_terms(struct settings *s, size_t i, struct offer_option *out)
{
	const char *price = settings_text(s, "option[%zu].price", i);

	out->terms.unit_s = settings_s(s, "option[%zu].unit", i);
	out->terms.min_units =
		(uint32_t)settings_u64(s, "option[%zu].min_units", i);
	out->terms.max_units =
		(uint32_t)settings_u64(s, "option[%zu].max_units", i);
	if (pay_config_price(price, out->decimals, &out->terms.price) ||
	    u256_is_zero(&out->terms.price))
		REFUSE(s,
		       "is no price; wanted: tokens as in 100 or 2.5, not "
		       "finer than the token's decimals",
		       "option[%zu].price", i);
	if (out->terms.min_units > out->terms.max_units)
		REFUSE(s, "is less than min_units", "option[%zu].max_units", i);
}

static void refuse_same_option(struct settings *s, size_t i,
			       const struct payments_config *payments)
{
	const struct offer_option *option = &payments->options[i];

	for (size_t j = 0; j < i; j++) {
		const struct offer_option *other = &payments->options[j];

		if (other->id == option->id)
			REFUSE(s, "another option has this number too",
			       settings_is_given(s, "option[%zu].id", i)
				       ? "option[%zu].id"
				       : "option[%zu].chain",
			       i);
		if (other->chain_id == option->chain_id &&
		    memcmp(other->token, option->token, ADDRESS_SIZE) == 0 &&
		    memcmp(other->payee, option->payee, ADDRESS_SIZE) == 0)
			REFUSE(s,
			       "another option has this chain, token and "
			       "payee too: no payment would tell them apart",
			       "option[%zu].token", i);
	}
}

static void read_option(struct settings *s, size_t i,
			struct payments_config *payments)
{
	struct offer_option *out = &payments->options[i];
	uint64_t id = settings_u64(s, "option[%zu].id", i);

	out->id = (uint16_t)(id ? id : i + 1);
	out->kind = PLAN_PERIOD;
	out->chain_id =
		chain_id_of(payments, settings_text(s, "option[%zu].chain", i));
	if (out->chain_id == 0)
		REFUSE(s, "no chain has this name", "option[%zu].chain", i);
	read_address(s, "token", i, out->token);
	read_address(s, "payee", i, out->payee);
	if (memcmp(out->payee, out->token, ADDRESS_SIZE) == 0)
		REFUSE(s, "is the token itself", "option[%zu].payee", i);
	out->decimals = (uint8_t)settings_u64(s, "option[%zu].decimals", i);
	read_symbol(s, i, out->symbol, sizeof(out->symbol));
	read_terms(s, i, out);
	read_policy(s, "activate", i, &out->activate);
	read_policy(s, "settle", i, &out->settle);
	if (out->activate.mode && out->settle.mode &&
	    !policy_covers(out->settle, out->activate))
		REFUSE(s, "is weaker than activate", "option[%zu].settle", i);
	refuse_same_option(s, i, payments);
}

static void read_options(struct settings *s, struct payments_config *payments)
{
	size_t count = settings_count(s, "option");

	if (count > OFFER_OPTIONS_MAX) {
		settings_refuse(s, "option", "at most 16 are wanted");
		return;
	}
	for (size_t i = 0; i < count; i++)
		read_option(s, i, payments);
	payments->options_count = (unsigned)count;
}

/* ---- the rest ---- */

static void read_allow(struct settings *s, struct pay_config *out)
{
	size_t count = settings_count(s, "payments.allow");

	out->allow = calloc(count + 1, sizeof(*out->allow));
	if (!out->allow)
		abort();
	for (size_t i = 0; i < count; i++) {
		const char *text = settings_text(s, "payments.allow[%zu]", i);
		struct enode enode;

		if (enode_decode(text, &enode))
			REFUSE(s, "is no enode URL or key",
			       "payments.allow[%zu]", i);
		else
			memcpy(out->allow[i], enode.public, SECP_PUBLIC_SIZE);
	}
	out->payments.allow = (const uint8_t(*)[SECP_PUBLIC_SIZE])out->allow;
	out->payments.allow_count = count;
}

static uint64_t read_time(struct settings *s, const char *name)
{
	const char *text = settings_text(s, "%s", name);
	uint32_t at_s = 0;

	if (*text && when_decode(text, clock_wall_s(), &at_s))
		settings_refuse(s, name,
				"is no time; wanted: 2026-12-31, "
				"2026-12-31T12:00:00 or Unix seconds");
	return at_s;
}

static void read_rules(struct settings *s, struct access_rules *rules)
{
	rules->mode = (enum access_mode)settings_word(s, "payments.mode");
	rules->grace_s = (uint32_t)settings_s(s, "payments.grace");
	rules->free_until_s = read_time(s, "payments.free_until");
}

static unsigned number(struct settings *s, const char *name)
{
	return (unsigned)settings_u64(s, "payments.%s", name);
}

static void read_bounds(struct settings *s, struct payments_config *out)
{
	out->claim_window_s = settings_s(s, "payments.claim_window");
	out->pending_max_s = settings_s(s, "payments.pending_max");
	out->reorg_grace_s = settings_s(s, "payments.reorg_grace");
	out->workers = number(s, "workers");
	out->batch = number(s, "batch");
	out->open_max = number(s, "open_claims");
	out->open_per_source = number(s, "open_per_source");
	out->open_per_node = number(s, "open_per_node");
	out->open_per_payer = number(s, "open_per_payer");
	out->submit_per_min = number(s, "submit_rate");
	out->submit_burst = number(s, "submit_burst");
	out->submit_contract_per_min = number(s, "submit_contract_rate");
	out->status_per_min = number(s, "status_rate");
	out->contract_proofs = settings_bool(s, "payments.contract_proofs");
	out->offer_valid_s = settings_s(s, "offer.valid");
	out->offer_pay_window_s = (uint32_t)settings_s(s, "offer.pay_window");
	out->offer_from_s = read_time(s, "offer.from");
	if (out->offer_from_s > clock_wall_s() + FROM_MAX_S)
		settings_refuse(s, "offer.from", "is more than a year ahead");
}

void pay_config_read(struct settings *s, const char *datadir,
		     struct pay_config *out)
{
	struct payments_config *payments = &out->payments;

	memset(out, 0, sizeof(*out));
	payments_config_default(payments);
	if (snprintf(out->dir, sizeof(out->dir), "%s/payments", datadir) >=
	    (int)sizeof(out->dir))
		settings_refuse(s, "datadir", "is too long a path");
	payments->dir = out->dir;
	read_rules(s, &payments->rules);
	read_bounds(s, payments);
	read_allow(s, out);
	read_chains(s, out);
	read_options(s, payments);
	out->is_wanted = payments->rules.mode != ACCESS_FREE ||
			 payments->options_count > 0;
}

void pay_config_release(struct pay_config *config)
{
	free(config->allow);
	free(config->names);
	memset(config, 0, sizeof(*config));
}
