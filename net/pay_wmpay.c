#include "net/pay_wmpay.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/mailbox.h"
#include "net/pay_http.h"
#include "net/wmpay.h"

#define RETRY_OFFER_S 5
#define QUESTIONS_MAX 1024
#define IDLE_MS       1000

struct pay_wmpay {
	struct payments *payments;
	_Atomic(struct node *) node; /* NULL: not to be touched */
	atomic_uint users; /* of `node`: just now, by a claim or a question */
	/* Questions that are answered from the disk, off the rings. */
	struct mailbox box;
	pthread_t thread;
	bool has_thread;
	atomic_bool is_ending;
};

/* What is asked about a peer, by itself. Holds `node` for its time. */
struct question {
	struct letter letter;
	struct node *node;
	struct node_link from;
	uint8_t peer[SECP_PUBLIC_SIZE];
	struct wmpay asked; /* GetClaim or GetEntitlement: nothing borrowed */
};

/* A claim between its submission and its commit. */
struct filing {
	struct pay_wmpay *wmpay;
	struct node *node;
	struct node_link from;
	uint64_t request_id;
};

/* ---- the node, which may be about to go ---- */

/* NULL, or the node until release_node(). */
static struct node *use_node(struct pay_wmpay *wmpay)
{
	struct node *node;

	(void)atomic_fetch_add(&wmpay->users, 1);
	node = atomic_load(&wmpay->node);
	if (!node)
		(void)atomic_fetch_sub(&wmpay->users, 1);
	return node;
}

static void release_node(struct pay_wmpay *wmpay)
{
	(void)atomic_fetch_sub(&wmpay->users, 1);
}

/* ---- answers ---- */

static void send_message(struct node *node, struct node_link to,
			 const struct wmpay *msg)
{
	uint8_t out[WMPAY_SIZE_MAX];
	size_t len = wmpay_encode(msg, out);

	assert(len > 0);
	(void)node_send(node, to, msg->code, out, len);
}

static void send_error(struct node *node, struct node_link to,
		       uint64_t request_id, enum intake code,
		       const char *sentence, uint32_t retry_after_s)
{
	struct wmpay msg = {.code = WMPAY_ERROR, .request_id = request_id};

	msg.u.error.code = code;
	msg.u.error.retry_after_s = retry_after_s;
	(void)snprintf(msg.u.error.text, sizeof(msg.u.error.text), "%s: %s",
		       intake_str(code),
		       sentence ? sentence : pay_sentence(code));
	send_message(node, to, &msg);
}

static struct wmpay status_message(uint64_t request_id,
				   const struct claim_status *status)
{
	struct wmpay msg = {.code = WMPAY_CLAIM_STATUS,
			    .request_id = request_id};

	memcpy(msg.u.status.claim_id, status->claim_id, CLAIM_ID_SIZE);
	msg.u.status.state = (uint8_t)status->state;
	msg.u.status.reason = (uint8_t)status->reason;
	msg.u.status.confirmations = status->confirmations;
	msg.u.status.needed = status->needed;
	msg.u.status.retry_after_s = status->retry_after_s;
	if (status->is_credited) {
		msg.u.status.units = status->units;
		msg.u.status.credit = status->credit;
		msg.u.status.expiry_s = status->expiry_s;
	}
	return msg;
}

/* ---- GetOffer ---- */

static void get_offer(struct pay_wmpay *wmpay, struct node *node,
		      struct node_link from, const struct wmpay *asked)
{
	struct wmpay msg = {.code = WMPAY_OFFER,
			    .request_id = asked->request_id};
	uint8_t bytes[OFFER_SIZE_MAX];
	uint8_t hash[32];
	size_t len;

	if (payments_offer(wmpay->payments, bytes, &len, hash)) {
		send_error(node, from, asked->request_id, INTAKE_BUSY,
			   "there is no offer yet", RETRY_OFFER_S);
		return;
	}
	msg.u.offer.bytes = bytes;
	msg.u.offer.size = len;
	send_message(node, from, &msg);
}

/* ---- Claim ---- */

/* What is known is told as it stands, what is new as it was taken. */
static void read_filed(struct payments *payments,
		       const struct intake_answer *got,
		       struct claim_status *out)
{
	if (!got->is_new &&
	    payments_status(payments, got->claim_id, NULL, out) == INTAKE_OK)
		return;
	*out = (struct claim_status){.state = got->state,
				     .rev = got->rev,
				     .retry_after_s = got->retry_after_s};
	memcpy(out->claim_id, got->claim_id, CLAIM_ID_SIZE);
}

