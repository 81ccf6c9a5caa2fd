#include "net/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/log.h"
#include "net/link_impl.h"

/* ---- configuration ---- */

void link_config_default(struct link_config *config)
{
	*config = (struct link_config){.client = "restante",
				       .links_max = 1000,
				       .handshakes_max = 50,
				       .handshake_ms = 5000,
				       .hello_ms = 5000,
				       .idle_ms = 30000,
				       .write_ms = 20000,
				       .ping_ms = 15000,
				       .packet_max = 1u << 20,
				       .queue_bytes_max = 8u << 20,
				       .queue_low = 1u << 20};
}

uint64_t link_now(const struct link_set *set)
{
	return ring_now_ms(set->ring);
}

/* ---- metrics ---- */

#define LINKS      "restante_links_total"
#define LINKS_HELP "Connections, by what became of them"
#define ENDS       "restante_link_ends_total"
#define ENDS_HELP  "Ends of connections that had been open"
#define NOW        "restante_links"
#define NOW_HELP   "Connections now"

static struct metric *result(const char *labels)
{
	return metric_counter(LINKS, labels, LINKS_HELP);
}

static struct metric *ending(const char *labels)
{
	return metric_counter(ENDS, labels, ENDS_HELP);
}

static void metrics_init(struct link_metrics *m)
{
	m->opened = result("result=\"opened\"");
	m->too_many = result("result=\"too_many\"");
	m->per_address = result("result=\"per_address\"");
	m->garbage = result("result=\"garbage\"");
	m->timeout = result("result=\"timeout\"");
	m->refused = result("result=\"refused\"");
	m->lost = result("result=\"lost\"");
	m->end_closed = ending("why=\"closed\"");
	m->end_timeout = ending("why=\"timeout\"");
	m->end_breach = ending("why=\"breach\"");
	m->end_slow = ending("why=\"slow\"");
	m->end_lost = ending("why=\"lost\"");
	m->open_now = metric_gauge(NOW, "state=\"open\"", NOW_HELP);
	m->handshakes_now = metric_gauge(NOW, "state=\"handshake\"", NOW_HELP);
	m->read_bytes = metric_counter("restante_link_read_bytes_total", NULL,
				       "Bytes read from peers");
	m->sent_bytes = metric_counter("restante_link_sent_bytes_total", NULL,
				       "Bytes written to peers");
}

static struct metric *end_metric(const struct link *link)
{
	const struct link_metrics *m = &link->set->metrics;
	bool is_bad =
		link->end.err == ERR_AUTH || link->end.err == ERR_PROTOCOL;

	if (!link->is_opened) {
		if (link->end.has_reason)
			return m->refused;
		if (link->end.err == ERR_TIMEOUT)
			return m->timeout;
		if (link->end.err == ERR_FULL)
			return m->too_many;
		return is_bad ? m->garbage : m->lost;
	}
	if (is_bad)
		return m->end_breach;
	if (link->end.err == ERR_TIMEOUT)
		return m->end_timeout;
	if (link->end.err == ERR_FULL)
		return m->end_slow;
	return link->end.err == ERR_CLOSED ? m->end_closed : m->end_lost;
}

/* ---- slots ---- */

static struct link *slot_take(struct link_set *set)
{
	struct link_slot *slot;
	struct link *link;

	if (set->slot_free == set->slot_count)
		return NULL;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	slot = &set->slots[set->slot_free];
	link->set = set;
	link->slot = set->slot_free;
	link->generation = ++slot->generation;
	set->slot_free = slot->next_free;
	slot->link = link;
	set->links++;
	node_init(&link->input);
	node_init(&link->crypto);
	node_init(&link->output);
	node_init(&link->timer);
	node_init(&link->dead);
	node_init(&link->shaking);
	return link;
}

static void slot_give(struct link *link)
{
	struct link_set *set = link->set;
	struct link_slot *slot = &set->slots[link->slot];

	slot->link = NULL;
	slot->next_free = set->slot_free;
	set->slot_free = link->slot;
	set->links--;
}

uint64_t link_handle(const struct link *link)
{
	return (uint64_t)link->generation << 32 | link->slot;
}

