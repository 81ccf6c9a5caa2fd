#include "bench/daemon.h"

#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

#define START_WAIT_MS 120000
#define STOP_WAIT_MS  20000
#define ARGS_MAX      64

/* clang-format off */
static const char *const fixed[] = {
	"--private-http", "", "--listen", "127.0.0.1:0",
	"--net.per_ip_max", "200000", "--net.per_net_max", "200000",
	"--net.sessions_max", "20000", "--net.handshakes_max", "1024",
	"--net.handshake_rate", "1000000", "--mail.request_rate", "100000",
	"--mail.request_burst", "100000", "--mail.pow_min", "0",
	"--storage.retention", "0", "--log.level", "unusual"};
/* clang-format on */

const char *daemon_settings(void)
{
	return "defaults but for limits by address and of requests, which are "
	       "raised since all load comes from one address; mail.pow_min 0; "
	       "storage.retention 0";
}

/* RESTANTE, or the program beside this one. */
static const char *program(char path[static BENCH_PATH_MAX])
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *given = getenv("RESTANTE");
	char self[BENCH_PATH_MAX - 16];
	ssize_t len;

	if (given && *given)
		return given;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		bench_fail("/proc/self/exe cannot be read");
	self[len] = '\0';
	(void)snprintf(path, BENCH_PATH_MAX, "%s/restante", dirname(self));
	return path;
}

/* The last lines of its log, for a person. */
static void show_log(const struct daemon *daemon)
{
	FILE *file = fopen(daemon->log, "r");
	char line[512];

	if (!file)
		return;
	if (fseek(file, -2000, SEEK_END))
		rewind(file);
	while (fgets(line, sizeof(line), file))
		(void)fputs(line, stderr);
	(void)fclose(file);
}

static void read_url(struct daemon *daemon, int out)
{
	uint64_t until_ms = clock_mono_ms() + START_WAIT_MS;
	char text[ENODE_TEXT_MAX + 2];
	size_t used = 0;

	while (used < sizeof(text) - 1 && !memchr(text, '\n', used)) {
		struct pollfd fd = {.fd = out, .events = POLLIN};
		ssize_t n = 0;

		if (clock_mono_ms() < until_ms && poll(&fd, 1, 1000) >= 0)
			n = fd.revents ? read(out, text + used,
					      sizeof(text) - 1 - used)
				       : -2;
		if (n == -2)
			continue;
		if (n <= 0) {
			show_log(daemon);
			bench_fail("the server did not start; is it built?");
		}
		used += (size_t)n;
	}
	text[used] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (enode_decode(text, &daemon->enode))
		bench_fail("the server printed no enode URL: %s", text);
}

static void kill_it(void *ctx)
{
	struct daemon *daemon = ctx;

	bench_stop(daemon->pid, STOP_WAIT_MS);
}

void daemon_start(struct daemon *daemon, const struct bench *bench,
		  const char *datadir, const char *const *flags)
{
	static const char *const engines[] = {"auto", "uring", "epoll"};
	char path[BENCH_PATH_MAX];
	const char *argv[ARGS_MAX] = {program(path), "serve",
				      "--datadir",   datadir,
				      "--io",        engines[bench->engine]};
	unsigned n = 6;
	char words[BENCH_PATH_MAX], *rest;
	uint64_t since_ns;
	int out;

	memset(daemon, 0, sizeof(*daemon));
	(void)snprintf(daemon->datadir, sizeof(daemon->datadir), "%s", datadir);
	(void)snprintf(daemon->log, sizeof(daemon->log), "%s.log", datadir);
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		argv[n++] = fixed[i];
	while (flags && *flags && n < ARGS_MAX - 1)
		argv[n++] = *flags++;
	(void)snprintf(words, sizeof(words), "%s",
		       settings_text(bench->options, "serve"));
	for (char *word = strtok_r(words, " ", &rest); word && n < ARGS_MAX - 1;
	     word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	argv[n] = NULL;
	since_ns = clock_mono_ns();
	daemon->pid = bench_spawn(argv, NULL, daemon->log, &out);
	if (daemon->pid < 0)
		bench_fail("the server cannot be started");
	read_url(daemon, out);
	daemon->start_s = (double)(clock_mono_ns() - since_ns) / 1e9;
	/* Its end of the pipe would raise SIGPIPE; it writes no more. */
	(void)close(out);
	bench_at_end(kill_it, daemon);
}

void daemon_stop(struct daemon *daemon)
{
	bench_not_at_end(kill_it, daemon);
	if (waitpid(daemon->pid, NULL, WNOHANG) != 0) {
		show_log(daemon);
		bench_fail("the server has died");
	}
	bench_stop(daemon->pid, STOP_WAIT_MS);
	daemon->pid = 0;
}

void daemon_kill(struct daemon *daemon)
{
	bench_not_at_end(kill_it, daemon);
	(void)kill(daemon->pid, SIGKILL);
	(void)waitpid(daemon->pid, NULL, 0);
	daemon->pid = 0;
}
