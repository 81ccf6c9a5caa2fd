#include "app/payee_lock.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/log.h"

#define TRIES      200u
#define TRY_NS     (10L * 1000 * 1000)
#define ASKERS_MAX 1024u /* taken from a queue at once */

struct name {
	struct sockaddr_un addr;
	socklen_t len;
	char payee[2 * ADDRESS_SIZE + 1];
};

/* An abstract name begins with a zero byte and has none at its end. */
static void make_name(uint64_t chain_id,
		      const uint8_t payee[static ADDRESS_SIZE],
		      struct name *out)
{
	int len;

	memset(out, 0, sizeof(*out));
	out->addr.sun_family = AF_UNIX;
	hex_encode(payee, ADDRESS_SIZE, out->payee);
	len = snprintf(out->addr.sun_path + 1, sizeof(out->addr.sun_path) - 1,
		       "restante/payee/%llu/%s", (unsigned long long)chain_id,
		       out->payee);
	assert(len > 0 && (size_t)len < sizeof(out->addr.sun_path) - 1);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)len);
}

/* A socket that never waits and is no child's, or minus errno. */
static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* The socket that holds the name, or minus errno. */
static int hold(const struct name *name)
{
	const struct sockaddr *addr = (const struct sockaddr *)&name->addr;
	int fd = make_socket();
	int err;

	if (fd < 0)
		return fd;
	if (bind(fd, addr, name->len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	err = errno;
	(void)close(fd);
	return -err;
}

/* Who listens there, as of its listen(): 0 or minus errno. */
static int ask_holder(const struct name *name, struct ucred *out)
{
	const struct sockaddr *addr = (const struct sockaddr *)&name->addr;
	socklen_t len = sizeof(*out);
	int fd = make_socket();
	int err = 0;

	if (fd < 0)
		return fd;
	if (connect(fd, addr, name->len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out, &len) != 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/*
 * The socket or minus errno. -EADDRINUSE: `holder` has it, of whom nothing is
 * known when its pid and uid are all ones. One that does not listen yet or no
 * longer, or whose queue is full, is tried again.
 */
static int hold_or_ask(const struct name *name, struct ucred *holder)
{
	const struct timespec rest = {.tv_nsec = TRY_NS};

	for (unsigned i = 0; i < TRIES; i++) {
		int fd = hold(name);

		if (fd != -EADDRINUSE || ask_holder(name, holder) == 0)
			return fd;
		(void)nanosleep(&rest, NULL);
	}
	*holder = (struct ucred){-1, (uid_t)-1, (gid_t)-1};
	return -EADDRINUSE;
}

static bool is_trusted(const struct ucred *holder)
{
	uid_t us = geteuid();

	if (holder->uid == (uid_t)-1)
		return false;
	return us == 0 || holder->uid == 0 || holder->uid == us;
}

static int refuse(const struct name *name, uint64_t chain_id, pid_t pid,
		  char why[static PAYEE_LOCK_WHY_MAX])
{
	char process[32] = "";

	/* It is 0 when the holder has pids that are not seen here. */
	if (pid > 0)
		(void)snprintf(process, sizeof(process), ", process %d",
			       (int)pid);
	(void)snprintf(why, PAYEE_LOCK_WHY_MAX,
		       "payee 0x%s of chain %llu is used by another server on "
		       "this machine%s: one payment could be claimed at both. "
		       "Give each server a payee of its own; see "
		       "docs/payments.md",
		       name->payee, (unsigned long long)chain_id, process);
	return ERR_EXISTS;
}

static void keep(struct payee_lock *lock, int fd, uint64_t chain_id,
		 const uint8_t payee[static ADDRESS_SIZE])
{
	struct payee_held *held = &lock->held[lock->count++];

	held->fd = fd;
	held->chain_id = chain_id;
	memcpy(held->payee, payee, ADDRESS_SIZE);
}

static bool is_held(const struct payee_lock *lock, uint64_t chain_id,
		    const uint8_t payee[static ADDRESS_SIZE])
{
	for (unsigned i = 0; i < lock->count; i++)
		if (lock->held[i].chain_id == chain_id &&
		    memcmp(lock->held[i].payee, payee, ADDRESS_SIZE) == 0)
			return true;
	return false;
}

int payee_lock_take(struct payee_lock *lock, uint64_t chain_id,
		    const uint8_t payee[static ADDRESS_SIZE],
		    char why[static PAYEE_LOCK_WHY_MAX])
{
	struct ucred holder = {0};
	struct name name;
	int fd;

	if (is_held(lock, chain_id, payee))
		return 0;
	assert(lock->count < OFFER_OPTIONS_MAX);
	make_name(chain_id, payee, &name);
	fd = hold_or_ask(&name, &holder);
	if (fd >= 0) {
		keep(lock, fd, chain_id, payee);
		return 0;
	}
	if (fd == -EADDRINUSE && is_trusted(&holder))
		return refuse(&name, chain_id, holder.pid, why);
	if (fd == -EADDRINUSE)
		LOG_UNUSUAL("a stranger holds the name by which another server "
			    "with this payee would be noticed",
			    log_text("payee", name.payee),
			    log_u64("chain", chain_id),
			    log_i64("process", holder.pid),
			    log_i64("user", holder.uid == (uid_t)-1
						    ? -1
						    : (int64_t)holder.uid));
	else
		LOG_UNUSUAL("another server with this payee would not be "
			    "noticed",
			    log_text("payee", name.payee),
			    log_u64("chain", chain_id),
			    log_text("why", err_system(-fd)));
	return 0;
}

void payee_lock_tick(struct payee_lock *lock)
{
	for (unsigned i = 0; i < lock->count; i++) {
		for (unsigned n = 0; n < ASKERS_MAX; n++) {
			int fd = accept(lock->held[i].fd, NULL, NULL);

			if (fd < 0)
				break;
			(void)close(fd);
		}
	}
}

void payee_lock_release(struct payee_lock *lock)
{
	for (unsigned i = 0; i < lock->count; i++)
		(void)close(lock->held[i].fd);
	lock->count = 0;
}
