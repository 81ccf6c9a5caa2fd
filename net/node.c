#include "net/node.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "net/admit.h"
#include "net/bundle.h"
#include "net/dialer.h"
#include "net/gossip.h"
#include "net/node_ring.h"
#include "net/posting.h"
#include "net/request.h"
#include "net/sync.h"
#include "net/sync_ask.h"

#define RINGS_MAX      256
#define MAILBOX_MAX    65536
#define TICK_MS        100
#define DRAIN_MAX_MS   2000 /* for what is under way to come home */
#define EXPIRE_PARTS   10   /* of the pool, a tick: all of it each second */
#define PAGE_BYTES_MIN 4096u

void node_config_default(struct node_config *config)
{
	memset(config, 0, sizeof(*config));
	config->rings = 1;
	config->engine = RING_AUTO;
	link_config_default(&config->link);
	config->link.caps[CAP_SHH] = true;
	config->link.caps[CAP_WAKU] = true;
	config->link.caps[CAP_WMPAY] = false;
	/* Take more than we send (protocol/whisper-waku.md §6). */
	config->link.packet_max = 3u << 19;
	config->pow_min = 0.000002;
	config->envelope_max = 1u << 20;
	config->pool_bytes_max = 32u << 20;
	config->pool_count_max = 1u << 19;
	config->bad_max = 64;
	config->handshakes_ip = (struct node_rate){20, 200};
	config->requests_peer = (struct node_rate){10, 50};
	config->requests_ip = (struct node_rate){50, 200};
	config->is_mail_server = true;
	config->require_signer = true;
	config->requests_max = 8;
	config->page_bytes = 64u << 10;
	config->request_ms = 8000;
	config->sync_every_s = 600;
	config->sync_back_s = 30 * 86400;
	config->dial_min_ms = 1000;
	config->dial_max_ms = 60000;
}

/* ---- notes ---- */

static void wake(void *ctx)
{
	struct node_ring *ring = ctx;

	ring_wake(ring->ring);
}

int node_ring_put(struct node_ring *ring, struct note *note)
{
	int err;

	atomic_fetch_add(&ring->putting, 1);
	err = mailbox_put(&ring->mailbox, &note->letter);
	atomic_fetch_sub(&ring->putting, 1);
	return err;
}

void node_ring_put_always(struct node_ring *ring, struct note *note)
{
	atomic_fetch_add(&ring->putting, 1);
	mailbox_put_always(&ring->mailbox, &note->letter);
	atomic_fetch_sub(&ring->putting, 1);
}

static void read_mail(struct node_ring *ring, bool is_over)
{
	struct letter *letter = mailbox_take_all(&ring->mailbox);

	while (letter) {
		struct note *note = (struct note *)letter;

		letter = letter->next;
		note->deliver(ring, note, is_over);
	}
}

struct timespec node_until(unsigned wait_ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return until;
}

uint64_t node_ring_now_ms(const struct node_ring *ring)
{
	return ring_now_ms(ring->ring);
}

struct session *node_ring_find(struct node_ring *ring, uint64_t handle)
{
	struct link *link = link_find(ring->links, handle);
	struct session *session = link ? link_owner(link) : NULL;

	return session && session->is_open ? session : NULL;
}

uint64_t *node_ring_scratch(struct node_ring *ring, size_t words)
{
	if (ring->scratch_cap < words) {
		uint64_t *bigger =
			realloc(ring->scratch, words * sizeof(*bigger));

		if (!bigger)
			return NULL;
		ring->scratch = bigger;
		ring->scratch_cap = words;
	}
	return ring->scratch;
}

/* ---- what links report ---- */

