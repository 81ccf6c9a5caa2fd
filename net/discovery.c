#include "net/discovery.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "net/disc_addr.h"
#include "net/discovery_impl.h"
#include "net/enr_mark.h"

#define EXPIRE_S  20 /* senders use now + 20 (§3) */
#define TICK_MS   100
#define READS_MAX 64 /* datagrams, then the rest has its turn */

void discovery_config_default(struct discovery_config *config)
{
	memset(config, 0, sizeof(*config));
	config->walk_ms = 30 * 60 * 1000;
	config->check_ms = 10 * 1000;
}

/* ---- what the other files use ---- */

uint64_t discovery_source(const struct discovery *d,
			  const struct disc4_endpoint *endpoint)
{
	struct sockaddr_storage addr;

	(void)disc_addr_to_socket(endpoint, &addr);
	return limits_address_key(d->limits, (const struct sockaddr *)&addr);
}

void discovery_send(struct discovery *d, struct disc4_packet *packet,
		    const struct disc4_endpoint *to,
		    uint8_t hash[DISC4_HASH_SIZE])
{
	uint8_t out[DISC4_SIZE_MAX];
	struct sockaddr_storage addr;
	socklen_t addr_len = disc_addr_to_socket(to, &addr);
	size_t len;

	packet->expiration_s = (uint64_t)clock_wall_s() + EXPIRE_S;
	len = disc4_encode(packet, d->config.key, out);
	if (hash)
		memcpy(hash, out, DISC4_HASH_SIZE);
	if (sendto(d->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&addr, addr_len) == (ssize_t)len)
		metric_add(d->sent[packet->type], 1);
}

void discovery_ping(struct discovery *d, const struct disc4_node *node)
{
	uint64_t source = discovery_source(d, &node->endpoint);
	struct disc4_packet packet = {.type = DISC4_PING};
	uint8_t hash[DISC4_HASH_SIZE];

	if (!disc_pings_has_room(&d->bonds, source, node))
		return;
	memcpy(packet.body.ping.from.ip, d->config.ip, sizeof(d->config.ip));
	packet.body.ping.from.udp = d->port;
	packet.body.ping.from.tcp = d->config.tcp_port;
	packet.body.ping.to = node->endpoint;
	packet.body.ping.to.tcp = 0;
	packet.body.ping.has_enr_seq = true;
	packet.body.ping.enr_seq = d->record_seq;
	discovery_send(d, &packet, &node->endpoint, hash);
	disc_pings_put(&d->bonds, source, node, hash, d->now_ms);
}

bool discovery_is_reachable(const struct discovery *d,
			    const struct disc4_node *node)
{
	bool is_v4 = d->config.listen.ss_family == AF_INET;

	return node->endpoint.udp != 0 &&
	       disc_addr_is_v4(node->endpoint.ip) == is_v4 &&
	       !disc_addr_is_special(node->endpoint.ip) &&
	       memcmp(node->public, d->config.key->public, SECP_PUBLIC_SIZE) !=
		       0;
}

/* ---- the thread ---- */

static void read_all(struct discovery *d)
{
	/* One byte more than is allowed tells what is too long. */
	uint8_t in[DISC4_SIZE_MAX + 1];

	for (unsigned i = 0; i < READS_MAX; i++) {
		struct sockaddr_storage from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(d->fd, in, sizeof(in), MSG_DONTWAIT,
				       (struct sockaddr *)&from, &from_len);

		if (len < 0)
			return;
		discovery_receive(d, in, (size_t)len,
				  (const struct sockaddr *)&from);
	}
}

/* Those who did not answer; a proof that is still good stays one. */
static void note_silence(struct discovery *d)
{
	struct disc_ping *ping;

	while ((ping = disc_pings_late(&d->bonds, d->now_ms))) {
		struct disc_entry *entry =
			disc_table_find(&d->table, ping->node.public);

		ping->source = 0;
		if (entry && memcmp(&entry->node.endpoint, &ping->node.endpoint,
				    sizeof(entry->node.endpoint)) == 0)
			(void)disc_table_failed(&d->table, entry);
	}
}

