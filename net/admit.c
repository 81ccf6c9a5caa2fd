#include "net/admit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/keccak.h"
#include "net/bundle.h"
#include "net/gossip.h"
#include "net/node_ring.h"
#include "net/posting.h"

/* So much is hashed at once at most: it must stay in the caches. */
#define CANDIDATES_FLUSH 2048
#define BYTES_FLUSH      (2u << 20)
/* Scratch larger than this is given back. */
#define CANDIDATES_KEEP 8192

enum fate {
	FATE_DROP,    /* say nothing */
	FATE_REFUSED, /* an error in the response */
	FATE_NEW,
	FATE_AGAIN, /* a duplicate that is not on the disk yet */
	FATE_KNOWN,
};

struct candidate {
	struct envelope env;
	uint8_t hash[ENVELOPE_HASH_SIZE];
	uint8_t pow_hash[32];
	uint32_t short_len;
	uint32_t extra_s;
	double pow; /* negative: not computed */
	enum envelope_verdict verdict;
	enum fate fate;
};

struct arrival {
	struct packet *packet;
	uint64_t link;
	enum cap cap;
	uint32_t first, count; /* of candidates */
	uint8_t hash[32];
};

struct admit {
	struct arrival *arrivals;
	size_t arrivals_count, arrivals_cap;
	struct candidate *candidates;
	size_t candidates_count, candidates_cap;
	struct keccak_hash_job *jobs;
	size_t jobs_cap;
	uint8_t *scratch; /* inputs of the PoW hashes */
	size_t scratch_cap;
	size_t bytes;
	struct confirm_error errors[POSTING_ERRORS_MAX];
};

/* What one packet came to. */
struct tally {
	uint32_t errors, bad, fresh, again, known, expired, clock, size, pow;
	size_t kept_bytes;
};

struct admit *admit_new(void)
{
	return calloc(1, sizeof(struct admit));
}

static void release_scratch(struct admit *admit)
{
	free(admit->candidates);
	free(admit->jobs);
	free(admit->scratch);
	admit->candidates = NULL;
	admit->jobs = NULL;
	admit->scratch = NULL;
	admit->candidates_cap = admit->jobs_cap = admit->scratch_cap = 0;
}

static void forget_arrivals(struct admit *admit)
{
	for (size_t i = 0; i < admit->arrivals_count; i++)
		packet_unref(admit->arrivals[i].packet);
	admit->arrivals_count = 0;
	admit->candidates_count = 0;
	admit->bytes = 0;
	if (admit->candidates_cap > CANDIDATES_KEEP)
		release_scratch(admit);
}

void admit_free(struct admit *admit)
{
	if (!admit)
		return;
	forget_arrivals(admit);
	release_scratch(admit);
	free(admit->arrivals);
	free(admit);
}

/* Room for one more element; false: no memory. */
static bool grow(void **array, size_t *cap, size_t count, size_t size)
{
	size_t wanted = *cap ? *cap : 64;
	void *bigger;

	if (count <= *cap)
		return true;
	while (wanted < count)
		wanted *= 2;
	bigger = realloc(*array, wanted * size);
	if (!bigger)
		return false;
	*array = bigger;
	*cap = wanted;
	return true;
}

/* ---- taking packets apart ---- */

static struct candidate *candidate_add(struct admit *admit)
{
	void *array = admit->candidates;

	if (!grow(&array, &admit->candidates_cap, admit->candidates_count + 1,
		  sizeof(struct candidate)))
		return NULL;
	admit->candidates = array;
	return &admit->candidates[admit->candidates_count++];
}

/* < 0: malformed. What there is no memory for is left out, unconfirmed. */
static int split(struct node_ring *ring, struct packet *packet, uint32_t now_s)
{
	const struct node_config *config = &ring->node->config;
	struct bundle bundle;
	struct envelope env;
	int err = bundle_open(&bundle, packet->bytes, packet->size, false);

	while (!err && !(err = bundle_next(&bundle, &env))) {
		struct candidate *c = candidate_add(ring->admit);
		uint32_t sent = envelope_sent(&env);

		if (!c)
			return -1;
		c->env = env;
		c->verdict = envelope_check(&env, now_s, config->envelope_max);
		c->extra_s = sent > now_s ? sent - now_s + 1 : 0;
		c->pow = -1.0;
		c->short_len = 0;
	}
	return err < 0 ? err : 0;
}

