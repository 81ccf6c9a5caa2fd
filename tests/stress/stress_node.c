/*
 * The node, whole: an archive in a temporary folder, two rings, and clients in
 * the same process. What is posted is confirmed, handed back in every form on
 * both capabilities, told to other peers once, refused when it is bad, and
 * still there after a restart; denied, impolite and sleeping peers delay
 * nobody.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/err.h"
#include "core/log.h"
#include "net/bundle.h"
#include "net/client.h"
#include "net/link.h"
#include "net/mail.h"
#include "net/mail_seal.h"
#include "net/node.h"
#include "net/status.h"
#include "tests/support/tempdir.h"

#define CHECK(what) check((what), #what, __LINE__)

#define TOPICS_COUNT 10
#define DATA_SIZE    200
#define TTL_S        100

static const char *scene = "start";

static void check(bool is_so, const char *what, int line)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, line, scene,
		      what);
	abort();
}

/* ---- the server ---- */

static struct {
	char dir[TEMPDIR_MAX];
	struct secp_key *key; /* borrowed by its node while that runs */
	struct secp_key denied;
	struct secp_key syncer;
	struct archive *archive;
	struct node *node;
	struct sockaddr_in addr;
	uint8_t symmetric[32];
	uint8_t sync_peers[1][SECP_PUBLIC_SIZE];
	enum ring_engine engine;
	size_t queue_bytes;          /* of the archive; 0: as it comes */
	struct node_rate envelopes;  /* from one peer */
	const struct enode *friends; /* static peers */
	unsigned friends_count;
} bed;

static enum gate_answer check_gate(void *ctx,
				   const uint8_t node[static SECP_PUBLIC_SIZE],
				   char text[static GATE_TEXT_MAX])
{
	(void)ctx;
	if (memcmp(node, bed.denied.public, SECP_PUBLIC_SIZE) != 0)
		return GATE_ALLOW;
	(void)snprintf(text, GATE_TEXT_MAX, "payment required: none was made");
	return GATE_DENY;
}

static void server_start(void)
{
	struct archive_config archive;
	struct node_config config;
	char why[256] = "";

	archive_config_default(&archive);
	archive.dir = bed.dir;
	archive.map_bytes = (size_t)256 << 20;
	if (bed.queue_bytes)
		archive.queue_bytes_max = bed.queue_bytes;
	CHECK(archive_open(&archive, &bed.archive, why, sizeof(why)) == 0);
	node_config_default(&config);
	config.key = bed.key;
	config.archive = bed.archive;
	config.rings = 2;
	config.engine = bed.engine;
	config.has_symmetric = true;
	memcpy(config.symmetric, bed.symmetric, 32);
	config.may_read.check = check_gate;
	config.envelope_max = 4096;
	config.page_bytes = 65536;
	config.handshakes_ip = (struct node_rate){0, 0};
	config.requests_peer = (struct node_rate){200, 400};
	config.requests_ip = (struct node_rate){1000, 2000};
	config.sync_peers = (const uint8_t(*)[SECP_PUBLIC_SIZE])bed.sync_peers;
	config.sync_peers_count = 1;
	config.envelopes_peer = bed.envelopes;
	config.static_peers = bed.friends;
	config.static_peers_count = bed.friends_count;
	config.dial_min_ms = 100;
	bed.addr = (struct sockaddr_in){.sin_family = AF_INET};
	bed.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&config.listen, &bed.addr, sizeof(bed.addr));
	config.listen_len = sizeof(bed.addr);
	if (node_start(&config, &bed.node, why, sizeof(why)))
		(void)fprintf(stderr, "%s\n", why);
	CHECK(bed.node);
	CHECK(node_port(bed.node) != 0);
	bed.addr.sin_port = htons(node_port(bed.node));
}

static void server_stop(void)
{
	uint64_t start_ms = clock_mono_ms();

	node_stop(bed.node);
	CHECK(clock_mono_ms() - start_ms < 5000);
	archive_close(bed.archive);
	bed.node = NULL;
	bed.archive = NULL;
}

