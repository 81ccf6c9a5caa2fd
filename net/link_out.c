/*
 * Sending. A message waits with its id and snappy prefix in place; at the end
 * of a round the first of each link are sealed together, again and again,
 * until every link has its share, and each link gives its frames to the ring
 * in one send.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/snap.h"
#include "net/link_impl.h"

#define SEALED_MAX  (256u << 10) /* bytes sealed ahead on one link */
#define SEND_MAX    (256u << 10) /* bytes of one send: progress is seen */
#define FLIGHTS_MAX 64           /* kept aside */

static void push(struct msg_queue *queue, struct msgbuf *buf)
{
	buf->next = NULL;
	if (queue->tail)
		queue->tail->next = buf;
	else
		queue->head = buf;
	queue->tail = buf;
}

static struct msgbuf *pop(struct msg_queue *queue)
{
	struct msgbuf *buf = queue->head;

	queue->head = buf->next;
	if (!queue->head)
		queue->tail = NULL;
	return buf;
}

static void drop(struct msg_queue *queue)
{
	while (queue->head)
		msgbuf_free(pop(queue));
}

bool link_out_is_empty(const struct link *link)
{
	return !link->waiting.head && !link->sealed.head;
}

static size_t frame_size(const struct msgbuf *buf)
{
	return RLPX_HEADER_SIZE + rlpx_body_size(buf->size);
}

/* ---- queueing ---- */

static void wants_output(struct link *link)
{
	node_append(&link->set->output, &link->output);
}

int link_out_message(struct link *link, uint64_t id, struct msgbuf *buf,
		     bool is_snappy)
{
	uint8_t prefix[SNAP_PREFIX_MAX], id_bytes[9];
	size_t size;

	assert(buf->size <= RLPX_FRAME_MAX - SNAP_PREFIX_MAX - 9);
	if (is_snappy)
		msgbuf_prepend(buf, prefix,
			       snap_literal_prefix(buf->size, prefix));
	msgbuf_prepend(buf, id_bytes, p2p_id_encode(id, id_bytes));
	assert(buf->start >= RLPX_HEADER_SIZE);
	size = frame_size(buf);
	assert(buf->cap - buf->start >= size - RLPX_HEADER_SIZE);
	if (size > link->set->config.queue_bytes_max ||
	    link->queued > link->set->config.queue_bytes_max - size) {
		msgbuf_free(buf);
		link_abort(link, ERR_FULL);
		return ERR_FULL;
	}
	push(&link->waiting, buf);
	link->queued += size;
	if (link->queued > link->set->config.queue_low)
		link->is_above_low = true;
	wants_output(link);
	return 0;
}

int link_out_small(struct link *link, uint64_t id, const void *payload,
		   size_t len, bool is_snappy)
{
	struct msgbuf *buf = msgbuf_new(len);

	if (!buf) {
		link_abort(link, ERR_NOMEM);
		return ERR_FULL;
	}
	msgbuf_append(buf, payload, len);
	return link_out_message(link, id, buf, is_snappy);
}

static void push_sealed(struct link *link, struct msgbuf *buf)
{
	push(&link->sealed, buf);
	link->sealed_bytes += buf->size;
	link->sealed_count++;
}

int link_out_raw(struct link *link, const void *bytes, size_t len)
{
	struct msgbuf *buf = msgbuf_new(len);

	if (!buf)
		return ERR_NOMEM;
	msgbuf_append(buf, bytes, len);
	link->queued += len;
	push_sealed(link, buf);
	wants_output(link);
	return 0;
}

int link_send(struct link *link, enum cap cap, unsigned code,
	      struct msgbuf *buf)
{
	assert(code < cap_infos[cap].length);
	if (link->state != LINK_OPEN) {
		msgbuf_free(buf);
		return ERR_CLOSED;
	}
	assert(link->caps.offset[cap] != 0);
	return link_out_message(link, link->caps.offset[cap] + code, buf,
				link->is_snappy);
}

int link_send_bytes(struct link *link, enum cap cap, unsigned code,
		    const void *payload, size_t len)
{
	struct msgbuf *buf;

	if (link->state != LINK_OPEN)
		return ERR_CLOSED;
	buf = msgbuf_new(len);
	if (!buf) {
		link_abort(link, ERR_NOMEM);
		return ERR_FULL;
	}
	msgbuf_append(buf, payload, len);
	return link_send(link, cap, code, buf);
}

size_t link_queued(const struct link *link)
{
	return link->queued;
}

bool link_is_stalled(const struct link *link, unsigned ms)
{
	return link->flight && link_now(link->set) - link->write_ms >= ms;
}

void link_traffic(const struct link *link, uint64_t *read_bytes,
		  uint64_t *sent_bytes)
{
	*read_bytes = link->read_bytes;
	*sent_bytes = link->sent_bytes;
}

void link_out_drop_waiting(struct link *link)
{
	for (struct msgbuf *buf = link->waiting.head; buf; buf = buf->next)
		link->queued -= frame_size(buf);
	drop(&link->waiting);
	node_remove(&link->output);
}

/* ---- flights ---- */

static struct link_flight *flight_take(struct link_set *set)
{
	struct link_flight *flight = set->flights;

	if (!flight)
		return malloc(sizeof(*flight));
	set->flights = flight->next;
	set->flights_spare--;
	return flight;
}

