/*
 * Receiving. What came in a round waits until its end; then the headers of
 * all links are opened together, then the bodies of those that are complete,
 * and so on until nobody has a further frame or has had its share.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/snap.h"
#include "net/link_impl.h"

/* Public-key work of one round; it is what takes longest. */
#define HANDSHAKES_PER_ROUND 4
/* What one link may get done in a round; the rest waits for the next. */
#define ROUND_FRAMES 64
#define ROUND_BYTES  (1u << 20)
/* A frame may be so much larger than the plain payload (§9). */
#define FRAME_SLACK  (64u << 10)
#define ID_MAX       9
#define ASSEMBLY_MIN 512
/* Whole frames left over beyond this: no more is received for a while. */
#define BACKLOG_MAX (256u << 10)
/* A buffer so large is not kept for the first bytes of the next frame. */
#define SHRINK_ABOVE (64u << 10)

/* ---- the bytes ---- */

static uint8_t *bytes_at(const struct link *link)
{
	return (link->held ? link->held->data : link->in) + link->in_start;
}

static size_t bytes_left(const struct link *link)
{
	return link->in_end - link->in_start;
}

static void consume(struct link *link, size_t n)
{
	assert(n <= bytes_left(link));
	link->in_start += (uint32_t)n;
}

void link_in_drop(struct link *link)
{
	if (link->held)
		ring_buf_release(link->set->ring, link->held);
	free(link->in);
	link->held = NULL;
	link->in = NULL;
	link->in_start = link->in_end = link->in_cap = 0;
	link->frame_n = 0;
	node_remove(&link->input);
	node_remove(&link->crypto);
}

/* Room for `more` bytes behind what is in the assembly buffer. */
static int reserve(struct link *link, size_t more)
{
	size_t left = bytes_left(link);
	size_t need = left + more;
	uint8_t *in;

	if (link->in_start > 0 && left > 0)
		memmove(link->in, link->in + link->in_start, left);
	link->in_start = 0;
	link->in_end = (uint32_t)left;
	/* The header is authentic: take room for the whole frame at once. */
	if (link->frame_n > 0 && need < rlpx_body_size(link->frame_n))
		need = rlpx_body_size(link->frame_n);
	if (need <= link->in_cap)
		return 0;
	if (need < ASSEMBLY_MIN)
		need = ASSEMBLY_MIN;
	if (link->in_cap > 0 && need < link->in_cap + link->in_cap / 2)
		need = link->in_cap + link->in_cap / 2;
	in = realloc(link->in, need);
	if (!in)
		return ERR_NOMEM;
	link->in = in;
	link->in_cap = (uint32_t)need;
	return 0;
}

static int append(struct link *link, const uint8_t *bytes, size_t len)
{
	int err = reserve(link, len);

	if (err)
		return err;
	memcpy(link->in + link->in_end, bytes, len);
	link->in_end += (uint32_t)len;
	return 0;
}

/* A peer that stops within a header must not hold a large buffer. */
static void shrink(struct link *link)
{
	size_t left = bytes_left(link);
	uint8_t *in;

	if (link->frame_n > 0 || link->in_cap <= SHRINK_ABOVE ||
	    left > link->in_cap / 4)
		return;
	in = malloc(left);
	if (!in)
		return;
	memcpy(in, link->in + link->in_start, left);
	free(link->in);
	link->in = in;
	link->in_start = 0;
	link->in_end = link->in_cap = (uint32_t)left;
}

/* Give the ring its buffer back; what is left of it moves to the assembly. */
static int settle(struct link *link)
{
	struct ring_buf *held = link->held;
	const uint8_t *rest;
	size_t left;
	int err = 0;

	if (held) {
		rest = bytes_at(link);
		left = bytes_left(link);
		link->held = NULL;
		link->in_start = link->in_end = 0;
		if (left > 0)
			err = append(link, rest, left);
		ring_buf_release(link->set->ring, held);
	}
	if (bytes_left(link) == 0) {
		free(link->in);
		link->in = NULL;
		link->in_start = link->in_end = link->in_cap = 0;
	}
	shrink(link);
	return err;
}

