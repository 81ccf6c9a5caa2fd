#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H
/*
 * What the kernel says a process, and the device below a folder, have used.
 * Fields that this kernel does not give are 0.
 *
 * Thread: any.
 */
#include <stdint.h>
#include <sys/types.h>

struct usage_sample {
	uint64_t cpu_ns; /* all threads, from schedstat */
	uint64_t rss_bytes;
	uint64_t rss_anon_bytes; /* without the pages of mapped files */
	uint64_t switches;       /* voluntary and not */
	uint64_t written_bytes;  /* sent to storage, /proc/<pid>/io */
	uint64_t syscalls_rw;    /* read and write calls, /proc/<pid>/io */
};
/* Of the process and its children. 0 or ERR_NOTFOUND. */
int usage_of(pid_t pid, struct usage_sample *out);

/* Bytes written to the block device that holds `path` since boot; 0: unknown.
 */
uint64_t usage_device_written(const char *path);

#endif
