/* Which claims are to be looked at: those that are due, whose number has been
 * reached, or whose block was replaced. Truth is the ledger's. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "auth/quorum.h"
#include "auth/scheduler_private.h"
#include "auth/step.h"
#include "core/clock.h"

#define DUE_EVERY_MS  100
#define SCAN_EVERY_MS 2000

/* ---- what the scheduler knows of a claim ---- */

static struct followed *find_chain(struct scheduler *s, uint64_t id)
{
	for (unsigned i = 0; i < s->chains_count; i++) {
		if (s->chains[i].chain->id == id)
			return &s->chains[i];
	}
	return NULL;
}

static enum backlog_class class_of(enum claim_state state)
{
	switch (state) {
	case CLAIM_RECEIVED:
		return BACKLOG_FIRST;
	case CLAIM_CONFIRMING:
	case CLAIM_ACTIVE:
	case CLAIM_SETTLED:
	case CLAIM_REJECTED:
		return BACKLOG_CONFIRM;
	case CLAIM_PENDING:
	case CLAIM_REORGED:
		break;
	}
	return BACKLOG_PENDING;
}

void due_set_need(struct tracked *t, const struct claim_view *view)
{
	const struct claim_record *rec = &view->record;

	t->rev = rec->rev;
	if (t->block != rec->block ||
	    memcmp(t->block_hash, rec->block_hash, 32) != 0)
		t->is_linked = false;
	t->block = rec->block;
	memcpy(t->block_hash, rec->block_hash, 32);
	t->item.source = rec->source_tag;
	t->has_need = claim_has_height(rec->state) && view->has_policy;
	t->need = rec->state == CLAIM_ACTIVE ? view->settle : view->activate;
}

void due_enqueue(struct scheduler *s, struct tracked *t,
		 const struct claim_view *view, const unsigned *kind)
{
	t->kind = kind ? (enum backlog_class) * kind
		       : class_of(view->record.state);
	t->work = work_new(view);
	if (!t->work)
		return;
	if (backlog_put(s->backlog, t->chain, t->kind, &t->item)) {
		work_free(t->work);
		t->work = NULL;
		return;
	}
	t->state = TRACKED_WAITING;
	t->again = false;
	s->chains[t->chain].load++;
}

/*
 * Read the claim and follow it. NULL: it is none of ours (any more). A chain
 * that was taken out of the settings is looked for again in a minute.
 */
static struct tracked *follow(struct scheduler *s, struct tracked *t,
			      const uint8_t *key, struct claim_view *view,
			      uint64_t now_ms)
{
	struct followed *chain;

	if (ledger_read_claim(s->ledger, key, view) ||
	    !claim_is_open(view->record.state)) {
		if (t)
			tracker_remove(s->tracker, t);
		return NULL;
	}
	if (!t)
		t = tracker_add(s->tracker, key);
	if (!t)
		return NULL;
	t->touched_ms = now_ms;
	due_set_need(t, view);
	chain = find_chain(s, view->record.claim.chain_id);
	if (!chain) {
		t->not_before_ms = now_ms + SCHEDULER_RETRY_MAX_MS;
		t->has_need = false;
		t->chain = 0;
		return NULL;
	}
	t->chain = chain->index;
	return t;
}

/* A chain that is away must not take the place of the others. */
static bool is_room(const struct scheduler *s, unsigned chain)
{
	assert(chain < s->chains_count);
	return s->chains[chain].load < SCHEDULER_WINDOW / s->chains_count;
}

bool due_want(struct scheduler *s, const uint8_t *key, bool is_urgent,
	      const unsigned *kind, uint64_t now_ms)
{
	struct tracked *t = tracker_find(s->tracker, key);
	struct claim_view view;

	if (t) {
		t->touched_ms = now_ms;
		if (t->state == TRACKED_FLYING)
			t->again |= is_urgent;
		if (t->state != TRACKED_WATCHED)
			return false;
		if (!is_urgent && now_ms < t->not_before_ms)
			return false;
	}
	if (t && !is_urgent && !is_room(s, t->chain))
		return false;
	t = follow(s, t, key, &view, now_ms);
	if (!t || (!is_urgent && !is_room(s, t->chain)))
		return false;
	if (!s->chains[t->chain].is_open) {
		t->not_before_ms = now_ms + SCHEDULER_TICK_MS;
		return false;
	}
	due_enqueue(s, t, &view, kind);
	return true;
}

