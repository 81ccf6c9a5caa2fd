#include "net/discovery_impl.h"

#include <string.h>

#include "core/log.h"
#include "net/disc_addr.h"

#define ROUND_MS   1000u /* for answers, and for whom they name to answer */
#define ROUNDS_MAX 16u
#define ALONE_MS   30000u /* until boot nodes are tried again */
/* Readers pass over nodes at these UDP ports, so do we (§3). */
#define PORT_PRIVILEGED 1024
#define NODES_MAX       16u /* that one answer may name */

/* ---- boot nodes ---- */

static bool read_boot_node(const struct enode *enode, struct disc4_node *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->public, enode->public, SECP_PUBLIC_SIZE);
	out->endpoint.udp = enode->udp;
	out->endpoint.tcp = enode->tcp;
	return disc_addr_decode(enode->host, out->endpoint.ip);
}

static void ping_boot_nodes(struct discovery *d)
{
	struct disc4_node node;

	for (unsigned i = 0; i < d->config.nodes_count; i++)
		if (read_boot_node(&d->config.nodes[i], &node) &&
		    !disc_table_find(&d->table, node.public))
			discovery_ping(d, &node);
}

/* ---- a walk: boot nodes, then rounds of three, then a rest ---- */

static void begin(struct discovery *d);

static void say_if_alone(struct discovery *d)
{
	bool is_alone = d->table.count == 0 && d->config.nodes_count > 0;

	if (is_alone && !d->walk.is_alone)
		LOG_UNUSUAL("no boot node answers: discovery knows nobody",
			    log_u64("boot_nodes", d->config.nodes_count));
	d->walk.is_alone = is_alone;
}

static void rest(struct discovery *d)
{
	unsigned ms = d->config.walk_ms;

	if (d->table.count == 0 && ms > ALONE_MS)
		ms = ALONE_MS;
	say_if_alone(d);
	LOG_DEBUG("looked around", log_u64("nodes", d->table.count),
		  log_u64("rounds", d->walk.rounds));
	d->walk.step = begin;
	d->walk.due_ms = d->now_ms + ms;
}

/* Those who were asked and said nothing. */
static void end_round(struct discovery *d)
{
	for (unsigned i = 0; i < DISCOVERY_ASKS; i++) {
		struct discovery_ask *ask = &d->walk.asks[i];
		struct disc_entry *entry = NULL;

		if (ask->left > 0 && !ask->is_answered)
			entry = disc_table_find(&d->table, ask->node.public);
		if (entry)
			(void)disc_table_failed(&d->table, entry);
		memset(ask, 0, sizeof(*ask));
	}
}

static void ask(struct discovery *d, struct discovery_ask *ask,
		struct disc_entry *entry)
{
	struct disc4_packet packet = {.type = DISC4_FINDNODE};

	entry->walk = d->walk.number;
	ask->node = entry->node;
	ask->left = NODES_MAX;
	memcpy(packet.body.find.target, d->config.key->public,
	       SECP_PUBLIC_SIZE);
	discovery_send(d, &packet, &ask->node.endpoint, NULL);
}

/* The closest that were not asked yet; the table grows by their answers. */
static void next_round(struct discovery *d)
{
	struct disc_entry *closest[DISC_TABLE_CLOSEST];
	unsigned count = 0, asked = 0;

	end_round(d);
	if (d->walk.rounds++ < ROUNDS_MAX)
		count = disc_table_closest(&d->table, d->table.self, closest);
	for (unsigned i = 0; i < count && asked < DISCOVERY_ASKS; i++)
		if (closest[i]->walk != d->walk.number)
			ask(d, &d->walk.asks[asked++], closest[i]);
	if (asked == 0)
		rest(d);
	else
		d->walk.due_ms = d->now_ms + ROUND_MS;
}

static void begin(struct discovery *d)
{
	ping_boot_nodes(d);
	d->walk.number++;
	d->walk.rounds = 0;
	d->walk.step = next_round;
	d->walk.due_ms = d->now_ms + ROUND_MS;
}

void discovery_walk_start(struct discovery *d)
{
	d->walk.step = begin;
	d->walk.due_ms = d->now_ms;
}

void discovery_walk_tick(struct discovery *d)
{
	if (d->now_ms >= d->walk.due_ms)
		d->walk.step(d);
}

/* ---- answers ---- */

static bool is_asked(const struct discovery_ask *ask,
		     const struct disc4_endpoint *endpoint)
{
	return ask->left > 0 && ask->node.endpoint.udp == endpoint->udp &&
	       memcmp(ask->node.endpoint.ip, endpoint->ip, DISC_ADDR_SIZE) == 0;
}

bool discovery_walk_has_asked(const struct discovery *d,
			      const struct disc4_endpoint *endpoint)
{
	for (unsigned i = 0; i < DISCOVERY_ASKS; i++)
		if (is_asked(&d->walk.asks[i], endpoint))
			return true;
	return false;
}

static void meet(struct discovery *d, const struct disc4_node *from,
		 const struct disc4_node *node)
{
	if (discovery_is_reachable(d, node) &&
	    node->endpoint.udp > PORT_PRIVILEGED &&
	    disc_addr_may_relay(from->endpoint.ip, node->endpoint.ip) &&
	    secp_public_is_valid(node->public) &&
	    !disc_table_find(&d->table, node->public))
		discovery_ping(d, node);
}

bool discovery_walk_found(struct discovery *d, const struct disc4_node *from,
			  const struct disc4_node *nodes, unsigned count)
{
	for (unsigned i = 0; i < DISCOVERY_ASKS; i++) {
		struct discovery_ask *ask = &d->walk.asks[i];

		if (!is_asked(ask, &from->endpoint) ||
		    memcmp(ask->node.public, from->public, SECP_PUBLIC_SIZE) !=
			    0)
			continue;
		if (count > ask->left)
			count = ask->left;
		ask->is_answered = true;
		for (unsigned j = 0; j < count; j++)
			meet(d, from, &nodes[j]);
		ask->left -= count;
		return true;
	}
	return false;
}