static struct arrival *arrival_add(struct admit *admit)
{
	void *array = admit->arrivals;

	if (!grow(&array, &admit->arrivals_cap, admit->arrivals_count + 1,
		  sizeof(struct arrival)))
		return NULL;
	admit->arrivals = array;
	return &admit->arrivals[admit->arrivals_count++];
}

void admit_message(struct session *session, enum cap cap,
		   struct packet *payload)
{
	struct node_ring *ring = session->ring;
	struct admit *admit = ring->admit;
	size_t first = admit->candidates_count;
	struct arrival *arrival;

	if (split(ring, payload, clock_wall_s())) {
		admit->candidates_count = first;
		session_breach(session, "malformed envelopes");
		return;
	}
	arrival = arrival_add(admit);
	if (!arrival) {
		admit->candidates_count = first;
		return;
	}
	arrival->packet = packet_ref(payload);
	arrival->link = session->handle;
	arrival->cap = cap;
	arrival->first = (uint32_t)first;
	arrival->count = (uint32_t)(admit->candidates_count - first);
	admit->bytes += payload->size;
	if (admit->candidates_count >= CANDIDATES_FLUSH ||
	    admit->bytes >= BYTES_FLUSH)
		admit_flush(ring);
}

/* ---- hashing ---- */

static bool wants_pow(const struct node_ring *ring, const struct candidate *c)
{
	return ring->node->config.pow_min > 0.0 && c->verdict == ENVELOPE_OK;
}

/* Room for the jobs and for the inputs of the PoW hashes. */
static bool prepare(struct node_ring *ring)
{
	struct admit *admit = ring->admit;
	void *jobs = admit->jobs;
	void *scratch = admit->scratch;
	size_t size = 0;
	bool ok;

	for (size_t i = 0; i < admit->candidates_count; i++) {
		if (wants_pow(ring, &admit->candidates[i]))
			size += admit->candidates[i].env.size + 9;
	}
	ok = grow(&jobs, &admit->jobs_cap,
		  admit->arrivals_count + 2 * admit->candidates_count,
		  sizeof(struct keccak_hash_job));
	admit->jobs = jobs;
	ok = ok && grow(&scratch, &admit->scratch_cap, size, 1);
	admit->scratch = scratch;
	return ok;
}

static void hash_all(struct node_ring *ring)
{
	struct admit *admit = ring->admit;
	struct keccak_hash_job *job = admit->jobs;
	uint8_t *scratch = admit->scratch;

	for (size_t i = 0; i < admit->arrivals_count; i++) {
		struct arrival *a = &admit->arrivals[i];

		*job++ = (struct keccak_hash_job){.in = a->packet->bytes,
						  .len = a->packet->size,
						  .out = a->hash};
	}
	for (size_t i = 0; i < admit->candidates_count; i++) {
		struct candidate *c = &admit->candidates[i];

		*job++ = (struct keccak_hash_job){
			.in = c->env.rlp, .len = c->env.size, .out = c->hash};
		if (!wants_pow(ring, c))
			continue;
		c->short_len = (uint32_t)envelope_pow_input(&c->env, scratch);
		*job = (struct keccak_hash_job){.in = scratch,
						.len = c->short_len,
						.tail_len = 8,
						.out = c->pow_hash};
		be64_store(job->tail, c->env.nonce);
		scratch += c->env.size + 9;
		job++;
	}
	keccak256_many(admit->jobs, (size_t)(job - admit->jobs));
}

/* ---- judging ---- */

static void refuse(struct admit *admit, struct tally *tally,
		   struct candidate *c, uint64_t code, const char *text)
{
	c->fate = FATE_REFUSED;
	if (tally->errors == POSTING_ERRORS_MAX)
		return;
	admit->errors[tally->errors] = (struct confirm_error){
		.code = code, .text = text, .text_size = strlen(text)};
	memcpy(admit->errors[tally->errors].hash, c->hash, sizeof(c->hash));
	tally->errors++;
}

/* The checks of §5, in its order, but the duplicates. */
static void judge(struct node_ring *ring, enum cap cap, struct candidate *c,
		  struct tally *tally)
{
	bool is_shh = cap == CAP_SHH;
	uint64_t clock = is_shh ? CONFIRM_SHH_CLOCK : CONFIRM_WAKU_CLOCK;
	uint64_t other = is_shh ? CONFIRM_SHH_OTHER : CONFIRM_WAKU_OTHER;

