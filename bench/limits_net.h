#ifndef BENCH_LIMITS_NET_H
#define BENCH_LIMITS_NET_H
/*
 * TCP on loopback: how many bytes a second two threads move, and what a byte
 * costs the one that sends, and how long a word and its answer take.
 *
 * Thread: main; starts one more while it measures.
 */
#include <stdbool.h>

#include "bench/series.h"

enum { NET_PLAIN, NET_URING_1, NET_URING_8, NET_KINDS };

struct limits_net {
	struct series rate[NET_KINDS];   /* GB/s */
	struct series sender[NET_KINDS]; /* CPU, ns/kB */
	struct series trip;              /* p50 of a round trip, us */
	struct histogram trips;
};
/* For so long each. */
void limits_net_measure(struct limits_net *net, uint64_t round_ns, bool counts);
void limits_net_put(const struct limits_net *net);

#endif
