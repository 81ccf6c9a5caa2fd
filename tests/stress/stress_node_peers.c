/*
 * The list of peers, while peers come and go, envelopes flow and the node is
 * stopped: everybody who stays is in it, rings that are asked without a wait
 * answer into nobody's hands, and nothing is lost or freed twice.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/log.h"
#include "net/node.h"
#include "tests/support/check.h"
#include "tests/support/letters.h"
#include "tests/support/node_bed.h"
#include "tests/support/node_peer.h"

#define STAYING 4
#define ASKERS  3
#define POSTS   3

static struct node_bed bed;
static atomic_bool is_over;
static atomic_uint answers, silences;

static bool has_peer(const struct node_peer_view *list, size_t count,
		     const struct node_peer *peer)
{
	for (size_t i = 0; i < count; i++) {
		if (memcmp(list[i].node, peer->key.public, SECP_PUBLIC_SIZE) !=
		    0)
			continue;
		CHECK(list[i].caps[peer->cap]);
		CHECK(!list[i].is_outgoing);
		CHECK(list[i].addr.ss_family == AF_INET);
		CHECK(list[i].read_bytes > 0 && list[i].sent_bytes > 0);
		CHECK(list[i].client[0] != '\0');
		return true;
	}
	return false;
}

/* Every third time without any patience: rings then answer too late. */
static void *ask(void *arg)
{
	struct node_peer *staying = arg;
	struct node_peer_view *list;
	unsigned silent;
	size_t count;

	for (unsigned n = 0; !atomic_load(&is_over); n++) {
		CHECK(node_peers(bed.node, n % 3 ? 2000 : 0, &list, &count,
				 &silent) == 0);
		if (silent == 0)
			for (int i = 0; i < STAYING; i++)
				CHECK(has_peer(list, count, &staying[i]));
		free(list);
		atomic_fetch_add(silent ? &silences : &answers, 1);
	}
	return NULL;
}

static void come_and_go(struct letters *l)
{
	struct node_peer visitor;

	for (int i = 0; i < POSTS; i++) {
		node_peer_start(&visitor, &bed, NODE_PEER_WATCH, CAP_SHH, -1,
				NULL);
		node_bed_post(&bed, l, CAP_WAKU, 3, 20);
		node_peer_stop(&visitor);
	}
}

int main(void)
{
	struct node_peer staying[STAYING];
	struct letters l;
	pthread_t askers[ASKERS];

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_BROKEN);
	letters_init(&l, 300, 0, 200);
	node_bed_init(&bed, RING_AUTO);
	node_bed_start(&bed);
	for (int i = 0; i < STAYING; i++)
		node_peer_start(&staying[i], &bed, NODE_PEER_WATCH,
				i % 2 ? CAP_SHH : CAP_WAKU, -1, NULL);
	for (int i = 0; i < STAYING; i++)
		WAIT_FOR(atomic_load(&staying[i].has_status));
	check_scene("asking while peers come and go");
	for (int i = 0; i < ASKERS; i++)
		CHECK(pthread_create(&askers[i], NULL, ask, staying) == 0);
	come_and_go(&l);
	/* Who asks is done before the node stops, the rings may not be. */
	atomic_store(&is_over, true);
	for (int i = 0; i < ASKERS; i++)
		CHECK(pthread_join(askers[i], NULL) == 0);
	CHECK(atomic_load(&answers) > 10);
	check_scene("stopping with questions on their way");
	for (int i = 0; i < 100; i++) {
		struct node_peer_view *list;
		unsigned silent;
		size_t count;

		CHECK(node_peers(bed.node, 0, &list, &count, &silent) == 0);
		free(list);
	}
	node_bed_stop(&bed);
	for (int i = 0; i < STAYING; i++)
		node_peer_stop(&staying[i]);
	node_bed_release(&bed);
	letters_release(&l);
	printf("ok: %u whole lists, %u with rings that were silent\n",
	       atomic_load(&answers), atomic_load(&silences));
	return 0;
}
