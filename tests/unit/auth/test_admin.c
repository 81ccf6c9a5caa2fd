#include "auth/admin.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/admin_private.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "tests/support/tempdir.h"

static struct {
	char dir[TEMPDIR_MAX];
	struct secp_key server, node;
	char node_text[2 * SECP_PUBLIC_SIZE + 1];
	struct payments_config config;
	struct payments *payments;
} t;

static void start(void)
{
	char why[256];

	cr_assert_eq(payments_open(&t.config, &t.payments, why, sizeof(why)), 0,
		     "%s", why);
}

static void begin(void)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 7};

	tempdir_make(t.dir);
	cr_assert_eq(secp_key_from_private(private, &t.server), 0);
	private[31] = 8;
	cr_assert_eq(secp_key_from_private(private, &t.node), 0);
	hex_encode(t.node.public, SECP_PUBLIC_SIZE, t.node_text);
	payments_config_default(&t.config);
	t.config.dir = t.dir;
	t.config.key = &t.server;
	t.config.rules.mode = ACCESS_AUDIT;
	start();
}

static void end(void)
{
	payments_close(t.payments);
	cr_assert_eq(ledger_fsck(t.dir, stderr), 0);
	tempdir_remove(t.dir);
}

TestSuite(admin, .init = begin, .fini = end);

static int each_peer(void *ctx,
		     void (*visit)(void *visit_ctx,
				   const struct admin_peer *peer),
		     void *visit_ctx, unsigned *silent)
{
	const struct admin_peer peer = {
		.node = t.node.public,
		.address = "192.0.2.7:30303",
		.client = "a \"client\"",
		.caps = "shh/6 waku/1",
		.since_s = 1767300000,
		.is_outgoing = true,
		.sent_bytes = 4096,
	};

	(void)ctx;
	for (int i = 0; i < 3; i++)
		visit(visit_ctx, &peer);
	*silent = 1;
	return 0;
}

static void look(void *ctx, struct admin_server *out)
{
	(void)ctx;
	*out = (struct admin_server){.version = "1.2.3",
				     .commit = "abc",
				     .enode = "enode://ab@192.0.2.1:30303",
				     .readiness = "the archive takes none",
				     .peers = 7,
				     .envelopes_out = 11,
				     .requests_denied = 13,
				     .shards = 4,
				     .disk_free_bytes = 17};
	out->archive.shards_broken = 2;
	out->archive.envelopes = 19;
}

static struct admin_host host_now(void)
{
	return (struct admin_host){
		.payments = t.payments, .each_peer = each_peer, .look = look};
}

