#include "bench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"

#define UNDO_MAX           32
#define QUIET_MS           50
#define QUIET_NS           3000000 /* of CPU in QUIET_MS */
#define QUIET_ROUNDS       60
#define FOLDER_DESCRIPTORS 16

static struct {
	void (*undo)(void *ctx);
	void *ctx;
} undos[UNDO_MAX];
static unsigned undo_count;

void bench_at_end(void (*undo)(void *ctx), void *ctx)
{
	if (undo_count == UNDO_MAX)
		bench_fail("too much to be undone");
	undos[undo_count].undo = undo;
	undos[undo_count++].ctx = ctx;
}

void bench_not_at_end(void (*undo)(void *ctx), const void *ctx)
{
	for (unsigned i = undo_count; i-- > 0;) {
		if (undos[i].undo != undo || undos[i].ctx != ctx)
			continue;
		undo_count--;
		memmove(&undos[i], &undos[i + 1],
			(undo_count - i) * sizeof(undos[0]));
		return;
	}
}

void bench_end(void)
{
	while (undo_count > 0) {
		undo_count--;
		undos[undo_count].undo(undos[undo_count].ctx);
	}
}

void bench_fail(const char *format, ...)
{
	va_list args;

	(void)fputs("restante-bench: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	bench_end();
	_exit(1);
}

/* ---- rounds ---- */

/* Counting costs each system call a little: spans do it in a round for it. */
static bool is_counting_calls;
static bool has_server; /* a span of this loop was that of a process */

void bench_rounds(struct bench *bench, double share)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t left_ms =
		bench->deadline_ms > now_ms ? bench->deadline_ms - now_ms : 0;

	bench->loop_deadline_ms = now_ms + (uint64_t)((double)left_ms * share);
	bench->round_ms = bench->longest_ms = 0;
	has_server = false;
}

bool bench_has_round(struct bench *bench, unsigned round)
{
	uint64_t now_ms = clock_mono_ms();
	bool has_time;

	if (bench->round_ms && now_ms - bench->round_ms > bench->longest_ms)
		bench->longest_ms = now_ms - bench->round_ms;
	bench->round_ms = now_ms;
	has_time = bench->deadline_ms == 0 ||
		   now_ms + bench->longest_ms <= bench->loop_deadline_ms;
	is_counting_calls = round == bench->rounds + 1 && has_time &&
			    has_server && !usage_calls_missing();
	if (round > bench->rounds)
		return is_counting_calls;
	return has_time || round <= BENCH_ROUNDS_MIN;
}

bool bench_has_round_bare(struct bench *bench, unsigned round)
{
	has_server = false;
	return bench_has_round(bench, round);
}

double bench_case_s(const struct bench *bench)
{
	return bench->is_full ? 0.5 : 0.15;
}

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	(void)(type == FTW_DP ? rmdir(path) : unlink(path));
	return 0;
}

