#include "auth/admin.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/claim_json.h"
#include "auth/jvalue.h"
#include "auth/payments.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/enode.h"
#include "core/err.h"
#include "core/log.h"

#define LIST_MAX      1000 /* rows, when nothing is said */
#define PERIOD_SIZE   sizeof("2026-01")
#define RECEIVED_MAX  512 /* rows of received tokens */
#define CSV_TIME_SIZE sizeof("2026-01-01T00:00:00Z")

struct call {
	struct payments *payments;
	struct ledger *ledger;
	json_t *args;
	struct admin_answer *out;
	bool is_bad; /* a value of the answer is missing: no memory */
};

/* ---- arguments and answers ---- */

static void answer_error(struct call *call, unsigned status, const char *code,
			 const char *message)
{
	json_t *root = json_object();
	bool is_bad = !root;

	jvalue_put(root, "error", json_string(code), &is_bad);
	jvalue_put(root, "message", json_string(message), &is_bad);
	call->out->status = status;
	call->out->body = jvalue_finish(root, is_bad);
}

/* Takes `root` over. */
static void answer(struct call *call, json_t *root)
{
	call->out->status = 200;
	call->out->body = jvalue_finish(root, call->is_bad || !root);
}

static const char *arg(const struct call *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call->args, name));

	return text && *text ? text : NULL;
}

static bool number_arg(struct call *call, const char *name, uint64_t *out)
{
	const char *text = arg(call, name);
	char *end;

	if (!text)
		return true;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0')
		return true;
	answer_error(call, 400, "bad_format", "a number is wanted");
	return false;
}

static bool node_arg(struct call *call, uint8_t out[static SECP_PUBLIC_SIZE])
{
	const char *text = arg(call, "node");
	struct enode enode;

	if (!text || enode_decode(text, &enode)) {
		answer_error(call, 400, "bad_format",
			     "node: an enode URL or a key of 128 hex digits "
			     "is wanted");
		return false;
	}
	memcpy(out, enode.public, SECP_PUBLIC_SIZE);
	return true;
}

static bool claim_arg(struct call *call, uint8_t out[static CLAIM_ID_SIZE])
{
	const char *text = arg(call, "claim");

	if (text && hex_decode(text, strlen(text), out, CLAIM_ID_SIZE) == 0)
		return true;
	answer_error(call, 400, "bad_format",
		     "claim: an id of 32 hex digits is wanted");
	return false;
}

static bool reason_arg(struct call *call, const char **out)
{
	*out = arg(call, "reason");
	if (*out && strlen(*out) <= ADMIN_REASON_MAX)
		return true;
	answer_error(call, 400, "bad_format",
		     "reason: 1 to 127 characters are wanted; it is kept with "
		     "the change");
	return false;
}

static void put_text(struct call *call, json_t *root, const char *key,
		     const char *text)
{
	jvalue_put(root, key, json_string(text), &call->is_bad);
}
static void put_number(struct call *call, json_t *root, const char *key,
		       uint64_t value)
{
	jvalue_put(root, key, jvalue_number(value), &call->is_bad);
}
static void put_hex(struct call *call, json_t *root, const char *key,
		    const char *prefix, const uint8_t *in, size_t len)
{
	jvalue_put(root, key, jvalue_hex(prefix, in, len), &call->is_bad);
}
static void put_amount(struct call *call, json_t *root, const char *key,
		       const struct u256 *amount)
{
	jvalue_put(root, key, jvalue_amount(amount), &call->is_bad);
}

static void append(struct call *call, json_t *list, json_t *item)
{
	if (json_array_append_new(list, item) != 0)
		call->is_bad = true;
}

/* ---- mode, offers, chains ---- */

static void run_mode(struct call *call)
{
	const char *wanted = arg(call, "mode");
	enum access_mode mode = payments_mode(call->payments);
	const char *reason;
	json_t *root;

	if (wanted) {
		if (access_mode_from_text(wanted, &mode)) {
			answer_error(call, 400, "bad_format",
				     "mode: free, paid or audit");
			return;
		}
		if (!reason_arg(call, &reason))
			return;
		payments_set_mode(call->payments, mode);
		LOG_INFO("mode changed by the operator",
			 log_text("mode", access_mode_str(mode)),
			 log_text("reason", reason));
	}
	root = json_object();
	put_text(call, root, "mode", access_mode_str(mode));
	answer(call, root);
}

