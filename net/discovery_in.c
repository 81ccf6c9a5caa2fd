#include "net/discovery_impl.h"

#include <string.h>

#include "core/clock.h"
#include "core/enode.h"
#include "core/err.h"
#include "core/log.h"
#include "net/disc_addr.h"

/*
 * Datagrams of one address, and recoveries for all. Behind a recovery come two
 * signatures at most: with these bounds no flood takes more than a small part
 * of a core, and one of strangers leaves room for those who are known.
 */
#define SOURCE_PER_S    20u
#define SOURCE_BURST    60u
#define STRANGERS_PER_S 300u
#define STRANGERS_BURST 600u
#define KNOWN_PER_S     300u
#define KNOWN_BURST     600u

/* A packet on its way in. */
struct coming {
	const uint8_t *in;
	size_t len;
	uint64_t source;
	struct disc4_node from; /* with the sender's key once that is known */
	struct disc4_packet packet;
};

static void drop(struct discovery *d, enum discovery_drop why)
{
	metric_add(d->dropped[why], 1);
}

/* ---- what the packets ask for ---- */

/* It lives. Where its bucket is full the one that was silent for longest is
 * asked, and may make room until this one comes again. */
static void note_life(struct discovery *d, const struct disc4_node *node)
{
	bool is_new = !disc_table_find(&d->table, node->public);
	struct disc_entry *entry;
	int err;

	if (!discovery_is_reachable(d, node))
		return;
	err = disc_table_seen(&d->table, node, d->now_ms);
	if (!err && is_new)
		LOG_DEBUG("node found",
			  log_hex("node", node->public, SECP_PUBLIC_SIZE),
			  log_u64("nodes", d->table.count));
	if (err != ERR_FULL)
		return;
	entry = disc_table_stalest_near(&d->table, node->public);
	if (entry && d->now_ms - entry->seen_ms >= d->config.check_ms)
		discovery_ping(d, &entry->node);
}

static void on_ping(struct discovery *d, struct coming *c)
{
	struct disc4_packet answer = {.type = DISC4_PONG};

	c->from.endpoint.tcp = c->packet.body.ping.from.tcp;
	answer.body.ping.to = c->from.endpoint;
	memcpy(answer.body.ping.hash, c->in, DISC4_HASH_SIZE);
	answer.body.ping.has_enr_seq = true;
	answer.body.ping.enr_seq = d->record_seq;
	discovery_send(d, &answer, &c->from.endpoint, NULL);
	if (disc_bonds_has(&d->bonds, c->source, &c->from, d->now_ms))
		note_life(d, &c->from);
	else
		discovery_ping(d, &c->from);
}

static void on_pong(struct discovery *d, struct coming *c)
{
	struct disc_ping *ping = disc_pings_find(
		&d->bonds, c->packet.body.ping.hash, &c->from.endpoint);

	if (!ping ||
	    memcmp(ping->node.public, c->from.public, SECP_PUBLIC_SIZE) != 0) {
		drop(d, DROP_UNSOLICITED);
		return;
	}
	c->from = ping->node;
	ping->source = 0;
	disc_bonds_put(&d->bonds, c->source, &c->from, d->now_ms);
	note_life(d, &c->from);
}

static void send_nodes(struct discovery *d, struct disc4_packet *answer,
		       const struct disc4_endpoint *to)
{
	discovery_send(d, answer, to, NULL);
	answer->body.neighbors.count = 0;
}

static void on_findnode(struct discovery *d, struct coming *c)
{
	struct disc_entry *closest[DISC_TABLE_CLOSEST];
	struct disc4_packet answer = {.type = DISC4_NEIGHBORS};
	unsigned count, said = 0;
	uint8_t id[32];

	if (!disc_bonds_has(&d->bonds, c->source, &c->from, d->now_ms)) {
		drop(d, DROP_UNPROVEN);
		return;
	}
	enode_id(c->packet.body.find.target, id);
	count = disc_table_closest(&d->table, id, closest);
	for (unsigned i = 0; i < count; i++) {
		const struct disc4_node *node = &closest[i]->node;

		if (!disc_addr_may_relay(c->from.endpoint.ip,
					 node->endpoint.ip))
			continue;
		answer.body.neighbors.nodes[answer.body.neighbors.count++] =
			*node;
		said++;
		if (answer.body.neighbors.count == DISC4_NODES_MAX)
			send_nodes(d, &answer, &c->from.endpoint);
	}
	if (answer.body.neighbors.count > 0 || said == 0)
		send_nodes(d, &answer, &c->from.endpoint);
}

