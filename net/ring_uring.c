#include "net/ring_engine.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"

/*
 * The engine of choice: one io_uring_enter() a round submits what changed,
 * waits and collects. Accept and receive are armed once and answer many
 * times (multishot); what is received goes into buffers that the kernel
 * picks from those we lend it, so a quiet socket holds none.
 *
 * The operations of a socket that the kernel holds are in `in_kernel`; a
 * closing one is quiet when the last answer to each has come.
 */
#define SQ_ENTRIES 1024
#define CQ_MIN     4096
#define CQ_MAX     32768
#define BUF_GROUP  0
#define SEND_MAX   (1u << 30)
#define INDEX_BITS 24
#define NO_SOCK    ((1u << INDEX_BITS) - 1)

struct uring {
	struct io_uring ring;
	bool is_up, is_wake_armed;
	struct io_uring_buf_ring *bufs;
	size_t bufs_bytes;
	unsigned given; /* buffers not yet shown to the kernel */
};

_Static_assert(RING_IOV_MAX <= 1024, "one sendmsg takes it");

/* Names of operations: op 8, generation 32, index 24 bits. */
static uint64_t op_name(const struct ring_sock *sock, enum sock_op op)
{
	return (uint64_t)op << 56 | (uint64_t)sock->generation << INDEX_BITS |
	       ring_sock_index(sock);
}

/* Setting up */

static void uring_release(struct ring *ring)
{
	struct uring *u = ring->engine_data;

	if (!u)
		return;
	if (u->is_up)
		io_uring_queue_exit(&u->ring);
	if (u->bufs)
		munmap(u->bufs, u->bufs_bytes);
	free(u);
	ring->engine_data = NULL;
}

static unsigned cq_entries(const struct ring *ring)
{
	unsigned want = 2 * ring->config.socks_max;

	if (want < CQ_MIN)
		return CQ_MIN;
	return want > CQ_MAX ? CQ_MAX : want;
}

/*
 * Everything here is in kernels that know SINGLE_ISSUER (6.0). Disabled at
 * first: the thread that enables the ring is its one issuer, not we.
 */
static int queue_init(struct ring *ring, struct uring *u)
{
	const unsigned common = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
				IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER;
	const unsigned tries[] = {common | IORING_SETUP_DEFER_TASKRUN,
				  common | IORING_SETUP_COOP_TASKRUN};
	int err = -ENOSYS;
	size_t i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct io_uring_params params = {
			.flags = tries[i], .cq_entries = cq_entries(ring)};

		err = io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &params);
		if (err != -EINVAL)
			break;
	}
	if (err == 0)
		u->is_up = true;
	/* Whatever the reason is, it is not to be had here. */
	return err == -ENOMEM ? ERR_NOMEM : err ? ERR_UNSUPPORTED : 0;
}

static int has_opcodes(struct uring *u)
{
	static const int needed[] = {IORING_OP_ACCEPT,  IORING_OP_CONNECT,
				     IORING_OP_RECV,    IORING_OP_SEND,
				     IORING_OP_SENDMSG, IORING_OP_ASYNC_CANCEL,
				     IORING_OP_POLL_ADD};
	struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
	int err = 0;
	size_t i;

	if (!probe)
		return ERR_UNSUPPORTED;
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!io_uring_opcode_supported(probe, needed[i]))
			err = ERR_UNSUPPORTED;
	io_uring_free_probe(probe);
	if (!(u->ring.features & IORING_FEAT_EXT_ARG) ||
	    !(u->ring.features & IORING_FEAT_NODROP))
		err = ERR_UNSUPPORTED;
	return err;
}

