#include "tests/support/node_bed.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/support/check.h"

void node_bed_init(struct node_bed *bed, enum ring_engine engine)
{
	memset(bed, 0, sizeof(*bed));
	bed->engine = engine;
	secp_key_new(&bed->key);
	secp_key_new(&bed->denied);
	secp_key_new(&bed->syncer);
	memcpy(bed->symmetric, "\1\2\3", 3);
	tempdir_make(bed->dir);
}

void node_bed_release(struct node_bed *bed)
{
	tempdir_remove(bed->dir);
}

static enum gate_answer check_gate(void *ctx,
				   const uint8_t node[static SECP_PUBLIC_SIZE],
				   char text[static GATE_TEXT_MAX])
{
	const struct node_bed *bed = ctx;

	if (memcmp(node, bed->denied.public, SECP_PUBLIC_SIZE) != 0)
		return GATE_ALLOW;
	(void)snprintf(text, GATE_TEXT_MAX, "payment required: none was made");
	return GATE_DENY;
}

void node_bed_start(struct node_bed *bed)
{
	struct archive_config archive;
	struct node_config config;
	char why[256] = "";

	archive_config_default(&archive);
	archive.dir = bed->dir;
	archive.map_bytes = (size_t)256 << 20;
	if (bed->queue_bytes)
		archive.queue_bytes_max = bed->queue_bytes;
	CHECK(archive_open(&archive, &bed->archive, why, sizeof(why)) == 0);
	node_config_default(&config);
	config.key = &bed->key;
	config.archive = bed->archive;
	config.rings = 2;
	config.engine = bed->engine;
	config.has_symmetric = true;
	memcpy(config.symmetric, bed->symmetric, 32);
	config.may_read.check = check_gate;
	config.may_read.ctx = bed;
	config.envelope_max = 4096;
	config.page_bytes = 65536;
	config.handshakes_ip = (struct node_rate){0, 0};
	config.requests_peer = (struct node_rate){200, 400};
	config.requests_ip = (struct node_rate){1000, 2000};
	config.sync_peers =
		(const uint8_t(*)[SECP_PUBLIC_SIZE]) & bed->syncer.public;
	config.sync_peers_count = 1;
	config.envelopes_peer = bed->envelopes;
	config.static_peers = bed->friends;
	config.static_peers_count = bed->friends_count;
	config.dial_min_ms = 100;
	bed->addr = (struct sockaddr_in){.sin_family = AF_INET};
	bed->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&config.listen, &bed->addr, sizeof(bed->addr));
	config.listen_len = sizeof(bed->addr);
	if (node_start(&config, &bed->node, why, sizeof(why)))
		(void)fprintf(stderr, "%s\n", why);
	CHECK(bed->node);
	CHECK(node_port(bed->node) != 0);
	bed->addr.sin_port = htons(node_port(bed->node));
}

void node_bed_stop(struct node_bed *bed)
{
	uint64_t start_ms = clock_mono_ms();

	node_stop(bed->node);
	CHECK(clock_mono_ms() - start_ms < 5000);
	archive_close(bed->archive);
	bed->node = NULL;
	bed->archive = NULL;
}

struct client_config node_bed_client(const struct node_bed *bed, enum cap cap,
				     void *ctx)
{
	struct client_config config;

	client_config_default(&config);
	config.cap = cap;
	config.ctx = ctx;
	config.timeout_ms = 15000;
	memcpy(config.server, bed->key.public, SECP_PUBLIC_SIZE);
	memcpy(&config.addr, &bed->addr, sizeof(bed->addr));
	config.addr_len = sizeof(bed->addr);
	return config;
}

void node_bed_post(const struct node_bed *bed, struct letters *l, enum cap cap,
		   unsigned connections, unsigned per_packet)
{
	struct client_config config = node_bed_client(bed, cap, l);
	struct client_post job = letters_job(per_packet, 4);
	char why[CLIENT_WHY_MAX] = "";
	int err;

	config.connections = connections;
	l->next = 0;
	err = client_post(&config, &job, why);
	if (err)
		(void)fprintf(stderr, "post: %s\n", why);
	CHECK(err == 0);
}

int node_bed_fetch(const struct node_bed *bed, const struct node_bed_ask *ask,
		   struct basket *b, char *why)
{
	struct client_config config = node_bed_client(bed, ask->cap, b);
	struct topic one = letters_topic((size_t)ask->topic);
	bool is_one = ask->topic >= 0;
	struct client_fetch job = {.lower_s = clock_wall_s() - 1000,
				   .upper_s = clock_wall_s() + 100,
				   .topics = is_one ? &one : NULL,
				   .topics_count = is_one,
				   .form = ask->form,
				   .page = ask->page,
				   .envelope = basket_add};

	config.key = ask->key;
	memcpy(job.key, bed->symmetric, 32);
	b->count = 0;
	return client_fetch(&config, &job, why);
}

void node_bed_expect(const struct node_bed *bed, const struct letters *l,
		     const struct node_bed_ask *ask)
{
	char why[CLIENT_WHY_MAX] = "";
	struct basket b;
	int err;

	basket_init(&b, l->count + 10);
	err = node_bed_fetch(bed, ask, &b, why);
	if (err)
		(void)fprintf(stderr, "fetch: %s\n", why);
	CHECK(err == 0);
	basket_expect(&b, l, ask->topic);
	basket_release(&b);
}