/* What is answered, by its path; the caller's. */
static json_t *ask(const char *verb, unsigned status, const char *const *pairs)
{
	char *body = admin_body(pairs);
	struct admin_host host = host_now();
	struct admin_answer got;
	json_t *root;

	admin_run(&host, verb, body, strlen(body), &got);
	cr_assert_eq(got.status, status, "%s: %u %s", verb, got.status,
		     got.body);
	root = json_loads(got.body, JSON_DECODE_ANY, NULL);
	cr_assert(root);
	free(got.body);
	free(body);
	return root;
}
#define ASK(verb, status, ...)                                                 \
	ask((verb), (status), (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT(verb, status, ...) json_decref(ASK(verb, status, __VA_ARGS__))

static const char *text_of(json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

static char *export(const char *verb)
{
	struct admin_host host = host_now();
	struct admin_answer got;

	admin_run(&host, verb, "", 0, &got);
	cr_assert_eq(got.status, 200);
	cr_assert_str_eq(got.type, "text/csv");
	return got.body;
}

Test(admin, no_change_without_a_reason)
{
	static const char *const of_nodes[] = {
		"entitlements.grant",   "entitlements.extend",
		"entitlements.suspend", "entitlements.resume",
		"entitlements.revoke",  NULL};
	char long_text[ADMIN_REASON_MAX + 2];
	json_t *list;

	for (size_t i = 0; of_nodes[i]; i++)
		EXPECT(of_nodes[i], 400, "node", t.node_text, "seconds",
		       "3600");
	EXPECT("claims.cancel", 400, "claim",
	       "00112233445566778899aabbccddeeff");
	EXPECT("claims.recheck", 400, "claim",
	       "00112233445566778899aabbccddeeff");
	EXPECT("mode", 400, "mode", "paid");
	EXPECT("acknowledge", 400, "chain", "main");
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	EXPECT("mode", 400, "mode", "paid", "reason", long_text);
	list = ASK("orders", 200, "limit", "0");
	cr_assert_eq(json_array_size(list), 0);
	json_decref(list);
	cr_assert_eq(payments_mode(t.payments), ACCESS_AUDIT);
	/* And with the longest one it goes. */
	long_text[ADMIN_REASON_MAX] = '\0';
	EXPECT("mode", 200, "mode", "paid", "reason", long_text);
	cr_assert_eq(payments_mode(t.payments), ACCESS_PAID);
}

Test(admin, every_order_is_listed_with_its_reason)
{
	static const char *const want[][2] = {
		{"grant", "a friend"},    {"grant", "still a friend"},
		{"suspend", "a quarrel"}, {"resume", "made up"},
		{"revoke", "no friend"},  {"mode paid", "opening day"},
	};
	json_t *list, *root, *row;

	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "a friend");
	EXPECT("entitlements.extend", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "still a friend");
	EXPECT("entitlements.suspend", 200, "node", t.node_text, "reason",
	       "a quarrel");
	EXPECT("entitlements.resume", 200, "node", t.node_text, "reason",
	       "made up");
	EXPECT("entitlements.revoke", 200, "node", t.node_text, "reason",
	       "no friend");
	EXPECT("mode", 200, "mode", "paid", "reason", "opening day");
	payments_close(t.payments);
	start();
	list = ASK("orders", 200, "limit", "");
	cr_assert_eq(json_array_size(list), 6);
	for (size_t i = 0; i < 6; i++) {
		row = json_array_get(list, i);
		cr_assert_str_eq(text_of(row, "order"), want[i][0]);
		cr_assert_str_eq(text_of(row, "reason"), want[i][1]);
	}
	json_decref(list);
	/* The newest of them. */
	list = ASK("orders", 200, "limit", "2");
	cr_assert_eq(json_array_size(list), 2);
	cr_assert_str_eq(text_of(json_array_get(list, 0), "order"), "revoke");
	json_decref(list);
	root = ASK("entitlements.show", 200, "node", t.node_text);
	cr_assert_eq(json_array_size(json_object_get(root, "orders")), 5);
	list = json_object_get(root, "ledger");
	cr_assert_eq(json_array_size(list), 5);
	for (size_t i = 0; i < 5; i++)
		cr_assert_str_eq(text_of(json_array_get(list, i), "reason"),
				 want[i][1]);
	json_decref(root);
	root = ASK("mode", 200, "mode", "");
	cr_assert_str_eq(text_of(root, "mode"), "paid");
	cr_assert_str_eq(text_of(root, "settings"), "audit");
	cr_assert_str_eq(text_of(root, "reason"), "opening day");
	json_decref(root);
}

Test(admin, an_export_has_reasons_that_no_spreadsheet_obeys)
{
	char *csv;

	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "=1+\"2\"");
	csv = export("payments.export");
	cr_assert(strstr(csv, ",seq,node,reason\n"));
	cr_assert(strstr(csv, ",\"'=1+\"\"2\"\"\"\n"), "%s", csv);
	free(csv);
}

/* An offer of one token, six decimals, and a payment of 2.5 under it. */
static void sell(uint64_t sequence, uint8_t token, const char *symbol)
{
	struct ledger *ledger = payments_ledger(t.payments);
	uint64_t now_s = clock_wall_s();
	uint8_t bytes[OFFER_SIZE_MAX];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer = {.sequence = sequence,
			      .not_before_s = now_s - 60,
			      .not_after_s = now_s + 86400,
			      .options_count = 1};
	struct offer_option *option = &offer.options[0];
	static const uint8_t proof[SECP_SIGNATURE_SIZE] = {1};
	struct claim claim = {.scheme = CLAIM_SIGNATURE,
			      .chain_id = 1,
			      .proof = proof,
			      .proof_size = sizeof(proof)};
	struct finding found = {
		.kind = FINDING_MINED,
		.at = {.head = 90, .final = 90, .has_final = true},
		.block = 10,
		.block_time_s = now_s,
		.value = u256_from_u64(2500000),
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};

	*option = (struct offer_option){
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 6,
		.terms = {.price = u256_from_u64(1000000),
			  .unit_s = 3600,
			  .min_units = 1,
			  .max_units = 24},
		.activate = {POLICY_CONFIRMATIONS, 1},
		.settle = {POLICY_CONFIRMATIONS, 2},
	};
	(void)snprintf(option->symbol, sizeof(option->symbol), "%s", symbol);
	memset(option->token, token, ADDRESS_SIZE);
	memset(option->payee, token + 1, ADDRESS_SIZE);
	memcpy(offer.server, t.server.public, SECP_PUBLIC_SIZE);
	cr_assert_eq(offer_sign(&offer, &t.server, bytes, &task.offer_size,
				claim.offer_hash),
		     0);
	cr_assert_eq(ledger_run(ledger, &task), 0);
	memcpy(claim.node, t.node.public, SECP_PUBLIC_SIZE);
	memcpy(claim.token, option->token, ADDRESS_SIZE);
	memcpy(claim.payee, option->payee, ADDRESS_SIZE);
	memset(claim.payer, 0x70, ADDRESS_SIZE);
	claim.tx[0] = token;
	task = (struct ledger_task){.op = LEDGER_ACCEPT, .claim = &claim};
	cr_assert_eq(ledger_run(ledger, &task), 0);
	found.rev = task.record.rev;
	claim_key(&claim, found.claim_key);
	task = (struct ledger_task){
		.op = LEDGER_FINDING, .findings = &found, .findings_count = 1};
	cr_assert_eq(ledger_run(ledger, &task), 0);
}

Test(admin, an_amount_is_in_the_tokens_of_the_offer_that_was_paid)
{
	char *csv;

	sell(50, 1, "OLD");
	/* Another token, another payee: the first is no longer on offer. */
	sell(51, 3, "=N\",E");
	csv = export("payments.export");
	cr_assert(strstr(csv, ",2500000,2.500000,OLD,0x70"), "%s", csv);
	cr_assert(strstr(csv, ",2500000,2.500000,\"'=N\"\",E\",0x70"), "%s",
		  csv);
	free(csv);
}

Test(admin, an_export_and_a_list_say_the_same_of_a_node)
{
	json_t *list;
	char *csv;

	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds", "1",
	       "reason", "a taste");
	(void)usleep(2100000);
	list = ASK("entitlements.list", 200, "standing", "in_grace");
	cr_assert_eq(json_array_size(list), 1);
	json_decref(list);
	csv = export("entitlements.export");
	cr_assert(strstr(csv, ",in_grace,"), "%s", csv);
	free(csv);
}

