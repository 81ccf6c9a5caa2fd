/* The operator's orders with their reasons: the trail of what was changed by
 * hand. */
#include "auth/admin_private.h"

#include <stdlib.h>
#include <string.h>

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static json_t *order_value(struct admin_call *call,
			   const struct ledger_event *event)
{
	bool has_node = !is_zero(event->node, sizeof(event->node));
	bool has_claim = !is_zero(event->claim_id, sizeof(event->claim_id));
	json_t *row = json_object();

	call_put_number(call, row, "event", event->index);
	call_put_number(call, row, "at", event->at_s);
	call_put_text(call, row, "order", ledger_order_str(event));
	call_put_text(call, row, "reason", event->text);
	call_put_number(call, row, "chain_id", event->chain_id);
	call_put_hex(call, row, "claim", "", event->claim_id,
		     has_claim ? sizeof(event->claim_id) : 0);
	call_put_hex(call, row, "node", "", event->node,
		     has_node ? sizeof(event->node) : 0);
	return row;
}

/* ---- lists ---- */

struct order_walk {
	struct admin_call *call;
	json_t *list;
	const uint8_t *node;
	const uint8_t *claim_id;
	size_t skip;
	size_t count;
};

static bool is_wanted(const struct order_walk *w,
		      const struct ledger_event *event)
{
	if (w->node)
		return memcmp(event->node, w->node, SECP_PUBLIC_SIZE) == 0;
	if (w->claim_id)
		return memcmp(event->claim_id, w->claim_id, CLAIM_ID_SIZE) == 0;
	return true;
}

static bool count_order(void *ctx, const struct ledger_event *event)
{
	struct order_walk *w = ctx;

	w->count += is_wanted(w, event);
	return true;
}

static bool list_order(void *ctx, const struct ledger_event *event)
{
	struct order_walk *w = ctx;

	if (!is_wanted(w, event))
		return true;
	if (w->skip > 0)
		w->skip--;
	else
		call_append(w->call, w->list, order_value(w->call, event));
	return true;
}

/* The newest `max`, oldest first; 0: all. */
static json_t *list_orders(struct order_walk *w, uint64_t max)
{
	struct ledger *ledger = w->call->ledger;

	w->list = json_array();
	if (ledger_each_order(ledger, count_order, w))
		w->call->is_bad = true;
	if (max && w->count > max)
		w->skip = w->count - (size_t)max;
	if (ledger_each_order(ledger, list_order, w))
		w->call->is_bad = true;
	return w->list;
}

json_t *orders_of(struct admin_call *call, const uint8_t *node,
		  const uint8_t *claim_id)
{
	struct order_walk w = {
		.call = call, .node = node, .claim_id = claim_id};

	return list_orders(&w, ADMIN_LIST_MAX);
}

void orders_list(struct admin_call *call)
{
	struct order_walk w = {.call = call};
	uint64_t max = ADMIN_LIST_MAX;

	if (call_number_arg(call, "limit", &max))
		call_answer(call, list_orders(&w, max));
}

/* ---- reasons of entries ---- */

struct reason {
	uint8_t node[SECP_PUBLIC_SIZE];
	uint64_t seq;
	char text[LEDGER_REASON_SIZE];
};
struct reasons {
	struct reason *list;
	size_t count, max;
	bool is_bad;
};

static bool add_reason(void *ctx, const struct ledger_event *event)
{
	struct reasons *r = ctx;
	struct reason *grown;

	/* Those about a node have the seq of their entry. */
	if (event->block == 0 || is_zero(event->node, sizeof(event->node)) ||
	    !is_zero(event->claim_id, sizeof(event->claim_id)))
		return true;
	if (r->count == r->max) {
		r->max = r->max ? 2 * r->max : 64;
		grown = reallocarray(r->list, r->max, sizeof(*grown));
		r->is_bad = grown == NULL;
		if (!grown)
			return false;
		r->list = grown;
	}
	r->list[r->count].seq = event->block;
	memcpy(r->list[r->count].node, event->node, SECP_PUBLIC_SIZE);
	memcpy(r->list[r->count++].text, event->text, LEDGER_REASON_SIZE);
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;
	int order = memcmp(x->node, y->node, SECP_PUBLIC_SIZE);

	return order ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

struct reasons *reasons_new(struct ledger *ledger)
{
	struct reasons *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (ledger_each_order(ledger, add_reason, r) || r->is_bad) {
		reasons_free(r);
		return NULL;
	}
	if (r->count)
		qsort(r->list, r->count, sizeof(*r->list), compare);
	return r;
}

const char *reasons_find(const struct reasons *reasons, const uint8_t *node,
			 uint64_t seq)
{
	struct reason key = {.seq = seq};
	const struct reason *found;

	if (reasons->count == 0)
		return NULL;
	memcpy(key.node, node, SECP_PUBLIC_SIZE);
	found = bsearch(&key, reasons->list, reasons->count,
			sizeof(*reasons->list), compare);
	return found ? found->text : NULL;
}

void reasons_free(struct reasons *reasons)
{
	if (!reasons)
		return;
	free(reasons->list);
	free(reasons);
}
