#include "net/dialer.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/enode.h"
#include "core/err.h"
#include "core/log.h"
#include "net/node_ring.h"

#define RESOLVE_WAIT_MS 1000
#define RESOLVE_LOOK_MS 50 /* for a word that we are to give up */

enum dial_state { DIAL_IDLE, DIAL_RESOLVING, DIAL_LINKED };

/* Belongs to its ring, but while it is being resolved. */
struct dialed {
	struct note note; /* the way back; its letter is the way there, too */
	struct node_ring *ring;
	const struct enode *enode;
	enum dial_state state;
	uint64_t due_ms;
	uint64_t backoff_ms;
	int resolve_err;
	unsigned tries;
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

struct dialer {
	struct node_ring *ring;
	unsigned count;
	struct dialed peers[];
};

struct resolver {
	struct mailbox mailbox;
	pthread_t thread;
	atomic_bool is_giving_up; /* what is asked has no answer any more */
	atomic_bool is_stopping;
};

/* One question, on a thread of its own; whoever leaves last frees it. */
struct lookup {
	atomic_uint refs;
	sem_t answered;
	struct addrinfo *found; /* after that */
	char host[ENODE_HOST_MAX + 1];
	char port[8];
};

/* ---- the resolver's thread ---- */

/* Each try takes the next address that the name has. */
static const struct addrinfo *choose(const struct addrinfo *found,
				     unsigned tries)
{
	const struct addrinfo *one = found;
	unsigned count = 0;

	for (; one; one = one->ai_next)
		count++;
	if (count == 0)
		return NULL;
	one = found;
	for (unsigned i = 0; i < tries % count; i++)
		one = one->ai_next;
	return one->ai_addrlen <= sizeof(struct sockaddr_storage) ? one : NULL;
}

static void lookup_unref(struct lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->refs, 1) > 1)
		return;
	if (lookup->found)
		freeaddrinfo(lookup->found);
	(void)sem_destroy(&lookup->answered);
	free(lookup);
}

static void *lookup_main(void *arg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
				       .ai_socktype = SOCK_STREAM};
	struct lookup *lookup = arg;

	(void)pthread_setname_np(pthread_self(), "lookup");
	if (getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found))
		lookup->found = NULL;
	(void)sem_post(&lookup->answered);
	lookup_unref(lookup);
	return NULL;
}

/* NULL: no memory. With two references, and under way. */
static struct lookup *lookup_start(const struct enode *enode)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	pthread_t thread;

	if (!lookup)
		return NULL;
	(void)snprintf(lookup->host, sizeof(lookup->host), "%s", enode->host);
	(void)snprintf(lookup->port, sizeof(lookup->port), "%u",
		       (unsigned)enode->tcp);
	atomic_init(&lookup->refs, 2);
	(void)sem_init(&lookup->answered, 0, 0);
	if (pthread_create(&thread, NULL, lookup_main, lookup) == 0) {
		(void)pthread_detach(thread);
		return lookup;
	}
	(void)sem_destroy(&lookup->answered);
	free(lookup);
	return NULL;
}

static bool is_answered(struct lookup *lookup)
{
	const struct timespec until = node_until(RESOLVE_LOOK_MS);

	return sem_clockwait(&lookup->answered, CLOCK_MONOTONIC, &until) == 0;
}

/*
 * A name server that does not answer is waited for longer than a server may
 * take to end, and there is no way to call that off: then it is left alone.
 */
static void look_up(struct resolver *resolver, struct dialed *peer)
{
	const struct addrinfo *one;
	struct lookup *lookup;

	/* Others may still wait behind the one that was left alone. */
	if (atomic_load(&resolver->is_giving_up))
		return;
	lookup = lookup_start(peer->enode);
	if (!lookup)
		return;
	while (!is_answered(lookup)) {
		if (atomic_load(&resolver->is_giving_up)) {
			lookup_unref(lookup);
			return;
		}
	}
	one = choose(lookup->found, peer->tries++);
	if (one) {
		memcpy(&peer->addr, one->ai_addr, one->ai_addrlen);
		peer->addr_len = one->ai_addrlen;
		peer->resolve_err = 0;
	}
	lookup_unref(lookup);
}

static void resolve(struct resolver *resolver, struct dialed *peer)
{
	peer->resolve_err = ERR_NOTFOUND;
	look_up(resolver, peer);
	node_ring_put_always(peer->ring, &peer->note);
}

