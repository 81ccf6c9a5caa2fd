#ifndef CORE_SNAP_H
#define CORE_SNAP_H
/*
 * Snappy blocks (protocol/rlpx.md §6): decompression with the length checked
 * first, and a writer of literals only, since envelopes do not compress.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

/* Declared plain size. 0, ERR_SYNTAX, or ERR_RANGE above `max`. */
int snap_plain_size(const uint8_t *in, size_t len, size_t max, size_t *size);
/*
 * `size` is what snap_plain_size() gave; exactly so much is written. Returns
 * 0, ERR_SYNTAX, or ERR_RANGE when the block declares another size.
 */
int snap_decompress(const uint8_t *in, size_t len, uint8_t *out, size_t size);

/*
 * What must stand before `size` plain bytes so that both together are one
 * valid snappy block of a single literal. Returns its length, at most
 * SNAP_PREFIX_MAX. A size of 0 gives the one byte 00; 2^24 is the largest.
 */
#define SNAP_PREFIX_MAX 9
size_t snap_literal_prefix(size_t size, uint8_t out[static SNAP_PREFIX_MAX]);

#endif
