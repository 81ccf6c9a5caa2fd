#include "net/gossip.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/rlp.h"
#include "net/node_ring.h"

#define KNOWN_MAX  65536 /* above that a peer is told some twice */
#define KNOWN_KEEP 256
#define COUNT_MAX  8192 /* of one packet */

/* A packet being chosen, then made. */
struct round {
	struct session *session;
	uint64_t *chosen; /* sequence numbers */
	size_t count;
	size_t bytes, bytes_max;
	uint32_t now_s;
};

void gossip_known(struct session *session, uint64_t seq)
{
	if (seq < session->cursor || session->known_count == KNOWN_MAX)
		return;
	if (session->known_count == session->known_cap) {
		uint32_t cap = session->known_cap ? session->known_cap * 2 : 64;
		uint64_t *known = realloc(session->known, cap * sizeof(*known));

		if (!known)
			return;
		session->known = known;
		session->known_cap = cap;
	}
	session->known[session->known_count++] = seq;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Keep what still lies ahead of the cursor. */
static void forget_known(struct session *session)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < session->known_count; i++) {
		if (session->known[i] >= session->cursor)
			session->known[kept++] = session->known[i];
	}
	session->known_count = kept;
	if (kept > 0 || session->known_cap <= KNOWN_KEEP)
		return;
	free(session->known);
	session->known = NULL;
	session->known_cap = 0;
}

/* ---- who wants what ---- */

/* Computed when the first peer asks for it, if admission did without. */
static double pow_of(struct pooled *env)
{
	struct envelope decoded;

	if (env->pow < 0.0 && env->rlp &&
	    envelope_decode(env->rlp, env->size, &decoded) == 0)
		env->pow = envelope_pow(&decoded, env->extra_s);
	return env->pow;
}

static bool interest_takes(const struct interest *interest, struct pooled *env)
{
	return interest_wants(interest, env->topic) &&
	       (interest->pow_min <= 0.0 || pow_of(env) >= interest->pow_min);
}

static bool session_takes(const struct session *session, struct pooled *env)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct session_cap *cap = &session->caps[i];

		if (cap->has_status && interest_takes(&cap->interest, env))
			return true;
	}
	return false;
}

/* Was it wanted before the last change, so that it has been told? */
static bool session_took(const struct session *session, struct pooled *env)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct session_cap *cap = &session->caps[i];
		const struct interest *then =
			cap->before ? cap->before : &cap->interest;

		if (cap->has_status && interest_takes(then, env))
			return true;
	}
	return false;
}

/* ---- choosing ---- */

/* false: the packet is full. */
static bool choose(struct round *round, uint64_t seq, struct pooled *env)
{
	if (!env || !env->rlp || env->expiry_s < round->now_s ||
	    env->origin == round->session->serial ||
	    !session_takes(round->session, env))
		return true;
	if (round->count == COUNT_MAX ||
	    (round->count > 0 && round->bytes + env->size > round->bytes_max))
		return false;
	round->chosen[round->count++] = seq;
	round->bytes += env->size;
	return true;
}

static bool is_rescanning(const struct session *session, uint64_t now_ms)
{
	return session->rescan_end ||
	       (session->wants_rescan && now_ms >= session->rescan_ms);
}

static void begin_rescan(struct session *session, struct envelopes *envs,
			 uint64_t now_ms)
{
	session->wants_rescan = false;
	session->rescan_at = envelopes_tail(envs);
	session->rescan_end = session->cursor;
	session->rescan_ms = now_ms + bucket_charge(&session->rescans, 1,
						    GOSSIP_RESCAN_BURST_S,
						    GOSSIP_RESCAN_S, now_ms);
}

/* From `at` to the end, or as far as one goes at once. */
static uint64_t looks_end(uint64_t at, uint64_t end)
{
	return end > at && end - at > GOSSIP_LOOKS_MAX ? at + GOSSIP_LOOKS_MAX
						       : end;
}

