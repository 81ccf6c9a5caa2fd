#include "auth/rpc_endpoint.h"

/* What was answered is counted by slots of so long. */
#define SLOT_MS   20u
#define SLOTS_OLD (1000u / SLOT_MS)

_Static_assert(BUDGET_SLOTS > SLOTS_OLD + 1, "a slot is used anew too soon");

/* All of a batch arrive at once, so the more of a second it fills the less
 * finds room beside it: a tenth at most, and all get on. */
unsigned endpoint_batch(const struct endpoint *ep)
{
	unsigned batch = atomic_load(&ep->batch_now);
	unsigned rate = ep->requests_per_s;

	if (rate == 0 || batch <= rate / 10)
		return batch;
	return rate < 10 ? 1 : rate / 10;
}

/*
 * A leaky bucket as one number: the time at which what was promised so far
 * will have left at the configured rate. Nothing is saved up: after an outage
 * everything is wanted at once, and the rate shall hold then too (§16.5, B4).
 */
uint64_t endpoint_reserve(struct endpoint *ep, unsigned count, uint64_t now_ms,
			  unsigned max_ms)
{
	uint64_t now_us = now_ms * 1000;
	uint64_t before = atomic_load(&ep->budget_us);
	uint64_t from;

	if (ep->requests_per_s == 0)
		return now_ms;
	do {
		from = before > now_us ? before : now_us;
		if (from > now_us + (uint64_t)max_ms * 1000)
			break;
	} while (!atomic_compare_exchange_weak(
		&ep->budget_us, &before,
		from + (uint64_t)count * 1000000 / ep->requests_per_s));
	return from > now_us ? (from + 999) / 1000 : now_ms;
}

/* Answered within the last second; `*free_ms`: when the oldest is older. */
static uint64_t count_recent(const struct endpoint_budget *budget,
			     uint64_t now_ms, uint64_t *free_ms)
{
	uint64_t number = now_ms / SLOT_MS;
	uint64_t count = 0;

	*free_ms = now_ms + 1000;
	for (unsigned i = 0; i < BUDGET_SLOTS; i++) {
		uint64_t old = budget->slots[i].number;
		uint64_t until_ms = (old + SLOTS_OLD + 1) * SLOT_MS;

		if (budget->slots[i].count == 0 || old + SLOTS_OLD < number)
			continue;
		count += budget->slots[i].count;
		if (until_ms < *free_ms)
			*free_ms = until_ms;
	}
	return count;
}

/*
 * Nobody here knows when a request arrives, but it is between its leaving and
 * its answer. Of those that arrive within one second take the one that left
 * last: when it left, each other was on its way, or had been answered less
 * than a second ago. So all of them are in this sum.
 */
uint64_t endpoint_leave(struct endpoint *ep, unsigned count, uint64_t now_ms)
{
	struct endpoint_budget *budget = &ep->budget;
	uint64_t free_ms;
	uint64_t sum;

	if (ep->requests_per_s == 0)
		return now_ms;
	(void)pthread_mutex_lock(&budget->lock);
	sum = count_recent(budget, now_ms, &free_ms) + budget->flying + count;
	if (sum <= ep->requests_per_s) {
		budget->flying += count;
		free_ms = now_ms;
	}
	(void)pthread_mutex_unlock(&budget->lock);
	return free_ms;
}

void endpoint_return(struct endpoint *ep, unsigned count, uint64_t now_ms)
{
	struct endpoint_budget *budget = &ep->budget;
	uint64_t number = now_ms / SLOT_MS;
	unsigned i = (unsigned)(number % BUDGET_SLOTS);

	if (ep->requests_per_s == 0)
		return;
	(void)pthread_mutex_lock(&budget->lock);
	if (budget->slots[i].number < number) {
		budget->slots[i].number = number;
		budget->slots[i].count = 0;
	}
	budget->slots[i].count += count;
	budget->flying -= count;
	(void)pthread_mutex_unlock(&budget->lock);
}
