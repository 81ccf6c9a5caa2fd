#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/client_args.h"
#include "app/when.h"
#include "auth/admin.h"
#include "auth/claim_json.h"
#include "auth/ledger.h"
#include "auth/web.h"
#include "core/err.h"

#define complain(...) client_args_complain(&usage, __VA_ARGS__)
#define PATH_MAX_     4096
#define ANSWER_MAX    ((size_t)256 << 20)
#define VERB_MAX      64

/* clang-format off */
static const struct setting options[] = {
	{"datadir", NULL, SETTING_TEXT, "restante-data", "1", "1024", "folder",
	 "folder of the server, where its admin.sock is"},
	{"url", NULL, SETTING_TEXT, "", NULL, "511", "url",
	 "private listener instead, as in http://127.0.0.1:8550"},
	{"token-file", NULL, SETTING_TEXT, "", NULL, "1024", "file",
	 "with --url; empty: admin-token in the datadir"},
	{"reason", NULL, SETTING_TEXT, "", NULL, "127", "text",
	 "why; wanted for every change and kept with it"},
	{"for", NULL, SETTING_TEXT, "", NULL, "20", "30d|forever",
	 "how long a grant is, or by how much it is extended"},
	{"state", NULL, SETTING_TEXT, "", NULL, "20", "word",
	 "only claims in this state, or entitlements of this standing"},
	{"seq", NULL, SETTING_TEXT, "", NULL, "20", "number",
	 "revoke only this entry of the ledger"},
	{"for-now", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "a mode only until the server ends"},
	{"limit", NULL, SETTING_TEXT, "", NULL, "20", "rows",
	 "rows of a list; 0: all; empty: 1000"},
	{"csv", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "exports are CSV: for clarity in scripts"},
	{"json", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "write the answer as it came"},
	{0},
};
/* clang-format on */

static const struct usage usage = {
	.command = "admin",
	.operands = "COMMAND [SUBCOMMAND] [NODE|CLAIM|MODE|CHAIN|LEVEL]",
	.operands_min = 1,
	.operands_max = 3,
	.summary =
		"Asks a running server, or changes something in it, over its "
		"admin socket:\n\n"
		"  status                            how it does, at one "
		"look\n"
		"  peers                             who is connected\n"
		"  log-level [LEVEL]                 debug, info, unusual or "
		"broken,\n"
		"                                    until the server ends\n"
		"  mode [free|paid|audit]            who may read history; "
		"a change\n"
		"                                    wants --reason WHY and "
		"holds over\n"
		"                                    restarts, until "
		"payments.mode is\n"
		"                                    changed in the settings: "
		"the last\n"
		"                                    word counts; or "
		"--for-now\n"
		"  entitlements list|export          nodes and until when\n"
		"  entitlements show NODE            with its ledger\n"
		"  entitlements grant|extend NODE    --for 30d --reason WHY\n"
		"  entitlements suspend|resume|revoke NODE --reason WHY\n"
		"  claims list [--state STATE]       claims\n"
		"  claims look                       those that wait too long, "
		"or\n"
		"                                    were paid for nothing\n"
		"  claims show CLAIM                 with its payment\n"
		"  claims cancel|recheck CLAIM       --reason WHY\n"
		"  offers                            the offer in force, and "
		"the next\n"
		"  chains                            heads and endpoints\n"
		"  alarms                            finalized blocks that "
		"have changed\n"
		"  acknowledge [CHAIN] --reason WHY  go on crediting after "
		"that\n"
		"  orders                            what was changed by hand, "
		"and why\n"
		"  stats                             sold, received, active\n"
		"  payments export --csv             for tax and accounting\n"
		"  payments fsck                     of a server that is "
		"stopped",
	.options = options,
};

struct asking {
	const struct settings *s;
	char verb[VERB_MAX];
	const char *object; /* NODE, CLAIM, ...; "" if none */
	char seconds[24];
};

/* "entitlements grant NODE": the verb "entitlements.grant" and its object. */
static void read_verb(const struct args *args, struct asking *asking)
{
	static const char *const groups[] = {"entitlements", "claims",
					     "payments", NULL};
	unsigned used = 1;

	for (size_t i = 0; groups[i]; i++) {
		if (strcmp(groups[i], args->operands[0]) == 0)
			used = 2;
	}
	(void)snprintf(asking->verb, sizeof(asking->verb), "%s%s%s",
		       args->operands[0], used == 2 ? "." : "",
		       used == 2 && args->operands_count > 1 ? args->operands[1]
							     : "");
	asking->object =
		args->operands_count > used ? args->operands[used] : "";
}