static void *resolver_main(void *arg)
{
	struct resolver *resolver = arg;

	(void)pthread_setname_np(pthread_self(), "resolver");
	while (!atomic_load(&resolver->is_stopping)) {
		struct letter *letter = mailbox_take_all(&resolver->mailbox);

		if (!letter)
			mailbox_wait(&resolver->mailbox, RESOLVE_WAIT_MS);
		while (letter) {
			struct letter *next = letter->next;

			resolve(resolver, (struct dialed *)letter);
			letter = next;
		}
	}
	return NULL;
}

int resolver_start(struct resolver **out)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return ERR_NOMEM;
	mailbox_init(&resolver->mailbox, 4096, NULL, NULL);
	if (pthread_create(&resolver->thread, NULL, resolver_main, resolver)) {
		free(resolver);
		return ERR_IO;
	}
	*out = resolver;
	return 0;
}

void resolver_give_up(struct resolver *resolver)
{
	if (resolver)
		atomic_store(&resolver->is_giving_up, true);
}

void resolver_stop(struct resolver *resolver)
{
	if (!resolver)
		return;
	atomic_store(&resolver->is_stopping, true);
	mailbox_nudge(&resolver->mailbox);
	pthread_join(resolver->thread, NULL);
	free(resolver);
}

/* ---- the ring's side ---- */

static_assert(offsetof(struct note, letter) == 0 &&
		      offsetof(struct dialed, note) == 0,
	      "a letter is its peer");

/* Later, and each time later still; jitter keeps peers apart. */
static void back_off(struct dialed *peer, uint64_t now_ms)
{
	const struct node_config *config = &peer->ring->node->config;
	uint32_t random;

	bytes_random((uint8_t *)&random, sizeof(random));
	peer->state = DIAL_IDLE;
	peer->due_ms = now_ms + peer->backoff_ms / 2 +
		       random % (peer->backoff_ms / 2 + 1);
	peer->backoff_ms *= 2;
	if (peer->backoff_ms > config->dial_max_ms)
		peer->backoff_ms = config->dial_max_ms;
}

static void dial(struct dialed *peer, uint64_t now_ms)
{
	struct session *session = session_new(peer->ring, peer);

	if (session &&
	    link_dial(peer->ring->links, peer->enode->public,
		      (const struct sockaddr *)&peer->addr, peer->addr_len,
		      session, &session->link) == 0) {
		peer->state = DIAL_LINKED;
		return;
	}
	session_free(session);
	back_off(peer, now_ms);
}

static void resolved(struct node_ring *ring, struct note *note, bool is_over)
{
	struct dialed *peer = (struct dialed *)note;
	uint64_t now_ms;

	ring->out--;
	if (is_over)
		return;
	now_ms = node_ring_now_ms(ring);
	peer->state = DIAL_IDLE;
	if (ring->stopping != STOPPING_NOT)
		return;
	if (peer->resolve_err) {
		LOG_UNUSUAL("static peer has no address",
			    log_text("host", peer->enode->host));
		back_off(peer, now_ms);
	} else {
		dial(peer, now_ms);
	}
}

struct dialer *dialer_new(struct node_ring *ring)
{
	const struct node *node = ring->node;
	unsigned all = node->config.static_peers_count;
	struct dialer *dialer =
		calloc(1, sizeof(*dialer) + all * sizeof(struct dialed));

	if (!dialer)
		return NULL;
	dialer->ring = ring;
	for (unsigned i = ring->index; i < all; i += node->rings_count) {
		struct dialed *peer = &dialer->peers[dialer->count++];

		peer->note.deliver = resolved;
		peer->ring = ring;
		peer->enode = &node->config.static_peers[i];
		peer->backoff_ms = node->config.dial_min_ms;
	}
	return dialer;
}

void dialer_free(struct dialer *dialer)
{
	free(dialer);
}

void dialer_tick(struct dialer *dialer, uint64_t now_ms)
{
	struct node *node = dialer->ring->node;

	for (unsigned i = 0; i < dialer->count; i++) {
		struct dialed *peer = &dialer->peers[i];

		if (peer->state != DIAL_IDLE || now_ms < peer->due_ms)
			continue;
		/* It may have dialled us. */
		if (peers_has(node->peers, peer->enode->public) ||
		    mailbox_put(&node->resolver->mailbox, &peer->note.letter)) {
			back_off(peer, now_ms);
			continue;
		}
		peer->state = DIAL_RESOLVING;
		dialer->ring->out++;
	}
}

void dialer_opened(struct dialed *peer)
{
	peer->backoff_ms = peer->ring->node->config.dial_min_ms;
}

void dialer_closed(struct dialed *peer, uint64_t now_ms)
{
	assert(peer->state == DIAL_LINKED);
	back_off(peer, now_ms);
}