	switch (c->verdict) {
	case ENVELOPE_OK:
		break;
	case ENVELOPE_DROP:
		c->fate = FATE_DROP;
		tally->expired++;
		return;
	case ENVELOPE_FUTURE:
		tally->clock++;
		refuse(ring->admit, tally, c, clock, "envelope from future");
		return;
	case ENVELOPE_VERY_OLD:
		tally->clock++;
		refuse(ring->admit, tally, c, clock, "very old envelope");
		return;
	case ENVELOPE_TOO_BIG:
		tally->size++;
		refuse(ring->admit, tally, c, other,
		       "huge messages are not allowed");
		return;
	}
	c->fate = FATE_NEW;
	if (!wants_pow(ring, c))
		return;
	c->pow = envelope_pow_of(c->pow_hash, c->short_len, c->env.ttl_s,
				 c->extra_s);
	if (c->pow >= ring->node->config.pow_min)
		return;
	tally->pow++;
	refuse(ring->admit, tally, c, other, "envelope with low PoW received");
}

static void compare(struct node_ring *ring, struct session *session,
		    struct candidate *c, struct tally *tally)
{
	struct pooled *env = envelopes_find(ring->envelopes, c->hash);

	if (!env) {
		tally->fresh++;
		tally->kept_bytes += c->env.size;
		return;
	}
	if (session)
		gossip_known(session, envelopes_seq(ring->envelopes, env));
	c->fate = env->is_pending ? FATE_AGAIN : FATE_KNOWN;
	if (c->fate == FATE_AGAIN) {
		tally->again++;
		tally->kept_bytes += c->env.size;
	} else {
		tally->known++;
	}
}

static void judge_all(struct node_ring *ring, const struct arrival *a,
		      struct session *session, struct tally *tally)
{
	struct candidate *c = &ring->admit->candidates[a->first];

	for (uint32_t i = 0; i < a->count; i++)
		envelopes_prefetch(ring->envelopes, c[i].hash);
	for (uint32_t i = 0; i < a->count; i++) {
		judge(ring, a->cap, &c[i], tally);
		if (c[i].fate == FATE_NEW)
			compare(ring, session, &c[i], tally);
	}
	tally->bad = tally->size + tally->pow;
}

/* ---- keeping ---- */

/*
 * When less than half of a packet is kept a smaller one takes its place, so
 * that nobody makes us hold a mebibyte for one small envelope.
 */
static struct packet *shrink(struct node_ring *ring, const struct arrival *a,
			     const struct tally *tally)
{
	struct candidate *c = &ring->admit->candidates[a->first];
	struct packet *packet;
	size_t at = 0;

	if (tally->kept_bytes * 2 >= a->packet->size)
		return packet_ref(a->packet);
	packet = packet_new(tally->kept_bytes);
	if (!packet)
		return NULL;
	for (uint32_t i = 0; i < a->count; i++) {
		if (c[i].fate != FATE_NEW && c[i].fate != FATE_AGAIN)
			continue;
		memcpy(packet->bytes + at, c[i].env.rlp, c[i].env.size);
		c[i].env.rlp = packet->bytes + at;
		at += c[i].env.size;
	}
	return packet;
}

static struct pooled *pool_add(struct node_ring *ring,
			       const struct candidate *c, uint32_t origin,
			       struct held *held)
{
	struct pooled *env = envelopes_add(ring->envelopes, c->hash, c->env.rlp,
					   c->env.size, held);

	env->pow = c->pow;
	env->expiry_s = c->env.expiry_s;
	env->extra_s = c->extra_s;
	env->topic = c->env.topic;
	env->origin = origin;
	env->is_pending = true;
	return env;
}

/* Fill in the batch, and the pool with what is new. Returns items used. */
static uint32_t keep_all(struct node_ring *ring, const struct arrival *a,
			 uint32_t origin, struct posting *posting,
			 struct held *held)
{
	struct archive_item *item = posting_items(posting);
	struct posting_extra *extra = posting_extras(posting);
	uint32_t count = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		struct candidate *c = &ring->admit->candidates[a->first + i];
		struct pooled *env;

