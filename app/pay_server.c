#include "app/pay_server.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/command.h"
#include "app/nodekey.h"
#include "auth/claim_json.h"
#include "auth/web.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "net/wmpay.h"

#define ASK_EVERY_MS 2000 /* what a server does not tell by itself */
#define RETRY_MAX_S  30
#define WAIT_S       20
#define TELL_LOSS_MS 2000 /* shorter ones are nobody's business */

#define complain client_args_complain

/* ---- where ---- */

static int read_public(struct pay_server *server, const char *text)
{
	struct enode enode;

	if (!*text)
		return EXIT_OK;
	if (enode_decode(text, &enode)) {
		complain(server->usage, "--server: '%s' is no enode or key",
			 text);
		return EXIT_USAGE;
	}
	if (server->has_public &&
	    memcmp(server->public, enode.public, sizeof(enode.public)) != 0) {
		complain(server->usage, "--server names another node than the "
					"enode URL");
		return EXIT_USAGE;
	}
	server->has_public = true;
	memcpy(server->public, enode.public, sizeof(server->public));
	return EXIT_OK;
}

static int read_enode(struct pay_server *server, const char *where)
{
	struct enode enode;

	if (enode_decode(where, &enode) || !enode.host[0] || !enode.tcp) {
		complain(server->usage,
			 "'%s' is neither a URL nor an enode URL; wanted: "
			 "https://HOST or enode://KEY@HOST:PORT",
			 where);
		return EXIT_USAGE;
	}
	if (client_config_server(&server->client, &enode)) {
		complain(server->usage, "%s: no address is known for this name",
			 enode.host);
		return EXIT_FAILED;
	}
	server->has_public = true;
	memcpy(server->public, enode.public, sizeof(server->public));
	return EXIT_OK;
}

static int read_where(struct pay_server *server, const char *where)
{
	size_t len = strlen(where);

	server->is_http = strncmp(where, "http://", 7) == 0 ||
			  strncmp(where, "https://", 8) == 0;
	if (!server->is_http)
		return read_enode(server, where);
	while (len > 0 && where[len - 1] == '/')
		len--;
	if (len >= sizeof(server->url)) {
		complain(server->usage, "the URL is too long");
		return EXIT_USAGE;
	}
	memcpy(server->url, where, len);
	return EXIT_OK;
}

static int read_key(struct pay_server *server, const char *path)
{
	char why[NODEKEY_WHY_MAX];

	if (!*path)
		return EXIT_OK;
	if (nodekey_read(path, &server->key, why)) {
		complain(server->usage, "%s", why);
		return EXIT_FAILED;
	}
	server->has_key = true;
	server->client.key = &server->key;
	return EXIT_OK;
}

int pay_server_open(const struct usage *usage, const struct args *args,
		    const char *where, struct pay_server *server)
{
	const struct settings *s = args->options;
	int status;

	memset(server, 0, sizeof(*server));
	server->usage = usage;
	server->is_json = settings_bool(s, "json");
	server->timeout_ms = (unsigned)settings_ms(s, "timeout");
	client_config_default(&server->client);
	server->client.cap = CAP_WMPAY;
	server->client.engine = (enum ring_engine)settings_word(s, "io");
	server->client.timeout_ms = server->timeout_ms;
	server->client.stop = &client_args_stop;
	client_args_signals();
	status = read_where(server, where);
	if (status == EXIT_OK)
		status = read_public(server, settings_text(s, "server"));
	if (status == EXIT_OK)
		status = read_key(server, settings_text(s, "nodekey"));
	return status;
}

void pay_server_release(struct pay_server *server)
{
	bytes_erase(&server->key, sizeof(server->key));
}

/* ---- following a claim, either way ---- */

/* Where it stands. */
struct following {
	const struct pay_follow *follow;
	uint64_t end_ms;
	bool is_filed;
	bool is_delayed;              /* and that was told */
	char why[PAY_SERVER_WHY_MAX]; /* so, or why it was refused */
};

static bool is_over(const struct following *f)
{
	return clock_mono_ms() >= f->end_ms;
}

