/*
 * Both engines of the ring against real peers on loopback: what is sent
 * arrives once and whole, `closed` comes exactly once in every state, nothing
 * leaks, nobody delays the others.
 *
 * A server ring listens; the first byte of a connection says how its side
 * behaves (enum ring_bed_mode). Peers are plain sockets in threads.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "net/ring.h"
#include "tests/support/check.h"
#include "tests/support/ring_bed.h"

#define PATIENCE  10000 /* ms */
#define JUNK_SIZE 100000

static unsigned fds_open(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The peers' side */

static int dial(const struct ring_bed *bed)
{
	int fd = socket(bed->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (const struct sockaddr *)&bed->addr, bed->addr_len) ==
	      0);
	return fd;
}

static int dial_mode(const struct ring_bed *bed, enum ring_bed_mode mode)
{
	uint8_t first = (uint8_t)mode;
	int fd = dial(bed);

	CHECK(send(fd, &first, 1, MSG_NOSIGNAL) == 1);
	return fd;
}

static uint8_t pattern(size_t seed, size_t at)
{
	return (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

static void fill(uint8_t *out, size_t count, size_t seed, size_t at)
{
	size_t i;

	for (i = 0; i < count; i++)
		out[i] = pattern(seed, at + i);
}

static void expect(const uint8_t *in, size_t count, size_t seed, size_t at)
{
	size_t i;

	for (i = 0; i < count; i++)
		CHECK(in[i] == pattern(seed, at + i));
}

static void wait_fd(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	CHECK(poll(&p, 1, PATIENCE) == 1);
}

/* Send `size` bytes and read the same back, both ways at once. */
static void exchange(int fd, size_t size, size_t seed)
{
	uint8_t out[16384], in[16384];
	size_t sent = 0, got = 0;

	while (got < size) {
		size_t n =
			size - sent < sizeof(out) ? size - sent : sizeof(out);
		ssize_t did;

		wait_fd(fd, sent < size ? POLLIN | POLLOUT : POLLIN);
		fill(out, n, seed, sent);
		did = n ? send(fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		CHECK(did >= 0 || errno == EAGAIN);
		sent += did > 0 ? (size_t)did : 0;
		did = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		CHECK(did > 0 || (did < 0 && errno == EAGAIN));
		if (did < 0)
			continue;
		expect(in, (size_t)did, seed, got);
		got += (size_t)did;
	}
}

/* Everything up to the end of the stream. Returns its size. */
static size_t drain(int fd, unsigned nap)
{
	static _Thread_local uint8_t in[1 << 18];
	size_t total = 0;
	ssize_t n;

	for (;;) {
		wait_fd(fd, POLLIN);
		n = recv(fd, in, sizeof(in), 0);
		if (n <= 0)
			return total;
		for (ssize_t i = 0; i < n; i++)
			CHECK(in[i] == ring_bed_byte(total + (size_t)i));
		total += (size_t)n;
		if (nap)
			nap_ms(nap);
	}
}

static void expect_end(int fd)
{
	uint8_t byte;

	wait_fd(fd, POLLIN);
	CHECK(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

/* Scenes */

struct crowd {
	const struct ring_bed *bed;
	unsigned conns, rounds;
	size_t size_max;
	enum ring_bed_mode mode;
};

static void *crowd_thread(void *arg)
{
	const struct crowd *crowd = arg;
	int *fds = calloc(crowd->conns, sizeof(*fds));
	uint8_t first;
	unsigned i, round;

	CHECK(fds);
	for (i = 0; i < crowd->conns; i++) {
		fds[i] = dial_mode(crowd->bed, crowd->mode);
		wait_fd(fds[i], POLLIN);
		CHECK(recv(fds[i], &first, 1, 0) == 1 && first == crowd->mode);
	}
	for (round = 0; round < crowd->rounds; round++)
		for (i = 0; i < crowd->conns; i++)
			exchange(fds[i],
				 1 + (i * 7919u + round * 104729u) %
						 crowd->size_max,
				 i + round);
	for (i = 0; i < crowd->conns; i++)
		close(fds[i]);
	free(fds);
	return NULL;
}

static void crowds(const struct crowd *crowd, unsigned threads)
{
	pthread_t thread[8];
	struct crowd copy = *crowd;
	unsigned i;

	for (i = 0; i < threads; i++)
		CHECK(pthread_create(&thread[i], NULL, crowd_thread, &copy) ==
		      0);
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

static void scene_echo(enum ring_engine engine, int family)
{
	struct ring_config config = {.engine = engine, .socks_max = 128};
	struct ring_bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 25,
			      .rounds = 4,
			      .size_max = 150000,
			      .mode = RING_BED_ECHO};

	check_scene("echo");
	ring_bed_start(&bed, &config, family);
	crowds(&crowd, 4);
	WAIT_FOR(atomic_load(&bed.closed) == 100);
	CHECK(atomic_load(&bed.errors) == 0);
	ring_bed_stop(&bed);
}

static void scene_few_buffers(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine,
				     .socks_max = 64,
				     .buf_size = 2048,
				     .buf_count = 4,
				     .tick_ms = 2};
	struct ring_bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 8,
			      .rounds = 2,
			      .size_max = 20000,
			      .mode = RING_BED_HOARD};

	check_scene("few buffers");
	ring_bed_start(&bed, &config, AF_INET);
	crowds(&crowd, 4);
	WAIT_FOR(atomic_load(&bed.closed) == 32);
	ring_bed_stop(&bed);
}

static void scene_readers(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 64, .tick_ms = 20};
	struct ring_bed bed = {0};
	struct crowd crowd = {.bed = &bed,
			      .conns = 5,
			      .rounds = 2,
			      .size_max = 50000,
			      .mode = RING_BED_ECHO};
	int never[8], slow;
	unsigned i;

	check_scene("slow and never readers");
	ring_bed_start(&bed, &config, AF_INET);
	slow = dial_mode(&bed, RING_BED_SEND);
	for (i = 0; i < 8; i++)
		never[i] = dial_mode(&bed, RING_BED_NEVER);
	crowds(&crowd, 1);
	CHECK(drain(slow, 1) == RING_BED_SEND_SIZE);
	close(slow);
	WAIT_FOR(atomic_load(&bed.closed) == 5 + 8 + 1);
	for (i = 0; i < 8; i++)
		close(never[i]);
	ring_bed_stop(&bed);
}

static void send_junk(int fd)
{
	static const uint8_t junk[JUNK_SIZE];

	CHECK(send(fd, junk, sizeof(junk), MSG_NOSIGNAL) == sizeof(junk));
}

static void scene_pause(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct ring_bed bed = {0};
	unsigned i, before;
	int fd;

	check_scene("pause");
	ring_bed_start(&bed, &config, AF_INET);
	fd = dial_mode(&bed, RING_BED_PAUSE);
	WAIT_FOR(atomic_load(&bed.is_paused));
	nap_ms(20);
	before = atomic_load(&bed.paused_bytes);
	CHECK(before == 1);
	send_junk(fd);
	nap_ms(30);
	CHECK(atomic_load(&bed.paused_bytes) == before);
	for (i = 0; i < 3; i++) {
		atomic_store(&bed.go_on, true);
		ring_wake(bed.ring);
		WAIT_FOR(atomic_load(&bed.paused_bytes) ==
			 1 + (i + 1) * JUNK_SIZE);
		send_junk(fd);
	}
	close(fd);
	ring_bed_stop(&bed);
}

/* What was sent before ring_close() arrives, though we left bytes unread. */
static void scene_graceful(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct ring_bed bed = {0};
	int fd;

	check_scene("graceful close");
	ring_bed_start(&bed, &config, AF_INET);
	fd = dial_mode(&bed, RING_BED_SEND);
	send_junk(fd);
	nap_ms(20);
	CHECK(drain(fd, 0) == RING_BED_SEND_SIZE);
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	CHECK(atomic_load(&bed.errors) == 0);
	close(fd);
	ring_bed_stop(&bed);
}

static void reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ==
	      0);
	close(fd);
}

