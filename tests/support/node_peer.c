#include "tests/support/node_peer.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "net/bundle.h"
#include "net/mail.h"
#include "net/mail_seal.h"
#include "net/status.h"
#include "tests/support/check.h"

static void say_status(struct node_peer *p)
{
	struct topic topic = letters_topic((size_t)p->topic);
	struct status status = {.has = STATUS_HAS_POW | STATUS_HAS_CONFIRMS};
	uint8_t out[STATUS_SIZE_MAX];
	size_t len;

	memset(status.bloom.bits, 0xff, BLOOM_SIZE);
	if (p->topic >= 0) {
		status.has |= STATUS_HAS_TOPICS;
		status.topics = topic.bytes;
		status.topics_count = 1;
		status.topics_stride = TOPIC_SIZE;
		memset(status.bloom.bits, 0, BLOOM_SIZE);
		bloom_add_deployed(&status.bloom, topic);
	}
	len = p->cap == CAP_SHH ? status_encode_shh(&status, out, sizeof(out))
				: status_encode_waku(&status, out, sizeof(out));
	CHECK(len > 0);
	CHECK(link_send_bytes(p->link, p->cap, CODE_STATUS, out, len) == 0);
}

static struct mail_query whole_query(void)
{
	struct mail_query query = {.lower_s = clock_wall_s() - 1000,
				   .upper_s = clock_wall_s() + 100,
				   .limit = 1000,
				   .has_bloom = true};

	memset(query.bloom.bits, 0xff, BLOOM_SIZE);
	return query;
}

static void ask_direct(struct node_peer *p, unsigned times)
{
	struct mail_query query = whole_query();
	uint8_t out[MAIL_QUERY_SIZE_MAX(0)];
	uint8_t id[MAIL_ID_SIZE] = "0123456789abcdef0123456789abcde";

	for (unsigned i = 0; i < times; i++) {
		size_t len;

		id[31] = (uint8_t)i;
		len = mail_direct_encode(id, &query, true, out, sizeof(out));
		CHECK(link_send_bytes(p->link, p->cap, CODE_REQUEST, out,
				      len) == 0);
	}
}

static void ask_singles(struct node_peer *p)
{
	struct mail_query query = whole_query();
	struct mail_seal how = {.symmetric = p->bed->symmetric,
				.signer = &p->key};
	uint8_t id[MAIL_ID_SIZE];
	uint8_t *out;
	size_t len;

	CHECK(mail_seal_new(&query, &how, clock_wall_s(), &out, &len, id) == 0);
	CHECK(link_send_bytes(p->link, p->cap, CODE_REQUEST, out, len) == 0);
	free(out);
}

static void ask_sync(struct node_peer *p)
{
	struct mail_query query = whole_query();
	uint8_t out[MAIL_QUERY_SIZE_MAX(0)];
	size_t len = mail_sync_encode(&query, out, sizeof(out));

	CHECK(link_send_bytes(p->link, p->cap, CODE_SYNC_REQUEST, out, len) ==
	      0);
}

static void say_all(struct node_peer *p)
{
	static const uint8_t junk[] = {0xc3, 0xc2, 0x01, 0x02};

	if (p->role == NODE_PEER_RUDE) {
		ask_direct(p, 1);
		return;
	}
	say_status(p);
	switch (p->role) {
	case NODE_PEER_SLEEP:
		ask_direct(p, 8);
		link_pause(p->link, true);
		break;
	case NODE_PEER_GREEDY:
		ask_direct(p, NODE_PEER_ASKED);
		break;
	case NODE_PEER_LATE:
		link_pause(p->link, true);
		break;
	case NODE_PEER_SINGLES:
		ask_singles(p);
		break;
	case NODE_PEER_SYNC:
		ask_sync(p);
		break;
	case NODE_PEER_JUNK:
		(void)link_send_bytes(p->link, p->cap, CODE_MESSAGES, junk,
				      sizeof(junk));
		break;
	case NODE_PEER_WATCH:
	case NODE_PEER_TWIN:
	case NODE_PEER_RUDE:
		break;
	}
}

static unsigned peer_opened(void *ctx, struct link *link)
{
	struct node_peer *p = ctx;

	p->link = link;
	p->is_ready = true;
	return 0;
}

static void take_bundle(struct node_peer *p, struct bundle *bundle)
{
	struct envelope env;
	int err;

	while ((err = bundle_next(bundle, &env)) == 0) {
		CHECK(p->told.count < p->told.cap);
		envelope_hash(&env, p->told.hashes[p->told.count++]);
		atomic_fetch_add(&p->count, 1);
	}
	CHECK(err > 0);
	p->packets++;
}

