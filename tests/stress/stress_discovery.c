/*
 * Several instances of discovery on loopback: they meet through one of them,
 * notice who leaves and who comes back, keep their records, refuse ports that
 * are taken, and stop at any time while nonsense comes in.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "net/disc4.h"
#include "net/disc_addr.h"
#include "net/discovery.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

#define NODES   4
#define GIVERS  2
#define ROUNDS  6
#define WHY_MAX 512

struct bed {
	struct secp_key key;
	char dir[TEMPDIR_MAX];
	struct archive *archive;
	struct discovery_config config;
	struct discovery *discovery;
	struct enode enode, boot; /* of its own: others' change */
};

static struct bed beds[NODES];

static void bed_init(struct bed *bed)
{
	struct archive_config archive;
	char why[WHY_MAX];

	secp_key_new(&bed->key);
	tempdir_make(bed->dir);
	archive_config_default(&archive);
	archive.dir = bed->dir;
	archive.map_bytes = (size_t)64 << 20;
	CHECK(archive_open(&archive, &bed->archive, why, sizeof(why)) == 0);
}

static void bed_release(struct bed *bed)
{
	archive_close(bed->archive);
	tempdir_remove(bed->dir);
}

static void listen_at(struct bed *bed, const char *host, uint16_t port)
{
	struct disc4_endpoint endpoint = {.udp = port};

	discovery_config_default(&bed->config);
	bed->config.key = &bed->key;
	bed->config.archive = bed->archive;
	bed->config.tcp_port = 30303;
	bed->config.walk_ms = 300;
	bed->config.check_ms = 50;
	CHECK(disc_addr_decode(host, endpoint.ip));
	memcpy(bed->config.ip, endpoint.ip, sizeof(endpoint.ip));
	bed->config.listen_len =
		disc_addr_to_socket(&endpoint, &bed->config.listen);
}

static int try_start(struct bed *bed, const struct bed *boot, char *why)
{
	if (boot) {
		bed->boot = boot->enode;
		bed->config.nodes = &bed->boot;
		bed->config.nodes_count = 1;
	}
	return discovery_start(&bed->config, &bed->discovery, why, WHY_MAX);
}

static void start(struct bed *bed, const struct bed *boot)
{
	char why[WHY_MAX];

	CHECK(try_start(bed, boot, why) == 0);
	memcpy(bed->enode.public, bed->key.public, SECP_PUBLIC_SIZE);
	(void)snprintf(bed->enode.host, sizeof(bed->enode.host), "%s",
		       disc_addr_is_v4(bed->config.ip) ? "127.0.0.1" : "::1");
	bed->enode.udp = discovery_port(bed->discovery);
}

static void stop(struct bed *bed)
{
	discovery_stop(bed->discovery);
	bed->discovery = NULL;
}

/* ---- scenes ---- */

static void they_meet(const char *host)
{
	check_scene("they meet");
	for (unsigned i = 0; i < NODES; i++) {
		listen_at(&beds[i], host, 0);
		start(&beds[i], i > 0 ? &beds[0] : NULL);
	}
	for (unsigned i = 0; i < NODES; i++)
		WAIT_FOR(discovery_nodes(beds[i].discovery) == NODES - 1);
}

static void one_leaves_and_comes_back(void)
{
	struct bed *one = &beds[NODES - 1];
	uint16_t port = discovery_port(one->discovery);
	char record[ENR_TEXT_MAX];

	check_scene("one leaves");
	(void)snprintf(record, sizeof(record), "%s",
		       discovery_record(one->discovery));
	stop(one);
	for (unsigned i = 0; i < NODES - 1; i++)
		WAIT_FOR(discovery_nodes(beds[i].discovery) == NODES - 2);
	check_scene("one comes back");
	listen_at(one, "127.0.0.1", port);
	start(one, &beds[0]);
	CHECK(strcmp(record, discovery_record(one->discovery)) == 0);
	for (unsigned i = 0; i < NODES; i++)
		WAIT_FOR(discovery_nodes(beds[i].discovery) == NODES - 1);
}

static uint64_t seq_of(const struct discovery *discovery)
{
	uint8_t bytes[ENR_SIZE_MAX];
	struct enr enr;
	size_t len;

	CHECK(enr_text_decode(discovery_record(discovery), bytes, &len) == 0);
	CHECK(enr_decode(bytes, len, &enr) == 0);
	return enr.seq;
}

