#ifndef TESTS_SUPPORT_RING_BED_H
#define TESTS_SUPPORT_RING_BED_H
/*
 * A ring that listens on loopback, in a thread of its own. The first byte of
 * a connection says how the ring's side of it behaves (enum ring_bed_mode).
 * That `closed` comes once, and nothing after it, is looked at here.
 *
 * Thread: made and stopped on one; counters and flags may be used on any.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/ring.h"

#define RING_BED_SEND_SIZE ((size_t)4 << 20)
#define RING_BED_HELD_MAX  64

enum ring_bed_mode {
	RING_BED_ECHO = 'E',
	RING_BED_HOARD = 'H', /* echo, and keep all buffers until a tick */
	RING_BED_SEND =
		'S', /* send RING_BED_SEND_SIZE bytes, close when sent */
	RING_BED_NEVER = 'N',       /* the same, close at the third tick */
	RING_BED_PAUSE = 'P',       /* pause; go on when told; then count */
	RING_BED_CLOSE = 'C',       /* close at once, twice */
	RING_BED_SEND_CLOSE = 'X',  /* begin to send and close in one breath */
	RING_BED_SENT_CLOSE = 'Y',  /* echo once, close in `sent` */
	RING_BED_PAUSE_CLOSE = 'Z', /* pause and close */
};

struct ring_bed_conn;
struct ring_bed {
	struct ring *ring;
	pthread_t thread;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	bool close_on_accept;
	bool is_dead; /* ring_run() returned an error */
	struct ring_buf *hoard[RING_BED_HELD_MAX];
	unsigned hoard_count;
	struct ring_bed_conn *conns; /* alive; the ring's thread only */
	atomic_int opened, closed, errors, timeouts;
	atomic_bool go_on, is_paused;
	atomic_uint paused_bytes;
	atomic_uint asked, seen; /* of wakes */
	/* Ask for so many rounds, each so long after the one before. */
	unsigned again, again_us;
	atomic_uint rounds;
	void (*on_start)(struct ring_bed *bed);
};

/* The byte at `at` of what RING_BED_SEND sends. */
uint8_t ring_bed_byte(size_t at);

/* Fields that are not zero are set before. Made on this thread, run on
 * another. */
void ring_bed_start(struct ring_bed *bed, const struct ring_config *config,
		    int family);
/* Also sees to it that every connection has ended. */
void ring_bed_stop(struct ring_bed *bed);
/* Ring's thread, that is in `on_start`: a connection the other way, which
 * sends as RING_BED_SEND does. */
void ring_bed_connect(struct ring_bed *bed, const struct sockaddr_in *addr,
		      unsigned timeout_ms, bool then_close);

#endif
