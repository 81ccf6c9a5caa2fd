#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H
/*
 * The real server, `restante serve`, as a process of its own on loopback.
 *
 * Thread: main.
 */
#include <sys/types.h>

#include "bench/bench.h"
#include "core/enode.h"

struct daemon {
	pid_t pid;
	char datadir[BENCH_PATH_MAX];
	char log[BENCH_PATH_MAX + 8];
	struct enode enode;
	double start_s; /* from exec to the printed URL */
};

/*
 * Start it on `datadir` (as bench_folder() gives it, or used before) with
 * more flags, ended by NULL, or NULL. Its limits by address are raised, since
 * all load comes from one. Ends the program if it does not come up.
 */
void daemon_start(struct daemon *daemon, const struct bench *bench,
		  const char *datadir, const char *const *flags);
/* SIGTERM; complains loudly when it has ended before, or ends badly. */
void daemon_stop(struct daemon *daemon);
/* SIGKILL, as a crash would. */
void daemon_kill(struct daemon *daemon);
/* What the flags of every run are, for the report. */
const char *daemon_settings(void);

#endif