void bench_remove(const char *path)
{
	(void)nftw(path, remove_one, FOLDER_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

static uint64_t folder_bytes;

static int add_bytes(const char *path, const struct stat *st, int type,
		     struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		folder_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t bench_folder_bytes(const char *path)
{
	folder_bytes = 0;
	(void)nftw(path, add_bytes, FOLDER_DESCRIPTORS, FTW_PHYS);
	return folder_bytes;
}

static int drop_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	int fd;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	(void)fdatasync(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)close(fd);
	return 0;
}

void bench_drop_pages(const char *path)
{
	(void)nftw(path, drop_one, FOLDER_DESCRIPTORS, FTW_PHYS);
}

static uint64_t pages_all, pages_cached;

static int count_cached(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	size_t size = (size_t)st->st_size;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (size + page - 1) / page;
	unsigned char *there = NULL;
	void *map = MAP_FAILED;
	int fd = -1;

	(void)ftw;
	if (type == FTW_F && size > 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	there = malloc(pages);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (there && map != MAP_FAILED && mincore(map, size, there) == 0) {
		pages_all += (uint64_t)st->st_blocks * 512 / page;
		for (size_t i = 0; i < pages; i++)
			pages_cached += there[i] & 1;
	}
	if (map != MAP_FAILED)
		(void)munmap(map, size);
	free(there);
	(void)close(fd);
	return 0;
}

double bench_cached(const char *path)
{
	pages_all = pages_cached = 0;
	(void)nftw(path, count_cached, FOLDER_DESCRIPTORS, FTW_PHYS);
	return pages_all ? (double)pages_cached / (double)pages_all : 0;
}

const char *bench_folder(const struct bench *bench, const char *name,
			 char path[static BENCH_PATH_MAX])
{
	if (snprintf(path, BENCH_PATH_MAX, "%s/%s", bench->dir, name) >=
	    BENCH_PATH_MAX)
		bench_fail("%s/%s: the name is too long", bench->dir, name);
	bench_remove(path);
	if (mkdir(path, 0700))
		bench_fail("%s: %s", path, err_system(errno));
	return path;
}

/* ---- processes ---- */

static void become(const char *user)
{
	const struct passwd *pw;

	if (!user || geteuid() != 0)
		return;
	pw = getpwnam(user); /* NOLINT(concurrency-mt-unsafe) */
	if (!pw || setgid(pw->pw_gid) || setuid(pw->pw_uid))
		_exit(126);
	(void)setenv("HOME", "/tmp", 1); /* NOLINT(concurrency-mt-unsafe) */
}

static _Noreturn void run_child(const char *const *argv, const char *user,
				const char *log, int out)
{
	int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *const *args = (char *const *)(uintptr_t)argv;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, 0);
	(void)dup2(out >= 0 ? out : err, 1);
	(void)dup2(err, 2);
	become(user);
	/* Changing the user forgets it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)execvp(args[0], args);
	_exit(127);
}

pid_t bench_spawn(const char *const *argv, const char *user, const char *log,
		  int *out)
{
	int ends[2] = {-1, -1};
	pid_t pid;

	if (out && pipe2(ends, O_CLOEXEC))
		return -1;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(argv, user, log, ends[1]);
	if (out) {
		(void)close(ends[1]);
		*out = ends[0];
	}
	return pid;
}

void bench_stop(pid_t pid, unsigned wait_ms)
{
	uint64_t until_ms = clock_mono_ms() + wait_ms;

	(void)kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_mono_ms() >= until_ms) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		bench_sleep_ms(2);
	}
}

bool bench_has_program(const char *name)
{
	const char *at = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe) */
	char path[BENCH_PATH_MAX];

	while (at && *at) {
		size_t len = strcspn(at, ":");

		(void)snprintf(path, sizeof(path), "%.*s/%s", (int)len, at,
			       name);
		if (access(path, X_OK) == 0)
			return true;
		at += len + (at[len] == ':');
	}
	return false;
}

/* ---- time ---- */

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t bench_thread_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t bench_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_sleep_ms(unsigned ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000,
				    .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

/* splitmix64 */
uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- spans ---- */

static void sample(const struct span *span, struct usage_sample *out)
{
	if (usage_of(span->pid ? span->pid : getpid(), out))
		bench_fail("process %d has ended", (int)span->pid);
}

static void sync_below(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		sync();
	if (fd >= 0)
		(void)close(fd);
}

void span_begin(struct span *span, pid_t pid, const char *dir)
{
	*span = (struct span){.pid = pid, .dir = dir};
	has_server = has_server || pid;
	if (dir)
		sync_below(dir);
	span->has_device = dir && usage_device_written(dir, &span->device);
	span->has_calls = pid && is_counting_calls &&
			  usage_calls_open(&span->counter, pid);
	span->busy_ns = usage_machine_busy_ns();
	sample(span, &span->begin);
	span->own_ns = span->all_own_ns = bench_cpu_ns();
	span->begin_ns = clock_mono_ns();
}

void span_stop(struct span *span)
{
	span->wall_ns = clock_mono_ns() - span->begin_ns;
	span->own_ns = bench_cpu_ns() - span->own_ns;
}

static void wait_until_quiet(const struct span *span)
{
	struct usage_sample before, now;

	sample(span, &before);
	for (unsigned i = 0; i < QUIET_ROUNDS; i++) {
		bench_sleep_ms(QUIET_MS);
		sample(span, &now);
		if (now.cpu_ns - before.cpu_ns < QUIET_NS)
			return;
		before = now;
	}
}

static uint64_t others_ns, others_wall_ns;

/* Ticks are coarse: it is the sum over many spans that says something. */
static void count_others(struct span *span)
{
	uint64_t ours_ns;

	if (span->busy_ns == 0)
		return;
	span->busy_ns = usage_machine_busy_ns() - span->busy_ns;
	span->all_ns = clock_mono_ns() - span->begin_ns;
	ours_ns = bench_cpu_ns() - span->all_own_ns;
	if (span->pid)
		ours_ns += span->used.cpu_ns;
	if (span->busy_ns > ours_ns)
		others_ns += span->busy_ns - ours_ns;
	others_wall_ns += span->all_ns;
}

double span_others(void)
{
	return others_wall_ns ? (double)others_ns / (double)others_wall_ns : 0;
}

void span_end(struct span *span)
{
	struct usage_sample now = {0};

	if (span->wall_ns == 0)
		span_stop(span);
	if (span->pid)
		wait_until_quiet(span);
	sample(span, &now);
	span->used = now;
	span->used.cpu_ns -= span->begin.cpu_ns;
	span->used.switches -= span->begin.switches;
	span->used.written_bytes -= span->begin.written_bytes;
	span->used.calls_rw -= span->begin.calls_rw;
	count_others(span);
	if (span->has_calls)
		span->calls = usage_calls_close(&span->counter);
	if (span->has_device) {
		uint64_t before = span->device;

		sync_below(span->dir);
		span->has_device =
			usage_device_written(span->dir, &span->device);
		span->device -= before;
	}
}