static unsigned link_opened(void *ctx, struct link *link)
{
	struct node_ring *ring = ctx;
	struct node *node = ring->node;
	struct session *session = link_owner(link);
	int err;

	if (ring->stopping != STOPPING_NOT)
		return P2P_QUITTING;
	err = peers_claim(node->peers, link_remote(link));
	if (err)
		return err == ERR_EXISTS ? P2P_ALREADY_CONNECTED : P2P_TOO_MANY;
	if (!session)
		session = session_new(ring, NULL);
	if (!session) {
		peers_release(node->peers, link_remote(link));
		return P2P_TOO_MANY;
	}
	link_set_owner(link, session);
	session_opened(session, link);
	if (session->dialed)
		dialer_opened(session->dialed);
	sync_ask_opened(session);
	atomic_fetch_add(&node->counts.peers, 1);
	metric_change(node->metrics.peers, 1);
	LOG_DEBUG("peer connected", log_hex("peer", link_remote(link), 8),
		  log_text("client", link_client(link)));
	return 0;
}

static void link_closed(void *ctx, struct link *link,
			const struct link_end *end)
{
	struct node_ring *ring = ctx;
	struct node *node = ring->node;
	struct session *session = link_owner(link);

	if (!session)
		return;
	if (session->is_open) {
		/* Before somebody else may claim this node's id. */
		sync_ask_closed(session);
		peers_release(node->peers, link_remote(link));
		atomic_fetch_sub(&node->counts.peers, 1);
		metric_change(node->metrics.peers, -1);
		LOG_DEBUG("peer gone", log_hex("peer", link_remote(link), 8),
			  log_err(end->err), log_u64("reason", end->reason));
	}
	request_cancel_all(session);
	if (session->dialed)
		dialer_closed(session->dialed, node_ring_now_ms(ring));
	session_free(session);
	link_set_owner(link, NULL);
}

static void wmpay_message(struct session *session, unsigned code,
			  const struct packet *payload)
{
	struct node_ring *ring = session->ring;
	const struct node_wmpay *wmpay = &ring->node->config.wmpay;
	struct node_link from = {.ring = ring->index, .link = session->handle};

	if (wmpay->message)
		wmpay->message(wmpay->ctx, from, link_remote(session->link),
			       code, payload->bytes, payload->size);
}

/* Messages of shh and waku, Status having come. */
static void served_message(struct session *session, enum cap cap, unsigned code,
			   struct packet *payload)
{
	switch (code) {
	case CODE_MESSAGES:
		admit_message(session, cap, payload);
		break;
	case CODE_REQUEST:
		request_message(session, cap, payload);
		break;
	case CODE_SYNC_REQUEST:
		if (cap == CAP_SHH)
			sync_message(session, payload);
		break;
	case CODE_SYNC_RESPONSE:
		if (cap == CAP_SHH)
			sync_ask_answer(session, payload);
		break;
	default:
		/* Codes 11, 12, 125, 127 and unknown ones: not for us. */
		session_told(session, cap, code, payload->bytes, payload->size);
		break;
	}
}

static void link_message(void *ctx, struct link *link, enum cap cap,
			 unsigned code, struct packet *payload)
{
	struct node_ring *ring = ctx;
	struct session *session = link_owner(link);

	if (!session || ring->stopping != STOPPING_NOT)
		return;
	session_charge_bytes(session, payload->size);
	if (cap == CAP_WMPAY)
		wmpay_message(session, code, payload);
	else if (code == CODE_STATUS)
		session_told(session, cap, code, payload->bytes, payload->size);
	else if (!session->caps[cap].has_status)
		session_breach(session, "status must come first");
	else
		served_message(session, cap, code, payload);
}

static void link_drained(void *ctx, struct link *link)
{
	struct session *session = link_owner(link);

	(void)ctx;
	if (session && session->is_open)
		request_drained(session);
}

static void link_emptied(void *ctx, struct link *link)
{
	struct session *session = link_owner(link);

	(void)ctx;
	if (session && session->is_open)
		gossip_emptied(session);
}

static void links_round_end(void *ctx)
{
	struct node_ring *ring = ctx;

	while (ring->greeted) {
		struct session *session = ring->greeted;

		ring->greeted = session->next_greeted;
		session->next_greeted = NULL;
		session_greet(session);
	}
	admit_flush(ring);
}

static const struct link_handler link_handler = {.opened = link_opened,
						 .message = link_message,
						 .drained = link_drained,
						 .emptied = link_emptied,
						 .closed = link_closed,
						 .round_end = links_round_end};

