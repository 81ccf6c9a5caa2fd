#include "net/posting.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "net/node_ring.h"
#include "net/sync_ask.h"

struct told {
	struct note note;
	struct posting *posting;
};

struct posting {
	struct archive_batch batch;
	struct posting *next; /* of those that wait for room */
	struct node_ring *home;
	struct posting_base base;
	uint64_t started_ns;
	atomic_uint refs; /* one of the home ring, one of each ring told */
	struct archive_item *items;
	struct posting_extra *extras;
	struct confirm_error *errors;
	struct told told[]; /* one a ring; that of the home ring comes back */
};

static void done(struct archive_batch *batch);
static void come_home(struct node_ring *ring, struct note *note, bool is_over);
static void tell(struct node_ring *ring, struct note *note, bool is_over);

static void posting_unref(struct posting *posting)
{
	if (atomic_fetch_sub_explicit(&posting->refs, 1, memory_order_acq_rel) >
	    1)
		return;
	packet_unref(posting->base.packet);
	free(posting);
}

/* One allocation: the struct, told[], items[], extras[], errors[]. */
struct posting *posting_new(struct node_ring *ring,
			    const struct posting_base *base)
{
	unsigned rings = ring->node->rings_count;
	size_t items_at = sizeof(struct posting) + rings * sizeof(struct told);
	size_t extras_at = items_at + base->count * sizeof(struct archive_item);
	size_t errors_at;
	struct posting *posting;

	extras_at = (extras_at + 15) / 16 * 16;
	errors_at = extras_at + base->count * sizeof(struct posting_extra);
	posting = malloc(errors_at +
			 base->errors_count * sizeof(struct confirm_error));
	if (!posting)
		return NULL;
	memset(posting, 0, items_at);
	posting->home = ring;
	posting->base = *base;
	posting->base.packet = packet_ref(base->packet);
	atomic_init(&posting->refs, 1);
	posting->items = (void *)((char *)posting + items_at);
	posting->extras = (void *)((char *)posting + extras_at);
	posting->errors = (void *)((char *)posting + errors_at);
	if (base->errors_count > 0)
		memcpy(posting->errors, base->errors,
		       base->errors_count * sizeof(struct confirm_error));
	for (unsigned i = 0; i < rings; i++) {
		posting->told[i].posting = posting;
		posting->told[i].note.deliver =
			i == ring->index ? come_home : tell;
	}
	posting->batch = (struct archive_batch){.items = posting->items,
						.count = base->count,
						.done = done,
						.owner = posting};
	return posting;
}

struct archive_item *posting_items(struct posting *posting)
{
	return posting->items;
}

struct posting_extra *posting_extras(struct posting *posting)
{
	return posting->extras;
}

/* ---- to the disk ---- */

static void set_healthy(struct node *node, bool is_healthy, int err)
{
	bool was = atomic_exchange(&node->is_healthy, is_healthy);

	if (was && !is_healthy)
		LOG_BROKEN("envelopes cannot be stored, nothing is confirmed",
			   log_err(err));
	if (!was && is_healthy)
		LOG_INFO("envelopes are stored again");
}

static void wait_for_room(struct node_ring *ring, struct posting *posting)
{
	struct session *session = node_ring_find(ring, posting->base.link);

	NODE_COUNT(ring->node, archive_full, 1);
	posting->next = NULL;
	*ring->waiting_end = posting;
	ring->waiting_end = &posting->next;
	if (session)
		session_pause(session, PAUSE_ARCHIVE, true);
}

static void tell_sync(struct node_ring *ring, const struct posting *posting,
		      int err)
{
	struct session *session = node_ring_find(ring, posting->base.link);

	if (session && session->ask)
		sync_ask_stored(session, posting->base.sync_page,
				posting->base.count, posting->batch.stored,
				err);
}

/* 0 or ERR_FULL; whatever else is the end of it. */
static int put(struct node_ring *ring, struct posting *posting)
{
	int err = archive_put(ring->node->config.archive, &posting->batch);

	if (!err) {
		ring->out++;
		return 0;
	}
	if (err == ERR_FULL)
		return err;
	NODE_COUNT(ring->node, archive_failures, 1);
	set_healthy(ring->node, false, err);
	if (posting->base.sync_page)
		tell_sync(ring, posting, err);
	posting_unref(posting);
	return 0;
}

void posting_send(struct node_ring *ring, struct posting *posting)
{
	posting->started_ns = clock_mono_ns();
	if (ring->waiting || put(ring, posting))
		wait_for_room(ring, posting);
}