/* So long, or the seconds that are left. */
static unsigned at_most(const struct following *f, unsigned seconds)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t left_s =
		f->end_ms > now_ms ? (f->end_ms - now_ms + 999) / 1000 : 0;

	return left_s < seconds ? (unsigned)left_s : seconds;
}

/* `why` is in place. */
static void delay(struct following *f)
{
	if (!f->is_delayed && !client_args_stop)
		f->follow->delayed(f->follow->ctx, f->why);
	f->is_delayed = true;
}

static bool changed(struct following *f, const struct claim_status *status)
{
	f->is_filed = true;
	f->is_delayed = false;
	return f->follow->changed(f->follow->ctx, status);
}

/* It was neither refused nor followed to its end. */
static void explain_end(const struct pay_server *server,
			const struct following *f)
{
	const char *why = client_args_stop ? "interrupted"
			  : f->is_delayed  ? f->why
					   : "the time of --wait is over";

	if (f->is_filed)
		complain(server->usage,
			 "%s. The claim is filed, and the server goes on with "
			 "it. To follow it, run the same command again",
			 why);
	else
		complain(server->usage,
			 "%s. It is not known whether the claim was filed: run "
			 "the same command again. However often it is filed, "
			 "it counts once",
			 why);
}

/* ---- HTTP ---- */

static int exchange(struct pay_server *server, const char *method,
		    const char *path, const char *body, unsigned timeout_ms,
		    struct web_answer *out, char *why)
{
	char url[sizeof(server->url) + 128];
	const struct web_request request = {.method = method,
					    .url = url,
					    .body = body,
					    .answer_max = ANSWER_JSON_MAX,
					    .timeout_ms = timeout_ms,
					    .stop = &client_args_stop};

	(void)snprintf(url, sizeof(url), "%s%s", server->url, path);
	return web_exchange(&request, out, why, PAY_SERVER_WHY_MAX);
}

/* A sentence from what came instead of the answer. */
static void explain(const struct web_answer *answer, char *why)
{
	struct answer_error error;

	if (answer->body &&
	    claim_json_read_error(answer->body, answer->size, &error) == 0)
		(void)snprintf(why, PAY_SERVER_WHY_MAX, "%s: %s", error.code,
			       error.message);
	else if (answer->status == 404)
		(void)snprintf(why, PAY_SERVER_WHY_MAX,
			       "nothing is sold there (404)");
	else
		(void)snprintf(why, PAY_SERVER_WHY_MAX,
			       "the server answered with status %u",
			       answer->status);
}

static int http_offer(struct pay_server *server, const char *path,
		      struct pay_offer *out, char *why)
{
	struct web_answer answer;
	int err = exchange(server, "GET", path, NULL, server->timeout_ms,
			   &answer, why);

	if (err)
		return err;
	if (answer.status != 200) {
		explain(&answer, why);
		err = ERR_DENIED;
	} else if (offer_json_decode(answer.body ? answer.body : "",
				     answer.size, out->bytes, &out->size)) {
		(void)snprintf(why, PAY_SERVER_WHY_MAX,
			       "the server's answer is no offer");
		err = ERR_SYNTAX;
	}
	web_answer_release(&answer);
	return err;
}

static void pause_s(unsigned seconds)
{
	const struct timespec tenth = {.tv_nsec = 100000000};

	for (unsigned i = 0; i < seconds * 10 && !client_args_stop; i++)
		(void)nanosleep(&tenth, NULL);
}

/* A claim that is filed over HTTP. */
struct http_claim {
	struct pay_server *server;
	struct following f;
	char *body;
	char path[64 + 2 * CLAIM_ID_SIZE];
	unsigned losses; /* in a row */
	bool is_refused;
};

/* No answer, or one that says «later». */
static void wait_again(struct http_claim *http, uint32_t retry_after_s)
{
	unsigned wait_s = retry_after_s
				  ? retry_after_s
				  : 1u << (http->losses < 4 ? http->losses : 4);

	http->losses++;
	delay(&http->f);
	pause_s(at_most(&http->f, wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S));
}