/* It was due at `rev`, and may have been taken up for that already. */
void due_poke(struct scheduler *s, const uint8_t *key, uint32_t rev,
	      uint64_t now_ms)
{
	const struct tracked *t = tracker_find(s->tracker, key);

	if (!rev || !t || t->rev < rev)
		(void)due_want(s, key, true, NULL, now_ms);
}

/* ---- due, heights, reorganisations ---- */

static void grow_due(struct scheduler *s, size_t count, size_t wanted)
{
	struct due_claim *grown;
	size_t max = s->due_max;

	/* All that we see must wait: what is behind it shall not. */
	if (count == max && wanted == 0 &&
	    backlog_count(s->backlog) + s->flying < SCHEDULER_WINDOW / 2 &&
	    max < s->open_max)
		max *= 2;
	if (max == s->due_max)
		return;
	grown = realloc(s->due, max * sizeof(*grown));
	if (!grown)
		return;
	s->due = grown;
	s->due_max = max;
}

void due_read(struct scheduler *s, uint64_t now_ms)
{
	uint64_t wall_ms = clock_wall_ms();
	size_t wanted = 0;
	size_t count;

	if (now_ms - s->due_ms < DUE_EVERY_MS)
		return;
	s->due_ms = now_ms;
	count = ledger_read_due(s->ledger, wall_ms, s->due, s->due_max);
	for (size_t i = 0; i < count; i++)
		wanted += due_want(s, s->due[i].key, false, NULL, now_ms);
	grow_due(s, count, wanted);
	metric_set(s->metrics.lag,
		   count && s->due[0].due_ms < wall_ms
			   ? (int64_t)((wall_ms - s->due[0].due_ms) / 1000)
			   : 0);
}

/*
 * §11: a claim whose block is not in the chain as followed is due at once. The
 * follower tells of replaced blocks only if it has seen them, and who is told
 * may have been unable to look: so each block is held against its chain once.
 */
static bool is_replaced(struct followed *followed, struct tracked *t)
{
	if (t->is_linked)
		return false;
	switch (follower_has(followed->follower, t->block, t->block_hash)) {
	case FOLLOWER_SAME:
		t->is_linked = true;
		return false;
	case FOLLOWER_OTHER:
		return true;
	case FOLLOWER_UNKNOWN:
		break;
	}
	return false;
}

static void scan_one(struct scheduler *s, struct followed *followed,
		     const struct height_claim *row, uint64_t now_ms)
{
	static const unsigned confirm = BACKLOG_CONFIRM;
	static const unsigned reorg = BACKLOG_REORG;
	struct tracked *t = tracker_find(s->tracker, row->key);
	struct claim_view view;

	if (t && (t->state != TRACKED_WATCHED || t->block == row->block))
		t->touched_ms = now_ms;
	else
		t = follow(s, t, row->key, &view, now_ms);
	if (!t || t->state != TRACKED_WATCHED)
		return;
	if (is_replaced(followed, t))
		(void)due_want(s, row->key, false, &reorg, now_ms);
	else if (t->has_need &&
		 policy_holds(t->need, &followed->view.at, row->block))
		(void)due_want(s, row->key, false, &confirm, now_ms);
}

void due_scan(struct scheduler *s, struct followed *followed, uint64_t now_ms)
{
	size_t count;

	if (!followed->is_open ||
	    (!followed->is_moved &&
	     now_ms - followed->scanned_ms < SCAN_EVERY_MS))
		return;
	followed->is_moved = false;
	followed->scanned_ms = now_ms;
	count = ledger_read_heights(s->ledger, followed->chain->id, 0,
				    followed->view.at.head, s->heights,
				    s->open_max);
	for (size_t i = 0; i < count; i++)
		scan_one(s, followed, &s->heights[i], now_ms);
}

void due_recheck(struct scheduler *s, const struct move *move, uint64_t now_ms)
{
	static const unsigned reorg = BACKLOG_REORG;
	const struct follower_news *news = &move->news;
	size_t count;

	if (news->replaced_first > news->replaced_last)
		return;
	count = ledger_read_heights(s->ledger, s->chains[move->chain].chain->id,
				    news->replaced_first, news->replaced_last,
				    s->heights, s->open_max);
	for (size_t i = 0; i < count; i++) {
		struct tracked *t = tracker_find(s->tracker, s->heights[i].key);

		if (t)
			t->is_linked = false;
		(void)due_want(s, s->heights[i].key, true, &reorg, now_ms);
	}
}