static void accepted(void *ctx, struct ring_sock *sock,
		     const struct sockaddr *addr)
{
	struct node_ring *ring = ctx;
	const struct node_rate *rate = &ring->node->config.handshakes_ip;
	uint64_t now_ms = node_ring_now_ms(ring);
	struct limits_entry *entry =
		limits_get(ring->node->rates,
			   limits_address_key(ring->node->rates, addr), now_ms);

	if (ring->stopping != STOPPING_NOT ||
	    !bucket_take(&entry->handshakes, rate->per_s, rate->burst, 1,
			 now_ms))
		ring_close(sock);
	else
		link_set_accepted(ring->links, sock, addr);
}

/* ---- a ring's rounds ---- */

static void round_end(void *ctx)
{
	struct node_ring *ring = ctx;

	if (ring->stopping == STOPPING_NOT)
		gossip_go_on(ring, node_ring_now_ms(ring));
	link_set_round_end(ring->links);
}

static void pause_all(struct node_ring *ring)
{
	for (struct session *s = ring->sessions; s; s = s->next) {
		if (s->is_open && !s->paused)
			link_pause(s->link, true);
	}
}

/* Stopping goes in steps: see enum stopping. */
static void stop_step(struct node_ring *ring, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - ring->stopping_ms;

	switch (ring->stopping) {
	case STOPPING_NOT:
		if (ring->node->config.listen_len)
			ring_listen_stop(ring->ring);
		pause_all(ring);
		ring->stopping = STOPPING_DRAIN;
		ring->stopping_ms = now_ms;
		break;
	case STOPPING_DRAIN:
		if ((ring->out > 0 || ring->waiting) &&
		    passed_ms < DRAIN_MAX_MS)
			break;
		link_set_stop(ring->links, P2P_QUITTING);
		ring->stopping = STOPPING_CLOSE;
		ring->stopping_ms = now_ms;
		break;
	case STOPPING_CLOSE:
		/* Links end by their own deadlines. */
		if (!ring->sessions && ring->out == 0)
			ring_stop(ring->ring);
		break;
	}
}

static void woken(void *ctx)
{
	struct node_ring *ring = ctx;

	read_mail(ring, false);
	if (atomic_load(&ring->node->is_stopping))
		stop_step(ring, node_ring_now_ms(ring));
}

static void check_rates(struct node_ring *ring, uint64_t now_ms)
{
	for (struct session *s = ring->sessions; s; s = s->next) {
		if ((s->paused & PAUSE_RATE) && now_ms >= s->rate_until_ms)
			session_pause(s, PAUSE_RATE, false);
	}
}

static void each_second(struct node_ring *ring, uint64_t now_ms)
{
	struct session *next;

	for (struct session *s = ring->sessions; s; s = next) {
		next = s->next;
		session_check_status(s, now_ms);
		sync_ask_second(s, now_ms);
		/* One bad envelope a second is forgiven. */
		if (s->bad_envelopes > 0)
			s->bad_envelopes--;
	}
}

static void tick(void *ctx, uint64_t now_ms)
{
	struct node_ring *ring = ctx;

	link_set_tick(ring->links, now_ms);
	posting_retry(ring);
	if (ring->retries > 0)
		request_retry(ring);
	envelopes_expire(ring->envelopes, clock_wall_s(), EXPIRE_PARTS);
	if (atomic_load(&ring->node->is_stopping)) {
		stop_step(ring, now_ms);
		return;
	}
	check_rates(ring, now_ms);
	if (now_ms - ring->gossip_ms >= GOSSIP_EVERY_MS) {
		ring->gossip_ms = now_ms;
		gossip_tick(ring, now_ms);
	}
	if (now_ms - ring->second_ms >= 1000) {
		ring->second_ms = now_ms;
		each_second(ring, now_ms);
	}
	dialer_tick(ring->dialer, now_ms);
}

/* ---- a ring's thread ---- */

