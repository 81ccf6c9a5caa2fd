#include "core/futex.h"

#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(atomic_uint) == sizeof(uint32_t),
	      "the kernel waits on 32 bits");

void futex_sleep(atomic_uint *word, unsigned value, uint32_t timeout_ms)
{
	struct timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (long)(timeout_ms % 1000) * 1000000,
	};

	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
		      timeout_ms == FUTEX_FOREVER ? NULL : &ts, NULL, 0);
}

void futex_rouse(atomic_uint *word, unsigned count)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL,
		      0);
}