static void on_neighbors(struct discovery *d, struct coming *c)
{
	if (!discovery_walk_found(d, &c->from, c->packet.body.neighbors.nodes,
				  c->packet.body.neighbors.count))
		drop(d, DROP_UNSOLICITED);
}

static void on_enr_request(struct discovery *d, struct coming *c)
{
	struct disc4_packet answer = {.type = DISC4_ENR_RESPONSE};

	if (!disc_bonds_has(&d->bonds, c->source, &c->from, d->now_ms)) {
		drop(d, DROP_UNPROVEN);
		return;
	}
	memcpy(answer.body.enr.hash, c->in, DISC4_HASH_SIZE);
	answer.body.enr.record = d->record;
	answer.body.enr.record_len = d->record_len;
	discovery_send(d, &answer, &c->from.endpoint, NULL);
}

static void take(struct discovery *d, struct coming *c)
{
	metric_add(d->received[c->packet.type], 1);
	switch (c->packet.type) {
	case DISC4_PING:
		on_ping(d, c);
		break;
	case DISC4_PONG:
		on_pong(d, c);
		break;
	case DISC4_FINDNODE:
		on_findnode(d, c);
		break;
	case DISC4_NEIGHBORS:
		on_neighbors(d, c);
		break;
	case DISC4_ENR_REQUEST:
		on_enr_request(d, c);
		break;
	case DISC4_ENR_RESPONSE: /* is not of use */
		break;
	}
}

/* ---- what is let in ---- */

/* What is seen as of no use without its signature. */
static bool is_of_use(struct discovery *d, const struct coming *c,
		      bool is_known)
{
	bool is_answer = true, is_of_use = false;

	switch (c->packet.type) {
	case DISC4_PING:
		return true;
	case DISC4_FINDNODE:
	case DISC4_ENR_REQUEST:
		is_answer = false;
		is_of_use = is_known;
		break;
	case DISC4_PONG:
		is_of_use = disc_pings_find(&d->bonds, c->packet.body.ping.hash,
					    &c->from.endpoint);
		break;
	case DISC4_NEIGHBORS:
		is_of_use = discovery_walk_has_asked(d, &c->from.endpoint);
		break;
	case DISC4_ENR_RESPONSE: /* is never asked for */
		break;
	}
	if (!is_of_use)
		drop(d, is_answer ? DROP_UNSOLICITED : DROP_UNPROVEN);
	return is_of_use;
}

/* Who it is from: the first thing that costs more than a hash. */
static bool recover(struct discovery *d, struct coming *c, bool is_known)
{
	bool has_token = is_known ? bucket_take(&d->known, KNOWN_PER_S,
						KNOWN_BURST, 1, d->now_ms)
				  : bucket_take(&d->strangers, STRANGERS_PER_S,
						STRANGERS_BURST, 1, d->now_ms);

	if (!has_token) {
		drop(d, DROP_RATE);
		return false;
	}
	if (disc4_sender(c->in, c->len, c->from.public)) {
		drop(d, DROP_SIGNATURE);
		return false;
	}
	return memcmp(c->from.public, d->config.key->public,
		      SECP_PUBLIC_SIZE) != 0;
}

static bool decode(struct discovery *d, struct coming *c)
{
	int err = disc4_decode(c->in, c->len, &c->packet);

	if (err == ERR_UNSUPPORTED)
		return false;
	if (err) {
		drop(d, err == ERR_AUTH ? DROP_HASH : DROP_MALFORMED);
		return false;
	}
	if (c->packet.type != DISC4_ENR_RESPONSE &&
	    c->packet.expiration_s < clock_wall_s()) {
		drop(d, DROP_EXPIRED);
		return false;
	}
	return true;
}

void discovery_receive(struct discovery *d, const uint8_t *in, size_t len,
		       const struct sockaddr *from)
{
	struct coming c = {.in = in, .len = len};
	struct limits_entry *entry;
	bool is_known;

	disc_addr_from_socket(from, &c.from.endpoint);
	c.source = discovery_source(d, &c.from.endpoint);
	entry = limits_get(d->limits, c.source, d->now_ms);
	if (!bucket_take(&entry->requests, SOURCE_PER_S, SOURCE_BURST, 1,
			 d->now_ms)) {
		drop(d, DROP_RATE);
		return;
	}
	if (!decode(d, &c))
		return;
	is_known = disc_bonds_has_address(&d->bonds, c.source, &c.from.endpoint,
					  d->now_ms);
	if (!is_of_use(d, &c, is_known))
		return;
	/* No stranger knows the hash that a Pong names. */
	if (recover(d, &c, is_known || c.packet.type == DISC4_PONG))
		take(d, &c);
}
