#include "auth/quorum.h"

#include <assert.h>
#include <string.h>

/* §15.2: a lagging endpoint may not know a block that others are in. */
static bool is_heard(const struct voice *voice, uint64_t floor)
{
	switch (voice->kind) {
	case VOICE_SILENT:
		break;
	case VOICE_ABSENT:
		return voice->at.head >= floor;
	case VOICE_MINED:
		/* Receipt and head came from two machines. */
		return voice->at.head >= voice->block;
	}
	return false;
}

static bool says_same(const struct voice *a, const struct voice *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == VOICE_ABSENT)
		return true;
	return a->block == b->block && a->block_time_s == b->block_time_s &&
	       memcmp(a->block_hash, b->block_hash, 32) == 0 &&
	       a->fault == b->fault && u256_compare(&a->value, &b->value) == 0;
}

unsigned quorum_groups(const unsigned *groups, unsigned count, uint32_t mask)
{
	uint32_t seen = 0;

	for (unsigned i = 0; i < count; i++) {
		if (mask & 1u << i)
			seen |= 1u << groups[i];
	}
	return (unsigned)__builtin_popcount(seen);
}

static unsigned voice_groups(const struct voice *voices, unsigned count,
			     uint32_t mask)
{
	unsigned groups[QUORUM_VOICES_MAX];

	for (unsigned i = 0; i < count; i++)
		groups[i] = voices[i].group;
	return quorum_groups(groups, count, mask);
}

static uint32_t find_same(const struct voice *voices, unsigned count,
			  unsigned like, uint64_t floor)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < count; i++) {
		if (is_heard(&voices[i], floor) &&
		    says_same(&voices[i], &voices[like]))
			mask |= 1u << i;
	}
	return mask;
}

/* Lagging is not contradicting. */
static uint32_t find_against(const struct voice *voices, unsigned count,
			     unsigned like, uint64_t floor)
{
	uint64_t known =
		voices[like].kind == VOICE_MINED ? voices[like].block : floor;
	uint32_t mask = 0;

	for (unsigned i = 0; i < count; i++) {
		if (is_heard(&voices[i], known > floor ? known : floor) &&
		    !says_same(&voices[i], &voices[like]))
			mask |= 1u << i;
	}
	return mask;
}

static void lower(uint64_t *to, bool *has, uint64_t value, bool has_value)
{
	*has = *has && has_value;
	if (value < *to)
		*to = value;
}

static void take_position(const struct voice *voices, unsigned count,
			  uint32_t with, struct chain_position *at)
{
	bool has_head = true;

	*at = (struct chain_position){.head = UINT64_MAX,
				      .safe = UINT64_MAX,
				      .final = UINT64_MAX,
				      .has_safe = true,
				      .has_final = true};
	for (unsigned i = 0; i < count; i++) {
		const struct chain_position *one = &voices[i].at;

		if (!(with & 1u << i))
			continue;
		lower(&at->head, &has_head, one->head, true);
		lower(&at->safe, &at->has_safe, one->safe, one->has_safe);
		lower(&at->final, &at->has_final, one->final, one->has_final);
	}
	if (!at->has_safe)
		at->safe = 0;
	if (!at->has_final)
		at->final = 0;
}

/* The nonce that enough of those who agree have named. */
static uint64_t take_nonce(const struct voice *voices, unsigned count,
			   uint32_t with, unsigned needed)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t nonce = voices[i].nonce;
		uint32_t same = 0;

		if (!(with & 1u << i) || nonce == CLAIM_NONCE_UNKNOWN)
			continue;
		for (unsigned j = 0; j < count; j++) {
			if (with & 1u << j && voices[j].nonce == nonce)
				same |= 1u << j;
		}
		if (voice_groups(voices, count, same) >= needed)
			return nonce;
	}
	return CLAIM_NONCE_UNKNOWN;
}

static void take_absent(const struct voice *voices, unsigned count,
			uint32_t with, unsigned needed, struct finding *out)
{
	uint32_t used = 0;

	out->kind = FINDING_ABSENT;
	for (unsigned i = 0; i < count; i++) {
		if (!(with & 1u << i))
			continue;
		out->is_waiting |= voices[i].is_waiting;
		if (voices[i].is_nonce_used)
			used |= 1u << i;
	}
	if (voice_groups(voices, count, used) >= needed)
		out->kind = FINDING_REPLACED;
}

static void take_facts(const struct voice *voices, unsigned count,
		       uint32_t with, unsigned like, unsigned needed,
		       struct finding *out)
{
	const struct voice *voice = &voices[like];

	take_position(voices, count, with, &out->at);
	out->sender_nonce = take_nonce(voices, count, with, needed);
	out->is_waiting = false;
	if (voice->kind == VOICE_ABSENT) {
		take_absent(voices, count, with, needed, out);
		return;
	}
	out->kind = FINDING_MINED;
	out->block = voice->block;
	out->block_time_s = voice->block_time_s;
	memcpy(out->block_hash, voice->block_hash, 32);
	out->fault = voice->fault;
	out->value = voice->value;
}

struct verdict quorum_facts(const struct voice *voices, unsigned count,
			    unsigned needed, uint64_t floor,
			    struct finding *out)
{
	struct verdict verdict = {.is_agreed = false};

	assert(needed > 0 && count <= QUORUM_VOICES_MAX);
	out->kind = FINDING_NOTHING;
	for (unsigned i = 0; i < count; i++) {
		uint32_t same;

		if (!is_heard(&voices[i], floor))
			continue;
		same = find_same(voices, count, i, floor);
		if (voice_groups(voices, count, same) < needed)
			continue;
		verdict.is_agreed = true;
		verdict.with = same;
		verdict.against = find_against(voices, count, i, floor);
		take_facts(voices, count, same, i, needed, out);
		break;
	}
	return verdict;
}

bool quorum_height(const uint64_t *numbers, const unsigned *groups,
		   unsigned count, unsigned needed, uint64_t *out)
{
	bool found = false;

	for (unsigned i = 0; i < count; i++) {
		uint32_t reached = 0;

		for (unsigned j = 0; j < count; j++) {
			if (numbers[j] >= numbers[i])
				reached |= 1u << j;
		}
		if (quorum_groups(groups, count, reached) < needed ||
		    (found && numbers[i] <= *out))
			continue;
		*out = numbers[i];
		found = true;
	}
	return found;
}

uint64_t quorum_median(const uint64_t *numbers, unsigned count)
{
	assert(count > 0);
	for (unsigned i = 0; i < count; i++) {
		unsigned below = 0;
		unsigned same = 0;

		for (unsigned j = 0; j < count; j++) {
			below += numbers[j] < numbers[i];
			same += numbers[j] == numbers[i];
		}
		if (below <= (count - 1) / 2 && below + same > (count - 1) / 2)
			return numbers[i];
	}
	return numbers[0];
}