static void a_record_changes_with_its_port(void)
{
	struct bed *bed = &beds[0];
	uint64_t seq = seq_of(bed->discovery);

	check_scene("a record changes");
	stop(bed);
	bed->config.tcp_port++;
	start(bed, NULL);
	CHECK(seq_of(bed->discovery) > seq);
	check_scene("a record that cannot be read is made anew");
	seq = seq_of(bed->discovery);
	stop(bed);
	CHECK(archive_mark_save(bed->archive, "enr", "enr:AAAA") == 0);
	start(bed, NULL);
	CHECK(seq_of(bed->discovery) > seq);
	check_scene("a record of another key is none of ours");
	seq = seq_of(bed->discovery);
	stop(bed);
	secp_key_new(&bed->key);
	start(bed, NULL);
	CHECK(seq_of(bed->discovery) > seq);
}

static void a_taken_port_is_refused(void)
{
	struct bed *bed = &beds[1];
	char why[WHY_MAX] = "";

	check_scene("a taken port");
	stop(bed);
	listen_at(bed, "127.0.0.1", discovery_port(beds[0].discovery));
	CHECK(try_start(bed, NULL, why) == ERR_EXISTS);
	CHECK(strstr(why, "discovery.port"));
	/* An address that this machine does not have. */
	listen_at(bed, "192.0.2.1", 0);
	CHECK(try_start(bed, NULL, why) == ERR_IO);
	CHECK(!bed->discovery);
}

/* ---- nonsense, from several threads, of a right form at times ---- */

static atomic_bool is_enough;
static struct sockaddr_in target;

static size_t make_nonsense(const struct secp_key *key, uint32_t number,
			    uint8_t out[static DISC4_SIZE_MAX])
{
	struct disc4_packet packet = {.type = (enum disc4_type)(1 + number % 6),
				      .expiration_s = UINT32_MAX};
	static const uint8_t list = 0xc0;
	size_t len;

	if (packet.type == DISC4_ENR_RESPONSE) {
		packet.body.enr.record = &list;
		packet.body.enr.record_len = 1;
	}
	len = disc4_encode(&packet, key, out);
	if (number % 3 == 0)
		out[number % len] ^= 1;
	return number % 7 == 0 ? len / 2 : len;
}

static void *give(void *arg)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t out[DISC4_SIZE_MAX];
	struct secp_key key;

	(void)arg;
	CHECK(fd >= 0);
	secp_key_new(&key);
	for (uint32_t i = 0; !atomic_load(&is_enough); i++) {
		size_t len = make_nonsense(&key, i, out);

		(void)sendto(fd, out, len, 0, (struct sockaddr *)&target,
			     sizeof(target));
	}
	close(fd);
	return NULL;
}

static void stopped_under_fire(void)
{
	struct bed *bed = &beds[0];
	pthread_t givers[GIVERS];
	uint64_t begin_ms;

	check_scene("under fire");
	listen_at(bed, "127.0.0.1", discovery_port(bed->discovery));
	memcpy(&target, &bed->config.listen, sizeof(target));
	for (unsigned i = 0; i < GIVERS; i++)
		CHECK(pthread_create(&givers[i], NULL, give, NULL) == 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		nap_ms(50);
		begin_ms = clock_mono_ms();
		stop(bed);
		CHECK(clock_mono_ms() - begin_ms < 5000);
		start(bed, &beds[2]);
	}
	atomic_store(&is_enough, true);
	for (unsigned i = 0; i < GIVERS; i++)
		CHECK(pthread_join(givers[i], NULL) == 0);
	WAIT_FOR(discovery_nodes(bed->discovery) >= 1);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 &&
		   bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

int main(void)
{
	for (unsigned i = 0; i < NODES; i++)
		bed_init(&beds[i]);
	they_meet("127.0.0.1");
	one_leaves_and_comes_back();
	a_record_changes_with_its_port();
	a_taken_port_is_refused();
	stopped_under_fire();
	for (unsigned i = 0; i < NODES; i++)
		stop(&beds[i]);
	if (has_ipv6())
		they_meet("::1");
	for (unsigned i = 0; i < NODES; i++) {
		stop(&beds[i]);
		bed_release(&beds[i]);
	}
	printf("%d nodes, %d stops under fire\n", NODES, ROUNDS);
	return 0;
}