static int ring_open(struct node_ring *ring)
{
	static const struct ring_handler handler = {
		.round_end = round_end, .woken = woken, .tick = tick};
	struct node *node = ring->node;
	const struct node_config *config = &node->config;
	struct ring_config ring_config = {.engine = config->engine,
					  .tick_ms = TICK_MS,
					  .socks_max =
						  config->link.links_max + 8};
	struct link_config link_config = config->link;
	struct sockaddr_storage addr = config->listen;
	uint16_t port = node->port;
	int err = ring_new(&ring_config, &handler, ring, &ring->ring);

	if (err)
		return err;
	if (config->listen_len) {
		/* All rings listen on the port that the first one got. */
		if (addr.ss_family == AF_INET)
			((struct sockaddr_in *)&addr)->sin_port = htons(port);
		else
			((struct sockaddr_in6 *)&addr)->sin6_port = htons(port);
		err = ring_listen(ring->ring, (const struct sockaddr *)&addr,
				  config->listen_len, accepted, ring, &port);
		if (err)
			return err;
	}
	node->port = port;
	node->engine = ring_engine_name(ring->ring);
	link_config.key = config->key;
	link_config.port = port;
	link_config.limits = node->limits;
	return link_set_new(ring->ring, &link_config, &link_handler, ring,
			    &ring->links);
}

static int ring_prepare(struct node_ring *ring)
{
	const struct node_config *config = &ring->node->config;

	ring->envelopes =
		envelopes_new(config->pool_bytes_max, config->pool_count_max);
	ring->admit = admit_new();
	ring->dialer = dialer_new(ring);
	if (!ring->envelopes || !ring->admit || !ring->dialer)
		return ERR_NOMEM;
	return ring_open(ring);
}

static void *ring_main(void *arg)
{
	struct node_ring *ring = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "ring %u", ring->index);
	(void)pthread_setname_np(pthread_self(), name);
	ring->start_err = ring_prepare(ring);
	(void)sem_post(&ring->ready);
	if (ring->start_err)
		return NULL;
	while (sem_wait(&ring->go))
		;
	if (!atomic_load(&ring->node->is_stopping) || ring->node->rings[0].ring)
		(void)ring_run(ring->ring);
	link_set_free(ring->links);
	ring->links = NULL;
	return NULL;
}

/* After all threads have ended: what came too late is let go. */
static void ring_close_down(struct node_ring *ring)
{
	/* Their letter was the last one, and they are about to wake us. */
	while (atomic_load(&ring->putting) > 0)
		(void)sched_yield();
	read_mail(ring, true);
	assert(ring->out == 0);
	ring_free(ring->ring);
	envelopes_free(ring->envelopes);
	admit_free(ring->admit);
	dialer_free(ring->dialer);
	free(ring->scratch);
	(void)sem_destroy(&ring->ready);
	(void)sem_destroy(&ring->go);
}

/* ---- the node ---- */

static int check_config(const struct node_config *config, const char **why)
{
	if (config->rings == 0 || config->rings > RINGS_MAX)
		*why = "the number of rings is out of range";
	else if (!config->key)
		*why = "there is no node key";
	else if (!config->archive)
		*why = "there is no archive";
	else if (config->page_bytes < PAGE_BYTES_MIN ||
		 config->page_bytes > BUNDLE_ROOM_MAX)
		*why = "the page size is out of range";
	else
		return 0;
	return ERR_RANGE;
}

static void register_metrics(struct node_metrics *m)
{
#define REGISTER(name, text, labels, help)                                     \
	m->name = metric_counter(text, labels, help);
	NODE_METRICS(REGISTER)
#undef REGISTER
	m->request_time =
		metric_histogram("mailserver_delivery_duration_seconds", NULL,
				 "From a history request to its completion");
	m->commit_time =
		metric_histogram("mailserver_commit_duration_seconds", NULL,
				 "From a Messages packet to its confirmation");
	m->peers = metric_gauge("p2p_peers_count", NULL, "Peers connected");
}

