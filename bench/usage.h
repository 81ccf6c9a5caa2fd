#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H
/*
 * What the kernel says a process, and the device below a folder, have used.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage_sample {
	uint64_t cpu_ns; /* all threads, from schedstat */
	uint64_t rss_bytes;
	uint64_t rss_anon_bytes; /* without the pages of mapped files */
	uint64_t switches;       /* voluntary and not */
	/*
	 * From /proc/<pid>/io, if has_io: bytes handed to write(2) and its
	 * kin ("wchar", files and whatever else is written so), and how often
	 * read(2), write(2) and their kin were called ("syscr" + "syscw").
	 * Not counted by the kernel there: send, recv, fdatasync, and what
	 * io_uring does.
	 *
	 * "write_bytes" is not used: it grows by the whole folio when the first
	 * byte of it is made dirty. Since ext4 has large folios (Linux 6.16) a
	 * small write into a file that was written in large pieces counts as a
	 * whole such piece.
	 */
	bool has_io;
	uint64_t written_bytes;
	uint64_t calls_rw;
};
/* Of the process and its children. 0 or ERR_NOTFOUND. */
int usage_of(pid_t pid, struct usage_sample *out);

/* Bytes written to the block device that holds `path` since boot; false: the
 * kernel does not tell. */
bool usage_device_written(const char *path, uint64_t *bytes);

/* CPU time that all processors together were busy since boot, ns; 0: unknown.
 * In steps of a tick (10 ms). */
uint64_t usage_machine_busy_ns(void);

/*
 * All system calls of a process, its threads and its children, by the
 * tracepoint raw_syscalls:sys_enter: needs tracefs to be mounted and the right
 * to use it. What is started while it counts is counted too.
 */
struct usage_calls {
	int *fds;
	unsigned count;
};
/*
 * As root, with tracefs not mounted: mount it in a name space that is this
 * process's and its children's own. What fails is left as it was.
 */
void usage_calls_prepare(void);
/* Why there is no such count here, or NULL if there is. */
const char *usage_calls_missing(void);
/* false: not to be had; nothing to close. */
bool usage_calls_open(struct usage_calls *calls, pid_t pid);
uint64_t usage_calls_close(struct usage_calls *calls);

#endif
