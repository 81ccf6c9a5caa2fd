#include "bench/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/clock.h"
#include "core/err.h"
#include "net/status.h"

#define DIALS       16
#define TICK_MS     10
#define END_WAIT_MS 4000
#define QUEUE_MAX   (64u << 20)
#define QUEUE_LOW   (1u << 20)
#define PACKET_MAX  (4u << 20)

static bool all_closed(const struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->config->connections; i++)
		if (crowd->members[i].link)
			return false;
	return true;
}

void crowd_end(struct crowd *crowd)
{
	if (crowd->is_ending)
		return;
	crowd->is_ending = true;
	crowd->end_ms = clock_mono_ms() + END_WAIT_MS;
	for (unsigned i = 0; i < crowd->config->connections; i++)
		if (crowd->members[i].link)
			link_disconnect(crowd->members[i].link, P2P_REQUESTED);
	if (all_closed(crowd))
		ring_stop(crowd->ring);
}

void crowd_fail(struct crowd *crowd, const char *why)
{
	if (crowd->is_ending)
		return;
	crowd->err = ERR_PROTOCOL;
	(void)snprintf(crowd->why, sizeof(crowd->why), "%s", why);
	crowd_end(crowd);
}

void crowd_send(struct crowd_member *member, unsigned code, const void *payload,
		size_t size)
{
	if (member->link &&
	    link_send_bytes(member->link, CAP_WAKU, code, payload, size))
		crowd_fail(member->crowd, "sending failed");
}

/* ---- dialling ---- */

static void dial(struct crowd_member *member)
{
	const struct enode *server = member->crowd->config->server;
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(server->tcp)};

	if (inet_pton(AF_INET, server->host, &addr.sin_addr) != 1 ||
	    link_dial(member->set, server->public,
		      (const struct sockaddr *)&addr, sizeof(addr), member,
		      &member->link))
		crowd_fail(member->crowd, "cannot dial");
}

static void dial_more(struct crowd *crowd)
{
	unsigned dials = crowd->config->dials ? crowd->config->dials : DIALS;

	while (!crowd->is_ending &&
	       crowd->dialled < crowd->config->connections &&
	       crowd->dialled - crowd->ready < dials)
		dial(&crowd->members[crowd->dialled++]);
}

static void send_status(struct crowd_member *member)
{
	struct status status = {.has = STATUS_HAS_POW | STATUS_HAS_LIGHT |
				       STATUS_HAS_CONFIRMS};
	uint8_t out[STATUS_SIZE_MAX];
	size_t len;

	if (member->crowd->config->wants_all) {
		status.has |= STATUS_HAS_BLOOM;
		memset(status.bloom.bits, 0xff, sizeof(status.bloom.bits));
	} else {
		/* No topic: nothing is to be told to us. */
		status.has |= STATUS_HAS_TOPICS;
	}
	len = status_encode_waku(&status, out, sizeof(out));
	crowd_send(member, CODE_STATUS, out, len);
}

static unsigned on_opened(void *ctx, struct link *link)
{
	struct crowd_member *member = ctx;

	if (!link_has_cap(link, CAP_WAKU))
		return P2P_USELESS;
	member->link = link;
	send_status(member);
	return 0;
}

static void on_status(struct crowd_member *member)
{
	struct crowd *crowd = member->crowd;

	if (member->is_ready)
		return;
	member->is_ready = true;
	crowd->ready++;
	dial_more(crowd);
	if (crowd->ready == crowd->config->connections) {
		crowd->is_begun = true;
		crowd->use->begin(crowd->ctx, crowd);
	}
}

static void on_message(void *ctx, struct link *link, enum cap cap,
		       unsigned code, struct packet *payload)
{
	struct crowd_member *member = ctx;
	struct crowd *crowd = member->crowd;

	(void)link;
	(void)cap;
	if (crowd->is_ending)
		return;
	if (code == CODE_STATUS)
		on_status(member);
	else if (crowd->is_begun)
		crowd->use->message(crowd->ctx, member, code, payload);
}

static void on_drained(void *ctx, struct link *link)
{
	struct crowd_member *member = ctx;
	struct crowd *crowd = member->crowd;

	(void)link;
	if (crowd->is_begun && !crowd->is_ending && crowd->use->drained)
		crowd->use->drained(crowd->ctx, member);
}