void posting_retry(struct node_ring *ring)
{
	if (!ring->waiting)
		return;
	while (ring->waiting) {
		struct posting *posting = ring->waiting;
		struct posting *next = posting->next;

		if (put(ring, posting))
			return;
		ring->waiting = next;
	}
	ring->waiting_end = &ring->waiting;
	for (struct session *s = ring->sessions; s; s = s->next) {
		if (s->paused & PAUSE_ARCHIVE)
			session_pause(s, PAUSE_ARCHIVE, false);
	}
}

/* A writer's thread: the batch goes home. */
static void done(struct archive_batch *batch)
{
	struct posting *posting = batch->owner;
	struct node_ring *home = posting->home;

	node_ring_put_always(home, &posting->told[home->index].note);
}

/* ---- and back ---- */

static void mark_stored(struct node_ring *ring, const struct posting *posting)
{
	for (uint32_t i = 0; i < posting->base.count; i++) {
		envelopes_stored(ring->envelopes, posting->extras[i].seq,
				 posting->items[i].hash);
	}
}

static void tell_others(struct node_ring *ring, struct posting *posting)
{
	struct node *node = ring->node;

	for (unsigned i = 0; i < node->rings_count; i++) {
		if (i == ring->index)
			continue;
		atomic_fetch_add_explicit(&posting->refs, 1,
					  memory_order_relaxed);
		/* Not the last one: the home ring still has its own. */
		if (node_ring_put(&node->rings[i], &posting->told[i].note))
			atomic_fetch_sub_explicit(&posting->refs, 1,
						  memory_order_relaxed);
	}
}

static void stored(struct node_ring *ring, struct posting *posting)
{
	const struct posting_base *base = &posting->base;
	struct session *session = node_ring_find(ring, base->link);

	NODE_COUNT(ring->node, archived, posting->batch.stored);
	if (base->sync_page)
		return;
	metric_observe_us(ring->node->metrics.commit_time,
			  (clock_mono_ns() - posting->started_ns) / 1000);
	mark_stored(ring, posting);
	if (session)
		posting_confirm(session, base->cap, base->hash, posting->errors,
				base->errors_count);
	tell_others(ring, posting);
}

static void come_home(struct node_ring *ring, struct note *note, bool is_over)
{
	struct posting *posting = ((struct told *)note)->posting;
	int err = posting->batch.err;

	ring->out--;
	if (is_over) {
		posting_unref(posting);
		return;
	}
	set_healthy(ring->node, err == 0, err);
	if (err)
		NODE_COUNT(ring->node, archive_failures, 1);
	else
		stored(ring, posting);
	if (posting->base.sync_page)
		tell_sync(ring, posting, err);
	posting_unref(posting);
	posting_retry(ring);
}

/* On another ring: into its pool and filter, for its peers. */
static void tell(struct node_ring *ring, struct note *note, bool is_over)
{
	struct posting *posting = ((struct told *)note)->posting;
	struct held *held = is_over ? NULL : held_new(posting->base.packet);

	for (uint32_t i = 0; held && i < posting->base.count; i++)
		envelopes_prefetch(ring->envelopes, posting->items[i].hash);
	for (uint32_t i = 0; held && i < posting->base.count; i++) {
		const struct archive_item *item = &posting->items[i];
		const struct posting_extra *extra = &posting->extras[i];
		struct pooled *env;

		if (!extra->is_new ||
		    envelopes_find(ring->envelopes, item->hash))
			continue;
		env = envelopes_add(ring->envelopes, item->hash, item->rlp,
				    item->size, held);
		env->expiry_s = extra->expiry_s;
		env->pow = extra->pow;
		env->extra_s = extra->extra_s;
		env->topic = item->topic;
	}
	if (held)
		held_release(ring->envelopes, held);
	posting_unref(posting);
}

void posting_confirm(struct session *session, enum cap cap,
		     const uint8_t hash[static CONFIRM_HASH_SIZE],
		     const struct confirm_error *errors, uint32_t count)
{
	struct msgbuf *buf = msgbuf_new(CONFIRM_SIZE_MAX(count));
	uint8_t ack[CONFIRM_ACK_SIZE];

	if (!buf)
		return;
	buf->size = (uint32_t)confirm_encode(hash, errors, count,
					     buf->bytes + buf->start,
					     CONFIRM_SIZE_MAX(count));
	if (link_send(session->link, cap, CODE_RESPONSE, buf))
		return;
	confirm_ack_encode(hash, ack);
	(void)link_send_bytes(session->link, cap, CODE_BATCH_ACK, ack,
			      sizeof(ack));
	NODE_COUNT(session->ring->node, confirmed, 1);
}