static int register_bufs(struct ring *ring, struct uring *u)
{
	struct io_uring_buf_reg reg = {.ring_entries = ring->config.buf_count,
				       .bgid = BUF_GROUP};
	void *memory;

	u->bufs_bytes = ring->config.buf_count * sizeof(struct io_uring_buf);
	memory = mmap(NULL, u->bufs_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return ERR_NOMEM;
	u->bufs = memory;
	io_uring_buf_ring_init(u->bufs);
	reg.ring_addr = (uintptr_t)memory;
	if (io_uring_register_buf_ring(&u->ring, &reg, 0) != 0)
		return ERR_UNSUPPORTED;
	return 0;
}

static int uring_init(struct ring *ring)
{
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return ERR_NOMEM;
	ring->engine_data = u;
	err = queue_init(ring, u);
	if (!err)
		err = has_opcodes(u);
	if (!err)
		err = register_bufs(ring, u);
	if (err)
		uring_release(ring);
	return err;
}

static int uring_start(struct ring *ring)
{
	struct uring *u = ring->engine_data;

	/* liburing 2.3 declares io_uring_enable_rings() and has it not. */
	return io_uring_register((unsigned)u->ring.ring_fd,
				 IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0
		       ? ERR_IO
		       : 0;
}

static void uring_give(struct ring *ring, unsigned index)
{
	struct uring *u = ring->engine_data;
	unsigned size = ring->config.buf_size;

	io_uring_buf_ring_add(u->bufs, ring->bufs_memory + (size_t)index * size,
			      size, (unsigned short)index,
			      io_uring_buf_ring_mask(ring->config.buf_count),
			      (int)u->given++);
}

/* Asking */

/* NULL: the kernel takes no more before it has been asked for answers. */
static struct io_uring_sqe *get_sqe(struct ring *ring)
{
	struct uring *u = ring->engine_data;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe && ring->is_running && io_uring_submit(&u->ring) > 0)
		sqe = io_uring_get_sqe(&u->ring);
	return sqe;
}

static struct io_uring_sqe *begin(struct ring_sock *sock, enum sock_op op)
{
	struct io_uring_sqe *sqe = get_sqe(sock->ring);

	if (!sqe)
		return NULL;
	assert(!(sock->in_kernel & op));
	sock->in_kernel |= (uint8_t)op;
	return sqe;
}

static bool ask_accept(struct ring_sock *sock)
{
	struct io_uring_sqe *sqe = begin(sock, OP_ACCEPT);

	if (!sqe)
		return false;
	io_uring_prep_multishot_accept(sqe, sock->fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, op_name(sock, OP_ACCEPT));
	return true;
}

static bool ask_connect(struct ring_sock *sock)
{
	struct io_uring_sqe *sqe = begin(sock, OP_CONNECT);

	if (!sqe)
		return false;
	io_uring_prep_connect(sqe, sock->fd, (struct sockaddr *)&sock->addr,
			      sock->addr_len);
	io_uring_sqe_set_data64(sqe, op_name(sock, OP_CONNECT));
	return true;
}

static bool ask_recv(struct ring_sock *sock)
{
	struct io_uring_sqe *sqe = begin(sock, OP_RECV);

	if (!sqe)
		return false;
	io_uring_prep_recv_multishot(sqe, sock->fd, NULL, 0, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
	sqe->buf_group = BUF_GROUP;
	io_uring_sqe_set_data64(sqe, op_name(sock, OP_RECV));
	return true;
}

/* The caller's array is not ours to change: a part that was begun goes alone.
 */
static bool ask_send(struct ring_sock *sock)
{
	const int flags = MSG_NOSIGNAL | MSG_WAITALL;
	struct io_uring_sqe *sqe = begin(sock, OP_SEND);

	if (!sqe)
		return false;
	if (sock->iov_count == 1 || sock->offset > 0) {
		size_t size = sock->iov->iov_len - sock->offset;

		io_uring_prep_send(
			sqe, sock->fd,
			(const uint8_t *)sock->iov->iov_base + sock->offset,
			size < SEND_MAX ? size : SEND_MAX,
			sock->iov_count > 1 ? flags | MSG_MORE : flags);
	} else {
		/* Sending does not write to the array. */
		sock->msg = (struct msghdr){
			.msg_iov = (struct iovec *)(uintptr_t)sock->iov,
			.msg_iovlen = sock->iov_count};
		io_uring_prep_sendmsg(sqe, sock->fd, &sock->msg,
				      (unsigned)flags);
	}
	io_uring_sqe_set_data64(sqe, op_name(sock, OP_SEND));
	return true;
}

/*
 * By its name, which the kernel looks up. By descriptor it would walk all that
 * the ring has under way, so that each close cost as much as there are
 * connections.
 */
static bool ask_cancel(struct ring_sock *sock, enum sock_op op)
{
	struct io_uring_sqe *sqe = begin(sock, OP_CANCEL);

	if (!sqe)
		return false;
	io_uring_prep_cancel64(sqe, op_name(sock, op), 0);
	io_uring_sqe_set_data64(sqe, op_name(sock, OP_CANCEL));
	return true;
}

static bool update_open(struct ring_sock *sock)
{
	uint8_t held = sock->in_kernel;

	if (sock->is_sending && !(held & OP_SEND) && !ask_send(sock))
		return false;
	if (sock->is_starved || held & OP_CANCEL)
		return true;
	if (!sock->is_paused && !(held & OP_RECV))
		return ask_recv(sock);
	if (sock->is_paused && held & OP_RECV)
		return ask_cancel(sock, OP_RECV);
	return true;
}

static bool update_closing(struct ring_sock *sock)
{
	static const enum sock_op ops[] = {OP_SEND, OP_RECV, OP_CONNECT,
					   OP_ACCEPT};

	if (!sock->in_kernel) {
		ring_sock_is_quiet(sock);
		return true;
	}
	if (sock->in_kernel & OP_CANCEL)
		return true;
	/* One after the other: this is called again when it has ended. */
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (sock->in_kernel & ops[i])
			return ask_cancel(sock, ops[i]);
	return true;
}

static bool uring_update(struct ring_sock *sock)
{
	switch ((enum sock_state)sock->state) {
	case SOCK_LISTENING:
		if (sock->is_paused || sock->in_kernel & OP_ACCEPT)
			return true;
		return ask_accept(sock);
	case SOCK_CONNECTING:
		return sock->in_kernel & OP_CONNECT || ask_connect(sock);
	case SOCK_OPEN:
		return update_open(sock);
	case SOCK_CLOSING:
		return update_closing(sock);
	case SOCK_FREE:
	case SOCK_NEW:
		break;
	}
	assert(false);
	return true;
}

/* Each write to the eventfd is an answer, so it is never read. */
static void arm_wake(struct ring *ring)
{
	struct uring *u = ring->engine_data;
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, ring->event_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, (uint64_t)OP_WAKE << 56 | NO_SOCK);
	u->is_wake_armed = true;
}

static int uring_wait(struct ring *ring, unsigned timeout_us)
{
	struct uring *u = ring->engine_data;
	struct __kernel_timespec ts = {.tv_sec = timeout_us / 1000000,
				       .tv_nsec =
					       timeout_us % 1000000 * 1000LL};
	struct io_uring_cqe *cqe;
	int n;

	if (!u->is_wake_armed)
		arm_wake(ring);
	io_uring_buf_ring_advance(u->bufs, (int)u->given);
	u->given = 0;
	/* Without the eventfd nobody could wake us. */
	if (timeout_us == 0 || !u->is_wake_armed)
		n = io_uring_submit_and_get_events(&u->ring);
	else
		n = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts,
						     NULL);
	if (n >= 0 || n == -ETIME || n == -EINTR || n == -EBUSY || n == -EAGAIN)
		return 0;
	return ERR_IO;
}

