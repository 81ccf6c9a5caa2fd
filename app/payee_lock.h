#ifndef APP_PAYEE_LOCK_H
#define APP_PAYEE_LOCK_H
/*
 * One payee, one server (payments.md §19): nothing else stops one payment from
 * being claimed at two servers. A server that sells holds a listening unix
 * socket with an abstract name for each pair of chain id and payee; another one
 * on this machine (in this network namespace) finds the name taken. The kernel
 * frees it when the process ends, in whatever way.
 *
 * Any local user can take such a name. Who holds it is asked of the kernel, and
 * only a holder whom we have reason to trust (our user, root; anybody if we are
 * root) keeps us from starting. This is for mistakes of the operator.
 *
 * Thread: main. The caller owns the lock; zero it before use.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/offer.h"

#define PAYEE_LOCK_WHY_MAX 512

struct payee_lock {
	struct payee_held {
		int fd;
		uint64_t chain_id;
		uint8_t payee[ADDRESS_SIZE];
	} held[OFFER_OPTIONS_MAX];
	unsigned count;
};

/*
 * Hold this pair; one that `lock` holds already is held once (two tokens of one
 * chain). At most OFFER_OPTIONS_MAX pairs. 0, also when it could not be told
 * whether it is used, or a stranger holds the name: that is logged. ERR_EXISTS:
 * used by another server, with a sentence in `why`. Waits two seconds at most,
 * for a holder that is just starting or ending.
 */
int payee_lock_take(struct payee_lock *lock, uint64_t chain_id,
		    const uint8_t payee[static ADDRESS_SIZE],
		    char why[static PAYEE_LOCK_WHY_MAX]);
/*
 * Call it every second or so: those who asked who we are wait in the socket's
 * queue, and when that is full nobody can ask any more.
 */
void payee_lock_tick(struct payee_lock *lock);
void payee_lock_release(struct payee_lock *lock);

#endif