void link_in_received(struct link *link, struct ring_buf *buf)
{
	struct link_set *set = link->set;
	int err;

	link->read_ms = link_now(set);
	set->read_bytes += buf->size;
	link->read_bytes += buf->size;
	if (link->state >= LINK_ENDING) {
		ring_buf_release(set->ring, buf);
		return;
	}
	node_append(&set->input, &link->input);
	if (!link->held && bytes_left(link) == 0) {
		link->held = buf;
		link->in_start = 0;
		link->in_end = buf->size;
		return;
	}
	err = settle(link);
	if (!err)
		err = append(link, buf->data, buf->size);
	ring_buf_release(set->ring, buf);
	if (err)
		link_abort(link, err);
}

void link_in_update_pause(struct link *link)
{
	bool paused = link->is_paused || link->is_backlogged;

	if (link->state >= LINK_ENDING)
		paused = false; /* what comes is read and thrown away */
	if (paused == link->is_recv_paused || !link->sock ||
	    link->state == LINK_CLOSING)
		return;
	link->is_recv_paused = paused;
	ring_recv_pause(link->sock, paused);
}

/* ---- key exchange ---- */

/* Is the packet whole, or its size one that will be refused? */
static bool is_packet_ready(const struct link *link)
{
	size_t size;

	if (bytes_left(link) < 2)
		return false;
	size = be16_load(bytes_at(link));
	return size > RLPX_HANDSHAKE_SIZE_MAX || bytes_left(link) >= 2 + size;
}

static void sort_out_handshakes(struct link_set *set)
{
	struct node *n = set->input.next;

	while (n != &set->input) {
		struct link *link = LINK_OF(n, input);
		int err;

		n = n->next;
		if (link->state != LINK_KEYS)
			continue;
		node_remove(&link->input);
		if (is_packet_ready(link))
			node_append(&set->crypto, &link->crypto);
		err = settle(link);
		if (err)
			link_abort(link, err);
		/* Who waits for its turn may not fill our memory meanwhile. */
		link->is_backlogged = bytes_left(link) > RLPX_PACKET_MAX;
		link_in_update_pause(link);
	}
}

/* An outgoing link's first step. */
static int send_auth(struct link *link)
{
	uint8_t out[RLPX_PACKET_MAX];
	size_t len;
	int err;

	err = rlpx_handshake_auth(link->handshake, out, &len);
	return err ? err : link_out_raw(link, out, len);
}

static int take_packet(struct link *link)
{
	uint8_t out[RLPX_PACKET_MAX];
	size_t used, len;
	int err;

	err = rlpx_handshake_feed(link->handshake, bytes_at(link),
				  bytes_left(link), &used, out, &len,
				  &link->streams, link->remote);
	if (err)
		return err;
	consume(link, used);
	rlpx_handshake_free(link->handshake);
	link->handshake = NULL;
	if (len > 0)
		err = link_out_raw(link, out, len);
	if (err)
		return err;
	/* What is behind it are frames; their turn ends a pause, too. */
	node_append(&link->set->input, &link->input);
	link_keys_agreed(link);
	return 0;
}

static void crypto_round(struct link_set *set)
{
	for (unsigned i = 0;
	     i < HANDSHAKES_PER_ROUND && !node_is_alone(&set->crypto); i++) {
		struct link *link = LINK_OF(set->crypto.next, crypto);
		bool has_packet = bytes_left(link) > 0;
		int err;

		node_remove(&link->crypto);
		err = has_packet ? take_packet(link) : send_auth(link);
		if (err)
			link_abort(link, err);
	}
	if (!node_is_alone(&set->crypto))
		set->is_again = true;
}

/* ---- messages ---- */

static int unpack_plain(const uint8_t *in, size_t len, size_t max,
			struct packet **out)
{
	struct packet *packet;

	if (len > max)
		return ERR_RANGE;
	packet = packet_new(len);
	if (!packet)
		return ERR_NOMEM;
	if (len > 0)
		memcpy(packet->bytes, in, len);
	*out = packet;
	return 0;
}

