#include "bench/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/rlp.h"

#define ENVELOPE_ROOM 48
#define TTL_S         (30u * 86400u)
#define HASH_AT_ONCE  64u

void corpus_config_default(struct corpus_config *config, uint32_t count)
{
	uint32_t now_s = clock_wall_s();

	*config = (struct corpus_config){.count = count,
					 .size = 512,
					 .topics = 1000,
					 .first_s = now_s - 60,
					 .last_s = now_s - 1,
					 .ttl_s = TTL_S,
					 .seed = 42};
}

struct topic corpus_topic(uint32_t index)
{
	uint64_t state = 0x746f706963u + index;
	struct topic topic;

	be32_store(topic.bytes, (uint32_t)bench_random(&state));
	return topic;
}

/*
 * The first topic gets a tenth of all, the rest falls off with the rank, as
 * 1 / rank: index = topics^u for u in [0, 1), without libm.
 */
static uint32_t zipf_index(uint64_t random, uint32_t topics)
{
	unsigned bits = 32 - (unsigned)__builtin_clz(topics);
	uint32_t index;

	if (random % 10 == 0)
		return 0;
	random >>= 8;
	/* An octave with equal chance, then evenly within it. */
	index = 1u << (random % bits);
	index += (uint32_t)(random >> 16) % index;
	return index < topics ? index : topics - 1;
}

static struct topic pick_topic(const struct corpus_config *config, uint32_t i,
			       uint64_t random)
{
	(void)i;
	if (config->zipf)
		return corpus_topic(zipf_index(random, config->topics));
	return corpus_topic((uint32_t)(random % config->topics));
}

static uint32_t sent_of(const struct corpus_config *config, uint32_t i,
			uint64_t random)
{
	uint64_t span = config->last_s - config->first_s;
	uint32_t sent =
		config->first_s +
		(uint32_t)(span * i / (config->count ? config->count : 1));

	if (config->jitter_s)
		sent += (uint32_t)(random >> 32) % config->jitter_s;
	return sent < config->last_s ? sent : config->last_s;
}

static void fill(uint64_t *state, uint8_t *out, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = bench_random(state);
		size_t n = size - at < sizeof(word) ? size - at : sizeof(word);

		memcpy(out + at, &word, n);
	}
}

void corpus_make(struct corpus *corpus, const struct corpus_config *config)
{
	uint64_t state = config->seed * 0x9e3779b97f4a7c15u + 1;
	uint8_t *data = malloc(config->size + 8u);
	uint64_t at = 0;

	corpus->config = *config;
	corpus->bytes = malloc((size_t)config->count *
			       (config->size + (size_t)ENVELOPE_ROOM));
	corpus->starts =
		malloc(((size_t)config->count + 1) * sizeof(*corpus->starts));
	if (!data || !corpus->bytes || !corpus->starts)
		bench_fail("no memory for %u envelopes", config->count);
	for (uint32_t i = 0; i < config->count; i++) {
		uint64_t random = bench_random(&state);
		struct envelope env = {.ttl_s = config->ttl_s,
				       .expiry_s = sent_of(config, i, random) +
						   config->ttl_s,
				       .topic = pick_topic(config, i, random),
				       .data_size = config->size};

		fill(&state, data, config->size);
		corpus->starts[i] = at;
		at += envelope_encode(&env, data, corpus->bytes + at);
	}
	corpus->starts[config->count] = at;
	free(data);
}

void corpus_release(struct corpus *corpus)
{
	free(corpus->bytes);
	free(corpus->starts);
	*corpus = (struct corpus){0};
}

static void hash_packets(struct packed *packed, size_t count)
{
	struct keccak_hash_job jobs[HASH_AT_ONCE];

	for (size_t done = 0, n; done < count; done += n) {
		for (n = 0; n < HASH_AT_ONCE && done + n < count; n++)
			jobs[n] = (struct keccak_hash_job){
				.in = packed[done + n].bytes,
				.len = packed[done + n].size,
				.out = packed[done + n].hash};
		keccak256_many(jobs, n);
	}
}

size_t corpus_pack(const struct corpus *corpus, uint32_t per_packet,
		   struct packed **out)
{
	uint32_t total = corpus->config.count;
	size_t count = (total + per_packet - 1) / per_packet;
	size_t bytes = corpus->starts[total] + count * RLP_HEADER_MAX;
	struct packed *packed = malloc(count * sizeof(*packed) + bytes);
	uint8_t *at = (uint8_t *)(packed + count);

	if (!packed)
		bench_fail("no memory for %zu packets", count);
	for (size_t i = 0; i < count; i++) {
		uint32_t first = (uint32_t)i * per_packet;
		uint32_t end =
			total - first < per_packet ? total : first + per_packet;
		size_t size = corpus->starts[end] - corpus->starts[first];
		size_t header = rlp_list_header(at, size);

		memcpy(at + header, corpus->bytes + corpus->starts[first],
		       size);
		packed[i] = (struct packed){.bytes = at,
					    .size = (uint32_t)(header + size),
					    .count = end - first};
		at += header + size;
	}
	hash_packets(packed, count);
	*out = packed;
	return count;
}

static void hash_items(struct archive_item *items, size_t count)
{
	struct keccak_hash_job jobs[HASH_AT_ONCE];

	for (size_t done = 0, n; done < count; done += n) {
		for (n = 0; n < HASH_AT_ONCE && done + n < count; n++)
			jobs[n] = (struct keccak_hash_job){
				.in = items[done + n].rlp,
				.len = items[done + n].size,
				.out = items[done + n].hash};
		keccak256_many(jobs, n);
	}
}

struct archive_item *corpus_items(const struct corpus *corpus)
{
	uint32_t count = corpus->config.count;
	struct archive_item *items = calloc(count, sizeof(*items));

	if (!items)
		bench_fail("no memory for %u envelopes", count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = corpus->starts[i];
		struct envelope env;

		if (envelope_decode(corpus->bytes + start,
				    corpus->starts[i + 1] - start, &env))
			bench_fail("an envelope is not well made");
		items[i] = (struct archive_item){.rlp = env.rlp,
						 .size = env.size,
						 .sent = envelope_sent(&env),
						 .topic = env.topic};
	}
	hash_items(items, count);
	return items;
}
