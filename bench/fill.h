#ifndef BENCH_FILL_H
#define BENCH_FILL_H
/*
 * Archives filled without a server, for what is measured on large ones.
 *
 * Thread: main.
 */
#include <stdint.h>

#include "bench/corpus.h"

/*
 * Fill the archive in a data directory of the server with so many envelopes
 * of 512 B over 1000 topics, spread over the last day, in the order of time.
 */
void fill_archive(const char *datadir, uint32_t count, uint64_t seed);
/* The same with a corpus of one's own. */
void fill_archive_from(const char *datadir, const struct corpus *corpus);

#endif