/* Returns false when the claim is done with, either way. */
static bool take_answer(struct http_claim *http,
			const struct web_answer *answer)
{
	struct claim_status status;
	char id[2 * CLAIM_ID_SIZE + 1];

	if (answer->status == 429 || answer->status >= 500) {
		explain(answer, http->f.why);
		wait_again(http, answer->retry_after_s);
		return true;
	}
	if (answer->status == 404 && http->f.is_filed) {
		http->f.is_filed = false; /* file it again */
		explain(answer, http->f.why);
		wait_again(http, 0);
		return true;
	}
	if (claim_json_read(answer->body ? answer->body : "", answer->size,
			    &status)) {
		explain(answer, http->f.why);
		http->is_refused = true;
		return false;
	}
	http->losses = 0;
	hex_encode(status.claim_id, CLAIM_ID_SIZE, id);
	(void)snprintf(http->path, sizeof(http->path),
		       "/v1/claims/%s?wait=%u&rev=%u", id,
		       at_most(&http->f, WAIT_S), status.rev);
	return changed(&http->f, &status);
}

static bool step(struct http_claim *http)
{
	struct web_answer answer;
	bool goes_on;
	int err;

	if (http->f.is_filed)
		err = exchange(http->server, "GET", http->path, NULL,
			       WAIT_S * 1000 + http->server->timeout_ms,
			       &answer, http->f.why);
	else
		err = exchange(http->server, "POST", "/v1/claims", http->body,
			       http->server->timeout_ms, &answer, http->f.why);
	if (err == ERR_SYNTAX)
		http->is_refused = true;
	else if (err)
		wait_again(http, 0);
	if (err)
		return !http->is_refused;
	goes_on = take_answer(http, &answer);
	web_answer_release(&answer);
	return goes_on;
}

static int http_claim(struct pay_server *server, const struct claim *claim,
		      const struct following *f)
{
	struct http_claim http = {
		.server = server, .f = *f, .body = claim_json_encode(claim)};
	bool goes_on = true;

	if (!http.body) {
		complain(server->usage, "out of memory");
		return EXIT_FAILED;
	}
	while (goes_on && !client_args_stop && !is_over(&http.f))
		goes_on = step(&http);
	free(http.body);
	if (!goes_on && !http.is_refused)
		return EXIT_OK;
	if (http.is_refused)
		complain(server->usage, "%s", http.f.why);
	else
		explain_end(server, &http.f);
	return EXIT_FAILED;
}

/* ---- devp2p ---- */

/* One question, or a claim and what follows. */
struct talk {
	struct pay_server *server;
	struct wmpay question;
	struct wmpay_entitlement *entitlement;
	struct pay_offer *offer;
	struct following *f; /* NULL: no claim */
	uint8_t claim_id[CLAIM_ID_SIZE];
	uint64_t asked_ms;
	uint64_t retry_ms; /* file again then; 0: no */
	uint64_t lost_ms;  /* not connected since; 0: connected */
};

static void on_ready(void *ctx, struct client_pay *pay)
{
	struct talk *talk = ctx;

	talk->asked_ms = clock_mono_ms();
	talk->retry_ms = talk->lost_ms = 0;
	client_pay_send(pay, &talk->question);
}

static void on_error(struct talk *talk, struct client_pay *pay,
		     const struct wmpay_error *error)
{
	struct following *f = talk->f;
	uint32_t wait_s = error->retry_after_s;

	if (f && f->is_filed && error->code == INTAKE_UNKNOWN_CLAIM) {
		f->is_filed = false; /* file it again */
		wait_s = 1;
	} else if (!f || error->code < INTAKE_RATE_LIMITED) {
		client_pay_end(pay, ERR_DENIED, error->text);
		return;
	}
	if (wait_s == 0 || wait_s > RETRY_MAX_S)
		wait_s = RETRY_MAX_S;
	talk->retry_ms = clock_mono_ms() + 1000 * (uint64_t)wait_s;
	(void)snprintf(f->why, sizeof(f->why), "%s", error->text);
	delay(f);
}

