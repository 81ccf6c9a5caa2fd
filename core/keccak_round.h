#ifndef CORE_KECCAK_ROUND_H
#define CORE_KECCAK_ROUND_H
/*
 * One round of Keccak-f[1600] (FIPS 202, 3.2) and all twenty-four, in terms
 * of operations on a lane type that the including file names: a word for one
 * state, a vector for several states side by side. For keccak*.c alone.
 *
 * The includer defines
 *	KECCAK_XOR(a, b), KECCAK_XOR3(a, b, c), KECCAK_ROL(a, n),
 *	KECCAK_CHI(a, b, c)	a ^ (~b & c)
 *	KECCAK_RC(i)		round constant i in each lane
 * and has 25 variables a00..a44 and 25 b00..b44 (row, column) as well as
 * c0..c4 and d0..d4.
 */
#include <stdint.h>

extern const uint64_t keccak_round_constants[24];

/* The permutation takes row y, column x to row 2x + 3y, column y. */
/* clang-format off */
#define KECCAK_SUM(p, x) \
	KECCAK_XOR3(KECCAK_XOR3(p##0##x, p##1##x, p##2##x), p##3##x, p##4##x)
#define KECCAK_MOVE(lane, d, n) KECCAK_ROL(KECCAK_XOR(lane, d), n)
#define KECCAK_ROW(q, y, t0, t1, t2, t3, t4)                                  \
	do {                                                                  \
		q##y##0 = KECCAK_CHI(t0, t1, t2);                             \
		q##y##1 = KECCAK_CHI(t1, t2, t3);                             \
		q##y##2 = KECCAK_CHI(t2, t3, t4);                             \
		q##y##3 = KECCAK_CHI(t3, t4, t0);                             \
		q##y##4 = KECCAK_CHI(t4, t0, t1);                             \
	} while (0)

#define KECCAK_ROUND(p, q, i)                                                 \
	do {                                                                  \
		c0 = KECCAK_SUM(p, 0);                                        \
		c1 = KECCAK_SUM(p, 1);                                        \
		c2 = KECCAK_SUM(p, 2);                                        \
		c3 = KECCAK_SUM(p, 3);                                        \
		c4 = KECCAK_SUM(p, 4);                                        \
		d0 = KECCAK_XOR(c4, KECCAK_ROL(c1, 1));                       \
		d1 = KECCAK_XOR(c0, KECCAK_ROL(c2, 1));                       \
		d2 = KECCAK_XOR(c1, KECCAK_ROL(c3, 1));                       \
		d3 = KECCAK_XOR(c2, KECCAK_ROL(c4, 1));                       \
		d4 = KECCAK_XOR(c3, KECCAK_ROL(c0, 1));                       \
		c0 = KECCAK_XOR(p##00, d0);                                   \
		c1 = KECCAK_MOVE(p##11, d1, 44);                              \
		c2 = KECCAK_MOVE(p##22, d2, 43);                              \
		c3 = KECCAK_MOVE(p##33, d3, 21);                              \
		c4 = KECCAK_MOVE(p##44, d4, 14);                              \
		KECCAK_ROW(q, 0, c0, c1, c2, c3, c4);                         \
		q##00 = KECCAK_XOR(q##00, KECCAK_RC(i));                      \
		c0 = KECCAK_MOVE(p##03, d3, 28);                              \
		c1 = KECCAK_MOVE(p##14, d4, 20);                              \
		c2 = KECCAK_MOVE(p##20, d0, 3);                               \
		c3 = KECCAK_MOVE(p##31, d1, 45);                              \
		c4 = KECCAK_MOVE(p##42, d2, 61);                              \
		KECCAK_ROW(q, 1, c0, c1, c2, c3, c4);                         \
		c0 = KECCAK_MOVE(p##01, d1, 1);                               \
		c1 = KECCAK_MOVE(p##12, d2, 6);                               \
		c2 = KECCAK_MOVE(p##23, d3, 25);                              \
		c3 = KECCAK_MOVE(p##34, d4, 8);                               \
		c4 = KECCAK_MOVE(p##40, d0, 18);                              \
		KECCAK_ROW(q, 2, c0, c1, c2, c3, c4);                         \
		c0 = KECCAK_MOVE(p##04, d4, 27);                              \
		c1 = KECCAK_MOVE(p##10, d0, 36);                              \
		c2 = KECCAK_MOVE(p##21, d1, 10);                              \
		c3 = KECCAK_MOVE(p##32, d2, 15);                              \
		c4 = KECCAK_MOVE(p##43, d3, 56);                              \
		KECCAK_ROW(q, 3, c0, c1, c2, c3, c4);                         \
		c0 = KECCAK_MOVE(p##02, d2, 62);                              \
		c1 = KECCAK_MOVE(p##13, d3, 55);                              \
		c2 = KECCAK_MOVE(p##24, d4, 39);                              \
		c3 = KECCAK_MOVE(p##30, d0, 41);                              \
		c4 = KECCAK_MOVE(p##41, d1, 2);                               \
		KECCAK_ROW(q, 4, c0, c1, c2, c3, c4);                         \
	} while (0)

/* Do `op` with the name and index of each lane of a block, of a state. */
#define KECCAK_RATE_LANES(op)                                                 \
	op(00, 0) op(01, 1) op(02, 2) op(03, 3) op(04, 4)                     \
	op(10, 5) op(11, 6) op(12, 7) op(13, 8) op(14, 9)                     \
	op(20, 10) op(21, 11) op(22, 12) op(23, 13) op(24, 14)                \
	op(30, 15) op(31, 16)
#define KECCAK_LANES(op)                                                      \
	KECCAK_RATE_LANES(op)                                                 \
	op(32, 17) op(33, 18) op(34, 19)                                      \
	op(40, 20) op(41, 21) op(42, 22) op(43, 23) op(44, 24)
/* clang-format on */

#endif