/* Whom we have not heard of for longest is asked. */
static void check_one(struct discovery *d)
{
	struct disc_entry *entry;

	if (d->now_ms < d->check_ms)
		return;
	d->check_ms = d->now_ms + d->config.check_ms;
	entry = disc_table_stalest(&d->table);
	if (entry)
		discovery_ping(d, &entry->node);
}

static void tick(struct discovery *d)
{
	note_silence(d);
	check_one(d);
	discovery_walk_tick(d);
	atomic_store(&d->nodes, d->table.count);
	metric_set(d->nodes_gauge, d->table.count);
}

static void *discovery_main(void *arg)
{
	struct discovery *d = arg;
	struct pollfd fds[] = {{.fd = d->fd, .events = POLLIN},
			       {.fd = d->wake_fd, .events = POLLIN}};
	uint64_t tick_ms = 0;

	(void)pthread_setname_np(pthread_self(), "discovery");
	while (!atomic_load(&d->is_stopping)) {
		(void)poll(fds, 2, TICK_MS);
		d->now_ms = clock_mono_ms();
		read_all(d);
		if (d->now_ms - tick_ms < TICK_MS)
			continue;
		tick_ms = d->now_ms;
		tick(d);
	}
	return NULL;
}

/* ---- start and stop ---- */

static void register_metrics(struct discovery *d)
{
	/* clang-format off */
	static const char *const types[DISC4_TYPES_END] = {
		NULL, "type=\"ping\"", "type=\"pong\"", "type=\"findnode\"",
		"type=\"neighbors\"", "type=\"enr_request\"",
		"type=\"enr_response\""};
	static const char *const reasons[DROP_COUNT] = {
		"reason=\"malformed\"", "reason=\"hash\"",
		"reason=\"signature\"", "reason=\"expired\"",
		"reason=\"rate\"", "reason=\"unproven\"",
		"reason=\"unsolicited\""};
	/* clang-format on */

	for (unsigned i = DISC4_PING; i < DISC4_TYPES_END; i++) {
		d->received[i] =
			metric_counter("discovery_packets_received_total",
				       types[i], "Discovery packets taken");
		d->sent[i] = metric_counter("discovery_packets_sent_total",
					    types[i], "Discovery packets sent");
	}
	for (unsigned i = 0; i < DROP_COUNT; i++)
		d->dropped[i] =
			metric_counter("discovery_packets_dropped_total",
				       reasons[i], "Discovery packets refused");
	d->nodes_gauge = metric_gauge("discovery_nodes", NULL,
				      "Nodes known to be alive");
}