static void scene_close(enum ring_engine engine)
{
	static const enum ring_bed_mode modes[] = {
		RING_BED_CLOSE, RING_BED_SEND_CLOSE, RING_BED_PAUSE_CLOSE};
	struct ring_config config = {.engine = engine, .socks_max = 16};
	struct ring_bed bed = {0};
	uint8_t byte;
	unsigned i, round;
	int fd, paused, never;

	check_scene("close");
	ring_bed_start(&bed, &config, AF_INET);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 3; i++)
			expect_end(dial_mode(&bed, modes[i]));
		fd = dial_mode(&bed, RING_BED_SENT_CLOSE);
		CHECK(recv(fd, &byte, 1, 0) == 1);
		expect_end(fd);
		reset(dial(&bed));
		reset(dial_mode(&bed, RING_BED_ECHO));
		reset(dial_mode(&bed, RING_BED_SEND));
		close(dial(&bed));
		WAIT_FOR(atomic_load(&bed.closed) == atomic_load(&bed.opened));
	}
	/* A reset may come before the connection has been taken. */
	WAIT_FOR(atomic_load(&bed.closed) >= 20 * 5);
	/* These are open when the ring stops. */
	fd = dial(&bed);
	paused = dial_mode(&bed, RING_BED_PAUSE);
	never = dial_mode(&bed, RING_BED_NEVER);
	WAIT_FOR(atomic_load(&bed.is_paused));
	ring_bed_stop(&bed);
	expect_end(fd);
	close(paused);
	close(never);
}