static int start_ring(struct node *node, unsigned index)
{
	struct node_ring *ring = &node->rings[index];

	ring->node = node;
	ring->index = index;
	ring->waiting_end = &ring->waiting;
	TAILQ_INIT(&ring->telling);
	mailbox_init(&ring->mailbox, MAILBOX_MAX, wake, ring);
	if (sem_init(&ring->ready, 0, 0) || sem_init(&ring->go, 0, 0))
		return ERR_IO;
	if (pthread_create(&ring->thread, NULL, ring_main, ring))
		return ERR_IO;
	ring->is_started = true;
	while (sem_wait(&ring->ready))
		;
	return ring->start_err;
}

static void release(struct node *node)
{
	/* Rings wait for what they asked. */
	resolver_give_up(node->resolver);
	for (unsigned i = 0; i < node->rings_count; i++) {
		struct node_ring *ring = &node->rings[i];

		if (!ring->is_started)
			continue;
		(void)sem_post(&ring->go);
		if (ring->ring)
			ring_wake(ring->ring);
		pthread_join(ring->thread, NULL);
	}
	resolver_stop(node->resolver);
	sync_asker_stop(node->asker);
	for (unsigned i = 0; i < node->rings_count; i++) {
		if (node->rings[i].is_started)
			ring_close_down(&node->rings[i]);
	}
	peers_free(node->peers);
	link_limits_free(node->limits);
	limits_free(node->rates);
	free(node);
}

static uint16_t port_of(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)addr)->sin_port);
	return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
}

static int start_all(struct node *node)
{
	const struct node_config *config = &node->config;
	int err;

	node->peers = peers_new((size_t)config->rings * config->link.links_max);
	node->limits = link_limits_new(
		(size_t)config->rings *
			(config->link.links_max + config->link.handshakes_max),
		config->sessions_max ? config->sessions_max : UINT_MAX);
	node->rates = limits_new();
	if (!node->peers || !node->limits || !node->rates)
		return ERR_NOMEM;
	if (config->static_peers_count > 0) {
		err = resolver_start(&node->resolver);
		if (err)
			return err;
	}
	if (config->sync_from_count > 0) {
		err = sync_asker_start(config, &node->asker);
		if (err)
			return err;
	}
	if (config->listen_len) {
		node->port = port_of(&config->listen);
		err = ring_listen_probe(
			(const struct sockaddr *)&config->listen,
			config->listen_len);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < config->rings; i++) {
		err = start_ring(node, i);
		if (err)
			return err;
	}
	return 0;
}

