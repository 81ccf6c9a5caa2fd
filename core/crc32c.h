#ifndef CORE_CRC32C_H
#define CORE_CRC32C_H
/*
 * CRC-32C (Castagnoli), as stored records carry it.
 *
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

/* Go on from `crc`; begin with 0. */
uint32_t crc32c(uint32_t crc, const void *in, size_t len);

#endif
