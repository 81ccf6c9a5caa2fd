#include "tests/support/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "tests/support/check.h"

struct topic letters_topic(size_t i)
{
	uint8_t n = (uint8_t)(i % LETTERS_TOPICS);
	/* Spread, so that the bloom of one does not cover another. */
	struct topic topic = {{(uint8_t)(17 * n), (uint8_t)(53 + 7 * n),
			       (uint8_t)(128 + 9 * n), 0}};

	return topic;
}

void letters_init(struct letters *l, size_t count, int ahead_s,
		  size_t data_size)
{
	uint8_t data[LETTERS_DATA_MAX];

	memset(l, 0, sizeof(*l));
	l->count = count;
	l->rlp = calloc(count, sizeof(*l->rlp));
	l->sizes = calloc(count, sizeof(*l->sizes));
	l->hashes = calloc(count, sizeof(*l->hashes));
	CHECK(l->rlp && l->sizes && l->hashes);
	for (size_t i = 0; i < count; i++) {
		struct envelope env = {
			.expiry_s = (uint32_t)((int)clock_wall_s() + ahead_s) +
				    LETTERS_TTL_S,
			.ttl_s = LETTERS_TTL_S,
			.nonce = i,
			.topic = letters_topic(i),
			.data_size = (uint32_t)data_size};

		bytes_random(data, sizeof(data));
		l->sizes[i] = envelope_encode(&env, data, l->rlp[i]);
		keccak256(l->rlp[i], l->sizes[i], l->hashes[i]);
	}
}

void letters_release(struct letters *l)
{
	free(l->rlp);
	free(l->sizes);
	free(l->hashes);
}

static int letters_next(void *ctx, const uint8_t **rlp, size_t *size)
{
	struct letters *l = ctx;

	if (l->next == l->count)
		return 1;
	*rlp = l->rlp[l->next];
	*size = l->sizes[l->next];
	l->next++;
	return 0;
}

static void letters_confirmed(void *ctx, const uint8_t *hashes, size_t count)
{
	struct letters *l = ctx;

	(void)hashes;
	l->confirmed += count;
}

static void letters_refused(void *ctx, const struct client_refusal *refusal)
{
	struct letters *l = ctx;

	l->refused++;
	l->code = refusal->code;
}

struct client_post letters_job(unsigned per_packet, unsigned window)
{
	return (struct client_post){.per_packet = per_packet,
				    .window = window,
				    .next = letters_next,
				    .confirmed = letters_confirmed,
				    .refused = letters_refused};
}

void basket_init(struct basket *b, size_t cap)
{
	*b = (struct basket){.cap = cap, .hashes = malloc(cap * 32)};
	CHECK(b->hashes);
}

void basket_release(struct basket *b)
{
	free(b->hashes);
}

int basket_add(void *ctx, const struct envelope *env,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	struct basket *b = ctx;
	uint8_t own[32];

	envelope_hash(env, own);
	CHECK(memcmp(own, hash, 32) == 0);
	CHECK(b->count < b->cap);
	memcpy(b->hashes[b->count++], hash, 32);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

void basket_expect(struct basket *b, const struct letters *l, int topic)
{
	uint8_t(*want)[32] = malloc(l->count * 32 + 1);
	size_t count = 0;

	CHECK(want);
	for (size_t i = 0; i < l->count; i++) {
		if (topic < 0 || i % LETTERS_TOPICS == (size_t)topic)
			memcpy(want[count++], l->hashes[i], 32);
	}
	if (count != b->count)
		(void)fprintf(stderr, "want %zu, got %zu\n", count, b->count);
	CHECK(count == b->count);
	qsort(want, count, 32, by_bytes);
	qsort(b->hashes, count, 32, by_bytes);
	CHECK(memcmp(want, b->hashes, count * 32) == 0);
	free(want);
}