static void on_closed(void *ctx, struct link *link, const struct link_end *end)
{
	struct crowd_member *member = ctx;
	struct crowd *crowd = member->crowd;
	char why[CROWD_WHY_MAX];

	(void)link;
	member->link = NULL;
	if (crowd->is_ending) {
		if (all_closed(crowd))
			ring_stop(crowd->ring);
		return;
	}
	(void)snprintf(why, sizeof(why), "connection %u of %u was lost: %s",
		       member->index + 1, crowd->config->connections,
		       end->has_reason ? p2p_reason_str(end->reason)
				       : err_str(end->err));
	crowd_fail(crowd, why);
}

static const struct link_handler link_handler = {
	.opened = on_opened,
	.message = on_message,
	.drained = on_drained,
	.closed = on_closed,
};

/* ---- the ring ---- */

static void on_round_end(void *ctx)
{
	struct crowd *crowd = ctx;

	if (crowd->is_begun && !crowd->is_ending && crowd->use->round)
		crowd->use->round(crowd->ctx, crowd);
	/* MACs of all together, so that one load does for many machines. */
	link_sets_round_end(crowd->sets, crowd->dialled);
}

static void on_tick(void *ctx, uint64_t now_ms)
{
	struct crowd *crowd = ctx;

	for (unsigned i = 0; i < crowd->dialled; i++)
		link_set_tick(crowd->members[i].set, now_ms);
	if (crowd->is_begun && !crowd->is_ending && crowd->use->tick)
		crowd->use->tick(crowd->ctx, crowd);
	if (crowd->is_ending &&
	    (all_closed(crowd) || clock_mono_ms() >= crowd->end_ms))
		ring_stop(crowd->ring);
}

static void on_woken(void *ctx)
{
	struct crowd *crowd = ctx;

	if (crowd->is_begun && !crowd->is_ending && crowd->use->woken)
		crowd->use->woken(crowd->ctx, crowd);
}

static void member_init(struct crowd *crowd, unsigned index)
{
	struct crowd_member *member = &crowd->members[index];
	struct link_config config;

	member->crowd = crowd;
	member->index = index;
	secp_key_new(&member->key);
	link_config_default(&config);
	config.key = &member->key;
	config.client = "restante-bench";
	config.caps[CAP_WAKU] = true;
	config.links_max = 1;
	config.handshakes_max = 1;
	config.packet_max = PACKET_MAX;
	config.queue_bytes_max = QUEUE_MAX;
	config.queue_low = QUEUE_LOW;
	config.handshake_ms = config.hello_ms = config.idle_ms = 60000;
	if (link_set_new(crowd->ring, &config, &link_handler, member,
			 &member->set))
		bench_fail("no memory for connection %u", index + 1);
	crowd->sets[index] = member->set;
}

static void release(struct crowd *crowd)
{
	/* A link that would not close keeps its memory. */
	if (all_closed(crowd)) {
		for (unsigned i = 0; i < crowd->config->connections; i++)
			link_set_free(crowd->members[i].set);
		ring_free(crowd->ring);
	}
	free(crowd->members);
	free(crowd->sets);
	crowd->members = NULL;
	crowd->sets = NULL;
}

void crowd_run(struct crowd *crowd, const struct crowd_config *config,
	       const struct crowd_use *use, void *ctx)
{
	const struct ring_handler ring_handler = {
		.round_end = on_round_end, .woken = on_woken, .tick = on_tick};
	const struct ring_config ring_config = {
		.engine = config->engine,
		.socks_max = config->connections + 1,
		.tick_ms = config->tick_ms ? config->tick_ms : TICK_MS};

	*crowd = (struct crowd){.config = config, .use = use, .ctx = ctx};
	crowd->members = calloc(config->connections, sizeof(*crowd->members));
	crowd->sets = calloc(config->connections, sizeof(*crowd->sets));
	if (!crowd->members || !crowd->sets ||
	    ring_new(&ring_config, &ring_handler, crowd, &crowd->ring))
		bench_fail("no ring for %u connections", config->connections);
	for (unsigned i = 0; i < config->connections; i++)
		member_init(crowd, i);
	dial_more(crowd);
	if (ring_run(crowd->ring))
		bench_fail("the ring of the load failed");
	if (crowd->err)
		bench_fail("load: %s", crowd->why);
	release(crowd);
}
