#ifndef TESTS_SUPPORT_ECHO_SERVER_H
#define TESTS_SUPPORT_ECHO_SERVER_H
/*
 * A server of links for tests of links: one ring, one set, one thread. It
 * sends back what it gets, and counts.
 *
 * Thread: `config` and `pauses` are set between init and start; counters may
 *         be read at any time.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/link.h"
#include "net/ring.h"

/* Codes of a capability and what comes of them. */
enum {
	ECHO_CODE_SAME,  /* the same payload with the same code */
	ECHO_CODE_FLOOD, /* more notes than the queue takes */
	ECHO_CODE_QUIT,  /* a Disconnect: subprotocol error */
	ECHO_CODE_NOTE,  /* nothing */
};

struct echo_server {
	struct secp_key key;
	struct ring *ring;
	struct link_set *set;
	pthread_t thread;
	struct sockaddr_in addr;
	struct link_config config;
	atomic_uint opened, closed, drained, messages;
	atomic_int last_err, last_reason, last_local;
	atomic_bool stop; /* set: it ends when all links have */
	bool is_stopping;
	bool pauses; /* now and then, to be released by the tick */
	uint64_t paused[8];
};

void echo_server_init(struct echo_server *s);
/* On a free port of loopback. False: there is no such engine here. */
bool echo_server_start(struct echo_server *s, enum ring_engine engine);
void echo_server_stop(struct echo_server *s);
/* Until every link that was opened has been closed. */
void echo_server_wait_quiet(struct echo_server *s);

/*
 * Run a test over each engine. False from it: there is no such engine here,
 * which only io_uring may be.
 */
void echo_server_engines(bool (*test)(enum ring_engine engine));

#endif
