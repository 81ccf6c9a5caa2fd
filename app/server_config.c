#include "app/server_config.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/store.h"
#include "app/version.h"
#include "core/err.h"
#include "net/address.h"
#include "net/bundle.h"
#include "net/disc_addr.h"

#define RETAINED_GROUPS    16u
#define RETAINED_GROUP_MIN (1u << 20)

/* ---- addresses ---- */

static void read_listen(struct settings *s, struct server_config *out)
{
	out->listen = settings_text(s, "net.listen");
	if (address_decode(out->listen, &out->node.listen,
			   &out->node.listen_len))
		settings_refuse(s, "net.listen",
				"is no address; wanted: ADDR:PORT in digits, "
				"as in 0.0.0.0:30303 or [::]:30303");
}

/* What the enode URL names: told, or listened on, or this machine. */
static void read_advertise(struct settings *s, struct server_config *out)
{
	const char *told = settings_text(s, "net.advertise");
	const struct sockaddr *addr =
		(const struct sockaddr *)&out->node.listen;
	bool is_any;

	if (*told || out->node.listen_len == 0) {
		(void)snprintf(out->advertise, sizeof(out->advertise), "%s",
			       told);
		return;
	}
	(void)getnameinfo(addr, out->node.listen_len, out->advertise,
			  sizeof(out->advertise), NULL, 0, NI_NUMERICHOST);
	is_any = strcmp(out->advertise, "0.0.0.0") == 0 ||
		 strcmp(out->advertise, "::") == 0;
	out->is_advertise_made_up = is_any;
	if (is_any)
		(void)snprintf(out->advertise, sizeof(out->advertise), "%s",
			       addr->sa_family == AF_INET6 ? "::1"
							   : "127.0.0.1");
}

/* ---- lists of enode URLs ---- */

static bool read_enode(struct settings *s, const char *list, size_t index,
		       bool needs_host, struct enode *out)
{
	char path[SETTINGS_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s[%zu]", list, index);
	if (enode_decode(settings_text(s, "%s", path), out) == 0 &&
	    (!needs_host || (out->host[0] && out->tcp)))
		return true;
	settings_refuse(s, path,
			"is no enode URL; wanted: enode://KEY@HOST:PORT");
	return false;
}

static bool is_listed(const struct enode *peers, size_t count,
		      const struct enode *peer)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(peers[i].public, peer->public, SECP_PUBLIC_SIZE) ==
		    0)
			return true;
	return false;
}

/* Those of both lists are dialled, each once. */
static void read_static_peers(struct settings *s, struct server_config *out)
{
	size_t count = settings_count(s, "net.peers");
	size_t from = settings_count(s, "mail.sync_from");

	out->static_peers =
		calloc(count + from + 1, sizeof(*out->static_peers));
	out->sync_from = calloc(from + 1, sizeof(*out->sync_from));
	if (!out->static_peers || !out->sync_from)
		abort();
	for (size_t i = 0; i < count; i++)
		(void)read_enode(s, "net.peers", i, true,
				 &out->static_peers[i]);
	for (size_t i = 0; i < from; i++) {
		struct enode peer = {0};

		if (!read_enode(s, "mail.sync_from", i, true, &peer))
			continue;
		memcpy(out->sync_from[i], peer.public, SECP_PUBLIC_SIZE);
		if (!is_listed(out->static_peers, count, &peer))
			out->static_peers[count++] = peer;
	}
	out->node.static_peers = out->static_peers;
	out->node.static_peers_count = (unsigned)count;
	out->node.sync_from =
		(const uint8_t(*)[SECP_PUBLIC_SIZE])out->sync_from;
	out->node.sync_from_count = (unsigned)from;
	out->node.sync_every_s = (unsigned)settings_s(s, "mail.sync_every");
	out->node.sync_back_s = (uint32_t)settings_s(s, "storage.retention");
}

