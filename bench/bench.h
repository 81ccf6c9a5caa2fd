#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H
/*
 * What the scenarios share: their options, folders, rounds, and the end when
 * something that must work does not.
 *
 * Thread: main, unless it says so.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/args.h"
#include "bench/series.h"
#include "bench/usage.h"
#include "net/ring.h"

#define BENCH_PATH_MAX   1024
#define BENCH_ROUNDS_MIN 5u /* counted, however short the time is */

struct bench {
	const struct settings *options; /* of this command line */
	char dir[BENCH_PATH_MAX]; /* temporary, ours, removed at the end */
	unsigned rounds;
	uint64_t seed;
	bool is_full; /* the large sizes too */
	enum ring_engine engine;
	/* What bench_has_round() goes by. */
	uint64_t deadline_ms; /* of the scenario; 0: none */
	uint64_t loop_deadline_ms, round_ms, longest_ms;
};

/*
 * A way to run: `restante-bench NAME`. `run` measures and writes results; what
 * goes wrong ends the program.
 */
struct scenario {
	const char *name;
	const char *title;         /* one line for the list */
	const struct usage *usage; /* what is measured, what is not */
	void (*run)(struct bench *bench);
};

/* clang-format off */
#define BENCH_OPTIONS \
	{"rounds", NULL, SETTING_U64, "0", "0", "64", "rounds", \
	 "measured rounds of each, after one that is not counted; 0: 5"}, \
	{"full", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, \
	 "all sizes, longer rounds"}, \
	{"seed", NULL, SETTING_U64, "42", "0", NULL, "number", \
	 "the same gives the same envelopes and requests"}, \
	{"budget", NULL, SETTING_U64, "0", "0", "86400", "seconds", \
	 "leave rounds beyond the fifth out when they would take longer; 0: never"}, \
	{"dir", NULL, SETTING_TEXT, "bench-results", "1", "900", "folder", \
	 "where a temporary folder is made; its device is measured"}, \
	{"out", NULL, SETTING_TEXT, "", NULL, "900", "file", \
	 "where results go, JSON lines; empty: standard output"}, \
	{"serve", NULL, SETTING_TEXT, "", NULL, "900", "flags", \
	 "more flags for the server, with blanks between"}, \
	{"io", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|uring|epoll", \
	 "engine of the sockets, of the server and of the load"}
/* clang-format on */

/* Print it and end with failure; children and the folder go as well. */
_Noreturn void bench_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
/* Something to be done when the program ends, in whatever way: last first. */
void bench_at_end(void (*undo)(void *ctx), void *ctx);
void bench_not_at_end(void (*undo)(void *ctx), const void *ctx);
/* Run what bench_at_end() was given. */
void bench_end(void);

/*
 * A loop of rounds, the first of which, 0, warms up and is not counted:
 *
 *     bench_rounds(bench, share);
 *     for (round = 0; bench_has_round(bench, round); round++)
 *
 * Behind bench->rounds there is one more if a server's system calls can be
 * counted here: * its spans count them, and meters take nothing else from it.
 * The loop ends earlier when a further round would go beyond `share` (0..1) of
 * the time that the scenario has left; but never before BENCH_ROUNDS_MIN were
 * counted, or as many as --rounds asks for.
 */
void bench_rounds(struct bench *bench, double share);
bool bench_has_round(struct bench *bench, unsigned round);
/* The same without a round for system calls, where nobody would tell them. */
bool bench_has_round_bare(struct bench *bench, unsigned round);
/* How long one case should take in a round. */
double bench_case_s(const struct bench *bench);

/* An empty folder of this name below bench->dir; returns `path`. */
const char *bench_folder(const struct bench *bench, const char *name,
			 char path[static BENCH_PATH_MAX]);
void bench_remove(const char *path);           /* with all that is in it */
uint64_t bench_folder_bytes(const char *path); /* on disk */
/*
 * Push the pages of all files below out of the page cache. Those that a process
 * has mapped and touched stay: stop it before. bench_cached() says how much of
 * the files is still there, 0..1.
 */
void bench_drop_pages(const char *path);
double bench_cached(const char *path);

/*
 * A child process: argv[0] is looked up in PATH. Its standard output goes to
 * *out unless NULL, its standard error to the file `log`. It ends when we do.
 * `user` other than NULL: run as this user if we are root. < 0: cannot be.
 */
pid_t bench_spawn(const char *const *argv, const char *user, const char *log,
		  int *out);
/* SIGTERM, then SIGKILL after `wait_ms`; returns once it is gone. */
void bench_stop(pid_t pid, unsigned wait_ms);
bool bench_has_program(const char *name);

/* CPU time of this thread and of the whole program, ns. */
uint64_t bench_thread_ns(void);
uint64_t bench_cpu_ns(void);
void bench_sleep_ms(unsigned ms);

/* Next number of a sequence that the seed decides. */
uint64_t bench_random(uint64_t *state);

/* What a span of work cost a process, and the device. */
struct span {
	pid_t pid;
	const char *dir;
	uint64_t begin_ns, wall_ns;
	uint64_t own_ns; /* CPU of this program */
	bool has_device, has_calls;
	uint64_t device;
	uint64_t calls;                       /* system calls */
	uint64_t all_own_ns, busy_ns, all_ns; /* until span_end() */
	struct usage_calls counter;
	struct usage_sample begin, used; /* `used` has resident memory as is */
};
void span_begin(struct span *span, pid_t pid, const char *dir);
/* The work is done, stop the clock. */
void span_stop(struct span *span);
/* Wait until the process is quiet and all is written; then take the rest. */
void span_end(struct span *span);
/*
 * Over all spans so far: what others than the server and this program used of
 * the processors, the kernel's own threads among them, in processors.
 */
double span_others(void);

#endif
