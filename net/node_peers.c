/*
 * A list of all peers, for the operator. Sessions belong to their rings, so
 * each ring writes its own part when its mailbox is read; whoever asked waits
 * for a while, and a ring that comes later throws its part away.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "net/node.h"
#include "net/node_ring.h"

struct census;

struct part {
	struct note note; /* first */
	struct census *census;
	struct node_peer_view *list;
	size_t count;
	atomic_bool is_done;
};

/* Shared by the asker and the rings that have not answered; the last one
 * frees it. */
struct census {
	atomic_uint refs;
	sem_t answered;
	unsigned parts_count;
	struct part parts[];
};

static void unref(struct census *census)
{
	if (atomic_fetch_sub(&census->refs, 1) > 1)
		return;
	for (unsigned i = 0; i < census->parts_count; i++)
		free(census->parts[i].list);
	(void)sem_destroy(&census->answered);
	free(census);
}

/* ---- on the ring ---- */

static size_t addr_size(const struct sockaddr *addr)
{
	return addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6);
}

static void describe(const struct node_ring *ring,
		     const struct session *session, struct node_peer_view *out)
{
	const struct link *link = session->link;
	const struct sockaddr *addr = link_addr(link);
	const char *client = link_client(link);

	memset(out, 0, sizeof(*out));
	memcpy(out->node, link_remote(link), SECP_PUBLIC_SIZE);
	memcpy(&out->addr, addr, addr_size(addr));
	if (client)
		memcpy(out->client, client, strnlen(client, P2P_CLIENT_MAX));
	for (unsigned cap = 0; cap < CAP_COUNT; cap++)
		out->caps[cap] = link_has_cap(link, (enum cap)cap);
	out->is_outgoing = link_is_outgoing(link);
	out->is_paused = session->paused != 0;
	out->age_ms = node_ring_now_ms(ring) - session->opened_ms;
	link_traffic(link, &out->read_bytes, &out->sent_bytes);
	out->queued_bytes = link_queued(link);
	out->requests = session->requests_count;
	out->ring = ring->index;
}

static void write_part(const struct node_ring *ring, struct part *part)
{
	size_t count = 0;

	for (const struct session *s = ring->sessions; s; s = s->next)
		count += s->is_open;
	part->list = malloc((count + 1) * sizeof(*part->list));
	if (!part->list)
		return;
	for (const struct session *s = ring->sessions; s; s = s->next) {
		if (s->is_open)
			describe(ring, s, &part->list[part->count++]);
	}
	atomic_store(&part->is_done, true);
}

static void deliver(struct node_ring *ring, struct note *note, bool is_over)
{
	struct part *part = (struct part *)note;
	struct census *census = part->census;

	if (!is_over)
		write_part(ring, part);
	(void)sem_post(&census->answered);
	unref(census);
}

/* ---- whoever asks ---- */

static struct census *census_new(unsigned parts_count)
{
	struct census *census = calloc(
		1, sizeof(*census) + parts_count * sizeof(census->parts[0]));

	if (!census)
		return NULL;
	if (sem_init(&census->answered, 0, 0)) {
		free(census);
		return NULL;
	}
	atomic_init(&census->refs, 1);
	census->parts_count = parts_count;
	return census;
}

/* Returns how many rings were asked. */
static unsigned ask(struct node *node, struct census *census)
{
	unsigned asked = 0;

	for (unsigned i = 0; i < census->parts_count; i++) {
		struct part *part = &census->parts[i];

		part->note.deliver = deliver;
		part->census = census;
		atomic_fetch_add(&census->refs, 1);
		if (node_ring_put(&node->rings[i], &part->note) == 0)
			asked++;
		else
			atomic_fetch_sub(&census->refs, 1);
	}
	return asked;
}

static void wait_for(struct census *census, unsigned asked, unsigned wait_ms)
{
	const struct timespec until = node_until(wait_ms);
	int failed;

	while (asked > 0) {
		failed = sem_clockwait(&census->answered, CLOCK_MONOTONIC,
				       &until);
		if (failed && errno != EINTR)
			return;
		if (!failed)
			asked--;
	}
}

static int gather(const struct census *census, struct node_peer_view **out,
		  size_t *count, unsigned *silent)
{
	struct node_peer_view *list;
	bool is_done[256];
	size_t all = 0;

	assert(census->parts_count <= 256);
	*silent = 0;
	for (unsigned i = 0; i < census->parts_count; i++) {
		/* Looked at once: it may become done meanwhile. */
		is_done[i] = atomic_load(&census->parts[i].is_done);
		if (is_done[i])
			all += census->parts[i].count;
		else
			(*silent)++;
	}
	list = malloc((all + 1) * sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	*count = 0;
	for (unsigned i = 0; i < census->parts_count; i++) {
		const struct part *part = &census->parts[i];

		if (!is_done[i] || part->count == 0)
			continue;
		memcpy(list + *count, part->list, part->count * sizeof(*list));
		*count += part->count;
	}
	*out = list;
	return 0;
}

int node_peers(struct node *node, unsigned wait_ms, struct node_peer_view **out,
	       size_t *count, unsigned *silent)
{
	struct census *census = census_new(node->rings_count);
	int err;

	if (!census)
		return ERR_NOMEM;
	wait_for(census, ask(node, census), wait_ms);
	err = gather(census, out, count, silent);
	unref(census);
	return err;
}
