#ifndef AUTH_RATES_H
#define AUTH_RATES_H
/*
 * Token buckets by source in a table of fixed size (payments.md §7, §19). No
 * lock: ring threads ask. When more sources are busy than the table holds, the
 * one that owes least is forgotten.
 *
 * Thread: new and free from one, taking from any.
 */
#include <stdbool.h>
#include <stdint.h>

struct rates;

/* `burst` at once, then `per_min` a minute; per_min 0: no limit. NULL: no
 * memory. */
struct rates *rates_new(unsigned per_min, unsigned burst);
void rates_free(struct rates *rates);
/* May this source go on? If not, *retry_s is when, in seconds from now. */
bool rates_take(struct rates *rates, uint64_t source, uint64_t now_ms,
		uint32_t *retry_s);

#endif