static void run_offers(struct call *call)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	uint8_t hash[32];
	struct offer offer;
	size_t len;

	if (payments_offer(call->payments, bytes, &len, hash) ||
	    offer_open(bytes, len, &offer, hash)) {
		answer_error(call, 404, "no_offer",
			     "there is no offer yet: see admin chains");
		return;
	}
	call->out->status = 200;
	call->out->body = offer_json_encode(bytes, len, hash, &offer);
}

static void run_chains(struct call *call)
{
	json_t *list = json_array();
	struct chain_view view;

	for (unsigned i = 0; payments_chain(call->payments, i, &view) == 0;
	     i++) {
		json_t *row = json_object();

		put_text(call, row, "name", view.name);
		put_number(call, row, "id", view.id);
		put_number(call, row, "head", view.head);
		put_number(call, row, "head_age", view.head_age_s);
		put_number(call, row, "safe", view.safe);
		put_number(call, row, "finalized", view.final);
		put_number(call, row, "endpoints", view.endpoints);
		put_number(call, row, "endpoints_good", view.endpoints_good);
		jvalue_put(row, "usable", json_boolean(view.is_usable),
			   &call->is_bad);
		jvalue_put(row, "alarm", json_boolean(view.is_alarmed),
			   &call->is_bad);
		append(call, list, row);
	}
	answer(call, list);
}

/* ---- entitlements ---- */

static const char *standing(const struct entitlement *ent, uint64_t grace_s,
			    uint64_t now_s)
{
	if (ent->flags & ENTITLEMENT_SUSPENDED)
		return "suspended";
	if (ent->flags & ENTITLEMENT_NO_END)
		return "without_end";
	if (now_s < ent->expiry_s)
		return "active";
	if (ent->expiry_s && now_s < ent->expiry_s + grace_s)
		return "in_grace";
	return "expired";
}

static json_t *credits_value(struct call *call, const struct entitlement *ent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ent->credits_count; i++) {
		json_t *row = json_object();

		put_number(call, row, "chain_id", ent->credits[i].chain_id);
		put_hex(call, row, "token", "0x", ent->credits[i].token,
			ADDRESS_SIZE);
		put_amount(call, row, "credit", &ent->credits[i].amount);
		append(call, list, row);
	}
	return list;
}

/* The grace in force, from how the facade shows it for any node. */
static uint64_t grace_of(struct call *call, const uint8_t *node,
			 const struct entitlement *ent)
{
	struct entitlement again;
	uint64_t grace_end_s = 0;

	if (payments_entitlement(call->payments, node, &again, &grace_end_s) ||
	    grace_end_s < ent->expiry_s)
		return 0;
	return grace_end_s - ent->expiry_s;
}

static json_t *node_value(struct call *call, const uint8_t *node,
			  const struct entitlement *ent, uint64_t grace_s)
{
	json_t *row = json_object();

	put_hex(call, row, "node", "", node, SECP_PUBLIC_SIZE);
	put_text(call, row, "standing", standing(ent, grace_s, clock_wall_s()));
	put_number(call, row, "expiry", ent->expiry_s);
	put_number(call, row, "created", ent->created_s);
	put_number(call, row, "updated", ent->updated_s);
	put_number(call, row, "flags", ent->flags);
	put_number(call, row, "unsettled", ent->unsettled);
	jvalue_put(row, "credits", credits_value(call, ent), &call->is_bad);
	return row;
}

struct listing {
	struct call *call;
	json_t *list;
	uint64_t max;
	const char *wanted; /* a standing or a state; NULL: all */
	uint64_t grace_s;
	bool has_grace;
};

static bool on_node(void *ctx, const uint8_t *node,
		    const struct entitlement *ent)
{
	struct listing *l = ctx;

	if (!l->has_grace)
		l->grace_s = grace_of(l->call, node, ent);
	l->has_grace = true;
	if (l->wanted &&
	    strcmp(l->wanted, standing(ent, l->grace_s, clock_wall_s())) != 0)
		return true;
	append(l->call, l->list, node_value(l->call, node, ent, l->grace_s));
	return l->max == 0 || json_array_size(l->list) < l->max;
}