		if (c->fate != FATE_NEW && c->fate != FATE_AGAIN)
			continue;
		/* Twice in one packet: new only once. */
		env = envelopes_find(ring->envelopes, c->hash);
		extra[count] = (struct posting_extra){
			.pow = c->pow,
			.expiry_s = c->env.expiry_s,
			.extra_s = c->extra_s,
			.is_new = c->fate == FATE_NEW && !env};
		if (extra[count].is_new)
			env = pool_add(ring, c, origin, held);
		if (env)
			extra[count].seq = envelopes_seq(ring->envelopes, env);
		item[count] =
			(struct archive_item){.rlp = c->env.rlp,
					      .size = c->env.size,
					      .sent = envelope_sent(&c->env),
					      .topic = c->env.topic};
		memcpy(item[count].hash, c->hash, sizeof(c->hash));
		count++;
	}
	return count;
}

static void keep(struct node_ring *ring, const struct arrival *a,
		 struct session *session, const struct tally *tally)
{
	struct posting_base base = {.link = a->link,
				    .cap = a->cap,
				    .errors = ring->admit->errors,
				    .errors_count = tally->errors,
				    .count = tally->fresh + tally->again};
	struct posting *posting = NULL;
	struct held *held = NULL;

	memcpy(base.hash, a->hash, sizeof(base.hash));
	base.packet = shrink(ring, a, tally);
	if (base.packet) {
		held = held_new(base.packet);
		posting = posting_new(ring, &base);
	}
	if (posting) {
		uint32_t count = keep_all(
			ring, a, session ? session->serial : 0, posting, held);

		assert(count == base.count);
		posting_send(ring, posting);
	}
	if (held)
		held_release(ring->envelopes, held);
	packet_unref(base.packet);
}

/* ---- a packet's end ---- */

static void count(struct node *node, const struct arrival *a,
		  const struct tally *tally)
{
	NODE_COUNT(node, packets_in, 1);
	NODE_COUNT(node, envelopes_in, a->count);
	NODE_COUNT(node, envelopes_bytes, a->packet->size);
	NODE_COUNT(node, envelopes_new, tally->fresh);
	NODE_COUNT(node, envelopes_duplicate, tally->known + tally->again);
	NODE_COUNT(node, rejected_clock, tally->clock);
	NODE_COUNT(node, rejected_expired, tally->expired);
	NODE_COUNT(node, rejected_size, tally->size);
	NODE_COUNT(node, rejected_pow, tally->pow);
}

static void charge(struct session *session, const struct arrival *a)
{
	struct node *node = session->ring->node;
	const struct node_config *config = &node->config;
	uint64_t now_ms = node_ring_now_ms(session->ring);
	struct limits_entry *ip;

	session_slow_down(session, bucket_charge(&session->envelopes,
						 config->envelopes_peer.per_s,
						 config->envelopes_peer.burst,
						 a->count, now_ms));
	if (!config->envelopes_ip.per_s)
		return;
	ip = session_address(session);
	session_slow_down(session, bucket_charge(&ip->envelopes,
						 config->envelopes_ip.per_s,
						 config->envelopes_ip.burst,
						 a->count, now_ms));
}

static void admit_packet(struct node_ring *ring, const struct arrival *a)
{
	const struct node_config *config = &ring->node->config;
	struct session *session = node_ring_find(ring, a->link);
	struct tally tally = {0};

	judge_all(ring, a, session, &tally);
	count(ring->node, a, &tally);
	if (session)
		charge(session, a);
	if (tally.fresh + tally.again > 0)
		keep(ring, a, session, &tally);
	else if (session)
		posting_confirm(session, a->cap, a->hash, ring->admit->errors,
				tally.errors);
	if (!session || tally.bad == 0)
		return;
	session->bad_envelopes += tally.bad;
	if (session->bad_envelopes > config->bad_max)
		session_breach(session, "too many bad envelopes");
}

void admit_flush(struct node_ring *ring)
{
	struct admit *admit = ring->admit;

	if (admit->arrivals_count == 0)
		return;
	if (prepare(ring)) {
		hash_all(ring);
		for (size_t i = 0; i < admit->arrivals_count; i++)
			admit_packet(ring, &admit->arrivals[i]);
	}
	forget_arrivals(admit);
}
