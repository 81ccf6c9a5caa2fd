#ifndef NET_GOSSIP_H
#define NET_GOSSIP_H
/*
 * Telling peers about envelopes (protocol/whisper-waku.md §8). What a peer has
 * still to be told is a cursor into the pool's sequence; beside it stand only
 * the envelopes ahead of the cursor that came from the peer itself.
 *
 * Thread: a ring's.
 */
#include <stdint.h>

struct node_ring;
struct session;

#define GOSSIP_EVERY_MS 300
/* After a peer's Status: it may be about to tell what it wants (§2.2). */
#define GOSSIP_FIRST_MS 2000
/* Envelopes in one packet; the wire allows a mebibyte. */
#define GOSSIP_PACKET_MAX (128u << 10)
/* Told in one round of the ring, so that confirmations and answers do not wait
 * for a hundred peers; packets of several are sealed together. */
#define GOSSIP_ROUND_MAX (1u << 20)

/* This peer has the envelope with that number. */
void gossip_known(struct session *session, uint64_t seq);
/* Each peer is to be told what it has not been told, from now on. */
void gossip_tick(struct node_ring *ring, uint64_t now_ms);
/* Once a round: a part of what the last tick left to tell. */
void gossip_go_on(struct node_ring *ring, uint64_t now_ms);

#endif