static void run_list(struct call *call)
{
	struct listing l = {.call = call, .max = LIST_MAX};

	if (!number_arg(call, "limit", &l.max))
		return;
	l.wanted = arg(call, "standing");
	l.list = json_array();
	if (ledger_each_node(call->ledger, on_node, &l))
		call->is_bad = true;
	answer(call, l.list);
}

static const char *entry_type_text(uint8_t type)
{
	static const char *const texts[] = {
		[ENTRY_CREDIT] = "credit",
		[ENTRY_CONVERT] = "convert",
		[ENTRY_GRANT] = "grant",
		[ENTRY_ADJUST] = "adjust",
	};

	return type >= ENTRY_CREDIT && type <= ENTRY_ADJUST ? texts[type] : "?";
}

static json_t *entry_value(struct call *call, uint64_t seq,
			   const struct entry *entry)
{
	json_t *row = json_object();

	put_number(call, row, "seq", seq);
	put_text(call, row, "type", entry_type_text(entry->type));
	jvalue_put(row, "void", json_boolean(entry->flags & ENTRY_VOID),
		   &call->is_bad);
	jvalue_put(row, "settled", json_boolean(entry->flags & ENTRY_SETTLED),
		   &call->is_bad);
	put_number(call, row, "at", entry->at_s);
	put_number(call, row, "units", entry->units);
	put_number(call, row, "unit", entry->unit_s);
	put_number(call, row, "expiry_after", entry->expiry_after_s);
	if (entry->type == ENTRY_CREDIT || entry->type == ENTRY_CONVERT) {
		put_number(call, row, "chain_id", entry->chain_id);
		put_hex(call, row, "token", "0x", entry->token, ADDRESS_SIZE);
		put_amount(call, row, "value", &entry->value);
		put_amount(call, row, "credit_after", &entry->credit_after);
	}
	if (entry->type == ENTRY_CREDIT) {
		put_hex(call, row, "tx", "0x", entry->tx, TX_SIZE);
		put_number(call, row, "block", entry->block);
	}
	return row;
}

struct node_entries {
	struct call *call;
	json_t *list;
	uint8_t node[SECP_PUBLIC_SIZE];
};

static bool on_entry(void *ctx, const uint8_t *node, uint64_t seq,
		     const struct entry *entry)
{
	struct node_entries *n = ctx;

	if (memcmp(node, n->node, SECP_PUBLIC_SIZE) == 0)
		append(n->call, n->list, entry_value(n->call, seq, entry));
	return memcmp(node, n->node, SECP_PUBLIC_SIZE) <= 0;
}

static void show_node(struct call *call,
		      const uint8_t node[static SECP_PUBLIC_SIZE])
{
	struct node_entries n = {.call = call};
	struct entitlement ent;
	json_t *root;

	if (ledger_read_node(call->ledger, node, &ent)) {
		answer_error(call, 404, "unknown_node",
			     "this node has no record");
		return;
	}
	memcpy(n.node, node, SECP_PUBLIC_SIZE);
	n.list = json_array();
	root = node_value(call, node, &ent, grace_of(call, node, &ent));
	if (ledger_each_entry(call->ledger, on_entry, &n))
		call->is_bad = true;
	jvalue_put(root, "ledger", n.list, &call->is_bad);
	answer(call, root);
}

static void run_show(struct call *call)
{
	uint8_t node[SECP_PUBLIC_SIZE];

	if (node_arg(call, node))
		show_node(call, node);
}

static bool is_done(struct call *call, int err)
{
	switch (err) {
	case 0:
		return true;
	case ERR_NOTFOUND:
		answer_error(call, 404, "not_found",
			     "there is nothing to change");
		return false;
	case ERR_DENIED:
	case ERR_EXISTS:
	case ERR_CONFLICT:
		answer_error(call, 409, "not_allowed",
			     "this cannot be changed so, or is so already");
		return false;
	case ERR_FULL:
	case ERR_CLOSED:
		answer_error(call, 503, "busy", "try again");
		return false;
	default:
		answer_error(call, 500, "failed", err_str(err));
		return false;
	}
}

