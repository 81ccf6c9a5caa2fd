#ifndef AUTH_BOARD_H
#define AUTH_BOARD_H
/*
 * A small value that one thread writes and any thread reads whole, without a
 * lock: a reader that meets a change in progress reads again.
 *
 * Thread: board_write() from one, board_read() from any.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_SIZE 320 /* bytes of the largest value */

struct board {
	atomic_uint turn; /* odd while being written */
	_Atomic uint64_t words[BOARD_SIZE / sizeof(uint64_t)];
};

/* `size` at most BOARD_SIZE; the same for both. Before the first write all
 * bytes are zero. */
void board_write(struct board *board, const void *value, size_t size);
void board_read(const struct board *board, void *value, size_t size);

#endif