static void on_status(struct talk *talk, struct client_pay *pay,
		      const struct wmpay *msg)
{
	const struct wmpay_status *in = &msg->u.status;
	struct claim_status status = {
		.state = in->state >= CLAIM_RECEIVED &&
					 in->state <= CLAIM_REORGED
				 ? (enum claim_state)in->state
				 : CLAIM_RECEIVED,
		.reason = in->reason <= CLAIM_CANCELLED
				  ? (enum claim_reason)in->reason
				  : CLAIM_NO_REASON,
		.confirmations = in->confirmations,
		.needed = in->needed,
		.units = in->units,
		.credit = in->credit,
		.expiry_s = in->expiry_s,
		.retry_after_s = in->retry_after_s};

	if (!talk->f)
		return;
	if (msg->request_id == talk->question.request_id) {
		memcpy(talk->claim_id, in->claim_id, CLAIM_ID_SIZE);
	} else if (!talk->f->is_filed ||
		   memcmp(talk->claim_id, in->claim_id, CLAIM_ID_SIZE) != 0) {
		return; /* of another claim */
	}
	memcpy(status.claim_id, in->claim_id, CLAIM_ID_SIZE);
	status.is_credited =
		status.state == CLAIM_ACTIVE || status.state == CLAIM_SETTLED;
	/* What is known already is told in short: ask for the whole. */
	if (msg->request_id == talk->question.request_id)
		talk->asked_ms = 0;
	if (!changed(talk->f, &status))
		client_pay_end(pay, 0, NULL);
}

static void on_offer(struct talk *talk, struct client_pay *pay,
		     const struct wmpay *msg)
{
	if (!talk->offer)
		return;
	if (msg->u.offer.size > sizeof(talk->offer->bytes)) {
		client_pay_end(pay, ERR_RANGE, "the offer is too large");
		return;
	}
	memcpy(talk->offer->bytes, msg->u.offer.bytes, msg->u.offer.size);
	talk->offer->size = msg->u.offer.size;
	client_pay_end(pay, 0, NULL);
}

static void on_message(void *ctx, struct client_pay *pay,
		       const struct wmpay *msg)
{
	struct talk *talk = ctx;

	switch (msg->code) {
	case WMPAY_OFFER:
		on_offer(talk, pay, msg);
		break;
	case WMPAY_CLAIM_STATUS:
		on_status(talk, pay, msg);
		break;
	case WMPAY_ENTITLEMENT:
		if (!talk->entitlement)
			break;
		*talk->entitlement = msg->u.entitlement;
		client_pay_end(pay, 0, NULL);
		break;
	case WMPAY_ERROR:
		on_error(talk, pay, &msg->u.error);
		break;
	case WMPAY_GET_OFFER:
	case WMPAY_CLAIM:
	case WMPAY_GET_CLAIM:
	case WMPAY_GET_ENTITLEMENT:
		break; /* we sell nothing */
	}
}

/* Not connected: it is tried again until the time is over. */
static void on_away(struct talk *talk, const struct client_pay *pay,
		    uint64_t now_ms)
{
	struct following *f = talk->f;

	if (!talk->lost_ms)
		talk->lost_ms = now_ms;
	if (now_ms < talk->lost_ms + TELL_LOSS_MS || !*client_pay_why(pay))
		return;
	(void)snprintf(f->why, sizeof(f->why), "%s", client_pay_why(pay));
	delay(f);
}

static void on_idle(void *ctx, struct client_pay *pay, uint64_t now_ms)
{
	struct talk *talk = ctx;
	struct wmpay ask = {.code = WMPAY_GET_CLAIM, .request_id = 2};

	if (!talk->f)
		return;
	if (is_over(talk->f)) {
		client_pay_end(pay, ERR_TIMEOUT, NULL);
	} else if (!pay->conn) {
		on_away(talk, pay, now_ms);
	} else if (talk->retry_ms) {
		if (now_ms >= talk->retry_ms) {
			talk->retry_ms = 0;
			client_pay_send(pay, &talk->question);
		}
	} else if (talk->f->is_filed &&
		   now_ms >= talk->asked_ms + ASK_EVERY_MS) {
		talk->asked_ms = now_ms;
		memcpy(ask.u.claim_id, talk->claim_id, CLAIM_ID_SIZE);
		client_pay_send(pay, &ask);
	}
}