static void change_node(struct call *call, enum ledger_op op)
{
	struct ledger_task task = {.op = op};

	if (!node_arg(call, task.node) || !reason_arg(call, &task.text) ||
	    !number_arg(call, "seconds", &task.seconds) ||
	    !number_arg(call, "seq", &task.seq))
		return;
	if (op == LEDGER_GRANT && !arg(call, "seconds")) {
		answer_error(call, 400, "bad_format",
			     "seconds: how long; 0 is without end");
		return;
	}
	if (is_done(call, ledger_run(call->ledger, &task)))
		show_node(call, task.node);
}

static void run_grant(struct call *call)
{
	change_node(call, LEDGER_GRANT);
}
static void run_extend(struct call *call)
{
	uint64_t seconds = 0;

	if (!number_arg(call, "seconds", &seconds))
		return;
	if (seconds == 0)
		answer_error(call, 400, "bad_format",
			     "seconds: by how long, more than 0");
	else
		change_node(call, LEDGER_GRANT);
}
static void run_suspend(struct call *call)
{
	change_node(call, LEDGER_SUSPEND);
}
static void run_resume(struct call *call)
{
	change_node(call, LEDGER_RESUME);
}
static void run_revoke(struct call *call)
{
	change_node(call, LEDGER_REVOKE);
}

/* ---- claims ---- */

static json_t *claim_value(struct call *call, const struct claim_view *view)
{
	const struct claim_record *rec = &view->record;
	json_t *row = json_object();

	put_hex(call, row, "claim", "", rec->id, CLAIM_ID_SIZE);
	put_text(call, row, "state", claim_state_str(rec->state));
	put_text(call, row, "reason",
		 rec->reason ? claim_reason_str(rec->reason) : "");
	put_number(call, row, "received", rec->received_s);
	put_number(call, row, "updated", rec->updated_s);
	put_number(call, row, "block", rec->block);
	put_number(call, row, "attempts", rec->attempts);
	put_amount(call, row, "value", &rec->value);
	put_number(call, row, "units", view->units);
	put_hex(call, row, "node", "", rec->claim.node, SECP_PUBLIC_SIZE);
	return row;
}

static bool on_claim(void *ctx, const struct claim_view *view)
{
	struct listing *l = ctx;

	if (l->wanted &&
	    strcmp(l->wanted, claim_state_str(view->record.state)) != 0)
		return true;
	append(l->call, l->list, claim_value(l->call, view));
	return l->max == 0 || json_array_size(l->list) < l->max;
}

static void run_claims(struct call *call)
{
	struct listing l = {.call = call, .max = LIST_MAX};

	if (!number_arg(call, "limit", &l.max))
		return;
	l.wanted = arg(call, "state");
	l.list = json_array();
	if (ledger_each_claim(call->ledger, on_claim, &l))
		call->is_bad = true;
	answer(call, l.list);
}

static void show_claim(struct call *call,
		       const uint8_t id[static CLAIM_ID_SIZE])
{
	struct claim_view *view = malloc(sizeof(*view));
	const struct claim *claim;
	json_t *root;

	if (!view || ledger_read_claim_id(call->ledger, id, view)) {
		free(view);
		answer_error(call, 404, "unknown_claim",
			     "no claim has this id");
		return;
	}
	claim = &view->record.claim;
	root = claim_value(call, view);
	put_number(call, root, "scheme", claim->scheme);
	put_number(call, root, "chain_id", claim->chain_id);
	put_hex(call, root, "token", "0x", claim->token, ADDRESS_SIZE);
	put_hex(call, root, "payee", "0x", claim->payee, ADDRESS_SIZE);
	put_hex(call, root, "payer", "0x", claim->payer, ADDRESS_SIZE);
	put_hex(call, root, "tx", "0x", claim->tx, TX_SIZE);
	put_number(call, root, "transfer", claim->index);
	put_hex(call, root, "offer", "0x", claim->offer_hash, 32);
	put_number(call, root, "due_ms", view->record.due_ms);
	answer(call, root);
	free(view);
}

static void run_claim(struct call *call)
{
	uint8_t id[CLAIM_ID_SIZE];

	if (claim_arg(call, id))
		show_claim(call, id);
}

