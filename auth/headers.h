#ifndef AUTH_HEADERS_H
#define AUTH_HEADERS_H
/*
 * The ring of the last headers of a chain and where a new head leaves them
 * (payments.md §11), without any asking: whoever has the headers feeds them.
 *
 * Thread: its owner's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/chain.h"

#define HEADERS_MAX 4096

struct headers {
	struct {
		uint8_t hash[32];
	} ring[HEADERS_MAX];
	uint64_t first; /* numbers first..tip are known */
	uint64_t tip;
	bool is_empty;
};

void headers_init(struct headers *headers);
/* The hash of that number, NULL if it is not in the ring. */
const uint8_t *headers_find(const struct headers *headers, uint64_t number);
/*
 * Make `chain` the newest part: `count` headers, oldest first, each the parent
 * of the next; chain[0]'s parent is in the ring or nothing below it is known
 * any more. Numbers above it that were there are forgotten.
 */
void headers_set(struct headers *headers, const struct chain_header *chain,
		 unsigned count);
/* Forget what is below the ring's own: start anew at this header. */
void headers_restart(struct headers *headers, const struct chain_header *at);

#endif
