#ifndef NET_GOSSIP_H
#define NET_GOSSIP_H
/*
 * Telling peers about envelopes (protocol/whisper-waku.md §8). What a peer has
 * still to be told is a cursor into the pool's sequence; beside it stand only
 * the envelopes ahead of the cursor that came from the peer itself.
 *
 * A peer is told one packet, and the next one when its link has handed that
 * over to the kernel; until then nothing is looked up, copied or sealed for
 * it. So one that does not read costs nothing once its socket is full. Those
 * that can be told stand in line; a turn of the ring's serves a part of it, and
 * only what others leave of the ring's time (they wait 2 ms at most).
 *
 * Between two turns the ring sleeps. A hundred peers who come at once and are
 * told all that there is would else keep its processor busy on end, and who
 * was to run there, as the archive's writer, would wait for the scheduler's
 * whole slice while others wait for their confirmations.
 *
 * Thread: a ring's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node_ring;
struct session;

#define GOSSIP_EVERY_MS 300
/* After a peer's Status: it may be about to tell what it wants (§2.2). */
#define GOSSIP_FIRST_MS 2000
/* Envelopes in one packet; the wire allows a mebibyte. Who told a rate of
 * packets gets fewer, larger ones. */
#define GOSSIP_PACKET_MAX   (32u << 10)
#define GOSSIP_PACKET_RATED (128u << 10)
/* Told in one turn, so that confirmations and answers do not wait for a
 * hundred peers; packets of several are sealed together. */
#define GOSSIP_TURN_MAX (256u << 10)
/*
 * A turn begins so long after the one before; when more than that much was
 * told since the last gossip_tick(), at once: where so many keep up with so
 * much, nobody shall fall behind.
 */
#define GOSSIP_TURN_US   450u
#define GOSSIP_PACED_MAX (32u << 20)
/* Looked at for one peer in one go, and what one of them counts in a turn. */
#define GOSSIP_LOOKS_MAX 4096u
#define GOSSIP_LOOK_COST 16u
/*
 * A change of interest has the pool looked at again, a part in each go. Nobody
 * has that begun oftener than this, but for a few times at first; changes that
 * come meanwhile are looked at together.
 */
#define GOSSIP_RESCAN_S       10u
#define GOSSIP_RESCAN_BURST_S 40u
/* So long others are served first. */
#define GOSSIP_PATIENCE_US 2000u

/* This peer has the envelope with that number. */
void gossip_known(struct session *session, uint64_t seq);
/* Each peer is to be told what it has not been told, from now on. */
void gossip_tick(struct node_ring *ring, uint64_t now_ms);
/*
 * Is it time for a turn, `since_us` after the last one began, when `told` bytes
 * were told since the last tick? `is_idle`: nobody else has work for the ring.
 */
bool gossip_is_turn(uint64_t since_us, size_t told, bool is_idle);
/* Once a round, before links send: tell some of those in line. */
void gossip_go_on(struct node_ring *ring, uint64_t now_ms);
/* The peer's link has sent all that it had. */
void gossip_emptied(struct session *session);
/* The peer is to be told nothing any more. */
void gossip_leave(struct session *session);

#endif
