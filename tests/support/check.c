#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *scene = "start";

void check_scene(const char *name)
{
	scene = name;
}

_Noreturn void check_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: %s: not so: %s (errno %d)\n", file, line,
		      scene, what, errno);
	abort();
}

void nap_ms(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000,
				.tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&time, NULL);
}