static void scene_close_on_accept(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 4};
	struct ring_bed bed = {.close_on_accept = true};
	unsigned i;

	check_scene("close on accept");
	ring_bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 50; i++)
		expect_end(dial(&bed));
	CHECK(atomic_load(&bed.opened) == 0);
	ring_bed_stop(&bed);
}

/* Connecting: `peer` is what the ring dials when it starts. */

static struct sockaddr_in peer;

static void connect_three(struct ring_bed *bed)
{
	ring_bed_connect(bed, &peer, 5000, false);
	ring_bed_connect(bed, &peer, 0, false);
	ring_bed_connect(bed, &peer, 5000, true);
}

static void connect_short(struct ring_bed *bed)
{
	ring_bed_connect(bed, &peer, 60, false);
	ring_bed_connect(bed, &peer, 5000,
			 false); /* is under way when the ring stops */
}

static int listen_at(int backlog)
{
	socklen_t len = sizeof(peer);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peer = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&peer, len) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&peer, &len) == 0);
	CHECK(backlog < 0 || listen(fd, backlog) == 0);
	return fd;
}

static void scene_connect(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct ring_bed bed = {.on_start = connect_three};
	int fd = listen_at(16), i;

	check_scene("connect");
	ring_bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 2; i++) {
		int got = accept(fd, NULL, NULL);

		CHECK(got >= 0);
		CHECK(drain(got, 0) == RING_BED_SEND_SIZE);
		close(got);
	}
	WAIT_FOR(atomic_load(&bed.closed) == 3);
	CHECK(atomic_load(&bed.errors) == 0);
	ring_bed_stop(&bed);
	close(fd);
}

static void scene_refused(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct ring_bed bed = {.on_start = connect_three};
	int fd = listen_at(-1); /* bound, and nobody listens */

	check_scene("refused");
	ring_bed_start(&bed, &config, AF_INET);
	WAIT_FOR(atomic_load(&bed.closed) == 3);
	CHECK(atomic_load(&bed.errors) == 2);
	ring_bed_stop(&bed);
	close(fd);
}

