#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H
/*
 * For programs with threads, which no test framework runs: what is not so is
 * named with its place and the scene, and ends the program.
 *
 * Thread: any; scenes are the main thread's to set.
 */
#include "core/clock.h"

#define CHECK(what) CHECK_SAY(what, #what)

/* The same with words of one's own. */
#define CHECK_SAY(what, words)                                                 \
	((what) ? (void)0 : check_failed((words), __FILE__, __LINE__))

/* Far more than it takes: ThreadSanitizer on a busy machine is slow. */
#define CHECK_PATIENCE_MS 60000

/* Until it is so. */
#define WAIT_FOR(what)                                                         \
	do {                                                                   \
		uint64_t until_ms_ = clock_mono_ms() + CHECK_PATIENCE_MS;      \
		while (!(what)) {                                              \
			if (clock_mono_ms() > until_ms_)                       \
				check_failed(#what, __FILE__, __LINE__);       \
			nap_ms(2);                                             \
		}                                                              \
	} while (0)

/* What is tried from here on; a literal. */
void check_scene(const char *name);
_Noreturn void check_failed(const char *what, const char *file, int line);
void nap_ms(unsigned ms);

#endif