static int run_talk(struct talk *talk, char *why)
{
	struct client_config config = talk->server->client;
	struct client_pay pay = {
		.ready = on_ready, .message = on_message, .idle = on_idle};
	char short_why[CLIENT_WHY_MAX];
	int err;

	config.ctx = talk;
	if (talk->f) { /* until its time is over */
		config.retries_max = UINT_MAX;
		pay.is_patient = true;
	}
	err = client_pay(&config, &pay, short_why);
	(void)snprintf(why, PAY_SERVER_WHY_MAX, "%s", short_why);
	return err;
}

static int p2p_claim(struct pay_server *server, const struct claim *claim,
		     struct following *f)
{
	struct talk talk = {.server = server,
			    .question = {.code = WMPAY_CLAIM, .request_id = 1},
			    .f = f};
	char why[PAY_SERVER_WHY_MAX] = "";
	int err;

	talk.question.u.claim = *claim;
	err = run_talk(&talk, why);
	if (!err)
		return EXIT_OK;
	if (err == ERR_DENIED) {
		complain(server->usage, "%s", why);
		return EXIT_FAILED;
	}
	if (err != ERR_TIMEOUT || why[0]) {
		memcpy(f->why, why, sizeof(f->why));
		f->is_delayed = true;
	}
	explain_end(server, f);
	return EXIT_FAILED;
}

/* ---- both ---- */

static int check_offer(struct pay_server *server, struct pay_offer *out)
{
	int err = offer_open(out->bytes, out->size, &out->offer, out->hash);

	if (err) {
		complain(server->usage, "the offer is refused: %s",
			 err == ERR_AUTH ? "its signature is not the server's"
					 : err_str(err));
		return EXIT_FAILED;
	}
	if (server->has_public &&
	    memcmp(server->public, out->offer.server, SECP_PUBLIC_SIZE) != 0) {
		complain(server->usage,
			 "the offer is refused: another node has signed it");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int pay_server_offer(struct pay_server *server, struct pay_offer *out)
{
	struct talk talk = {
		.server = server,
		.question = {.code = WMPAY_GET_OFFER, .request_id = 1},
		.offer = out};
	char why[PAY_SERVER_WHY_MAX] = "";
	int err;

	memset(out, 0, sizeof(*out));
	err = server->is_http ? http_offer(server, "/v1/offer", out, why)
			      : run_talk(&talk, why);
	if (err) {
		complain(server->usage, "no offer: %s", why);
		return EXIT_FAILED;
	}
	return check_offer(server, out);
}

bool pay_server_next_offer(struct pay_server *server,
			   const struct pay_offer *present,
			   struct pay_offer *out)
{
	char why[PAY_SERVER_WHY_MAX];

	memset(out, 0, sizeof(*out));
	return server->is_http &&
	       http_offer(server, "/v1/offer/next", out, why) == 0 &&
	       offer_open(out->bytes, out->size, &out->offer, out->hash) == 0 &&
	       memcmp(out->offer.server, present->offer.server,
		      SECP_PUBLIC_SIZE) == 0 &&
	       out->offer.not_before_s > clock_wall_s();
}

int pay_server_claim(struct pay_server *server, const struct claim *claim,
		     const struct pay_follow *follow)
{
	struct following f = {.follow = follow,
			      .end_ms = clock_mono_ms() + follow->wait_ms};

	return server->is_http ? http_claim(server, claim, &f)
			       : p2p_claim(server, claim, &f);
}

int pay_server_entitlement(struct pay_server *server,
			   struct wmpay_entitlement *out)
{
	struct talk talk = {
		.server = server,
		.question = {.code = WMPAY_GET_ENTITLEMENT, .request_id = 1},
		.entitlement = out};
	char why[PAY_SERVER_WHY_MAX] = "";

	if (run_talk(&talk, why) == 0)
		return EXIT_OK;
	complain(server->usage, "%s", why);
	return EXIT_FAILED;
}
