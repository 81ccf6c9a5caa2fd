#include "auth/rates.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SETS 2048
#define WAYS 8

/* A bucket as one number: the time at which it would be full again. */
struct bucket {
	_Atomic uint64_t source;
	_Atomic uint64_t full_ms;
};

struct rates {
	uint64_t interval_ms; /* 0: no limit */
	uint64_t slack_ms;
	struct bucket buckets[SETS][WAYS];
};

struct rates *rates_new(unsigned per_min, unsigned burst)
{
	struct rates *rates = calloc(1, sizeof(*rates));

	if (!rates || per_min == 0)
		return rates;
	rates->interval_ms = 60000 / per_min ? 60000 / per_min : 1;
	rates->slack_ms = rates->interval_ms * (burst > 1 ? burst - 1 : 0);
	return rates;
}

void rates_free(struct rates *rates)
{
	free(rates);
}

static struct bucket *find(struct bucket *set, uint64_t source)
{
	struct bucket *least = &set[0];
	uint64_t owner;

	for (int i = 0; i < WAYS; i++) {
		if (atomic_load(&set[i].source) == source)
			return &set[i];
		if (atomic_load(&set[i].full_ms) < atomic_load(&least->full_ms))
			least = &set[i];
	}
	owner = atomic_load(&least->source);
	/* Two who take it at once share it for this time. */
	if (atomic_compare_exchange_strong(&least->source, &owner, source))
		atomic_store(&least->full_ms, 0);
	return least;
}

bool rates_take(struct rates *rates, uint64_t source, uint64_t now_ms,
		uint32_t *retry_s)
{
	struct bucket *bucket;
	uint64_t full_ms;

	*retry_s = 0;
	if (rates->interval_ms == 0)
		return true;
	bucket = find(rates->buckets[source % SETS], source);
	full_ms = atomic_load(&bucket->full_ms);
	for (;;) {
		uint64_t base = full_ms > now_ms ? full_ms : now_ms;

		if (base - now_ms > rates->slack_ms) {
			uint64_t wait = base - now_ms - rates->slack_ms;

			*retry_s = (uint32_t)((wait + 999) / 1000);
			return false;
		}
		if (atomic_compare_exchange_weak(&bucket->full_ms, &full_ms,
						 base + rates->interval_ms))
			return true;
	}
}