static int unpack_snappy(const uint8_t *in, size_t len, size_t max,
			 struct packet **out)
{
	struct packet *packet;
	size_t size;
	int err;

	err = snap_plain_size(in, len, max, &size);
	if (err)
		return err;
	packet = packet_new(size);
	if (!packet)
		return ERR_NOMEM;
	err = snap_decompress(in, len, packet->bytes, size);
	if (err) {
		packet_unref(packet);
		return err;
	}
	*out = packet;
	return 0;
}

static int unpack(const struct link *link, const uint8_t *in, size_t len,
		  struct packet **out)
{
	size_t max = link->set->config.packet_max;

	return link->is_snappy ? unpack_snappy(in, len, max, out)
			       : unpack_plain(in, len, max, out);
}

/* §6: one with id 1 that does not decompress is tried as it is. */
static void disconnect_come(struct link *link, const uint8_t *in, size_t len)
{
	struct packet *packet = NULL;
	unsigned reason;

	if (link->is_snappy && unpack(link, in, len, &packet) == 0)
		reason = p2p_disconnect_decode(packet->bytes, packet->size);
	else
		reason = p2p_disconnect_decode(in, len);
	packet_unref(packet);
	link_note_end(link, ERR_CLOSED, false);
	if (!link->end.has_reason) {
		link->end.has_reason = true;
		link->end.reason = reason;
	}
	link_abort(link, ERR_CLOSED);
}

static void pong(struct link *link)
{
	static const uint8_t empty_list = 0xc0;

	(void)link_out_small(link, P2P_PONG, &empty_list, 1, link->is_snappy);
}

static void breach(struct link *link)
{
	link_refuse(link, P2P_BREACH, ERR_PROTOCOL);
}

/* The frame behind `in` has been consumed; its bytes stay until settle(). */
static void cap_message(struct link *link, uint64_t id, const uint8_t *in,
			size_t len)
{
	struct link_set *set = link->set;
	struct packet *packet;
	unsigned code;
	enum cap cap;
	int err;

	if (!cap_map_find(&link->caps, id, &cap, &code)) {
		breach(link);
		return;
	}
	err = unpack(link, in, len, &packet);
	if (err == ERR_NOMEM) {
		link_abort(link, err);
		return;
	}
	if (err) {
		breach(link);
		return;
	}
	set->handler.message(set->ctx, link, cap, code, packet);
	packet_unref(packet);
}

static void message(struct link *link, const uint8_t *body, size_t n)
{
	uint64_t id;
	size_t used;

	if (p2p_id_decode(body, n, &id, &used)) {
		breach(link);
		return;
	}
	body += used;
	n -= used;
	if (id == P2P_DISCONNECT)
		disconnect_come(link, body, n);
	else if (link->state == LINK_HELLO && id == P2P_HELLO)
		link_hello_come(link, body, n);
	else if (link->state == LINK_HELLO)
		breach(link);
	else if (id == P2P_PING)
		pong(link);
	else if (id >= P2P_FIRST_ID)
		cap_message(link, id, body, n);
	/* A second Hello, Pong, and what is reserved: nothing to do. */
}

/* ---- frames ---- */

static size_t frame_max(const struct link *link)
{
	if (link->state == LINK_HELLO)
		return P2P_HELLO_MAX + ID_MAX;
	return link->set->config.packet_max + FRAME_SLACK;
}

static bool has_share_left(const struct link *link)
{
	return link->round_frames < ROUND_FRAMES &&
	       link->round_bytes < ROUND_BYTES;
}

/* Something whole that can be opened, were it its turn. */
bool link_in_has_more(const struct link *link)
{
	size_t want = link->frame_n > 0 ? rlpx_body_size(link->frame_n)
					: RLPX_HEADER_SIZE;

	return link_is_live(link) && !link->is_paused &&
	       bytes_left(link) >= want;
}

static bool may_open(const struct link *link, bool has_header)
{
	return (link->frame_n > 0) == has_header && has_share_left(link) &&
	       link_in_has_more(link);
}