/* Of some other node, whose record comes first. */
static void give_no_end_before(void)
{
	uint8_t private[SECP_PRIVATE_SIZE] = {[31] = 9};
	char text[2 * SECP_PUBLIC_SIZE + 1];
	struct secp_key key;

	do {
		private[31]++;
		cr_assert_eq(secp_key_from_private(private, &key), 0);
	} while (memcmp(key.public, t.node.public, SECP_PUBLIC_SIZE) > 0);
	hex_encode(key.public, SECP_PUBLIC_SIZE, text);
	EXPECT("entitlements.grant", 200, "node", text, "seconds", "0",
	       "reason", "family");
}

Test(admin, grace_is_that_of_the_settings_whoever_comes_first)
{
	json_t *root;
	char *csv;

	give_no_end_before();
	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds", "1",
	       "reason", "a taste");
	(void)usleep(2100000);
	root = ASK("entitlements.list", 200, "standing", "in_grace");
	cr_assert_eq(json_array_size(root), 1);
	json_decref(root);
	csv = export("entitlements.export");
	cr_assert(strstr(csv, ",in_grace,"), "%s", csv);
	free(csv);
	root = ASK("stats", 200, "limit", "");
	cr_assert_eq(json_integer_value(json_object_get(root, "in_grace")), 1);
	json_decref(root);
}

Test(admin, what_cannot_be_counted_is_refused_and_nothing_is_lost)
{
	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "a friend");
	EXPECT("entitlements.extend", 400, "node", t.node_text, "seconds",
	       "18446744073709551615", "reason", "for ever and a day");
	EXPECT("entitlements.extend", 400, "node", t.node_text, "seconds",
	       "99999999999999999999999", "reason", "for ever and a day");
	EXPECT("entitlements.extend", 400, "node", t.node_text, "seconds", "-1",
	       "reason", "back in time");
	EXPECT("entitlements.extend", 200, "node", t.node_text, "seconds", "60",
	       "reason", "a minute");
}

