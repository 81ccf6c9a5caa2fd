#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/nodekey.h"
#include "app/pay_server.h"
#include "app/pay_text.h"
#include "app/payees.h"
#include "auth/claim_json.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"

#define complain(...) client_args_complain(&usage, __VA_ARGS__)

/* clang-format off */
static const struct setting options[] = {
	{"tx", NULL, SETTING_TEXT, NULL, "64", "66", "hash",
	 "the transaction that paid"},
	{"payer", NULL, SETTING_TEXT, "", NULL, "42", "address",
	 "account the tokens left; with --key-file that key's"},
	{"transfer", NULL, SETTING_U64, "0", "0", "65535", "index",
	 "which of the payer's transfers in the transaction, from 0"},
	{"option", NULL, SETTING_U64, "0", "0", "65535", "number",
	 "option of the offer that was paid; 0: the first"},
	{"offer", NULL, SETTING_TEXT, "", NULL, "66", "hash",
	 "the offer in the text that was signed; empty: the one in force"},
	{"node", NULL, SETTING_TEXT, "", NULL, "511", "enode",
	 "node the payment is for; empty: that of --nodekey"},
	{"signature", NULL, SETTING_TEXT, "", NULL, "8194", "hex",
	 "the payer's signature of the text; without it the text is printed"},
	{"key-file", NULL, SETTING_TEXT, "", NULL, "4095", "file",
	 "sign with the key in this file: for test keys only"},
	{"contract", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "the payer is a contract wallet (ERC-1271)"},
	{"until", NULL, SETTING_WORD, "active", NULL, NULL,
	 "filed|active|settled", "follow the claim until then"},
	{"wait", NULL, SETTING_DURATION, "1h", "1s", "30d", NULL,
	 "longest time to follow it"},
	{"payees", NULL, SETTING_TEXT, "", NULL, "4095", "file",
	 "payees seen and paid; empty: in your data folder"},
	PAY_SERVER_OPTIONS,
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "claim",
	.operands = "ENODE|URL",
	.operands_min = 1,
	.operands_max = 1,
	.summary =
		"Claims a payment for a node. Without --signature or "
		"--key-file it prints the text that\nthe payer's wallet must "
		"sign (personal_sign), exactly, and nothing else. With one, "
		"it\nfiles the claim and follows it. Filing a claim again is "
		"always safe.",
	.options = options,
};

enum until { UNTIL_FILED, UNTIL_ACTIVE, UNTIL_SETTLED };

struct claiming {
	struct pay_server server;
	struct pay_offer offer;
	struct claim claim;
	uint8_t proof[CLAIM_PROOF_MAX];
	const struct offer_option *option;
	enum until until;
	bool is_live; /* a line on a terminal */
	bool is_rejected;
	bool is_delayed; /* the line says so */
	struct claim_status last;
	bool has_last;
};

/* ---- the claim ---- */

/* 0x or not; exactly len bytes. */
static bool read_hex(const char *text, uint8_t *out, size_t len)
{
	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	return hex_decode(text, strlen(text), out, len) == 0;
}

static int read_node(const struct settings *s, struct claiming *c)
{
	const char *text = settings_text(s, "node");
	struct enode enode;

	if (!*text && c->server.has_key) {
		memcpy(c->claim.node, c->server.key.public, SECP_PUBLIC_SIZE);
		return EXIT_OK;
	}
	if (!*text || enode_decode(text, &enode)) {
		complain(*text ? "--node: no enode or key of 128 hex digits"
			       : "which node is it for? Give --node or "
				 "--nodekey");
		return EXIT_USAGE;
	}
	if (!c->server.is_http &&
	    (!c->server.has_key || memcmp(c->server.key.public, enode.public,
					  SECP_PUBLIC_SIZE) != 0)) {
		complain("over devp2p a node claims for itself: give its "
			 "--nodekey, or the server's URL");
		return EXIT_USAGE;
	}
	memcpy(c->claim.node, enode.public, SECP_PUBLIC_SIZE);
	return EXIT_OK;
}