struct link *link_find(struct link_set *set, uint64_t handle)
{
	uint32_t slot = (uint32_t)handle;

	if (slot >= set->slot_count ||
	    set->slots[slot].generation != handle >> 32)
		return NULL;
	return set->slots[slot].link;
}

/* ---- open links by remote key ---- */

static struct link **remote_bucket(struct link_set *set, const uint8_t *public)
{
	uint64_t hash =
		(be64_load(public) ^ be64_load(public + 8)) * set->remotes_seed;

	return &set->remotes[(uint32_t)(hash >> 32) & set->remotes_mask];
}

struct link *link_find_remote(struct link_set *set,
			      const uint8_t public[static SECP_PUBLIC_SIZE])
{
	struct link *link = *remote_bucket(set, public);

	while (link && memcmp(link->remote, public, SECP_PUBLIC_SIZE) != 0)
		link = link->remote_next;
	return link;
}

static void count_open(struct link *link)
{
	struct link_set *set = link->set;
	struct link **bucket = remote_bucket(set, link->remote);

	link->remote_next = *bucket;
	*bucket = link;
	link->is_counted = true;
	set->opened++;
	metric_add(set->metrics.opened, 1);
	metric_change(set->metrics.open_now, 1);
}

static void uncount_open(struct link *link)
{
	struct link_set *set = link->set;
	struct link **at = remote_bucket(set, link->remote);

	if (!link->is_counted)
		return;
	while (*at != link)
		at = &(*at)->remote_next;
	*at = link->remote_next;
	link->is_counted = false;
	set->opened--;
	link_limits_closed(set->limits);
	metric_change(set->metrics.open_now, -1);
}

/* ---- states ---- */

static bool is_legal(enum link_state from, enum link_state to)
{
	static const uint8_t to_states[LINK_STATE_COUNT] = {
		[LINK_CONNECTING] = 1 << LINK_KEYS | 1 << LINK_CLOSING,
		[LINK_KEYS] =
			1 << LINK_HELLO | 1 << LINK_ENDING | 1 << LINK_CLOSING,
		[LINK_HELLO] =
			1 << LINK_OPEN | 1 << LINK_ENDING | 1 << LINK_CLOSING,
		[LINK_OPEN] = 1 << LINK_ENDING | 1 << LINK_CLOSING,
		[LINK_ENDING] = 1 << LINK_CLOSING,
	};

	return to_states[from] & 1 << to;
}

static bool is_handshake(const struct link *link)
{
	return !link->is_outgoing &&
	       (link->state == LINK_KEYS || link->state == LINK_HELLO);
}

static void count_handshake(struct link *link, bool before, bool after)
{
	struct link_set *set = link->set;

	if (before == after)
		return;
	if (after) {
		set->handshakes++;
		node_append(&set->shaking, &link->shaking);
	} else {
		set->handshakes--;
		node_remove(&link->shaking);
	}
	metric_change(set->metrics.handshakes_now, after ? 1 : -1);
}

/* The one door. */
void link_move(struct link *link, enum link_state state)
{
	bool before = is_handshake(link);

	assert(is_legal((enum link_state)link->state, state));
	if (link->state == LINK_OPEN)
		uncount_open(link);
	link->state = (uint8_t)state;
	link->since_ms = link_now(link->set);
	count_handshake(link, before, is_handshake(link));
	if (state >= LINK_ENDING) {
		link_in_drop(link);
		link_in_update_pause(link);
	}
	if (state == LINK_CLOSING) {
		node_remove(&link->timer);
		link_out_drop_waiting(link);
	} else {
		link_timer_set(link);
	}
}

void link_note_end(struct link *link, int err, bool is_local)
{
	if (link->is_ended)
		return;
	link->is_ended = true;
	link->end.err = err;
	link->end.is_local = is_local;
}

void link_abort(struct link *link, int err)
{
	if (link->state == LINK_CLOSING)
		return;
	link_note_end(link, err, true);
	link_move(link, LINK_CLOSING);
	if (link->sock)
		ring_close(link->sock);
}

