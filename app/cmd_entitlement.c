#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/pay_server.h"
#include "app/pay_text.h"
#include "auth/access.h"
#include "core/bytes.h"
#include "net/wmpay.h"

static const struct setting options[] = {PAY_SERVER_OPTIONS, {0}};

static const struct usage usage = {
	.command = "entitlement",
	.operands = "ENODE",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Asks a server until when your node (--nodekey) is served "
		   "and what credit it has.\nEnds with 0 when it is served "
		   "now, with 1 when not.",
	.options = options,
};

static bool is_served(const struct wmpay_entitlement *ent)
{
	if (ent->mode != ACCESS_PAID)
		return true;
	if (ent->flags & ENTITLEMENT_SUSPENDED)
		return false;
	return (ent->flags & ENTITLEMENT_NO_END) ||
	       ent->server_time_s < ent->grace_end_s;
}

static const char *mode_text(uint8_t mode)
{
	return mode <= ACCESS_AUDIT ? access_mode_str((enum access_mode)mode)
				    : "unknown";
}

static void show_json(const struct wmpay_entitlement *ent)
{
	char token[2 * ADDRESS_SIZE + 1], amount[U256_DECIMAL_MAX + 1];

	printf("{\"served\":%s,\"mode\":\"%s\",\"server_time\":%" PRIu64
	       ",\"expiry\":%" PRIu64 ",\"grace_end\":%" PRIu64
	       ",\"quota\":%" PRIu64 ",\"flags\":%" PRIu32 ",\"credits\":[",
	       is_served(ent) ? "true" : "false", mode_text(ent->mode),
	       ent->server_time_s, ent->expiry_s, ent->grace_end_s, ent->quota,
	       ent->flags);
	for (unsigned i = 0; i < ent->credits_count; i++) {
		hex_encode(ent->credits[i].token, ADDRESS_SIZE, token);
		(void)u256_to_decimal(&ent->credits[i].amount, amount);
		printf("%s{\"chain_id\":%" PRIu64
		       ",\"token\":\"0x%s\",\"credit\":\"%s\"}",
		       i ? "," : "", ent->credits[i].chain_id, token, amount);
	}
	printf("]}\n");
}

static void show(const struct wmpay_entitlement *ent)
{
	char text[PAY_TEXT_MAX], token[2 * ADDRESS_SIZE + 1];
	char amount[U256_DECIMAL_MAX + 1];

	printf("%s (the server's mode is %s)\n",
	       is_served(ent) ? "served" : "not served", mode_text(ent->mode));
	if (ent->flags & ENTITLEMENT_NO_END) {
		printf("  without end\n");
	} else if (ent->expiry_s) {
		pay_text_time(ent->expiry_s, text);
		printf("  paid until  %s\n", text);
		pay_text_time(ent->grace_end_s, text);
		printf("  served until %s\n", text);
	}
	if (ent->flags & ENTITLEMENT_SUSPENDED)
		printf("  suspended by the operator\n");
	if (ent->flags & ENTITLEMENT_UNSETTLED)
		printf("  a payment is not yet final\n");
	for (unsigned i = 0; i < ent->credits_count; i++) {
		hex_encode(ent->credits[i].token, ADDRESS_SIZE, token);
		(void)u256_to_decimal(&ent->credits[i].amount, amount);
		printf("  credit      %s base units of 0x%s on chain %" PRIu64
		       "\n",
		       amount, token, ent->credits[i].chain_id);
	}
}

int cmd_entitlement(int argc, char **argv)
{
	struct wmpay_entitlement ent = {0};
	struct pay_server server;
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	status = pay_server_open(&usage, &args, args.operands[0], &server);
	if (status == EXIT_OK && (server.is_http || !server.has_key)) {
		client_args_complain(&usage,
				     "a server tells a node only about itself: "
				     "give an enode URL and --nodekey");
		status = EXIT_USAGE;
	}
	if (status == EXIT_OK)
		status = pay_server_entitlement(&server, &ent);
	if (status == EXIT_OK) {
		if (server.is_json)
			show_json(&ent);
		else
			show(&ent);
		status = is_served(&ent) ? EXIT_OK : EXIT_FAILED;
	}
	pay_server_release(&server);
	args_release(&args);
	return status;
}
