/*
 * The node, whole. What is posted is confirmed, handed back in every form on
 * both capabilities, told to other peers once, refused when it is bad, and
 * still there after a restart; denied, impolite and sleeping peers delay
 * nobody.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/log.h"
#include "net/client.h"
#include "net/node.h"
#include "tests/support/check.h"
#include "tests/support/letters.h"
#include "tests/support/node_bed.h"
#include "tests/support/node_peer.h"

static struct node_bed bed;

static void expect(const struct letters *l, enum cap cap, enum client_form form,
		   int topic, uint32_t page)
{
	struct node_bed_ask ask = {
		.cap = cap, .form = form, .topic = topic, .page = page};

	node_bed_expect(&bed, l, &ask);
}

static void expect_all_forms(const struct letters *l)
{
	expect(l, CAP_WAKU, CLIENT_DIRECT, -1, 700);
	expect(l, CAP_WAKU, CLIENT_SEALED, -1, 1000);
	expect(l, CAP_WAKU, CLIENT_SEALED_NODE, 3, 50);
	expect(l, CAP_SHH, CLIENT_DIRECT, 4, 33);
	expect(l, CAP_SHH, CLIENT_SEALED, 5, 1000);
	expect(l, CAP_SHH, CLIENT_SEALED_NODE, -1, 999);
}

static void test_posting(struct letters *l)
{
	struct letters part = *l;

	check_scene("posting over waku");
	part.count = l->count / 2;
	node_bed_post(&bed, &part, CAP_WAKU, 2, 50);
	CHECK(part.confirmed == part.count && part.refused == 0);
	check_scene("posting over shh, the same and more, one by one");
	node_bed_post(&bed, l, CAP_SHH, 3, 1);
	CHECK(l->confirmed == l->count && l->refused == 0);
}

static void test_denied(void)
{
	struct node_bed_ask ask = {.cap = CAP_WAKU,
				   .form = CLIENT_DIRECT,
				   .topic = -1,
				   .page = 100,
				   .key = &bed.denied};
	struct basket b;
	char why[CLIENT_WHY_MAX] = "";
	struct node_stats stats;

	check_scene("a denied peer");
	basket_init(&b, 1);
	CHECK(node_bed_fetch(&bed, &ask, &b, why) != 0);
	CHECK(strstr(why, "payment required"));
	ask.cap = CAP_SHH;
	ask.form = CLIENT_SEALED;
	CHECK(node_bed_fetch(&bed, &ask, &b, why) != 0);
	CHECK(strstr(why, "payment required"));
	CHECK(b.count == 0);
	node_stats(bed.node, &stats);
	CHECK(stats.requests_denied >= 2);
	basket_release(&b);
}

static void test_bad(void)
{
	struct letters future, old;

	check_scene("envelopes from the future");
	letters_init(&future, 3, 60, 100);
	node_bed_post(&bed, &future, CAP_WAKU, 1, 3);
	CHECK(future.refused == 3 && future.code == 21);
	letters_release(&future);
	check_scene("very old envelopes");
	letters_init(&old, 3, -LETTERS_TTL_S - 60, 100);
	node_bed_post(&bed, &old, CAP_SHH, 1, 3);
	CHECK(old.refused == 3 && old.code == 37);
	letters_release(&old);
}

#define WATCHERS 6

static void test_telling(struct letters *all)
{
	struct node_peer peers[WATCHERS];
	struct letters l;

	check_scene("telling peers on both rings and capabilities");
	for (int i = 0; i < WATCHERS; i++)
		node_peer_start(&peers[i], &bed, NODE_PEER_WATCH,
				i & 1 ? CAP_SHH : CAP_WAKU, i < 3 ? -1 : i,
				NULL);
	for (int i = 0; i < WATCHERS; i++)
		WAIT_FOR(atomic_load(&peers[i].has_status));
	letters_init(&l, 200, 0, LETTERS_DATA_MAX);
	node_bed_post(&bed, &l, CAP_WAKU, 4, 10);
	CHECK(l.confirmed == l.count);
	for (int i = 0; i < WATCHERS; i++) {
		unsigned each = (unsigned)((all->count + l.count) /
					   (i < 3 ? 1 : LETTERS_TOPICS));

		WAIT_FOR(atomic_load(&peers[i].count) >= each);
	}
	nap_ms(500); /* nobody is told twice */
	for (int i = 0; i < WATCHERS; i++) {
		unsigned each = (unsigned)((all->count + l.count) /
					   (i < 3 ? 1 : LETTERS_TOPICS));

		if (atomic_load(&peers[i].count) != each)
			(void)fprintf(stderr, "peer %d was told %u of %u\n", i,
				      atomic_load(&peers[i].count), each);
		CHECK(atomic_load(&peers[i].count) == each);
	}
	for (int i = 0; i < WATCHERS; i++)
		node_peer_stop(&peers[i]);
	letters_release(&l);
}

