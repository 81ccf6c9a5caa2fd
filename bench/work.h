#ifndef BENCH_WORK_H
#define BENCH_WORK_H
/*
 * The two main paths as a piece of work: fresh envelopes in, everything out.
 *
 * Thread: any one; several may run at once.
 */
#include "bench/daemon.h"
#include "bench/load.h"
#include "bench/meters.h"

struct work_ingest {
	uint32_t per_packet;
	unsigned connections;
	uint32_t size;     /* of an envelope's data */
	uint32_t count;    /* envelopes */
	uint32_t spread_s; /* of `sent`, back from now; 0: the last minute */
	bool zipf;
	double rate; /* packets a second; 0: as fast as it goes */
	uint64_t seed;
	/* Not before then on the monotonic clock, all being made; 0: at once */
	uint64_t start_ms;
	_Atomic bool *is_over; /* set when all are acknowledged; or NULL */
};
/* `meters` NULL: not measured. Ends the program when one was not taken. */
void work_ingest(const struct bench *bench, const struct daemon *daemon,
		 const struct work_ingest *work, struct meters *meters);

/* Everything by so many clients in pages of 1000, `pages` of them each or, with
 * 0, to the end. Returns how many came. */
uint64_t work_fetch_all(const struct bench *bench, const struct daemon *daemon,
			unsigned clients, uint32_t pages,
			struct meters *meters);

/* The newest `limit` of a topic each, by one client. */
struct work_topics {
	uint64_t seed;
	uint32_t topics;  /* asked for: the first so many of the corpus */
	uint32_t queries; /* 0: until *stop */
	uint32_t limit;
	const _Atomic bool *stop;
};
void work_topics(const struct bench *bench, const struct daemon *daemon,
		 const struct work_topics *work, struct meters *meters);

#endif