/* Answers */

static void on_accept(struct ring_sock *sock, int result)
{
	if (result >= 0)
		ring_sock_accepted(sock, result);
	else if (result != -ECANCELED && result != -EAGAIN)
		ring_sock_not_accepted(sock, -result);
}

static void on_connect(struct ring_sock *sock, int result)
{
	if (result == 0)
		ring_sock_connected(sock);
	else
		ring_sock_failed(sock, -result);
}

static void on_recv(struct ring_sock *sock, const struct io_uring_cqe *cqe)
{
	unsigned index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

	if (cqe->res > 0) {
		assert(cqe->flags & IORING_CQE_F_BUFFER);
		ring_sock_received(sock, index, (uint32_t)cqe->res);
		return;
	}
	if (cqe->flags & IORING_CQE_F_BUFFER)
		uring_give(sock->ring, index);
	if (cqe->res == 0)
		ring_sock_end(sock, 0);
	else if (cqe->res == -ENOBUFS)
		ring_sock_starve(sock);
	else if (cqe->res != -ECANCELED && cqe->res != -EAGAIN &&
		 cqe->res != -EINTR)
		ring_sock_failed(sock, -cqe->res);
}

static void on_send(struct ring_sock *sock, int result)
{
	if (sock->state != SOCK_OPEN)
		return;
	if (result >= 0) {
		if (ring_sock_advance(sock, (size_t)result))
			ring_sock_sent(sock);
	} else if (result != -EAGAIN && result != -EINTR) {
		ring_sock_failed(sock, -result);
	}
}

static void take_answer(struct ring *ring, const struct io_uring_cqe *cqe)
{
	enum sock_op op = (enum sock_op)(cqe->user_data >> 56);
	struct ring_sock *sock = &ring->slots[cqe->user_data & NO_SOCK];
	struct uring *u = ring->engine_data;

	if (op == OP_WAKE) {
		u->is_wake_armed = cqe->flags & IORING_CQE_F_MORE;
		return;
	}
	assert(cqe->user_data == op_name(sock, op));
	assert(sock->in_kernel & op);
	/* The last answer to this: see what the socket wants now. */
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		sock->in_kernel &= (uint8_t)~op;
		ring_sock_changed(sock);
	}
	switch (op) {
	case OP_ACCEPT:
		on_accept(sock, cqe->res);
		break;
	case OP_CONNECT:
		on_connect(sock, cqe->res);
		break;
	case OP_RECV:
		on_recv(sock, cqe);
		break;
	case OP_SEND:
		on_send(sock, cqe->res);
		break;
	case OP_CANCEL:
	case OP_WAKE:
		break;
	}
}

/* Answers that did not fit are kept by the kernel until the next wait. */
static void uring_dispatch(struct ring *ring)
{
	struct uring *u = ring->engine_data;
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		take_answer(ring, cqe);
		count++;
	}
	io_uring_cq_advance(&u->ring, count);
}

static bool uring_has_work(const struct ring *ring)
{
	(void)ring;
	return false;
}

static void uring_forget(struct ring_sock *sock)
{
	(void)sock;
}

const struct ring_engine_ops ring_engine_uring = {
	.name = "io_uring",
	.init = uring_init,
	.start = uring_start,
	.update = uring_update,
	.wait = uring_wait,
	.dispatch = uring_dispatch,
	.has_work = uring_has_work,
	.give = uring_give,
	.forget = uring_forget,
	.release = uring_release,
};
