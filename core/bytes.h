#ifndef CORE_BYTES_H
#define CORE_BYTES_H
/*
 * Big-endian loads and stores, hexadecimal text, constant-time comparison.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint16_t be16_load(const uint8_t in[static 2]);
uint32_t be32_load(const uint8_t in[static 4]);
uint64_t be64_load(const uint8_t in[static 8]);
void be16_store(uint8_t out[static 2], uint16_t value);
void be32_store(uint8_t out[static 4], uint32_t value);
void be64_store(uint8_t out[static 8], uint64_t value);

/* Write 2 * len lower-case digits and a NUL to `out`. */
void hex_encode(const uint8_t *in, size_t len, char *out);

/*
 * Decode exactly 2 * len digits of either case from `text` (`text_len`
 * characters, no 0x). Returns 0 or ERR_SYNTAX; `out` is then undefined.
 */
int hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

/* Equal in time that depends on `len` alone. */
bool bytes_equal_ct(const uint8_t *a, const uint8_t *b, size_t len);

/* Fill with bytes from the system's generator; aborts if there are none. */
void bytes_random(uint8_t *out, size_t len);

/* Overwrite in a way the compiler keeps. */
void bytes_erase(void *mem, size_t len);

#endif