#define LATE        3
#define LATE_POSTED 15000
/* What sockets and one packet hold for one of them, generously. */
#define LATE_MAX (1000000 / LETTERS_DATA_MAX)

static uint64_t relayed(void)
{
	struct node_stats stats;

	node_stats(bed.node, &stats);
	return stats.envelopes_relayed;
}

/*
 * While they read nothing they are told no more than sockets hold, and when
 * they do they are told all the rest, each once.
 */
static void test_late(void)
{
	struct node_peer peers[LATE];
	struct letters l;

	check_scene("peers that read late");
	letters_init(&l, LATE_POSTED, 0, LETTERS_DATA_MAX);
	node_bed_post(&bed, &l, CAP_WAKU, 4, 100);
	CHECK(l.confirmed == l.count);
	for (int i = 0; i < LATE; i++)
		node_peer_start(&peers[i], &bed, NODE_PEER_LATE,
				i & 1 ? CAP_SHH : CAP_WAKU, -1, NULL);
	WAIT_FOR(relayed() >= LATE);
	nap_ms(1500);
	CHECK(relayed() <= (uint64_t)LATE * LATE_MAX);
	for (int i = 0; i < LATE; i++)
		atomic_store(&peers[i].is_awake, true);
	for (int i = 0; i < LATE; i++)
		WAIT_FOR(atomic_load(&peers[i].count) >= l.count);
	nap_ms(500); /* nobody is told twice */
	CHECK(relayed() == LATE * l.count);
	for (int i = 0; i < LATE; i++) {
		CHECK(atomic_load(&peers[i].count) == l.count);
		node_peer_stop(&peers[i]);
	}
	letters_release(&l);
}

static void test_twins(void)
{
	struct node_peer first, second;

	check_scene("a key that is connected already");
	node_peer_start(&first, &bed, NODE_PEER_TWIN, CAP_WAKU, -1, NULL);
	WAIT_FOR(atomic_load(&first.has_status));
	for (unsigned i = 0; i < 4; i++) {
		node_peer_start(&second, &bed, NODE_PEER_TWIN, CAP_SHH, -1,
				&first.key);
		WAIT_FOR(atomic_load(&second.reason) != -1);
		CHECK(atomic_load(&second.reason) == P2P_ALREADY_CONNECTED);
		node_peer_stop(&second);
	}
	CHECK(atomic_load(&first.reason) == -1);
	node_peer_stop(&first);
}

static void test_greedy(void)
{
	struct node_peer greedy;

	check_scene("more questions at once than may be in work");
	node_peer_start(&greedy, &bed, NODE_PEER_GREEDY, CAP_WAKU, -1, NULL);
	WAIT_FOR(atomic_load(&greedy.served) + atomic_load(&greedy.refused) ==
		 NODE_PEER_ASKED);
	CHECK(atomic_load(&greedy.served) >= 8);
	CHECK(atomic_load(&greedy.refused) >= 1);
	CHECK(atomic_load(&greedy.reason) == -1);
	node_peer_stop(&greedy);
}

static void test_rude(void)
{
	struct node_peer peer;

	check_scene("no Status first");
	node_peer_start(&peer, &bed, NODE_PEER_RUDE, CAP_WAKU, -1, NULL);
	WAIT_FOR(atomic_load(&peer.reason) != -1);
	CHECK(atomic_load(&peer.reason) == P2P_SUBPROTOCOL);
	node_peer_stop(&peer);
	check_scene("malformed envelopes");
	node_peer_start(&peer, &bed, NODE_PEER_JUNK, CAP_SHH, -1, NULL);
	WAIT_FOR(atomic_load(&peer.reason) != -1);
	CHECK(atomic_load(&peer.reason) == P2P_SUBPROTOCOL);
	node_peer_stop(&peer);
}

static void test_forms(void)
{
	struct node_peer peer;

	check_scene("one envelope a packet");
	for (unsigned i = 0; i < 2; i++) {
		node_peer_start(&peer, &bed, NODE_PEER_SINGLES,
				i ? CAP_SHH : CAP_WAKU, -1, NULL);
		WAIT_FOR(atomic_load(&peer.is_complete));
		CHECK(atomic_load(&peer.count) == 1000);
		CHECK(peer.packets == 1000);
		node_peer_stop(&peer);
	}
	check_scene("sync");
	node_peer_start(&peer, &bed, NODE_PEER_SYNC, CAP_SHH, -1, &bed.syncer);
	WAIT_FOR(atomic_load(&peer.is_complete));
	CHECK(atomic_load(&peer.count) == 1000);
	node_peer_stop(&peer);
}

#define SLEEPERS 4