void link_refuse(struct link *link, unsigned reason, int err)
{
	uint8_t payload[2] = {0xc1, reason ? (uint8_t)reason : 0x80};
	bool was_silent = link->state == LINK_KEYS;

	assert(reason < 0x80);
	if (link->state >= LINK_ENDING)
		return;
	if (!link->streams.egress.cipher) {
		link_abort(link, err);
		return;
	}
	link_note_end(link, err, true);
	if (!link->end.has_reason) {
		link->end.has_reason = true;
		link->end.reason = reason;
	}
	link_move(link, LINK_ENDING);
	/* Who broke the protocol need not get what waits before it. */
	if (err == ERR_PROTOCOL)
		link_out_drop_waiting(link);
	/* In place of a Hello it is not compressed. */
	(void)link_out_small(link, P2P_DISCONNECT, payload, sizeof(payload),
			     link->is_snappy && !was_silent);
	if (link->state == LINK_ENDING)
		link_timer_set(link);
}

void link_disconnect(struct link *link, unsigned reason)
{
	link_refuse(link, reason, ERR_CLOSED);
}

/* ---- the way to open ---- */

static bool is_own_key(const struct link_set *set, const uint8_t *public)
{
	return memcmp(public, set->config.key->public, SECP_PUBLIC_SIZE) == 0;
}

void link_keys_agreed(struct link *link)
{
	struct link_set *set = link->set;
	uint8_t hello[P2P_HELLO_MAX];
	size_t len;

	if (is_own_key(set, link->remote)) {
		link_refuse(link, P2P_SELF, ERR_DENIED);
		return;
	}
	link_move(link, LINK_HELLO);
	/* Until their Hello says otherwise. */
	link->is_snappy = true;
	len = p2p_hello_encode(&set->hello, hello);
	(void)link_out_small(link, P2P_HELLO, hello, len, false);
}

static void open_link(struct link *link)
{
	struct link_set *set = link->set;
	unsigned reason;

	link->ping_ms = link_now(set);
	link_move(link, LINK_OPEN);
	link->is_opened = true;
	reason = set->handler.opened(set->ctx, link);
	if (link->state != LINK_OPEN || reason)
		link_limits_closed(set->limits);
	if (link->state != LINK_OPEN)
		return;
	if (reason) {
		link_refuse(link, reason, ERR_DENIED);
		return;
	}
	count_open(link);
}

/* 0, or why this Hello is refused. */
static unsigned judge_hello(struct link *link, const uint8_t *payload,
			    size_t len)
{
	struct link_set *set = link->set;
	struct p2p_hello hello;
	int err;

	err = p2p_hello_decode(payload, len, &hello);
	if (err)
		return err == ERR_AUTH ? P2P_INVALID_IDENTITY : P2P_BREACH;
	link->is_snappy = hello.version >= P2P_VERSION;
	if (memcmp(hello.public, link->remote, SECP_PUBLIC_SIZE) != 0)
		return P2P_UNEXPECTED_IDENTITY;
	if (cap_map_make(set->config.caps, hello.caps, &link->caps) == 0)
		return P2P_USELESS;
	if (set->opened >= set->config.links_max)
		return P2P_TOO_MANY;
	link->client = strdup(hello.client);
	return 0;
}

void link_hello_come(struct link *link, const uint8_t *payload, size_t len)
{
	unsigned reason = judge_hello(link, payload, len);
	bool is_polite = reason == P2P_USELESS || reason == P2P_TOO_MANY;

	if (reason)
		link_refuse(link, reason,
			    is_polite ? ERR_DENIED : ERR_PROTOCOL);
	else if (!link->client)
		link_abort(link, ERR_NOMEM);
	else if (!link_limits_open(link->set->limits))
		link_refuse(link, P2P_TOO_MANY, ERR_DENIED);
	else
		open_link(link);
}

/* ---- sockets ---- */

static void sock_connected(void *owner)
{
	struct link *link = owner;

	if (link->state != LINK_CONNECTING)
		return;
	link_move(link, LINK_KEYS);
	/* Its first step costs as much as theirs and waits for its turn. */
	node_append(&link->set->crypto, &link->crypto);
}

static void sock_received(void *owner, struct ring_buf *buf)
{
	link_in_received(owner, buf);
}

static void sock_sent(void *owner)
{
	link_out_sent(owner);
}

