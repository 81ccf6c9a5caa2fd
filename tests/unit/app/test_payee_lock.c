/*
 * Each test has a chain id of its own, out of its process id: the names are
 * the whole machine's.
 */
#include "app/payee_lock.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"

static const uint8_t payee[ADDRESS_SIZE] = {0x90, 0xf7, 0x9b};
static const uint8_t other[ADDRESS_SIZE] = {0x90, 0xf7, 0x9c};

static uint64_t chain(void)
{
	return 0x7265737400000000u + (uint64_t)getpid();
}

/* A process that holds the payee; 0 as `user`: whoever we are. */
static pid_t begin_holder(uint64_t chain_id, uid_t user)
{
	struct payee_lock lock = {0};
	char why[PAYEE_LOCK_WHY_MAX];
	char byte = 0;
	int ready[2];
	pid_t pid;

	cr_assert(pipe(ready) == 0);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		if (user && setuid(user) != 0)
			_exit(1);
		/* Not to be left behind; setuid() forgets it. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (payee_lock_take(&lock, chain_id, payee, why) ||
		    lock.count != 1 || write(ready[1], "", 1) != 1)
			_exit(2);
		(void)pause();
		_exit(0);
	}
	(void)close(ready[1]);
	cr_assert(read(ready[0], &byte, 1) == 1, "the holder is up");
	(void)close(ready[0]);
	return pid;
}

static void end_holder(pid_t pid)
{
	cr_assert(kill(pid, SIGKILL) == 0);
	cr_assert(waitpid(pid, NULL, 0) == pid);
}

/* What a new process of `user` gets: 0 held, 1 started unheld, 2 refused. */
static int outcome(uint64_t chain_id, uid_t user)
{
	struct payee_lock lock = {0};
	char why[PAYEE_LOCK_WHY_MAX];
	pid_t pid = fork();
	int status;

	cr_assert(pid >= 0);
	if (pid == 0) {
		if (setuid(user) != 0)
			_exit(3);
		if (payee_lock_take(&lock, chain_id, payee, why))
			_exit(2);
		_exit(lock.count == 1 ? 0 : 1);
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(payee_lock, another_server_with_the_payee_is_refused_until_it_is_killed)
{
	struct payee_lock lock = {0};
	char why[PAYEE_LOCK_WHY_MAX] = "";
	char process[32];
	pid_t pid = begin_holder(chain(), 0);

	cr_assert(payee_lock_take(&lock, chain(), payee, why) == ERR_EXISTS);
	cr_assert(lock.count == 0);
	(void)snprintf(process, sizeof(process), "process %d:", (int)pid);
	cr_assert(strstr(why, process), "%s", why);
	cr_assert(strstr(why, "0x90f79b0000000000000000000000000000000000 of"),
		  "%s", why);
	cr_assert(payee_lock_take(&lock, chain(), other, why) == 0);
	cr_assert(payee_lock_take(&lock, chain() + (1u << 30), payee, why) ==
		  0);
	cr_assert(lock.count == 2, "another payee, another chain");
	end_holder(pid);
	cr_assert(payee_lock_take(&lock, chain(), payee, why) == 0);
	cr_assert(lock.count == 3);
	payee_lock_release(&lock);
}

Test(payee_lock, two_tokens_of_one_payee_are_held_once)
{
	struct payee_lock lock = {0}, next = {0};
	char why[PAYEE_LOCK_WHY_MAX];

	cr_assert(payee_lock_take(&lock, chain(), payee, why) == 0);
	cr_assert(payee_lock_take(&lock, chain(), payee, why) == 0);
	cr_assert(lock.count == 1);
	cr_assert(payee_lock_take(&next, chain(), payee, why) == ERR_EXISTS);
	payee_lock_release(&lock);
	cr_assert(payee_lock_take(&next, chain(), payee, why) == 0);
	payee_lock_release(&next);
}

Test(payee_lock, a_program_that_the_server_starts_does_not_hold_it)
{
	struct payee_lock lock = {0};
	char why[PAYEE_LOCK_WHY_MAX];

	cr_assert(payee_lock_take(&lock, chain(), payee, why) == 0);
	cr_assert(fcntl(lock.held[0].fd, F_GETFD) & FD_CLOEXEC);
	payee_lock_release(&lock);
}

/* Only root can be several users. */
Test(payee_lock, a_stranger_keeps_nobody_from_starting)
{
	const uid_t alice = 60001, bob = 60002;
	pid_t pid;

	if (geteuid() != 0)
		return;
	pid = begin_holder(chain(), alice);
	cr_assert(outcome(chain(), alice) == 2);
	cr_assert(outcome(chain(), bob) == 1);
	cr_assert(outcome(chain(), 0) == 2);
	end_holder(pid);
	pid = begin_holder(chain(), 0);
	cr_assert(outcome(chain(), bob) == 2);
	end_holder(pid);
	cr_assert(outcome(chain(), bob) == 0);
}

static int connect_to(const struct payee_lock *lock)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert(fd >= 0);
	cr_assert(getsockname(lock->held[0].fd, (struct sockaddr *)&addr,
			      &len) == 0);
	if (connect(fd, (struct sockaddr *)&addr, len) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Each refused start leaves one in the queue. */
Test(payee_lock, however_often_it_was_asked_it_answers)
{
	struct payee_lock lock = {0}, next = {0};
	char why[PAYEE_LOCK_WHY_MAX];
	unsigned asked = 0;
	int fd;

	cr_assert(payee_lock_take(&lock, chain(), payee, why) == 0);
	while ((fd = connect_to(&lock)) >= 0) {
		(void)close(fd);
		cr_assert(++asked <= 1u << 20);
	}
	payee_lock_tick(&lock);
	cr_assert(payee_lock_take(&next, chain(), payee, why) == ERR_EXISTS);
	payee_lock_release(&lock);
}
