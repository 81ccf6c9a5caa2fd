#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H
/*
 * How long the gate's check of one node takes, and beside it a plain loop that
 * takes as long when nothing comes between: what both show is the machine's,
 * what the check alone shows is its own.
 *
 * Each probe is a check by the wall, the loop by the wall, and a check by the
 * CPU time of its thread, which leaves out being scheduled away.
 *
 * Thread: one.
 */
#include "auth/gate.h"
#include "bench/series.h"

struct probe {
	struct gate_reader *reader;
	uint64_t steps;    /* of the loop */
	uint64_t clock_ns; /* what reading the thread's clock costs */
	uint64_t allowed, denied;
	/* Of this round; probe_take() clears them. */
	struct histogram check, loop, cpu;
	/* Of all rounds. */
	struct histogram all_check, all_loop, all_cpu;
	struct series check_p50, check_p99, loop_p99, cpu_p99;
	struct series faults; /* minor page faults a check */
	uint64_t faults_begun;
};

/*
 * Take a reader of this gate, and measure the loop and the clock against
 * checks of `node`. The probe begins with all zero; what it has measured
 * stays when it is closed and opened again.
 */
void probe_open(struct probe *probe, struct gate *gate,
		const uint8_t node[static SECP_PUBLIC_SIZE]);
void probe_close(struct probe *probe);
/* Forget what has happened since, begin a round. */
void probe_begin(struct probe *probe);
/* Two nodes, so that neither has just been looked up. */
void probe_check(struct probe *probe,
		 const uint8_t node[static SECP_PUBLIC_SIZE],
		 const uint8_t other[static SECP_PUBLIC_SIZE]);
/* End a round and keep its figures. */
void probe_take(struct probe *probe);
/* `target_us` of the check's p99, 0: none. */
void probe_put(const struct probe *probe, const char *scenario,
	       const char *work, double target_us);

#endif
