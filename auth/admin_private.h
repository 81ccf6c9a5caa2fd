#ifndef AUTH_ADMIN_PRIVATE_H
#define AUTH_ADMIN_PRIVATE_H
/*
 * What the verbs of the operator share: one call with its arguments, and how
 * it is answered. Nobody else includes this.
 *
 * Thread: as admin_run().
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/admin.h"
#include "auth/payments.h"

#define ADMIN_LIST_MAX 1000 /* rows, when nothing is said */

struct admin_call {
	const struct admin_host *host;
	struct payments *payments;
	struct ledger *ledger;
	json_t *args;
	struct admin_answer *out;
	bool is_bad; /* a value of the answer is missing: no memory */
};

/* ---- admin_call.c ---- */

void call_error(struct admin_call *call, unsigned status, const char *code,
		const char *message);
/* Takes `root` over. */
void call_answer(struct admin_call *call, json_t *root);
/* Was a change made? If not, the answer says why. */
bool call_is_done(struct admin_call *call, int err);

/* NULL: not given, or empty. */
const char *call_arg(const struct admin_call *call, const char *name);
/* These have answered when they return false. `out` of a number that is not
 * given stays as it is. */
bool call_number_arg(struct admin_call *call, const char *name, uint64_t *out);
bool call_node_arg(struct admin_call *call,
		   uint8_t out[static SECP_PUBLIC_SIZE]);
bool call_claim_arg(struct admin_call *call, uint8_t out[static CLAIM_ID_SIZE]);
bool call_reason_arg(struct admin_call *call, const char **out);

void call_put_text(struct admin_call *call, json_t *root, const char *key,
		   const char *text);
void call_put_number(struct admin_call *call, json_t *root, const char *key,
		     uint64_t value);
void call_put_bool(struct admin_call *call, json_t *root, const char *key,
		   bool value);
void call_put_hex(struct admin_call *call, json_t *root, const char *key,
		  const char *prefix, const uint8_t *in, size_t len);
void call_put_amount(struct admin_call *call, json_t *root, const char *key,
		     const struct u256 *amount);
void call_put(struct admin_call *call, json_t *root, const char *key,
	      json_t *value);
void call_append(struct admin_call *call, json_t *list, json_t *item);

/* A list in the making. */
struct listing {
	struct admin_call *call;
	json_t *list;
	uint64_t max;
	const char *wanted; /* a standing or a state; NULL: all */
	bool needs_look;    /* only claims that need one */
};
bool listing_is_full(const struct listing *listing);

/* ---- admin_entitlements.c ---- */

const char *entitlement_standing(const struct entitlement *ent,
				 uint64_t grace_s, uint64_t now_s);
uint64_t entitlement_grace(const struct admin_call *call);
const char *entry_type_text(uint8_t type);

void entitlements_list(struct admin_call *call);
void entitlements_show(struct admin_call *call);
void entitlements_grant(struct admin_call *call);
void entitlements_extend(struct admin_call *call);
void entitlements_suspend(struct admin_call *call);
void entitlements_resume(struct admin_call *call);
void entitlements_revoke(struct admin_call *call);

/* ---- admin_server.c: what payments are not needed for ---- */

void server_peers(struct admin_call *call);
void server_log_level(struct admin_call *call);

/* ---- admin_status.c ---- */

void status_show(struct admin_call *call);

/* ---- admin_claims.c ---- */

/* Should a person look at it: has it waited too long, or was something paid
 * that bought nothing? */
bool claim_needs_look(const struct claim_record *rec, uint64_t now_s);
void claims_list(struct admin_call *call);
void claims_look(struct admin_call *call);
void claims_show(struct admin_call *call);
void claims_cancel(struct admin_call *call);
void claims_recheck(struct admin_call *call);

/* ---- admin_rules.c ---- */

json_t *mode_value(struct admin_call *call);
json_t *chains_value(struct admin_call *call);
json_t *alarms_value(struct admin_call *call);
void rules_mode(struct admin_call *call);
void rules_offers(struct admin_call *call);
void rules_chains(struct admin_call *call);
void rules_alarms(struct admin_call *call);
void rules_acknowledge(struct admin_call *call);

/* ---- admin_orders.c ---- */

/* What the operator has ordered of a node, or (NULL) of a claim, and why. */
json_t *orders_of(struct admin_call *call, const uint8_t *node,
		  const uint8_t *claim_id);
/* The reason of the order that made an entry of the ledger; NULL: none. */
struct reasons;
struct reasons *reasons_new(struct ledger *ledger); /* NULL: no memory */
const char *reasons_find(const struct reasons *reasons, const uint8_t *node,
			 uint64_t seq);
void reasons_free(struct reasons *reasons);
void orders_list(struct admin_call *call);

/* ---- admin_report.c ---- */

json_t *states_value(struct admin_call *call); /* claims in each state */
void report_stats(struct admin_call *call);
void report_payments(struct admin_call *call);
void report_entitlements(struct admin_call *call);

#endif