/*
 * After a change of interest: a part of those behind the cursor that were not
 * wanted before. A further change meanwhile has all of them looked at again,
 * and then some may be told twice.
 */
static void choose_again(struct round *round, struct envelopes *envs)
{
	struct session *session = round->session;
	uint64_t end;

	if (session->rescan_at < envelopes_tail(envs))
		session->rescan_at = envelopes_tail(envs);
	end = looks_end(session->rescan_at, session->rescan_end);
	for (; session->rescan_at < end; session->rescan_at++) {
		struct pooled *env = envelopes_at(envs, session->rescan_at);

		if (env && env->rlp && session_took(session, env))
			continue;
		if (!choose(round, session->rescan_at, env))
			break;
	}
	if (session->rescan_at < session->rescan_end)
		return;
	session->rescan_end = 0;
	if (!session->wants_rescan)
		session_forget_before(session);
}

static void choose_new(struct round *round, struct envelopes *envs)
{
	struct session *session = round->session;
	uint64_t end;
	uint32_t next = 0;

	if (session->cursor < envelopes_tail(envs))
		session->cursor = envelopes_tail(envs);
	end = looks_end(session->cursor, envelopes_head(envs));
	if (session->known_count > 1)
		qsort(session->known, session->known_count,
		      sizeof(*session->known), by_number);
	for (; session->cursor < end; session->cursor++) {
		while (next < session->known_count &&
		       session->known[next] < session->cursor)
			next++;
		if (next < session->known_count &&
		    session->known[next] == session->cursor)
			continue;
		if (!choose(round, session->cursor,
			    envelopes_at(envs, session->cursor)))
			break;
	}
}

/* ---- sending ---- */

static struct msgbuf *make(const struct round *round, struct envelopes *envs)
{
	struct msgbuf *buf = msgbuf_new(round->bytes);
	uint8_t header[RLP_HEADER_MAX];

	if (!buf)
		return NULL;
	for (size_t i = 0; i < round->count; i++) {
		struct pooled *env = envelopes_at(envs, round->chosen[i]);

		msgbuf_append(buf, env->rlp, env->size);
	}
	msgbuf_prepend(buf, header, rlp_list_header(header, round->bytes));
	return buf;
}

/* Under the rates that the peer announced (§10). */
static uint64_t wait_of(const struct session_cap *cap, size_t bytes)
{
	uint64_t wait_ms = 0;

	if (cap->packets.peer > 0 && cap->packets.peer < 1000)
		wait_ms = 1000 / cap->packets.peer;
	if (cap->bytes.peer > 0 && bytes * 1000 / cap->bytes.peer > wait_ms)
		wait_ms = bytes * 1000 / cap->bytes.peer;
	return wait_ms;
}

static void send_round(struct node_ring *ring, const struct round *round,
		       uint64_t now_ms)
{
	struct session *session = round->session;
	enum cap cap = session_cap(session);
	struct msgbuf *buf = make(round, ring->envelopes);

	if (!buf)
		return;
	session->tell_again_ms =
		now_ms + wait_of(&session->caps[cap], round->bytes);
	NODE_COUNT(ring->node, relayed, round->count);
	NODE_COUNT(ring->node, relayed_bytes, round->bytes);
	ring->gossip_spent += round->bytes;
	(void)link_send(session->link, cap, CODE_MESSAGES, buf);
}

static bool is_behind(const struct session *session, uint64_t now_ms)
{
	return session->cursor < envelopes_head(session->ring->envelopes) ||
	       is_rescanning(session, now_ms);
}

static size_t bytes_max(const struct session *session)
{
	return session->caps[session_cap(session)].packets.peer > 0
		       ? GOSSIP_PACKET_RATED
		       : GOSSIP_PACKET_MAX;
}

