/* The operator: what came in, and the books as CSV. */
#include "auth/admin_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define PERIOD_SIZE   sizeof("2026-01")
#define RECEIVED_MAX  512 /* rows of received tokens */
#define CSV_TIME_SIZE sizeof("2026-01-01T00:00:00Z")

/* ---- stats ---- */

struct received {
	char period[PERIOD_SIZE];
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	struct u256 value;
	uint64_t units, payments;
};
struct totals {
	struct admin_call *call;
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
	const char *what = entitlement_standing(ent, entitlement_grace(t->call),
						clock_wall_s());

	(void)node;
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

static json_t *received_value(struct admin_call *call, const struct totals *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->received_count; i++) {
		const struct received *r = &t->received[i];
		json_t *row = json_object();

		call_put_text(call, row, "period", r->period);
		call_put_number(call, row, "chain_id", r->chain_id);
		call_put_hex(call, row, "token", "0x", r->token, ADDRESS_SIZE);
		call_put_amount(call, row, "value", &r->value);
		call_put_number(call, row, "payments", r->payments);
		call_put_number(call, row, "units", r->units);
		call_append(call, list, row);
	}
	return list;
}

json_t *states_value(struct admin_call *call)
{
	struct ledger_stats stats;
	json_t *root = json_object();

	ledger_read_stats(call->ledger, &stats);
	for (enum claim_state s = CLAIM_RECEIVED; s <= CLAIM_REORGED; s++)
		call_put_number(call, root, claim_state_str(s),
				stats.by_state[s]);
	return root;
}

void report_stats(struct admin_call *call)
{
	struct totals *t = calloc(1, sizeof(*t));
	json_t *root = json_object();

	if (!t) {
		call->is_bad = true;
		call_answer(call, root);
		return;
	}
	t->call = call;
	if (ledger_each_node(call->ledger, count_node, t) ||
	    ledger_each_entry(call->ledger, count_entry, t))
		call->is_bad = true;
	call_put_text(call, root, "mode",
		      access_mode_str(payments_mode(call->payments)));
	call_put_number(call, root, "alarms", payments_alarms(call->payments));
	call_put_number(call, root, "active", t->active);
	call_put_number(call, root, "in_grace", t->in_grace);
	call_put_number(call, root, "expired", t->expired);
	call_put_number(call, root, "suspended", t->suspended);
	call_put_number(call, root, "without_end", t->without_end);
	call_put_number(call, root, "units_sold", t->units);
	call_put_number(call, root, "grants", t->grants);
	call_put(call, root, "claims", states_value(call));
	call_put(call, root, "received", received_value(call, t));
	call_answer(call, root);
	free(t);
}

/* ---- CSV ---- */

struct csv {
	struct admin_call *call;
	FILE *out;
	char *text;
	size_t size;
	struct reasons *reasons; /* of what was done by hand */
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

/* What others have chosen: a cell that no spreadsheet takes for a formula. */
static void csv_text(struct csv *csv, const char *text)
{
	(void)fputc(',', csv->out);
	if (!text || !*text)
		return;
	(void)fputc('"', csv->out);
	if (strchr("=+-@\t\r", *text))
		(void)fputc('\'', csv->out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"')
			(void)fputc('"', csv->out);
		(void)fputc(c < ' ' || c == 0x7f ? ' ' : c, csv->out);
	}
	(void)fputc('"', csv->out);
}

/* In whole tokens, by the offer that was paid: a later one may know neither the
 * token nor the payee. */
static void csv_tokens(struct csv *csv, const struct entry *entry)
{
	static const char plain_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "abcdefghijklmnopqrstuvwxyz"
					  "0123456789";
	struct offer_option option = {.decimals = 0};
	bool is_known =
		ledger_read_entry_option(csv->call->ledger, entry, &option);
	unsigned decimals = option.decimals;
	char digits[U256_DECIMAL_MAX + 1];
	size_t len = u256_to_decimal(&entry->value, digits);

	if (!is_known || decimals == 0) {
		(void)fprintf(csv->out, ",%s", is_known ? digits : "");
	} else if (len > decimals) {
		(void)fprintf(csv->out, ",%.*s.%s", (int)(len - decimals),
			      digits, digits + len - decimals);
	} else {
		(void)fputs(",0.", csv->out);
		for (size_t i = len; i < decimals; i++)
			(void)fputc('0', csv->out);
		(void)fputs(digits, csv->out);
	}
	if (option.symbol[strspn(option.symbol, plain_chars)] == '\0')
		(void)fprintf(csv->out, ",%s", option.symbol);
	else
		csv_text(csv, option.symbol);
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
	csv_text(csv, reasons_find(csv->reasons, node, seq));
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
		      entitlement_standing(ent, entitlement_grace(csv->call),
					   clock_wall_s()),
		      expiry, created, (unsigned)ent->flags, ent->unsettled);
	return true;
}

static bool csv_open(struct admin_call *call, struct csv *csv)
{
	memset(csv, 0, sizeof(*csv));
	csv->call = call;
	csv->out = open_memstream(&csv->text, &csv->size);
	if (!csv->out)
		call_error(call, 500, "failed", "out of memory");
	return csv->out != NULL;
}

static void csv_close(struct admin_call *call, struct csv *csv, int err)
{
	bool is_bad = ferror(csv->out) != 0;

	if (fclose(csv->out) != 0 || is_bad || err) {
		free(csv->text);
		call_error(call, 500, "failed", "the ledger cannot be read");
		return;
	}
	call->out->status = 200;
	call->out->type = "text/csv";
	call->out->body = csv->text;
}

void report_payments(struct admin_call *call)
{
	struct csv csv;

	if (!csv_open(call, &csv))
		return;
	(void)fputs("type,void,settled,block_time,credited_at,chain_id,token,"
		    "value,amount,symbol,payer,payee,tx,transfer,block,units,"
		    "unit_seconds,seq,node,reason\n",
		    csv.out);
	csv.reasons = reasons_new(call->ledger);
	csv_close(call, &csv,
		  csv.reasons ? ledger_each_entry(call->ledger, csv_entry, &csv)
			      : ERR_NOMEM);
	reasons_free(csv.reasons);
}

void report_entitlements(struct admin_call *call)
{
	struct csv csv;

	if (!csv_open(call, &csv))
		return;
	(void)fputs("node,standing,expiry,created,flags,unsettled\n", csv.out);
	csv_close(call, &csv, ledger_each_node(call->ledger, csv_node, &csv));
}