static void read_sync_peers(struct settings *s, struct server_config *out)
{
	size_t count = settings_count(s, "mail.sync_peers");

	out->sync_peers = calloc(count + 1, sizeof(*out->sync_peers));
	if (!out->sync_peers)
		abort();
	for (size_t i = 0; i < count; i++) {
		struct enode peer;

		if (read_enode(s, "mail.sync_peers", i, false, &peer))
			memcpy(out->sync_peers[i], peer.public,
			       SECP_PUBLIC_SIZE);
	}
	out->node.sync_peers =
		(const uint8_t(*)[SECP_PUBLIC_SIZE])out->sync_peers;
	out->node.sync_peers_count = (unsigned)count;
}

/* Their hosts are not looked up: the thread of discovery must not wait. */
static void read_discovery(struct settings *s, struct server_config *out)
{
	size_t count = settings_count(s, "discovery.nodes");
	uint8_t ip[DISC_ADDR_SIZE];

	out->has_discovery = settings_bool(s, "discovery.enabled");
	out->discovery_port = (uint16_t)settings_u64(s, "discovery.port");
	out->discovery_nodes = calloc(count + 1, sizeof(struct enode));
	if (!out->discovery_nodes)
		abort();
	for (size_t i = 0; i < count; i++) {
		struct enode *node =
			&out->discovery_nodes[out->discovery_nodes_count];
		char path[SETTINGS_PATH_MAX];

		if (!read_enode(s, "discovery.nodes", i, false, node))
			continue;
		(void)snprintf(path, sizeof(path), "discovery.nodes[%zu]", i);
		if (disc_addr_decode(node->host, ip) && node->udp)
			out->discovery_nodes_count++;
		else
			settings_refuse(s, path,
					"names no address; wanted: "
					"enode://KEY@ADDR:PORT with ADDR in "
					"digits");
	}
}

/* ---- the parts ---- */

/* Too little to be kept by removing whole slices is better said at once. */
static void check_bytes(struct settings *s, const struct archive_config *c)
{
	uint64_t group = c->group_bytes_max < RETAINED_GROUP_MIN
				 ? RETAINED_GROUP_MIN
				 : c->group_bytes_max;

	if (c->retention_bytes > 0 &&
	    c->retention_bytes / c->shards / RETAINED_GROUPS < group)
		settings_refuse(s, "storage.retention_bytes",
				"is too little: sixteen commits "
				"(storage.group_bytes, at least 1M each) of "
				"every shard must fit into it");
}

static void read_archive(struct settings *s, struct server_config *out)
{
	struct archive_config *archive = &out->archive;

	archive_config_default(archive);
	archive->shards = (unsigned)settings_u64(s, "storage.shards");
	archive->slice_span_s = (uint32_t)settings_s(s, "storage.slice_span");
	archive->retention_s = (uint32_t)settings_s(s, "storage.retention");
	archive->retention_bytes = settings_u64(s, "storage.retention_bytes");
	archive->group_bytes_max = settings_u64(s, "storage.group_bytes");
	archive->group_wait_us =
		(unsigned)settings_ms(s, "storage.group_wait") * 1000;
	archive->queue_bytes_max = settings_u64(s, "storage.queue_bytes");
	archive->map_bytes = settings_u64(s, "storage.map_bytes");
	archive->readers = (unsigned)settings_u64(s, "storage.readers");
	archive->reads_max = (unsigned)settings_u64(s, "storage.reads_max");
	if (store_path(out->datadir, out->archive_dir))
		settings_refuse(s, "datadir", "is too long a path");
	archive->dir = out->archive_dir;
	check_bytes(s, archive);
}

/*
 * One a core, but for one core that is the writers' and readers'. More rings
 * than that cost: fewer links meet in a round, and so in the lanes of its
 * hashes (docs/architecture.md).
 */
static unsigned rings_of_machine(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) - 1;

	return n < 1 ? 1 : n > 256 ? 256 : (unsigned)n;
}

/*
 * A ring's part of a limit. The kernel shares connections out over the rings
 * by chance, so each gets a little more than its share.
 */
static unsigned share(const struct settings *s, const char *name,
		      unsigned rings)
{
	unsigned all = (unsigned)settings_u64(s, "%s", name);
	unsigned part = (all + rings - 1) / rings;

	part += part / 8 + 4;
	return part < all ? part : all;
}

