#ifndef AUTH_COUNTS_H
#define AUTH_COUNTS_H
/*
 * How often each of many 64-bit keys occurs: the bounds of open claims by
 * source, node and payer (payments.md §16.3). Keys are keyed hashes, so that
 * nobody outside can choose where they fall.
 *
 * Thread: its owner's.
 */
#include <stddef.h>
#include <stdint.h>

struct counts {
	struct count_slot {
		uint64_t key;
		uint32_t count; /* 0: the slot is free */
	} * slots;
	size_t mask;
	size_t used;
};

/* Room for `keys_max` different keys. 0 or ERR_NOMEM. */
int counts_init(struct counts *counts, size_t keys_max);
void counts_release(struct counts *counts);
uint32_t counts_get(const struct counts *counts, uint64_t key);
/* 0 or ERR_FULL. */
int counts_add(struct counts *counts, uint64_t key);
/* The key must be there. */
void counts_sub(struct counts *counts, uint64_t key);

#endif