static void peer_message(void *ctx, struct link *link, enum cap cap,
			 unsigned code, struct packet *payload)
{
	struct node_peer *p = ctx;
	struct mail_sync_answer answer;
	struct mail_completion done;
	struct bundle bundle;

	(void)link;
	CHECK(cap == p->cap);
	switch (code) {
	case CODE_STATUS:
		atomic_store(&p->has_status, true);
		break;
	case CODE_MESSAGES:
		/* On a slow machine others stay long enough to be told, too. */
		if (p->role != NODE_PEER_WATCH && p->role != NODE_PEER_LATE)
			break;
		CHECK(bundle_open(&bundle, payload->bytes, payload->size,
				  false) == 0);
		take_bundle(p, &bundle);
		break;
	case CODE_P2P_MESSAGE:
		CHECK(bundle_open(&bundle, payload->bytes, payload->size,
				  cap == CAP_SHH) == 0);
		take_bundle(p, &bundle);
		break;
	case CODE_REQUEST_COMPLETE:
		CHECK(mail_completion_decode(payload->bytes, payload->size,
					     &done) == 0);
		CHECK(!done.is_failure || p->role == NODE_PEER_GREEDY);
		atomic_fetch_add(done.is_failure ? &p->refused : &p->served, 1);
		atomic_store(&p->is_complete, true);
		break;
	case CODE_SYNC_RESPONSE:
		CHECK(mail_sync_answer_decode(payload->bytes, payload->size,
					      &answer) == 0);
		CHECK(answer.text_size == 0);
		if (answer.is_final)
			atomic_store(&p->is_complete, true);
		else
			take_bundle(p, &answer.envelopes);
		break;
	default:
		break;
	}
}

static void peer_closed(void *ctx, struct link *link,
			const struct link_end *end)
{
	struct node_peer *p = ctx;

	(void)link;
	p->link = NULL;
	atomic_store(&p->reason, end->has_reason ? (int)end->reason : -2);
}

static void peer_round_end(void *ctx)
{
	struct node_peer *p = ctx;

	if (!p->is_ready || !p->link)
		return;
	p->is_ready = false;
	say_all(p);
}

static void ring_round_end(void *ctx)
{
	struct node_peer *p = ctx;

	link_set_round_end(p->set);
}

static void ring_tick(void *ctx, uint64_t now_ms)
{
	struct node_peer *p = ctx;

	link_set_tick(p->set, now_ms);
	if (p->role == NODE_PEER_LATE && p->link && atomic_load(&p->is_awake))
		link_pause(p->link, false);
	if (!atomic_load(&p->stop))
		return;
	if (p->link)
		link_disconnect(p->link, P2P_REQUESTED);
	ring_stop(p->ring);
}

static void *peer_main(void *arg)
{
	static const struct link_handler handler = {.opened = peer_opened,
						    .message = peer_message,
						    .closed = peer_closed,
						    .round_end =
							    peer_round_end};
	static const struct ring_handler ring_handler = {
		.round_end = ring_round_end, .tick = ring_tick};
	struct node_peer *p = arg;
	struct ring_config ring_config = {
		.engine = RING_EPOLL, .socks_max = 4, .tick_ms = 20};
	struct link_config config;
	struct link *link;

	link_config_default(&config);
	config.key = &p->key;
	config.client = "stress";
	config.links_max = 2;
	config.caps[CAP_SHH] = p->cap == CAP_SHH;
	config.caps[CAP_WAKU] = p->cap == CAP_WAKU;
	CHECK(ring_new(&ring_config, &ring_handler, p, &p->ring) == 0);
	CHECK(link_set_new(p->ring, &config, &handler, p, &p->set) == 0);
	CHECK(link_dial(p->set, p->bed->key.public,
			(const struct sockaddr *)&p->bed->addr,
			sizeof(p->bed->addr), p, &link) == 0);
	CHECK(ring_run(p->ring) == 0);
	link_set_free(p->set);
	ring_free(p->ring);
	return NULL;
}

void node_peer_start(struct node_peer *p, const struct node_bed *bed,
		     enum node_peer_role role, enum cap cap, int topic,
		     const struct secp_key *key)
{
	memset(p, 0, sizeof(*p));
	p->bed = bed;
	p->role = role;
	p->cap = cap;
	p->topic = topic;
	atomic_store(&p->reason, -1);
	if (key)
		p->key = *key;
	else
		secp_key_new(&p->key);
	basket_init(&p->told, 20000);
	CHECK(pthread_create(&p->thread, NULL, peer_main, p) == 0);
}

void node_peer_stop(struct node_peer *p)
{
	atomic_store(&p->stop, true);
	CHECK(pthread_join(p->thread, NULL) == 0);
	basket_release(&p->told);
}