static int limits_take(struct link_set *set, const struct sockaddr *addr)
{
	uint64_t ip = link_prefix_ip(addr);
	int err =
		link_limit_take(set->limits->by_ip, ip, set->config.per_ip_max);

	if (err)
		return err;
	err = link_limit_take(set->limits->by_net, link_prefix_net(addr),
			      set->config.per_net_max);
	if (err)
		link_limit_give(set->limits->by_ip, ip);
	return err;
}

static void limits_give(struct link_set *set, const struct sockaddr *addr)
{
	link_limit_give(set->limits->by_ip, link_prefix_ip(addr));
	link_limit_give(set->limits->by_net, link_prefix_net(addr));
}

static void finalize(struct link *link)
{
	/* That a freed node has left its list is more than the analyzer sees.
	 */
	struct link_set *set = link->set; /* NOLINT(clang-analyzer-*) */

	link_note_end(link, ERR_CLOSED, false);
	if (link->state != LINK_CLOSING)
		link_move(link, LINK_CLOSING);
	node_remove(&link->dead);
	metric_add(end_metric(link), 1);
	LOG_DEBUG("link ended", log_hex("peer", link->remote, 8),
		  log_bool("opened", link->is_opened), log_err(link->end.err));
	if (link->is_opened || link->is_outgoing)
		set->handler.closed(set->ctx, link, &link->end);
	if (link->is_limited)
		limits_give(set, &link->addr.any);
	link_out_release(link);
	rlpx_handshake_free(link->handshake);
	rlpx_streams_release(&link->streams);
	slot_give(link);
	free(link->client);
	free(link);
}

/* What it sent before it closed is still read, at the end of the round. */
static void sock_closed(void *owner, int err)
{
	struct link *link = owner;

	link->sock = NULL;
	if (err && err != ERR_CLOSED && !link_in_has_more(link))
		link_note_end(link, err, false);
	node_append(&link->set->dead, &link->dead);
	/* The ring is stopping: there will be no further round. */
	if (err == ERR_CLOSED)
		finalize(link);
}

static const struct ring_sock_ops sock_ops = {.connected = sock_connected,
					      .received = sock_received,
					      .sent = sock_sent,
					      .closed = sock_closed};

/* 0: neither IPv4 nor IPv6. */
static socklen_t addr_len(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET)
		return sizeof(struct sockaddr_in);
	return addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

static void copy_addr(struct link *link, const struct sockaddr *addr,
		      size_t len)
{
	assert(len <= sizeof(link->addr));
	memcpy(&link->addr, addr, len);
}

/* Handshakes looked at to find one that may be ended for another. */
#define CROWD_LOOKS 8

/* How many handshakes are of this address, and of its network. */
static void count_alike(const struct link_set *set, const struct sockaddr *addr,
			unsigned *ip, unsigned *net)
{
	uint64_t prefix_ip = link_prefix_ip(addr);
	uint64_t prefix_net = link_prefix_net(addr);

	*ip = *net = 0;
	for (struct node *n = set->shaking.next; n != &set->shaking;
	     n = n->next) {
		const struct link *link = LINK_OF(n, shaking);

		*ip += link_prefix_ip(&link->addr.any) == prefix_ip;
		*net += link_prefix_net(&link->addr.any) == prefix_net;
	}
}

/*
 * All places for handshakes are taken. Whose address or network holds more of
 * them than the newcomer's would loses one, so that nobody keeps others out by
 * saying nothing. A few are looked at, which bounds the work, and others each
 * time: who stands first hides nobody.
 */
static bool make_room(struct link_set *set, const struct sockaddr *addr)
{
	unsigned every = (set->handshakes + CROWD_LOOKS - 1) / CROWD_LOOKS;
	unsigned at = set->crowd_turn++;
	unsigned own_ip, own_net;

	count_alike(set, addr, &own_ip, &own_net);
	for (struct node *n = set->shaking.next; n != &set->shaking;
	     n = n->next) {
		struct link *link = LINK_OF(n, shaking);
		unsigned ip, net;

		if (at++ % every != 0)
			continue;
		count_alike(set, &link->addr.any, &ip, &net);
		if (ip <= own_ip + 1 && net <= own_net + 1)
			continue;
		link_abort(link, ERR_FULL);
		return true;
	}
	return false;
}