static void change_claim(struct call *call, enum ledger_op op)
{
	struct ledger_task task = {.op = op};

	if (claim_arg(call, task.claim_id) && reason_arg(call, &task.text) &&
	    is_done(call, ledger_run(call->ledger, &task)))
		show_claim(call, task.claim_id);
}

static void run_cancel(struct call *call)
{
	change_claim(call, LEDGER_CANCEL);
}
static void run_recheck(struct call *call)
{
	change_claim(call, LEDGER_RECHECK);
}

/* ---- stats ---- */

struct received {
	char period[PERIOD_SIZE];
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	struct u256 value;
	uint64_t units, payments;
};
struct totals {
	struct call *call;
	uint64_t grace_s;
	bool has_grace;
	uint64_t active, in_grace, expired, suspended, without_end;
	uint64_t units, grants;
	struct received received[RECEIVED_MAX];
	size_t received_count;
	bool is_full;
};

static bool count_node(void *ctx, const uint8_t *node,
		       const struct entitlement *ent)
{
	struct totals *t = ctx;
	const char *what;

	if (!t->has_grace)
		t->grace_s = grace_of(t->call, node, ent);
	t->has_grace = true;
	what = standing(ent, t->grace_s, clock_wall_s());
	t->active += strcmp(what, "active") == 0;
	t->in_grace += strcmp(what, "in_grace") == 0;
	t->expired += strcmp(what, "expired") == 0;
	t->suspended += strcmp(what, "suspended") == 0;
	t->without_end += strcmp(what, "without_end") == 0;
	return true;
}

static void period_text(uint64_t at_s, char out[static PERIOD_SIZE])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    strftime(out, PERIOD_SIZE, "%Y-%m", &tm) == 0)
		(void)snprintf(out, PERIOD_SIZE, "?");
}

static struct received *received_row(struct totals *t,
				     const struct entry *entry)
{
	char period[PERIOD_SIZE];
	struct received *row;

	period_text(entry->block_time_s, period);
	for (size_t i = 0; i < t->received_count; i++) {
		row = &t->received[i];
		if (strcmp(row->period, period) == 0 &&
		    row->chain_id == entry->chain_id &&
		    memcmp(row->token, entry->token, ADDRESS_SIZE) == 0)
			return row;
	}
	if (t->received_count == RECEIVED_MAX) {
		t->is_full = true;
		return NULL;
	}
	row = &t->received[t->received_count++];
	*row = (struct received){.chain_id = entry->chain_id};
	memcpy(row->period, period, sizeof(period));
	memcpy(row->token, entry->token, ADDRESS_SIZE);
	return row;
}

static bool count_entry(void *ctx, const uint8_t *node, uint64_t seq,
			const struct entry *entry)
{
	struct totals *t = ctx;
	struct received *row;

	(void)node;
	(void)seq;
	if (entry->flags & ENTRY_VOID)
		return true;
	t->grants += entry->type == ENTRY_GRANT;
	if (entry->type != ENTRY_CREDIT && entry->type != ENTRY_CONVERT)
		return true;
	t->units += entry->units;
	if (entry->type != ENTRY_CREDIT)
		return true;
	row = received_row(t, entry);
	if (row) {
		row->payments++;
		row->units += entry->units;
		(void)u256_add(&row->value, &entry->value, &row->value);
	}
	return true;
}

static json_t *received_value(struct call *call, const struct totals *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->received_count; i++) {
		const struct received *r = &t->received[i];
		json_t *row = json_object();

		put_text(call, row, "period", r->period);
		put_number(call, row, "chain_id", r->chain_id);
		put_hex(call, row, "token", "0x", r->token, ADDRESS_SIZE);
		put_amount(call, row, "value", &r->value);
		put_number(call, row, "payments", r->payments);
		put_number(call, row, "units", r->units);
		append(call, list, row);
	}
	return list;
}

static json_t *states_value(struct call *call)
{
	struct ledger_stats stats;
	json_t *root = json_object();

	ledger_read_stats(call->ledger, &stats);
	for (enum claim_state s = CLAIM_RECEIVED; s <= CLAIM_REORGED; s++)
		put_number(call, root, claim_state_str(s), stats.by_state[s]);
	return root;
}