static int read_seconds(struct asking *asking)
{
	const char *text = settings_text(asking->s, "for");
	uint32_t span_s;

	if (!*text)
		return EXIT_OK;
	if (strcmp(text, "forever") == 0) {
		(void)snprintf(asking->seconds, sizeof(asking->seconds), "0");
		return EXIT_OK;
	}
	if (when_decode_span(text, &span_s) || span_s == 0) {
		complain("--for: a span as in 30d, or forever, is wanted");
		return EXIT_USAGE;
	}
	(void)snprintf(asking->seconds, sizeof(asking->seconds), "%u", span_s);
	return EXIT_OK;
}

static char *make_body(const struct asking *asking)
{
	const struct settings *s = asking->s;
	bool is_node = strncmp(asking->verb, "entitlements", 12) == 0;
	bool is_claim = strncmp(asking->verb, "claims", 6) == 0;
	bool is_chain = strcmp(asking->verb, "acknowledge") == 0;
	bool is_level = strcmp(asking->verb, "log-level") == 0;
	const char *const pairs[] = {is_node    ? "node"
				     : is_claim ? "claim"
				     : is_chain ? "chain"
				     : is_level ? "level"
						: "mode",
				     asking->object,
				     "reason",
				     settings_text(s, "reason"),
				     "seconds",
				     asking->seconds,
				     is_node ? "standing" : "state",
				     settings_text(s, "state"),
				     "seq",
				     settings_text(s, "seq"),
				     "limit",
				     settings_text(s, "limit"),
				     "for_now",
				     settings_bool(s, "for-now") ? "yes" : "",
				     NULL};

	return admin_body(pairs);
}

/* "Authorization: Bearer ..." from the file. */
static int read_token(const struct settings *s, char *out, size_t size)
{
	const char *given = settings_text(s, "token-file");
	char path[PATH_MAX_], token[80] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s%s",
		       *given ? given : settings_text(s, "datadir"),
		       *given ? "" : "/admin-token");
	file = fopen(path, "re");
	if (!file || !fgets(token, sizeof(token), file)) {
		complain("%s: the admin token cannot be read", path);
		if (file)
			(void)fclose(file);
		return EXIT_FAILED;
	}
	(void)fclose(file);
	token[strcspn(token, "\n")] = '\0';
	(void)snprintf(out, size, "Authorization: Bearer %s", token);
	return EXIT_OK;
}

static int show(const struct asking *asking, const struct web_answer *got)
{
	const char *body = got->body ? got->body : "";
	struct answer_error error;

	if (got->status == 200) {
		if (settings_bool(asking->s, "json"))
			printf("%s\n", body);
		else
			admin_print(body, got->size, stdout);
		return EXIT_OK;
	}
	if (claim_json_read_error(body, got->size, &error) == 0)
		complain("%s", error.message);
	else
		complain("the server answered with status %u", got->status);
	return EXIT_FAILED;
}

static int ask(const struct asking *asking)
{
	const char *base = settings_text(asking->s, "url");
	char url[640], path[PATH_MAX_], header[160], why[256];
	struct web_request request = {.method = "POST",
				      .url = url,
				      .answer_max = ANSWER_MAX,
				      .timeout_ms = 60000};
	struct web_answer got;
	char *body;
	int status;

	(void)snprintf(url, sizeof(url), "%s/v1/admin/%s",
		       *base ? base : "http://localhost", asking->verb);
	(void)snprintf(path, sizeof(path), "%s/admin.sock",
		       settings_text(asking->s, "datadir"));
	if (*base) {
		status = read_token(asking->s, header, sizeof(header));
		if (status != EXIT_OK)
			return status;
		request.header = header;
	} else {
		request.unix_path = path;
	}
	body = make_body(asking);
	request.body = body ? body : "{}";
	if (web_exchange(&request, &got, why, sizeof(why))) {
		complain("the server cannot be reached at %s: %s",
			 *base ? base : path, why);
		free(body);
		return EXIT_FAILED;
	}
	status = show(asking, &got);
	web_answer_release(&got);
	free(body);
	return status;
}

/* Without a server: the environment must be closed. */
static int check_files(const struct asking *asking)
{
	char dir[PATH_MAX_];
	int err;

	(void)snprintf(dir, sizeof(dir), "%s/payments",
		       settings_text(asking->s, "datadir"));
	err = ledger_fsck(dir, stdout);
	if (err == 0)
		printf("%s: all invariants hold\n", dir);
	else if (err == ERR_EXISTS)
		complain("%s: a server has it open; stop it first", dir);
	else
		complain("%s: %s", dir, err_str(err));
	return err ? EXIT_FAILED : EXIT_OK;
}

int cmd_admin(int argc, char **argv)
{
	struct asking asking = {0};
	struct args args;
	int status;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	asking.s = args.options;
	read_verb(&args, &asking);
	status = read_seconds(&asking);
	if (status == EXIT_OK)
		status = strcmp(asking.verb, "payments.fsck") == 0
				 ? check_files(&asking)
				 : ask(&asking);
	args_release(&args);
	return status;
}
