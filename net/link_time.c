/*
 * Deadlines of links. A wheel of short lists, one a stretch of time: a tick
 * touches the lists that have come due and no other link. A link stands in it
 * once, at the earliest moment one of its deadlines may pass; most are found
 * then to have moved, and it is set again.
 */
#include <assert.h>

#include "core/err.h"
#include "net/link_impl.h"

#define DISCONNECT_WRITE_MS  1000
#define DISCONNECT_LINGER_MS 2000

void link_timer_init(struct link_set *set)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		node_init(&set->wheel[i]);
	set->wheel_at = ring_now_ms(set->ring) / WHEEL_GRAIN_MS;
}

void link_timer_arm(struct link *link, uint64_t at_ms)
{
	struct link_set *set = link->set;
	uint64_t slot = at_ms / WHEEL_GRAIN_MS + 1;

	if (!node_is_alone(&link->timer) && link->due_ms <= at_ms)
		return;
	if (slot <= set->wheel_at)
		slot = set->wheel_at + 1;
	if (slot > set->wheel_at + WHEEL_SLOTS - 1)
		slot = set->wheel_at + WHEEL_SLOTS - 1;
	link->due_ms = at_ms;
	node_remove(&link->timer);
	node_append(&set->wheel[slot % WHEEL_SLOTS], &link->timer);
}

static void sooner(uint64_t *at, uint64_t other)
{
	if (other < *at)
		*at = other;
}

static uint64_t open_deadline(const struct link *link)
{
	const struct link_config *config = &link->set->config;
	uint64_t at = link->ping_ms + config->ping_ms;

	if (!link->is_paused)
		sooner(&at, link->read_ms + config->idle_ms);
	return at;
}

static uint64_t ending_deadline(const struct link *link)
{
	return link->since_ms + (link_out_is_empty(link) ? DISCONNECT_LINGER_MS
							 : DISCONNECT_WRITE_MS);
}

static uint64_t deadline(const struct link *link)
{
	const struct link_config *config = &link->set->config;

	switch ((enum link_state)link->state) {
	case LINK_KEYS:
		return link->since_ms + config->handshake_ms;
	case LINK_HELLO:
		return link->since_ms + config->hello_ms;
	case LINK_OPEN:
		return open_deadline(link);
	case LINK_ENDING:
		return ending_deadline(link);
	case LINK_CONNECTING: /* the ring's own */
	case LINK_CLOSING:
	case LINK_STATE_COUNT:
		break;
	}
	return UINT64_MAX;
}

void link_timer_set(struct link *link)
{
	uint64_t at = deadline(link);

	if (link->flight && link->state != LINK_CLOSING)
		sooner(&at, link->write_ms + link->set->config.write_ms);
	if (at != UINT64_MAX)
		link_timer_arm(link, at);
}

static void open_expired(struct link *link, uint64_t now)
{
	const struct link_config *config = &link->set->config;
	static const uint8_t empty_list = 0xc0;

	if (!link->is_paused && now >= link->read_ms + config->idle_ms) {
		link_refuse(link, P2P_READ_TIMEOUT, ERR_TIMEOUT);
		return;
	}
	if (now < link->ping_ms + config->ping_ms)
		return;
	link->ping_ms = now;
	(void)link_out_small(link, P2P_PING, &empty_list, 1, link->is_snappy);
}

static void expire(struct link *link, uint64_t now)
{
	if (link->flight && link->state != LINK_CLOSING &&
	    now >= link->write_ms + link->set->config.write_ms) {
		link_abort(link, ERR_TIMEOUT);
		return;
	}
	if (now < deadline(link))
		return;
	switch ((enum link_state)link->state) {
	case LINK_KEYS:
	case LINK_HELLO:
		link_abort(link, ERR_TIMEOUT);
		break;
	case LINK_OPEN:
		open_expired(link, now);
		break;
	case LINK_ENDING:
		link_abort(link, ERR_CLOSED);
		break;
	case LINK_CONNECTING:
	case LINK_CLOSING:
	case LINK_STATE_COUNT:
		break;
	}
}

static void empty_slot(struct link_set *set, struct node *slot, uint64_t now)
{
	struct node due;

	node_init(&due);
	node_splice(&due, slot);
	while (!node_is_alone(&due)) {
		struct link *link = LINK_OF(due.next, timer);

		node_remove(&link->timer);
		expire(link, now);
		if (link->state != LINK_CLOSING)
			link_timer_set(link);
	}
	(void)set;
}

void link_set_tick(struct link_set *set, uint64_t now_ms)
{
	uint64_t target = now_ms / WHEEL_GRAIN_MS;

	/* After a long sleep once round is enough. */
	if (target > set->wheel_at + WHEEL_SLOTS)
		set->wheel_at = target - WHEEL_SLOTS;
	while (set->wheel_at < target) {
		set->wheel_at++;
		empty_slot(set, &set->wheel[set->wheel_at % WHEEL_SLOTS],
			   now_ms);
	}
}
