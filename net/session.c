#include "net/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "net/dialer.h"
#include "net/gossip.h"
#include "net/node_ring.h"
#include "net/request.h"

/* Recommended: as long as a Status may take to come. */
#define STATUS_WAIT_MS 5000

static_assert(CAP_SHH < 2 && CAP_WAKU < 2, "session.caps has room for both");

struct session *session_new(struct node_ring *ring, struct dialed *dialed)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->ring = ring;
	session->dialed = dialed;
	session->serial = ++ring->serial ? ring->serial : ++ring->serial;
	session->requests_end = &session->requests;
	for (unsigned i = 0; i < 2; i++)
		interest_init(&session->caps[i].interest);
	session->next = ring->sessions;
	session->prev = &ring->sessions;
	if (session->next)
		session->next->prev = &session->next;
	ring->sessions = session;
	return session;
}

void session_forget_before(struct session *session)
{
	for (unsigned i = 0; i < 2; i++) {
		struct session_cap *cap = &session->caps[i];

		if (!cap->before)
			continue;
		interest_release(cap->before);
		free(cap->before);
		cap->before = NULL;
	}
}

static void leave_greeted(struct session *session)
{
	struct session **at = &session->ring->greeted;

	while (*at && *at != session)
		at = &(*at)->next_greeted;
	if (*at)
		*at = session->next_greeted;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	leave_greeted(session);
	gossip_leave(session);
	*session->prev = session->next;
	if (session->next)
		session->next->prev = session->prev;
	for (unsigned i = 0; i < 2; i++)
		interest_release(&session->caps[i].interest);
	session_forget_before(session);
	free(session->known);
	free(session);
}

void session_opened(struct session *session, struct link *link)
{
	session->link = link;
	session->handle = link_handle(link);
	session->is_open = true;
	session->opened_ms = node_ring_now_ms(session->ring);
	session->caps[CAP_SHH].is_shared = link_has_cap(link, CAP_SHH);
	session->caps[CAP_WAKU].is_shared = link_has_cap(link, CAP_WAKU);
	session->next_greeted = session->ring->greeted;
	session->ring->greeted = session;
}

void session_greet(struct session *session)
{
	const struct node_config *config = &session->ring->node->config;
	struct status status = {
		.has = STATUS_HAS_POW | STATUS_HAS_BLOOM | STATUS_HAS_LIGHT |
		       STATUS_HAS_CONFIRMS | STATUS_HAS_PACKETS |
		       STATUS_HAS_BYTES,
		.pow = config->pow_min,
		.confirms = true,
		.packets = config->packets_told,
		.bytes = config->bytes_told,
	};
	uint8_t out[STATUS_SIZE_MAX];
	size_t len;

	memset(status.bloom.bits, 0xff, BLOOM_SIZE);
	if (session->caps[CAP_SHH].is_shared) {
		len = status_encode_shh(&status, out, sizeof(out));
		(void)link_send_bytes(session->link, CAP_SHH, CODE_STATUS, out,
				      len);
	}
	if (session->caps[CAP_WAKU].is_shared) {
		len = status_encode_waku(&status, out, sizeof(out));
		(void)link_send_bytes(session->link, CAP_WAKU, CODE_STATUS, out,
				      len);
	}
}

/* ---- what the peer says of itself ---- */

/* Keep what was wanted when the peer was told last: see net/gossip. */
static int remember_before(struct session *session, struct session_cap *cap)
{
	if (session->cursor == 0)
		return 0;
	session->wants_rescan = true;
	if (cap->before)
		return 0;
	cap->before = malloc(sizeof(*cap->before));
	if (!cap->before)
		return ERR_NOMEM;
	*cap->before = cap->interest; /* with its topics */
	cap->interest.topics = NULL;
	return 0;
}

static int apply(struct session *session, struct session_cap *cap,
		 const struct status *status, bool is_first)
{
	if (is_first || (status->has & STATUS_HAS_LIGHT))
		cap->is_light = status->is_light;
	if (is_first || (status->has & STATUS_HAS_CONFIRMS))
		cap->confirms = status->confirms;
	if (is_first || (status->has & STATUS_HAS_PACKETS))
		cap->packets = status->packets;
	if (is_first || (status->has & STATUS_HAS_BYTES))
		cap->bytes = status->bytes;
	if (!is_first && (status->has & (STATUS_HAS_BLOOM | STATUS_HAS_TOPICS |
					 STATUS_HAS_POW))) {
		bool keeps_topics =
			cap->interest.topics &&
			!(status->has & (STATUS_HAS_BLOOM | STATUS_HAS_TOPICS));

		/* Only what widens the filter needs another look. */
		if (!keeps_topics && remember_before(session, cap))
			return ERR_NOMEM;
	}
	return interest_apply(&cap->interest, status, is_first);
}