static void filed(void *ctx, const struct intake_answer *got)
{
	struct filing *filing = ctx;
	struct claim_status status;
	struct wmpay msg;

	if (got->code != INTAKE_OK) {
		send_error(filing->node, filing->from, filing->request_id,
			   got->code, NULL, got->retry_after_s);
	} else {
		read_filed(filing->wmpay->payments, got, &status);
		msg = status_message(filing->request_id, &status);
		send_message(filing->node, filing->from, &msg);
	}
	release_node(filing->wmpay);
	free(filing);
}

static void source_of(const uint8_t node[static SECP_PUBLIC_SIZE],
		      struct source *out)
{
	out->kind = SOURCE_PEER;
	out->len = SECP_PUBLIC_SIZE;
	memcpy(out->bytes, node, SECP_PUBLIC_SIZE);
}

static void file_claim(struct pay_wmpay *wmpay, struct node *node,
		       struct node_link from,
		       const uint8_t peer[static SECP_PUBLIC_SIZE],
		       struct wmpay *asked)
{
	struct filing *filing = malloc(sizeof(*filing));
	struct source source;

	if (!filing) {
		send_error(node, from, asked->request_id, INTAKE_BUSY, NULL, 1);
		return;
	}
	*filing = (struct filing){wmpay, node, from, asked->request_id};
	(void)atomic_fetch_add(&wmpay->users, 1);
	source_of(peer, &source);
	/* The node of a claim is the connection's own peer. */
	memcpy(asked->u.claim.node, peer, SECP_PUBLIC_SIZE);
	payments_submit(wmpay->payments, &asked->u.claim, &source, filed,
			filing);
}

/* ---- GetClaim, GetEntitlement ---- */

static void get_claim(struct pay_wmpay *wmpay, struct node *node,
		      struct node_link from,
		      const uint8_t peer[static SECP_PUBLIC_SIZE],
		      const struct wmpay *asked)
{
	struct claim_status status;
	struct wmpay msg;
	enum intake code = payments_status(wmpay->payments, asked->u.claim_id,
					   NULL, &status);

	/* A peer is told only about itself. */
	if (code == INTAKE_OK &&
	    memcmp(status.node, peer, SECP_PUBLIC_SIZE) != 0)
		code = INTAKE_UNKNOWN_CLAIM;
	if (code != INTAKE_OK) {
		send_error(node, from, asked->request_id, code, NULL, 0);
		return;
	}
	msg = status_message(asked->request_id, &status);
	send_message(node, from, &msg);
}

static void get_entitlement(struct pay_wmpay *wmpay, struct node *node,
			    struct node_link from,
			    const uint8_t peer[static SECP_PUBLIC_SIZE],
			    const struct wmpay *asked)
{
	struct wmpay msg = {.code = WMPAY_ENTITLEMENT,
			    .request_id = asked->request_id};
	struct wmpay_entitlement *out = &msg.u.entitlement;
	struct entitlement ent = {0};
	uint64_t grace_end_s = 0;
	int err =
		payments_entitlement(wmpay->payments, peer, &ent, &grace_end_s);

	if (err && err != ERR_NOTFOUND) {
		send_error(node, from, asked->request_id, INTAKE_BUSY, NULL, 1);
		return;
	}
	out->server_time_s = clock_wall_s();
	out->mode = (uint8_t)payments_mode(wmpay->payments);
	if (!err) {
		out->expiry_s = ent.expiry_s;
		out->grace_end_s = grace_end_s;
		out->quota = ent.quota;
		out->flags = ent.flags;
		out->credits_count = ent.credits_count;
		memcpy(out->credits, ent.credits, sizeof(out->credits));
	}
	send_message(node, from, &msg);
}

/* ---- questions that need the disk: a ring must not wait for it ---- */

static void answer_question(struct pay_wmpay *wmpay, struct question *q)
{
	if (q->asked.code == WMPAY_GET_CLAIM)
		get_claim(wmpay, q->node, q->from, q->peer, &q->asked);
	else
		get_entitlement(wmpay, q->node, q->from, q->peer, &q->asked);
	release_node(wmpay);
	free(q);
}

static void *answer_main(void *arg)
{
	struct pay_wmpay *wmpay = arg;

	for (;;) {
		/* In this order: what was put before the end is answered. */
		bool is_last = atomic_load(&wmpay->is_ending);
		struct letter *letter = mailbox_take_all(&wmpay->box);

		if (!letter && is_last)
			return NULL;
		while (letter) {
			struct question *q = (struct question *)(void *)letter;

			letter = letter->next;
			answer_question(wmpay, q);
		}
		if (!is_last)
			mailbox_wait(&wmpay->box, IDLE_MS);
	}
}

