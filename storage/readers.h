#ifndef STORAGE_READERS_H
#define STORAGE_READERS_H
/*
 * Who is reading, so that what a writer took out of the catalog is released
 * when the last one who might have seen it has left. A reader enters, uses
 * what it finds, and leaves; it waits for nobody. A writer unlinks a thing,
 * takes a stamp, and may release it once is_past() says so.
 *
 * Thread: any.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define READERS_MAX 288

struct query_work;

struct reader {
	_Alignas(64) _Atomic uint64_t epoch; /* 0: outside */
	atomic_bool is_taken;
	struct query_work *work; /* the query's memory, kept between steps */
};

struct readers {
	_Atomic uint64_t epoch;
	struct reader slots[READERS_MAX];
};

void readers_init(struct readers *readers);
/* Never NULL; yields the processor while more than READERS_MAX are inside. */
struct reader *readers_enter(struct readers *readers);
void readers_leave(struct reader *reader);
/* After the thing was unlinked with a seq_cst store. */
uint64_t readers_stamp(struct readers *readers);
bool readers_is_past(struct readers *readers, uint64_t stamp);

#endif