static bool has_room(struct link_set *set, const struct sockaddr *addr)
{
	return set->handshakes < set->config.handshakes_max ||
	       make_room(set, addr);
}

static struct metric *accept_link(struct link_set *set, struct ring_sock *sock,
				  const struct sockaddr *addr)
{
	struct link *link;

	if (set->is_stopping)
		return set->metrics.lost;
	if (limits_take(set, addr))
		return set->metrics.per_address;
	link = has_room(set, addr) ? slot_take(set) : NULL;
	if (link)
		link->handshake = rlpx_handshake_new(set->config.key, NULL);
	if (!link || !link->handshake) {
		if (link)
			slot_give(link);
		free(link);
		limits_give(set, addr);
		return set->metrics.too_many;
	}
	link->sock = sock;
	link->is_limited = true;
	copy_addr(link, addr, addr_len(addr));
	ring_sock_set_owner(sock, &sock_ops, link);
	link_move(link, LINK_KEYS);
	return NULL;
}

void link_set_accepted(void *set_ctx, struct ring_sock *sock,
		       const struct sockaddr *addr)
{
	struct metric *refused = accept_link(set_ctx, sock, addr);

	if (!refused)
		return;
	metric_add(refused, 1);
	ring_close(sock);
}

int link_dial(struct link_set *set,
	      const uint8_t remote[static SECP_PUBLIC_SIZE],
	      const struct sockaddr *addr, socklen_t len, void *owner,
	      struct link **out)
{
	struct link *link;
	int err = ERR_NOMEM;

	if (set->is_stopping)
		return ERR_CLOSED;
	if (len == 0 || len != addr_len(addr))
		return ERR_UNSUPPORTED;
	link = slot_take(set);
	if (!link)
		return ERR_FULL;
	link->is_outgoing = true;
	link->owner = owner;
	link->since_ms = link_now(set);
	copy_addr(link, addr, len);
	memcpy(link->remote, remote, SECP_PUBLIC_SIZE);
	link->handshake = rlpx_handshake_new(set->config.key, remote);
	if (link->handshake)
		err = ring_connect(set->ring, addr, len,
				   set->config.handshake_ms, &sock_ops, link,
				   &link->sock);
	if (err) {
		rlpx_handshake_free(link->handshake);
		slot_give(link);
		free(link);
		return err;
	}
	*out = link;
	return 0;
}

/* ---- the set ---- */

static void hello_init(struct link_set *set)
{
	const struct link_config *config = &set->config;
	struct p2p_hello *hello = &set->hello;

	hello->version = P2P_VERSION;
	hello->port = config->port;
	memcpy(hello->caps, config->caps, sizeof(hello->caps));
	memcpy(hello->client, config->client,
	       strnlen(config->client, P2P_CLIENT_MAX));
	memcpy(hello->public, config->key->public, SECP_PUBLIC_SIZE);
}

static int tables_init(struct link_set *set)
{
	const struct link_config *config = &set->config;
	unsigned count = config->links_max + config->handshakes_max;
	uint32_t buckets = 16;

	while (buckets < config->links_max)
		buckets *= 2;
	set->remotes_mask = buckets - 1;
	bytes_random((uint8_t *)&set->remotes_seed, sizeof(set->remotes_seed));
	set->remotes_seed |= 1;
	set->remotes = calloc(buckets, sizeof(struct link *));
	set->slots = calloc(count, sizeof(*set->slots));
	if (!config->limits)
		set->own_limits = link_limits_new(count, config->links_max);
	set->limits = config->limits ? config->limits : set->own_limits;
	if (!set->remotes || !set->slots || !set->limits)
		return ERR_NOMEM;
	set->slot_count = count;
	for (unsigned i = 0; i < count; i++)
		set->slots[i].next_free = i + 1;
	return 0;
}

int link_set_new(struct ring *ring, const struct link_config *config,
		 const struct link_handler *handler, void *ctx,
		 struct link_set **out)
{
	struct link_set *set = calloc(1, sizeof(*set));
	int err;