/* ---- envelopes ---- */

struct letters {
	uint8_t (*rlp)[DATA_SIZE + 40];
	size_t *sizes;
	uint8_t (*hashes)[32];
	struct topic *topics;
	size_t count;
	size_t next; /* to be posted */
	uint64_t confirmed, refused;
	uint64_t code;
};

static struct topic topic_of(size_t i)
{
	uint8_t n = (uint8_t)(i % TOPICS_COUNT);
	/* Spread, so that the bloom of one does not cover another. */
	struct topic topic = {{(uint8_t)(17 * n), (uint8_t)(53 + 7 * n),
			       (uint8_t)(128 + 9 * n), 0}};

	return topic;
}

static void letters_init(struct letters *l, size_t count, int ahead_s,
			 size_t data_size)
{
	uint8_t data[DATA_SIZE];

	memset(l, 0, sizeof(*l));
	l->count = count;
	l->rlp = calloc(count, sizeof(*l->rlp));
	l->sizes = calloc(count, sizeof(*l->sizes));
	l->hashes = calloc(count, sizeof(*l->hashes));
	CHECK(l->rlp && l->sizes && l->hashes);
	for (size_t i = 0; i < count; i++) {
		struct envelope env = {
			.expiry_s = (uint32_t)((int)clock_wall_s() + ahead_s) +
				    TTL_S,
			.ttl_s = TTL_S,
			.nonce = i,
			.topic = topic_of(i),
			.data_size = (uint32_t)data_size};

		bytes_random(data, sizeof(data));
		l->sizes[i] = envelope_encode(&env, data, l->rlp[i]);
		keccak256(l->rlp[i], l->sizes[i], l->hashes[i]);
	}
}

static void letters_release(struct letters *l)
{
	free(l->rlp);
	free(l->sizes);
	free(l->hashes);
}

static int letters_next(void *ctx, const uint8_t **rlp, size_t *size)
{
	struct letters *l = ctx;

	if (l->next == l->count)
		return 1;
	*rlp = l->rlp[l->next];
	*size = l->sizes[l->next];
	l->next++;
	return 0;
}

static void letters_confirmed(void *ctx, const uint8_t *hashes, size_t count)
{
	struct letters *l = ctx;

	(void)hashes;
	l->confirmed += count;
}

static void letters_refused(void *ctx, const struct client_refusal *refusal)
{
	struct letters *l = ctx;

	l->refused++;
	l->code = refusal->code;
}

static struct client_config client_to_server(enum cap cap, void *ctx)
{
	struct client_config config;

	client_config_default(&config);
	config.cap = cap;
	config.ctx = ctx;
	config.timeout_ms = 15000;
	memcpy(config.server, bed.key->public, SECP_PUBLIC_SIZE);
	memcpy(&config.addr, &bed.addr, sizeof(bed.addr));
	config.addr_len = sizeof(bed.addr);
	return config;
}

static void post(struct letters *l, enum cap cap, unsigned connections,
		 unsigned per_packet)
{
	struct client_config config = client_to_server(cap, l);
	struct client_post job = {.per_packet = per_packet,
				  .window = 4,
				  .next = letters_next,
				  .confirmed = letters_confirmed,
				  .refused = letters_refused};
	char why[CLIENT_WHY_MAX] = "";
	int err;

	config.connections = connections;
	l->next = 0;
	err = client_post(&config, &job, why);
	if (err)
		(void)fprintf(stderr, "post: %s\n", why);
	CHECK(err == 0);
}

/* ---- fetching ---- */

struct basket {
	uint8_t (*hashes)[32];
	size_t count, cap;
};

