#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H
/*
 * Topics and bloom filters (protocol/whisper-waku.md §7), with the deployed
 * rule in which a later bit overwrites an earlier one of the same byte.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPIC_SIZE 4
#define BLOOM_SIZE 64

struct topic {
	uint8_t bytes[TOPIC_SIZE];
};
struct bloom {
	uint8_t bits[BLOOM_SIZE];
};

/* The deployed form: what an envelope's topic is tested with. */
void bloom_from_topic(struct topic topic, struct bloom *out);
/* The textbook bits, a superset: for building a filter of one's own. */
void bloom_add_textbook(struct bloom *bloom, struct topic topic);
/* The deployed bits, as the apps build their filters. */
void bloom_add_deployed(struct bloom *bloom, struct topic topic);
/* Does `filter` want an envelope whose bloom is `sample`? */
bool bloom_covers(const struct bloom *filter, const struct bloom *sample);
/* The same from the topic alone, without building the sample. Fast. */
bool bloom_covers_topic(const struct bloom *filter, struct topic topic);
bool bloom_is_full(const struct bloom *bloom);
bool bloom_is_empty(const struct bloom *bloom);

#endif