Test(admin, what_a_command_does_not_take_is_refused_and_changes_nothing)
{
	json_t *root;

	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "a friend");
	/* It would have no end. */
	EXPECT("entitlements.suspend", 400, "node", t.node_text, "seconds",
	       "3600", "reason", "an hour in the corner");
	EXPECT("mode", 400, "mode", "free", "seconds", "60", "reason", "soon");
	EXPECT("stats", 400, "mode", "active");
	EXPECT("entitlements.show", 400, "node", t.node_text, "see", "1");
	/* A word that is none would find nothing and look like an answer. */
	EXPECT("claims.list", 400, "state", "reorg");
	EXPECT("entitlements.list", 400, "standing", "grace");
	root = ASK("entitlements.show", 200, "node", t.node_text);
	cr_assert_str_eq(text_of(root, "standing"), "active");
	json_decref(root);
	EXPECT("claims.list", 200, "state", "reorged", "limit", "5");
	root = ASK("entitlements.list", 200, "standing", "active");
	cr_assert_eq(json_array_size(root), 1);
	json_decref(root);
}

/* Taken for one that is missing, `seq` would mean all of them. */
Test(admin, a_value_that_is_no_text_is_refused_and_changes_nothing)
{
	struct admin_host host = host_now();
	struct admin_answer got;
	char body[512];
	json_t *root;

	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds",
	       "3600", "reason", "a friend");
	EXPECT("entitlements.grant", 200, "node", t.node_text, "seconds", "60",
	       "reason", "a mistake");
	(void)snprintf(body, sizeof(body),
		       "{\"node\":\"%s\",\"reason\":\"undone\",\"seq\":2}",
		       t.node_text);
	admin_run(&host, "entitlements.revoke", body, strlen(body), &got);
	cr_assert_eq(got.status, 400, "%s", got.body);
	cr_assert(strstr(got.body, "seq"), "%s", got.body);
	free(got.body);
	root = ASK("entitlements.show", 200, "node", t.node_text);
	cr_assert_str_eq(text_of(root, "standing"), "active");
	json_decref(root);
	EXPECT("entitlements.revoke", 200, "node", t.node_text, "reason",
	       "undone", "seq", "2");
}

Test(admin, nothing_is_acknowledged_that_was_not_told)
{
	json_t *list = ASK("alarms", 200, "chain", "");

	cr_assert_eq(json_array_size(list), 0);
	json_decref(list);
	EXPECT("acknowledge", 404, "reason", "to be sure");
}

Test(admin, peers_are_listed_and_silent_rings_named)
{
	json_t *root = ASK("peers", 200, "limit", ""), *list, *row;

	list = json_object_get(root, "peers");
	cr_assert_eq(json_array_size(list), 3);
	cr_assert_eq(json_integer_value(json_object_get(root, "silent_rings")),
		     1);
	row = json_array_get(list, 0);
	cr_assert_str_eq(text_of(row, "node"), t.node_text);
	cr_assert_str_eq(text_of(row, "client"), "a \"client\"");
	cr_assert_str_eq(text_of(row, "direction"), "out");
	json_decref(root);
	root = ASK("peers", 200, "limit", "2");
	cr_assert_eq(json_array_size(json_object_get(root, "peers")), 2);
	json_decref(root);
}

Test(admin, the_log_level_changes_without_payments)
{
	struct admin_host host = {.payments = NULL};
	struct admin_answer got;

	admin_run(&host, "mode", "", 0, &got);
	cr_assert_eq(got.status, 409);
	free(got.body);
	admin_run(&host, "peers", "", 0, &got);
	cr_assert_eq(got.status, 500);
	free(got.body);
	EXPECT("log-level", 400, "level", "loud");
	EXPECT("log-level", 200, "level", "broken");
	cr_assert_eq(log_get_level(), LOG_LEVEL_BROKEN);
	EXPECT("log-level", 200, "level", "");
	cr_assert_eq(log_get_level(), LOG_LEVEL_BROKEN);
}

static json_int_t number_of(json_t *root, const char *group, const char *key)
{
	return json_integer_value(
		json_object_get(json_object_get(root, group), key));
}

