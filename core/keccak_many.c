#include "core/keccak.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "core/keccak_kernel.h"
#include "core/keccak_state.h"

/* Jobs that are put in order together; bounds what lies on the stack. */
#define BATCH_MAX 512
#define BUCKETS   256

/* A run of whole blocks to absorb. */
struct segment {
	const uint8_t *in;
	size_t blocks;
};

/* One job while it is being worked on. */
struct lane {
	struct keccak state; /* before the job, and after it */
	struct segment now, then;
	size_t job;
	uint8_t last[2 * KECCAK_RATE]; /* padded end of a message */
};

/* The three kinds of job look alike from here. */
struct work {
	const void *jobs;
	/* Permutations that job `i` will take. */
	size_t (*blocks)(const void *jobs, size_t i);
	/* Set state and segments; with no block to absorb, state is final. */
	void (*begin)(const void *jobs, size_t i, struct lane *lane);
	/* All segments are absorbed: deliver. */
	void (*end)(const void *jobs, size_t i, struct lane *lane);
};

struct crew {
	struct keccak_wide wide;
	struct lane memory[KECCAK_LANES_MAX];
	struct lane *lanes[KECCAK_LANES_MAX]; /* lane i's state is column i */
	unsigned active; /* lanes 0..active-1 are at work */
};

static const uint8_t zero_block[KECCAK_RATE];
static atomic_uint width_limit = KECCAK_LANES_MAX;

static unsigned width_of_processor(void)
{
	if (keccak_has_avx512())
		return 8;
	return keccak_has_avx2() ? 4 : 1;
}

unsigned keccak_width(void)
{
	unsigned limit =
		atomic_load_explicit(&width_limit, memory_order_relaxed);
	unsigned width = width_of_processor();

	return width < limit ? width : limit;
}

unsigned keccak_set_width(unsigned width)
{
	unsigned limit = width >= 8 ? 8 : width >= 4 ? 4 : 1;

	atomic_store_explicit(&width_limit, limit, memory_order_relaxed);
	return keccak_width();
}

/*
 * The fewest states for which the vectors beat one after the other: AVX2 has
 * no rotation and takes as long for four as two take alone.
 */
static unsigned together_min(void)
{
	return keccak_has_avx512() ? 2 : 3;
}

static void permute_wide(struct crew *crew,
			 const uint8_t *const in[KECCAK_LANES_MAX],
			 size_t blocks)
{
#if defined(__x86_64__)
	if (crew->active > 4)
		keccak_x8_avx512(&crew->wide, in, blocks);
	else if (keccak_has_avx512())
		keccak_x4_avx512(&crew->wide, in, blocks);
	else
		keccak_x4_avx2(&crew->wide, in, blocks);
#else
	(void)crew;
	(void)in;
	(void)blocks;
#endif
}

/* Move on by `blocks` of the present segment. */
static void segment_advance(struct lane *lane, size_t blocks)
{
	lane->now.in += blocks * KECCAK_RATE;
	lane->now.blocks -= blocks;
	if (lane->now.blocks == 0) {
		lane->now = lane->then;
		lane->then.blocks = 0;
	}
}

static void lane_finish_alone(const struct work *work, struct lane *lane)
{
	while (lane->now.blocks > 0) {
		keccak_single(lane->state.lanes, lane->now.in,
			      lane->now.blocks);
		segment_advance(lane, lane->now.blocks);
	}
	work->end(work->jobs, lane->job, lane);
}

/* Have the next segment stand first, should the first be empty. */
static void lane_begin(const struct work *work, size_t job, struct lane *lane)
{
	lane->job = job;
	lane->now.blocks = 0;
	lane->then.blocks = 0;
	work->begin(work->jobs, job, lane);
	if (lane->now.blocks == 0)
		segment_advance(lane, 0);
}

static void wide_put(struct keccak_wide *wide, unsigned i,
		     const struct keccak *state)
{
	for (unsigned w = 0; w < 25; w++)
		wide->words[w][i] = state->lanes[w];
}

static void wide_get(const struct keccak_wide *wide, unsigned i,
		     struct keccak *state)
{
	for (unsigned w = 0; w < 25; w++)
		state->lanes[w] = wide->words[w][i];
}

/* Lane `i` has nothing more to do: the last one takes its column. */
static void crew_close_gap(struct crew *crew, unsigned i)
{
	unsigned last = --crew->active;
	struct lane *idle = crew->lanes[i];

	if (i == last)
		return;
	for (unsigned w = 0; w < 25; w++)
		crew->wide.words[w][i] = crew->wide.words[w][last];
	crew->lanes[i] = crew->lanes[last];
	crew->lanes[last] = idle;
}

