#include "net/envelopes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define COUNT_FIRST 1024 /* a power of two */

struct held {
	struct packet *packet;
	uint32_t uses; /* envelopes that point into it, and its maker */
	bool is_counted;
};

/* The home of a slot follows from its mark alone, so it can be moved. */
struct slot {
	uint32_t mark; /* 0: empty */
	uint32_t seq;  /* low half */
};

struct envelopes {
	struct pooled *ring; /* by sequence number */
	uint32_t cap;        /* a power of two */
	uint32_t cap_max;
	uint64_t tail, head;
	uint64_t bytes_tail;  /* those before have no bytes any more */
	uint64_t expire_at;   /* where the next look for expired ones begins */
	uint64_t expire_step; /* of them in one look */
	size_t count;
	size_t bytes, bytes_max;
	struct slot *slots; /* 2 * cap */
	uint64_t seed;
};

static int resize(struct envelopes *envs, uint32_t cap);

struct envelopes *envelopes_new(size_t bytes_max, uint32_t count_max)
{
	struct envelopes *envs = calloc(1, sizeof(*envs));
	uint32_t max = COUNT_FIRST;

	if (!envs)
		return NULL;
	while (max < count_max && max < UINT32_C(1) << 30)
		max *= 2;
	envs->cap_max = max;
	envs->bytes_max = bytes_max;
	bytes_random((uint8_t *)&envs->seed, sizeof(envs->seed));
	if (resize(envs, COUNT_FIRST)) {
		free(envs);
		return NULL;
	}
	return envs;
}

static struct pooled *entry_at(struct envelopes *envs, uint64_t seq)
{
	return &envs->ring[seq & (envs->cap - 1)];
}

void envelopes_free(struct envelopes *envs)
{
	if (!envs)
		return;
	for (uint64_t seq = envs->tail; seq < envs->head; seq++)
		held_release(envs, entry_at(envs, seq)->held);
	free(envs->ring);
	free(envs->slots);
	free(envs);
}

/* ---- bytes ---- */

struct held *held_new(struct packet *packet)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		return NULL;
	held->packet = packet_ref(packet);
	held->uses = 1;
	return held;
}

void held_release(struct envelopes *envs, struct held *held)
{
	if (!held || --held->uses > 0)
		return;
	if (held->is_counted)
		envs->bytes -= held->packet->size;
	packet_unref(held->packet);
	free(held);
}

static void held_use(struct envelopes *envs, struct held *held)
{
	held->uses++;
	if (held->is_counted)
		return;
	held->is_counted = true;
	envs->bytes += held->packet->size;
}

static void drop_bytes(struct envelopes *envs, struct pooled *env)
{
	struct held *held = env->held;

	env->held = NULL;
	env->rlp = NULL;
	held_release(envs, held);
}

static void bound_bytes(struct envelopes *envs)
{
	if (envs->bytes_tail < envs->tail)
		envs->bytes_tail = envs->tail;
	while (envs->bytes > envs->bytes_max && envs->bytes_tail < envs->head)
		drop_bytes(envs, entry_at(envs, envs->bytes_tail++));
}

/* ---- the filter ---- */

static uint32_t mark_of(const struct envelopes *envs, const uint8_t *key)
{
	uint64_t a, b;

	memcpy(&a, key, sizeof(a));
	memcpy(&b, key + 8, sizeof(b));
	a = (a ^ envs->seed) * UINT64_C(0x9e3779b97f4a7c15);
	a ^= a >> 32;
	a = (a ^ b) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(a >> 32) | 1;
}

static uint32_t slots_mask(const struct envelopes *envs)
{
	return 2 * envs->cap - 1;
}

static uint32_t home_of(const struct envelopes *envs, uint32_t mark)
{
	return mark >> 1 & slots_mask(envs);
}

static void slot_put(struct envelopes *envs, uint32_t mark, uint64_t seq)
{
	uint32_t at = home_of(envs, mark);

	while (envs->slots[at].mark)
		at = (at + 1) & slots_mask(envs);
	envs->slots[at] = (struct slot){.mark = mark, .seq = (uint32_t)seq};
}

/* Take one out and move up those behind it that may stand nearer home. */
static void slot_remove(struct envelopes *envs, uint32_t at)
{
	uint32_t mask = slots_mask(envs);
	uint32_t next = at;

	for (;;) {
		uint32_t home;

		next = (next + 1) & mask;
		if (!envs->slots[next].mark)
			break;
		home = home_of(envs, envs->slots[next].mark);
		if (((next - home) & mask) < ((next - at) & mask))
			continue;
		envs->slots[at] = envs->slots[next];
		at = next;
	}
	envs->slots[at].mark = 0;
}

