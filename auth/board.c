#include "auth/board.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

#define WORD sizeof(uint64_t)

/* Every access is sequentially consistent: small, rare, and plainly right. */
void board_write(struct board *board, const void *value, size_t size)
{
	const uint8_t *bytes = value;

	assert(size <= BOARD_SIZE);
	atomic_fetch_add(&board->turn, 1);
	for (size_t at = 0; at < size; at += WORD) {
		uint64_t word = 0;

		memcpy(&word, bytes + at, size - at < WORD ? size - at : WORD);
		atomic_store(&board->words[at / WORD], word);
	}
	atomic_fetch_add(&board->turn, 1);
}

void board_read(const struct board *board, void *value, size_t size)
{
	uint8_t *bytes = value;
	unsigned turn;

	assert(size <= BOARD_SIZE);
	for (;;) {
		turn = atomic_load(&board->turn);
		for (size_t at = 0; at < size; at += WORD) {
			uint64_t word = atomic_load(&board->words[at / WORD]);

			memcpy(bytes + at, &word,
			       size - at < WORD ? size - at : WORD);
		}
		if (turn % 2 == 0 && atomic_load(&board->turn) == turn)
			return;
		(void)sched_yield();
	}
}