/* Absorb until a lane comes to the end of a segment. */
static void crew_step(struct crew *crew)
{
	const uint8_t *in[KECCAK_LANES_MAX];
	size_t blocks = crew->lanes[0]->now.blocks;

	for (unsigned i = 0; i < crew->active; i++) {
		in[i] = crew->lanes[i]->now.in;
		if (crew->lanes[i]->now.blocks < blocks)
			blocks = crew->lanes[i]->now.blocks;
	}
	/* Columns without a job compute along, on bytes that are there. */
	for (unsigned i = crew->active; i < KECCAK_LANES_MAX; i++)
		in[i] = in[0];
	permute_wide(crew, in, blocks);
	for (unsigned i = 0; i < crew->active; i++)
		segment_advance(crew->lanes[i], blocks);
}

/*
 * Longest first, so that none is left to run alone at the end: a counting
 * sort, exact below 16 blocks, to a quarter of a power of two above.
 */
static unsigned bucket_of(size_t blocks)
{
	unsigned log;

	if (blocks < 16)
		return (unsigned)blocks;
	log = 63u - (unsigned)__builtin_clzll(blocks);
	return 4 * log + (unsigned)(blocks >> (log - 2) & 3);
}

static void order_jobs(const struct work *work, size_t first, size_t count,
		       size_t order[static BATCH_MAX])
{
	uint16_t place[BUCKETS] = {0};
	uint8_t bucket[BATCH_MAX];
	uint16_t before = 0;

	for (size_t i = 0; i < count; i++) {
		bucket[i] =
			(uint8_t)bucket_of(work->blocks(work->jobs, first + i));
		place[bucket[i]]++;
	}
	for (unsigned b = BUCKETS; b-- > 0;) {
		uint16_t here = place[b];

		place[b] = before;
		before = (uint16_t)(before + here);
	}
	for (size_t i = 0; i < count; i++)
		order[place[bucket[i]]++] = first + i;
}

/* Give lane `i` the next job that needs the permutation; false: none left. */
static bool crew_refill(struct crew *crew, const struct work *work, unsigned i,
			const size_t **next, const size_t *end)
{
	struct lane *lane = crew->lanes[i];

	while (*next < end) {
		lane_begin(work, *(*next)++, lane);
		if (lane->now.blocks > 0) {
			wide_put(&crew->wide, i, &lane->state);
			return true;
		}
		work->end(work->jobs, lane->job, lane);
	}
	return false;
}

/* Deliver what is done and find new work for its lanes. */
static void crew_turn_over(struct crew *crew, const struct work *work,
			   const size_t **next, const size_t *end)
{
	/* Downwards, so that what fills a gap has been looked at. */
	for (unsigned i = crew->active; i-- > 0;) {
		struct lane *lane = crew->lanes[i];

		if (lane->now.blocks > 0)
			continue;
		wide_get(&crew->wide, i, &lane->state);
		work->end(work->jobs, lane->job, lane);
		if (!crew_refill(crew, work, i, next, end))
			crew_close_gap(crew, i);
	}
}

static void run_batch(struct crew *crew, const struct work *work, size_t first,
		      size_t count)
{
	size_t order[BATCH_MAX];
	const size_t *next = order, *end = order + count;
	unsigned width = keccak_width();
	unsigned min = width > 1 ? together_min() : UINT_MAX;

	if (count > width)
		order_jobs(work, first, count, order);
	else /* all begin at once */
		for (size_t i = 0; i < count; i++)
			order[i] = first + i;
	crew->active = 0;
	while (crew->active < width &&
	       crew_refill(crew, work, crew->active, &next, end))
		crew->active++;
	while (crew->active >= min) {
		crew_step(crew);
		crew_turn_over(crew, work, &next, end);
	}
	for (unsigned i = 0; i < crew->active; i++) {
		wide_get(&crew->wide, i, &crew->lanes[i]->state);
		lane_finish_alone(work, crew->lanes[i]);
	}
	while (next < end) {
		lane_begin(work, *next++, crew->lanes[0]);
		lane_finish_alone(work, crew->lanes[0]);
	}
}