static void scene_timeout(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 8, .tick_ms = 10};
	struct ring_bed bed = {.on_start = connect_short};
	int fd = listen_at(0), stuffing[3], i;

	check_scene("connect timeout");
	/* A full backlog drops what comes further. */
	for (i = 0; i < 3; i++) {
		stuffing[i] = socket(
			AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(stuffing[i], (struct sockaddr *)&peer,
			       sizeof(peer));
	}
	nap_ms(20);
	ring_bed_start(&bed, &config, AF_INET);
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	CHECK(atomic_load(&bed.timeouts) == 1);
	ring_bed_stop(&bed);
	for (i = 0; i < 3; i++)
		close(stuffing[i]);
	close(fd);
}

static void *wake_thread(void *arg)
{
	struct ring_bed *bed = arg;
	unsigned i, mine;

	for (i = 0; i < 2000; i++) {
		mine = atomic_fetch_add(&bed->asked, 1) + 1;
		ring_wake(bed->ring);
		if (i % 16 == 0) /* no wake is lost */
			WAIT_FOR((int)(atomic_load(&bed->seen) - mine) >= 0);
	}
	return NULL;
}

static void scene_wake(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 8, .tick_ms = 20000};
	struct ring_bed bed = {0};
	pthread_t thread[4];
	unsigned i;

	check_scene("wake");
	ring_bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, wake_thread, &bed) == 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	WAIT_FOR(atomic_load(&bed.seen) == 4 * 2000);
	ring_bed_stop(&bed);
}

/* No tick comes in that time, and nothing happens. */
static void scene_again(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 8, .tick_ms = 120000};
	struct ring_bed bed = {.again = 20, .again_us = 3000};
	uint64_t start_ms = clock_mono_ms();
	unsigned rounds;

	check_scene("rounds that were asked for");
	ring_bed_start(&bed, &config, AF_INET);
	ring_wake(bed.ring);
	WAIT_FOR(atomic_load(&bed.rounds) >= 20);
	CHECK(clock_mono_ms() - start_ms >= 19 * 3);
	nap_ms(50);
	rounds = atomic_load(&bed.rounds);
	CHECK(rounds < 40); /* it slept between them */
	nap_ms(50);
	CHECK(atomic_load(&bed.rounds) == rounds); /* and sleeps now */
	ring_bed_stop(&bed);
}

/* The table has far fewer slots than connections come and go. */
static void scene_churn(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 16};
	struct ring_bed bed = {0};
	unsigned i;
	int fd;

	check_scene("churn");
	ring_bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 2000; i++) {
		fd = dial_mode(&bed, RING_BED_CLOSE);
		if (i % 2)
			expect_end(fd);
		else
			close(fd);
		if (i % 8 == 7)
			WAIT_FOR(atomic_load(&bed.closed) == (int)(i + 1));
	}
	ring_bed_stop(&bed);
}

/* Beyond the table: refused at once, and served again later. */
static void scene_full(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 5};
	struct ring_bed bed = {0};
	int fds[4];
	unsigned i;

	check_scene("full table");
	ring_bed_start(&bed, &config, AF_INET);
	for (i = 0; i < 4; i++)
		fds[i] = dial_mode(&bed, RING_BED_ECHO);
	WAIT_FOR(atomic_load(&bed.opened) == 4);
	expect_end(dial(&bed));
	exchange(fds[0], 0, 0);
	for (i = 0; i < 4; i++)
		close(fds[i]);
	WAIT_FOR(atomic_load(&bed.closed) == 4);
	close(dial_mode(&bed, RING_BED_ECHO));
	WAIT_FOR(atomic_load(&bed.closed) == 5);
	ring_bed_stop(&bed);
}

/* Rings share a port with each other, not with a stranger. */
static void scene_probe(enum ring_engine engine)
{
	struct ring_config config = {.engine = engine, .socks_max = 8};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct ring_bed bed = {0};

	check_scene("probe");
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(ring_listen_probe((struct sockaddr *)&any, sizeof(any)) == 0);
	ring_bed_start(&bed, &config, AF_INET);
	CHECK(ring_listen_probe((struct sockaddr *)&bed.addr, bed.addr_len) ==
	      ERR_EXISTS);
	/* What is left of a connection is in nobody's way. */
	close(dial_mode(&bed, RING_BED_CLOSE));
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	ring_bed_stop(&bed);
	CHECK(ring_listen_probe((struct sockaddr *)&bed.addr, bed.addr_len) ==
	      0);
}

