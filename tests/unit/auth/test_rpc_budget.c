#include "auth/rpc_endpoint.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SENDERS      17
#define SIMULATED_MS 20000u
#define PAUSE_MS     8000u  /* from here nothing is wanted ... */
#define RUSH_MS      11000u /* ... until here, and then by all at once */
#define WAIT_MAX_MS  30000u

/* How long a batch is under way, and then until its answer is there. */
struct way {
	unsigned usual_us, odd_us; /* up to so long; one in `odd` is odd */
	unsigned odd;
};

struct sender {
	enum { WANTS, RESERVED, FLIES } state;
	unsigned count;
	uint64_t until_ms;
	uint64_t answer_us;
	uint64_t sent; /* requests */
};

struct arrival {
	uint64_t at_us;
	unsigned count;
};

static struct endpoint *ep;
static struct arrival arrivals[SIMULATED_MS * SENDERS];
static size_t arrivals_count;
static uint64_t state;

static unsigned below(unsigned max)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % max;
}

static void make(unsigned rate, unsigned batch)
{
	struct endpoint_config config = {.url = "http://127.0.0.1:1",
					 .requests_per_s = rate,
					 .batch_max = batch};
	char why[200];

	state = rate;
	arrivals_count = 0;
	cr_assert_eq(endpoint_new("t", 0, &config, batch, false,
				  &rpc_limits_default, &ep, why, sizeof(why)),
		     0);
}

static void leave(struct sender *s, uint64_t now_ms, const struct way *way)
{
	uint64_t now_us = now_ms * 1000 + below(1000);
	bool is_odd = below(way->odd) == 0;
	uint64_t at_us = now_us + below(is_odd ? way->odd_us : way->usual_us);

	s->until_ms = endpoint_leave(ep, s->count, now_ms);
	if (s->until_ms > now_ms)
		return;
	arrivals[arrivals_count++] = (struct arrival){at_us, s->count};
	s->answer_us = at_us + below(way->usual_us);
	s->sent += s->count;
	s->state = FLIES;
}

static void step(struct sender *s, uint64_t now_ms, const struct way *way)
{
	bool is_pause = now_ms >= PAUSE_MS && now_ms < RUSH_MS;

	if (s->state == FLIES && s->answer_us < (now_ms + 1) * 1000) {
		endpoint_return(ep, s->count, now_ms);
		s->state = WANTS;
	}
	if (s->state == WANTS && !is_pause) {
		s->count = 1 + below(endpoint_batch(ep));
		if (below(2))
			s->count = endpoint_batch(ep);
		s->until_ms =
			endpoint_reserve(ep, s->count, now_ms, WAIT_MAX_MS);
		cr_assert_leq(s->until_ms, now_ms + WAIT_MAX_MS);
		s->state = RESERVED;
	}
	/* Who wakes up does so somewhat late. */
	if (s->state == RESERVED && s->until_ms <= now_ms && below(4) == 0)
		leave(s, now_ms, way);
}

static int by_time(const void *a, const void *b)
{
	const struct arrival *one = a, *two = b;

	return (one->at_us > two->at_us) - (one->at_us < two->at_us);
}

/* Each window that begins with an arrival; the others hold no more. */
static unsigned worst_second(void)
{
	unsigned worst = 0, sum = 0;
	size_t last = 0;

	qsort(arrivals, arrivals_count, sizeof(*arrivals), by_time);
	for (size_t first = 0; first < arrivals_count; first++) {
		while (last < arrivals_count &&
		       arrivals[last].at_us < arrivals[first].at_us + 1000000)
			sum += arrivals[last++].count;
		if (sum > worst)
			worst = sum;
		sum -= arrivals[first].count;
	}
	return worst;
}

/* Returns how many requests were sent; `*least`: by one sender. */
static uint64_t simulate(unsigned rate, unsigned batch, const struct way *way,
			 uint64_t *least)
{
	struct sender senders[SENDERS] = {0};
	uint64_t sent = 0;

	make(rate, batch);
	for (uint64_t now_ms = 0; now_ms < SIMULATED_MS; now_ms++) {
		unsigned first = below(SENDERS);

		for (unsigned i = 0; i < SENDERS; i++)
			step(&senders[(first + i) % SENDERS], now_ms, way);
	}
	*least = UINT64_MAX;
	for (unsigned i = 0; i < SENDERS; i++) {
		sent += senders[i].sent;
		if (senders[i].sent < *least)
			*least = senders[i].sent;
	}
	cr_assert_leq(worst_second(), rate, "rate %u, batch %u", rate, batch);
	endpoint_free(ep);
	return sent;
}

static const unsigned rates[] = {1, 2, 3, 5, 7, 16, 99, 100, 250, 5000};
static const unsigned batches[] = {1, 7, 100, 1000};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

TestSuite(rpc_budget, .timeout = 100);

Test(rpc_budget, no_second_sees_more_whatever_is_under_way)
{
	static const struct way ways[] = {
		{2000, 2000, 2},
		{100000, 400000, 4},
		{5000, 2900000, 10}, /* as when the first packet was lost */
	};
	uint64_t least;

	for (size_t r = 0; r < COUNT(rates); r++) {
		for (size_t b = 0; b < COUNT(batches); b++) {
			for (size_t w = 0; w < COUNT(ways); w++)
				(void)simulate(rates[r], batches[b], &ways[w],
					       &least);
		}
	}
}

Test(rpc_budget, what_is_near_is_asked_nearly_as_often_as_allowed)
{
	static const struct way near = {2000, 2000, 2};
	const uint64_t seconds = (SIMULATED_MS - RUSH_MS + PAUSE_MS) / 1000;

	for (size_t r = 0; r < COUNT(rates); r++) {
		/* One by one they come to no more. */
		for (size_t b = rates[r] > 1000; b < COUNT(batches); b++) {
			uint64_t least;
			uint64_t sent =
				simulate(rates[r], batches[b], &near, &least);

			cr_expect_gt(sent, rates[r] * seconds * 8 / 10,
				     "rate %u, batch %u", rates[r], batches[b]);
			cr_expect(least > 0 || rates[r] < SENDERS,
				  "rate %u, batch %u", rates[r], batches[b]);
		}
	}
}

Test(rpc_budget, a_batch_is_cut_to_a_tenth_of_a_second)
{
	static const unsigned cases[][3] = {
		{5000, 100, 100}, {5000, 1000, 500}, {5000, 1, 1},
		{250, 100, 25},   {19, 100, 1},      {10, 2, 1},
		{7, 100, 1},      {1, 100, 1},       {0, 100, 100},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		make(cases[i][0], cases[i][1]);
		cr_expect_eq(endpoint_batch(ep), cases[i][2], "case %zu", i);
		endpoint_free(ep);
	}
}

Test(rpc_budget, without_a_rate_all_leave_at_once)
{
	make(0, 100);
	for (unsigned i = 0; i < 1000; i++) {
		cr_assert_eq(endpoint_reserve(ep, 100, 5, WAIT_MAX_MS), 5);
		cr_assert_eq(endpoint_leave(ep, 100, 5), 5);
	}
	endpoint_free(ep);
}