/* One sentence for a person. */
static void say_why(const struct node_config *config, int err, char *why,
		    size_t why_size)
{
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

	(void)getnameinfo((const struct sockaddr *)&config->listen,
			  config->listen_len, host, sizeof(host), port,
			  sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	if (err == ERR_UNSUPPORTED && config->engine == RING_URING)
		(void)snprintf(
			why, why_size,
			"this system does not allow io_uring; let net.io "
			"be auto or epoll");
	else if (err == ERR_EXISTS)
		(void)snprintf(
			why, why_size,
			"port %s of %s is in use by another program; end "
			"it or choose another (net.listen)",
			port, host);
	else if (config->listen_len && (err == ERR_DENIED || err == ERR_IO))
		(void)snprintf(why, why_size,
			       "cannot listen on port %s of %s: %s", port, host,
			       err_str(err));
	else
		(void)snprintf(why, why_size, "the node cannot start: %s",
			       err_str(err));
}

int node_start(const struct node_config *config, struct node **out, char *why,
	       size_t why_size)
{
	const char *text;
	struct node *node;
	int err = check_config(config, &text);

	if (err) {
		(void)snprintf(why, why_size, "%s", text);
		return err;
	}
	node = calloc(1,
		      sizeof(*node) + config->rings * sizeof(node->rings[0]));
	if (!node) {
		say_why(config, ERR_NOMEM, why, why_size);
		return ERR_NOMEM;
	}
	node->config = *config;
	node->rings_count = config->rings;
	atomic_init(&node->is_healthy, true);
	register_metrics(&node->metrics);
	err = start_all(node);
	if (err) {
		say_why(config, err, why, why_size);
		atomic_store(&node->is_stopping, true);
		release(node);
		return err;
	}
	for (unsigned i = 0; i < node->rings_count; i++)
		(void)sem_post(&node->rings[i].go);
	*out = node;
	return 0;
}

void node_stop(struct node *node)
{
	if (!node)
		return;
	atomic_store(&node->is_stopping, true);
	release(node);
}

uint16_t node_port(const struct node *node)
{
	return node->config.listen_len ? node->port : 0;
}

const char *node_engine(const struct node *node)
{
	return node->engine;
}

/* ---- messages of wmpay ---- */

struct parcel {
	struct note note;
	uint64_t link; /* 0: whoever has this node's key */
	uint8_t to[SECP_PUBLIC_SIZE];
	unsigned code;
	size_t len;
	uint8_t bytes[];
};

static struct session *parcel_session(struct node_ring *ring,
				      const struct parcel *parcel)
{
	if (parcel->link)
		return node_ring_find(ring, parcel->link);
	for (struct session *s = ring->sessions; s; s = s->next) {
		if (s->is_open && memcmp(link_remote(s->link), parcel->to,
					 sizeof(parcel->to)) == 0)
			return s;
	}
	return NULL;
}

static void parcel_deliver(struct node_ring *ring, struct note *note,
			   bool is_over)
{
	struct parcel *parcel = (struct parcel *)note;
	struct session *session = is_over ? NULL : parcel_session(ring, parcel);

	if (session && link_has_cap(session->link, CAP_WMPAY))
		(void)link_send_bytes(session->link, CAP_WMPAY, parcel->code,
				      parcel->bytes, parcel->len);
	free(parcel);
}

static int parcel_post(struct node_ring *ring, const struct parcel *like,
		       const uint8_t *payload, size_t len)
{
	struct parcel *parcel = malloc(sizeof(*parcel) + len);
	int err;

	if (!parcel)
		return ERR_NOMEM;
	*parcel = *like;
	parcel->note.deliver = parcel_deliver;
	parcel->len = len;
	memcpy(parcel->bytes, payload, len);
	err = node_ring_put(ring, &parcel->note);
	if (err)
		free(parcel);
	return err;
}

int node_send(struct node *node, struct node_link to, unsigned code,
	      const uint8_t *payload, size_t len)
{
	const struct parcel like = {.link = to.link, .code = code};

	assert(to.ring < node->rings_count && to.link);
	return parcel_post(&node->rings[to.ring], &like, payload, len);
}

void node_tell(struct node *node, const uint8_t to[static SECP_PUBLIC_SIZE],
	       unsigned code, const uint8_t *payload, size_t len)
{
	struct parcel like = {.code = code};

	if (!peers_has(node->peers, to))
		return;
	memcpy(like.to, to, sizeof(like.to));
	for (unsigned i = 0; i < node->rings_count; i++)
		(void)parcel_post(&node->rings[i], &like, payload, len);
}

void node_stats(struct node *node, struct node_stats *out)
{
	const struct node_counts *c = &node->counts;

	*out = (struct node_stats){
		.peers = atomic_load(&c->peers),
		.packets_in = atomic_load(&c->packets_in),
		.envelopes_in = atomic_load(&c->envelopes_in),
		.envelopes_accepted = atomic_load(&c->envelopes_new),
		.envelopes_duplicate = atomic_load(&c->envelopes_duplicate),
		.envelopes_refused = atomic_load(&c->rejected_clock) +
				     atomic_load(&c->rejected_size) +
				     atomic_load(&c->rejected_pow),
		.envelopes_relayed = atomic_load(&c->relayed),
		.requests = atomic_load(&c->requests),
		.requests_denied = atomic_load(&c->request_denied),
		.requests_failed = atomic_load(&c->request_rate) +
				   atomic_load(&c->request_invalid) +
				   atomic_load(&c->request_broken),
		.envelopes_delivered = atomic_load(&c->delivered),
		.bytes_delivered = atomic_load(&c->delivered_bytes),
		.is_healthy = atomic_load(&node->is_healthy)};
}