/* Without descriptors one who waits is refused, not left hanging. */
static void scene_no_fds(enum ring_engine engine)
{
	struct ring_config config = {
		.engine = engine, .socks_max = 16, .tick_ms = 10};
	struct ring_bed bed = {0};
	struct rlimit was, low;
	int fd, all[64], count = 0;

	check_scene("no descriptors");
	/* io_uring holds to the limit of when accepting was armed. */
	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	low = was;
	low.rlim_cur = fds_open() + 32;
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	ring_bed_start(&bed, &config, AF_INET);
	close(dial_mode(&bed, RING_BED_ECHO));
	WAIT_FOR(atomic_load(&bed.closed) == 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while ((all[count] = dup(fd)) >= 0)
		CHECK(++count < 64);
	CHECK(connect(fd, (struct sockaddr *)&bed.addr, bed.addr_len) == 0);
	wait_fd(fd, POLLIN);
	CHECK(recv(fd, &low, 1, 0) <= 0);
	while (count > 0)
		close(all[--count]);
	close(fd);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	nap_ms(30);
	fd = dial_mode(&bed, RING_BED_CLOSE);
	expect_end(fd);
	WAIT_FOR(atomic_load(&bed.closed) == 2);
	ring_bed_stop(&bed);
}

static bool can_run(enum ring_engine engine)
{
	const struct ring_config config = {.engine = engine, .socks_max = 1};
	const struct ring_handler handler = {0};
	struct ring *ring = NULL;
	int err = ring_new(&config, &handler, NULL, &ring);

	check_scene("start");
	CHECK(err == 0 || (err == ERR_UNSUPPORTED && engine == RING_URING));
	if (!err)
		printf("engine %s\n", ring_engine_name(ring));
	ring_free(ring);
	return !err;
}

/* As the default profile of containers does it. */
static void forbid_uring(unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void falls_back(unsigned error)
{
	struct ring_config config = {.engine = RING_AUTO, .socks_max = 1};
	const struct ring_handler handler = {0};
	struct ring *ring = NULL;

	forbid_uring(error);
	CHECK(ring_new(&config, &handler, NULL, &ring) == 0);
	CHECK(strcmp(ring_engine_name(ring), "epoll") == 0);
	ring_free(ring);
	config.engine = RING_URING;
	CHECK(ring_new(&config, &handler, NULL, &ring) == ERR_UNSUPPORTED);
}

static void scene_forbidden(unsigned error)
{
	int status = -1;
	pid_t pid;

	check_scene("io_uring forbidden");
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		falls_back(error);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void all_scenes(enum ring_engine engine)
{
	unsigned fds = fds_open();

	scene_echo(engine, AF_INET);
	scene_echo(engine, AF_INET6);
	scene_few_buffers(engine);
	scene_readers(engine);
	scene_pause(engine);
	scene_graceful(engine);
	scene_close(engine);
	scene_close_on_accept(engine);
	scene_connect(engine);
	scene_refused(engine);
	scene_timeout(engine);
	scene_wake(engine);
	scene_again(engine);
	scene_churn(engine);
	scene_full(engine);
	scene_no_fds(engine);
	scene_probe(engine);
	check_scene("end");
	WAIT_FOR(fds_open() == fds);
}

int main(void)
{
	scene_forbidden(EPERM);
	scene_forbidden(ENOSYS);
	CHECK(can_run(RING_AUTO));
	all_scenes(RING_EPOLL);
	if (can_run(RING_URING))
		all_scenes(RING_URING);
	else
		puts("io_uring is forbidden here: not tested");
	return 0;
}
