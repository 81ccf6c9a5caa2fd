#include "bench/meters.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void meters_add_times(struct meters *m)
{
	if (m->round.total == 0)
		return;
	series_add(&m->p50, (double)histogram_quantile(&m->round, 0.5) / 1e3);
	series_add(&m->p99, (double)histogram_quantile(&m->round, 0.99) / 1e3);
	histogram_merge(&m->latency, &m->round);
	histogram_clear(&m->round);
}

void meters_add(struct meters *m, const struct span *span, double count)
{
	if (count <= 0)
		return;
	if (span->has_calls) {
		series_add(&m->calls, (double)span->calls / count);
		histogram_clear(&m->round);
		return;
	}
	series_add(&m->rate, count / ((double)span->wall_ns / 1e9));
	series_add(&m->own, (double)span->own_ns / 1e3 / count);
	if (span->pid) {
		series_add(&m->cpu, (double)span->used.cpu_ns / 1e3 / count);
		series_add(&m->switches, (double)span->used.switches / count);
		series_add(&m->memory, (double)span->used.rss_anon_bytes / 1e6);
	}
	if (span->dir && span->used.has_io)
		series_add(&m->written,
			   (double)span->used.written_bytes / count);
	if (span->has_device)
		series_add(&m->device, (double)span->device / count);
	if (span->pid && span->used.has_io)
		series_add(&m->calls_rw, (double)span->used.calls_rw / count);
	meters_add_times(m);
}

void meters_put_one(const struct series *series, const char *scenario,
		    const char *work, const char *who, const char *metric,
		    const char *unit, bool more_is_better)
{
	const struct result result = {.scenario = scenario,
				      .work = work,
				      .who = who,
				      .metric = metric,
				      .unit = unit,
				      .more_is_better = more_is_better,
				      .series = series};

	if (series->count > 0)
		result_put(&result);
}

void meters_sources(const char *dir)
{
	const char *why = usage_calls_missing();
	struct usage_sample sample;
	char text[320];
	uint64_t bytes;

	if (!why) {
		result_note("suite", "syscalls",
			    "all system calls of the server, by the tracepoint "
			    "raw_syscalls:sys_enter, in one more round that is "
			    "for nothing else, since counting costs a little");
	} else {
		(void)snprintf(text, sizeof(text),
			       "missing: %s. There is `calls_rw`: syscr and "
			       "syscw of /proc/<pid>/io, which count read, "
			       "write and their kin on files, pipes and "
			       "sockets, and not send, recv, fdatasync, epoll "
			       "or io_uring",
			       why);
		result_note("suite", "syscalls", text);
	}
	if (usage_of(getpid(), &sample) || !sample.has_io)
		result_note("suite", "written",
			    "missing: there is no /proc/<pid>/io");
	else
		result_note("suite", "written",
			    "bytes handed to write(2) and its kin (wchar of "
			    "/proc/<pid>/io); those that reach the disk "
			    "through a writable map are not among them");
	if (!usage_device_written(dir, &bytes))
		result_note("suite", "device",
			    "missing: the folder is on no block device whose "
			    "counters the kernel shows");
}

void meters_put(const struct meters *m, const char *scenario, const char *work,
		const char *who, const char *thing)
{
	size_t len = strlen(thing);
	bool is_y = len > 0 && thing[len - 1] == 'y'; /* queries */
	char unit[48];

	(void)snprintf(unit, sizeof(unit), "%.*s%s/s", (int)(len - is_y), thing,
		       is_y ? "ies" : "s");
	meters_put_one(&m->rate, scenario, work, who, "rate", unit, true);
	(void)snprintf(unit, sizeof(unit), "us/%s", thing);
	meters_put_one(&m->cpu, scenario, work, who, "cpu", unit, false);
	/* What runs in our own process is the work itself. */
	meters_put_one(&m->own, scenario, work, who,
		       m->cpu.count > 0 ? "load_cpu" : "cpu", unit, false);
	(void)snprintf(unit, sizeof(unit), "B/%s", thing);
	meters_put_one(&m->written, scenario, work, who, "written", unit,
		       false);
	meters_put_one(&m->device, scenario, work, who, "device", unit, false);
	(void)snprintf(unit, sizeof(unit), "1/%s", thing);
	meters_put_one(&m->switches, scenario, work, who, "switches", unit,
		       false);
	meters_put_one(&m->calls, scenario, work, who, "syscalls", unit, false);
	meters_put_one(&m->calls_rw, scenario, work, who, "calls_rw", unit,
		       false);
	meters_put_one(&m->memory, scenario, work, who, "memory", "MB", false);
	meters_put_one(&m->p50, scenario, work, who, "latency_p50", "us",
		       false);
	meters_put_one(&m->p99, scenario, work, who, "latency_p99", "us",
		       false);
	if (m->latency.total > 0)
		result_latency(scenario, work, who, &m->latency);
}
