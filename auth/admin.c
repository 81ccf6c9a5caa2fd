#include "auth/admin.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "auth/admin_private.h"

/* clang-format off */
const struct admin_verb admin_verbs[] = {
	{"status", "", "how the server does, at one look"},
	{"peers", "[limit]", "who is connected"},
	{"log-level", "[level]", "show what is logged, or change it until the end"},
	{"mode", "[mode] [reason] [for_now]", "show the mode, or change it: free, paid, audit"},
	{"offers", "", "the offer in force, and the one that is announced"},
	{"chains", "", "heads and endpoints"},
	{"alarms", "", "finalized blocks that have changed"},
	{"acknowledge", "[chain] reason", "go on crediting after such an alarm"},
	{"orders", "[limit]", "what was changed by hand, and why"},
	{"stats", "", "units sold, tokens received, who is active"},
	{"entitlements.list", "[standing] [limit]", "nodes with a record"},
	{"entitlements.show", "node", "a node's record and ledger"},
	{"entitlements.grant", "node seconds reason", "give time without payment; 0 seconds: no end"},
	{"entitlements.extend", "node seconds reason", "give more time"},
	{"entitlements.suspend", "node reason", "deny a node, paid or not"},
	{"entitlements.resume", "node reason", "end a suspension"},
	{"entitlements.revoke", "node reason [seq]", "take grants back; what was paid for stays"},
	{"entitlements.export", "", "all nodes as CSV"},
	{"claims.list", "[state] [limit]", "claims"},
	{"claims.look", "[limit]", "claims that wait too long, or were paid for nothing"},
	{"claims.show", "claim", "a claim with its payment"},
	{"claims.cancel", "claim reason", "reject a claim that is not active"},
	{"claims.recheck", "claim reason", "look at the chain now"},
	{"payments.export", "", "the ledger as CSV, for tax and accounting"},
	{0},
};
/* clang-format on */

/* The first ones do without payments. */
#define WITHOUT_PAYMENTS 3

static void (*const runs[])(struct admin_call *call) = {
	status_show,         server_peers,        server_log_level,
	rules_mode,          rules_offers,        rules_chains,
	rules_alarms,        rules_acknowledge,   orders_list,
	report_stats,        entitlements_list,   entitlements_show,
	entitlements_grant,  entitlements_extend, entitlements_suspend,
	entitlements_resume, entitlements_revoke, report_entitlements,
	claims_list,         claims_look,         claims_show,
	claims_cancel,       claims_recheck,      report_payments,
};

static_assert(sizeof(runs) / sizeof(runs[0]) + 1 ==
		      sizeof(admin_verbs) / sizeof(admin_verbs[0]),
	      "each verb has its function");

/* Is this one of the words of "node [seq]"? */
static bool takes(const struct admin_verb *verb, const char *field)
{
	static const char between[] = " []";
	const char *at = verb->fields;
	size_t len = strlen(field);

	while (*at) {
		size_t word = strcspn(at, between);

		if (word && word == len && memcmp(at, field, len) == 0)
			return true;
		at += word;
		at += strspn(at, between);
	}
	return false;
}

/* What a command does not take was meant to do something: a suspension "for
 * 7d" that has no end is none that anybody ordered; nor is it as if a value
 * that is no text had not come. */
static bool check_fields(struct admin_call *call, const struct admin_verb *verb)
{
	char message[256];
	const char *field;
	json_t *value;

	json_object_foreach(call->args, field, value)
	{
		if (!takes(verb, field))
			(void)snprintf(message, sizeof(message),
				       "%.40s: %s does not take it, but: %s",
				       field, verb->name,
				       *verb->fields ? verb->fields
						     : "nothing");
		else if (!json_is_string(value))
			(void)snprintf(message, sizeof(message),
				       "%.40s: a text is wanted", field);
		else
			continue;
		call_error(call, 400, "bad_format", message);
		return false;
	}
	return true;
}

void admin_run(const struct admin_host *host, const char *verb,
	       const char *body, size_t size, struct admin_answer *out)
{
	struct admin_call call = {
		.host = host, .payments = host->payments, .out = out};
	size_t i = 0;

	*out = (struct admin_answer){.status = 500, .type = "application/json"};
	while (admin_verbs[i].name && strcmp(admin_verbs[i].name, verb) != 0)
		i++;
	call.args = size ? json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL)
			 : json_object();
	if (!admin_verbs[i].name) {
		call_error(&call, 404, "unknown_verb", "no such command");
	} else if (!json_is_object(call.args)) {
		call_error(&call, 400, "bad_format",
			   "an object of texts is wanted");
	} else if (!call.payments && i >= WITHOUT_PAYMENTS) {
		call_error(&call, 409, "nothing_sold",
			   "nothing is for sale here: write a chain and an "
			   "option into the settings (restante check-config "
			   "example shows them) and restart; payments.mode "
			   "may stay free, and from then on admin mode changes "
			   "it without a restart");
	} else if (check_fields(&call, &admin_verbs[i])) {
		if (call.payments)
			call.ledger = payments_ledger(call.payments);
		runs[i](&call);
	}
	json_decref(call.args);
}