/* One packet, if there is something that this peer wants. */
static void tell(struct node_ring *ring, struct session *session,
		 uint64_t now_ms)
{
	struct envelopes *envs = ring->envelopes;
	struct round round = {.session = session,
			      .bytes_max = bytes_max(session),
			      .now_s = clock_wall_s()};
	uint64_t looks;

	round.chosen = node_ring_scratch(ring, COUNT_MAX);
	if (!round.chosen)
		return;
	if (is_rescanning(session, now_ms)) {
		if (!session->rescan_end)
			begin_rescan(session, envs, now_ms);
		looks = session->rescan_at;
		choose_again(&round, envs);
		looks = session->rescan_at - looks;
	} else {
		looks = session->cursor;
		choose_new(&round, envs);
		looks = session->cursor - looks;
	}
	forget_known(session);
	ring->gossip_spent += looks * GOSSIP_LOOK_COST;
	if (round.count > 0)
		send_round(ring, &round, now_ms);
}

/* ---- the line ---- */

static void join(struct session *session)
{
	session->has_more = false;
	if (session->is_in_line)
		return;
	session->is_in_line = true;
	TAILQ_INSERT_TAIL(&session->ring->telling, session, telling);
}

void gossip_leave(struct session *session)
{
	if (session->is_in_line)
		TAILQ_REMOVE(&session->ring->telling, session, telling);
	session->is_in_line = false;
	session->has_more = false;
}

void gossip_emptied(struct session *session)
{
	if (session->has_more)
		join(session);
}

/* The first in line: it may go on when its link has sent this. */
static void serve(struct node_ring *ring, uint64_t now_ms)
{
	struct session *session = TAILQ_FIRST(&ring->telling);

	gossip_leave(session);
	if (now_ms < session->tell_again_ms)
		return;
	tell(ring, session, now_ms);
	if (!is_behind(session, now_ms))
		return;
	if (link_queued(session->link) > 0)
		session->has_more = true;
	else
		join(session);
}

static void take_turn(struct node_ring *ring, uint64_t now_ms)
{
	ring->gossip_spent = 0;
	while (!TAILQ_EMPTY(&ring->telling) &&
	       ring->gossip_spent < GOSSIP_TURN_MAX)
		serve(ring, now_ms);
	ring->gossip_told += ring->gossip_spent;
}

static unsigned pace_us(size_t told)
{
	return told <= GOSSIP_PACED_MAX ? GOSSIP_TURN_US : 0;
}

bool gossip_is_turn(uint64_t since_us, size_t told, bool is_idle)
{
	return since_us >= GOSSIP_PATIENCE_US ||
	       (is_idle && since_us >= pace_us(told));
}

void gossip_go_on(struct node_ring *ring, uint64_t now_ms)
{
	uint64_t now_us;

	if (TAILQ_EMPTY(&ring->telling))
		return;
	now_us = clock_mono_ns() / 1000;
	if (gossip_is_turn(now_us - ring->turn_us, ring->gossip_told,
			   link_set_is_idle(ring->links))) {
		ring->turn_us = now_us;
		take_turn(ring, now_ms);
	}
	if (!TAILQ_EMPTY(&ring->telling))
		ring_again_at(ring->ring,
			      ring->turn_us + pace_us(ring->gossip_told));
}

/*
 * Who has still to be sent something is told nothing more, unless that is much
 * and moves, as when the peer fetches history.
 */
static bool may_take(const struct session *session)
{
	const struct node_config *config = &session->ring->node->config;

	return link_queued(session->link) == 0 ||
	       (link_queued(session->link) <= config->link.queue_low &&
		!link_is_stalled(session->link, GOSSIP_EVERY_MS));
}

void gossip_tick(struct node_ring *ring, uint64_t now_ms)
{
	ring->gossip_told = 0;
	for (struct session *s = ring->sessions; s; s = s->next) {
		if (s->is_open && session_has_status(s) &&
		    now_ms - s->status_ms >= GOSSIP_FIRST_MS &&
		    is_behind(s, now_ms) && may_take(s))
			join(s);
	}
}
