#include "bench/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/err.h"

/* Value behind `key` in a file of "key: value" lines; 0 if absent. */
static uint64_t value_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	char line[256];
	uint64_t value = 0;
	size_t key_len = strlen(key);

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
			value = strtoull(line + key_len + 1, NULL, 10);
			break;
		}
	}
	(void)fclose(file);
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
	out->written_bytes += value_in(path, "write_bytes");
	out->syscalls_rw += value_in(path, "syscr") + value_in(path, "syscw");
	return 0;
}

int usage_of(pid_t pid, struct usage_sample *out)
{
	char path[64];
	FILE *children;
	int child, err;

	memset(out, 0, sizeof(*out));
	err = add_process(pid, out);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid,
		       pid);
	children = err ? NULL : fopen(path, "r");
	if (!children)
		return err;
	/* One that has just ended is not counted. */
	while (fscanf(children, "%d", &child) == 1)
		(void)add_process(child, out);
	(void)fclose(children);
	return 0;
}

uint64_t usage_device_written(const char *path)
{
	struct stat st;
	char name[64];
	uint64_t fields[7] = {0};
	FILE *file;
	int got;

	if (stat(path, &st))
		return 0;
	(void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/stat",
		       major(st.st_dev), minor(st.st_dev));
	file = fopen(name, "r");
	if (!file)
		return 0;
	got = fscanf(file,
		     "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		     " %" SCNu64 " %" SCNu64,
		     &fields[0], &fields[1], &fields[2], &fields[3], &fields[4],
		     &fields[5], &fields[6]);
	(void)fclose(file);
	return got == 7 ? fields[6] * 512 : 0;
}
