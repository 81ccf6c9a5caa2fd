/* The operator: who may read, offers, chains. */
#include "auth/admin_private.h"

#include <string.h>

#include "auth/claim_json.h"
#include "core/log.h"

void rules_mode(struct admin_call *call)
{
	const char *wanted = call_arg(call, "mode");
	enum access_mode mode = payments_mode(call->payments);
	const char *reason;
	json_t *root;

	if (wanted) {
		if (access_mode_from_text(wanted, &mode)) {
			call_error(call, 400, "bad_format",
				   "mode: free, paid or audit");
			return;
		}
		if (!call_reason_arg(call, &reason))
			return;
		payments_set_mode(call->payments, mode);
		LOG_INFO("mode changed by the operator",
			 log_text("mode", access_mode_str(mode)),
			 log_text("reason", reason));
	}
	root = json_object();
	call_put_text(call, root, "mode", access_mode_str(mode));
	call_answer(call, root);
}

void rules_offers(struct admin_call *call)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	uint8_t hash[32];
	struct offer offer;
	size_t len;

	if (payments_offer(call->payments, bytes, &len, hash) ||
	    offer_open(bytes, len, &offer, hash)) {
		call_error(call, 404, "no_offer",
			   "there is no offer yet: see admin chains");
		return;
	}
	call->out->status = 200;
	call->out->body = offer_json_encode(bytes, len, hash, &offer);
}

void rules_chains(struct admin_call *call)
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
		call_put_number(call, row, "endpoints_good",
				view.endpoints_good);
		call_put_bool(call, row, "usable", view.is_usable);
		call_put_bool(call, row, "alarm", view.is_alarmed);
		call_append(call, list, row);
	}
	call_answer(call, list);
}
