#ifndef CORE_FUTEX_H
#define CORE_FUTEX_H
/*
 * The kernel's wait on a word of memory, for core/mailbox and core/pool alone.
 * Both calls may return for no reason: look at the word again.
 *
 * Thread: any.
 */
#include <stdatomic.h>
#include <stdint.h>

#define FUTEX_FOREVER UINT32_MAX

/* Sleep while the word is `value`, at most `timeout_ms` or FUTEX_FOREVER. */
void futex_sleep(atomic_uint *word, unsigned value, uint32_t timeout_ms);
/* Wake up to `count` of those who sleep on it. */
void futex_rouse(atomic_uint *word, unsigned count);

#endif