static void first_status(struct session *session, struct session_cap *cap,
			 const struct status *status)
{
	if (apply(session, cap, status, true)) {
		link_disconnect(session->link, P2P_TOO_MANY);
		return;
	}
	cap->has_status = true;
	if (session->status_ms == 0)
		session->status_ms = node_ring_now_ms(session->ring);
}

static int decode(enum cap cap, unsigned code, const uint8_t *payload,
		  size_t len, struct status *status)
{
	bool is_shh = cap == CAP_SHH;

	switch (code) {
	case CODE_STATUS:
		return is_shh ? status_decode_shh(payload, len, status)
			      : status_decode_waku(payload, len, status);
	case CODE_POW:
		return is_shh ? status_decode_pow(payload, len, status) : 1;
	case CODE_BLOOM:
		return is_shh ? status_decode_bloom(payload, len, status) : 1;
	case CODE_RATE_LIMITS:
		return is_shh ? status_decode_limits(payload, len, status) : 1;
	case CODE_STATUS_UPDATE:
		return is_shh ? 1 : status_decode_update(payload, len, status);
	default:
		return 1; /* not of this capability: ignored */
	}
}

void session_told(struct session *session, enum cap cap, unsigned code,
		  const uint8_t *payload, size_t len)
{
	struct session_cap *state = &session->caps[cap];
	struct status status;
	int err;

	if (code == CODE_STATUS && state->has_status)
		return; /* a later Status is ignored (§1) */
	err = decode(cap, code, payload, len, &status);
	if (err > 0)
		return;
	if (err < 0)
		session_breach(session, "malformed status");
	else if (code == CODE_STATUS)
		first_status(session, state, &status);
	else if (apply(session, state, &status, false))
		link_disconnect(session->link, P2P_TOO_MANY);
}

void session_check_status(struct session *session, uint64_t now_ms)
{
	if (!session->is_open || session->status_ms ||
	    (!session->caps[CAP_SHH].is_shared &&
	     !session->caps[CAP_WAKU].is_shared))
		return;
	if (now_ms - session->opened_ms >= STATUS_WAIT_MS)
		session_breach(session, "no status");
}

bool session_has_status(const struct session *session)
{
	return session->status_ms != 0;
}

enum cap session_cap(const struct session *session)
{
	return session->caps[CAP_WAKU].has_status ? CAP_WAKU : CAP_SHH;
}

void session_breach(struct session *session, const char *what)
{
	NODE_COUNT(session->ring->node, malformed, 1);
	LOG_DEBUG("peer broke the rules", log_text("what", what),
		  log_hex("peer", link_remote(session->link), 8));
	link_disconnect(session->link, P2P_SUBPROTOCOL);
}

void session_pause(struct session *session, enum session_pause why,
		   bool is_paused)
{
	unsigned before = session->paused;

	if (is_paused)
		session->paused |= why;
	else
		session->paused &= ~(unsigned)why;
	if (!before != !session->paused)
		link_pause(session->link, session->paused != 0);
}

struct limits_entry *session_address(const struct session *session)
{
	struct limits *rates = session->ring->node->rates;

	return limits_get(rates,
			  limits_address_key(rates, link_addr(session->link)),
			  node_ring_now_ms(session->ring));
}

void session_slow_down(struct session *session, uint64_t wait_ms)
{
	uint64_t until_ms = node_ring_now_ms(session->ring) + wait_ms;

	if (wait_ms == 0)
		return;
	NODE_COUNT(session->ring->node, rate_exceeded, 1);
	if (session->rate_until_ms < until_ms)
		session->rate_until_ms = until_ms;
	session_pause(session, PAUSE_RATE, true);
}

void session_charge_bytes(struct session *session, size_t size)
{
	const struct node_config *config = &session->ring->node->config;
	const struct node_rate *peer = &config->bytes_peer;
	const struct node_rate *ip = &config->bytes_ip;
	uint64_t now_ms = node_ring_now_ms(session->ring);

	if (peer->per_s)
		session_slow_down(session,
				  bucket_charge(&session->bytes, peer->per_s,
						peer->burst, (uint32_t)size,
						now_ms));
	if (ip->per_s)
		session_slow_down(
			session, bucket_charge(&session_address(session)->bytes,
					       ip->per_s, ip->burst,
					       (uint32_t)size, now_ms));
}
