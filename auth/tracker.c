#include "auth/tracker.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define BUCKETS_BITS 15
#define BUCKETS      (1u << BUCKETS_BITS)

struct tracker {
	size_t count;
	uint64_t seed;
	struct tracked *buckets[BUCKETS];
};

struct tracker *tracker_new(void)
{
	struct tracker *tracker = calloc(1, sizeof(*tracker));

	if (!tracker)
		return NULL;
	/* Keys come from outside: nobody may choose their bucket. */
	bytes_random((uint8_t *)&tracker->seed, sizeof(tracker->seed));
	tracker->seed |= 1;
	return tracker;
}

static void tracked_free(struct tracked *tracked)
{
	work_free(tracked->work);
	free(tracked);
}

void tracker_free(struct tracker *tracker)
{
	if (!tracker)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (tracker->buckets[i]) {
			struct tracked *tracked = tracker->buckets[i];

			tracker->buckets[i] = tracked->next;
			tracked_free(tracked);
		}
	}
	free(tracker);
}

static struct tracked **bucket(struct tracker *tracker, const uint8_t *key)
{
	uint64_t mixed = (be64_load(key) ^ tracker->seed >> 7) * tracker->seed;

	return &tracker->buckets[mixed >> (64 - BUCKETS_BITS)];
}

struct tracked *tracker_find(struct tracker *tracker,
			     const uint8_t key[static CLAIM_KEY_SIZE])
{
	struct tracked *at = *bucket(tracker, key);

	while (at && memcmp(at->key, key, CLAIM_KEY_SIZE) != 0)
		at = at->next;
	return at;
}

struct tracked *tracker_add(struct tracker *tracker,
			    const uint8_t key[static CLAIM_KEY_SIZE])
{
	struct tracked *tracked = calloc(1, sizeof(*tracked));
	struct tracked **at = bucket(tracker, key);

	if (!tracked)
		return NULL;
	memcpy(tracked->key, key, CLAIM_KEY_SIZE);
	tracked->next = *at;
	*at = tracked;
	tracker->count++;
	return tracked;
}

void tracker_remove(struct tracker *tracker, struct tracked *tracked)
{
	struct tracked **at = bucket(tracker, tracked->key);

	while (*at != tracked)
		at = &(*at)->next;
	*at = tracked->next;
	tracker->count--;
	tracked_free(tracked);
}

size_t tracker_count(const struct tracker *tracker)
{
	return tracker->count;
}

void tracker_sweep(struct tracker *tracker, uint64_t before_ms)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct tracked *at = tracker->buckets[i];

		while (at) {
			struct tracked *next = at->next;

			if (at->state == TRACKED_WATCHED &&
			    at->touched_ms < before_ms)
				tracker_remove(tracker, at);
			at = next;
		}
	}
}

struct work *work_new(const struct claim_view *view)
{
	const struct claim_record *rec = &view->record;
	bool has_proof = rec->claim.scheme == CLAIM_CONTRACT;
	size_t size = has_proof ? rec->claim.proof_size : 0;
	struct work *work = calloc(1, sizeof(*work) + size);

	if (!work)
		return NULL;
	work->state = rec->state;
	work->claim = (struct verify_claim){
		.rev = rec->rev,
		.claim = rec->claim,
		.received_s = rec->received_s,
		.block = rec->block,
		.sender_nonce = rec->sender_nonce,
		.is_credited = view->is_credited,
		.has_policy = view->has_policy,
		.activate = view->activate,
		.settle = view->settle,
	};
	memcpy(work->claim.key, view->key, CLAIM_KEY_SIZE);
	if (size > 0)
		memcpy(work->proof, rec->claim.proof, size);
	work->claim.claim.proof = work->proof;
	work->claim.claim.proof_size = size;
	return work;
}

void work_free(struct work *work)
{
	free(work);
}