static void run(const struct work *work, size_t count)
{
	struct crew crew;
	size_t part;

	memset(&crew.wide, 0, sizeof(crew.wide));
	for (unsigned i = 0; i < KECCAK_LANES_MAX; i++)
		crew.lanes[i] = &crew.memory[i];
	for (size_t first = 0; first < count; first += part) {
		part = count - first < BATCH_MAX ? count - first : BATCH_MAX;
		run_batch(&crew, work, first, part);
	}
}

static size_t absorb_blocks(const void *jobs, size_t i)
{
	const struct keccak_absorb_job *job =
		(const struct keccak_absorb_job *)jobs + i;

	return (job->state->pos + job->len) / KECCAK_RATE;
}

static void absorb_begin(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_absorb_job *job =
		(const struct keccak_absorb_job *)jobs + i;
	size_t room = KECCAK_RATE - job->state->pos;
	const uint8_t *in = job->in;
	size_t len = job->len;

	lane->state = *job->state;
	if (lane->state.pos > 0 && len >= room) {
		keccak_xor(&lane->state, in, room);
		lane->now = (struct segment){zero_block, 1};
		lane->state.pos = 0;
		in += room;
		len -= room;
	}
	if (lane->state.pos == 0)
		lane->then = (struct segment){in, len / KECCAK_RATE};
}

static void absorb_end(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_absorb_job *job =
		(const struct keccak_absorb_job *)jobs + i;
	size_t rest = job->len;

	/* What is left behind the last whole block. */
	if (absorb_blocks(jobs, i) > 0)
		rest = (job->state->pos + job->len) % KECCAK_RATE;
	if (rest > 0)
		keccak_xor(&lane->state, job->in + job->len - rest, rest);
	*job->state = lane->state;
}

void keccak_absorb_many(const struct keccak_absorb_job *jobs, size_t count)
{
	const struct work work = {jobs, absorb_blocks, absorb_begin,
				  absorb_end};
	size_t small = 0;

	while (small < count && absorb_blocks(jobs, small) == 0)
		small++;
	if (small == count) /* as seeds are: no permutation at all */
		for (size_t i = 0; i < count; i++)
			keccak_xor(jobs[i].state, jobs[i].in, jobs[i].len);
	else if (count == 1)
		keccak_absorb(jobs->state, jobs->in, jobs->len);
	else
		run(&work, count);
}

static size_t peek_blocks(const void *jobs, size_t i)
{
	(void)jobs;
	(void)i;
	return 1;
}

static void peek_begin(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_peek_job *job =
		(const struct keccak_peek_job *)jobs + i;

	lane->state = *job->state;
	keccak_pad(&lane->state);
	lane->now = (struct segment){zero_block, 1};
}

static void peek_end(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_peek_job *job =
		(const struct keccak_peek_job *)jobs + i;

	keccak_digest(&lane->state, job->out);
}

void keccak_peek_many(const struct keccak_peek_job *jobs, size_t count)
{
	const struct work work = {jobs, peek_blocks, peek_begin, peek_end};

	if (count == 1)
		keccak_peek(jobs->state, jobs->out);
	else if (count > 1)
		run(&work, count);
}

static size_t hash_blocks(const void *jobs, size_t i)
{
	const struct keccak_hash_job *job =
		(const struct keccak_hash_job *)jobs + i;

	return (job->len + job->tail_len) / KECCAK_RATE + 1;
}

static void hash_begin(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_hash_job *job =
		(const struct keccak_hash_job *)jobs + i;
	size_t whole = job->len / KECCAK_RATE;
	size_t rest = job->len % KECCAK_RATE;
	size_t last = (rest + job->tail_len) / KECCAK_RATE + 1;
	size_t used = rest + job->tail_len;

	assert(job->tail_len <= sizeof(job->tail));
	keccak_init(&lane->state);
	if (rest > 0)
		memcpy(lane->last, job->in + job->len - rest, rest);
	memcpy(lane->last + rest, job->tail, job->tail_len);
	memset(lane->last + used, 0, last * KECCAK_RATE - used);
	lane->last[used] ^= 0x01;
	lane->last[last * KECCAK_RATE - 1] ^= 0x80;
	lane->now = (struct segment){job->in, whole};
	lane->then = (struct segment){lane->last, last};
}

static void hash_end(const void *jobs, size_t i, struct lane *lane)
{
	const struct keccak_hash_job *job =
		(const struct keccak_hash_job *)jobs + i;

	keccak_digest(&lane->state, job->out);
}

void keccak256_many(const struct keccak_hash_job *jobs, size_t count)
{
	const struct work work = {jobs, hash_blocks, hash_begin, hash_end};

	run(&work, count);
}