/* Call with a full archive: they delay nobody. */
static void test_sleepers(struct letters *l)
{
	struct node_peer peers[SLEEPERS];
	uint64_t start_ms;

	check_scene("peers that never read");
	for (int i = 0; i < SLEEPERS; i++)
		node_peer_start(&peers[i], &bed, NODE_PEER_SLEEP, CAP_WAKU, -1,
				NULL);
	nap_ms(300);
	start_ms = clock_mono_ms();
	expect(l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	CHECK(clock_mono_ms() - start_ms < 5000);
	for (int i = 0; i < SLEEPERS; i++)
		node_peer_stop(&peers[i]);
}

/* The disk refuses: nothing is confirmed, reading goes on, nothing is lost. */
static void test_refusing_disk(const struct letters *stored)
{
	struct client_config config;
	struct client_post job = letters_job(10, 1);
	struct rlimit limit, small;
	char why[CLIENT_WHY_MAX];
	struct node_stats stats;
	struct letters l;

	check_scene("a disk that refuses");
	letters_init(&l, 500, 0, LETTERS_DATA_MAX);
	config = node_bed_client(&bed, CAP_WAKU, &l);
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
	expect(stored, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	node_bed_stop(&bed);
	node_bed_start(&bed);
	node_bed_post(&bed, &l, CAP_WAKU, 1, 50);
	CHECK(l.confirmed == l.count);
	node_stats(bed.node, &stats);
	CHECK(stats.is_healthy);
	letters_release(&l);
}

/* A second node that dials the first as a static peer. */
static void test_static_peer(void)
{
	static struct node_bed second;
	struct enode friend = {.host = "localhost",
			       .tcp = ntohs(bed.addr.sin_port)};
	struct node_stats stats;
	struct letters l;

	check_scene("a static peer");
	memcpy(friend.public, bed.key.public, SECP_PUBLIC_SIZE);
	node_bed_init(&second, bed.engine);
	second.friends = &friend;
	second.friends_count = 1;
	node_bed_start(&second);
	WAIT_FOR((node_stats(second.node, &stats), stats.peers > 0));
	letters_init(&l, 300, 0, LETTERS_DATA_MAX);
	node_bed_post(&second, &l, CAP_SHH, 2, 7);
	WAIT_FOR((node_stats(bed.node, &stats),
		  stats.envelopes_accepted >= l.count));
	CHECK(stats.envelopes_accepted == l.count);
	node_bed_stop(&second);
	node_bed_release(&second);
	nap_ms(100); /* what arrived is on its way to the disk */
	expect(&l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	letters_release(&l);
}

/* Slow disks and low rates make peers wait and lose nothing. */
static void test_narrow(void)
{
	struct letters l;
	uint64_t start_ms;

	check_scene("an archive with short queues");
	bed.queue_bytes = 8192;
	node_bed_start(&bed);
	letters_init(&l, 2000, 0, LETTERS_DATA_MAX);
	node_bed_post(&bed, &l, CAP_WAKU, 4, 20);
	CHECK(l.confirmed == l.count);
	node_bed_stop(&bed);
	bed.queue_bytes = 0;
	check_scene("a rate");
	bed.envelopes = (struct node_rate){1000, 500};
	node_bed_start(&bed);
	start_ms = clock_mono_ms();
	node_bed_post(&bed, &l, CAP_SHH, 1, 50);
	CHECK(clock_mono_ms() - start_ms >= 1000);
	expect(&l, CAP_SHH, CLIENT_DIRECT, -1, 1000);
	bed.envelopes = (struct node_rate){0, 0};
	node_bed_stop(&bed);
	letters_release(&l);
}

static void test_whole(enum ring_engine engine)
{
	struct letters l;

	node_bed_init(&bed, engine);
	letters_init(&l, 3000, 0, LETTERS_DATA_MAX);
	node_bed_start(&bed);
	test_posting(&l);
	check_scene("fetching");
	expect_all_forms(&l);
	test_denied();
	test_bad();
	test_twins();
	test_greedy();
	test_rude();
	test_forms();
	test_sleepers(&l);
	check_scene("restart");
	node_bed_stop(&bed);
	node_bed_start(&bed);
	expect(&l, CAP_WAKU, CLIENT_DIRECT, -1, 1000);
	test_refusing_disk(&l);
	node_bed_stop(&bed);
	/* The pool of a new node is empty: what it tells is what comes now. */
	check_scene("telling");
	node_bed_start(&bed);
	l.count = 0;
	test_telling(&l);
	node_bed_stop(&bed);
	letters_release(&l);
	node_bed_release(&bed);
}

static void run(enum ring_engine engine)
{
	test_whole(engine);
	node_bed_init(&bed, engine);
	test_narrow();
	node_bed_release(&bed);
	node_bed_init(&bed, engine);
	node_bed_start(&bed);
	test_static_peer();
	node_bed_stop(&bed);
	node_bed_release(&bed);
	node_bed_init(&bed, engine);
	node_bed_start(&bed);
	test_late();
	node_bed_stop(&bed);
	node_bed_release(&bed);
}

int main(void)
{
	log_set_level(LOG_LEVEL_UNUSUAL);
	run(RING_AUTO);
	run(RING_EPOLL);
	printf("ok\n");
	return 0;
}