static int read_option(const struct settings *s, struct claiming *c)
{
	uint64_t wanted = settings_u64(s, "option");
	const char *named = settings_text(s, "offer");
	const struct offer *offer = &c->offer.offer;

	for (unsigned i = 0; i < offer->options_count && !c->option; i++) {
		if (offer->options[i].kind == PLAN_PERIOD &&
		    (!wanted || wanted == offer->options[i].id))
			c->option = &offer->options[i];
	}
	if (!c->option) {
		complain("the offer has no such option; see `restante offer`");
		return EXIT_FAILED;
	}
	c->claim.chain_id = c->option->chain_id;
	memcpy(c->claim.token, c->option->token, ADDRESS_SIZE);
	memcpy(c->claim.payee, c->option->payee, ADDRESS_SIZE);
	memcpy(c->claim.offer_hash, c->offer.hash, 32);
	/* A new one may have come since the text was printed. The price is that
	 * of the block's time in any case (payments.md §4.4). */
	if (*named && !read_hex(named, c->claim.offer_hash, 32)) {
		complain("--offer: 64 hex digits are wanted");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int read_payment(const struct settings *s, struct claiming *c)
{
	const char *payer = settings_text(s, "payer");

	c->claim.scheme =
		settings_bool(s, "contract") ? CLAIM_CONTRACT : CLAIM_SIGNATURE;
	c->claim.index = (uint16_t)settings_u64(s, "transfer");
	if (!read_hex(settings_text(s, "tx"), c->claim.tx, TX_SIZE)) {
		complain("--tx: 64 hex digits are wanted");
		return EXIT_USAGE;
	}
	if (*payer && !read_hex(payer, c->claim.payer, ADDRESS_SIZE)) {
		complain("--payer: 40 hex digits are wanted");
		return EXIT_USAGE;
	}
	if (!*payer && !*settings_text(s, "key-file")) {
		complain("--payer is missing: the account the tokens left");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* ---- the proof ---- */

static int sign_with_key(const struct settings *s, struct claiming *c)
{
	char why[NODEKEY_WHY_MAX];
	uint8_t digest[32];
	struct secp_key key;

	if (nodekey_read(settings_text(s, "key-file"), &key, why)) {
		complain("%s", why);
		return EXIT_FAILED;
	}
	if (!*settings_text(s, "payer"))
		address_from_public(key.public, c->claim.payer);
	claim_digest(&c->claim, c->offer.offer.server, digest);
	secp_sign(&key, digest, c->proof);
	c->proof[64] = (uint8_t)(c->proof[64] + 27);
	c->claim.proof_size = SECP_SIGNATURE_SIZE;
	bytes_erase(&key, sizeof(key));
	return EXIT_OK;
}

static int read_signature(const struct settings *s, struct claiming *c)
{
	const char *text = settings_text(s, "signature");
	size_t chars;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	chars = strlen(text);
	c->claim.proof_size = chars / 2;
	if (chars % 2 || chars / 2 > sizeof(c->proof) ||
	    hex_decode(text, chars, c->proof, chars / 2)) {
		complain("--signature: hex digits are wanted");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* EXIT_OK with proof_size 0: there is none yet. */
static int make_proof(const struct settings *s, struct claiming *c)
{
	int status = EXIT_OK;

	c->claim.proof = c->proof;
	if (*settings_text(s, "key-file"))
		status = sign_with_key(s, c);
	else if (*settings_text(s, "signature"))
		status = read_signature(s, c);
	if (status == EXIT_OK && c->claim.proof_size > 0 &&
	    c->claim.scheme == CLAIM_SIGNATURE &&
	    claim_check_signature(&c->claim, c->offer.offer.server)) {
		complain("the signature is not the payer's for this text: run "
			 "without it to see the text. If the text that was "
			 "signed names another offer, give that: --offer 0x…");
		status = EXIT_FAILED;
	}
	return status;
}

static void print_text(const struct claiming *c)
{
	char text[CLAIM_TEXT_MAX];
	uint8_t digest[32];
	char hex[65];
	size_t len = claim_text(&c->claim, c->offer.offer.server, text);

	if (!c->server.is_json) {
		(void)fwrite(text, 1, len, stdout);
		(void)fflush(stdout);
		if (isatty(STDOUT_FILENO))
			(void)fprintf(stderr,
				      "\n\nSign this text with the payer's "
				      "wallet and run again with --signature\n"
				      "(no line feed behind the last line).\n");
		return;
	}
	claim_digest_of(text, len, digest);
	hex_encode(digest, sizeof(digest), hex);
	printf("{\"text\":\"");
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			printf("\\n");
		else
			(void)putchar(text[i]);
	}
	printf("\",\"digest\":\"0x%s\"}\n", hex);
}

/* ---- following ---- */

static void print_json(const struct claim_status *status)
{
	char *json = claim_json_status(status);

	printf("%s\n", json ? json : "{}");
	(void)fflush(stdout);
	free(json);
}

static void describe(const struct claiming *c, const struct claim_status *now,
		     char *out, size_t size)
{
	const char *word = claim_state_str(now->state);
	char when[PAY_TEXT_MAX];

	switch (now->state) {
	case CLAIM_CONFIRMING:
		if (now->needed)
			(void)snprintf(out, size, "%s %" PRIu64 "/%" PRIu64,
				       word, now->confirmations, now->needed);
		else
			(void)snprintf(out, size, "%s, waiting for finality",
				       word);
		break;
	case CLAIM_ACTIVE:
	case CLAIM_SETTLED:
		pay_text_time(now->expiry_s, when);
		(void)snprintf(out, size,
			       "%s: %" PRIu32 " unit%s, paid until %s", word,
			       now->units, now->units == 1 ? "" : "s", when);
		break;
	case CLAIM_REJECTED:
		(void)snprintf(out, size, "%s: %s", word,
			       claim_reason_str(now->reason));
		break;
	case CLAIM_RECEIVED:
	case CLAIM_PENDING:
	case CLAIM_REORGED:
		(void)snprintf(out, size, "%s", word);
		break;
	}
	(void)c;
}

static bool is_same(const struct claim_status *a, const struct claim_status *b)
{
	/* Once it is credited nobody waits for confirmations. */
	return a->state == b->state && a->reason == b->reason &&
	       (a->state != CLAIM_CONFIRMING ||
		a->confirmations == b->confirmations) &&
	       a->units == b->units && a->expiry_s == b->expiry_s;
}

static void show(struct claiming *c, const struct claim_status *now)
{
	char text[PAY_TEXT_MAX * 2];

	if (c->has_last && !c->is_delayed && is_same(&c->last, now))
		return;
	c->has_last = true;
	c->is_delayed = false;
	c->last = *now;
	if (c->server.is_json) {
		print_json(now);
		return;
	}
	describe(c, now, text, sizeof(text));
	if (c->is_live)
		printf("\r\033[K%s", text);
	else
		printf("%s\n", text);
	(void)fflush(stdout);
}

static void on_delayed(void *ctx, const char *why)
{
	struct claiming *c = ctx;
	char text[PAY_TEXT_MAX * 2] = "not yet filed";

	if (!c->is_live) {
		complain("%s; trying again", why);
		return;
	}
	if (c->has_last)
		describe(c, &c->last, text, sizeof(text));
	c->is_delayed = true;
	printf("\r\033[K%s (%s; trying again)", text, why);
	(void)fflush(stdout);
}

static bool on_changed(void *ctx, const struct claim_status *now)
{
	struct claiming *c = ctx;

	show(c, now);
	switch (now->state) {
	case CLAIM_ACTIVE:
		/* What is credited is told with the second answer. */
		return c->until == UNTIL_SETTLED ||
		       (now->units == 0 && now->expiry_s == 0 &&
			u256_is_zero(&now->credit));
	case CLAIM_SETTLED:
		return now->units == 0 && now->expiry_s == 0 &&
		       u256_is_zero(&now->credit);
	case CLAIM_REJECTED:
		c->is_rejected = true;
		return false;
	case CLAIM_RECEIVED:
	case CLAIM_PENDING:
	case CLAIM_CONFIRMING:
	case CLAIM_REORGED:
		break;
	}
	return c->until != UNTIL_FILED;
}

/* What was paid is known from now on: `restante offer` compares with it. */
static void remember_payee(const struct settings *s, const struct claiming *c)
{
	struct payee payee = {.chain_id = c->claim.chain_id,
			      .is_paid = true,
			      .at_s = clock_wall_s()};
	const char *path = settings_text(s, "payees");
	char usual[PAYEES_PATH_MAX];
	int err;

	if (!*path)
		path = payees_path(usual) ? usual : NULL;
	if (!path)
		return;
	memcpy(payee.server, c->offer.offer.server, SECP_PUBLIC_SIZE);
	memcpy(payee.token, c->claim.token, ADDRESS_SIZE);
	memcpy(payee.address, c->claim.payee, ADDRESS_SIZE);
	err = payees_keep(path, &payee);
	if (err)
		complain("%s: the payee is not remembered: %s", path,
			 err_str(err));
}

static int file_claim(const struct settings *s, struct claiming *c)
{
	struct pay_follow follow = {
		.changed = on_changed, .delayed = on_delayed, .ctx = c};
	uint64_t wait_ms = settings_ms(s, "wait");
	int status;

	follow.wait_ms = wait_ms > UINT32_MAX ? UINT32_MAX : (unsigned)wait_ms;
	c->until = (enum until)settings_word(s, "until");
	c->is_live = !c->server.is_json && isatty(STDOUT_FILENO);
	status = pay_server_claim(&c->server, &c->claim, &follow);
	if (c->is_live && (c->has_last || c->is_delayed))
		printf("\n");
	/* The server has taken it: it was for this payee. */
	if (c->has_last && !c->is_rejected)
		remember_payee(s, c);
	return c->is_rejected ? EXIT_FAILED : status;
}

static int run(const struct args *args, struct claiming *c)
{
	const struct settings *s = args->options;
	int status;

	status = pay_server_open(&usage, args, args->operands[0], &c->server);
	if (status == EXIT_OK)
		status = read_node(s, c);
	if (status == EXIT_OK)
		status = read_payment(s, c);
	if (status == EXIT_OK)
		status = pay_server_offer(&c->server, &c->offer);
	if (status == EXIT_OK)
		status = read_option(s, c);
	if (status == EXIT_OK)
		status = make_proof(s, c);
	if (status != EXIT_OK)
		return status;
	if (c->claim.proof_size > 0)
		return file_claim(s, c);
	print_text(c);
	return EXIT_OK;
}

int cmd_claim(int argc, char **argv)
{
	struct claiming *c;
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	c = calloc(1, sizeof(*c));
	if (!c) {
		complain("out of memory");
		status = EXIT_FAILED;
	} else {
		status = run(&args, c);
		pay_server_release(&c->server);
	}
	free(c);
	args_release(&args);
	return status;
}