static void read_link(struct settings *s, struct server_config *out)
{
	struct link_config *link = &out->node.link;
	const char *client_id = settings_text(s, "net.client_id");
	unsigned rings = out->node.rings;

	(void)snprintf(out->client_id, sizeof(out->client_id), "%s",
		       *client_id ? client_id
				  : "Restante/v" VERSION_TEXT "/linux/c");
	link->client = out->client_id;
	link->links_max = share(s, "net.sessions_max", rings);
	out->node.sessions_max = (unsigned)settings_u64(s, "net.sessions_max");
	link->per_ip_max = (unsigned)settings_u64(s, "net.per_ip_max");
	link->per_net_max = (unsigned)settings_u64(s, "net.per_net_max");
	link->handshakes_max = (unsigned)settings_u64(s, "net.handshakes_max");
	link->handshake_ms = (unsigned)settings_ms(s, "net.handshake_timeout");
	link->hello_ms = link->handshake_ms;
	link->idle_ms = (unsigned)settings_ms(s, "net.idle_timeout");
	link->packet_max = settings_u64(s, "net.packet_max");
	link->queue_bytes_max = settings_u64(s, "net.queue_bytes_max");
	if (link->queue_low >= link->queue_bytes_max)
		link->queue_low = link->queue_bytes_max / 4;
}

static struct node_rate rate(uint64_t per_s, uint64_t burst)
{
	return (struct node_rate){
		.per_s = per_s > UINT32_MAX ? UINT32_MAX : (uint32_t)per_s,
		.burst = burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst};
}

static void read_rates(struct settings *s, struct server_config *out)
{
	struct node_config *node = &out->node;
	uint64_t handshakes = settings_u64(s, "net.handshake_rate");
	uint64_t envelopes = settings_u64(s, "net.envelope_rate");
	uint64_t bytes = settings_u64(s, "net.byte_rate");
	uint64_t requests = settings_u64(s, "mail.request_rate");
	uint64_t burst = settings_u64(s, "mail.request_burst");

	node->handshakes_ip = rate(handshakes, handshakes * 2);
	node->envelopes_peer = rate(envelopes, envelopes * 2);
	node->envelopes_ip = rate(envelopes * 4, envelopes * 8);
	node->bytes_peer = rate(bytes, bytes * 2);
	node->bytes_ip = rate(bytes * 4, bytes * 8);
	node->requests_peer = rate(requests, burst);
	/* Behind one address there may be a household, or a test. */
	node->requests_ip = rate(requests * 8, burst * 8);
	node->packets_told.ip = settings_u64(s, "mail.announce_rate_ip");
	node->packets_told.peer = settings_u64(s, "mail.announce_rate_peer");
}

static void read_node(struct settings *s, struct server_config *out)
{
	struct node_config *node = &out->node;

	node_config_default(node);
	node->engine = (enum ring_engine)settings_word(s, "net.io");
	node->rings = (unsigned)settings_u64(s, "net.rings");
	if (node->rings == 0)
		node->rings = rings_of_machine();
	node->pow_min = settings_real(s, "mail.pow_min");
	node->envelope_max = (uint32_t)settings_u64(s, "mail.envelope_max");
	node->pool_bytes_max = settings_u64(s, "mail.pool_bytes") / node->rings;
	node->require_signer = settings_bool(s, "mail.require_signer");
	node->requests_max = (unsigned)settings_u64(s, "mail.requests_max");
	node->page_bytes = settings_u64(s, "mail.page_bytes");
	/* A packet is a mebibyte at most, with its header. */
	if (node->page_bytes > BUNDLE_ROOM_MAX)
		node->page_bytes = BUNDLE_ROOM_MAX;
	node->dial_min_ms = (unsigned)settings_ms(s, "net.redial_min");
	node->dial_max_ms = (unsigned)settings_ms(s, "net.redial_max");
	node->is_mail_server = true;
	if (node->dial_max_ms < node->dial_min_ms)
		settings_refuse(s, "net.redial_max",
				"is shorter than net.redial_min");
	read_listen(s, out);
	read_advertise(s, out);
	read_link(s, out);
	read_rates(s, out);
	read_static_peers(s, out);
	read_sync_peers(s, out);
	read_discovery(s, out);
}

