#include "core/topic.h"

#include <string.h>

/* The three bits of a topic, each 0..511 (§7). */
static void topic_indexes(struct topic topic, unsigned index[static 3])
{
	for (unsigned j = 0; j < 3; j++)
		index[j] = topic.bytes[j] +
			   ((topic.bytes[3] >> j & 1u) ? 256u : 0u);
}

static uint8_t bit_of(unsigned index)
{
	return (uint8_t)(1u << index % 8);
}

void bloom_from_topic(struct topic topic, struct bloom *out)
{
	unsigned index[3];

	topic_indexes(topic, index);
	memset(out, 0, sizeof(*out));
	/* Assigned, not ORed: what the deployed network does. */
	for (unsigned j = 0; j < 3; j++)
		out->bits[index[j] / 8] = bit_of(index[j]);
}

void bloom_add_textbook(struct bloom *bloom, struct topic topic)
{
	unsigned index[3];

	topic_indexes(topic, index);
	for (unsigned j = 0; j < 3; j++)
		bloom->bits[index[j] / 8] |= bit_of(index[j]);
}

void bloom_add_deployed(struct bloom *bloom, struct topic topic)
{
	struct bloom sample;

	bloom_from_topic(topic, &sample);
	for (unsigned i = 0; i < BLOOM_SIZE; i++)
		bloom->bits[i] |= sample.bits[i];
}

bool bloom_covers(const struct bloom *filter, const struct bloom *sample)
{
	uint8_t missing = 0;

	for (unsigned i = 0; i < BLOOM_SIZE; i++)
		missing |= sample->bits[i] & (uint8_t)~filter->bits[i];
	return missing == 0;
}

static bool has_bit(const struct bloom *bloom, unsigned index)
{
	return bloom->bits[index / 8] & bit_of(index);
}

bool bloom_covers_topic(const struct bloom *filter, struct topic topic)
{
	unsigned index[3];
	bool lost0, lost1;

	topic_indexes(topic, index);
	/* A later bit of the same byte has overwritten the earlier one. */
	lost0 = index[0] / 8 == index[1] / 8 || index[0] / 8 == index[2] / 8;
	lost1 = index[1] / 8 == index[2] / 8;
	return has_bit(filter, index[2]) &&
	       (lost1 || has_bit(filter, index[1])) &&
	       (lost0 || has_bit(filter, index[0]));
}

/* Are all bytes `value`? */
static bool bloom_is_all(const struct bloom *bloom, uint8_t value)
{
	uint8_t differs = 0;

	for (unsigned i = 0; i < BLOOM_SIZE; i++)
		differs |= bloom->bits[i] ^ value;
	return differs == 0;
}

bool bloom_is_full(const struct bloom *bloom)
{
	return bloom_is_all(bloom, 0xff);
}

bool bloom_is_empty(const struct bloom *bloom)
{
	return bloom_is_all(bloom, 0);
}