	assert(config->links_max > 0 && config->key);
	assert(handler->opened && handler->message && handler->closed);
	if (!set)
		return ERR_NOMEM;
	set->ring = ring;
	set->config = *config;
	set->handler = *handler;
	set->ctx = ctx;
	node_init(&set->input);
	node_init(&set->crypto);
	node_init(&set->output);
	node_init(&set->dead);
	node_init(&set->shaking);
	metrics_init(&set->metrics);
	hello_init(set);
	link_timer_init(set);
	err = tables_init(set);
	if (err)
		goto out;
	*out = set;
	set = NULL;
out:
	link_set_free(set);
	return err;
}

static void bury(struct link_set *set, bool all)
{
	struct node kept;
	struct node *n;

	node_init(&kept);
	/* finalize() takes the link out of the list before it frees it. */
	/* NOLINTBEGIN(clang-analyzer-unix.Malloc) */
	while ((n = set->dead.next) != &set->dead) {
		struct link *link = LINK_OF(n, dead);

		if (!all && link_in_has_more(link)) {
			node_remove(n);
			node_append(&kept, n);
			set->is_again = true;
		} else {
			finalize(link);
		}
	}
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
	node_splice(&set->dead, &kept);
}

void link_set_free(struct link_set *set)
{
	if (!set)
		return;
	bury(set, true);
	assert(set->links == 0);
	link_out_release_spare(set);
	link_limits_free(set->own_limits);
	free(set->remotes);
	free(set->slots);
	free(set);
}

static void finish_round(struct link_set *set)
{
	bury(set, false);
	if (set->read_bytes > 0)
		metric_add(set->metrics.read_bytes, set->read_bytes);
	if (set->sent_bytes > 0)
		metric_add(set->metrics.sent_bytes, set->sent_bytes);
	set->read_bytes = set->sent_bytes = 0;
	/* A farewell may have made others speak. */
	if (set->is_again || !node_is_alone(&set->output))
		ring_wake(set->ring);
}

void link_sets_round_end(struct link_set *const *sets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sets[i]->is_again = false;
	link_in_round(sets, count);
	for (size_t i = 0; i < count; i++) {
		if (sets[i]->handler.round_end)
			sets[i]->handler.round_end(sets[i]->ctx);
	}
	link_out_round(sets, count);
	for (size_t i = 0; i < count; i++)
		finish_round(sets[i]);
}

void link_set_round_end(struct link_set *set)
{
	link_sets_round_end(&set, 1);
}

void link_set_stop(struct link_set *set, unsigned reason)
{
	set->is_stopping = true;
	for (unsigned i = 0; i < set->slot_count; i++)
		if (set->slots[i].link)
			link_disconnect(set->slots[i].link, reason);
}

unsigned link_set_count(const struct link_set *set)
{
	return set->opened;
}

bool link_set_is_idle(const struct link_set *set)
{
	return node_is_alone(&set->input) && node_is_alone(&set->output);
}

unsigned link_set_total(const struct link_set *set)
{
	return set->links;
}

/* ---- what a link says of itself ---- */

void link_set_owner(struct link *link, void *owner)
{
	link->owner = owner;
}

void *link_owner(const struct link *link)
{
	return link->owner;
}

const uint8_t *link_remote(const struct link *link)
{
	return link->remote;
}

const struct sockaddr *link_addr(const struct link *link)
{
	return &link->addr.any;
}

const char *link_client(const struct link *link)
{
	return link->client ? link->client : "";
}

bool link_has_cap(const struct link *link, enum cap cap)
{
	return link->caps.offset[cap] != 0;
}

bool link_is_outgoing(const struct link *link)
{
	return link->is_outgoing;
}

void link_pause(struct link *link, bool paused)
{
	if (link->is_paused == paused)
		return;
	link->is_paused = paused;
	link_in_update_pause(link);
	if (paused)
		return;
	link->read_ms = link_now(link->set);
	if (link->state < LINK_ENDING)
		link_timer_set(link);
	if (!link_in_has_more(link))
		return;
	/* Frames that came before the pause. */
	node_append(&link->set->input, &link->input);
	ring_wake(link->set->ring);
}
