#include "app/generate.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/keccak.h"

#define ENVELOPE_EXTRA 40
#define TRIES_MAX      (1ull << 32)

/* splitmix64: all that payloads for tests need. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill_random(uint64_t *state, uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t value = next_random(state);
		size_t n = len < sizeof(value) ? len : sizeof(value);

		memcpy(out, &value, n);
		out += n;
		len -= n;
	}
}

struct topic generate_topic(uint64_t seed, uint32_t index)
{
	uint8_t in[12], hash[KECCAK_DIGEST];
	struct topic topic;

	be64_store(in, seed);
	be32_store(in + 8, index);
	keccak256(in, sizeof(in), hash);
	memcpy(topic.bytes, hash, sizeof(topic.bytes));
	return topic;
}

int generate_init(struct generate *g, const struct generate_config *config)
{
	memset(g, 0, sizeof(*g));
	g->config = *config;
	g->state = config->seed;
	g->data = malloc((size_t)config->size + 1);
	g->rlp = malloc((size_t)config->size + ENVELOPE_EXTRA + 512);
	return g->data && g->rlp ? 0 : ERR_NOMEM;
}

void generate_release(struct generate *g)
{
	free(g->data);
	free(g->rlp);
	memset(g, 0, sizeof(*g));
}

/* Sealed data is padded to a multiple of 256 bytes, and what a key adds comes
 * on top: the payload is what leaves `size` at most. */
static size_t payload_of(const struct generate_config *config)
{
	size_t extra = config->seal == GENERATE_SYMMETRIC ? 300 : 400;

	return config->size > extra ? config->size - extra : 1;
}

static int make_data(struct generate *g, uint8_t **sealed, size_t *size)
{
	const struct generate_config *config = &g->config;

	*size = config->size;
	fill_random(&g->state, g->data, config->size);
	switch (config->seal) {
	case GENERATE_RANDOM:
		return 0;
	case GENERATE_SYMMETRIC:
		return sealed_seal_symmetric(config->key, g->data,
					     payload_of(config), NULL, sealed,
					     size);
	case GENERATE_ASYMMETRIC:
		return sealed_seal_asymmetric(config->public, g->data,
					      payload_of(config), NULL, sealed,
					      size);
	}
	return ERR_SYNTAX;
}

static struct topic pick_topic(struct generate *g)
{
	const struct generate_config *config = &g->config;
	uint32_t index = (uint32_t)(g->made % config->topics_count);

	return config->topics ? config->topics[index]
			      : generate_topic(config->seed, index);
}

int generate_next(struct generate *g, const uint8_t **rlp, size_t *size)
{
	const struct generate_config *config = &g->config;
	struct envelope env = {0};
	uint8_t *sealed = NULL;
	size_t data_size;
	uint32_t age_s;
	int err;

	if (g->made == config->count)
		return 1;
	err = make_data(g, &sealed, &data_size);
	if (err)
		return err;
	age_s = config->spread_s ? (uint32_t)(next_random(&g->state) %
					      (config->spread_s + 1u))
				 : 0;
	env.ttl_s = config->ttl_s + config->spread_s;
	env.expiry_s = clock_wall_s() - age_s + env.ttl_s;
	env.topic = pick_topic(g);
	env.data_size = (uint32_t)data_size;
	err = envelope_seal_pow(&env, sealed ? sealed : g->data, config->pow,
				TRIES_MAX);
	if (!err) {
		*size = envelope_encode(&env, sealed ? sealed : g->data,
					g->rlp);
		*rlp = g->rlp;
		g->made++;
	}
	free(sealed);
	return err;
}