static void run_stats(struct call *call)
{
	struct totals *t = calloc(1, sizeof(*t));
	json_t *root = json_object();

	if (!t) {
		call->is_bad = true;
		answer(call, root);
		return;
	}
	t->call = call;
	if (ledger_each_node(call->ledger, count_node, t) ||
	    ledger_each_entry(call->ledger, count_entry, t))
		call->is_bad = true;
	put_text(call, root, "mode",
		 access_mode_str(payments_mode(call->payments)));
	put_number(call, root, "active", t->active);
	put_number(call, root, "in_grace", t->in_grace);
	put_number(call, root, "expired", t->expired);
	put_number(call, root, "suspended", t->suspended);
	put_number(call, root, "without_end", t->without_end);
	put_number(call, root, "units_sold", t->units);
	put_number(call, root, "grants", t->grants);
	jvalue_put(root, "claims", states_value(call), &call->is_bad);
	jvalue_put(root, "received", received_value(call, t), &call->is_bad);
	answer(call, root);
	free(t);
}

/* ---- CSV ---- */

struct csv {
	struct call *call;
	FILE *out;
	char *text;
	size_t size;
	struct offer offer; /* for symbols and decimals */
	bool has_offer;
};

static void csv_time(uint64_t at_s, char out[static CSV_TIME_SIZE])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (at_s == 0 || !gmtime_r(&at, &tm) ||
	    strftime(out, CSV_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static void csv_hex(struct csv *csv, const char *prefix, const uint8_t *in,
		    size_t len)
{
	char text[2 * SECP_PUBLIC_SIZE + 1];

	hex_encode(in, len, text);
	(void)fprintf(csv->out, ",%s%s", prefix, text);
}

/* In whole tokens, if the token is known. */
static void csv_tokens(struct csv *csv, const struct entry *entry)
{
	const struct offer_option *option =
		csv->has_offer ? offer_find(&csv->offer, entry->chain_id,
					    entry->token, entry->payee)
			       : NULL;
	unsigned decimals = option ? option->decimals : 0;
	char digits[U256_DECIMAL_MAX + 1];
	size_t len = u256_to_decimal(&entry->value, digits);

	if (!option || decimals == 0) {
		(void)fprintf(csv->out, ",%s,%s", option ? digits : "",
			      option ? option->symbol : "");
		return;
	}
	if (len > decimals) {
		(void)fprintf(csv->out, ",%.*s.%s", (int)(len - decimals),
			      digits, digits + len - decimals);
	} else {
		(void)fputs(",0.", csv->out);
		for (size_t i = len; i < decimals; i++)
			(void)fputc('0', csv->out);
		(void)fputs(digits, csv->out);
	}
	(void)fprintf(csv->out, ",%s", option->symbol);
}

static bool csv_entry(void *ctx, const uint8_t *node, uint64_t seq,
		      const struct entry *entry)
{
	struct csv *csv = ctx;
	char block_time[CSV_TIME_SIZE], at[CSV_TIME_SIZE];
	char value[U256_DECIMAL_MAX + 1];

	csv_time(entry->block_time_s, block_time);
	csv_time(entry->at_s, at);
	(void)u256_to_decimal(&entry->value, value);
	(void)fprintf(csv->out, "%s,%s,%s,%s,%s,%" PRIu64,
		      entry_type_text(entry->type),
		      entry->flags & ENTRY_VOID ? "void" : "",
		      entry->flags & ENTRY_SETTLED ? "settled" : "", block_time,
		      at, entry->chain_id);
	csv_hex(csv, "0x", entry->token, ADDRESS_SIZE);
	(void)fprintf(csv->out, ",%s", value);
	csv_tokens(csv, entry);
	csv_hex(csv, "0x", entry->payer, ADDRESS_SIZE);
	csv_hex(csv, "0x", entry->payee, ADDRESS_SIZE);
	csv_hex(csv, "0x", entry->tx, TX_SIZE);
	(void)fprintf(csv->out,
		      ",%u,%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64,
		      (unsigned)entry->index, entry->block, entry->units,
		      entry->unit_s, seq);
	csv_hex(csv, "", node, SECP_PUBLIC_SIZE);
	(void)fputc('\n', csv->out);
	return true;
}

static bool csv_node(void *ctx, const uint8_t *node,
		     const struct entitlement *ent)
{
	struct csv *csv = ctx;
	char expiry[CSV_TIME_SIZE], created[CSV_TIME_SIZE];
	char text[2 * SECP_PUBLIC_SIZE + 1];

	csv_time(ent->expiry_s, expiry);
	csv_time(ent->created_s, created);
	hex_encode(node, SECP_PUBLIC_SIZE, text);
	(void)fprintf(csv->out, "%s,%s,%s,%s,%u,%" PRIu32 "\n", text,
		      standing(ent, 0, clock_wall_s()), expiry, created,
		      (unsigned)ent->flags, ent->unsettled);
	return true;
}

static bool csv_open(struct call *call, struct csv *csv)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	uint8_t hash[32];
	size_t len;

	memset(csv, 0, sizeof(*csv));
	csv->call = call;
	csv->out = open_memstream(&csv->text, &csv->size);
	csv->has_offer =
		payments_offer(call->payments, bytes, &len, hash) == 0 &&
		offer_open(bytes, len, &csv->offer, hash) == 0;
	if (!csv->out)
		answer_error(call, 500, "failed", "out of memory");
	return csv->out != NULL;
}

static void csv_close(struct call *call, struct csv *csv, int err)
{
	bool is_bad = ferror(csv->out) != 0;

	if (fclose(csv->out) != 0 || is_bad || err) {
		free(csv->text);
		answer_error(call, 500, "failed", "the ledger cannot be read");
		return;
	}
	call->out->status = 200;
	call->out->type = "text/csv";
	call->out->body = csv->text;
}

static void run_payments_export(struct call *call)
{
	struct csv csv;

	if (!csv_open(call, &csv))
		return;
	(void)fputs("type,void,settled,block_time,credited_at,chain_id,token,"
		    "value,amount,symbol,payer,payee,tx,transfer,block,units,"
		    "unit_seconds,seq,node\n",
		    csv.out);
	csv_close(call, &csv, ledger_each_entry(call->ledger, csv_entry, &csv));
}

static void run_entitlements_export(struct call *call)
{
	struct csv csv;

	if (!csv_open(call, &csv))
		return;
	(void)fputs("node,standing,expiry,created,flags,unsettled\n", csv.out);
	csv_close(call, &csv, ledger_each_node(call->ledger, csv_node, &csv));
}

/* ---- verbs ---- */

/* clang-format off */
const struct admin_verb admin_verbs[] = {
	{"mode", "[mode] [reason]", "show the mode, or change it: free, paid, audit"},
	{"offers", "", "the offer in force"},
	{"chains", "", "heads and endpoints"},
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
	{"claims.show", "claim", "a claim with its payment"},
	{"claims.cancel", "claim reason", "reject a claim that is not active"},
	{"claims.recheck", "claim reason", "look at the chain now"},
	{"payments.export", "", "the ledger as CSV, for tax and accounting"},
	{0},
};
/* clang-format on */

static void (*const runs[])(struct call *call) = {
	run_mode,           run_offers, run_chains, run_stats,
	run_list,           run_show,   run_grant,  run_extend,
	run_suspend,        run_resume, run_revoke, run_entitlements_export,
	run_claims,         run_claim,  run_cancel, run_recheck,
	run_payments_export};

static_assert(sizeof(runs) / sizeof(runs[0]) + 1 ==
		      sizeof(admin_verbs) / sizeof(admin_verbs[0]),
	      "each verb has its function");

void admin_run(struct payments *payments, const char *verb, const char *body,
	       size_t size, struct admin_answer *out)
{
	struct call call = {.payments = payments, .out = out};
	size_t i = 0;

	*out = (struct admin_answer){.status = 500, .type = "application/json"};
	while (admin_verbs[i].name && strcmp(admin_verbs[i].name, verb) != 0)
		i++;
	call.args = size ? json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL)
			 : json_object();
	if (!admin_verbs[i].name) {
		answer_error(&call, 404, "unknown_verb", "no such command");
	} else if (!json_is_object(call.args)) {
		answer_error(&call, 400, "bad_format",
			     "an object of texts is wanted");
	} else if (!payments) {
		answer_error(&call, 409, "nothing_sold",
			     "payments are not set up: payments.mode is free "
			     "and there is no option");
	} else {
		call.ledger = payments_ledger(payments);
		runs[i](&call);
	}
	json_decref(call.args);
}
