/* The operator: who may read, offers, chains. */
#include "auth/admin_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claim_json.h"

static bool change_mode(struct admin_call *call, const char *wanted)
{
	int (*set)(struct payments * payments, enum access_mode mode,
		   const char *reason) = call_arg(call, "for_now")
						 ? payments_set_mode_now
						 : payments_set_mode;
	enum access_mode mode;
	const char *reason;

	if (access_mode_from_text(wanted, &mode)) {
		call_error(call, 400, "bad_format",
			   "mode: free, paid or audit");
		return false;
	}
	return call_reason_arg(call, &reason) &&
	       call_is_done(call, set(call->payments, mode, reason));
}

json_t *mode_value(struct admin_call *call)
{
	enum access_mode mode = payments_mode(call->payments);
	enum access_mode settings = payments_settings_mode(call->payments);
	struct ledger_mode stored;
	/* Only there when it is not that of the settings. */
	bool has_stored = ledger_read_mode(call->ledger, &stored) == 0;
	enum access_mode next = has_stored ? stored.mode : settings;
	json_t *root = json_object();

	call_put_text(call, root, "mode", access_mode_str(mode));
	call_put_text(call, root, "settings", access_mode_str(settings));
	call_put_text(call, root, "after_restart", access_mode_str(next));
	if (has_stored && mode == next) {
		call_put_number(call, root, "since", stored.at_s);
		call_put_text(call, root, "reason", stored.reason);
	}
	return root;
}

void rules_mode(struct admin_call *call)
{
	const char *wanted = call_arg(call, "mode");

	if (!wanted || change_mode(call, wanted))
		call_answer(call, mode_value(call));
}

typedef int (*offer_fn)(struct payments *payments,
			uint8_t out[static OFFER_SIZE_MAX], size_t *len,
			uint8_t hash[static 32]);

/* NULL: there is none. */
static json_t *offer_value(struct admin_call *call, offer_fn find)
{
	uint8_t bytes[OFFER_SIZE_MAX], hash[32];
	json_t *value = NULL;
	struct offer offer;
	char *text;
	size_t len;

	if (find(call->payments, bytes, &len, hash) ||
	    offer_open(bytes, len, &offer, hash))
		return NULL;
	text = offer_json_encode(bytes, len, hash, &offer);
	if (text)
		value = json_loads(text, 0, NULL);
	if (!value)
		call->is_bad = true;
	free(text);
	return value;
}

void rules_offers(struct admin_call *call)
{
	json_t *next = offer_value(call, payments_next_offer);
	json_t *root = offer_value(call, payments_offer);

	if (!root && !next && !call->is_bad) {
		call_error(call, 404, "no_offer",
			   "there is no offer yet: see admin chains");
		return;
	}
	if (!root)
		root = json_object();
	if (next)
		call_put(call, root, "next", next);
	call_answer(call, root);
}

/* The endpoints that are not asked now, as metrics and the log call them:
 * "mainnet/0" is the first; an URL may hold credentials. */
static json_t *away_value(struct admin_call *call,
			  const struct chain_view *view)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < view->endpoints; i++)
		if (!(view->endpoints_good & 1u << i))
			call_append(call, list,
				    json_sprintf("%s/%u", view->name, i));
	return list;
}

json_t *chains_value(struct admin_call *call)
{
	json_t *list = json_array();
	struct chain_view view;

	for (unsigned i = 0; payments_chain(call->payments, i, &view) == 0;
	     i++) {
		json_t *row = json_object();

		call_put_text(call, row, "name", view.name);
		call_put_number(call, row, "id", view.id);
		call_put_number(call, row, "head", view.head);
		call_put_number(call, row, "head_age", view.head_age_s);
		call_put_number(call, row, "safe", view.safe);
		call_put_number(call, row, "finalized", view.final);
		call_put_number(call, row, "endpoints", view.endpoints);
		call_put_number(
			call, row, "endpoints_good",
			(unsigned)__builtin_popcount(view.endpoints_good));
		call_put(call, row, "away", away_value(call, &view));
		call_put_bool(call, row, "usable", view.is_usable);
		call_put_bool(call, row, "alarm", view.is_alarmed);
		call_append(call, list, row);
	}
	return list;
}

void rules_chains(struct admin_call *call)
{
	call_answer(call, chains_value(call));
}

/* ---- alarms of finality (payments.md §11) ---- */

static bool is_alarm_chain(const struct chain_view *view, const char *wanted,
			   const struct ledger_block *alarm)
{
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, view->id);
	return alarm->chain_id == view->id &&
	       (!wanted || strcmp(wanted, view->name) == 0 ||
		strcmp(wanted, id) == 0);
}

/* The alarms of the chains, or of the one that is wanted. */
static size_t find_alarms(struct admin_call *call, const char *wanted,
			  struct chain_view views[static LEDGER_CHAINS_MAX],
			  struct ledger_block alarms[static LEDGER_CHAINS_MAX])
{
	size_t count = 0;

	for (unsigned i = 0;
	     count < LEDGER_CHAINS_MAX &&
	     payments_chain(call->payments, i, &views[count]) == 0;
	     i++) {
		if (ledger_read_alarm(call->ledger, views[count].id,
				      &alarms[count]) == 0 &&
		    is_alarm_chain(&views[count], wanted, &alarms[count]))
			count++;
	}
	return count;
}

json_t *alarms_value(struct admin_call *call)
{
	struct chain_view views[LEDGER_CHAINS_MAX];
	struct ledger_block alarms[LEDGER_CHAINS_MAX];
	size_t count = find_alarms(call, NULL, views, alarms);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		call_put_text(call, row, "chain", views[i].name);
		call_put_number(call, row, "id", alarms[i].chain_id);
		call_put_text(call, row, "what",
			      "a finalized block has changed: nothing is "
			      "credited");
		call_put_number(call, row, "block", alarms[i].block);
		call_put_hex(call, row, "hash", "0x", alarms[i].hash,
			     sizeof(alarms[i].hash));
		call_put_number(call, row, "since", alarms[i].at_s);
		call_append(call, list, row);
	}
	return list;
}

void rules_alarms(struct admin_call *call)
{
	call_answer(call, alarms_value(call));
}

void rules_acknowledge(struct admin_call *call)
{
	struct chain_view views[LEDGER_CHAINS_MAX];
	struct ledger_block alarms[LEDGER_CHAINS_MAX];
	const char *reason;
	size_t count;

	if (!call_reason_arg(call, &reason))
		return;
	count = find_alarms(call, call_arg(call, "chain"), views, alarms);
	if (count == 0)
		call_error(call, 404, "not_found",
			   "there is no such alarm: see admin alarms");
	else if (count > 1)
		call_error(call, 400, "bad_format",
			   "chain: there are several alarms; which chain?");
	else if (call_is_done(call,
			      payments_acknowledge(call->payments,
						   alarms[0].chain_id, reason)))
		rules_alarms(call);
}