static int basket_add(void *ctx, const struct envelope *env,
		      const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct basket *b = ctx;
	uint8_t own[32];

	envelope_hash(env, own);
	CHECK(memcmp(own, hash, 32) == 0);
	CHECK(b->count < b->cap);
	memcpy(b->hashes[b->count++], hash, 32);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static void expect_same(uint8_t (*want)[32], size_t want_count,
			uint8_t (*got)[32], size_t got_count)
{
	uint8_t(*sorted)[32] = malloc(want_count * 32 + 1);

	if (want_count != got_count)
		(void)fprintf(stderr, "want %zu, got %zu\n", want_count,
			      got_count);
	CHECK(want_count == got_count);
	memcpy(sorted, want, want_count * 32);
	qsort(sorted, want_count, 32, by_bytes);
	qsort(got, got_count, 32, by_bytes);
	CHECK(memcmp(sorted, got, want_count * 32) == 0);
	free(sorted);
}

static int fetch(struct basket *b, enum cap cap, enum client_form form,
		 const struct secp_key *key, int topic, uint32_t page,
		 char *why)
{
	struct client_config config = client_to_server(cap, b);
	struct topic one = topic_of((size_t)topic);
	struct client_fetch job = {.lower_s = clock_wall_s() - 1000,
				   .upper_s = clock_wall_s() + 100,
				   .topics = topic < 0 ? NULL : &one,
				   .topics_count = topic < 0 ? 0 : 1,
				   .form = form,
				   .page = page,
				   .envelope = basket_add};

	config.key = key;
	memcpy(job.key, bed.symmetric, 32);
	b->count = 0;
	return client_fetch(&config, &job, why);
}

static void expect_archive(const struct letters *l, enum cap cap,
			   enum client_form form, int topic, uint32_t page)
{
	struct basket b = {.cap = l->count + 10};
	uint8_t(*want)[32] = malloc(l->count * 32);
	char why[CLIENT_WHY_MAX] = "";
	size_t count = 0;
	int err;

	b.hashes = malloc(b.cap * 32);
	CHECK(b.hashes && want);
	for (size_t i = 0; i < l->count; i++) {
		if (topic < 0 || i % TOPICS_COUNT == (size_t)topic)
			memcpy(want[count++], l->hashes[i], 32);
	}
	err = fetch(&b, cap, form, NULL, topic, page, why);
	if (err)
		(void)fprintf(stderr, "fetch: %s\n", why);
	CHECK(err == 0);
	expect_same(want, count, b.hashes, b.count);
	free(b.hashes);
	free(want);
}

static void expect_all_forms(const struct letters *l)
{
	expect_archive(l, CAP_WAKU, CLIENT_DIRECT, -1, 700);
	expect_archive(l, CAP_WAKU, CLIENT_SEALED, -1, 1000);
	expect_archive(l, CAP_WAKU, CLIENT_SEALED_NODE, 3, 50);
	expect_archive(l, CAP_SHH, CLIENT_DIRECT, 4, 33);
	expect_archive(l, CAP_SHH, CLIENT_SEALED, 5, 1000);
	expect_archive(l, CAP_SHH, CLIENT_SEALED_NODE, -1, 999);
}

/* ---- peers made by hand ---- */

enum role {
	ROLE_WATCH,   /* counts what it is told */
	ROLE_SLEEP,   /* asks a lot and never reads */
	ROLE_TWIN,    /* the key of another one */
	ROLE_SINGLES, /* asks for one envelope a packet */
	ROLE_SYNC,
	ROLE_RUDE, /* speaks before its Status */
	ROLE_JUNK, /* a Messages packet that is none */
};

struct peer {
	enum role role;
	enum cap cap;
	int topic; /* wanted; -1: all */
	struct secp_key key;
	struct ring *ring;
	struct link_set *set;
	struct link *link;
	pthread_t thread;
	struct basket told;
	unsigned packets;
	bool is_ready; /* Status sent and received */
	atomic_bool has_status, is_complete, stop;
	atomic_uint count;
	atomic_int reason; /* of the Disconnect; -1: none */
};

static void say_status(struct peer *p)
{
	struct topic topic = topic_of((size_t)p->topic);
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

static void ask_direct(struct peer *p, unsigned times)
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

static void ask_singles(struct peer *p)
{
	struct mail_query query = whole_query();
	struct mail_seal how = {.symmetric = bed.symmetric, .signer = &p->key};
	uint8_t id[MAIL_ID_SIZE];
	uint8_t *out;
	size_t len;

	CHECK(mail_seal_new(&query, &how, clock_wall_s(), &out, &len, id) == 0);
	CHECK(link_send_bytes(p->link, p->cap, CODE_REQUEST, out, len) == 0);
	free(out);
}

static void ask_sync(struct peer *p)
{
	struct mail_query query = whole_query();
	uint8_t out[MAIL_QUERY_SIZE_MAX(0)];
	size_t len = mail_sync_encode(&query, out, sizeof(out));

	CHECK(link_send_bytes(p->link, p->cap, CODE_SYNC_REQUEST, out, len) ==
	      0);
}

static void say_all(struct peer *p)
{
	static const uint8_t junk[] = {0xc3, 0xc2, 0x01, 0x02};

	if (p->role == ROLE_RUDE) {
		ask_direct(p, 1);
		return;
	}
	say_status(p);
	switch (p->role) {
	case ROLE_SLEEP:
		ask_direct(p, 8);
		link_pause(p->link, true);
		break;
	case ROLE_SINGLES:
		ask_singles(p);
		break;
	case ROLE_SYNC:
		ask_sync(p);
		break;
	case ROLE_JUNK:
		(void)link_send_bytes(p->link, p->cap, CODE_MESSAGES, junk,
				      sizeof(junk));
		break;
	case ROLE_WATCH:
	case ROLE_TWIN:
	case ROLE_RUDE:
		break;
	}
}

static unsigned peer_opened(void *ctx, struct link *link)
{
	struct peer *p = ctx;

	p->link = link;
	p->is_ready = true;
	return 0;
}

static void take_bundle(struct peer *p, struct bundle *bundle)
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
	struct peer *p = ctx;
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
		CHECK(p->role == ROLE_WATCH);
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
		CHECK(!done.is_failure);
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
	struct peer *p = ctx;

	(void)link;
	p->link = NULL;
	atomic_store(&p->reason, end->has_reason ? (int)end->reason : -2);
}

static void peer_round_end(void *ctx)
{
	struct peer *p = ctx;

	if (!p->is_ready || !p->link)
		return;
	p->is_ready = false;
	say_all(p);
}

static void ring_round_end(void *ctx)
{
	struct peer *p = ctx;

	link_set_round_end(p->set);
}

static void ring_tick(void *ctx, uint64_t now_ms)
{
	struct peer *p = ctx;

	link_set_tick(p->set, now_ms);
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
	struct peer *p = arg;
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
	CHECK(link_dial(p->set, bed.key->public,
			(const struct sockaddr *)&bed.addr, sizeof(bed.addr), p,
			&link) == 0);
	CHECK(ring_run(p->ring) == 0);
	link_set_free(p->set);
	ring_free(p->ring);
	return NULL;
}

static void peer_start(struct peer *p, enum role role, enum cap cap, int topic,
		       const struct secp_key *key)
{
	memset(p, 0, sizeof(*p));
	p->role = role;
	p->cap = cap;
	p->topic = topic;
	atomic_store(&p->reason, -1);
	if (key)
		p->key = *key;
	else
		secp_key_new(&p->key);
	p->told.cap = 20000;
	p->told.hashes = malloc(p->told.cap * 32);
	CHECK(p->told.hashes);
	CHECK(pthread_create(&p->thread, NULL, peer_main, p) == 0);
}

static void peer_stop(struct peer *p)
{
	atomic_store(&p->stop, true);
	CHECK(pthread_join(p->thread, NULL) == 0);
	free(p->told.hashes);
}

static void pause_ms(unsigned ms)
{
	struct timespec ts = {.tv_sec = ms / 1000,
			      .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

#define WAIT_FOR(what)                                                         \
	do {                                                                   \
		uint64_t start_ms_ = clock_mono_ms();                          \
		while (!(what) && clock_mono_ms() - start_ms_ < 15000)         \
			pause_ms(10);                                          \
		CHECK(what);                                                   \
	} while (0)

/* ---- scenes ---- */

static void test_posting(struct letters *l)
{
	struct letters part = *l;

	scene = "posting over waku";
	part.count = l->count / 2;
	post(&part, CAP_WAKU, 2, 50);
	CHECK(part.confirmed == part.count && part.refused == 0);
	scene = "posting over shh, the same and more, one by one";
	post(l, CAP_SHH, 3, 1);
	CHECK(l->confirmed == l->count && l->refused == 0);
}

static void test_denied(void)
{
	struct basket b = {.cap = 1};
	char why[CLIENT_WHY_MAX] = "";
	struct node_stats stats;

	scene = "a denied peer";
	b.hashes = malloc(32);
	CHECK(fetch(&b, CAP_WAKU, CLIENT_DIRECT, &bed.denied, -1, 100, why) !=
	      0);
	CHECK(strstr(why, "payment required"));
	CHECK(fetch(&b, CAP_SHH, CLIENT_SEALED, &bed.denied, -1, 100, why) !=
	      0);
	CHECK(strstr(why, "payment required"));
	CHECK(b.count == 0);
	node_stats(bed.node, &stats);
	CHECK(stats.requests_denied >= 2);
	free(b.hashes);
}

static void test_bad(void)
{
	struct letters future, old;

	scene = "envelopes from the future";
	letters_init(&future, 3, 60, 100);
	post(&future, CAP_WAKU, 1, 3);
	CHECK(future.refused == 3 && future.code == 21);
	letters_release(&future);
	scene = "very old envelopes";
	letters_init(&old, 3, -TTL_S - 60, 100);
	post(&old, CAP_SHH, 1, 3);
	CHECK(old.refused == 3 && old.code == 37);
	letters_release(&old);
}

#define WATCHERS 6

static void test_telling(struct letters *all)
{
	struct peer peers[WATCHERS];
	struct letters l;

	scene = "telling peers on both rings and capabilities";
	for (int i = 0; i < WATCHERS; i++)
		peer_start(&peers[i], ROLE_WATCH, i & 1 ? CAP_SHH : CAP_WAKU,
			   i < 3 ? -1 : i, NULL);
	for (int i = 0; i < WATCHERS; i++)
		WAIT_FOR(atomic_load(&peers[i].has_status));
	letters_init(&l, 200, 0, DATA_SIZE);
	post(&l, CAP_WAKU, 4, 10);
	CHECK(l.confirmed == l.count);
	for (int i = 0; i < WATCHERS; i++) {
		unsigned each = (unsigned)((all->count + l.count) /
					   (i < 3 ? 1 : TOPICS_COUNT));

		WAIT_FOR(atomic_load(&peers[i].count) >= each);
	}
	pause_ms(500); /* nobody is told twice */
	for (int i = 0; i < WATCHERS; i++) {
		unsigned each = (unsigned)((all->count + l.count) /
					   (i < 3 ? 1 : TOPICS_COUNT));

		if (atomic_load(&peers[i].count) != each)
			(void)fprintf(stderr, "peer %d was told %u of %u\n", i,
				      atomic_load(&peers[i].count), each);
		CHECK(atomic_load(&peers[i].count) == each);
	}
	for (int i = 0; i < WATCHERS; i++)
		peer_stop(&peers[i]);
	letters_release(&l);
}

static void test_twins(void)
{
	struct peer first, second;

	scene = "a key that is connected already";
	peer_start(&first, ROLE_TWIN, CAP_WAKU, -1, NULL);
	WAIT_FOR(atomic_load(&first.has_status));
	for (unsigned i = 0; i < 4; i++) {
		peer_start(&second, ROLE_TWIN, CAP_SHH, -1, &first.key);
		WAIT_FOR(atomic_load(&second.reason) != -1);
		CHECK(atomic_load(&second.reason) == P2P_ALREADY_CONNECTED);
		peer_stop(&second);
	}
	CHECK(atomic_load(&first.reason) == -1);
	peer_stop(&first);
}

static void test_rude(void)
{
	struct peer peer;

	scene = "no Status first";
	peer_start(&peer, ROLE_RUDE, CAP_WAKU, -1, NULL);
	WAIT_FOR(atomic_load(&peer.reason) != -1);
	CHECK(atomic_load(&peer.reason) == P2P_SUBPROTOCOL);
	peer_stop(&peer);
	scene = "malformed envelopes";
	peer_start(&peer, ROLE_JUNK, CAP_SHH, -1, NULL);
	WAIT_FOR(atomic_load(&peer.reason) != -1);
	CHECK(atomic_load(&peer.reason) == P2P_SUBPROTOCOL);
	peer_stop(&peer);
}

static void test_forms(void)
{
	struct peer peer;

	scene = "one envelope a packet";
	for (unsigned i = 0; i < 2; i++) {
		peer_start(&peer, ROLE_SINGLES, i ? CAP_SHH : CAP_WAKU, -1,
			   NULL);
		WAIT_FOR(atomic_load(&peer.is_complete));
		CHECK(atomic_load(&peer.count) == 1000);
		CHECK(peer.packets == 1000);
		peer_stop(&peer);
	}
	scene = "sync";
	peer_start(&peer, ROLE_SYNC, CAP_SHH, -1, &bed.syncer);
	WAIT_FOR(atomic_load(&peer.is_complete));
	CHECK(atomic_load(&peer.count) == 1000);
	peer_stop(&peer);
}

#define SLEEPERS 4

/* Call with a full archive: they delay nobody. */
static void test_sleepers(struct letters *l)
{
	struct peer peers[SLEEPERS];
	uint64_t start_ms;

	scene = "peers that never read";
	for (int i = 0; i < SLEEPERS; i++)
		peer_start(&peers[i], ROLE_SLEEP, CAP_WAKU, -1, NULL);
	pause_ms(300);
	start_ms = clock_mono_ms();
	expect_archive(l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	CHECK(clock_mono_ms() - start_ms < 5000);
	for (int i = 0; i < SLEEPERS; i++)
		peer_stop(&peers[i]);
}

/* The disk refuses: nothing is confirmed, reading goes on, nothing is lost. */
static void test_refusing_disk(const struct letters *stored)
{
	struct client_config config;
	struct client_post job = {.per_packet = 10,
				  .window = 1,
				  .next = letters_next,
				  .confirmed = letters_confirmed,
				  .refused = letters_refused};
	struct rlimit limit, small;
	char why[CLIENT_WHY_MAX];
	struct node_stats stats;
	struct letters l;

	scene = "a disk that refuses";
	letters_init(&l, 500, 0, DATA_SIZE);
	config = client_to_server(CAP_WAKU, &l);
	config.timeout_ms = 1500;
	config.retries_max = 0;
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	small = limit;
	small.rlim_cur = 4096;
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CHECK(client_post(&config, &job, why) != 0);
	CHECK(l.confirmed == 0);
	node_stats(bed.node, &stats);
	CHECK(!stats.is_healthy);
	expect_archive(stored, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	server_stop();
	server_start();
	post(&l, CAP_WAKU, 1, 50);
	CHECK(l.confirmed == l.count);
	node_stats(bed.node, &stats);
	CHECK(stats.is_healthy);
	letters_release(&l);
}

/* A second node that dials the first as a static peer. */
static void test_static_peer(void)
{
	struct archive *archive = bed.archive;
	struct node *node = bed.node;
	struct sockaddr_in addr = bed.addr;
	struct secp_key *key = bed.key;
	struct secp_key second_key;
	char dir[TEMPDIR_MAX];
	struct enode friend = {.tcp = ntohs(addr.sin_port)};
	struct node_stats stats;
	struct letters l;

	scene = "a static peer";
	(void)strcpy(friend.host, "localhost");
	memcpy(friend.public, key->public, SECP_PUBLIC_SIZE);
	memcpy(dir, bed.dir, sizeof(dir));
	tempdir_make(bed.dir);
	bed.key = &second_key;
	secp_key_new(bed.key);
	bed.friends = &friend;
	bed.friends_count = 1;
	server_start();
	WAIT_FOR((node_stats(bed.node, &stats), stats.peers > 0));
	letters_init(&l, 300, 0, DATA_SIZE);
	post(&l, CAP_SHH, 2, 7);
	WAIT_FOR((node_stats(node, &stats),
		  stats.envelopes_accepted >= l.count));
	CHECK(stats.envelopes_accepted == l.count);
	server_stop();
	tempdir_remove(bed.dir);
	bed.friends_count = 0;
	bed.archive = archive;
	bed.node = node;
	bed.addr = addr;
	bed.key = key;
	memcpy(bed.dir, dir, sizeof(dir));
	pause_ms(100); /* what arrived is on its way to the disk */
	expect_archive(&l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	letters_release(&l);
}

/* Slow disks and low rates make peers wait and lose nothing. */
static void test_narrow(void)
{
	struct letters l;
	uint64_t start_ms;

	scene = "an archive with short queues";
	bed.queue_bytes = 8192;
	server_start();
	letters_init(&l, 2000, 0, DATA_SIZE);
	post(&l, CAP_WAKU, 4, 20);
	CHECK(l.confirmed == l.count);
	server_stop();
	bed.queue_bytes = 0;
	scene = "a rate";
	bed.envelopes = (struct node_rate){1000, 500};
	server_start();
	start_ms = clock_mono_ms();
	post(&l, CAP_SHH, 1, 50);
	CHECK(clock_mono_ms() - start_ms >= 1000);
	expect_archive(&l, CAP_SHH, CLIENT_DIRECT, -1, 1000);
	bed.envelopes = (struct node_rate){0, 0};
	server_stop();
	letters_release(&l);
}

static void run(void)
{
	struct letters l;

	tempdir_make(bed.dir);
	letters_init(&l, 3000, 0, DATA_SIZE);
	server_start();
	test_posting(&l);
	scene = "fetching";
	expect_all_forms(&l);
	test_denied();
	test_bad();
	test_twins();
	test_rude();
	test_forms();
	test_sleepers(&l);
	scene = "restart";
	server_stop();
	server_start();
	expect_archive(&l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	test_refusing_disk(&l);
	server_stop();
	/* The pool of a new node is empty: what it tells is what comes now. */
	scene = "telling";
	server_start();
	l.count = 0;
	test_telling(&l);
	server_stop();
	letters_release(&l);
	tempdir_remove(bed.dir);
	tempdir_make(bed.dir);
	test_narrow();
	tempdir_remove(bed.dir);
	tempdir_make(bed.dir);
	server_start();
	test_static_peer();
	server_stop();
	tempdir_remove(bed.dir);
}

int main(void)
{
	static const uint8_t symmetric[32] = {1, 2, 3};
	struct secp_key first_key;

	log_set_level(LOG_LEVEL_UNUSUAL);
	memcpy(bed.symmetric, symmetric, 32);
	bed.key = &first_key;
	secp_key_new(bed.key);
	secp_key_new(&bed.denied);
	secp_key_new(&bed.syncer);
	memcpy(bed.sync_peers[0], bed.syncer.public, SECP_PUBLIC_SIZE);
	bed.engine = RING_AUTO;
	run();
	bed.engine = RING_EPOLL;
	run();
	printf("ok\n");
	return 0;
}
