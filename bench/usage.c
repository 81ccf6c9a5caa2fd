#include "bench/usage.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/err.h"

#define FAMILY_MAX  64u
#define THREADS_MAX 256u

/* Add what stands behind `key` in a file of "key: value" lines. */
static bool add_value(const char *path, const char *key, uint64_t *value)
{
	FILE *file = fopen(path, "r");
	char line[256];
	bool is_there = false;
	size_t key_len = strlen(key);

	if (!file)
		return false;
	while (!is_there && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
			*value += strtoull(line + key_len + 1, NULL, 10);
			is_there = true;
		}
	}
	(void)fclose(file);
	return is_there;
}

static uint64_t value_in(const char *path, const char *key)
{
	uint64_t value = 0;

	(void)add_value(path, key, &value);
	return value;
}

static void add_task(pid_t pid, const char *task, struct usage_sample *out)
{
	char path[320];
	FILE *file;
	uint64_t ran_ns;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid,
		       task);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fscanf(file, "%" SCNu64, &ran_ns) == 1)
		out->cpu_ns += ran_ns;
	(void)fclose(file);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid,
		       task);
	out->switches += value_in(path, "voluntary_ctxt_switches") +
			 value_in(path, "nonvoluntary_ctxt_switches");
}

static int add_process(pid_t pid, struct usage_sample *out)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return ERR_NOTFOUND;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_task(pid, entry->d_name, out);
	(void)closedir(dir);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	out->rss_bytes += value_in(path, "VmRSS") * 1024;
	out->rss_anon_bytes += value_in(path, "RssAnon") * 1024;
	(void)snprintf(path, sizeof(path), "/proc/%d/io", pid);
	out->has_io = add_value(path, "wchar", &out->written_bytes) &&
		      add_value(path, "syscr", &out->calls_rw) &&
		      add_value(path, "syscw", &out->calls_rw);
	return 0;
}

/* The process and its children; returns how many. */
static unsigned family_of(pid_t pid, pid_t *pids, unsigned max)
{
	char path[64];
	FILE *children;
	unsigned count = 0;
	int child;

	pids[count++] = pid;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid,
		       pid);
	children = fopen(path, "r");
	while (children && count < max && fscanf(children, "%d", &child) == 1)
		pids[count++] = child;
	if (children)
		(void)fclose(children);
	return count;
}

int usage_of(pid_t pid, struct usage_sample *out)
{
	pid_t pids[FAMILY_MAX];
	unsigned count = family_of(pid, pids, FAMILY_MAX);
	int err;

	memset(out, 0, sizeof(*out));
	err = add_process(pid, out);
	/* One that has just ended is not counted. */
	for (unsigned i = 1; !err && i < count; i++)
		(void)add_process(pids[i], out);
	return err;
}

bool usage_device_written(const char *path, uint64_t *bytes)
{
	struct stat st;
	char name[64];
	uint64_t fields[7] = {0};
	FILE *file;
	int got;

	if (stat(path, &st))
		return false;
	(void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/stat",
		       major(st.st_dev), minor(st.st_dev));
	file = fopen(name, "r");
	if (!file)
		return false;
	got = fscanf(file,
		     "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		     " %" SCNu64 " %" SCNu64,
		     &fields[0], &fields[1], &fields[2], &fields[3], &fields[4],
		     &fields[5], &fields[6]);
	(void)fclose(file);
	*bytes = fields[6] * 512;
	return got == 7;
}

uint64_t usage_machine_busy_ns(void)
{
	/* user, nice, system, idle, iowait, irq, softirq, stolen by others */
	uint64_t t[8] = {0};
	FILE *file = fopen("/proc/stat", "r");
	long ticks = sysconf(_SC_CLK_TCK);
	int got;

	if (!file)
		return 0;
	got = fscanf(file,
		     "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		     " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		     &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
	(void)fclose(file);
	if (got < 7 || ticks <= 0)
		return 0;
	return (t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) *
	       (1000000000u / (uint64_t)ticks);
}

/* ---- system calls ---- */

#define EVENT "events/raw_syscalls/sys_enter/id"

/* The number of the tracepoint, or -1. */
static long long event_id(void)
{
	static const char *const paths[] = {"/sys/kernel/tracing/" EVENT,
					    "/sys/kernel/debug/tracing/" EVENT};
	long long id = -1;

	for (unsigned i = 0; i < 2 && id < 0; i++) {
		FILE *file = fopen(paths[i], "r");

		if (file && fscanf(file, "%lld", &id) != 1)
			id = -1;
		if (file)
			(void)fclose(file);
	}
	return id;
}

static int open_event(long long id, pid_t thread)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
				       .size = sizeof(attr),
				       .config = (uint64_t)id,
				       .inherit = 1};

	return (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

void usage_calls_prepare(void)
{
	if (event_id() >= 0 || geteuid() != 0 || unshare(CLONE_NEWNS))
		return;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount("tracefs", "/sys/kernel/tracing", "tracefs", 0,
			    NULL);
}

const char *usage_calls_missing(void)
{
	long long id = event_id();
	int fd;

	if (id < 0)
		return "tracefs is not mounted or not readable";
	fd = open_event(id, 0);
	if (fd < 0)
		return "perf_event_open is not allowed";
	(void)close(fd);
	return NULL;
}

static bool add_threads(struct usage_calls *calls, long long id, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	bool is_ok = true;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && is_ok && (entry = readdir(dir))) {
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		fd = open_event(id, (pid_t)strtol(entry->d_name, NULL, 10));
		if (fd < 0 && errno == ESRCH)
			continue; /* it has just ended */
		if (fd >= 0)
			calls->fds[calls->count++] = fd;
		is_ok = fd >= 0 && calls->count < THREADS_MAX;
	}
	if (dir)
		(void)closedir(dir);
	return dir && is_ok;
}

bool usage_calls_open(struct usage_calls *calls, pid_t pid)
{
	long long id = event_id();
	pid_t pids[FAMILY_MAX];
	unsigned count = family_of(pid, pids, FAMILY_MAX);
	bool is_ok = id >= 0;

	*calls = (struct usage_calls){0};
	if (!is_ok)
		return false;
	calls->fds = calloc(THREADS_MAX, sizeof(*calls->fds));
	if (!calls->fds)
		return false;
	for (unsigned i = 0; is_ok && i < count; i++)
		is_ok = add_threads(calls, id, pids[i]);
	if (!is_ok)
		(void)usage_calls_close(calls);
	return is_ok;
}

uint64_t usage_calls_close(struct usage_calls *calls)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < calls->count; i++) {
		uint64_t n;

		if (read(calls->fds[i], &n, sizeof(n)) == sizeof(n))
			all += n;
		(void)close(calls->fds[i]);
	}
	free(calls->fds);
	*calls = (struct usage_calls){0};
	return all;
}