static void flight_give(struct link_set *set, struct link_flight *flight)
{
	if (!flight || set->flights_spare == FLIGHTS_MAX) {
		free(flight);
		return;
	}
	flight->next = set->flights;
	set->flights = flight;
	set->flights_spare++;
}

void link_out_release_spare(struct link_set *set)
{
	while (set->flights) {
		struct link_flight *flight = set->flights;

		set->flights = flight->next;
		free(flight);
	}
}

void link_out_release(struct link *link)
{
	drop(&link->waiting);
	drop(&link->sealed);
	flight_give(link->set, link->flight);
	link->flight = NULL;
	link->queued = 0;
}

/* Parts of the sealed queue, at most SEND_MAX bytes. */
static unsigned fill_flight(struct link *link)
{
	size_t offset = link->sealed_offset;
	unsigned count = 0;

	link->flight_bytes = 0;
	for (struct msgbuf *buf = link->sealed.head;
	     buf && count < RING_IOV_MAX && link->flight_bytes < SEND_MAX;
	     buf = buf->next) {
		size_t len = buf->size - offset;

		if (len > SEND_MAX - link->flight_bytes)
			len = SEND_MAX - link->flight_bytes;
		link->flight->iov[count++] = (struct iovec){
			.iov_base = buf->bytes + buf->start + offset,
			.iov_len = len};
		link->flight_bytes += len;
		offset = 0;
	}
	return count;
}

static void start_flight(struct link *link)
{
	unsigned count;

	if (!link->sealed.head || link->state == LINK_CLOSING || !link->sock)
		return;
	link->flight = flight_take(link->set);
	if (!link->flight) {
		link_abort(link, ERR_NOMEM);
		return;
	}
	count = fill_flight(link);
	link->write_ms = link_now(link->set);
	link_timer_arm(link, link->write_ms + link->set->config.write_ms);
	ring_send(link->sock, link->flight->iov, count);
}

/* The first `len` sealed bytes are with the kernel. */
static void drop_sent(struct link *link, size_t len)
{
	link->queued -= len;
	link->sealed_bytes -= len;
	while (len > 0) {
		struct msgbuf *buf = link->sealed.head;
		size_t left = buf->size - link->sealed_offset;

		if (len < left) {
			link->sealed_offset += (uint32_t)len;
			return;
		}
		len -= left;
		link->sealed_offset = 0;
		link->sealed_count--;
		msgbuf_free(pop(&link->sealed));
	}
}

static void tell_drained(struct link *link)
{
	struct link_set *set = link->set;

	if (!link->is_above_low || link->queued > set->config.queue_low)
		return;
	link->is_above_low = false;
	if (set->handler.drained && link->state == LINK_OPEN)
		set->handler.drained(set->ctx, link);
}

static void tell_emptied(struct link *link)
{
	struct link_set *set = link->set;

	if (set->handler.emptied && link->state == LINK_OPEN &&
	    link_out_is_empty(link))
		set->handler.emptied(set->ctx, link);
}

void link_out_sent(struct link *link)
{
	link->set->sent_bytes += link->flight_bytes;
	link->sent_bytes += link->flight_bytes;
	drop_sent(link, link->flight_bytes);
	link->flight_bytes = 0;
	flight_give(link->set, link->flight);
	link->flight = NULL;
	if (!link_out_is_empty(link))
		wants_output(link);
	else if (link->state == LINK_ENDING)
		link_timer_set(link);
	tell_drained(link);
	tell_emptied(link);
}

/* ---- the round ---- */

static bool may_seal(const struct link *link)
{
	return link->waiting.head && link->state != LINK_CLOSING &&
	       link->sealed_bytes < SEALED_MAX &&
	       link->sealed_count < RING_IOV_MAX;
}

/* One frame of each link that has one. */
static size_t seal_pass(struct link_set *set, size_t count)
{
	size_t jobs = 0;

	for (size_t i = 0; i < count; i++) {
		struct link *link = set->batch[i];
		struct msgbuf *buf = link->waiting.head;

		if (!may_seal(link))
			continue;
		set->batch_jobs[jobs] = link;
		set->seals[jobs++] = (struct rlpx_seal_job){
			.stream = &link->streams.egress,
			.frame = buf->bytes + buf->start - RLPX_HEADER_SIZE,
			.n = buf->size};
	}
	rlpx_seal_many(set->seals, jobs);
	for (size_t i = 0; i < jobs; i++) {
		struct msgbuf *buf = pop(&set->batch_jobs[i]->waiting);

		buf->size = (uint32_t)frame_size(buf);
		buf->start -= RLPX_HEADER_SIZE;
		push_sealed(set->batch_jobs[i], buf);
	}
	return jobs;
}

/* From all sets, into the batch of the first one. */
static size_t take_batch(struct link_set *const *sets, size_t sets_count)
{
	size_t count = 0;

	for (size_t i = 0; i < sets_count; i++) {
		struct link_set *set = sets[i];

		while (count < LINK_BATCH && !node_is_alone(&set->output)) {
			struct link *link = LINK_OF(set->output.next, output);

			node_remove(&link->output);
			/* One in flight comes back when it has been sent. */
			if (!link->flight)
				sets[0]->batch[count++] = link;
		}
	}
	return count;
}

void link_out_round(struct link_set *const *sets, size_t sets_count)
{
	size_t count;

	while ((count = take_batch(sets, sets_count)) > 0) {
		while (seal_pass(sets[0], count) > 0)
			;
		for (size_t i = 0; i < count; i++)
			start_flight(sets[0]->batch[i]);
	}
}