static int open_socket(struct discovery *d)
{
	const struct sockaddr *addr =
		(const struct sockaddr *)&d->config.listen;
	struct sockaddr_in6 bound = {0};
	socklen_t len = sizeof(bound);
	int on = 1;

	d->fd = socket(addr->sa_family,
		       SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (d->fd < 0)
		return ERR_IO;
	if (addr->sa_family == AF_INET6)
		(void)setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	if (bind(d->fd, addr, d->config.listen_len) != 0) {
		if (errno == EADDRINUSE)
			return ERR_EXISTS;
		return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO;
	}
	/* The port lies at the same place in both families. */
	if (getsockname(d->fd, (struct sockaddr *)&bound, &len) != 0)
		return ERR_IO;
	d->port = ntohs(bound.sin6_port);
	return 0;
}

static int make_record(struct discovery *d)
{
	struct enr enr = {0};
	int err;

	if (disc_addr_is_v4(d->config.ip)) {
		enr.has_ip = true;
		memcpy(enr.ip, d->config.ip + 12, sizeof(enr.ip));
	} else if (!disc_addr_is_special(d->config.ip)) {
		enr.has_ip6 = true;
		memcpy(enr.ip6, d->config.ip, sizeof(enr.ip6));
	}
	if (d->config.listen.ss_family == AF_INET) {
		enr.tcp = d->config.tcp_port;
		enr.udp = d->port;
	} else {
		enr.tcp6 = d->config.tcp_port;
		enr.udp6 = d->port;
	}
	err = enr_mark_renew(d->config.archive, &enr, d->config.key, d->record,
			     &d->record_len, &d->record_seq);
	if (!err)
		(void)enr_text_encode(d->record, d->record_len, d->record_text);
	return err;
}

static int start(struct discovery *d, const char **what)
{
	int err;

	*what = "discovery cannot start";
	d->limits = limits_new();
	if (!d->limits)
		return ERR_NOMEM;
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->wake_fd < 0)
		return ERR_IO;
	err = open_socket(d);
	if (err)
		return err;
	*what = "the node record cannot be written to the archive's folder";
	err = make_record(d);
	if (err)
		return err;
	*what = "discovery cannot start";
	disc_table_init(&d->table, d->config.key->public);
	register_metrics(d);
	d->now_ms = clock_mono_ms();
	d->check_ms = d->now_ms + d->config.check_ms;
	discovery_walk_start(d);
	if (pthread_create(&d->thread, NULL, discovery_main, d))
		return ERR_IO;
	d->is_started = true;
	return 0;
}

/* One sentence for a person. */
static void say_why(const struct discovery_config *config, int err,
		    const char *what, char *why, size_t why_size)
{
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

	(void)getnameinfo((const struct sockaddr *)&config->listen,
			  config->listen_len, host, sizeof(host), port,
			  sizeof(port),
			  NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM);
	if (err == ERR_EXISTS)
		(void)snprintf(why, why_size,
			       "UDP port %s of %s is in use by another "
			       "program; end it, choose another port "
			       "(discovery.port), or do without "
			       "(discovery.enabled)",
			       port, host);
	else if (err == ERR_DENIED)
		(void)snprintf(why, why_size,
			       "UDP port %s of %s is not allowed; ports below "
			       "1024 need the capability CAP_NET_BIND_SERVICE, "
			       "or choose another one (discovery.port)",
			       port, host);
	else
		(void)snprintf(why, why_size, "%s: %s", what, err_str(err));
}

int discovery_start(const struct discovery_config *config,
		    struct discovery **out, char *why, size_t why_size)
{
	struct discovery *d = calloc(1, sizeof(*d));
	const char *what;
	int err;

	if (!d)
		return ERR_NOMEM;
	d->config = *config;
	d->fd = d->wake_fd = -1;
	err = start(d, &what);
	if (err) {
		say_why(config, err, what, why, why_size);
		goto out;
	}
	LOG_INFO("discovery serves", log_u64("port", d->port),
		 log_u64("boot_nodes", config->nodes_count),
		 log_u64("record_seq", d->record_seq));
	*out = d;
	d = NULL;
out:
	discovery_stop(d);
	return err;
}

void discovery_stop(struct discovery *d)
{
	const uint64_t one = 1;

	if (!d)
		return;
	if (d->is_started) {
		atomic_store(&d->is_stopping, true);
		/* Its tick would do as well, a little later. */
		if (write(d->wake_fd, &one, sizeof(one)) != sizeof(one))
			LOG_DEBUG("discovery is waited for");
		pthread_join(d->thread, NULL);
	}
	if (d->fd >= 0)
		close(d->fd);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
	limits_free(d->limits);
	free(d);
}

uint16_t discovery_port(const struct discovery *d)
{
	return d->port;
}

const char *discovery_record(const struct discovery *d)
{
	return d->record_text;
}

unsigned discovery_nodes(const struct discovery *d)
{
	return atomic_load(&d->nodes);
}