static void put_question(struct pay_wmpay *wmpay, struct node *node,
			 struct node_link from,
			 const uint8_t peer[static SECP_PUBLIC_SIZE],
			 const struct wmpay *asked)
{
	struct source source;
	struct question *q;
	uint32_t retry_s;

	source_of(peer, &source);
	if (payments_may_ask(wmpay->payments, &source, &retry_s)) {
		send_error(node, from, asked->request_id, INTAKE_RATE_LIMITED,
			   NULL, retry_s);
		return;
	}
	q = malloc(sizeof(*q));
	if (q) {
		q->node = node;
		q->from = from;
		q->asked = *asked;
		memcpy(q->peer, peer, SECP_PUBLIC_SIZE);
		(void)atomic_fetch_add(&wmpay->users, 1);
		if (mailbox_put(&wmpay->box, &q->letter) == 0)
			return;
		release_node(wmpay);
		free(q);
	}
	send_error(node, from, asked->request_id, INTAKE_BUSY, NULL, 1);
}

/* ---- in and out ---- */

static void serve(struct pay_wmpay *wmpay, struct node *node,
		  struct node_link from,
		  const uint8_t peer[static SECP_PUBLIC_SIZE],
		  struct wmpay *asked)
{
	switch (asked->code) {
	case WMPAY_GET_OFFER:
		get_offer(wmpay, node, from, asked);
		break;
	case WMPAY_CLAIM:
		file_claim(wmpay, node, from, peer, asked);
		break;
	case WMPAY_GET_CLAIM:
	case WMPAY_GET_ENTITLEMENT:
		put_question(wmpay, node, from, peer, asked);
		break;
	case WMPAY_OFFER:
	case WMPAY_CLAIM_STATUS:
	case WMPAY_ENTITLEMENT:
		send_error(node, from, asked->request_id, INTAKE_BAD_FORMAT,
			   "nothing was asked", 0);
		break;
	case WMPAY_ERROR:
		break; /* answering errors with errors never ends */
	}
}

void pay_wmpay_message(void *ctx, struct node_link from,
		       const uint8_t node_key[static SECP_PUBLIC_SIZE],
		       unsigned code, const uint8_t *payload, size_t len)
{
	struct pay_wmpay *wmpay = ctx;
	struct node *node = use_node(wmpay);
	struct wmpay asked;
	int err;

	if (!node)
		return;
	err = wmpay_decode(code, payload, len, &asked);
	if (!err)
		serve(wmpay, node, from, node_key, &asked);
	else if (code != WMPAY_ERROR)
		send_error(node, from, asked.request_id,
			   len > WMPAY_SIZE_MAX ? INTAKE_TOO_LARGE
						: INTAKE_BAD_FORMAT,
			   "this message could not be read", 0);
	release_node(wmpay);
}

/* A thread of payments: a claim has changed. */
static void on_change(void *ctx, const struct claim_status *status)
{
	struct pay_wmpay *wmpay = ctx;
	struct node *node = use_node(wmpay);
	uint8_t out[WMPAY_SIZE_MAX];
	struct wmpay msg;
	size_t len;

	if (!node)
		return;
	msg = status_message(0, status);
	len = wmpay_encode(&msg, out);
	node_tell(node, status->node, WMPAY_CLAIM_STATUS, out, len);
	release_node(wmpay);
}

struct pay_wmpay *pay_wmpay_new(struct payments *payments)
{
	struct pay_wmpay *wmpay = calloc(1, sizeof(*wmpay));

	if (!wmpay)
		return NULL;
	wmpay->payments = payments;
	mailbox_init(&wmpay->box, QUESTIONS_MAX, NULL, NULL);
	if (pthread_create(&wmpay->thread, NULL, answer_main, wmpay)) {
		free(wmpay);
		return NULL;
	}
	(void)pthread_setname_np(wmpay->thread, "wmpay");
	wmpay->has_thread = true;
	return wmpay;
}

void pay_wmpay_start(struct pay_wmpay *wmpay, struct node *node)
{
	atomic_store(&wmpay->node, node);
	payments_set_notify(wmpay->payments, on_change, wmpay);
}

static void end_thread(struct pay_wmpay *wmpay)
{
	if (!wmpay->has_thread)
		return;
	atomic_store(&wmpay->is_ending, true);
	mailbox_nudge(&wmpay->box);
	(void)pthread_join(wmpay->thread, NULL);
	wmpay->has_thread = false;
}

void pay_wmpay_stop(struct pay_wmpay *wmpay)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	if (!wmpay)
		return;
	atomic_store(&wmpay->node, NULL);
	payments_set_notify(wmpay->payments, NULL, NULL);
	/* As long as a commit takes, or the questions that wait. */
	while (atomic_load(&wmpay->users) > 0)
		(void)nanosleep(&pause, NULL);
	end_thread(wmpay);
}

void pay_wmpay_free(struct pay_wmpay *wmpay)
{
	if (wmpay)
		end_thread(wmpay);
	free(wmpay);
}
