#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/usage.h"

#define BLOCK (1u << 20)
#define PARTS 8u

/* Blocks into a file that is gone with its descriptor. */
static int open_nameless(void)
{
	char path[] = "/tmp/test-usage-XXXXXX";
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	(void)unlink(path);
	return fd;
}

static uint64_t written_by(int fd, const void *bytes, size_t size, off_t at)
{
	struct usage_sample before, after;

	cr_assert(usage_of(getpid(), &before) == 0);
	cr_assert(pwrite(fd, bytes, size, at) == (ssize_t)size);
	cr_assert(usage_of(getpid(), &after) == 0);
	cr_assert(before.has_io && after.has_io);
	return after.written_bytes - before.written_bytes;
}

Test(usage, what_is_written_counts_once_and_whole)
{
	static uint8_t block[BLOCK];
	int fd = open_nameless();

	for (unsigned i = 0; i < PARTS; i++)
		cr_assert(written_by(fd, block, BLOCK, (off_t)i * BLOCK) ==
			  BLOCK);
	(void)close(fd);
}

Test(usage, a_page_within_a_large_one_counts_as_a_page)
{
	static uint8_t block[BLOCK];
	int fd = open_nameless();

	cr_assert(written_by(fd, block, BLOCK, 0) == BLOCK);
	cr_assert(fdatasync(fd) == 0);
	cr_assert(written_by(fd, block, 4096, 65536) == 4096);
	(void)close(fd);
}

Test(usage, work_is_seen)
{
	struct usage_sample before, after;
	volatile uint64_t sum = 0;

	cr_assert(usage_of(getpid(), &before) == 0);
	for (uint64_t i = 0; i < 20000000; i++)
		sum += i;
	cr_assert(sum > 0);
	/* The account of a running thread is written at its next tick. */
	(void)usleep(1000);
	cr_assert(usage_of(getpid(), &after) == 0);
	cr_assert(after.cpu_ns > before.cpu_ns);
	cr_assert(after.rss_bytes > 0);
	cr_assert(after.switches > before.switches);
}

Test(usage, a_process_that_is_not_there_is_not_found)
{
	struct usage_sample sample;

	cr_assert(usage_of(0x7ffffffe, &sample) != 0);
}

Test(usage, system_calls_are_counted_or_said_to_be_missing)
{
	struct usage_calls calls;

	if (usage_calls_missing()) {
		cr_assert(strlen(usage_calls_missing()) > 0);
		return;
	}
	cr_assert(usage_calls_open(&calls, getpid()));
	for (unsigned i = 0; i < 100; i++)
		(void)getppid();
	cr_assert(usage_calls_close(&calls) >= 100);
}