Test(admin, the_status_tells_of_server_and_payments_at_once)
{
	json_t *root, *payments;

	EXPECT("mode", 200, "mode", "paid", "reason", "opening day");
	root = ASK("status", 200, "limit", "");
	cr_assert(json_is_false(json_object_get(root, "ready")));
	cr_assert_str_eq(text_of(root, "readiness"), "the archive takes none");
	cr_assert_eq(json_integer_value(json_object_get(root, "peers")), 7);
	cr_assert_eq(number_of(root, "envelopes", "out"), 11);
	cr_assert_eq(number_of(root, "requests", "denied"), 13);
	cr_assert_eq(number_of(root, "archive", "envelopes"), 19);
	cr_assert_eq(number_of(root, "archive", "shards_broken"), 2);
	cr_assert_eq(number_of(root, "archive", "disk_free"), 17);
	cr_assert(json_is_true(json_object_get(root, "sells")));
	payments = json_object_get(root, "payments");
	cr_assert_str_eq(text_of(payments, "mode"), "paid");
	cr_assert_str_eq(text_of(payments, "reason"), "opening day");
	cr_assert(json_is_array(json_object_get(payments, "alarms")));
	cr_assert_eq(number_of(payments, "claims", "pending"), 0);
	cr_assert(json_object_get(payments, "claims"));
	json_decref(root);
}

Test(admin, the_status_of_a_server_that_sells_nothing)
{
	struct admin_host host = {.look = look};
	struct admin_answer got;

	admin_run(&host, "status", "", 0, &got);
	cr_assert_eq(got.status, 200);
	cr_assert(strstr(got.body, "\"sells\":false"));
	cr_assert_not(strstr(got.body, "payments"));
	free(got.body);
	host.look = NULL;
	admin_run(&host, "status", "", 0, &got);
	cr_assert_eq(got.status, 500);
	free(got.body);
}

Test(admin, a_mode_for_now_is_forgotten_at_the_next_start)
{
	json_t *root;

	EXPECT("mode", 400, "mode", "free", "for_now", "yes");
	EXPECT("mode", 200, "mode", "paid", "reason", "opening day");
	root = ASK("mode", 200, "mode", "free", "for_now", "yes", "reason",
		   "a feast");
	cr_assert_str_eq(text_of(root, "mode"), "free");
	cr_assert_str_eq(text_of(root, "after_restart"), "paid");
	cr_assert_str_eq(text_of(root, "reason"), "", "that of another mode");
	json_decref(root);
	cr_assert_eq(payments_mode(t.payments), ACCESS_FREE);
	payments_close(t.payments);
	start();
	root = ASK("mode", 200, "mode", "");
	cr_assert_str_eq(text_of(root, "mode"), "paid");
	cr_assert_str_eq(text_of(root, "after_restart"), "paid");
	cr_assert_str_eq(text_of(root, "reason"), "opening day");
	json_decref(root);
	root = ASK("orders", 200, "limit", "1");
	cr_assert_str_eq(text_of(json_array_get(root, 0), "order"),
			 "mode free for now");
	cr_assert_str_eq(text_of(json_array_get(root, 0), "reason"), "a feast");
	json_decref(root);
}

Test(admin, claims_that_a_person_should_look_at)
{
	const uint64_t at_s = 1767300000;
	/* clang-format off */
	static const struct {
		enum claim_state state;
		enum claim_reason reason;
		uint64_t age_s;
		bool needs;
	} rows[] = {
		{CLAIM_RECEIVED, CLAIM_NO_REASON, 599, false},
		{CLAIM_RECEIVED, CLAIM_NO_REASON, 600, true},
		{CLAIM_PENDING, CLAIM_NO_REASON, 3599, false},
		{CLAIM_PENDING, CLAIM_NO_REASON, 3600, true},
		{CLAIM_CONFIRMING, CLAIM_NO_REASON, 86400, false},
		{CLAIM_ACTIVE, CLAIM_NO_REASON, 86400, false},
		{CLAIM_SETTLED, CLAIM_NO_REASON, 86400, false},
		{CLAIM_REORGED, CLAIM_NO_REASON, 0, true},
		{CLAIM_REJECTED, CLAIM_BAD_PROOF, 0, false},
		{CLAIM_REJECTED, CLAIM_CANCELLED, 0, false},
		{CLAIM_REJECTED, CLAIM_NO_OPTION, 0, true},
		{CLAIM_REJECTED, CLAIM_TOO_OLD, 604799, true},
		{CLAIM_REJECTED, CLAIM_TOO_OLD, 604800, false},
		{CLAIM_REJECTED, CLAIM_AMOUNT_OVERFLOW, 0, true},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct claim_record rec = {.state = rows[i].state,
						 .reason = rows[i].reason,
						 .received_s = at_s,
						 .updated_s = at_s};

		cr_assert_eq(claim_needs_look(&rec, at_s + rows[i].age_s),
			     rows[i].needs, "row %zu", i);
	}
}