static void read_proxy(struct settings *s, size_t i, struct server_config *out)
{
	char path[SETTINGS_PATH_MAX];
	const char *text;

	(void)snprintf(path, sizeof(path), "http.trusted_proxies[%zu]", i);
	text = settings_text(s, "%s", path);
	if (strcmp(text, "unix") == 0) {
		out->is_unix_trusted = true;
		return;
	}
	switch (ip_range_decode(text, &out->trusted[out->trusted_count])) {
	case 0:
		out->trusted_count++;
		break;
	case ERR_RANGE:
		settings_refuse(s, path,
				"has a prefix that is none: 1 to 32 bits, or "
				"1 to 128 of IPv6; nobody may be trusted by 0");
		break;
	default:
		settings_refuse(s, path,
				"is no address or network; wanted: 192.0.2.7, "
				"10.0.0.0/8, 2001:db8::/32 or unix");
	}
}

static void read_proxies(struct settings *s, struct server_config *out)
{
	size_t count = settings_count(s, "http.trusted_proxies");

	if (count > FORWARDED_RANGES_MAX) {
		settings_refuse(s, "http.trusted_proxies",
				"at most 64 are wanted");
		return;
	}
	for (size_t i = 0; i < count; i++)
		read_proxy(s, i, out);
}

/* Empty: there is none. */
static const char *read_http_listen(struct settings *s, const char *name)
{
	const char *text = settings_text(s, "%s", name);
	struct sockaddr_storage addr;
	socklen_t len;

	if (*text && !(strncmp(text, "unix:", 5) == 0 && text[5]) &&
	    address_decode(text, &addr, &len))
		settings_refuse(s, name,
				"is no address; wanted: ADDR:PORT in digits, "
				"as in 127.0.0.1:8550, unix:PATH, or nothing");
	return text;
}

static void read_http(struct settings *s, struct server_config *out)
{
	size_t count = settings_count(s, "http.hosts");
	size_t at = 0;

	out->http_public = read_http_listen(s, "http.public");
	out->http_private = read_http_listen(s, "http.private");
	out->http_connections =
		(unsigned)settings_u64(s, "http.connections_max");
	for (size_t i = 0; i < count && at < sizeof(out->http_hosts); i++)
		at += (size_t)snprintf(out->http_hosts + at,
				       sizeof(out->http_hosts) - at, "%s%s",
				       i ? "," : "",
				       settings_text(s, "http.hosts[%zu]", i));
	if (at >= sizeof(out->http_hosts))
		settings_refuse(s, "http.hosts", "is too long a list");
	read_proxies(s, out);
}

static void read_admin(struct settings *s, struct server_config *out)
{
	const char *token = settings_text(s, "http.token_file");

	(void)snprintf(out->admin_socket, sizeof(out->admin_socket),
		       "unix:%s/admin.sock", out->datadir);
	(void)snprintf(out->admin_token, sizeof(out->admin_token), "%s%s",
		       *token ? token : out->datadir,
		       *token ? "" : "/admin-token");
}

void server_config_read(struct settings *s, struct server_config *out)
{
	const char *nodekey = settings_text(s, "nodekey");

	memset(out, 0, sizeof(*out));
	out->datadir = settings_text(s, "datadir");
	out->password = settings_text(s, "mail.password");
	if (*nodekey)
		(void)snprintf(out->nodekey, sizeof(out->nodekey), "%s",
			       nodekey);
	else
		(void)snprintf(out->nodekey, sizeof(out->nodekey), "%s/nodekey",
			       out->datadir);
	read_archive(s, out);
	read_node(s, out);
	read_http(s, out);
	read_admin(s, out);
	pay_config_read(s, out->datadir, &out->pay);
}

void server_config_release(struct server_config *config)
{
	pay_config_release(&config->pay);
	free(config->static_peers);
	free(config->discovery_nodes);
	free(config->sync_peers);
	free(config->sync_from);
	memset(config, 0, sizeof(*config));
}