static int resize(struct envelopes *envs, uint32_t cap)
{
	size_t slots_bytes = (size_t)cap * 2 * sizeof(*envs->slots);
	struct pooled *ring = calloc(cap, sizeof(*ring));
	struct slot *slots = malloc(slots_bytes);
	struct pooled *old = envs->ring;
	uint32_t old_cap = envs->cap;

	if (!ring || !slots) {
		free(ring);
		free(slots);
		return -1;
	}
	/*
	 * Not calloc(): slots are read before they are written, and a fresh
	 * page that is read first is mapped twice, the second time with word
	 * to all processors.
	 */
	memset(slots, 0, slots_bytes);
	free(envs->slots);
	envs->ring = ring;
	envs->slots = slots;
	envs->cap = cap;
	for (uint64_t seq = envs->tail; seq < envs->head; seq++) {
		struct pooled *env = entry_at(envs, seq);

		*env = old[seq & (old_cap - 1)];
		if (env->is_alive)
			slot_put(envs, mark_of(envs, env->key), seq);
	}
	free(old);
	return 0;
}

void envelopes_prefetch(const struct envelopes *envs,
			const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	__builtin_prefetch(&envs->slots[home_of(envs, mark_of(envs, hash))]);
}

/* The entry whose sequence number has this low half. */
static struct pooled *entry_of_slot(struct envelopes *envs, struct slot slot)
{
	return &envs->ring[slot.seq & (envs->cap - 1)];
}

struct pooled *envelopes_find(struct envelopes *envs,
			      const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	uint32_t mark = mark_of(envs, hash);
	uint32_t at = home_of(envs, mark);

	for (; envs->slots[at].mark; at = (at + 1) & slots_mask(envs)) {
		struct pooled *env;

		if (envs->slots[at].mark != mark)
			continue;
		env = entry_of_slot(envs, envs->slots[at]);
		if (memcmp(env->key, hash, POOLED_KEY_SIZE) == 0)
			return env;
	}
	return NULL;
}

static void forget(struct envelopes *envs, struct pooled *env)
{
	uint32_t mark = mark_of(envs, env->key);
	uint32_t at = home_of(envs, mark);

	if (!env->is_alive)
		return;
	while (envs->slots[at].mark != mark ||
	       entry_of_slot(envs, envs->slots[at]) != env) {
		assert(envs->slots[at].mark);
		at = (at + 1) & slots_mask(envs);
	}
	slot_remove(envs, at);
	drop_bytes(envs, env);
	env->is_alive = false;
	envs->count--;
}

static void make_room(struct envelopes *envs)
{
	if (envs->head - envs->tail < envs->cap)
		return;
	if (envs->cap < envs->cap_max && resize(envs, envs->cap * 2) == 0)
		return;
	forget(envs, entry_at(envs, envs->tail));
	envs->tail++;
}

struct pooled *envelopes_add(struct envelopes *envs,
			     const uint8_t hash[static ENVELOPE_HASH_SIZE],
			     const uint8_t *rlp, uint32_t size,
			     struct held *held)
{
	struct pooled *env;

	make_room(envs);
	env = entry_at(envs, envs->head);
	memset(env, 0, sizeof(*env));
	memcpy(env->key, hash, POOLED_KEY_SIZE);
	env->is_alive = true;
	env->size = size;
	if (held) {
		env->held = held;
		env->rlp = rlp;
		held_use(envs, held);
	}
	slot_put(envs, mark_of(envs, hash), envs->head);
	envs->head++;
	envs->count++;
	bound_bytes(envs);
	return env;
}

/* ---- sequence ---- */

uint64_t envelopes_tail(const struct envelopes *envs)
{
	return envs->tail;
}

uint64_t envelopes_head(const struct envelopes *envs)
{
	return envs->head;
}

struct pooled *envelopes_at(struct envelopes *envs, uint64_t seq)
{
	struct pooled *env = entry_at(envs, seq);

	assert(seq >= envs->tail && seq < envs->head);
	return env->is_alive ? env : NULL;
}

uint64_t envelopes_seq(const struct envelopes *envs, const struct pooled *env)
{
	uint64_t index = (uint64_t)(env - envs->ring);
	uint64_t first = envs->tail & (envs->cap - 1);

	return envs->tail + ((index - first) & (envs->cap - 1));
}

void envelopes_stored(struct envelopes *envs, uint64_t seq,
		      const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct pooled *env = entry_at(envs, seq);

	if (seq < envs->tail || seq >= envs->head || !env->is_alive ||
	    memcmp(env->key, hash, POOLED_KEY_SIZE) != 0)
		return;
	env->is_pending = false;
}

void envelopes_expire(struct envelopes *envs, uint32_t now_s, unsigned parts)
{
	uint64_t left;

	if (envs->expire_step == 0 || envs->expire_at < envs->tail ||
	    envs->expire_at >= envs->head) {
		envs->expire_at = envs->tail;
		envs->expire_step = (envs->head - envs->tail) / parts + 1;
	}
	for (left = envs->expire_step; left > 0 && envs->expire_at < envs->head;
	     left--) {
		struct pooled *env = entry_at(envs, envs->expire_at++);

		if (env->is_alive && env->expiry_s < now_s)
			forget(envs, env);
	}
	while (envs->tail < envs->head && !entry_at(envs, envs->tail)->is_alive)
		envs->tail++;
}

size_t envelopes_count(const struct envelopes *envs)
{
	return envs->count;
}

size_t envelopes_bytes(const struct envelopes *envs)
{
	return envs->bytes;
}