static void header_opened(struct link *link, const struct rlpx_header_job *job)
{
	if (job->err == ERR_AUTH) {
		link_abort(link, ERR_AUTH);
	} else if (job->err || job->n > frame_max(link)) {
		/* Its length is authentic and out of bounds. */
		breach(link);
	} else {
		consume(link, RLPX_HEADER_SIZE);
		link->frame_n = (uint32_t)job->n;
	}
}

static size_t open_headers(struct link_set *set, size_t count)
{
	size_t jobs = 0;

	for (size_t i = 0; i < count; i++) {
		struct link *link = set->batch[i];

		if (!may_open(link, false))
			continue;
		set->batch_jobs[jobs] = link;
		set->headers[jobs++] = (struct rlpx_header_job){
			.stream = &link->streams.ingress,
			.header = bytes_at(link)};
	}
	rlpx_open_headers(set->headers, jobs);
	for (size_t i = 0; i < jobs; i++)
		header_opened(set->batch_jobs[i], &set->headers[i]);
	return jobs;
}

static void body_opened(struct link *link, const struct rlpx_body_job *job)
{
	/* A handler may have ended it for another link's message. */
	if (!link_is_live(link))
		return;
	if (job->err) {
		link_abort(link, job->err);
		return;
	}
	consume(link, rlpx_body_size(job->n));
	link->frame_n = 0;
	link->round_frames++;
	link->round_bytes += (uint32_t)job->n;
	message(link, job->body, job->n);
}

static size_t open_bodies(struct link_set *set, size_t count)
{
	size_t jobs = 0;

	for (size_t i = 0; i < count; i++) {
		struct link *link = set->batch[i];

		if (!may_open(link, true))
			continue;
		set->batch_jobs[jobs] = link;
		set->bodies[jobs++] =
			(struct rlpx_body_job){.stream = &link->streams.ingress,
					       .body = bytes_at(link),
					       .n = link->frame_n};
	}
	rlpx_open_bodies(set->bodies, jobs);
	for (size_t i = 0; i < jobs; i++)
		body_opened(set->batch_jobs[i], &set->bodies[i]);
	return jobs;
}

/* One frame of each link in the batch that may; false: nobody got anywhere. */
static bool open_pass(struct link_set *set, size_t count)
{
	size_t headers = open_headers(set, count);

	return open_bodies(set, count) > 0 || headers > 0;
}

/* From all sets, into the batch of the first one. */
static size_t take_batch(struct link_set *const *sets, size_t sets_count)
{
	size_t count = 0;

	for (size_t i = 0; i < sets_count; i++) {
		struct link_set *set = sets[i];

		while (count < LINK_BATCH && !node_is_alone(&set->input)) {
			struct link *link = LINK_OF(set->input.next, input);

			node_remove(&link->input);
			link->round_frames = 0;
			link->round_bytes = 0;
			sets[0]->batch[count++] = link;
		}
	}
	return count;
}

/* One link's turn is over: whole frames that are left wait for the next. */
static void put_aside(struct link *link, struct node *later)
{
	bool has_more = link_in_has_more(link);
	int err = settle(link);

	if (err) {
		link_abort(link, err);
		return;
	}
	if (has_more) {
		node_remove(&link->input);
		node_append(later, &link->input);
		link->set->is_again = true;
	}
	link->is_backlogged = has_more && bytes_left(link) > BACKLOG_MAX;
	link_in_update_pause(link);
}

void link_in_round(struct link_set *const *sets, size_t sets_count)
{
	struct link_set *lead = sets[0];
	struct node later;
	size_t count;

	node_init(&later);
	for (size_t i = 0; i < sets_count; i++) {
		sort_out_handshakes(sets[i]);
		crypto_round(sets[i]);
	}
	while ((count = take_batch(sets, sets_count)) > 0) {
		while (open_pass(lead, count))
			;
		for (size_t i = 0; i < count; i++)
			put_aside(lead->batch[i], &later);
	}
	while (!node_is_alone(&later)) {
		struct link *link = LINK_OF(later.next, input);

		node_remove(&link->input);
		node_append(&link->set->input, &link->input);
	}
}
